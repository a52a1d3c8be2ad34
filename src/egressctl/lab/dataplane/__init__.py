"""The mesh's side of the lab: namespaces, interception, and an Envoy fed from any Kubernetes API's ServiceEntries."""
