"""Create, verify and clean up as one: the whole task, for a CI step on a living mesh."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from egressctl.errors import CleanupIncomplete, CouldNotAsk, EgressctlError
from egressctl.lifecycle.ahead import namespaces_of
from egressctl.lifecycle.cleanup import CleanupOptions, clean_up
from egressctl.lifecycle.create import create
from egressctl.lifecycle.delete import remove_run
from egressctl.lifecycle.made import MadeObjects
from egressctl.lifecycle.plan import CreateOptions
from egressctl.manifests.service_entry import LABEL_RUN_ID
from egressctl.mesh.client import MANAGED_SELECTOR, Mesh
from egressctl.mesh.sidecar import Sidecar, find_sidecar
from egressctl.model.probe import Target
from egressctl.model.result import TargetResult
from egressctl.runtime.progress import Progress
from egressctl.runtime.sanitize import quote
from egressctl.runtime.signals import Interrupts
from egressctl.runtime.undo import Undo
from egressctl.verify.select import verify_targets_from_manifests
from egressctl.verify.verify import ProbeOptions, verify


def run(
    mesh: Mesh,
    targets: Sequence[Target],
    create_options: CreateOptions,
    probe_options: ProbeOptions,
    cleanup_options: CleanupOptions,
    *,
    may_undo: Callable[[], None],
    keep: bool,
    progress: Progress,
    interrupts: Interrupts,
) -> tuple[list[TargetResult], EgressctlError | None]:
    """Apply the targets, prove them, remove them, and prove them closed; whatever happens, leave nothing of it.

    Return what came of each target, and why closure could not be proved, where it could not be asked. Refuses what would take
    others' traffic or is there already (Conflict), and to make what it may not remove (Forbidden). Raises CleanupIncomplete
    where something is left. `may_undo` waits for the answer of `ask_ahead`. `keep` leaves the entries where they are, once
    they are proved or not.
    """
    namespaces = namespaces_of(targets, create_options.namespace)
    # Who may not take back must not make.
    may_undo()
    made = MadeObjects()
    with Undo(interrupts) as undo:
        for namespace in namespaces:
            undo.register(
                f"what run {create_options.run_id} made in namespace {namespace}",
                f"kubectl delete serviceentry,pod,serviceaccount -n {quote(namespace)} "
                f"-l {MANAGED_SELECTOR},{LABEL_RUN_ID}={create_options.run_id}",
                partial(remove_run, mesh, namespace, create_options.run_id, made, create_options.choice),
            )
        lone = create_options._replace(lone=True, temporary=not keep)
        creation = create(mesh, targets, lone, progress, interrupts, made)
        manifests = [each.manifest for each in creation.created]
        # The very pod whose sidecar was waited for.
        sidecar = creation.sidecar or find_sidecar(mesh.api, create_options.namespace, create_options.choice)
        # It was waited for, by what the sidecar shows; its connections may be treated so a moment later.
        patient = probe_options._replace(patience=create_options.timeout)
        opened = verify(mesh, sidecar, verify_targets_from_manifests(manifests), patient, progress)
        if keep:
            undo.keep()
            return opened, None
        removal = cleanup_options._replace(choice=create_options.choice, run_id=create_options.run_id)
        try:
            closed, unasked = clean_up(mesh, manifests, removal, progress, sidecar if isinstance(sidecar, Sidecar) else None)
        except CleanupIncomplete as left:  # which the undoing tries once more, and has the last word of
            again = f"removed at the second try only, and not proved closed; at the first: {left}"
            return opened, CouldNotAsk(again, hint="nothing is left; run it again to have its closure proved")
        undo.keep()
    return _with_closures(opened, closed), unasked


def _with_closures(opened: Sequence[TargetResult], closed: Sequence[TargetResult]) -> list[TargetResult]:
    """Put each target's proof of closure next to its proof of being open."""
    closures = {(each.namespace, each.service_entries): each.closure for each in closed}
    return [replace(each, closure=closures.get((each.namespace, each.service_entries), ())) for each in opened]
