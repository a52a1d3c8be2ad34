"""The change takes traffic away from an entry of the mesh.

lint reports it when it compares files with a snapshot (`egressctl lint FILES --against FOLDER`): an entry of the files gets a
block, a host or a server name that an entry of the snapshot has now, or a Sidecar or a VirtualService of the files takes it
away. Nothing warns about it, and requests may still be answered. The same is true if an entry sends a whole TCP port to its own
host, whatever the client asked for. lint does not report what is the same before and after the change.

In the snapshot:

    # snapshot.yaml
    metadata: {name: bank, namespace: payments, creationTimestamp: "2026-01-01T00:00:00Z"}
    hosts: [bank.example.com]
    addresses: [198.51.100.0/24]
    exportTo: ["*"]

In the pull request:

    # mirror.yaml
    metadata: {name: mirror, namespace: shop}
    hosts: [mirror.example.com]
    addresses: [198.51.100.16/28]
    exportTo: ["*"]

Limit the entry to its own namespace (`exportTo: ["."]`), or list blocks that no other entry has. If you want the change, say so
in the file: `# egressctl: ignore=takes-traffic`.
"""

from egressctl.istio.conflict import EntryConflict
from egressctl.lint.rule import Finding, Rule, Severity, finding_of_conflict
from egressctl.model.entry import ServiceEntry


def finding(clash: EntryConflict, where: str) -> Finding:
    """Return what begins with the change as a finding about the entry `where`."""
    return finding_of_conflict(clash, where)._replace(rule=RULE.id)


def finding_of_whole_port(entry: ServiceEntry, number: int, host: str) -> Finding:
    """Return that an entry begins to send every connection on a port to its own host."""
    told = f"every connection on port {number} that no other entry takes, to any address, is now sent to {host}"
    return Finding(RULE.id, told, str(entry), "list the addresses that are meant, or declare TLS or HTTP")


RULE = Rule("takes-traffic", Severity.ERROR, __doc__)
