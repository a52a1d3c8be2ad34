"""The port has so many blocks that every push to the sidecars takes seconds.

Each block on a port is a filter chain of one listener, and a sidecar replaces the listener as a whole. With 1,000 filter
chains a new entry worked after 1 to 13 seconds, with 5,000 after 14 to 30. lint counts all files together, as a pod sees them.
Plain addresses have their own listeners and do not count.

Four entries like this one, each with 256 other blocks:

    # partner-0.yaml
    metadata: {name: partner-0, namespace: shop}
    hosts: [partner-0.example]
    addresses: [10.0.0.0/24]

Limit `exportTo` to the namespaces that need an entry, join neighbouring blocks, or list hosts on ports of protocol TLS, where a
host needs one filter chain.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import NamedTuple

from egressctl.istio.export_to import EVERYWHERE, namespaces_that_see_entry
from egressctl.lint.rule import Finding, Rule, Severity
from egressctl.manifests.formats import HTTP_PROTOCOLS, TLS_PROTOCOLS
from egressctl.model.blocks import parse_blocks
from egressctl.model.entry import ServiceEntry

FILTER_CHAIN_LIMIT = 1000
"""So many filter chains on a port are reported. Measured with istiod of August 2026 and Envoy 1.40."""


class CrowdedPort(NamedTuple):
    """A port with very many filter chains: how many a pod sees, of how many entries, and the index of the one with the most."""

    port: int
    chains: int
    entries: int
    biggest: int

    def finding(self, entries: Sequence[ServiceEntry]) -> Finding:
        """Return it as a finding about the entry with the most."""
        entry = entries[self.biggest]
        told = (
            f"{self.entries} entries make {self.chains:,} filter chains on port {self.port}: "
            "each push to the sidecars takes seconds, in which a new entry does not work yet"
        )
        right = "limit exportTo, collapse the blocks, or name hosts on ports of protocol TLS"
        path = ("spec", "ports", [port.number for port in entry.ports].index(self.port))
        return Finding(RULE.id, told, str(entry), right, path=path)


def crowded_ports(entries: Sequence[ServiceEntry], limit: int = FILTER_CHAIN_LIMIT) -> Iterator[CrowdedPort]:
    """Yield the ports on which some namespace's pods get `limit` filter chains or more."""
    chains: dict[int, dict[str, set[Hashable]]] = defaultdict(lambda: defaultdict(set))
    made: dict[int, dict[int, int]] = defaultdict(dict)
    for index, entry in enumerate(entries):
        for port in entry.ports:
            own = set(_filter_chains(entry, port.protocol.upper()))
            made[port.number][index] = len(own)
            for scope in namespaces_that_see_entry(entry):
                chains[port.number][scope] |= own
    for port_number, by_scope in sorted(chains.items()):
        public = by_scope.get(EVERYWHERE, set())
        most = max(len(public | each) for each in by_scope.values())
        if most >= limit:
            sizes = made[port_number]
            yield CrowdedPort(port_number, most, len(sizes), max(sizes, key=lambda index: sizes[index]))


def _filter_chains(entry: ServiceEntry, protocol: str) -> Iterator[Hashable]:
    blocks = [block for block in parse_blocks(entry.addresses) if not block.is_one_address]
    if protocol in TLS_PROTOCOLS:
        for host in map(str.lower, entry.hosts):
            yield from ((host, block) for block in blocks) if entry.addresses else [(host, None)]
    elif entry.addresses:
        yield from blocks
    elif protocol not in HTTP_PROTOCOLS | {"UDP"}:
        yield None


def _example_files(text: str) -> Mapping[str, bytes]:
    blocks = [", ".join(f"10.{entry}.{block}.0/24" for block in range(256)) for entry in range(4)]
    texts = (text.replace("partner-0", f"partner-{n}").replace("10.0.0.0/24", each) for n, each in enumerate(blocks))
    return {f"partner-{n}.yaml": each.encode() for n, each in enumerate(texts)}


RULE = Rule("crowded-port", Severity.WARNING, __doc__, example_files=_example_files)
