"""Verify every ServiceEntry of a namespace, or of the mesh, no matter who made it, and report each result as soon as it is there.

The entries are asked in batches, one after the other: what was read of a sidecar after one batch is what it was before the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from egressctl.envoy.config import NOTHING_READ
from egressctl.errors import CouldNotAsk, InvalidInput, NoSourcePod, NotFound
from egressctl.istio.export_to import PUBLIC
from egressctl.manifests.service_entry import read_entry
from egressctl.mesh import curl
from egressctl.mesh.client import Mesh
from egressctl.mesh.namespaces import require_namespace
from egressctl.mesh.read_objects import read_default_export_to
from egressctl.mesh.sidecar import Sidecar, find_sidecar
from egressctl.mesh.source_pod import SourceChoice, find_source_in_namespace
from egressctl.model.entry import Manifest, ServiceEntry
from egressctl.model.probe import Probe
from egressctl.model.result import NotProbed, TargetResult
from egressctl.runtime.concurrency import gather
from egressctl.runtime.progress import Progress
from egressctl.verify import probes_for_entry
from egressctl.verify.select import VerifyTarget
from egressctl.verify.verify import ProbeOptions, random_below, verify

PROBES_AT_ONCE = 10
"""Probes under way at the same time, unless the command line says otherwise: the rows of 100 entries come together."""

_FEWEST_PORTS = 128


@dataclass(frozen=True, slots=True)
class VerifyPlan:
    """What is asked from which pod (or why there is none), and what is not asked."""

    asked: tuple[tuple[Sidecar | NoSourcePod, VerifyTarget], ...]
    left_out: tuple[TargetResult, ...]

    @property
    def places(self) -> list[tuple[str, str]]:
        """Namespace and name of each entry."""
        asked = [(each.namespace, each.name) for _, each in self.asked]
        return asked + [(each.namespace, each.name) for each in self.left_out]


def plan_verification(
    mesh: Mesh, namespace: str, choice: SourceChoice, *, everywhere: bool, allow_internal: bool = False
) -> VerifyPlan:
    """List the ServiceEntries of a namespace, or with `everywhere` of all, and say what is asked of each, and from where.

    An entry of another namespace is asked from a source pod of its own namespace where there is one with a sidecar, else from
    that of `namespace`, else from any other that sees it. A pod that is named is the only one.
    Raises NotFound where there is no entry, InvalidInput for a container that is not there, and what listing raises.
    """
    manifests = mesh.entries(None if everywhere else namespace)
    if not manifests:
        if not everywhere:
            require_namespace(mesh.api, namespace)
        where = "in any namespace" if everywhere else f"in namespace {namespace}"
        raise NotFound(
            f"there is no ServiceEntry {where}", hint="egressctl create wikipedia" if everywhere else "-A looks in all namespaces"
        )
    home = find_sidecar(mesh.api, namespace, choice)
    entries = [read_entry(each) for each in manifests]
    others = (
        _sidecars_of_namespaces(mesh, choice, sorted({each.namespace for each in entries} - {namespace})) if everywhere else []
    )
    sidecars = [*([home] if isinstance(home, Sidecar) else []), *others]
    undecided = everywhere and not all(each.export_to for each in entries)
    default = (read_default_export_to(mesh) if undecided else None) or PUBLIC
    asked, left_out = [], []
    for manifest, entry in zip(manifests, entries, strict=True):
        probes = probes_for_entry.probes_for(manifest, entry, allow_internal=allow_internal)
        found = probes if isinstance(probes, NotProbed) else _choose_pod(manifest, entry, probes, sidecars, default)
        if isinstance(found, NotProbed):
            left_out.append(TargetResult(entry.name, entry.namespace, (entry.name,), (), not_probed=found))
        else:
            sidecar, wanted = found
            asked.append((home if sidecar is None else sidecar, wanted))
    return VerifyPlan(tuple(sorted(asked, key=_sort_key)), tuple(sorted(left_out, key=lambda each: (each.namespace, each.name))))


def _choose_pod(
    manifest: Manifest, entry: ServiceEntry, probes: tuple[Probe, ...], sidecars: Sequence[Sidecar], default: Sequence[str]
) -> tuple[Sidecar | None, VerifyTarget] | NotProbed:
    """Say from which of the pods an entry is asked, None where there is no pod at all; or why none sees it."""
    wanted = VerifyTarget(entry.name, entry.namespace, entry.name, manifest, probes)
    if not sidecars:
        return None, wanted
    # Python's sort is stable: the rest stays as it was.
    ordered = sorted(sidecars, key=lambda sidecar: sidecar.source.namespace != entry.namespace)
    chosen = probes_for_entry.first_pod_that_sees(entry, ordered, default)
    return chosen if isinstance(chosen, NotProbed) else (chosen, wanted)


def _sort_key(asked: tuple[Sidecar | NoSourcePod, VerifyTarget]) -> tuple[str, bool, str, str]:
    """By pod, and what takes long last: within that by name."""
    sidecar, wanted = asked
    return (
        sidecar.source.namespace if isinstance(sidecar, Sidecar) else "",
        any(each.bare for each in wanted.probes),
        wanted.namespace,
        wanted.name,
    )


def _sidecars_of_namespaces(mesh: Mesh, choice: SourceChoice, namespaces: Sequence[str]) -> list[Sidecar]:
    """Find a source pod with a sidecar in each of these namespaces, where there is one that may be seen."""
    if choice.pod:
        return []
    found = gather([partial(_sidecar_or_none, mesh, choice, namespace) for namespace in namespaces], at_most=8)
    return [sidecar for sidecar in found if sidecar is not None and sidecar.source.proxy is not None]


def _sidecar_or_none(mesh: Mesh, choice: SourceChoice, namespace: str) -> Sidecar | None:
    try:
        return Sidecar(mesh.api, find_source_in_namespace(mesh.api, namespace, choice))
    except (CouldNotAsk, InvalidInput):
        return None


def verify_planned(
    mesh: Mesh, planned: VerifyPlan, options: ProbeOptions, progress: Progress, told: Callable[[TargetResult], None]
) -> None:
    """Ask everything that is planned, and report each entry's result as soon as its batch is judged; what is left out last.

    What could not be asked is in the results. Raises CouldNotAsk where there is nothing to ask: that proves nothing.
    """
    done, size = 0, curl.PLACES_PER_EXEC * options.at_once
    # So many connections in a row meet the local ports of earlier ones often enough. As many for their companions.
    ports = curl.unusual_ports_in_turn(random_below, 2 * max(size, _FEWEST_PORTS))
    for sidecar, run in groupby(planned.asked, key=lambda asked: asked[0]):
        for batch in split_into_batches((wanted for _, wanted in run), size):
            if isinstance(sidecar, Sidecar):
                pod = f"{sidecar.source.namespace}/{sidecar.source.pod}"
                progress.advance(done, len(planned.asked), f"asking from pod {pod}")
            own = options._replace(limits=options.limits._replace(local_ports=next(ports)), ports=partial(next, ports))
            results = verify(mesh, sidecar, batch, own, progress, announce=False)
            done += len(results)
            for result in results:
                told(result)
        if isinstance(sidecar, Sidecar):
            sidecar.known = NOTHING_READ  # it is not asked again, and that of thousands of filter chains has some megabytes
    progress.advance(len(planned.asked), len(planned.asked), "")
    for result in planned.left_out:
        told(result)
    if not planned.asked:
        raise CouldNotAsk(
            f"of {len(planned.places)} ServiceEntries none is one that a probe can be sent for", hint="the table says why of each"
        )


def split_into_batches(wanted: Iterable[VerifyTarget], size: int) -> Iterator[list[VerifyTarget]]:
    """Deal targets out, in their order, so that each batch has at most so many probes; a target is never torn apart."""
    batch: list[VerifyTarget] = []
    count = 0
    for each in wanted:
        if batch and count + len(each.probes) > size:
            yield batch
            batch, count = [], 0
        batch.append(each)
        count += len(each.probes)
    if batch:
        yield batch
