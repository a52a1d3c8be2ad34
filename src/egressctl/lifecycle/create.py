"""Apply ServiceEntries, and wait until the source pod's sidecar has every filter chain of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TYPE_CHECKING

from egressctl.errors import Conflict, CouldNotAsk, Forbidden, Interrupted, Modified, NoSourcePod, NotFound, Refused, Unauthorized
from egressctl.istio.export_to import PUBLIC, limit_told, shown_as_in
from egressctl.istio.interference import find_conflicts_and_interference
from egressctl.istio.mesh_objects import NAMESPACES
from egressctl.kube.rest import only_if_absent, only_if_unchanged
from egressctl.lifecycle.dangers import refuse_dangers
from egressctl.lifecycle.delete import DRY_RUN_SUFFIXES, delete_by_dry_run, delete_entries, remove_run
from egressctl.lifecycle.made import MadeObjects
from egressctl.lifecycle.plan import (
    CreateOptions,
    EntryPlan,
    field_manager_of,
    is_outdated,
    plan_entries,
    refuse_conflict,
    refuse_taken_over,
    refuse_temporary,
    whole_targets,
)
from egressctl.manifests.service_entry import LABEL_RUN_ID, PLURAL, read_entry, without_managed_fields
from egressctl.manifests.split_entries import join_by_target
from egressctl.mesh.client import Mesh, look_up_entries
from egressctl.mesh.namespaces import require_namespace
from egressctl.mesh.read_objects import read_mesh_objects
from egressctl.mesh.sample_pod import sample_manifests, start_sample
from egressctl.mesh.sidecar import Sidecar
from egressctl.mesh.source_pod import find_source_in_namespace
from egressctl.mesh.wait_for_sidecar import await_sidecar
from egressctl.model.entry import RESOURCE, Manifest, MeshObjects, ServiceEntry
from egressctl.model.evidence import Source
from egressctl.model.probe import Target
from egressctl.model.result import PartResult, TargetResult
from egressctl.runtime.concurrency import start_call
from egressctl.runtime.poll import poll
from egressctl.runtime.progress import Progress
from egressctl.runtime.sanitize import quote
from egressctl.runtime.sentence import first_names
from egressctl.runtime.signals import Interrupts
from egressctl.runtime.undo import Undo

if TYPE_CHECKING:
    from egressctl.istio.conflict import EntryConflict

_MOST_NAMED = 10
"""So many other objects are named in warnings about one entry; `egressctl lint` names more."""

_REFUSALS = (Conflict, Forbidden, NotFound, Refused, Unauthorized)
"""Answers of the API server which say for certain that a request made nothing."""
_TRIES = 4
"""So often an entry is looked at that somebody else keeps changing."""


@dataclass(frozen=True, slots=True)
class CreatedEntry:
    """What became of one target: `action` is kubectl's word (`created`, `configured`, `unchanged`)."""

    target: Target
    manifest: Manifest
    action: str


@dataclass(slots=True)
class CreateResult:
    """What `create` did, one of each ServiceEntry, and the sidecar that it waited for (None where it did not)."""

    created: list[CreatedEntry] = field(default_factory=list)
    outdated: list[Manifest] = field(default_factory=list)
    """What the targets were made of before, and are not any more: it is removed."""
    there: list[Manifest] = field(default_factory=list)
    """What was there of the targets before."""
    sidecar: Sidecar | None = None
    """That of the pod, which is known as it was when the wait was over."""

    def results(self) -> list[TargetResult]:
        """Return the targets as a report has them: nothing asked, and what was done. Entries of one target stand together."""
        groups: dict[object, list[CreatedEntry]] = {}
        for each in self.created:
            groups.setdefault(read_entry(each.manifest).family, []).append(each)
        gone = list(map(read_entry, self.outdated))
        return [_result(each, [old for old in gone if old.family == family]) for family, each in groups.items()]


def _result(created: Sequence[CreatedEntry], gone: Sequence[ServiceEntry]) -> TargetResult:
    first = created[0]
    parts = [PartResult(each.target.entry_name, len(each.target.spec.get("addresses") or ()), each.action) for each in created]
    parts += [PartResult(each.name, len(each.addresses), "deleted") for each in gone]
    actions = {each.action for each in parts}
    return TargetResult(
        first.target.name,
        first.manifest["metadata"]["namespace"],
        tuple(each.target.entry_name for each in created),
        (),
        action=first.action if len(actions) == 1 else "configured",
        parts=tuple(parts) if len(parts) > 1 else (),
    )


