"""Apply ServiceEntries, and wait until the source pod's sidecar has every filter chain of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import TYPE_CHECKING

from egressctl.arrival import await_sidecar
from egressctl.clashes import rivals
from egressctl.envoy import NOTHING, Reading
from egressctl.errors import Conflict, CouldNotAsk, Forbidden, NoSourcePod, NotFound, Refused, Unauthorized
from egressctl.interrupts import Interrupts
from egressctl.listing import NAMESPACES
from egressctl.mesh import Mesh, kubectl_delete
from egressctl.model import SUFFIX, Manifest, PartResult, ServiceEntry, Source, Surroundings, Target, TargetResult
from egressctl.outdated import outdated, remove_outdated
from egressctl.parallel import begin, gather
from egressctl.polling import poll
from egressctl.progress import Progress
from egressctl.removal import remove_run
from egressctl.serviceentry import ANNOTATION_FIELD_MANAGER, PLURAL, read, render, taken_over_by, without_managed_fields
from egressctl.source import ANY_SOURCE, SourceChoice
from egressctl.surroundings import surroundings
from egressctl.target import entries_of
from egressctl.undo import Undo
from egressctl.verify import look_up

if TYPE_CHECKING:
    from egressctl.rules import Clash

_TOLD_OF = 10
"""So many other objects are named in warnings about one entry; `egressctl lint` names more."""

_LOOKS = 4
"""So often an entry is looked at that somebody else keeps changing."""

_REFUSALS = (Conflict, Forbidden, NotFound, Refused, Unauthorized)
"""Answers of the API server which say for certain that nothing was made."""
DRY_RUNS = {"none": "", "client": " (dry run)", "server": " (server dry run)"}
"""The modes of --dry-run, and what kubectl adds to its result lines under each."""


@dataclass(frozen=True, slots=True)
class How:
    """How to create. `timeout` is seconds; `dry_run` is `none`, `client` or `server`.

    `field_manager` is empty where the command line names none: then the one that the object remembers, or ours.
    `lone` is for a test on a living mesh: rivals, and an entry that is there already, are refused.
    """

    namespace: str
    run_id: str
    choice: SourceChoice = ANY_SOURCE
    export_to: tuple[str, ...] = ()
    api_version: str = ""
    field_manager: str = ""
    force_conflicts: bool = False
    dry_run: str = "none"
    wait: bool = True
    timeout: float = 60.0
    with_source: bool = False
    lone: bool = False


@dataclass(frozen=True, slots=True)
class Created:
    """What became of one target: `action` is kubectl's word (`created`, `configured`, `unchanged`)."""

    target: Target
    manifest: Manifest
    action: str

    @property
    def part(self) -> PartResult:
        """The one entry as a report has it."""
        return PartResult(self.target.entry_name, len(self.target.spec.get("addresses") or ()), self.action)


@dataclass(slots=True)
class Creation:
    """What `create` did, one of each ServiceEntry, and the pod that it waited for (None where it did not)."""

    created: list[Created] = field(default_factory=list)
    outdated: list[Manifest] = field(default_factory=list)
    """What the targets were made of before, and are not any more: it is removed."""
    source: Source | None = None
    reading: Reading = NOTHING
    """The sidecar as it was when the wait was over."""

    def results(self) -> list[TargetResult]:
        """Return the targets as a report has them: nothing asked, and what was done. Entries of one target stand together."""
        groups: dict[object, list[Created]] = {}
        for each in self.created:
            groups.setdefault(read(each.manifest).family, []).append(each)
        gone = list(map(read, self.outdated))
        return [_result(each, [old for old in gone if old.family == family]) for family, each in groups.items()]


