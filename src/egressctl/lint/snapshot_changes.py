"""Hold manifests of files against what stands on a Kubernetes cluster: whose traffic changes its carrier by them. Pure.

What is as it was is not reported: an entry is compared with others as it would be and as it is, and the difference is the change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from egressctl.istio import interference
from egressctl.istio.conflict import ConflictKind, EntryConflict, ObjectReference
from egressctl.istio.conflict_index import ConflictIndex, ManifestsByHost
from egressctl.istio.conflicts import find_conflicts
from egressctl.istio.export_to import is_exported_to_namespace
from egressctl.istio.listing import host_of_whole_port, tcp_ports
from egressctl.lint.rule import Finding, finding_of_conflict
from egressctl.lint.rules import returns_traffic, takes_traffic
from egressctl.model.entry import KIND, Manifest, MeshObjects, ServiceEntry
from egressctl.model.json_values import texts_at, value_at

_MOST_COMPARED = 200
"""With so many others an entry is compared for each way to compete."""
_MOST_PER_RULE = 10
"""So many findings of one rule are reported of one object of the files."""

_KINDS_THAT_MOVE_TRAFFIC = (ConflictKind.HIDDEN_BY_SIDECAR, ConflictKind.ONE_BLOCK_KEPT, ConflictKind.REROUTED)
"""What a Sidecar or a VirtualService does to an entry that changes what sends its traffic."""


class _ConflictText(NamedTuple):
    """One thing that another object does, as far as it is the same before a change and after it."""

    rule: str
    about: ObjectReference
    reason: str
    outcome: str


def changes_by_files(
    entries: Sequence[ServiceEntry], others: Mapping[str, Sequence[Manifest]], base: MeshObjects
) -> Iterator[tuple[ObjectReference, Finding]]:
    """Yield what files change around them, each with the object of the files that does it.

    `entries` and `others`, by kind, are what the files say; `base` is what stands there. Where an entry gets what another of
    `base` sends now, or a Sidecar or a VirtualService takes it from one, the rule is `takes-traffic`; where it leaves
    something to another, `returns-traffic`; else it is the rule of what stands in the way of an entry of the files.
    """
    there = {(each.namespace, each.name): each for each in base.entries}
    wanted = [_with_live_age(each, there.get((each.namespace, each.name))) for each in entries]
    after = _mesh_objects_after(base, wanted, others)
    found = _changes_by_entries(wanted, there, base, after)
    ours = {(each.namespace, each.name) for each in wanted}
    kept = [each for each in base.entries if (each.namespace, each.name) not in ours]
    yield from _limit_per_rule(
        (*found, *_changes_by_sidecars(others.get("Sidecar", ()), kept, base, after), *_changes_by_routing(others, kept, base))
    )


def _with_live_age(entry: ServiceEntry, there: ServiceEntry | None) -> ServiceEntry:
    return replace(entry, created=there.created) if there and not entry.created else entry


def _mesh_objects_after(
    base: MeshObjects, entries: Sequence[ServiceEntry], others: Mapping[str, Sequence[Manifest]]
) -> MeshObjects:
    """Return what stands there once the files are applied."""
    names = {(each.namespace, each.name) for each in entries}
    return replace(
        base,
        entries=(*(each for each in base.entries if (each.namespace, each.name) not in names), *entries),
        sidecars=_merge_manifests(base.sidecars, others.get("Sidecar", ())),
        virtual_services=_merge_manifests(base.virtual_services, others.get("VirtualService", ())),
        destination_rules=_merge_manifests(base.destination_rules, others.get("DestinationRule", ())),
    )


def _merge_manifests(there: Sequence[Manifest], new: Sequence[Manifest]) -> tuple[Manifest, ...]:
    names = {ObjectReference.of(each) for each in new}
    return (*(each for each in there if ObjectReference.of(each) not in names), *new)


def _changes_by_entries(
    wanted: Sequence[ServiceEntry],
    there: Mapping[tuple[str, str], ServiceEntry],
    base: MeshObjects,
    after: MeshObjects,
) -> Iterator[tuple[ObjectReference, Finding]]:
    before_all, after_all = _MeshIndex(base), _MeshIndex(after)
    ours = {ObjectReference(KIND, each.namespace, each.name) for each in wanted}
    for entry in wanted:
        me, old = ObjectReference(KIND, entry.namespace, entry.name), there.get((entry.namespace, entry.name))
        for port in tcp_ports(entry):
            host = host_of_whole_port(entry, port.number)
            if host and not (old and host_of_whole_port(old, port.number) == host):
                yield me, takes_traffic.finding_of_whole_port(entry, port.number, host)
        before = _conflicts_by_text(before_all.around(old) if old else ())
        now = _conflicts_by_text(after_all.around(entry))
        # What files do to each other is reported without any snapshot.
        for clash in (clash for key, clash in now.items() if key not in before and clash.about not in ours):
            told = takes_traffic.finding if clash.winner == str(entry) else finding_of_conflict
            yield me, told(clash, str(entry))
        for clash in (clash for key, clash in before.items() if key not in now):
            still = any(clash[:2] == each[:2] and clash.winner == each.winner for each in now.values())
            if clash.winner == str(entry) and not still:
                yield me, returns_traffic.finding(clash, str(entry))


class _MeshIndex:
    """What stands around entries, filed for many of them."""

    def __init__(self, around: MeshObjects) -> None:
        self._around = around
        self._neighbours = ConflictIndex(around.entries)
        self._by_name = {(each.namespace, each.name): each for each in around.entries}
        self._routes = ManifestsByHost(around.virtual_services, lambda each: _hosts_in_spec(each, "hosts"))
        self._rules = ManifestsByHost(around.destination_rules, lambda each: _hosts_in_spec(each, "host"))

    def around(self, entry: ServiceEntry) -> Iterator[EntryConflict]:
        """Yield what others do to an entry for pods of its namespace, and which of one host those of another's get."""
        here = entry.namespace
        for clash in self._neighbours.conflicts_of(entry, here, _MOST_COMPARED).conflicts:
            yield clash
            if clash.rule == ConflictKind.SAME_HOST and clash.about.namespace != here:
                other = self._by_name[clash.about.namespace, clash.about.name]
                yield from (
                    each for each in find_conflicts(entry, [other], other.namespace) if each.rule == ConflictKind.SAME_HOST
                )
        yield from interference.find_services_inside_blocks(entry, self._around.services)
        yield from interference.find_hiding_sidecars(entry, self._around.sidecars, here, self._around.root)
        yield from interference.find_rerouting_virtual_services(entry, self._routes.of(entry), here)
        yield from interference.find_wrapping_destination_rules(entry, self._rules.of(entry), here)


