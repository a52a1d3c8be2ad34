"""Another entry lists an overlapping block on the same port.

Both have filter chains, and the longest prefix wins, whatever the age of the entries. A plain address comes before every block,
and its listener does not look at the server name. HTTP entries do not compete: they are chosen by the host, not by the address.

    # a.yaml
    metadata: {name: a, namespace: shop}

    # b.yaml
    metadata: {name: b, namespace: shop}
    hosts: [other.example.com]
    addresses: [198.51.100.0/24]

List each address in one entry only.
"""

from egressctl.istio.conflict import ConflictKind
from egressctl.lint.rule import Rule, Severity

RULE = Rule(ConflictKind.OVERLAPPING_BLOCKS.value, Severity.WARNING, __doc__)
