"""One of two entries declares a port HTTP, and the other TCP or TLS.

What does not speak as the port is declared falls to the listener's default filter chain; within the blocks of a TCP or TLS
entry that entry has everything. Of one host in one namespace the declaration of the last entry counts: HTTP has no route to
it where that is TCP or TLS.

    # a.yaml
    metadata: {name: a, namespace: shop}
    hosts: [www.example.com]
    ports: [{number: 443, name: port, protocol: HTTP}]
    addresses:

    # b.yaml
    metadata: {name: b, namespace: shop}
    hosts: [other.example.com]

Declare one protocol for a port, or use ports of their own.
"""

from egressctl.istio.conflict import ConflictKind
from egressctl.lint.rule import Rule, Severity

RULE = Rule(ConflictKind.PROTOCOL_CONFLICT.value, Severity.WARNING, __doc__)
