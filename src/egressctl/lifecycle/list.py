"""List what egressctl made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from egressctl.manifests.service_entry import read_entry, target_of
from egressctl.mesh.client import MANAGED_SELECTOR, Mesh
from egressctl.mesh.namespaces import require_namespace
from egressctl.model.entry import ServiceEntry


@dataclass(frozen=True, slots=True)
class ListedEntry:
    """One ServiceEntry of ours, with its target's name and its age in seconds."""

    target: str
    entry: ServiceEntry
    age: float


def inventory(mesh: Mesh, namespace: str | None, now: datetime) -> list[ListedEntry]:
    """Return the ServiceEntries that egressctl made in a namespace, or in all (None), by namespace and name.

    Raises NotFound where there is no such namespace, and what listing raises.
    """
    found, manifests = [], mesh.entries(namespace, MANAGED_SELECTOR)
    if not manifests and namespace is not None:
        require_namespace(mesh.api, namespace)
    for manifest in manifests:
        entry = read_entry(manifest)
        found.append(ListedEntry(target_of(manifest), entry, _age_in_seconds(entry.created, now)))
    return sorted(found, key=lambda item: (item.entry.namespace, item.entry.name))


def _age_in_seconds(created: str, now: datetime) -> float:
    try:
        made = datetime.fromisoformat(created.replace("Z", "+00:00"))
    except ValueError:
        return 0.0
    return max(0.0, (now - made.astimezone(UTC)).total_seconds())
