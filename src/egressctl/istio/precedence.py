"""Which of two objects istiod gives a sidecar first, and which pods get both: every tie is compared with istiod's own code. Pure.

The order is that of `SortServicesByCreationTime`, `servicesExportedToNamespace`, `selectServices` and `appendSidecarServices` of
istio/istio (August 2026). It knows no entries, only services: one for each host of an entry, and one for a Kubernetes Service.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from egressctl.istio.export_to import DEFAULTS, EVERYWHERE, PUBLIC, SERVICE_EXPORT_TO, is_exported_to_namespace, is_public
from egressctl.model.entry import Manifest, ServiceEntry

Choice = tuple[ServiceEntry | None, str]
"""One of two entries, and why it is that one: None where it is not known."""


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


def rank_of_service(service: Manifest) -> Rank:
    """Return the rank of a Kubernetes Service."""
    metadata = service.get("metadata") or {}
    exports = (metadata.get("annotations") or {}).get(SERVICE_EXPORT_TO) or EVERYWHERE
    created = created_seconds(str(metadata.get("creationTimestamp") or ""))
    return Rank(EVERYWHERE in exports.split(","), created, str(metadata.get("name")), str(metadata.get("namespace")))


def first_entry_in_sidecar(
    entry: ServiceEntry, other: ServiceEntry, default: Sequence[str] | None = PUBLIC, host: str = ""
) -> Choice:
    """Return which of two entries a sidecar is given first, None where that is not known, and why.

    `host` is the one that both claim, where it is a host; `default` is what the mesh makes of an absent exportTo, None where
    that is not known.
    """
    if default is None:
        return _whatever_the_default(first_entry_in_sidecar(entry, other, each, host) for each in DEFAULTS)
    mine, theirs = rank_of(entry, default, host), rank_of(other, default, host)
    first, why = first_by_rank(mine, theirs)
    return (None if first is None else entry if first is mine else other), why


def first_by_rank(one: Rank, other: Rank, named: str = "host") -> tuple[Rank | None, str]:
    """Return which of two a sidecar is given first, None where that is not known, and why; `named` is what names them."""
    first = min(one, other)
    if one.public != other.public:
        return first, "whose exportTo names fewer namespaces"
    if one.created != other.created:
        return first, "the older"
    if math.isinf(one.created):
        return None, "is not known, since neither says its age"
    if one == other:
        return None, "is chance, since both have one host, namespace and second of creation"
    return first, f"the first by {'namespace' if one.name == other.name else named} of two of the same age"


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
