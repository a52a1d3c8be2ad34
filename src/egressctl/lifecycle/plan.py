"""What is to become of a target on a Kubernetes cluster: the manifest that would be applied, and why it must not be."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple

from egressctl.errors import Conflict
from egressctl.istio.conflicts import conflicting_entries
from egressctl.istio.export_to import PUBLIC
from egressctl.manifests.egress_target import split_large_targets
from egressctl.manifests.service_entry import (
    ANNOTATION_FIELD_MANAGER,
    ANNOTATION_TEMPORARY,
    MANAGER,
    export_of_target,
    other_field_managers,
    read_entry,
    render_entry,
    target_of,
)
from egressctl.mesh.client import Mesh, look_up_entries
from egressctl.mesh.read_objects import read_default_export_to
from egressctl.mesh.source_pod import ANY_SOURCE, SourceChoice
from egressctl.model.entry import SUFFIX, Manifest, ServiceEntry
from egressctl.model.probe import Target
from egressctl.runtime.sanitize import quote

EVERYONE = ("*",)


class CreateOptions(NamedTuple):
    """How to create. `timeout` is seconds; `dry_run` is `none`, `client` or `server`.

    `field_manager` is empty where the command line names none: then the one that the object remembers, or ours.
    `lone` is for a test on a living mesh: conflicting entries, and an entry that is there already, are refused.
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
    temporary: bool = False
    """Whether what is made is deleted again at the end of the run."""
    accept_dangers: bool = False
    """Whether what `dangers` says is meant."""


class EntryPlan(NamedTuple):
    """A ServiceEntry that is wanted: its target, what is there of it (None for nothing), and what would be applied."""

    target: Target
    namespace: str
    live: Manifest | None
    manifest: Manifest


def plan_entries(mesh: Mesh, targets: Sequence[Target], version: str, options: CreateOptions) -> list[EntryPlan]:
    """Look up what is there of these targets, and return what would be applied: of a large target, several entries."""
    entries = split_large_targets(targets)
    places = [(target.namespace or options.namespace, target.entry_name) for target in entries]
    live = look_up_entries(mesh, places)
    standing = {target.name: read_entry(each).export_to for target, each in zip(entries, live, strict=True) if each is not None}
    everyone = options.export_to == EVERYONE and read_default_export_to(mesh) not in (None, PUBLIC)  # else it need not say
    found = []
    for target, (namespace, _), each in zip(entries, places, live, strict=True):
        export_to = EVERYONE if everyone else export_of_target(target, options.export_to, standing.get(target.name))
        found.append(_plan_entry(target, namespace, each, version, options, export_to))
    return found


def _plan_entry(
    target: Target, namespace: str, live: Manifest | None, version: str, options: CreateOptions, export_to: tuple[str, ...]
) -> EntryPlan:
    metadata = (live or {}).get("metadata") or {}
    remembered = (metadata.get("annotations") or {}).get(ANNOTATION_FIELD_MANAGER)
    manifest = render_entry(
        target,
        namespace=namespace,
        api_version=version,
        # A second create keeps the run id that the object has: it is still the same thing.
        run_id=(read_entry(live).run_id if live else "") or options.run_id,
        export_to=export_to,
        **({"field_manager": options.field_manager or str(remembered)} if options.field_manager or remembered else {}),
    )
    if options.temporary:
        manifest["metadata"].setdefault("annotations", {})[ANNOTATION_TEMPORARY] = "true"
    return EntryPlan(target, namespace, live, manifest)


