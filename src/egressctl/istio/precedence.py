"""Which of two ServiceEntries a sidecar is given first, and which pods see both. Pure.

The order is istiod's: `servicesExportedToNamespace` and `appendSidecarServices` of istio/istio (August 2026).
"""

from __future__ import annotations

from collections.abc import Sequence

from egressctl.model.entry import ServiceEntry

_PUBLIC = ("*",)


def is_exported_to_namespace(entry: ServiceEntry, namespace: str, default: Sequence[str] = _PUBLIC) -> bool:
    """Say whether the entry's exportTo reaches a namespace; `default` is what the mesh makes of an absent one."""
    scopes = entry.export_to or default
    return any(scope in ("*", namespace) or (scope == "." and entry.namespace == namespace) for scope in scopes)


def namespaces_that_see_both(entry: ServiceEntry, other: ServiceEntry) -> list[str]:
    """Return the namespaces whose pods see both, an absent exportTo taken as public; "" stands for all that nobody names."""
    if "~" in (*entry.export_to, *other.export_to):
        return []
    named = {entry.namespace, other.namespace, "", *entry.export_to, *other.export_to} - {".", "*"}
    return [each for each in sorted(named) if is_exported_to_namespace(entry, each) and is_exported_to_namespace(other, each)]


def first_entry_in_sidecar(entry: ServiceEntry, other: ServiceEntry) -> tuple[ServiceEntry | None, str]:
    """Return which of two entries a sidecar is given first, and why."""
    private = [each for each in (entry, other) if "*" not in (each.export_to or _PUBLIC)]
    if len(private) == 1:
        return private[0], "whose exportTo names fewer namespaces"
    return _older_entry(entry, other)


def _older_entry(entry: ServiceEntry, other: ServiceEntry) -> tuple[ServiceEntry | None, str]:
    ages = [each.created_at for each in (entry, other)]
    if ages == [None, None]:
        return None, "cannot be told, since neither says its age"
    mine, theirs = (each.timestamp() if each else float("inf") for each in ages)
    if mine == theirs:
        return min(entry, other, key=lambda each: (each.name, each.namespace)), "the first by name of two of the same age"
    return (entry if mine < theirs else other), "the older"


def entry_that_pods_get(entry: ServiceEntry, other: ServiceEntry, namespace: str) -> tuple[ServiceEntry | None, str]:
    """Return which of two namespaces' entries of one host a pod gets: its own namespace's, else the older."""
    seen = [each for each in (entry, other) if is_exported_to_namespace(each, namespace)]
    if len(seen) == 1:
        return seen[0], "the only one that they see"
    for each in (entry, other):
        if each.namespace == namespace:
            return each, "their own namespace's"
    return _older_entry(entry, other)


def pods_get_both(entry: ServiceEntry, other: ServiceEntry, place: str) -> bool:
    """Say whether pods of a namespace that sees both get something of both: of one host they get one namespace's."""
    common = lower_case_hosts(entry) & lower_case_hosts(other)
    if entry.namespace == other.namespace or not common:
        return True
    chosen, _ = entry_that_pods_get(entry, other, place)
    return chosen is None or bool(lower_case_hosts(other if chosen is entry else entry) - common)


def merge_key(entry: ServiceEntry) -> tuple[object, ...]:
    """Return what two entries of one host and namespace must have in common for their ports to be merged."""
    return entry.resolution, entry.labels, frozenset(entry.export_to)


def lower_case_hosts(entry: ServiceEntry) -> set[str]:
    return {host.lower() for host in entry.hosts}
