"""A small Kubernetes API: what kubectl and the official client need of one, in memory, on one event loop."""
