"""Another entry has the same host, in this namespace or in another.

Two entries in one namespace share an Envoy cluster, that of the first entry: the one whose exportTo names fewer namespaces, else
the older one. If both were created in the same second, chance decides. A port that only the other entry has gets no Envoy
cluster, and connections to it are closed. Only if labels, exportTo and resolution of both are the same, their ports are merged.
Of entries in two namespaces a sidecar gets only one: that of the pod's own namespace, else the one whose exportTo names fewer
namespaces, else the older one, else the first by name of its namespace. For Istio, a host in capital letters is another host
than the same in small letters, and HTTP goes only to the one in small letters.

    # a.yaml
    metadata: {name: a, namespace: shop}

    # b.yaml
    metadata: {name: b, namespace: other}
    addresses: [198.51.100.64/28]
    exportTo: ["*"]

Put both into one entry, or limit each to its own namespace with `exportTo`.
"""

from egressctl.istio.conflict import ConflictKind
from egressctl.lint.rule import Rule, Severity

RULE = Rule(ConflictKind.SAME_HOST.value, Severity.WARNING, __doc__)
