"""Ask the API server by dry run what `create` would change."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from egressctl.lifecycle.plan import How, Plan, manager_of, plan_of, refuse, refuse_taken_over
from egressctl.manifests.diff_text import Difference
from egressctl.manifests.egress_target import entries_of
from egressctl.manifests.service_entry import read, without_managed_fields
from egressctl.mesh.client import OURS, Mesh, look_up
from egressctl.model.entry import SUFFIX, Manifest
from egressctl.model.probe import Target
from egressctl.runtime.concurrency import gather

_LOOKS = 4
"""So often an entry is looked at that somebody else keeps changing."""

_MADE_UP = ("uid", "creationTimestamp")
"""What a dry run says of an object that it makes, and what would be another once it is made."""


def diff(mesh: Mesh, targets: Sequence[Target], how: How) -> list[Difference]:
    """Return for each target what `create` would change. Changes nothing; raises what `create` raises before it applies."""
    return [_difference(*each) for each in _rehearse(mesh, targets, how)]


def _difference(target: Target, live: Manifest | None, merged: Manifest | None) -> Difference:
    wanted = without_managed_fields(merged) if merged is not None else None
    if live is None and wanted is not None:
        wanted["metadata"] = {key: value for key, value in wanted["metadata"].items() if key not in _MADE_UP}
        return Difference(target.name, None, wanted)
    return Difference(target.name, without_managed_fields(live) if live is not None else None, wanted)


def _rehearse(mesh: Mesh, targets: Sequence[Target], how: How) -> list[tuple[Target, Manifest | None, Manifest | None]]:
    """Ask by server-side dry run what `create` would make of each entry: what is there now, and what then; None for nothing.

    Only the entries are looked at, not what is around them. Raises what `create` raises where it would not apply, and what
    the API server refuses.
    """
    version = how.api_version or mesh.api_version
    entries = entries_of(targets)
    places = [(target.namespace or how.namespace, target.entry_name) for target in entries]
    plans = [
        plan_of(target, place[0], live, version, how)
        for target, place, live in zip(entries, places, look_up(mesh, places), strict=True)
    ]
    for plan in plans:
        refuse(mesh, plan, (), how)
    done = gather([partial(_rehearsed, mesh, plan, how) for plan in plans], at_most=8)
    made = [(plan.target, live, applied) for plan, (live, applied) in zip(plans, done, strict=True)]
    return [*made, *((target, live, None) for target, live in _left_behind(mesh, targets, plans, how))]


def _left_behind(mesh: Mesh, targets: Sequence[Target], plans: Sequence[Plan], how: How) -> list[tuple[Target, Manifest]]:
    """Return what whole targets had before and would not have any more. Raises Forbidden where that may not be listed."""
    wanted = {(plan.namespace, plan.target.entry_name) for plan in plans}
    whole = [(each.namespace or how.namespace, each) for each in targets if each.entry_name == each.name + SUFFIX]
    there = {place: mesh.entries(place, OURS) for place in dict.fromkeys(place for place, _ in whole)}
    found = []
    for place, target in whole:
        for manifest in there[place]:
            entry = read(manifest)
            if entry.part_of == target.name and (place, entry.name) not in wanted:
                refuse_taken_over(mesh, manifest, how)
                found.append((target, manifest))
    return found


def _rehearsed(mesh: Mesh, plan: Plan, how: How) -> tuple[Manifest | None, Manifest]:
    """Apply a plan by dry run; look again where the entry was changed in between, as often as kubectl does."""
    live = plan.live
    manager = manager_of(plan.manifest, mesh.field_manager)
    for _ in range(_LOOKS):
        _, applied = mesh.apply(plan.manifest, manager=manager, force=how.force_conflicts, dry_run=True)
        if _version(live) in ("", _version(applied)):
            break
        live = mesh.entry(plan.namespace, plan.target.entry_name)
    return live, applied


def _version(manifest: Manifest | None) -> str:
    return str(manifest["metadata"].get("resourceVersion") or "") if manifest else ""
