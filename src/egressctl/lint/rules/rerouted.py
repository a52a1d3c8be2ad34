"""A VirtualService sends the host elsewhere.

Connections to the entry's host go to another Envoy cluster than the entry's. That is meant where an egress gateway is.

    hosts: [db.example.com]

    # route.yaml
    kind: VirtualService
    metadata: {name: detour, namespace: shop}
    spec:
      hosts: [db.example.com]
      tcp: [{route: [{destination: {host: istio-egressgateway.istio-system.svc.cluster.local}}]}]

Take the route out; or, where it is meant, say so: `expect: {via: HOST}` in the probe, `# egressctl: ignore=rerouted` in the
file.
"""

from egressctl.istio.conflict import ConflictKind
from egressctl.lint.rule import Rule, Severity

RULE = Rule(ConflictKind.REROUTED.value, Severity.WARNING, __doc__)
