"""A VirtualService sends the host's traffic to another place.

Connections to the entry's host do not go to the entry's Envoy cluster. With an egress gateway that is correct.

    hosts: [db.example.com]

    # route.yaml
    kind: VirtualService
    metadata: {name: detour, namespace: shop}
    spec:
      hosts: [db.example.com]
      tcp: [{route: [{destination: {host: istio-egressgateway.istio-system.svc.cluster.local}}]}]

Remove the route. Or, if it is correct, say so: `expect: {via: HOST}` in the probe, `# egressctl: ignore=rerouted` in the file.
"""

from egressctl.istio.conflict import ConflictKind
from egressctl.lint.rule import Rule, Severity

RULE = Rule(ConflictKind.REROUTED.value, Severity.WARNING, __doc__)
