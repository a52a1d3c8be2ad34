"""Another entry lists the same address block on the same port.

Only one of them gets the traffic: the one whose `exportTo` names fewer namespaces, then the older, then the one whose host comes
first by name. The other loses the block without a warning. A TLS entry keeps its server names in a block, but not for a plain
address. A file does not say how old an entry is.

    # a.yaml
    metadata: {name: a, namespace: shop}

    # b.yaml
    metadata: {name: b, namespace: shop}
    hosts: [other.example.com]

Remove the block from one of them, or put both into one entry with several hosts.
"""

from egressctl.istio.conflict import ConflictKind
from egressctl.lint.rule import Rule, Severity

RULE = Rule(ConflictKind.SAME_BLOCK.value, Severity.WARNING, __doc__)