def create(
    mesh: Mesh,
    targets: Sequence[Target],
    options: CreateOptions,
    progress: Progress,
    interrupts: Interrupts,
    made: MadeObjects | None = None,
) -> CreateResult:
    """Apply every target, all or none, and wait until the sidecar has them.

    What it makes is noted in `made`, and only that is taken back where it fails.

    A target of more addresses than one ServiceEntry may hold is applied as several; what it had before and does not have any
    more is removed once these are in force. Raises Conflict for an object that egressctl did not make, NoSourcePod before
    anything is applied, TimedOut when the wait runs out (the entries stay), CleanupIncomplete where what was had before is left.
    """
    done, made = CreateResult(), made if made is not None else MadeObjects()
    with Undo(interrupts) as undo, _hint_at_what_stays(done):
        source, plans, around = _prepare_plans(mesh, targets, options, progress, undo, interrupts, made)
        done.there = [plan.live for plan in plans if plan.live is not None]
        done.outdated = _outdated_entries(mesh, targets, plans, around, options, progress)
        _warn_before_apply(plans, around, options, progress)
        refuse_dangers(mesh, targets, plans, around, source, options, progress)
        # A target may have dozens of entries, and what takes back one takes back all of the run.
        back = cache(lambda namespace: remove_run(mesh, namespace, options.run_id, made, options.choice))
        for plan in plans:
            done.created.append(created := _apply(mesh, plan, around, options, undo, interrupts, made, back))
            progress.result(f"{RESOURCE}/{plan.target.entry_name} {created.action}{DRY_RUN_SUFFIXES[options.dry_run]}")
        done.sidecar = Sidecar(mesh.api, source) if source is not None else None
        if done.sidecar is not None and options.dry_run == "none" and options.wait:
            try:
                await_sidecar(mesh, done.sidecar, [read_entry(each.manifest) for each in done.created], options.timeout, progress)
            except CouldNotAsk:
                undo.keep()
                raise
            _require_what_others_made(mesh, done.created)
        undo.keep()
    if done.outdated:
        _remove_old_entries(mesh, done.outdated, options, progress)
    return done


@contextmanager
def _hint_at_what_stays(done: CreateResult) -> Iterator[None]:
    """Say with an interruption that what was there before is not taken back."""
    try:
        yield
    except Interrupted as stop:
        if done.there:
            names = first_names([str(read_entry(each)) for each in done.there], 3)
            stop.hint = f"what was being made is gone again; {names} was there before, and stays"
        raise


def _require_what_others_made(mesh: Mesh, created: Sequence[CreatedEntry]) -> None:
    """Raise Conflict where an entry that another run made is gone: that run may have been ended before its own end."""
    found = [each.manifest for each in created if each.action != "created"]
    live = look_up_entries(mesh, [(each["metadata"]["namespace"], each["metadata"]["name"]) for each in found])
    for was, now in zip(found, live, strict=True):
        if now is None or now["metadata"]["uid"] != was["metadata"]["uid"]:
            entry = read_entry(was)
            raise Conflict(
                f"ServiceEntry {entry}, which run {entry.run_id} made, was deleted meanwhile",
                hint="run the same command again to create it",
            )


def _remove_old_entries(mesh: Mesh, manifests: Sequence[Manifest], options: CreateOptions, progress: Progress) -> None:
    if options.dry_run != "none":
        delete_by_dry_run(mesh, manifests, options.dry_run, progress)
        return
    try:
        for _, refused in delete_entries(mesh, manifests, options.timeout if options.wait else None, progress):
            raise refused
    except Interrupted as stop:
        stop.hint = "new entries stay, and some old ones may too: run the same command again to delete them"
        raise


def _outdated_entries(
    mesh: Mesh,
    targets: Sequence[Target],
    plans: Sequence[EntryPlan],
    around: MeshObjects,
    options: CreateOptions,
    progress: Progress,
) -> list[Manifest]:
    """Return the entries that these targets were made of before, and are not any more, as they are on the Kubernetes cluster.

    Warns of a namespace whose ServiceEntries could not be listed.
    """
    whole = set(whole_targets(targets, options.namespace))
    for unseen in sorted({namespace for namespace, _ in whole if not around.has_read(PLURAL, namespace)}):
        progress.warn(f"no right to list the ServiceEntries of namespace {unseen}: what the target had there before is not seen")
    old = [(entry.namespace, entry.name) for entry in around.entries if entry.owned and is_outdated(entry, whole, plans)]
    found = [manifest for manifest in look_up_entries(mesh, old) if manifest is not None and read_entry(manifest).owned]
    for each in found:
        refuse_temporary(each)
        if not options.force_conflicts:
            refuse_taken_over(each)
    return found


