"""A Sidecar resource names the exact host, so pods get only one of the entry's blocks.

istiod of August 2026 does this: if all hosts of the Sidecar's listener are exact, such as `./host` and `namespace/host`, pods get
one block of the entry, chosen by chance. With one `*/host` or one wildcard among the hosts, they get all blocks.

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
