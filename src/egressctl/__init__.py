"""Open an egress from an Istio mesh, prove which Envoy cluster carried it, and close it again."""

__version__ = "0.1.0"
