"""Which of two objects istiod gives a sidecar first, and which pods get both: every tie is held against istiod's own code. Pure.

The order is that of `SortServicesByCreationTime`, `servicesExportedToNamespace`, `selectServices` and `appendSidecarServices` of
istio/istio (August 2026). It knows no entries, only services: one for each host of an entry, and one for a Kubernetes Service.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from egressctl.istio.export_to import DEFAULTS, PUBLIC, is_exported_to_namespace, is_public
from egressctl.model.entry import ServiceEntry

Choice = tuple[ServiceEntry | None, str]
"""One of two entries, and why it is that one: None where it cannot be told."""


class Rank(NamedTuple):
    """What istiod sorts its services by, in this order; of two that are alike chance decides."""

    public: bool
    created: float
    """Seconds since 1970, whole ones; infinite for what was not created yet."""
    name: str
    """The host as an entry writes it, whose case counts; of a Kubernetes Service its own name."""
    namespace: str


def created_seconds(created: str) -> float:
    """Read a creationTimestamp; infinite where there is none, or none that is understood."""
    try:
        at = datetime.fromisoformat(created)
    except ValueError:
        return math.inf
    return at.timestamp() if at.tzinfo else math.inf


def rank_of(entry: ServiceEntry, default: Sequence[str] = PUBLIC, host: str = "") -> Rank:
    """Return the rank of an entry for one of its hosts, or else for the first of them."""
    name = host or min(entry.hosts, default="")
    return Rank(is_public(entry, default), created_seconds(entry.created), name, entry.namespace)


def first_entry_in_sidecar(
    entry: ServiceEntry, other: ServiceEntry, default: Sequence[str] | None = PUBLIC, host: str = ""
) -> Choice:
    """Return which of two entries a sidecar is given first, None where that cannot be told, and why.

    `host` is the one that both claim, where it is a host; `default` is what the mesh makes of an absent exportTo, None where
    that is not known.
    """
    if default is None:
        return _whatever_the_default(first_entry_in_sidecar(entry, other, each, host) for each in DEFAULTS)
    mine, theirs = rank_of(entry, default, host), rank_of(other, default, host)
    first = entry if mine < theirs else other
    if mine.public != theirs.public:
        return first, "whose exportTo names fewer namespaces"
    if mine.created != theirs.created:
        return first, "the older"
    if math.isinf(mine.created):
        return None, "cannot be told, since neither says its age"
    if mine == theirs:
        return None, "is chance, since both have one host, namespace and second of creation"
    return first, f"the first by {'namespace' if mine.name == theirs.name else 'host'} of two of the same age"


def _whatever_the_default(choices: Iterable[Choice]) -> Choice:
    (first, why), (again, _) = choices
    return (first, why) if first is again else (None, "depends on the mesh's defaultServiceExportTo")


def entry_that_pods_get(
    entry: ServiceEntry, other: ServiceEntry, namespace: str, default: Sequence[str] | None = PUBLIC
) -> Choice:
    """Return which of two namespaces' entries of one host a pod gets: its own namespace's, else the first."""
    if default is None:
        return _whatever_the_default(entry_that_pods_get(entry, other, namespace, each) for each in DEFAULTS)
    seen = [each for each in (entry, other) if is_exported_to_namespace(each, namespace, default)]
    if len(seen) == 1:
        return seen[0], "the only one that they see"
    for each in (entry, other):
        if each.namespace == namespace:
            return each, "their own namespace's"
    return first_entry_in_sidecar(entry, other, default, min({*entry.hosts} & {*other.hosts}, default=""))


def pods_get_both(entry: ServiceEntry, other: ServiceEntry, place: str) -> bool:
    """Say whether pods of a namespace that sees both get something of both: of one host they get one namespace's."""
    common = {*entry.hosts} & {*other.hosts}
    if entry.namespace == other.namespace or not common:
        return True
    chosen, _ = entry_that_pods_get(entry, other, place)
    return chosen is None or bool({*(other if chosen is entry else entry).hosts} - common)


def merge_key(entry: ServiceEntry) -> tuple[object, ...]:
    """Return what two entries of one host and namespace must have in common for their ports to be merged."""
    return entry.resolution, entry.labels, frozenset(entry.export_to)
