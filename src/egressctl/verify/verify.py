"""Prove, for one or more targets, which Envoy cluster carries their probes."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from egressctl.envoy.config import NOTHING_READ, Reading
from egressctl.errors import NoSourcePod
from egressctl.manifests.service_entry import read_entry
from egressctl.mesh import curl
from egressctl.mesh.client import Mesh
from egressctl.mesh.source_pod import SourceChoice
from egressctl.model.cause import CauseCode
from egressctl.model.evidence import Method, Source
from egressctl.model.probe import Verdict
from egressctl.model.result import ProbeResult, TargetResult
from egressctl.runtime.progress import Progress
from egressctl.verify.collect import ProofResults, inconclusive_result, prove
from egressctl.verify.evidence import Question
from egressctl.verify.select import VerifyTarget

_RETRY_PAUSE = 1.0
"""Seconds between two tries that the person asked for."""

_ASK_AGAIN = 1
"""How often evidence that was lost is asked for again, unasked: hosts go with their counts 6 to 10 seconds
after their last connection, and a short exec loses its streams once in some hundreds."""


@dataclass(frozen=True, slots=True)
class ProbeOptions:
    """How to ask: limits of a transfer, tries after an answer that was not the expected one, another expectation.

    `at_once` is how many probes are under way at the same time.
    """

    limits: curl.TransferLimits = curl.DEFAULT_LIMITS
    retries: int = 0
    expect: Verdict | None = None
    at_once: int = curl.EXECS_AT_ONCE


def verify(
    mesh: Mesh,
    namespace: str,
    choice: SourceChoice,
    wanted: Sequence[VerifyTarget],
    options: ProbeOptions,
    progress: Progress,
    reading: Reading = NOTHING_READ,
) -> list[TargetResult]:
    """Send every target's probes from one source pod, and judge them.

    Without a source pod every probe is inconclusive, with the reason; nothing else that could not be
    asked raises either. Raises InvalidInput for a container that is not there.
    """
    try:
        source = mesh.source(namespace, choice)
    except NoSourcePod as missing:
        return [result_without_source(each, missing) for each in wanted]
    results = verify_from(mesh, source, wanted, options, progress, reading)
    if not any(each.split for each in wanted) or options.expect not in (None, Verdict.OPEN):
        return results
    # Few targets have several entries.
    from egressctl.verify.split_targets import split_target_results

    parts = split_target_results(mesh, source, wanted, progress, reading)
    return [replace(result, parts=each) for result, each in zip(results, parts, strict=True)]


def verify_from(
    mesh: Mesh,
    source: Source,
    wanted: Sequence[VerifyTarget],
    options: ProbeOptions,
    progress: Progress,
    reading: Reading = NOTHING_READ,
) -> list[TargetResult]:
    """Send every target's probes from this pod, and judge them; `reading` is what was read of its sidecar just before."""
    count = sum(len(each.probes) for each in wanted)
    plural = "probe" if count == 1 else "probes"
    progress.step(f"sending {count} {plural} from pod {source.namespace}/{source.pod}, container {source.container}")
    return verify_batch(mesh, source, wanted, options, progress, reading)[0]


def verify_batch(
    mesh: Mesh, source: Source, wanted: Sequence[VerifyTarget], options: ProbeOptions, progress: Progress, reading: Reading
) -> tuple[list[TargetResult], Reading]:
    """Do as `verify_from` without saying so, and return as well what was read of the sidecar last."""
    questions = [question for each in wanted for question in _questions(each, options)]
    proved = _ask(mesh, source, questions, options, progress, reading)
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


def _questions(wanted: VerifyTarget, options: ProbeOptions) -> list[Question]:
    entry = read_entry(wanted.manifest) if wanted.manifest else None
    probes = wanted.probes
    if options.expect is not None:
        probes = tuple(replace(probe, expect=replace(probe.expect, verdict=options.expect)) for probe in probes)
    return [Question(probe, wanted.entry_name, entry) for probe in probes]


def _ask(
    mesh: Mesh, source: Source, questions: Sequence[Question], options: ProbeOptions, progress: Progress, reading: Reading
) -> ProofResults:
    results, last = prove(mesh, source, questions, options.limits, reading, at_once=options.at_once)
    for _ in range(_ASK_AGAIN):
        lost = [_lost_evidence(each) for each in results]
        if not any(lost):
            break
        last = _ask_some_again(mesh, source, questions, options, results, lost)
    for attempt in range(options.retries):
        # An expected denial that did not hold is never asked for again: that would hide an open door.
        missed = [not each.held and each.probe.expect.verdict is Verdict.OPEN for each in results]
        if not any(missed):
            break
        progress.step(f"{sum(missed)} not as expected, trying again ({attempt + 1} of {options.retries})")
        time.sleep(_RETRY_PAUSE)
        last = _ask_some_again(mesh, source, questions, options, results, missed)
    return ProofResults(results, last)


def _ask_some_again(
    mesh: Mesh,
    source: Source,
    questions: Sequence[Question],
    options: ProbeOptions,
    results: list[ProbeResult],
    which: Sequence[bool],
) -> Reading:
    """Ask some of the questions once more and put their results in place; return what was read of the sidecar after them."""
    places = [index for index, chosen in enumerate(which) if chosen]
    limits = replace(options.limits, local_ports=curl.unusual_ports(random_below))
    again = [questions[index] for index in places]
    asked = prove(mesh, source, again, limits, alone=True, last_resort=True, at_once=options.at_once)
    for index, each in zip(places, asked.results, strict=True):
        results[index] = each
    return asked.reading


def random_below(below: int) -> int:
    """Return a number from 0 below the one given, as chance will have it."""
    return int.from_bytes(os.urandom(4), "big") % below


def _lost_evidence(result: ProbeResult) -> bool:
    """Say whether the judgement lacks only evidence that another try may bring."""
    if result.verdict not in (Verdict.UNPROVEN, Verdict.INCONCLUSIVE) or result.cause is None:
        return False
    if result.probe.bare and result.evidence is not None and Method.CAPTURED in result.evidence.methods:
        return False  # What it lacks, no bare connection has.
    return result.cause.code in (CauseCode.EVIDENCE_LOST, CauseCode.PROXY_UNREADABLE)


def result_without_source(wanted: VerifyTarget, missing: NoSourcePod) -> TargetResult:
    """Return the inconclusive result of a target that no pod could be found for."""
    nowhere = Source(wanted.namespace, "", "", None)
    probes = []
    for probe in wanted.probes:
        result = inconclusive_result(Question(probe, wanted.entry_name), nowhere, CauseCode.NO_SOURCE_POD, str(missing))
        cause = replace(result.cause, hint=missing.hint or result.cause.hint) if result.cause else None
        probes.append(replace(result, source=None, cause=cause))
    return TargetResult(wanted.name, wanted.namespace, wanted.entry_names, tuple(probes))
