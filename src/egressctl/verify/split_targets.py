"""See whether each of a target's several ServiceEntries is there, and whether a pod's sidecar has what it lists."""

from __future__ import annotations

from collections.abc import Sequence

from egressctl.envoy.config import ProxyConfig
from egressctl.errors import CouldNotAsk
from egressctl.istio.export_to import is_exported_to_namespace
from egressctl.istio.listing import listed_blocks
from egressctl.manifests.service_entry import read_entry
from egressctl.manifests.split_entries import join_by_target
from egressctl.mesh.client import Mesh
from egressctl.mesh.propagation import missing_blocks
from egressctl.mesh.sidecar import Sidecar
from egressctl.mesh.wait_for_sidecar import mesh_objects_for_pod, why_blocks_missing
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.entry import SUFFIX, ServiceEntry
from egressctl.model.evidence import Source
from egressctl.model.result import PartResult
from egressctl.runtime.progress import Progress
from egressctl.runtime.sanitize import quote
from egressctl.runtime.sentence import count_of, first_names
from egressctl.verify.select import VerifyTarget


def split_target_results(
    mesh: Mesh, sidecar: Sidecar, wanted: Sequence[VerifyTarget], progress: Progress
) -> list[tuple[PartResult, ...]]:
    """Return, for each of `wanted`, what is to be said of its entries besides its probes: nothing of one that has only one.

    The probes are sent once, and lead to one address each: of all other blocks it is shown that the sidecar has them, not
    that they work. What is known of the sidecar is not read again.
    """
    count = sum(len(each.manifests) for each in wanted if each.split)
    wished = count_of(count, "ServiceEntry", "ServiceEntries")
    progress.step(f"looking for {wished} in the sidecar of pod {sidecar.source.pod}")
    source = sidecar.source
    config, unread = _read_config(sidecar)
    return [_results_of_target(mesh, source, each, config, unread) if each.split else () for each in wanted]


def _read_config(sidecar: Sidecar) -> tuple[ProxyConfig | None, Cause | None]:
    """Read the sidecar's listeners, or say why not: without a sidecar, what the probes show says it all."""
    source = sidecar.source
    if source.proxy is None:
        return None, None
    try:
        return sidecar.known.config or sidecar.config(), None
    except CouldNotAsk as failure:
        hint = failure.hint or f"kubectl describe pod -n {quote(source.namespace)} {quote(source.pod)}"
        return None, Cause(CauseCode.PROXY_UNREADABLE, f"the sidecar of pod {source.pod} could not be read: {failure}", hint)


def _results_of_target(
    mesh: Mesh, source: Source, wanted: VerifyTarget, config: ProxyConfig | None, unread: Cause | None
) -> tuple[PartResult, ...]:
    entries = [read_entry(each) for each in wanted.manifests]
    found = []
    # What they do not have is asked for once: a sidecar may have thousands of filter chains.
    lacking = {each for entry in join_by_target(entries) for each in missing_blocks(config, entry)} if config else set()
    for entry in entries:
        if config is None:
            found.append(PartResult(entry.name, len(entry.addresses), in_force=None, cause=unread))
            continue
        absent = [each for port in entry.ports for block in listed_blocks(entry) if (each := f"{block}:{port.number}") in lacking]
        cause = _missing_cause(mesh, source, entry, absent, config) if absent else None
        found.append(PartResult(entry.name, len(entry.addresses), in_force=not absent, cause=cause))
    for name in wanted.absent:
        found.append(PartResult(name, 0, in_force=False, cause=_entry_missing_cause(name, wanted)))
    return tuple(found)


def _missing_cause(mesh: Mesh, source: Source, entry: ServiceEntry, missing: list[str], config: ProxyConfig) -> Cause:
    told = f"the sidecar of pod {source.pod} does not have {first_names(missing, 3)} of {entry}"
    if not is_exported_to_namespace(entry, source.namespace):
        show = f"kubectl get serviceentry -n {quote(entry.namespace)} {quote(entry.name)} -o yaml"
        return Cause(CauseCode.NOT_EXPORTED, f"{told}: exportTo is {', '.join(entry.export_to)}", show)
    delay = why_blocks_missing(source, config, [(entry, each) for each in missing], mesh_objects_for_pod(mesh, source))
    return Cause(delay.code, f"{told}: {delay.reason}", delay.hint)


def _entry_missing_cause(name: str, wanted: VerifyTarget) -> Cause:
    again = f"apply it again: egressctl create {quote(wanted.name)} -n {quote(wanted.namespace)}, or create -f FILE"
    if name == wanted.name + SUFFIX:
        told = f"the first ServiceEntry of {wanted.name}, which names the others, does not exist in namespace {wanted.namespace}"
        return Cause(CauseCode.ENTRY_MISSING, told, again)
    return Cause(CauseCode.ENTRY_MISSING, f"ServiceEntry {name} does not exist in namespace {wanted.namespace}", again)
