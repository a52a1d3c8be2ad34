"""The target or the manifest breaks a rule of Istio's or of egressctl's.

An EgressTarget is held to the rules that `create` and `render` have: what Istio would refuse, and what it takes although
harm comes of it, such as a TCP port without addresses. Every problem of the file is told at once.

    apiVersion: egressctl.dev/v1alpha1
    kind: EgressTarget
    metadata: {name: web}
    spec:
      serviceEntry:
        hosts: [https://web.example]
        ports: [{number: 443, name: tls-443, protocol: TLS}]

Write what the second line of the finding says.
"""

from egressctl.lint.rule import Rule, Severity

RULE = Rule("invalid-input", Severity.ERROR, __doc__)
