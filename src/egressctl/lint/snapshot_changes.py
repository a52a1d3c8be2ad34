"""Hold manifests of files against what stands on a Kubernetes cluster: whose traffic changes its carrier by them. Pure.

What is as it was is not told: an entry is compared with others as it would be and as it is, and the difference is the change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from egressctl.istio import interference
from egressctl.istio.conflict import About, Clash
from egressctl.istio.conflict_index import ByHost, Neighbours
from egressctl.istio.conflicts import clashes
from egressctl.istio.precedence import exported
from egressctl.lint.rules import Finding, of_clash
from egressctl.manifests.service_entry import KIND
from egressctl.model.entry import Manifest, ServiceEntry, Surroundings

_COMPARED = 200
"""With so many others an entry is compared for each way to compete."""
_TOLD = 10
"""So many findings of one rule are told of one object of the files."""

_CARRYING = ("hidden-by-sidecar", "one-block-kept", "rerouted")
"""What a Sidecar or a VirtualService does to an entry that changes what carries its traffic."""


class _Told(NamedTuple):
    """One thing that another object does, as far as it is the same before a change and after it."""

    rule: str
    about: About
    reason: str
    outcome: str


def changes(
    entries: Sequence[ServiceEntry], others: Mapping[str, Sequence[Manifest]], base: Surroundings
) -> Iterator[tuple[About, Finding]]:
    """Yield what files change around them, each with the object of the files that does it.

    `entries` and `others`, by kind, are what the files say; `base` is what stands there. Where an entry gets what another of
    `base` carries now, or a Sidecar or a VirtualService takes it from one, the rule is `takes-traffic`; where it leaves
    something to another, `returns-traffic`; else it is the rule of what stands in the way of an entry of the files.
    """
    there = {(each.namespace, each.name): each for each in base.entries}
    wanted = [_aged(each, there.get((each.namespace, each.name))) for each in entries]
    after = _with(base, wanted, others)
    found = _of_entries(wanted, there, base, after)
    ours = {(each.namespace, each.name) for each in wanted}
    kept = [each for each in base.entries if (each.namespace, each.name) not in ours]
    yield from _limited((*found, *_of_sidecars(others.get("Sidecar", ()), kept, base, after), *_of_routes(others, kept, base)))


def _aged(entry: ServiceEntry, there: ServiceEntry | None) -> ServiceEntry:
    return replace(entry, created=there.created) if there and not entry.created else entry


def _with(base: Surroundings, entries: Sequence[ServiceEntry], others: Mapping[str, Sequence[Manifest]]) -> Surroundings:
    """Return what stands there once the files are applied."""
    names = {(each.namespace, each.name) for each in entries}
    return replace(
        base,
        entries=(*(each for each in base.entries if (each.namespace, each.name) not in names), *entries),
        sidecars=_merged(base.sidecars, others.get("Sidecar", ())),
        virtual_services=_merged(base.virtual_services, others.get("VirtualService", ())),
        destination_rules=_merged(base.destination_rules, others.get("DestinationRule", ())),
    )


def _merged(there: Sequence[Manifest], new: Sequence[Manifest]) -> tuple[Manifest, ...]:
    names = {_about(each) for each in new}
    return (*(each for each in there if _about(each) not in names), *new)


def _of_entries(
    wanted: Sequence[ServiceEntry],
    there: Mapping[tuple[str, str], ServiceEntry],
    base: Surroundings,
    after: Surroundings,
) -> Iterator[tuple[About, Finding]]:
    before_all, after_all = _World(base), _World(after)
    ours = {About(KIND, each.namespace, each.name) for each in wanted}
    for entry in wanted:
        me, old = About(KIND, entry.namespace, entry.name), there.get((entry.namespace, entry.name))
        before = _by_text(before_all.around(old) if old else ())
        now = _by_text(after_all.around(entry))
        # What files do to each other is told without any snapshot.
        for clash in (clash for key, clash in now.items() if key not in before and clash.about not in ours):
            rule = "takes-traffic" if clash.winner == str(entry) else clash.rule
            yield me, of_clash(clash._replace(rule=rule), str(entry))
        for clash in (clash for key, clash in before.items() if key not in now):
            still = any(clash[:2] == each[:2] and clash.winner == each.winner for each in now.values())
            if clash.winner == str(entry) and not still:
                yield me, _returned(clash, str(entry))


class _World:
    """What stands around entries, filed for many of them."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._neighbours = Neighbours(around.entries)
        self._by_name = {(each.namespace, each.name): each for each in around.entries}
        self._routes = ByHost(around.virtual_services, lambda each: _hosts(each, "hosts"))
        self._rules = ByHost(around.destination_rules, lambda each: _hosts(each, "host"))

    def around(self, entry: ServiceEntry) -> Iterator[Clash]:
        """Yield what others do to an entry for pods of its namespace, and which of one host those of another's get."""
        here = entry.namespace
        for clash in self._neighbours.compared(entry, here, _COMPARED).clashes:
            yield clash
            if clash.rule == "same-host" and clash.about.namespace != here:
                other = self._by_name[clash.about.namespace, clash.about.name]
                yield from (each for each in clashes(entry, [other], other.namespace) if each.rule == "same-host")
        yield from interference.services_inside(entry, self._around.services)
        yield from interference.hidden(entry, self._around.sidecars, here, self._around.root)
        yield from interference.rerouted(entry, self._routes.of(entry), here)
        yield from interference.wrapped(entry, self._rules.of(entry), here)