def _result(created: Sequence[Created], gone: Sequence[ServiceEntry]) -> TargetResult:
    first = created[0]
    parts = [each.part for each in created] + [PartResult(each.name, len(each.addresses), "deleted") for each in gone]
    actions = {each.action for each in parts}
    return TargetResult(
        first.target.name,
        first.manifest["metadata"]["namespace"],
        tuple(each.target.entry_name for each in created),
        (),
        action=first.action if len(actions) == 1 else "configured",
        parts=tuple(parts) if len(parts) > 1 else (),
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    target: Target
    namespace: str
    live: Manifest | None
    manifest: Manifest


def create(mesh: Mesh, targets: Sequence[Target], how: How, progress: Progress, interrupts: Interrupts) -> Creation:
    """Apply every target, all or none, and wait until the sidecar has them.

    A target of more addresses than one ServiceEntry may hold is applied as several; what it had before and does not have any
    more is removed once these are in force. Raises Conflict for an object that egressctl did not make, NoSourcePod before
    anything is applied, TimedOut when the wait runs out (the entries stay), CleanupIncomplete where what was had before is left.
    """
    done = Creation()
    with Undo(interrupts) as undo:
        source, plans, around = _look(mesh, entries_of(targets), how, progress, undo, interrupts)
        wanted = {(plan.namespace, plan.target.entry_name) for plan in plans}
        done.outdated = outdated(mesh, targets, how.namespace, wanted, around, progress)
        for old in done.outdated:
            _refuse_taken_over(mesh, old, how)
        _warn(plans, around, how, progress)
        # A target may have dozens of entries, and what takes back one takes back all of the run.
        back = cache(lambda namespace: remove_run(mesh, namespace, how.run_id, how.choice))
        for plan in plans:
            done.created.append(created := _apply(mesh, plan, how, undo, interrupts, back))
            progress.result(f"serviceentry.networking.istio.io/{plan.target.entry_name} {created.action}{DRY_RUNS[how.dry_run]}")
        done.source = source
        if source is not None and how.dry_run == "none" and how.wait:
            try:
                done.reading = await_sidecar(mesh, source, [read(each.manifest) for each in done.created], how.timeout, progress)
            except CouldNotAsk:
                undo.keep()
                raise
        undo.keep()
    if done.outdated:
        _remove(mesh, done.outdated, how, progress)
    return done


def _remove(mesh: Mesh, manifests: Sequence[Manifest], how: How, progress: Progress) -> None:
    if how.dry_run == "none":
        remove_outdated(mesh, manifests, how.timeout if how.wait else None, progress)
        return
    for each in manifests:
        if how.dry_run == "server":
            mesh.delete(each, dry_run=True)
        progress.result(f"serviceentry.networking.istio.io/{each['metadata']['name']} deleted{DRY_RUNS[how.dry_run]}")


def _look(
    mesh: Mesh, targets: Sequence[Target], how: How, progress: Progress, undo: Undo, interrupts: Interrupts
) -> tuple[Source | None, list[_Plan], Surroundings]:
    """Ask all that must be known before anything is applied, and refuse what must not be."""
    progress.step("looking for the source pod and at the ServiceEntries that are there")
    wants_source = how.dry_run == "none" and (how.wait or how.with_source)
    found = begin(lambda: _find_source(mesh, how) if wants_source else None)
    version = how.api_version or mesh.api_version
    looking = begin(lambda: _surroundings(mesh, how))
    places = [(target.namespace or how.namespace, target.entry_name) for target in targets]
    live = look_up(mesh, places)
    plans = [_plan(target, place[0], each, version, how) for target, place, each in zip(targets, places, live, strict=True)]
    around, source = looking(), found()
    for plan in plans:
        _refuse(mesh, plan, around.entries, how)
    if isinstance(source, NoSourcePod):
        if not how.with_source:
            raise NoSourcePod(str(source), hint="start one with --with-source, or apply without waiting: --no-wait")
        source = _start_source(mesh, how, progress, undo, interrupts)
    return source, plans, around


def _find_source(mesh: Mesh, how: How) -> Source | NoSourcePod:
    try:
        source = mesh.source(how.namespace, how.choice)
    except NoSourcePod as missing:
        return missing
    if not source.proxy_ready:
        return NoSourcePod(f"the sidecar of pod {source.namespace}/{source.pod} is not ready: {source.proxy_state}")
    return source


def _surroundings(mesh: Mesh, how: How) -> Surroundings:
    """Read what may be in the way: for a test the ServiceEntries alone, since its proof follows and names whatever else is.

    Raises Forbidden where not even the ServiceEntries of the namespace may be listed.
    """
    around = surroundings(mesh, how.namespace, services=True, beside=not how.lone)
    if not around.saw(PLURAL, how.namespace):
        around = replace(around, entries=tuple(map(read, mesh.entries(how.namespace))))
    return around


def _plan(target: Target, namespace: str, live: Manifest | None, version: str, how: How) -> _Plan:
    metadata = (live or {}).get("metadata") or {}
    remembered = (metadata.get("annotations") or {}).get(ANNOTATION_FIELD_MANAGER)
    manifest = render(
        target,
        namespace=namespace,
        api_version=version,
        # A second create keeps the run id that the object has: it is still the same thing.
        run_id=(read(live).run_id if live else "") or how.run_id,
        export_to=how.export_to or None,
        **({"field_manager": how.field_manager or str(remembered)} if how.field_manager or remembered else {}),
    )
    return _Plan(target, namespace, live, manifest)


def _refuse(mesh: Mesh, plan: _Plan, neighbours: tuple[ServiceEntry, ...], how: How) -> None:
    """Raise Conflict where the object is not ours, or where a test would take others' traffic."""
    name = f"serviceentry {plan.namespace}/{plan.target.entry_name}"
    if plan.live is not None:
        live = read(plan.live)
        if not live.owned:
            raise Conflict(
                f"{name} is there already, and egressctl did not make it",
                hint=f"prove it as it is: egressctl verify {plan.target.name} -n {plan.namespace}, or choose another name",
            )
        if how.lone:
            raise Conflict(
                f"{name} is there already, made {live.created} by run {live.run_id}: run removes only what it made itself",
                hint=f"egressctl cleanup {plan.target.name} -n {plan.namespace}; or prove it: egressctl verify",
            )
        _refuse_taken_over(mesh, plan.live, how, manager_of(plan.manifest, mesh.field_manager))
    mine = read(plan.manifest)
    if how.lone and (there := next((each for each in neighbours if each.beside(mine)), None)):
        raise Conflict(
            f"serviceentry {there} is there already, made {there.created} by run {there.run_id} for the same target: "
            "run removes only what it made itself",
            hint=f"egressctl cleanup {plan.target.name} -n {plan.namespace}; or prove it: egressctl verify",
        )
    if how.lone and (found := rivals(mine, neighbours)):
        raise Conflict(
            f"{name} would take the traffic of {found[0].entry} ({found[0].reason}), and a test must not",
            hint=f"prove that one: egressctl verify {found[0].entry.name} -n {found[0].entry.namespace}",
        )


def _refuse_taken_over(mesh: Mesh, live: Manifest, how: How, manager: str = "") -> None:
    """Raise Conflict where another manager has come to own a field of what is ours to change."""
    metadata = live["metadata"]
    managers = taken_over_by(live, manager or manager_of(live, mesh.field_manager))
    if managers and not how.force_conflicts:
        raise Conflict(
            f"serviceentry {metadata['namespace']}/{metadata['name']} has been taken over by {', '.join(managers)}, "
            "who owns a field of its spec",
            hint=f"kubectl get serviceentry -n {metadata['namespace']} {metadata['name']} -o yaml --show-managed-fields; "
            "take it back with --force-conflicts",
        )


def manager_of(manifest: Manifest, fallback: str) -> str:
    """Return the field manager that the object remembers, else the one given."""
    return str((manifest["metadata"].get("annotations") or {}).get(ANNOTATION_FIELD_MANAGER) or fallback)


def _warn(plans: Sequence[_Plan], around: Surroundings, how: How, progress: Progress) -> None:
    """Say what is in an entry's way, one line an object, and what could not be looked at: never assume it absent.

    A test has refused rivals by now, and names in its proof whatever else it meets.
    """
    if PLURAL in around.reach:
        progress.warn("no right to list the ServiceEntries of all namespaces: rivals among them are not seen")
    if others := [plural for plural in around.reach if plural not in (PLURAL, NAMESPACES)]:
        progress.warn(f"not all {', '.join(others)} could be looked at: egressctl lint says which, and what it needs")
    entries = [read(plan.manifest) for plan in plans]
    if len(entries) > 1:
        from egressctl.parts import joined

        entries = joined(entries)
    for entry in entries:
        if not how.lone:
            _warn_of_others(entry, around, how.namespace, progress)
        if not entry.export_to:
            progress.warn(
                f"{entry} has no exportTo and opens the egress for every namespace; --export-to . limits it to this one"
            )


def _warn_of_others(entry: ServiceEntry, around: Surroundings, namespace: str, progress: Progress) -> None:
    # A test does without it.
    from egressctl.lint import in_the_way

    told: dict[str, list[Clash]] = {}
    for clash in in_the_way(entry, around, namespace):
        told.setdefault(str(clash.about).removeprefix("ServiceEntry "), []).append(clash)
    for about, clashes in list(told.items())[:_TOLD_OF]:
        reasons = "; ".join(f"{each.reason}: {each.outcome}" if each.outcome else each.reason for each in clashes)
        progress.warn(f"{entry} and {about}: {reasons}")
    if len(told) > _TOLD_OF:
        progress.warn(f"{entry}: {len(told) - _TOLD_OF} more objects may be in its way; egressctl lint names them")


def _start_source(mesh: Mesh, how: How, progress: Progress, undo: Undo, interrupts: Interrupts) -> Source:
    progress.step(f"starting the source pod sleep in namespace {how.namespace}")
    command = f"kubectl delete pod,serviceaccount -n {how.namespace} -l egressctl.dev/run-id={how.run_id}"
    undo.register(f"pod {how.namespace}/sleep", command, lambda: remove_run(mesh, how.namespace, how.run_id, None))
    with interrupts.deferred():
        mesh.start_source(how.namespace, how.run_id)
    return poll(
        lambda: found if isinstance(found := _find_source(mesh, how), Source) else None,
        how.timeout,
        lambda: f"the source pod did not become ready within {how.timeout:g}s: {_find_source(mesh, how)}",
    )


def _apply(mesh: Mesh, plan: _Plan, how: How, undo: Undo, interrupts: Interrupts, back: Callable[[str], None]) -> Created:
    if how.dry_run == "client":
        return Created(plan.target, plan.manifest, "configured" if plan.live else "created")
    if plan.live is None and how.dry_run == "none":
        undo.register(
            f"serviceentry {plan.namespace}/{plan.target.entry_name}",
            kubectl_delete(plan.manifest),
            partial(back, plan.namespace),
        )
    with interrupts.deferred():
        manager = manager_of(plan.manifest, mesh.field_manager)
        try:
            status, applied = mesh.apply(
                plan.manifest, manager=manager, force=how.force_conflicts, dry_run=how.dry_run == "server"
            )
            # 200 for what was not there: an own try that was answered late, or somebody else's object by now.
            others = taken_over_by(applied, manager) if plan.live is None and status != 201 and how.dry_run == "none" else ()
            if others:
                mesh.withdraw(plan.manifest, manager=manager)
                raise Conflict(
                    f"serviceentry {plan.namespace}/{plan.target.entry_name} was made by {', '.join(others)} at the same moment",
                    hint=f"prove it as it is: egressctl verify {plan.target.name} -n {plan.namespace}, or choose another name",
                )
        except _REFUSALS:
            if plan.live is None and how.dry_run == "none":
                undo.forget()
            raise
    if plan.live is None:
        return Created(plan.target, applied, "created")
    # A dry run that changes something leaves the resource version as it was.
    same = without_managed_fields(plan.live) == without_managed_fields(applied)
    return Created(plan.target, applied, "unchanged" if same else "configured")


def rehearse(mesh: Mesh, targets: Sequence[Target], how: How) -> list[tuple[Target, Manifest | None, Manifest | None]]:
    """Ask by server-side dry run what `create` would make of each entry: what is there now, and what then; None for nothing.

    Only the entries are looked at, not what is around them. Raises what `create` raises where it would not apply, and what
    the API server refuses.
    """
    version = how.api_version or mesh.api_version
    entries = entries_of(targets)
    places = [(target.namespace or how.namespace, target.entry_name) for target in entries]
    plans = [
        _plan(target, place[0], live, version, how)
        for target, place, live in zip(entries, places, look_up(mesh, places), strict=True)
    ]
    for plan in plans:
        _refuse(mesh, plan, (), how)
    done = gather([partial(_rehearsed, mesh, plan, how) for plan in plans], at_most=8)
    made = [(plan.target, live, applied) for plan, (live, applied) in zip(plans, done, strict=True)]
    return [*made, *((target, live, None) for target, live in _left_behind(mesh, targets, plans, how))]


def _left_behind(mesh: Mesh, targets: Sequence[Target], plans: Sequence[_Plan], how: How) -> list[tuple[Target, Manifest]]:
    """Return what whole targets had before and would not have any more, as far as their entries name one another."""
    from egressctl.parts import listed

    wanted = {(plan.namespace, plan.target.entry_name) for plan in plans}
    found = []
    for target in targets:
        if target.entry_name != target.name + SUFFIX:
            continue
        place = target.namespace or how.namespace
        named = {name for plan in plans if plan.target.name == target.name and plan.live for name in listed(plan.live)}
        sought = sorted((place, name) for name in {target.entry_name, *named} if (place, name) not in wanted)
        for manifest in look_up(mesh, sought):
            if manifest is not None and (entry := read(manifest)).owned and entry.part_of == target.name:
                _refuse_taken_over(mesh, manifest, how)
                found.append((target, manifest))
    return found


def _rehearsed(mesh: Mesh, plan: _Plan, how: How) -> tuple[Manifest | None, Manifest]:
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
