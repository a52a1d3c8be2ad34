"""The target or the manifest breaks a rule of Istio's or of egressctl's.

lint checks an EgressTarget by the rules of `create` and `render`: what Istio would refuse, and what it accepts although it is
dangerous, such as a TCP port without addresses. It reports all problems of the file at once.

    apiVersion: egressctl.dev/v1alpha1
    kind: EgressTarget
    metadata: {name: web}
    spec:
      serviceEntry:
        hosts: [https://web.example]
        ports: [{number: 443, name: tls-443, protocol: TLS}]

Do what the second line of the finding says.
"""

from egressctl.lint.rule import Rule, Severity

RULE = Rule("invalid-input", Severity.ERROR, __doc__)
