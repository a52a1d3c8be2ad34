"""Source pods that no ServiceEntry of ours goes with: what started them was killed, or somebody else deleted their entries."""

from __future__ import annotations

from functools import partial

from egressctl.errors import Forbidden
from egressctl.lifecycle.cleanup import CleanupOptions
from egressctl.lifecycle.delete import DRY_RUN_SUFFIXES, delete_source
from egressctl.mesh.client import MANAGED_SELECTOR, Mesh
from egressctl.mesh.sample_pod import sample_objects
from egressctl.model.entry import Manifest
from egressctl.runtime.concurrency import start_call
from egressctl.runtime.progress import Progress


def leftover_sources(mesh: Mesh, namespace: str | None, progress: Progress) -> list[tuple[str, Manifest]]:
    """Return the objects of source pods of ours in a namespace, or in all (None), that has no ServiceEntry of ours.

    Warns where they may not be listed.
    """
    looking = start_call(partial(sample_objects, mesh.api, namespace))
    used = {each["metadata"]["namespace"] for each in mesh.entries(namespace, MANAGED_SELECTOR)}
    try:
        return [(plural, each) for plural, each in looking() if each["metadata"]["namespace"] not in used]
    except Forbidden as refused:
        progress.warn(f"source pods without a ServiceEntry were not looked for: {refused}")
        return []


def remove_leftover_sources(mesh: Mesh, namespace: str | None, options: CleanupOptions, progress: Progress) -> None:
    """Delete what `leftover_sources` returns, and wait until it is gone. Raises CleanupIncomplete where something is left."""
    found = leftover_sources(mesh, namespace, progress)
    if found and options.dry_run == "none":
        progress.step("deleting source pods that no ServiceEntry goes with")
        delete_source(mesh, found, options.timeout if options.wait else None)
    for plural, each in found:
        progress.result(f"{plural.removesuffix('s')}/{each['metadata']['name']} deleted{DRY_RUN_SUFFIXES[options.dry_run]}")
