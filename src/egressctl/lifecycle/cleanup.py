"""Remove what egressctl made, wait until it is gone from the API and from the sidecar, and prove it closed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from egressctl.envoy.config import ALLOWING_POLICIES, LETS_OUT
from egressctl.envoy.counts import ClusterCounts
from egressctl.errors import Conflict, CouldNotAsk, EgressctlError
from egressctl.kube.access import require_rights
from egressctl.kube.rbac import REMOVE
from egressctl.lifecycle.delete import (
    await_sidecar_without,
    delete_by_dry_run,
    delete_entries,
    delete_source,
    read_cluster_counts,
)
from egressctl.lifecycle.plan import refuse_taken_over
from egressctl.manifests.service_entry import LABEL_RUN_ID, LABEL_TARGET, read_entry
from egressctl.mesh import curl
from egressctl.mesh.client import MANAGED_SELECTOR, Mesh, kubectl_delete
from egressctl.mesh.sample_pod import sample_objects
from egressctl.mesh.sidecar import Sidecar
from egressctl.mesh.source_pod import ANY_SOURCE, SourceChoice, find_source
from egressctl.model.cause import CauseCode
from egressctl.model.entry import SUFFIX, Manifest
from egressctl.model.probe import Verdict
from egressctl.model.result import NotProbed, ProbeResult, TargetResult
from egressctl.runtime.concurrency import gather, start_call
from egressctl.runtime.progress import Progress
from egressctl.runtime.sentence import count_of
from egressctl.verify.select import VerifyTarget, verify_targets_from_manifests
from egressctl.verify.unsettled import still_leads_on
from egressctl.verify.verify import ProbeOptions, verify

_MOST_CLOSURES = 5
"""How often an entry that came back to the sidecar is waited for again, and its closure asked again."""


class CleanupOptions(NamedTuple):
    """How to clean up. `timeout` is seconds.

    Without `wait` nothing is proved either: the sidecar may not have followed yet. With a `run_id`, the sample's pod
    goes only if that run made it.
    """

    choice: SourceChoice = ANY_SOURCE
    verify: bool = True
    wait: bool = True
    timeout: float = 60.0
    dry_run: str = "none"
    run_id: str = ""
    limits: curl.TransferLimits = curl.DEFAULT_LIMITS


def clean_up(
    mesh: Mesh, manifests: Sequence[Manifest], options: CleanupOptions, progress: Progress, sidecar: Sidecar | None = None
) -> tuple[list[TargetResult], EgressctlError | None]:
    """Delete these ServiceEntries, wait until they are gone, prove closure, and let the sample's pod go with the last.

    `sidecar` is that of the pod which the probes of its namespace are sent from, where it was found already. Return the proof by
    target, and why closure could not be proved: it could not be asked at all, or another entry has the name by now, which is
    not touched (Conflict). Raises Forbidden where one could not be removed or seen gone, CleanupIncomplete where one is left.
    """
    for each in manifests:
        refuse_taken_over(each, hint=f"if it may go: {kubectl_delete(each)}")
    if options.dry_run != "none":
        delete_by_dry_run(mesh, manifests, options.dry_run, progress)
        return [], None
    namespaces = list(dict.fromkeys(str(each["metadata"]["namespace"]) for each in manifests))
    proving = options.verify and options.wait
    counts: dict[str, ClusterCounts | None] = {}
    if not options.run_id:  # a run has asked before it made anything, and whatever is open through its entry is its own
        # With its Envoy cluster the counts of what is still open go, and the connections stay.
        asked = namespaces if proving else []
        counting = start_call(
            partial(gather, [partial(read_cluster_counts, mesh, each, options.choice) for each in asked], at_most=8)
        )
        require_rights(mesh.api, (REMOVE,), namespaces)
        counts = dict(zip(asked, counting(), strict=True))
    if manifests:
        progress.step(f"deleting {count_of(len(manifests), 'ServiceEntry', 'ServiceEntries')}")
    stays = delete_entries(mesh, manifests, options.timeout if options.wait else None, progress)
    manifests = [each for each in manifests if all(each is not other for other, _ in stays)]
    unasked = _join([why for _, why in stays])
    results: list[TargetResult] = []
    for namespace in namespaces:
        mine = [each for each in manifests if each["metadata"]["namespace"] == namespace]
        closed: list[TargetResult] | None = None
        if proving and mine:
            try:
                if sidecar is None or sidecar.source.namespace != namespace:
                    sidecar = Sidecar(mesh.api, find_source(mesh.api, namespace, options.choice))
                closed = _prove_closed(mesh, sidecar, mine, options, progress, counts.get(namespace))
            except CouldNotAsk as failure:
                unasked = unasked or failure
        results += _results_without_proof(mine) if closed is None else closed
        _remove_source_pod(mesh, namespace, options, progress)
    return results, unasked


def _join(refused: Sequence[Conflict]) -> EgressctlError | None:
    return Conflict("; ".join(map(str, refused)), hint=refused[0].hint) if refused else None


def _results_without_proof(manifests: Sequence[Manifest]) -> list[TargetResult]:
    return [
        TargetResult(each.name, each.namespace, each.entry_names, (), action="deleted")
        for each in verify_targets_from_manifests(manifests)
    ]


def _prove_closed(
    mesh: Mesh,
    sidecar: Sidecar,
    manifests: Sequence[Manifest],
    options: CleanupOptions,
    progress: Progress,
    counts: ClusterCounts | None,
) -> list[TargetResult]:
    """Send the probes of removed entries once more, and hold what comes against the mesh's outbound traffic policy.

    Under REGISTRY_ONLY they are expected to be blocked; where the policy lets out everything, to go by it,
    with a warning that nothing is closed.
    """
    ends, gone = time.monotonic() + options.timeout, [read_entry(each) for each in manifests]
    await_sidecar_without(mesh, sidecar, gone, options.timeout, progress, counts)
    targets = verify_targets_from_manifests(manifests)
    wanted = [_closure_target(mesh, each) for each in targets]

    def ask() -> list[TargetResult]:
        patience = max(0.0, ends - time.monotonic())
        return verify(mesh, sidecar, wanted, ProbeOptions(options.limits, expect=Verdict.BLOCKED, patience=patience), progress)

    results = ask()
    # A control plane that was behind gives the sidecar, after all, what has been deleted since, and takes it away again. Where
    # nothing changes, another entry of the same host sends it; in a mesh that is never still that shows by its staying so.
    for _ in range(_MOST_CLOSURES):
        if not any(still_leads_on(probe) for each in results for probe in each.probes) or time.monotonic() >= ends:
            break
        seen = sidecar.known.changes
        await_sidecar_without(mesh, sidecar, gone, max(0.0, ends - time.monotonic()), progress)
        if sidecar.known.changes == seen:
            break
        results = ask()
    closed = []
    for each, removed in zip(results, targets, strict=True):
        probes = tuple(map(_judge_closed, each.probes))
        out = (probe.evidence for probe in probes if probe.held and probe.verdict is Verdict.BYPASSED)
        if policy := next((evidence.policy for evidence in out if evidence), ""):
            progress.warn(f"{each.name}: the outbound traffic policy is {policy}, so nothing is closed: everything is let out")
        nothing = _why_not_closed(each.not_probed, left=bool(removed.probes)) if each.not_probed else None
        if nothing is not None:
            progress.warn(f"{each.name}: {nothing.reason}")
        closed.append(replace(each, probes=(), closure=probes, action="deleted", not_probed=nothing))
    return closed


def _why_not_closed(why: NotProbed, *, left: bool) -> NotProbed:
    """Say why nothing shows that a target is closed: it has no probe, or others of its entries are `left`, which may send."""
    if left:
        return why._replace(reason="it has other ServiceEntries, so nothing shows that the deleted ones are closed", hint="")
    hint = f"{why.hint} --expect blocked" if why.hint else ""
    return why._replace(reason=f"{why.reason}: nothing shows that it is closed", hint=hint)


def _closure_target(mesh: Mesh, wanted: VerifyTarget) -> VerifyTarget:
    """Return the wish to verify what was removed: without probes where others of a target's entries are left, which may send."""
    if not wanted.split:
        return wanted._replace(manifest=None, written=wanted.entries)
    left = wanted.absent and any(
        read_entry(each).part_of for each in mesh.entries(wanted.namespace, f"{LABEL_TARGET}={wanted.name}")
    )
    probes = () if left else wanted.probes
    name = wanted.name + SUFFIX
    return wanted._replace(entry_name=name, manifest=None, probes=probes, others=(), absent=(), written=wanted.entries)


