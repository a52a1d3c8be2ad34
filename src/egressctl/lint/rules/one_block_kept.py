"""A Sidecar resource names the exact host, and keeps only one of several blocks.

As istiod of August 2026 does: where all hosts of the Sidecar's listener are exact, such as `./host` and `namespace/host`, one
block of an entry is kept, and which one is chance. One `*/host` or one wildcard among them, and all blocks are.

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
