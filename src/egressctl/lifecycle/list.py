"""List what egressctl made."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from egressctl.errors import Forbidden
from egressctl.manifests.service_entry import LABEL_RUN_ID, read_entry, target_of
from egressctl.mesh.client import MANAGED_SELECTOR, Mesh
from egressctl.mesh.namespaces import require_namespace
from egressctl.mesh.sample_pod import sample_objects
from egressctl.model.entry import ServiceEntry
from egressctl.model.json_values import text_at


@dataclass(frozen=True, slots=True)
class ListedEntry:
    """One ServiceEntry of ours, with its target's name and its age in seconds."""

    target: str
    entry: ServiceEntry
    age: float


@dataclass(frozen=True, slots=True)
class ListedSource:
    """An object of a source pod that egressctl started: `kind` is Pod or ServiceAccount, `age` in seconds."""

    kind: str
    namespace: str
    name: str
    run_id: str
    created: str
    age: float


def list_sources(mesh: Mesh, namespace: str | None, now: datetime) -> tuple[list[ListedSource], str]:
    """Return the source pods that egressctl started in a namespace, or in all (None), and why they could not be looked for.

    Without the right to list them there are none, and a warning. Raises what listing raises else.
    """
    try:
        found = sample_objects(mesh.api, namespace)
    except Forbidden as refused:
        return [], f"source pods were not looked for: {refused}"
    listed = [
        ListedSource(
            {"pods": "Pod", "serviceaccounts": "ServiceAccount"}[plural],
            each["metadata"]["namespace"],
            each["metadata"]["name"],
            text_at(each, "metadata", "labels", LABEL_RUN_ID),
            created := text_at(each, "metadata", "creationTimestamp"),
            _age_in_seconds(created, now),
        )
        for plural, each in found
    ]
    return sorted(listed, key=lambda each: (each.namespace, each.name, each.kind)), ""


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
