"""A TCP port without addresses, or with `0.0.0.0/0`, opens the port to every address.

On a TCP port nothing but the address tells a connection for this host from any other. So the entry takes them all, in
REGISTRY_ONLY as well.

    addresses:

List the addresses that are meant, or use protocol TLS, where the name in the handshake decides.
"""

from collections.abc import Iterator

from egressctl.istio.listing import is_every_address
from egressctl.lint.rule import LintedEntry, Rule, Severity, Told
from egressctl.manifests.formats import OPAQUE_PROTOCOLS


def check(case: LintedEntry) -> Iterator[Told]:
    every = any(map(is_every_address, case.entry.addresses))
    for index, port in enumerate(case.entry.ports if every or not case.entry.addresses else ()):
        if port.protocol.upper() in OPAQUE_PROTOCOLS:
            because = "with 0.0.0.0/0 among its addresses" if every else "without addresses"
            told = f"port {port.number} is {port.protocol.upper() or 'TCP'} {because}: it is open to every address"
            yield told, "list the addresses that are meant", ("spec", "ports", index)


RULE = Rule("opens-whole-port", Severity.WARNING, __doc__, check)
