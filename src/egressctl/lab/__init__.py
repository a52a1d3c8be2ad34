"""A local mesh on one Linux machine: a real Envoy before a pod, and a small internet behind it."""
