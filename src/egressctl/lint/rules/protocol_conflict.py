"""One of two entries declares a port HTTP, the other TCP or TLS.

A connection that does not speak the declared protocol goes to the listener's default filter chain. Inside the blocks of a TCP or
TLS entry, that entry gets every connection. For one host in one namespace the last entry's protocol counts: if it is TCP or TLS,
HTTP has no route to the host.

    # a.yaml
    metadata: {name: a, namespace: shop}
    hosts: [www.example.com]
    ports: [{number: 443, name: port, protocol: HTTP}]
    addresses:

    # b.yaml
    metadata: {name: b, namespace: shop}
    hosts: [other.example.com]

Declare one protocol for a port, or use different ports.
"""

from egressctl.istio.conflict import ConflictKind
from egressctl.lint.rule import Rule, Severity

RULE = Rule(ConflictKind.PROTOCOL_CONFLICT.value, Severity.WARNING, __doc__)
