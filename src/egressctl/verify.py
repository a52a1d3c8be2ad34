"""Prove, for one or more targets, which Envoy cluster carries their probes."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from egressctl.envoy.config import NOTHING, Reading
from egressctl.errors import Forbidden, NoSourcePod, NotFound
from egressctl.evidence import Question
from egressctl.manifests.egress_target import entries_of
from egressctl.manifests.formats import is_label
from egressctl.manifests.service_entry import LABEL_TARGET, bare_probes, derived_probes, probes_of, read
from egressctl.mesh import curl
from egressctl.mesh.client import OURS, Mesh, look_up
from egressctl.mesh.source_pod import SourceChoice
from egressctl.model.cause import CauseCode
from egressctl.model.entry import SUFFIX, Manifest
from egressctl.model.evidence import Method, Source
from egressctl.model.probe import Probe, Target, Verdict
from egressctl.model.result import ProbeResult, TargetResult
from egressctl.proof import Proved, prove, unasked
from egressctl.runtime.concurrency import begin
from egressctl.runtime.progress import Progress

_RETRY_PAUSE = 1.0
"""Seconds between two tries that the person asked for."""

_ASK_AGAIN = 1
"""How often evidence that was lost is asked for again, unasked: hosts go with their counts 6 to 10 seconds
after their last connection, and a short exec loses its streams once in some hundreds."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be verified: a target by its name, with the probes and the entry that belong to it.

    `entry_name` is empty for a bare URL; `manifest` is the ServiceEntry as it is on the Kubernetes cluster. Of a target of
    several entries it is the first, `others` are the rest, and `absent` are the names of those that are not there. `names` are
    those of all entries, where there are or were several.
    """

    name: str
    namespace: str
    entry_name: str
    manifest: Manifest | None
    probes: tuple[Probe, ...]
    others: tuple[Manifest, ...] = ()
    absent: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """All of the target's entries that are there."""
        return (self.manifest, *self.others) if self.manifest else ()

    @property
    def split(self) -> bool:
        """Whether the target has, or should have, several entries."""
        return bool(self.others or self.absent)

    @property
    def entry_names(self) -> tuple[str, ...]:
        """The names of all the target's entries that are, or were, there."""
        return self.names or ((self.entry_name,) if self.entry_name else ())


@dataclass(frozen=True, slots=True)
class Asking:
    """How to ask: limits of a transfer, tries after an answer that was not the expected one, another expectation.

    `at_once` is how many probes are under way at the same time.
    """

    limits: curl.Limits = curl.LIMITS
    retries: int = 0
    expect: Verdict | None = None
    at_once: int = curl.EXECS_AT_ONCE


def wanted_on_server(mesh: Mesh, namespace: str) -> list[Wanted]:
    """Return every target that egressctl made in a namespace. Raises NotFound where there is none."""
    found = of_manifests(mesh.entries(namespace, OURS), bare=True)
    if not found:
        raise NotFound(f"egressctl made no ServiceEntry in namespace {namespace}", hint="egressctl create wikipedia")
    return found


def of_manifest(manifest: Manifest, asked: tuple[Probe, ...] = (), *, bare: bool = False) -> Wanted:
    """Return what a ServiceEntry on the Kubernetes cluster asks to be verified: its annotation's probes, else derived ones.

    With `bare`, an entry that gives no URL is asked by bare connections. Raises InvalidInput for probes that cannot be read.
    """
    metadata = manifest["metadata"]
    name = str((metadata.get("labels") or {}).get(LABEL_TARGET) or metadata["name"])
    probes = asked or probes_of(manifest)
    if probes is None:
        entry = read(manifest)
        probes = derived_probes(entry) or (bare_probes(entry) if bare else ())
    return Wanted(
        name=name,
        namespace=str(metadata.get("namespace", "default")),
        entry_name=str(metadata["name"]),
        manifest=manifest,
        probes=probes,
    )


def of_manifests(manifests: Sequence[Manifest], asked: tuple[Probe, ...] = (), *, bare: bool = False) -> list[Wanted]:
    """Return what ServiceEntries ask to be verified, those of one target as one: its first entry has its probes."""
    if len(manifests) == 1 and not read(manifests[0]).is_part:
        return [of_manifest(manifests[0], asked, bare=bare)]
    # Few targets have several entries.
    from egressctl.manifests import split_entries as parts

    groups = parts.grouped(manifests)
    return [
        _together(each, asked) if len(each) > 1 or read(each[0]).is_part else of_manifest(each[0], asked, bare=bare)
        for each in groups
    ]


