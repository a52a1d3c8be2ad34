"""A TCP port without addresses, or with `0.0.0.0/0` or `::/0`, takes every connection on the port.

On a TCP port only the address shows which host a connection is for. Without addresses the entry takes all connections, also in
REGISTRY_ONLY. With resolution NONE each goes to the address that the client asked for: the port is open to every address. With
DNS or STATIC each goes to the entry's own host, whatever the client asked for: other hosts on the port cannot be reached.

    addresses:

List the addresses that you need, or use protocol TLS, where the name in the handshake decides.
"""

from collections.abc import Iterator

from egressctl.istio.listing import every_address_of
from egressctl.lint.rule import LintedEntry, Rule, Severity, Told
from egressctl.manifests.formats import OPAQUE_PROTOCOLS


def check(case: LintedEntry) -> Iterator[Told]:
    every = next(filter(None, map(every_address_of, case.entry.addresses)), "")
    which = "every IPv6 address" if ":" in every else "every address"
    for index, port in enumerate(case.entry.ports if every or not case.entry.addresses else ()):
        if port.protocol.upper() in OPAQUE_PROTOCOLS:
            because = f"with {every} among its addresses" if every else "without addresses"
            host = min(case.entry.hosts, default="") if case.entry.resolution != "NONE" else ""
            then = (
                f"every connection on it, to {which.replace('every', 'any')}, is sent to {host}"
                if host
                else f"it is open to {which}"
            )
            told = f"port {port.number} is {port.protocol.upper() or 'TCP'} {because}: {then}"
            step = "list the addresses that you need" + (", or declare TLS or HTTP" if host else "")
            yield told, step, ("spec", "ports", index)


RULE = Rule("opens-whole-port", Severity.WARNING, __doc__, check)
