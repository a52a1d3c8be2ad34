"""Send probes and gather the evidence of the way each one took.

The sidecar is read before and after: the counts for their difference, the configuration so that a change
in between is noticed. The questions that do not depend on one another are asked at the same time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import NamedTuple

from egressctl.envoy.config import NOTHING, Reading
from egressctl.errors import CouldNotAsk
from egressctl.manifests.service_entry import read
from egressctl.mesh import curl
from egressctl.mesh.client import Mesh
from egressctl.mesh.read_objects import surroundings
from egressctl.mesh.sidecar import Look, look, look_again
from egressctl.model.cause import CauseCode
from egressctl.model.entry import ServiceEntry, Surroundings
from egressctl.model.evidence import Capture, Evidence, Logged, Outcome, Sent, Source
from egressctl.model.probe import Probe, Verdict
from egressctl.model.result import ProbeResult
from egressctl.runtime.concurrency import begin, gather
from egressctl.verify.causes import Situation, explain
from egressctl.verify.evidence import Findings, Question, judged, left_no_row, only_uncounted, refused_here, sought, without_end

_FLUSH_SECONDS = 1.2
"""Envoy writes its access log out once a second (pilot-agent's `--file-flush-interval-msec 1000`)."""


class Proved(NamedTuple):
    """The results of probes, in the questions' order, and what was read of the sidecar after all of their connections."""

    results: list[ProbeResult]
    reading: Reading


def prove(
    mesh: Mesh,
    source: Source,
    questions: Sequence[Question],
    limits: curl.Limits,
    reading: Reading = NOTHING,
    *,
    alone: bool = False,
    last_resort: bool = False,
    at_once: int = curl.EXECS_AT_ONCE,
) -> Proved:
    """Send every probe once, and judge each by what can be known of its way.

    `reading` is what was read of the sidecar just before: what it lacks is read now. `alone` gives each probe a connection
    of its own, however many there are; `last_resort` looks into the sidecar's access log for what nothing else lacks than the
    connection counts; `at_once` is how many execs, each with one probe after the other, are under way at the same time.
    Raises nothing for what could not be asked: that is in the results.
    """
    near = _near(mesh, questions)
    look_before = _look_before(mesh, source, questions, reading)
    began = time.monotonic()
    sent = _send(mesh, source, [question.probe for question in questions], limits, alone, at_once)
    around = cache(partial(_around_or_none, mesh, source.namespace))
    findings = Findings(source, questions, sent, near=near(), around=around)
    if look_before:
        findings = _look_after(mesh, look_before, findings, limits)
    results = judged(findings)
    if last_resort and (logged := _log(mesh, findings, [i for i, each in enumerate(results) if only_uncounted(each)], began)):
        results = judged(replace(findings, logged=logged))
    whole = [
        found or unasked(question, source, each.failure or CauseCode.EVIDENCE_LOST, each.detail)
        for question, each, found in zip(questions, sent, results, strict=True)
    ]
    # A companion may have been counted since.
    return Proved(whole, replace(findings.after, counts=None) if findings.companions else findings.after)


def unasked(question: Question, source: Source, code: CauseCode, detail: str) -> ProbeResult:
    """Return the inconclusive result of a probe that could not be sent, or whose answer was lost."""
    situation = Situation(question.probe, source, Outcome(curl_exit=-1), Evidence(), question.entry_name, question.entry)
    expected = question.probe.expect.verdict is Verdict.INCONCLUSIVE
    return ProbeResult(question.probe, source, Verdict.INCONCLUSIVE, expected, explain(code, situation, detail))


def _look_before(mesh: Mesh, source: Source, questions: Sequence[Question], known: Reading) -> Look | None:
    """Look at the sidecar; None where the pod has none."""
    entries = [(question.entry, question.probe.port) for question in questions if question.entry]
    likely = {f"outbound|{port}||{host}" for entry, port in entries for host in entry.hosts}
    speeches = {question.probe.speech for question in questions}
    return look(mesh, source, known, likely, speeches)() if source.proxy else None


def _near(mesh: Mesh, questions: Sequence[Question]) -> Callable[[], tuple[ServiceEntry, ...] | None]:
    """Begin to list the ServiceEntries beside those in question, and return what waits for them: None where they could not be."""
    namespaces = sorted({question.entry.namespace for question in questions if question.entry})

    def listed() -> tuple[ServiceEntry, ...] | None:
        try:
            return tuple(read(each) for name in namespaces for each in mesh.entries(name))
        except CouldNotAsk:
            return None

    return begin(listed)


def _around_or_none(mesh: Mesh, namespace: str) -> Surroundings | None:
    try:
        return surroundings(mesh, namespace, services=False)
    except CouldNotAsk:
        return None


def _send(mesh: Mesh, source: Source, probes: Sequence[Probe], limits: curl.Limits, alone: bool, at_once: int) -> list[Sent]:
    sent = _gathered(mesh.send(source, enumerate(probes), limits, alone=alone), at_once)
    # What fails on a connection that others opened says nothing of how its own would have been met.
    spoilt = [index for index, each in sent.items() if each.outcome and each.outcome.reused and each.outcome.curl_exit]
    if spoilt:
        sent |= _gathered(mesh.send(source, [(index, probes[index]) for index in spoilt], limits, alone=True), at_once)
    return [sent[index] for index in range(len(probes))]


def _gathered(calls: Sequence[Callable[[], list[tuple[int, Sent]]]], at_once: int) -> dict[int, Sent]:
    return dict(pair for part in gather(calls, at_most=at_once) for pair in part)


def _look_after(mesh: Mesh, look: Look, findings: Findings, limits: curl.Limits) -> Findings:
    """Read the sidecar again, and ask for the companions of what it refused, at the same time.

    A bare connection to an address that is let out would hang, and be counted there. Whether an Envoy cluster exists, and
    has hosts, is known only afterwards: then the companions of those follow.
    """
    places = findings.places
    looking = look_again(mesh, findings.source, look, set(places))
    config = look.config()
    refused = [index for index, each in enumerate(findings.sent) if refused_here(config, each, places[index])]
    companions = _companions(mesh, findings, refused, limits)
    before, after = looking()
    unseen = [index for index, each in enumerate(findings.sent) if left_no_row(each) and index not in companions]
    late = [index for index in unseen if without_end(places[index], before, after)]
    companions |= _companions(mesh, findings, late, limits)
    return replace(findings, before=before, after=after, companions=companions)


def _log(mesh: Mesh, findings: Findings, indices: Sequence[int], since: float) -> dict[int, Logged]:
    """Look for connections in the sidecar's access log; a second time where one is not there yet."""
    # Few commands come to this.
    from egressctl.envoy import access_log

    wanted, found = sought(findings, indices), dict[int, Logged]()
    for pause in (0.0, _FLUSH_SECONDS) if wanted else ():
        time.sleep(pause)
        # No older line: another connection may have had the same ends.
        try:
            text = mesh.proxy_log(findings.source, math.ceil(time.monotonic() - since) + 1)
        except CouldNotAsk:
            break
        told = {index: access_log.find(text, *connection) for index, connection in wanted.items()}
        found = {index: each for index, each in told.items() if each is not None}
        if len(found) == len(wanted):
            break
    return found


def _companions(mesh: Mesh, findings: Findings, indices: Sequence[int], limits: curl.Limits) -> dict[int, Capture]:
    wanted = {index: findings.places[index][:2] for index in indices}
    bare = list(dict.fromkeys(wanted.values()))
    found = dict(zip(bare, mesh.companions(findings.source, bare, limits), strict=True)) if bare else {}
    return {index: found[place] for index, place in wanted.items()}