def _together(manifests: Sequence[Manifest], asked: tuple[Probe, ...]) -> Wanted:
    """Return the wish to verify a target of several entries, in the order in which the first of them names all."""
    from egressctl.manifests import split_entries as parts

    by_name = {str(each["metadata"]["name"]): each for each in manifests}
    first = next((each for each in manifests if parts.listed(each)), manifests[0])
    wanted = of_manifest(first, asked)
    listed = parts.listed(first)
    if not listed:  # the first is gone: it had the probes, and without it nobody knows which others there were
        listed = (wanted.name + SUFFIX,)
        wanted = replace(wanted, probes=wanted.probes or derived_probes(read(first)))
    names = tuple(sorted(by_name, key=lambda name: (name != wanted.entry_name, listed.index(name) if name in listed else -1)))
    return replace(
        wanted,
        others=tuple(by_name[name] for name in names[1:]),
        absent=tuple(name for name in listed if name not in by_name),
        names=names,
    )


def verify(
    mesh: Mesh,
    namespace: str,
    choice: SourceChoice,
    wanted: Sequence[Wanted],
    asking: Asking,
    progress: Progress,
    reading: Reading = NOTHING,
) -> list[TargetResult]:
    """Send every target's probes from one source pod, and judge them.

    Without a source pod every probe is inconclusive, with the reason; nothing else that could not be
    asked raises either. Raises InvalidInput for a container that is not there.
    """
    try:
        source = mesh.source(namespace, choice)
    except NoSourcePod as missing:
        return [without_source(each, missing) for each in wanted]
    results = verify_from(mesh, source, wanted, asking, progress, reading)
    if not any(each.split for each in wanted) or asking.expect not in (None, Verdict.OPEN):
        return results
    # Few targets have several entries.
    from egressctl.standing import standing

    parts = standing(mesh, source, wanted, progress, reading)
    return [replace(result, parts=each) for result, each in zip(results, parts, strict=True)]


def verify_from(
    mesh: Mesh, source: Source, wanted: Sequence[Wanted], asking: Asking, progress: Progress, reading: Reading = NOTHING
) -> list[TargetResult]:
    """Send every target's probes from this pod, and judge them; `reading` is what was read of its sidecar just before."""
    count = sum(len(each.probes) for each in wanted)
    plural = "probe" if count == 1 else "probes"
    progress.step(f"sending {count} {plural} from pod {source.namespace}/{source.pod}, container {source.container}")
    return verify_batch(mesh, source, wanted, asking, progress, reading)[0]


def verify_batch(
    mesh: Mesh, source: Source, wanted: Sequence[Wanted], asking: Asking, progress: Progress, reading: Reading
) -> tuple[list[TargetResult], Reading]:
    """Do as `verify_from` without saying so, and return as well what was read of the sidecar last."""
    questions = [question for each in wanted for question in _questions(each, asking)]
    proved = _ask(mesh, source, questions, asking, progress, reading)
    parts = iter(proved.results)
    results = [
        TargetResult(
            name=each.name,
            namespace=each.namespace,
            service_entries=each.entry_names,
            probes=tuple(next(parts) for _ in each.probes),
        )
        for each in wanted
    ]
    return results, proved.reading


def _questions(wanted: Wanted, asking: Asking) -> list[Question]:
    entry = read(wanted.manifest) if wanted.manifest else None
    probes = wanted.probes
    if asking.expect is not None:
        probes = tuple(replace(probe, expect=replace(probe.expect, verdict=asking.expect)) for probe in probes)
    return [Question(probe, wanted.entry_name, entry) for probe in probes]


def _ask(
    mesh: Mesh, source: Source, questions: Sequence[Question], asking: Asking, progress: Progress, reading: Reading
) -> Proved:
    results, last = prove(mesh, source, questions, asking.limits, reading, at_once=asking.at_once)
    for _ in range(_ASK_AGAIN):
        lost = [_lost(each) for each in results]
        if not any(lost):
            break
        last = _again(mesh, source, questions, asking, results, lost)
    for attempt in range(asking.retries):
        # An expected denial that did not hold is never asked for again: that would hide an open door.
        missed = [not each.held and each.probe.expect.verdict is Verdict.OPEN for each in results]
        if not any(missed):
            break
        progress.step(f"{sum(missed)} not as expected, trying again ({attempt + 1} of {asking.retries})")
        time.sleep(_RETRY_PAUSE)
        last = _again(mesh, source, questions, asking, results, missed)
    return Proved(results, last)


