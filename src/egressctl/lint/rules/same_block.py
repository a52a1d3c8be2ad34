"""Another entry lists the same address block on the same port.

Only one of them carries it: the one whose `exportTo` names fewer namespaces, then the older, then the one whose host is first
by name. The other loses the block without a word. A TLS entry keeps its server names of a block, but not of a plain address.
How old an entry is, a file does not say.

    # a.yaml
    metadata: {name: a, namespace: shop}

    # b.yaml
    metadata: {name: b, namespace: shop}
    hosts: [other.example.com]

Take the block out of one of them, or put both into one entry with several hosts.
"""

from egressctl.istio.conflict import ConflictKind
from egressctl.lint.rule import Rule, Severity

RULE = Rule(ConflictKind.SAME_BLOCK.value, Severity.WARNING, __doc__)