def refuse_conflict(plan: EntryPlan, neighbours: tuple[ServiceEntry, ...], options: CreateOptions) -> None:
    """Raise Conflict where the object is not ours, or where a test would take others' traffic."""
    name = f"ServiceEntry {plan.namespace}/{plan.target.entry_name}"
    target, namespace = quote(plan.target.name), quote(plan.namespace)
    if plan.live is not None:
        live = read_entry(plan.live)
        if not live.owned:
            raise Conflict(
                f"{name} is there already, and egressctl did not make it",
                hint=f"prove it as it is: egressctl verify {target} -n {namespace}, or choose another name",
            )
        if options.lone:
            raise Conflict(
                f"{name} is there already, made {live.created} by run {live.run_id}: run removes only what it made itself",
                hint=f"egressctl cleanup {target} -n {namespace}; or egressctl verify -n {namespace}",
            )
        refuse_temporary(plan.live)
        if not options.force_conflicts:
            refuse_taken_over(plan.live, field_manager_of(plan.manifest))
    mine = read_entry(plan.manifest)
    if options.lone and (there := next((each for each in neighbours if each.is_same_target_as(mine)), None)):
        raise Conflict(
            f"ServiceEntry {there} is there already, made {there.created} by run {there.run_id} for the same target: "
            "run removes only what it made itself",
            hint=f"egressctl cleanup {target} -n {namespace}; or egressctl verify -n {namespace}",
        )
    if options.lone and (found := conflicting_entries(mine, neighbours)):
        raise Conflict(
            f"{name} would take the traffic of {found[0].entry} ({found[0].reason}), and a test must not",
            hint=f"prove that one: egressctl verify {quote(found[0].entry.name)} -n {quote(found[0].entry.namespace)}",
        )


def refuse_temporary(live: Manifest) -> None:
    """Raise Conflict for what a run has made to delete it at its end: who found it `unchanged` would lose it then."""
    if ANNOTATION_TEMPORARY in (live["metadata"].get("annotations") or {}):
        entry = read_entry(live)
        raise Conflict(
            f"ServiceEntry {entry} is of a test, run {entry.run_id}, which deletes it when it ends",
            hint="wait until it has ended; or, if it is not running any more: "
            f"egressctl cleanup {quote(target_of(live))} -n {quote(entry.namespace)}",
        )


def refuse_other_owner(live: Manifest, before: Manifest) -> None:
    """Raise Conflict where an object that was ours when it was looked at is somebody else's now, or another run's."""
    was, now = read_entry(before), read_entry(live)
    if not now.owned:
        raise Conflict(f"ServiceEntry {now} is not egressctl's any more: its label is gone", hint=_show(now))
    if now.run_id != was.run_id:
        raise Conflict(f"ServiceEntry {now} is of run {now.run_id} by now, and was of run {was.run_id}", hint=_show(now))
    refuse_taken_over(live, hint=_show(now))


def _show(entry: ServiceEntry) -> str:
    return f"see whose it is: kubectl get serviceentry -n {quote(entry.namespace)} {quote(entry.name)} -o yaml"


def refuse_taken_over(live: Manifest, manager: str = "", *, hint: str = "") -> None:
    """Raise Conflict where another manager has come to own a field of the spec: then it is no longer ours to change."""
    metadata = live["metadata"]
    if managers := other_field_managers(live, manager or field_manager_of(live)):
        raise Conflict(
            f"ServiceEntry {metadata['namespace']}/{metadata['name']} has been taken over by {', '.join(managers)}, "
            "who owns a field of its spec",
            hint=hint
            or f"kubectl get serviceentry -n {quote(metadata['namespace'])} {quote(metadata['name'])} -o yaml "
            "--show-managed-fields; take it back with --force-conflicts",
        )


def whole_targets(targets: Iterable[Target], namespace: str) -> list[tuple[str, str]]:
    """Return namespace and name of the targets that are whole: a ServiceEntry of a file stands for itself, whatever else is."""
    return [(each.namespace or namespace, each.name) for each in targets if each.entry_name == each.name + SUFFIX]


def is_outdated(entry: ServiceEntry, targets: Container[tuple[str, str]], plans: Iterable[EntryPlan]) -> bool:
    """Say whether an entry of ours is what one of these whole targets was made of before, and is not any more."""
    return (entry.namespace, entry.part_of) in targets and all(
        (plan.namespace, plan.target.entry_name) != (entry.namespace, entry.name) for plan in plans
    )


def field_manager_of(manifest: Manifest) -> str:
    """Return the field manager that the object remembers, else ours."""
    return str((manifest["metadata"].get("annotations") or {}).get(ANNOTATION_FIELD_MANAGER) or MANAGER)
