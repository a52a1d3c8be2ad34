"""Istio uses this port itself: the sidecar never gets a listener for it.

15001 and 15006 collide with Istio's own listeners, and Envoy refuses the entry's. 15021 and 15090 get no listener, without a
warning. A plain address gets its own listener, so lint skips it.

    ports: [{number: 15021, name: port, protocol: TCP}]

Use another port. A server on this port cannot be reached through a sidecar by a block.
"""

from collections.abc import Iterator

from egressctl.lint.rule import LintedEntry, Rule, Severity, Told
from egressctl.manifests.formats import RESERVED_PORTS


def check(case: LintedEntry) -> Iterator[Told]:
    # A plain address gets a listener of its own, which collides with nothing.
    if case.entry.addresses and not any("/" in address for address in case.entry.addresses):
        return
    for index, port in enumerate(case.entry.ports):
        if port.number in RESERVED_PORTS:
            told = f"port {port.number} is Istio's own, for {RESERVED_PORTS[port.number]}: the sidecar gets no listener for it"
            yield told, case.show, ("spec", "ports", index)


RULE = Rule("reserved-port", Severity.ERROR, __doc__, check)