def _of_sidecars(
    new: Sequence[Manifest], kept: Sequence[ServiceEntry], base: Surroundings, after: Surroundings
) -> Iterator[tuple[About, Finding]]:
    """Yield what Sidecars of the files do to entries that stand there, for the pods that they are for.

    The mesh's own is for the pods of every namespace that has none. What it leaves them of an entry depends on whether that is
    of their own namespace: one other namespace stands for all.
    """
    having = {_about(each).namespace for each in after.sidecars if not _selects(each)}
    for sidecar in new:
        me = _about(sidecar)
        if sidecar in base.sidecars:
            continue
        general = me.namespace == base.root and not _selects(sidecar)
        places = [each for each in sorted(base.namespaces) if each == me.namespace or each not in having] if general else []
        for entry in kept:
            for namespace in _standing_for(places, entry) if general else [me.namespace]:
                if exported(entry, namespace):
                    olds, news = (_for(namespace, each.sidecars, base.root) for each in (base, after))
                    before = _by_text(interference.hidden(entry, olds, namespace, base.root))
                    now = _by_text(interference.hidden(entry, news, namespace, base.root))
                    yield from _taken(me, entry, before, now)


def _standing_for(namespaces: Sequence[str], entry: ServiceEntry) -> list[str]:
    """Return the entry's own namespace, where it is among them, and one other that sees the entry."""
    own = [each for each in namespaces if each == entry.namespace]
    return own + [each for each in namespaces if each != entry.namespace and exported(entry, each)][:1]


def _selects(sidecar: Manifest) -> bool:
    spec = sidecar.get("spec")
    return isinstance(spec, Mapping) and bool(spec.get("workloadSelector"))


def _for(namespace: str, sidecars: Sequence[Manifest], root: str) -> list[Manifest]:
    return [each for each in sidecars if _about(each).namespace in (namespace, root)]


def _of_routes(
    others: Mapping[str, Sequence[Manifest]], kept: Sequence[ServiceEntry], base: Surroundings
) -> Iterator[tuple[About, Finding]]:
    """Yield what VirtualServices and DestinationRules of the files do to entries that stand there."""
    for kind, there, acting in (
        ("VirtualService", base.virtual_services, interference.rerouted),
        ("DestinationRule", base.destination_rules, interference.wrapped),
    ):
        olds = {_about(each): each for each in there}
        for manifest in others.get(kind, ()):
            me = _about(manifest)
            old = [olds[me]] if me in olds else []
            for entry in kept:
                places = dict.fromkeys((entry.namespace, me.namespace))
                before = _by_text(clash for place in places for clash in acting(entry, old, place))
                now = _by_text(clash for place in places for clash in acting(entry, [manifest], place))
                yield from _taken(me, entry, before, now)


def _taken(
    me: About, entry: ServiceEntry, before: Mapping[_Told, Clash], now: Mapping[_Told, Clash]
) -> Iterator[tuple[About, Finding]]:
    for clash in (clash for key, clash in now.items() if key not in before and clash.about == me):
        rule = "takes-traffic" if clash.rule in _CARRYING else clash.rule
        yield me, of_clash(clash._replace(rule=rule), str(entry))
    for clash in (clash for key, clash in before.items() if key not in now and clash.about == me):
        if clash.rule in _CARRYING and not any(each.rule == clash.rule and each.about == me for each in now.values()):
            yield me, _returned(clash, str(entry))


def _returned(clash: Clash, where: str) -> Finding:
    told = of_clash(clash._replace(rule="returns-traffic"), where)
    return told._replace(message=f"this ends with the change: {told.message}", path=())


def _limited(found: Iterable[tuple[About, Finding]]) -> Iterator[tuple[About, Finding]]:
    """Pass so many findings of one rule about one object on, and say of the rest how many they are."""
    counts: dict[tuple[About, str], int] = {}
    for me, finding in found:
        key = (me, finding.rule)
        counts[key] = counts.get(key, 0) + 1
        if counts[key] <= _TOLD:
            yield me, finding
    for (me, rule), count in counts.items():
        if count > _TOLD:
            yield me, Finding(rule, f"{count - _TOLD} more of this kind are not told here", f"{me.namespace}/{me.name}")


def _by_text(found: Iterable[Clash]) -> dict[_Told, Clash]:
    return {_Told(each.rule, each.about, each.reason, each.outcome): each for each in found}


def _about(manifest: Manifest) -> About:
    metadata = manifest["metadata"]
    return About(str(manifest["kind"]), str(metadata["namespace"]), str(metadata.get("name") or ""))


def _hosts(manifest: Manifest, field: str) -> list[str]:
    spec = manifest.get("spec")
    value = spec.get(field) if isinstance(spec, Mapping) else None
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