def _prepare_plans(
    mesh: Mesh,
    targets: Sequence[Target],
    options: CreateOptions,
    progress: Progress,
    undo: Undo,
    interrupts: Interrupts,
    made: MadeObjects,
) -> tuple[Source | None, list[EntryPlan], MeshObjects]:
    """Ask all that must be known before anything is applied, and refuse what must not be."""
    progress.step("looking for the source pod and at the ServiceEntries that are there")
    wants_source = options.dry_run == "none" and (options.wait or options.with_source)
    found = start_call(lambda: _find_source(mesh, options) if wants_source else None)
    version = options.api_version or mesh.api_version
    looking = start_call(lambda: _mesh_objects(mesh, options))
    plans = plan_entries(mesh, targets, version, options)
    around, source = looking(), found()
    for plan in plans:
        refuse_conflict(plan, around.entries, options)
    if isinstance(source, NoSourcePod):
        if not options.with_source:
            require_namespace(mesh.api, options.namespace)
            raise NoSourcePod(str(source), hint="start one with --with-source, or apply without waiting: --no-wait")
        source = _start_source(mesh, options, progress, undo, interrupts, made)
    return source, plans, around


def _find_source(mesh: Mesh, options: CreateOptions) -> Source | NoSourcePod:
    try:
        source = find_source_in_namespace(mesh.api, options.namespace, options.choice)
    except NoSourcePod as missing:
        return missing
    except NotFound:
        require_namespace(mesh.api, options.namespace)
        raise
    if not source.proxy_ready:
        return NoSourcePod(f"the sidecar of pod {source.namespace}/{source.pod} is not ready: {source.proxy_state}")
    return source


def _mesh_objects(mesh: Mesh, options: CreateOptions) -> MeshObjects:
    """Read what may be in the way: for a test the ServiceEntries alone, since its proof follows and names whatever else is.

    Raises Forbidden where not even the ServiceEntries of the namespace may be listed.
    """
    around = read_mesh_objects(mesh, options.namespace, services=True, beside=not options.lone)
    if not around.has_read(PLURAL, options.namespace):
        around = replace(around, entries=tuple(map(read_entry, mesh.entries(options.namespace))))
    return around


def _warn_before_apply(plans: Sequence[EntryPlan], around: MeshObjects, options: CreateOptions, progress: Progress) -> None:
    """Say what is in an entry's way, one line an object, and what could not be looked at: never assume it absent.

    A test has refused conflicting entries by now, and names in its proof whatever else it meets.
    """
    if PLURAL in around.reach:
        progress.warn("no right to list the ServiceEntries of all namespaces: conflicting entries among them are not seen")
    if others := [plural for plural in around.reach if plural not in (PLURAL, NAMESPACES)]:
        progress.warn(f"not all {', '.join(others)} could be looked at: egressctl lint says which, and what it needs")
    entries = [read_entry(plan.manifest) for plan in plans]
    if len(entries) > 1:
        entries = join_by_target(entries)
    for entry in entries:
        if not options.lone:
            _warn_of_conflicts(entry, around, options.namespace, progress)
        entry = shown_as_in(around, entry)
        if told := limit_told(entry, around.default_export_to or PUBLIC):
            progress.warn(f"{entry}: {told}, whatever its exportTo says")
        elif not entry.export_to and not options.export_to:
            progress.warn(
                f"{entry} has no exportTo and opens the egress for every namespace; --export-to . limits it to this one"
            )


def _warn_of_conflicts(entry: ServiceEntry, around: MeshObjects, namespace: str, progress: Progress) -> None:
    told: dict[str, list[EntryConflict]] = {}
    for clash in find_conflicts_and_interference(entry, around, namespace):
        told.setdefault(str(clash.about).removeprefix("ServiceEntry "), []).append(clash)
    for about, clashes in list(told.items())[:_MOST_NAMED]:
        reasons = "; ".join(f"{each.reason}: {each.outcome}" if each.outcome else each.reason for each in clashes)
        progress.warn(f"{entry} and {about}: {reasons}")
    if len(told) > _MOST_NAMED:
        progress.warn(f"{entry}: {len(told) - _MOST_NAMED} more objects may conflict with it; egressctl lint names them")


