"""Names and numbers that several parts of the lab share, most of them Istio's."""

POD, NAMESPACE, POD_ADDRESS = "sleep", "default", "10.244.0.5"
POD_IPV6 = "fd00:10:244::5"
"""The pod's second address in a lab that was asked for IPv6."""
RESTART, RESTARTED = "restart", "restarted"
"""What the supervisor asks of process 1 of the namespaces, a line, and how that answers."""

ADMIN_PORT, OUTBOUND_PORT, INBOUND_PORT = 15000, 15001, 15006

REGISTRY_ONLY, ALLOW_ANY = "REGISTRY_ONLY", "ALLOW_ANY"
POLICIES = {REGISTRY_ONLY: "BlackHoleCluster", ALLOW_ANY: "PassthroughCluster"}
"""Outbound traffic policy -> the Envoy cluster that gets what no ServiceEntry names."""

POD_LABELS = {"app": POD}