def _changes_by_sidecars(
    new: Sequence[Manifest], kept: Sequence[ServiceEntry], base: MeshObjects, after: MeshObjects
) -> Iterator[tuple[ObjectReference, Finding]]:
    """Yield what Sidecars of the files do to entries that stand there, for the pods that they are for.

    The mesh's own is for the pods of every namespace that has none. What it leaves them of an entry depends on whether that is
    of their own namespace: one other namespace stands for all.
    """
    having = {ObjectReference.of(each).namespace for each in after.sidecars if not _has_workload_selector(each)}
    for sidecar in new:
        me = ObjectReference.of(sidecar)
        if sidecar in base.sidecars:
            continue
        general = me.namespace == base.root and not _has_workload_selector(sidecar)
        places = [each for each in sorted(base.namespaces) if each == me.namespace or each not in having] if general else []
        for entry in kept:
            for namespace in _example_namespaces(places, entry) if general else [me.namespace]:
                if is_exported_to_namespace(entry, namespace):
                    olds, news = (_sidecars_for_namespace(namespace, each.sidecars, base.root) for each in (base, after))
                    before = _conflicts_by_text(interference.find_hiding_sidecars(entry, olds, namespace, base.root))
                    now = _conflicts_by_text(interference.find_hiding_sidecars(entry, news, namespace, base.root))
                    yield from _changes_to_entry(me, entry, before, now)


