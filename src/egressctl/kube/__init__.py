"""The Kubernetes API as egressctl needs it: who to talk to, objects over REST, commands over WebSocket.

The only importer of `kubernetes`, and only inside functions: importing it takes a third of a second.
"""
