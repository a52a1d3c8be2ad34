"""Ask the API server by dry run what `create` would change."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from egressctl.lifecycle.plan import CreateOptions, EntryPlan, field_manager_of, plan_entry, refuse_conflict, refuse_taken_over
from egressctl.manifests.diff_text import EntryDifference
from egressctl.manifests.egress_target import split_large_targets
from egressctl.manifests.service_entry import read_entry, without_managed_fields
from egressctl.mesh.client import MANAGED_SELECTOR, Mesh, look_up_entries
from egressctl.model.entry import SUFFIX, Manifest
from egressctl.model.probe import Target
from egressctl.runtime.concurrency import gather

_TRIES = 4
"""So often an entry is looked at that somebody else keeps changing."""

_GENERATED_FIELDS = ("uid", "creationTimestamp")
"""What a dry run says of an object that it makes, and what would be another once it is made."""


def diff(mesh: Mesh, targets: Sequence[Target], options: CreateOptions) -> list[EntryDifference]:
    """Return for each target what `create` would change. Changes nothing; raises what `create` raises before it applies."""
    return [_difference(*each) for each in _dry_run_all(mesh, targets, options)]


def _difference(target: Target, live: Manifest | None, merged: Manifest | None) -> EntryDifference:
    wanted = without_managed_fields(merged) if merged is not None else None
    if live is None and wanted is not None:
        wanted["metadata"] = {key: value for key, value in wanted["metadata"].items() if key not in _GENERATED_FIELDS}
        return EntryDifference(target.name, None, wanted)
    return EntryDifference(target.name, without_managed_fields(live) if live is not None else None, wanted)


def _dry_run_all(
    mesh: Mesh, targets: Sequence[Target], options: CreateOptions
) -> list[tuple[Target, Manifest | None, Manifest | None]]:
    """Ask by server-side dry run what `create` would make of each entry: what is there now, and what then; None for nothing.

    Only the entries are looked at, not what is around them. Raises what `create` raises where it would not apply, and what
    the API server refuses.
    """
    version = options.api_version or mesh.api_version
    entries = split_large_targets(targets)
    places = [(target.namespace or options.namespace, target.entry_name) for target in entries]
    plans = [
        plan_entry(target, place[0], live, version, options)
        for target, place, live in zip(entries, places, look_up_entries(mesh, places), strict=True)
    ]
    for plan in plans:
        refuse_conflict(plan, (), options)
    done = gather([partial(_dry_run_plan, mesh, plan, options) for plan in plans], at_most=8)
    made = [(plan.target, live, applied) for plan, (live, applied) in zip(plans, done, strict=True)]
    return [*made, *((target, live, None) for target, live in _entries_to_remove(mesh, targets, plans, options))]


def _entries_to_remove(
    mesh: Mesh, targets: Sequence[Target], plans: Sequence[EntryPlan], options: CreateOptions
) -> list[tuple[Target, Manifest]]:
    """Return what whole targets had before and would not have any more. Raises Forbidden where that may not be listed."""
    wanted = {(plan.namespace, plan.target.entry_name) for plan in plans}
    whole = [(each.namespace or options.namespace, each) for each in targets if each.entry_name == each.name + SUFFIX]
    there = {place: mesh.entries(place, MANAGED_SELECTOR) for place in dict.fromkeys(place for place, _ in whole)}
    found = []
    for place, target in whole:
        for manifest in there[place]:
            entry = read_entry(manifest)
            if entry.part_of == target.name and (place, entry.name) not in wanted:
                refuse_taken_over(manifest, options)
                found.append((target, manifest))
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
