"""Apply ServiceEntries, and wait until the source pod's sidecar has every filter chain of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from egressctl import envoy
from egressctl.errors import Conflict, CouldNotAsk, Forbidden, NoSourcePod, NotFound, Refused, Unauthorized
from egressctl.interrupts import Interrupts
from egressctl.mesh import Mesh, kubectl_delete
from egressctl.model import Manifest, ServiceEntry, Source, Target, TargetResult
from egressctl.ownership import rivals
from egressctl.parallel import begin
from egressctl.polling import poll
from egressctl.progress import Progress
from egressctl.removal import remove_run
from egressctl.serviceentry import ANNOTATION_FIELD_MANAGER, read, render, taken_over_by
from egressctl.sidecar import NOTHING, Reading, until
from egressctl.source import ANY_SOURCE, SourceChoice
from egressctl.undo import Undo
from egressctl.verdict import exported
from egressctl.verify import look_up

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

    def result(self) -> TargetResult:
        """Return it as a report has it: nothing asked, and what was done."""
        metadata = self.manifest["metadata"]
        return TargetResult(self.target.name, metadata["namespace"], (metadata["name"],), (), action=self.action)


@dataclass(slots=True)
class Creation:
    """What `create` did, and the pod that it waited for (None where it did not)."""

    created: list[Created] = field(default_factory=list)
    source: Source | None = None
    reading: Reading = NOTHING
    """The sidecar as it was when the wait was over."""


@dataclass(frozen=True, slots=True)
class _Plan:
    target: Target
    namespace: str
    live: Manifest | None
    manifest: Manifest


def create(mesh: Mesh, targets: Sequence[Target], how: How, progress: Progress, interrupts: Interrupts) -> Creation:
    """Apply every target, all or none, and wait until the sidecar has them.

    Raises Conflict for an object that egressctl did not make, NoSourcePod before anything is applied,
    TimedOut when the wait runs out (the entries stay).
    """
    done = Creation()
    with Undo(interrupts) as undo:
        source, plans, neighbours = _look(mesh, targets, how, progress, undo, interrupts)
        _warn(plans, neighbours, progress)
        for plan in plans:
            done.created.append(created := _apply(mesh, plan, how, undo, interrupts))
            progress.result(f"serviceentry.networking.istio.io/{plan.target.entry_name} {created.action}{DRY_RUNS[how.dry_run]}")
        done.source = source
        if source is not None and how.dry_run == "none" and how.wait:
            try:
                done.reading = await_sidecar(mesh, source, [read(each.manifest) for each in done.created], how.timeout, progress)
            except CouldNotAsk:
                undo.keep()
                raise
        undo.keep()
    return done


def _look(
    mesh: Mesh, targets: Sequence[Target], how: How, progress: Progress, undo: Undo, interrupts: Interrupts
) -> tuple[Source | None, list[_Plan], tuple[ServiceEntry, ...]]:
    """Ask all that must be known before anything is applied, and refuse what must not be."""
    progress.step("looking for the source pod and at the ServiceEntries that are there")
    wants_source = how.dry_run == "none" and (how.wait or how.with_source)
    found = begin(lambda: _find_source(mesh, how) if wants_source else None)
    version = how.api_version or mesh.api_version
    around = begin(lambda: _neighbours(mesh, how.namespace, progress))
    places = [(target.namespace or how.namespace, target.entry_name) for target in targets]
    live = look_up(mesh, places)
    plans = [_plan(target, place[0], each, version, how) for target, place, each in zip(targets, places, live, strict=True)]
    neighbours, source = around(), found()
    for plan in plans:
        _refuse(mesh, plan, neighbours, how)
    if isinstance(source, NoSourcePod):
        if not how.with_source:
            raise NoSourcePod(str(source), hint="start one with --with-source, or apply without waiting: --no-wait")
        source = _start_source(mesh, how, progress, undo, interrupts)
    return source, plans, neighbours


def _find_source(mesh: Mesh, how: How) -> Source | NoSourcePod:
    try:
        return mesh.source(how.namespace, how.choice)
    except NoSourcePod as missing:
        return missing


def _neighbours(mesh: Mesh, namespace: str, progress: Progress) -> tuple[ServiceEntry, ...]:
    """List the ServiceEntries that may be read, and say what could not be looked at: never assume it absent."""
    found, whole = mesh.neighbours(namespace)
    if not whole:
        progress.warn("no right to list the ServiceEntries of all namespaces: rivals among them are not seen")
    return found


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
        managers = taken_over_by(plan.live, manager_of(plan.manifest, mesh.field_manager))
        if managers and not how.force_conflicts:
            raise Conflict(
                f"{name} has been taken over by {', '.join(managers)}, who owns a field of its spec",
                hint=f"kubectl get serviceentry -n {plan.namespace} {plan.target.entry_name} -o yaml --show-managed-fields; "
                "take it back with --force-conflicts",
            )
    if how.lone and (found := rivals(read(plan.manifest), neighbours)):
        raise Conflict(
            f"{name} would take the traffic of {found[0].entry} ({found[0].reason}), and a test must not",
            hint=f"prove that one: egressctl verify {found[0].entry.name} -n {found[0].entry.namespace}",
        )


def manager_of(manifest: Manifest, fallback: str) -> str:
    """Return the field manager that the object remembers, else the one given."""
    return str((manifest["metadata"].get("annotations") or {}).get(ANNOTATION_FIELD_MANAGER) or fallback)


def _warn(plans: Sequence[_Plan], neighbours: tuple[ServiceEntry, ...], progress: Progress) -> None:
    for plan in plans:
        entry = read(plan.manifest)
        for rival in rivals(entry, neighbours):
            progress.warn(f"{entry} and {rival.entry}: {rival.reason}")
        if not entry.export_to:
            progress.warn(
                f"{entry} has no exportTo and opens the egress for every namespace; --export-to . limits it to this one"
            )


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


def _apply(mesh: Mesh, plan: _Plan, how: How, undo: Undo, interrupts: Interrupts) -> Created:
    if how.dry_run == "client":
        return Created(plan.target, plan.manifest, "configured" if plan.live else "created")
    if plan.live is None and how.dry_run == "none":
        undo.register(
            f"serviceentry {plan.namespace}/{plan.target.entry_name}",
            kubectl_delete(plan.manifest),
            lambda: remove_run(mesh, plan.namespace, how.run_id, how.choice),
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
    same = plan.live["metadata"].get("resourceVersion") == applied["metadata"].get("resourceVersion")
    return Created(plan.target, applied, "unchanged" if same else "configured")


def await_sidecar(mesh: Mesh, source: Source, entries: Sequence[ServiceEntry], timeout: float, progress: Progress) -> Reading:
    """Wait until the sidecar leads every block of these entries to their Envoy clusters. Raises TimedOut."""
    if source.proxy is None:
        progress.warn(f"pod {source.namespace}/{source.pod} has no sidecar: there is nothing to wait for")
        return NOTHING
    expected = []
    for entry in entries:
        if exported(entry, source.namespace):
            expected.append(entry)
        else:
            progress.warn(
                f"exportTo keeps {entry} from namespace {source.namespace}: not waiting for the sidecar of {source.pod}"
            )
    missing: list[str] = []

    def arrived(config: envoy.ProxyConfig) -> bool:
        missing[:] = [each for entry in expected for each in envoy.missing(config, entry)]
        if missing:
            progress.step(f"waiting for the sidecar of pod {source.pod}: {len(missing)} missing, first {missing[0]}")
        return not missing

    reading = until(
        mesh,
        source,
        arrived,
        timeout,
        lambda: (
            f"the ServiceEntry is applied, and after {timeout:g}s the sidecar of pod {source.pod} lacks {', '.join(missing[:3])}"
        ),
        hint="istioctl proxy-status; then: egressctl verify",
        entries=expected,
    )
    progress.done(f"the sidecar of pod {source.pod} has every filter chain")
    return reading
