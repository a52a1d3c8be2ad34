"""Compare a ServiceEntry with the others of the mesh: which of them compete with it, for what, and who wins. Pure.

Here stand the hosts; `port_conflicts` has the ports.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from egressctl.istio import precedence
from egressctl.istio.conflict import ConflictKind, EntryConflict
from egressctl.istio.export_to import is_exported_to_namespace, namespaces_that_see_both
from egressctl.istio.listing import tcp_ports
from egressctl.istio.port_conflicts import EntryOnPort, conflict_with, conflicts_on_port
from egressctl.manifests.yaml_reader import ValuePath
from egressctl.model.entry import ServiceEntry

_RULES_OF_SHARED_TRAFFIC = frozenset(
    {ConflictKind.SAME_HOST, ConflictKind.SAME_BLOCK, ConflictKind.OVERLAPPING_BLOCKS, ConflictKind.WHOLE_PORT}
)
"""The rules of clashes in which one entry takes what the other says is its own."""


class ConflictingEntry(NamedTuple):
    """Another ServiceEntry that may take an entry's traffic, or lose its own to it. `reason` is half a sentence about it."""

    entry: ServiceEntry
    reason: str


def conflicting_entries(entry: ServiceEntry, others: Sequence[ServiceEntry]) -> tuple[ConflictingEntry, ...]:
    """Name the other entries that some namespace sees next to this one and that compete with it, each with why.

    They have a host in common (in any namespace, on any port), list the same or an overlapping block on a port that both
    have, or catch every address on it. The entries of one target do not compete.
    """
    found = []
    for other in others:
        reasons = [
            clash.reason for clash in _conflicts_between(entry, other, entry.namespace) if clash.rule in _RULES_OF_SHARED_TRAFFIC
        ]
        if reasons:
            found.append(ConflictingEntry(other, "; ".join(reasons)))
    return tuple(found)


def find_conflicts(entry: ServiceEntry, others: Sequence[ServiceEntry], namespace: str) -> tuple[EntryConflict, ...]:
    """Name everything in which other entries compete with this one, and who wins for pods of `namespace`.

    An entry that was not created yet is younger than all that were. An absent exportTo is taken as public.
    """
    return tuple(clash for other in others for clash in _conflicts_between(entry, other, namespace))


def _conflicts_between(entry: ServiceEntry, other: ServiceEntry, namespace: str) -> Iterator[EntryConflict]:
    if (other.namespace, other.name) == (entry.namespace, entry.name) or other.is_same_target_as(entry):
        return
    places = namespaces_that_see_both(entry, other)
    if not places:
        return
    yield from _same_host_conflict(entry, other, namespace)
    if not any(precedence.pods_get_both(entry, other, place) for place in places):
        return
    one_cluster = entry.namespace == other.namespace and len({*entry.hosts}) == 1 and {*entry.hosts} == {*other.hosts}
    theirs = {port.number: port for port in tcp_ports(other)}
    for port in sorted(tcp_ports(entry), key=lambda each: each.number):
        if port.number in theirs:
            mine, its = EntryOnPort(entry, port), EntryOnPort(other, theirs[port.number])
            for clash in conflicts_on_port(mine, its):
                yield clash._replace(winner="") if one_cluster and _moves_no_traffic(clash, mine, its) else clash


def _moves_no_traffic(clash: EntryConflict, mine: EntryOnPort, its: EntryOnPort) -> bool:
    """Say whether all traffic goes where it did without the taker, both having one Envoy cluster."""
    taker, leaver = (mine, its) if clash.winner == str(mine.entry) else (its, mine)
    refuses = clash.rule == ConflictKind.OVERLAPPING_BLOCKS and taker.kind == "TLS" != leaver.kind
    return clash.rule != ConflictKind.PROTOCOL_CONFLICT and not refuses


def _same_host_conflict(entry: ServiceEntry, other: ServiceEntry, namespace: str) -> Iterator[EntryConflict]:
    names, own = {host.lower(): host for host in other.hosts}, [host.lower() for host in entry.hosts]
    common = sorted({*entry.hosts} & {*other.hosts}) or sorted(names[host] for host in {*own} & names.keys())
    if not common:
        return
    reason = f"it has the same host {', '.join(common)}"
    path: ValuePath = ("spec", "hosts", own.index(common[0].lower()))
    if common[0] not in entry.hosts:
        reason += "" if other.namespace == entry.namespace else f" in namespace {other.namespace}"
        outcome = "to Istio that is another host: a sidecar gets both, and HTTP goes to the one in small letters alone"
        yield conflict_with(ConflictKind.SAME_HOST, other, reason, outcome, path)
        return
    if other.namespace == entry.namespace:
        yield _conflict_in_one_namespace(entry, other, common[0], reason, path)
        return
    chosen, why = precedence.entry_that_pods_get(entry, other, namespace)
    gets = f"pods of namespace {namespace} get {chosen}, {why}" if chosen else f"which of them pods of {namespace} get {why}"
    both = is_exported_to_namespace(entry, namespace) and is_exported_to_namespace(other, namespace)
    yield conflict_with(
        ConflictKind.SAME_HOST,
        other,
        f"{reason} in namespace {other.namespace}",
        f"a sidecar gets only one of the two; {gets}",
        path,
        chosen if both else None,
    )


def _conflict_in_one_namespace(
    entry: ServiceEntry, other: ServiceEntry, host: str, reason: str, path: ValuePath
) -> EntryConflict:
    first, why = precedence.first_entry_in_sidecar(entry, other, host=host)
    second = other if first is entry else entry
    lost = _port_numbers(second) - _port_numbers(first) if first else _port_numbers(entry) ^ _port_numbers(other)
    if not lost or precedence.merge_key(entry) == precedence.merge_key(other):
        outcome = "the two share an Envoy cluster, so each address is open for both"
        return conflict_with(ConflictKind.SAME_HOST, other, reason, outcome, path)
    ports = ", ".join(map(str, sorted(lost)))
    if first:
        outcome = f"{first} comes first, {why}, and has the Envoy clusters: connections to port {ports} of {second} are closed"
    else:
        outcome = f"which of them comes first {why}: connections to those of the ports {ports} that only the other has are closed"
    hint = "put both into one entry, or give both the same labels, exportTo and resolution: then their ports are merged"
    return conflict_with(ConflictKind.SAME_HOST, other, reason, outcome, path, first)._replace(hint=hint)


def _port_numbers(entry: ServiceEntry) -> set[int]:
    return {port.number for port in entry.ports}
