"""A TLS entry without addresses loses to an entry whose block contains the address.

Envoy looks at the address first, then at the server name, and does not go back.

    # a.yaml
    metadata: {name: a, namespace: shop}
    hosts: [www.example.com]
    ports: [{number: 443, name: port, protocol: TLS}]
    addresses:

    # b.yaml
    metadata: {name: b, namespace: shop}
    hosts: [other.example.com]

Give the TLS entry the same block too: then its names go to it. Or make the other one a TLS entry too.
"""

from egressctl.istio.conflict import ConflictKind
from egressctl.lint.rule import Rule, Severity

RULE = Rule(ConflictKind.TLS_BEHIND_BLOCK.value, Severity.WARNING, __doc__)
