"""Find and remove what a target was made of before, where its list of addresses has become another number of ServiceEntries."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from egressctl.errors import Interrupted
from egressctl.manifests.service_entry import PLURAL, read
from egressctl.mesh.client import Mesh, look_up
from egressctl.model.entry import SUFFIX, Manifest, Surroundings
from egressctl.model.probe import Target
from egressctl.removal import delete_entries
from egressctl.runtime.progress import Progress


def outdated(
    mesh: Mesh,
    targets: Sequence[Target],
    namespace: str,
    wanted: Collection[tuple[str, str]],
    around: Surroundings,
    progress: Progress,
) -> list[Manifest]:
    """Return the entries that these targets were made of before, and are not any more, as they are on the Kubernetes cluster.

    `wanted` are namespace and name of those that they are made of now. Only of whole targets: a ServiceEntry of a file stands
    for itself, whatever else its target has. Warns of a namespace whose ServiceEntries could not be listed.
    """
    names = {(target.namespace or namespace, target.name) for target in targets if target.entry_name == target.name + SUFFIX}
    for unseen in sorted({place for place, _ in names if not around.saw(PLURAL, place)}):
        progress.warn(f"no right to list the ServiceEntries of namespace {unseen}: what the target had there before is not seen")
    old = [
        (entry.namespace, entry.name)
        for entry in around.entries
        if entry.owned and (entry.namespace, entry.part_of) in names and (entry.namespace, entry.name) not in wanted
    ]
    return [manifest for manifest in look_up(mesh, old) if manifest is not None and read(manifest).owned]


def remove_outdated(mesh: Mesh, manifests: Sequence[Manifest], timeout: float | None, progress: Progress) -> None:
    """Delete them, and wait as `delete_entries` does; raise CleanupIncomplete where one is left."""
    try:
        delete_entries(mesh, manifests, timeout)
    except Interrupted as stop:
        stop.hint = "what was made stays, and some of what was there before may too: the same command again removes it"
        raise
    for each in manifests:
        progress.result(f"serviceentry.networking.istio.io/{each['metadata']['name']} deleted")
