"""Ask the API server by dry run what `create` would change."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from egressctl.lifecycle.plan import (
    CreateOptions,
    EntryPlan,
    field_manager_of,
    is_outdated,
    plan_entries,
    refuse_conflict,
    refuse_taken_over,
    whole_targets,
)
from egressctl.manifests.diff_text import EntryDifference
from egressctl.manifests.service_entry import read_entry, without_managed_fields
from egressctl.mesh.client import MANAGED_SELECTOR, Mesh
from egressctl.model.entry import Manifest
from egressctl.model.probe import Target
from egressctl.runtime.concurrency import gather

_TRIES = 4
"""So often an entry is looked at that somebody else keeps changing."""

_GENERATED_FIELDS = ("uid", "creationTimestamp")
"""What a dry run says of an object that it makes, and what would be another once it is made."""


def diff(mesh: Mesh, targets: Sequence[Target], options: CreateOptions) -> list[EntryDifference]:
    """Return for each target what `create` would change. Changes nothing; raises what `create` raises before it applies."""
    plans = plan_entries(mesh, targets, options.api_version or mesh.api_version, options)
    for plan in plans:
        refuse_conflict(plan, (), options)
    done = gather([partial(_dry_run_plan, mesh, plan, options) for plan in plans], at_most=8)
    found = [_difference(plan.target.name, *each) for plan, each in zip(plans, done, strict=True)]
    return [*found, *(_difference(name, live, None) for name, live in _entries_to_remove(mesh, targets, plans, options))]


def _difference(target: str, live: Manifest | None, merged: Manifest | None) -> EntryDifference:
    wanted = without_managed_fields(merged) if merged is not None else None
    if live is None and wanted is not None:
        wanted["metadata"] = {key: value for key, value in wanted["metadata"].items() if key not in _GENERATED_FIELDS}
        return EntryDifference(target, None, wanted)
    return EntryDifference(target, without_managed_fields(live) if live is not None else None, wanted)


def _entries_to_remove(
    mesh: Mesh, targets: Sequence[Target], plans: Sequence[EntryPlan], options: CreateOptions
) -> list[tuple[str, Manifest]]:
    """Return what whole targets had before and would not have any more. Raises Forbidden where that may not be listed."""
    whole = whole_targets(targets, options.namespace)
    there = {namespace: mesh.entries(namespace, MANAGED_SELECTOR) for namespace in dict.fromkeys(place for place, _ in whole)}
    found = [
        (name, manifest)
        for namespace, name in whole
        for manifest in there[namespace]
        if is_outdated(read_entry(manifest), [(namespace, name)], plans)
    ]
    for _, manifest in found if not options.force_conflicts else ():
        refuse_taken_over(manifest)
    return found


def _dry_run_plan(mesh: Mesh, plan: EntryPlan, options: CreateOptions) -> tuple[Manifest | None, Manifest]:
    """Apply a plan by dry run; look again where the entry was changed in between, as often as kubectl does."""
    live = plan.live
    manager = field_manager_of(plan.manifest)
    for _ in range(_TRIES):
        _, applied = mesh.apply(plan.manifest, manager=manager, force=options.force_conflicts, dry_run=True)
        if _resource_version(live) in ("", _resource_version(applied)):
            break
        live = mesh.entry(plan.namespace, plan.target.entry_name)
    return live, applied


def _resource_version(manifest: Manifest | None) -> str:
    return str(manifest["metadata"].get("resourceVersion") or "") if manifest else ""
