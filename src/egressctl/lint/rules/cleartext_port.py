"""What is sent on the port can be read on the network, passwords included.

The port's protocol is HTTP, or its number is that of a protocol that sends passwords in the clear unless the client asks for
TLS itself: 21 (FTP), 23 (Telnet), 80 (HTTP), 110 (POP3), 143 (IMAP), 389 (LDAP), 1883 (MQTT), 5672 (AMQP), 6379 (Redis).
lint cannot know whether a client does. It skips entries inside the mesh (MESH_INTERNAL), and entries to whose hosts a
DestinationRule among the files adds TLS.

    hosts: [ldap.example.com]
    ports: [{number: 389, name: port, protocol: TCP}]

Use the port with TLS (LDAP's is 636), or let the sidecar add TLS: a DestinationRule with
`trafficPolicy: {tls: {mode: SIMPLE}}`.
"""

from collections.abc import Iterator

from egressctl.istio.hosts import covers_host
from egressctl.lint.rule import LintedEntry, Rule, Severity, Told
from egressctl.manifests.formats import HTTP_PROTOCOLS, LOCATIONS, OPAQUE_PROTOCOLS

_CLEARTEXT_PORTS = {
    21: "FTP",
    23: "Telnet",
    80: "HTTP",
    110: "POP3",
    143: "IMAP",
    389: "LDAP",
    1883: "MQTT",
    5672: "AMQP",
    6379: "Redis",
}
"""Ports whose protocols send passwords in the clear unless the client asks for TLS, and that have a neighbour with TLS."""


def check(case: LintedEntry) -> Iterator[Told]:
    entry = case.entry
    is_wrapped = all(any(covers_host(wide, host) for wide in case.originating) for host in entry.hosts)
    if is_wrapped or entry.location != LOCATIONS[0]:
        return
    for index, port in enumerate(entry.ports):
        protocol = port.protocol.upper()
        said = f"protocol {protocol}" if protocol in (*HTTP_PROTOCOLS, "REDIS") else ""
        if not said and protocol in OPAQUE_PROTOCOLS and port.number in _CLEARTEXT_PORTS:
            said = f"{_CLEARTEXT_PORTS[port.number]}'s"
        if said:
            told = f"port {port.number} is {said}: what is sent there can be read on the network, passwords included"
            right = "a port with TLS, or a DestinationRule that adds TLS to the host's connections"
            yield told, right, ("spec", "ports", index)


RULE = Rule("cleartext-port", Severity.WARNING, __doc__, check)