def _example_namespaces(namespaces: Sequence[str], entry: ServiceEntry) -> list[str]:
    """Return the entry's own namespace, where it is among them, and one other that sees the entry."""
    own = [each for each in namespaces if each == entry.namespace]
    return own + [each for each in namespaces if each != entry.namespace and is_exported_to_namespace(entry, each)][:1]


def _has_workload_selector(sidecar: Manifest) -> bool:
    spec = sidecar.get("spec")
    return isinstance(spec, Mapping) and bool(spec.get("workloadSelector"))


def _sidecars_for_namespace(namespace: str, sidecars: Sequence[Manifest], root: str) -> list[Manifest]:
    return [each for each in sidecars if ObjectReference.of(each).namespace in (namespace, root)]


def _changes_by_routing(
    others: Mapping[str, Sequence[Manifest]], kept: Sequence[ServiceEntry], base: MeshObjects
) -> Iterator[tuple[ObjectReference, Finding]]:
    """Yield what VirtualServices and DestinationRules of the files do to entries that stand there."""
    for kind, there, acting in (
        ("VirtualService", base.virtual_services, interference.find_rerouting_virtual_services),
        ("DestinationRule", base.destination_rules, interference.find_wrapping_destination_rules),
    ):
        olds = {ObjectReference.of(each): each for each in there}
        for manifest in others.get(kind, ()):
            me = ObjectReference.of(manifest)
            old = [olds[me]] if me in olds else []
            for entry in kept:
                places = dict.fromkeys((entry.namespace, me.namespace))
                before = _conflicts_by_text(clash for place in places for clash in acting(entry, old, place))
                now = _conflicts_by_text(clash for place in places for clash in acting(entry, [manifest], place))
                yield from _changes_to_entry(me, entry, before, now)


def _changes_to_entry(
    me: ObjectReference,
    entry: ServiceEntry,
    before: Mapping[_ConflictText, EntryConflict],
    now: Mapping[_ConflictText, EntryConflict],
) -> Iterator[tuple[ObjectReference, Finding]]:
    for clash in (clash for key, clash in now.items() if key not in before and clash.about == me):
        told = takes_traffic.finding if clash.rule in _KINDS_THAT_MOVE_TRAFFIC else finding_of_conflict
        yield me, told(clash, str(entry))
    for clash in (clash for key, clash in before.items() if key not in now and clash.about == me):
        if clash.rule in _KINDS_THAT_MOVE_TRAFFIC and not any(
            each.rule == clash.rule and each.about == me for each in now.values()
        ):
            yield me, returns_traffic.finding(clash, str(entry))


def _limit_per_rule(found: Iterable[tuple[ObjectReference, Finding]]) -> Iterator[tuple[ObjectReference, Finding]]:
    """Pass so many findings of one rule about one object on, and say of the rest how many they are."""
    counts: dict[tuple[ObjectReference, str], int] = {}
    for me, finding in found:
        key = (me, finding.rule)
        counts[key] = counts.get(key, 0) + 1
        if counts[key] <= _MOST_PER_RULE:
            yield me, finding
    for (me, rule), count in counts.items():
        if count > _MOST_PER_RULE:
            yield me, Finding(rule, f"{count - _MOST_PER_RULE} more of this kind are not shown here", f"{me.namespace}/{me.name}")


def _conflicts_by_text(found: Iterable[EntryConflict]) -> dict[_ConflictText, EntryConflict]:
    return {_ConflictText(each.rule, each.about, each.reason, each.outcome): each for each in found}


def _hosts_in_spec(manifest: Manifest, field: str) -> tuple[str, ...]:
    value = value_at(manifest, "spec", field)
    return texts_at(value if isinstance(value, list) else [value])
