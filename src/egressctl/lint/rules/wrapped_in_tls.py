"""A DestinationRule adds TLS to the host's connections.

On a TCP or TLS port the application usually speaks TLS already: the server then gets TLS inside TLS. On an HTTP port it is TLS
origination, which is fine.

    hosts: [db.example.com]

    # rule.yaml
    kind: DestinationRule
    metadata: {name: twice, namespace: shop}
    spec:
      host: db.example.com
      trafficPolicy: {tls: {mode: SIMPLE}}

Remove the `tls` setting, or declare the port HTTP and let the application speak HTTP.
"""

from egressctl.istio.conflict import ConflictKind
from egressctl.lint.rule import Rule, Severity

RULE = Rule(ConflictKind.WRAPPED_IN_TLS.value, Severity.WARNING, __doc__)
