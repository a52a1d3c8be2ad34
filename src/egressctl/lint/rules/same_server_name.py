"""Another TLS entry on the port has a wildcard that covers a host, or the other way round.

The more exact name carries. With another resolution or another `location` the two can behave differently for one host.

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

Take the host out of one of them, or leave it so where that is meant.
"""

from egressctl.istio.conflict import ConflictKind
from egressctl.lint.rule import Rule, Severity

RULE = Rule(ConflictKind.SAME_SERVER_NAME.value, Severity.WARNING, __doc__)
