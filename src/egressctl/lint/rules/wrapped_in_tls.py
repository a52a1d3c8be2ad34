"""A DestinationRule wraps the host's connections in TLS.

On a TCP or TLS port the application speaks TLS already, mostly: it arrives as TLS inside TLS. On an HTTP port it is TLS
origination, and meant.

    hosts: [db.example.com]

    # rule.yaml
    kind: DestinationRule
    metadata: {name: twice, namespace: shop}
    spec:
      host: db.example.com
      trafficPolicy: {tls: {mode: SIMPLE}}

Take the `tls` setting out, or declare the port HTTP and let the application speak HTTP.
"""

from egressctl.istio.conflict import ConflictKind
from egressctl.lint.rule import Rule, Severity

RULE = Rule(ConflictKind.WRAPPED_IN_TLS.value, Severity.WARNING, __doc__)
