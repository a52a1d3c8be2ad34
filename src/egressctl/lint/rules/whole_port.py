"""One of two entries takes every address on a port that both name.

It gets all traffic that no block and no server name of another entry takes: what should be blocked is open through it.

    # a.yaml
    metadata: {name: a, namespace: shop}

    # b.yaml
    metadata: {name: b, namespace: shop}
    hosts: [other.example.com]
    addresses:

List the addresses of the entry that has none, or give it protocol TLS.
"""

from egressctl.istio.conflict import ConflictKind
from egressctl.lint.rule import Rule, Severity

RULE = Rule(ConflictKind.WHOLE_PORT.value, Severity.WARNING, __doc__)
