"""Another TLS entry on the port has a wildcard that covers a host of this entry, or the other way round.

The more exact name wins. If the two have different resolutions or locations, they can behave differently for one host.

    # a.yaml
    metadata: {name: a, namespace: shop}
    hosts: [www.example.com]
    ports: [{number: 443, name: port, protocol: TLS}]
    addresses:

    # b.yaml
    metadata: {name: b, namespace: shop}
    hosts: ["*.example.com"]
    ports: [{number: 443, name: port, protocol: TLS}]
    addresses:

Remove the host from one of them, or leave it if you want it so.
"""

from egressctl.istio.conflict import ConflictKind
from egressctl.lint.rule import Rule, Severity

RULE = Rule(ConflictKind.SAME_SERVER_NAME.value, Severity.WARNING, __doc__)