def _again(
    mesh: Mesh,
    source: Source,
    questions: Sequence[Question],
    asking: Asking,
    results: list[ProbeResult],
    which: Sequence[bool],
) -> Reading:
    """Ask some of the questions once more and put their results in place; return what was read of the sidecar after them."""
    places = [index for index, chosen in enumerate(which) if chosen]
    limits = replace(asking.limits, local_ports=curl.unusual_ports(chance))
    again = [questions[index] for index in places]
    asked = prove(mesh, source, again, limits, alone=True, last_resort=True, at_once=asking.at_once)
    for index, each in zip(places, asked.results, strict=True):
        results[index] = each
    return asked.reading


def chance(below: int) -> int:
    """Return a number from 0 below the one given, as chance will have it."""
    return int.from_bytes(os.urandom(4), "big") % below


def _lost(result: ProbeResult) -> bool:
    """Say whether the judgement lacks only evidence that another try may bring."""
    if result.verdict not in (Verdict.UNPROVEN, Verdict.INCONCLUSIVE) or result.cause is None:
        return False
    if result.probe.bare and result.evidence is not None and Method.CAPTURED in result.evidence.methods:
        return False  # What it lacks, no bare connection has.
    return result.cause.code in (CauseCode.EVIDENCE_LOST, CauseCode.PROXY_UNREADABLE)


def without_source(wanted: Wanted, missing: NoSourcePod) -> TargetResult:
    """Return the inconclusive result of a target that no pod could be found for."""
    nowhere = Source(wanted.namespace, "", "", None)
    probes = []
    for probe in wanted.probes:
        result = unasked(Question(probe, wanted.entry_name), nowhere, CauseCode.NO_SOURCE_POD, str(missing))
        cause = replace(result.cause, hint=missing.hint or result.cause.hint) if result.cause else None
        probes.append(replace(result, source=None, cause=cause))
    return TargetResult(wanted.name, wanted.namespace, wanted.entry_names, tuple(probes))


def wanted_of_target(target: Target, namespace: str, manifest: Manifest | None, asked: tuple[Probe, ...] = ()) -> Wanted:
    """Return the wish to verify a target of the catalogue or of a file against what is on the Kubernetes cluster."""
    return Wanted(target.name, target.namespace or namespace, target.entry_name, manifest, asked or target.probes)


def wanted_of_targets(mesh: Mesh, targets: Sequence[Target], namespace: str, asked: tuple[Probe, ...] = ()) -> list[Wanted]:
    """Return the wish to verify targets against what is on the Kubernetes cluster, which is looked up."""
    parts = [[each.entry_name for each in entries_of([target])] for target in targets]
    # A target of several entries may still have the one that it was before.
    sought = [list(dict.fromkeys((*names, target.entry_name))) for names, target in zip(parts, targets, strict=True)]
    where = [target.namespace or namespace for target in targets]
    live = iter(look_up(mesh, [(place, name) for place, names in zip(where, sought, strict=True) for name in names]))
    found = []
    for target, names, each in zip(targets, parts, sought, strict=True):
        there = [manifest for manifest in (next(live) for _ in each) if manifest is not None]
        wanted = wanted_of_target(target, namespace, there[0] if there else None, asked)
        if there and len(names) > 1:
            present = tuple(str(manifest["metadata"]["name"]) for manifest in there)
            absent = tuple(name for name in names if name not in present)
            wanted = replace(wanted, entry_name=present[0], others=tuple(there[1:]), absent=absent, names=present)
        found.append(wanted)
    return found


def named(mesh: Mesh, namespace: str, name: str) -> list[Manifest]:
    """Return the ServiceEntries that a name means, NAME-ext before NAME, and with one of a target's several all of them."""
    finding = begin(partial(_of_target, mesh, namespace, name))
    there = [each for each in look_up(mesh, [(namespace, name + SUFFIX), (namespace, name)]) if each is not None]
    of_target = finding()
    if not there:
        return of_target
    if (entry := read(there[0])).is_part and entry.part_of != name:
        of_target = _of_target(mesh, namespace, entry.part_of)
    return [each for each in of_target if read(each).beside(read(there[0]))] or there[:1]


def _of_target(mesh: Mesh, namespace: str, name: str) -> list[Manifest]:
    """List the entries of a target by its label: none where they may not be listed, since one may be read by its name."""
    if not is_label(name):
        return []
    try:
        return [each for each in mesh.entries(namespace, f"{LABEL_TARGET}={name}") if read(each).part_of]
    except (Forbidden, NotFound):
        return []


def bare(probes: tuple[Probe, ...], namespace: str, entry_name: str = "", name: str = "") -> Wanted:
    """Return the wish to verify URLs: with no entry's name, any one ServiceEntry may carry them."""
    return Wanted(name or "url", namespace, entry_name, None, probes)
