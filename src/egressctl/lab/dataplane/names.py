"""Names and numbers of Istio that several parts of the lab share."""

POD, NAMESPACE, POD_ADDRESS = "sleep", "default", "10.244.0.5"
ADMIN_PORT, OUTBOUND_PORT, INBOUND_PORT = 15000, 15001, 15006

REGISTRY_ONLY, ALLOW_ANY = "REGISTRY_ONLY", "ALLOW_ANY"
POLICIES = {REGISTRY_ONLY: "BlackHoleCluster", ALLOW_ANY: "PassthroughCluster"}
"""Outbound traffic policy -> the Envoy cluster that gets what no ServiceEntry names."""
