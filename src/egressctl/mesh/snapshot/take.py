"""Save what stands around the ServiceEntries of a Kubernetes cluster to a folder, for a gate that has no rights in it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

from egressctl.istio.mesh_objects import NAMESPACES, ObjectsOfKind, unread_sentence
from egressctl.kube.access import kubernetes_info
from egressctl.kube.rbac import grant_command
from egressctl.manifests.service_entry import PLURAL
from egressctl.mesh.client import Mesh
from egressctl.mesh.namespaces import require_namespace
from egressctl.mesh.read_objects import list_every_kind, read_mesh_settings
from egressctl.mesh.snapshot.folder import check_folder, store_snapshot
from egressctl.mesh.snapshot.format import changed_paths, snapshot_files
from egressctl.model.entry import ROOT_NAMESPACE
from egressctl.runtime.concurrency import start_call
from egressctl.runtime.progress import Progress
from egressctl.runtime.signals import Interrupts


class SavedSnapshot(NamedTuple):
    """What was saved: how many objects, and the paths that are new, changed and gone."""

    about: str
    """The snapshot's index, as YAML."""
    objects: int
    added: list[str]
    changed: list[str]
    removed: list[str]
    not_read: tuple[str, ...]
    """One sentence for each kind that could not be read everywhere."""
    hint: str = ""


def take_snapshot(mesh: Mesh, folder: str, namespace: str, progress: Progress, interrupts: Interrupts) -> SavedSnapshot:
    """Read every kind in all namespaces, or where that may not be in `namespace` and the root namespace, and save it.

    Raises InvalidInput for a folder that holds something else, Forbidden where not even the ServiceEntries of `namespace` may be
    listed, and NotWritten. In each case the folder is as it was.
    """
    old = check_folder(folder)
    progress.step("reading the ServiceEntries and related objects")
    configured, told = (
        start_call(lambda: read_mesh_settings(mesh, ROOT_NAMESPACE)),
        start_call(partial(kubernetes_info, mesh.api)),
    )
    listed = list_every_kind(mesh, namespace, services=True, beside=True)
    entries = listed[PLURAL]
    if not any(each["metadata"]["name"] == namespace for each in listed[NAMESPACES].items):
        require_namespace(mesh.api, namespace)
    if entries.reach is not None and namespace not in entries.reach:
        listed[PLURAL] = ObjectsOfKind(tuple(mesh.entries(namespace)), frozenset({namespace}), entries.why)
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    new = snapshot_files(listed, configured(), told(), at)
    store_snapshot(folder, old, new, interrupts)
    not_read = tuple(unread_sentence(plural, each.reach, each.why) for plural, each in listed.items() if each.reach is not None)
    hint = grant_command(["snapshot", "--causes"], "", "") if not_read else ""
    *_, index = new.values()
    return SavedSnapshot(index, len(new) - 1, *changed_paths(old, new), not_read, hint)