def _judge_closed(result: ProbeResult) -> ProbeResult:
    evidence = result.evidence
    carried = evidence.walk.envoy_cluster if evidence and evidence.walk else None
    allowed = result.verdict is Verdict.BYPASSED and carried in LETS_OUT and evidence and evidence.policy in ALLOWING_POLICIES
    no_mesh = result.cause is not None and result.cause.code in (CauseCode.NO_SIDECAR, CauseCode.NOT_CAPTURED)
    return replace(result, held=result.held or (bool(allowed) and not no_mesh))


def _remove_source_pod(mesh: Mesh, namespace: str, options: CleanupOptions, progress: Progress) -> None:
    """Let the sample's pod go once the last of our entries in its namespace has gone."""
    selector = f"{MANAGED_SELECTOR},{LABEL_RUN_ID}={options.run_id}" if options.run_id else MANAGED_SELECTOR
    looking = start_call(partial(sample_objects, mesh.api, namespace, selector))
    if mesh.entries(namespace, MANAGED_SELECTOR):
        return
    if objects := looking():
        progress.step(f"deleting the source pod in namespace {namespace}")
        delete_source(mesh, objects, options.timeout if options.wait else None)
        for plural, each in objects:
            progress.result(f"{plural.removesuffix('s')}/{each['metadata']['name']} deleted")
