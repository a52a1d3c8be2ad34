"""A port is UDP, which sidecars do not route.

A sidecar intercepts only TCP. Istio accepts a UDP port without a warning, and the datagrams do not go through the sidecar,
whatever the outbound traffic policy.

    ports: [{number: 53, name: port, protocol: UDP}]

Remove the port. Use a NetworkPolicy to control UDP.
"""

from collections.abc import Iterator

from egressctl.lint.rule import LintedEntry, Place, Rule, Severity, Told


def check(case: LintedEntry) -> Iterator[Told]:
    for index, port in enumerate(case.entry.ports):
        if port.protocol.upper() == "UDP":
            told = f"port {port.number} is UDP, which sidecars do not route: it goes past them, or nowhere"
            yield told, "", ("spec", "ports", index)


RULE = Rule("udp-port", Severity.WARNING, __doc__, check, Place.FILE)
