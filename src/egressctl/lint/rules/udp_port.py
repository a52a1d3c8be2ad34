"""A port is UDP, which sidecars do not carry.

A sidecar intercepts TCP. Istio takes a UDP port without a word, and the datagrams go around the sidecar, whatever the
outbound traffic policy.

    ports: [{number: 53, name: port, protocol: UDP}]

Take the port out. What UDP may reach is for a NetworkPolicy to say.
"""

from collections.abc import Iterator

from egressctl.lint.rule import LintedEntry, Place, Rule, Severity, Told


def check(case: LintedEntry) -> Iterator[Told]:
    for index, port in enumerate(case.entry.ports):
        if port.protocol.upper() == "UDP":
            told = f"port {port.number} is UDP, which sidecars do not carry: it goes around them, or nowhere"
            yield told, "", ("spec", "ports", index)


RULE = Rule("udp-port", Severity.WARNING, __doc__, check, Place.FILE)
