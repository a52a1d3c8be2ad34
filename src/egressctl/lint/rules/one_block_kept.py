"""A Sidecar resource names the exact host, and keeps only one of several blocks.

Measured with istiod of August 2026: `./host` and `namespace/host` keep one block of an entry, and which one is chance.
`*/host` and wildcards keep them all.

    addresses: [198.51.100.0/28, 203.0.113.0/28]

    # sidecar.yaml
    kind: Sidecar
    metadata: {name: default, namespace: shop}
    spec:
      egress: [{hosts: [./db.example.com]}]

Write `"*/db.example.com"`, or a wildcard such as `"./*"`.
"""

from egressctl.istio.conflict import ConflictKind
from egressctl.lint.rule import Rule, Severity

RULE = Rule(ConflictKind.ONE_BLOCK_KEPT.value, Severity.WARNING, __doc__)
