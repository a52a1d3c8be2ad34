"""A Sidecar resource leaves the entry out.

Pods get of the mesh only what its `egress` hosts name. Judged are the Sidecars of the entry's own namespace, and that of the
mesh.

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
