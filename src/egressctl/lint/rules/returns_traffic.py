"""The change gives an entry of the mesh traffic that goes to another place today.

lint reports it when it compares files with a snapshot (`egressctl lint FILES --against FOLDER`): an entry of the files releases
traffic that it took from another entry, or a Sidecar or a VirtualService of the files does not block an entry any more.

In the snapshot, `shop/mirror` takes a part of what `payments/bank` lists:

    # snapshot.yaml
    metadata: {name: bank, namespace: payments}
    hosts: [bank.example.com]
    addresses: [198.51.100.0/24]
    exportTo: ["*"]
    ---
    metadata: {name: mirror, namespace: shop}
    hosts: [mirror.example.com]
    addresses: [198.51.100.16/28]
    exportTo: ["*"]

In the pull request it lists another block:

    # mirror.yaml
    metadata: {name: mirror, namespace: shop}
    hosts: [mirror.example.com]
    addresses: [203.0.113.16/28]
    exportTo: ["*"]

Check that this entry should get the traffic. After you apply the change, prove it with `egressctl verify serviceentry/NAME`.
"""

from egressctl.istio.conflict import EntryConflict
from egressctl.lint.rule import Finding, Rule, Severity, finding_of_conflict


def finding(clash: EntryConflict, where: str) -> Finding:
    """Return what ends with the change as a finding about the entry `where`."""
    told = finding_of_conflict(clash, where)
    return told._replace(rule=RULE.id, message=f"this ends with the change: {told.message}", path=())


RULE = Rule("returns-traffic", Severity.WARNING, __doc__)
