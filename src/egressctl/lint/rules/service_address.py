"""The address of a Service is inside a block of the entry, on the same port.

A Service's address has its own listener, which comes first. If the entry lists the same plain address, a sidecar gets only one
of the two. lint reads the Services from the Kubernetes cluster.

    metadata: {name: shop-db, namespace: default}
    addresses: [10.0.0.0/8]

    # service.yaml
    apiVersion: v1
    kind: Service
    metadata: {name: front, namespace: shop}
    spec:
      clusterIP: 10.96.0.17
      ports: [{port: 443}]

List smaller blocks, without the Kubernetes cluster's own addresses.
"""

from egressctl.istio.conflict import ConflictKind
from egressctl.lint.rule import Place, Rule, Severity

RULE = Rule(ConflictKind.SERVICE_ADDRESS.value, Severity.WARNING, __doc__, only_in=Place.CLUSTER)
