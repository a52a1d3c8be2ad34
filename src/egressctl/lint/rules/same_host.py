"""Another entry has the same host, in this namespace or in another.

Two in one namespace share an Envoy cluster. It is that of the first: one whose exportTo names fewer namespaces, else the
older; of one second, chance decides. A port that only the other has gets none, and connections to it are closed, unless
labels, exportTo and resolution of both are the same: then their ports are merged. Of two namespaces a sidecar gets only one:
that of the pod's own namespace, else the one whose exportTo names fewer namespaces, else the older, else the first by name of
its namespace. A host in capital letters is to Istio another than the same in small ones, and HTTP goes to those
alone.

    # a.yaml
    metadata: {name: a, namespace: shop}

    # b.yaml
    metadata: {name: b, namespace: other}
    addresses: [198.51.100.64/28]
    exportTo: ["*"]

Put both into one entry, or limit each to its own namespace by `exportTo`.
"""

from egressctl.istio.conflict import ConflictKind
from egressctl.lint.rule import Rule, Severity

RULE = Rule(ConflictKind.SAME_HOST.value, Severity.WARNING, __doc__)