def _start_source(
    mesh: Mesh, options: CreateOptions, progress: Progress, undo: Undo, interrupts: Interrupts, made: MadeObjects
) -> Source:
    progress.step(f"starting the source pod sleep in namespace {options.namespace}")
    command = f"kubectl delete pod,serviceaccount -n {quote(options.namespace)} -l egressctl.dev/run-id={options.run_id}"
    back = partial(remove_run, mesh, options.namespace, options.run_id, made, None)
    undo.register(f"pod {options.namespace}/sleep", command, back)
    for plural, manifest in sample_manifests(options.namespace, options.run_id):
        made.expect(plural, options.namespace, manifest["metadata"]["name"])
    with interrupts.deferred():
        try:
            for each in start_sample(mesh.api, options.namespace, options.run_id):
                made.add(*each)
        except NotFound:
            require_namespace(mesh.api, options.namespace)
            raise
    return poll(
        lambda: found if isinstance(found := _find_source(mesh, options), Source) else None,
        options.timeout,
        lambda: f"the source pod did not become ready within {options.timeout:g}s: {_find_source(mesh, options)}",
    )


def _apply(
    mesh: Mesh,
    plan: EntryPlan,
    around: MeshObjects,
    options: CreateOptions,
    undo: Undo,
    interrupts: Interrupts,
    made: MadeObjects,
    back: Callable[[str], None],
) -> CreatedEntry:
    """Apply a plan onto what it was made for, and plan again where that is not there any more as it was looked at."""
    if options.dry_run == "client":
        return CreatedEntry(plan.target, plan.manifest, "configured" if plan.live else "created")
    for _ in range(_TRIES):
        try:
            if plan.live is None and options.dry_run == "none":
                return _create_entry(mesh, plan, options, undo, interrupts, made, back)
            return _update_entry(mesh, plan, options, interrupts)
        except Modified:
            [plan] = plan_entries(mesh, [plan.target], plan.manifest["apiVersion"], options)
            try:
                refuse_conflict(plan, around.entries, options)
            except Conflict as refused:
                raise Conflict(f"{refused}: that happened at the same moment", hint=refused.hint) from None
    raise Conflict(
        f"ServiceEntry {plan.namespace}/{plan.target.entry_name} is changed by somebody else all the time, and was not applied",
        hint="run the same command again once that has ended",
    )


def _create_entry(
    mesh: Mesh,
    plan: EntryPlan,
    options: CreateOptions,
    undo: Undo,
    interrupts: Interrupts,
    made: MadeObjects,
    back: Callable[[str], None],
) -> CreatedEntry:
    """Make an entry where there is none. Raises Modified where there is one by now that this process did not make."""
    key = PLURAL, plan.namespace, plan.target.entry_name
    # By the run's label: what has the name need not be ours.
    command = f"kubectl delete serviceentry -n {quote(plan.namespace)} -l {LABEL_RUN_ID}={options.run_id}"
    undo.register(f"ServiceEntry {plan.namespace}/{plan.target.entry_name}", command, partial(back, plan.namespace))
    made.expect(*key)
    with interrupts.deferred():
        try:
            # By force, since nothing can come of it but a new object: else the first refusal would be of its fields.
            _, applied = mesh.apply(only_if_absent(plan.manifest), manager=field_manager_of(plan.manifest), force=True)
        except Modified:
            there = mesh.entry(plan.namespace, plan.target.entry_name)
            if there is None or read_entry(there).run_id != options.run_id:
                undo.forget()
                made.discard(*key)
                raise
            applied = there  # by an earlier try, whose answer was lost
        except _REFUSALS as refused:
            if not refused.again:
                undo.forget()
                made.discard(*key)
            raise
        made.add(PLURAL, applied)
    return CreatedEntry(plan.target, applied, "created")


def _update_entry(mesh: Mesh, plan: EntryPlan, options: CreateOptions, interrupts: Interrupts) -> CreatedEntry:
    """Apply onto what is there, or only ask by dry run. Raises Modified where it has been changed since, or is gone."""
    asking = options.dry_run == "server"
    manifest = only_if_unchanged(plan.manifest, plan.live) if plan.live and not asking else plan.manifest
    with interrupts.deferred():
        _, applied = mesh.apply(manifest, manager=field_manager_of(manifest), force=options.force_conflicts, dry_run=asking)
    if plan.live is None:
        return CreatedEntry(plan.target, applied, "created")
    # A dry run that changes something leaves the resource version as it was.
    same = without_managed_fields(plan.live) == without_managed_fields(applied)
    return CreatedEntry(plan.target, applied, "unchanged" if same else "configured")
