"""What a real API server with Istio refuses or warns of in a ServiceEntry, told without asking one. Pure."""
