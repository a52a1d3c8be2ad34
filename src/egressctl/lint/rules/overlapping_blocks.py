"""Another entry lists a block on the same port that overlaps.

Both have filter chains, and the longest prefix carries, whatever the entries' age; a plain address goes before every block,
and its listener asks for no server name. HTTP entries do not compete: they are chosen by the host, whatever the address.

    # a.yaml
    metadata: {name: a, namespace: shop}

    # b.yaml
    metadata: {name: b, namespace: shop}
    hosts: [other.example.com]
    addresses: [198.51.100.0/24]

Let each address be in one entry only.
"""

from egressctl.istio.conflict import ConflictKind
from egressctl.lint.rule import Rule, Severity

RULE = Rule(ConflictKind.OVERLAPPING_BLOCKS.value, Severity.WARNING, __doc__)
