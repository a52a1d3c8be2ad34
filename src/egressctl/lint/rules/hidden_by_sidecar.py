"""A Sidecar resource hides the entry from pods.

Pods get only what the `egress` hosts of the Sidecar name. lint reads the Sidecars of the entry's own namespace, and the mesh's.

    hosts: [db.example.com]

    # sidecar.yaml
    kind: Sidecar
    metadata: {name: default, namespace: shop}
    spec:
      egress: [{hosts: [istio-system/*]}]

Add the entry's namespace to the Sidecar's `egress` hosts.
"""

from egressctl.istio.conflict import ConflictKind
from egressctl.lint.rule import Rule, Severity

RULE = Rule(ConflictKind.HIDDEN_BY_SIDECAR.value, Severity.WARNING, __doc__)
