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

from egressctl.envoy.config import NOTHING_READ, Reading
from egressctl.errors import CouldNotAsk
from egressctl.manifests.service_entry import read_entry
from egressctl.mesh import curl
from egressctl.mesh.client import Mesh
from egressctl.mesh.read_objects import read_mesh_objects
from egressctl.mesh.sidecar import FirstReading, begin_first_reading, begin_second_reading
from egressctl.model.cause import CauseCode
from egressctl.model.entry import MeshObjects, ServiceEntry
from egressctl.model.evidence import Capture, CurlOutcome, Evidence, LoggedConnection, ProbeSent, Source
from egressctl.model.probe import Probe, Verdict
from egressctl.model.result import ProbeResult
from egressctl.runtime.concurrency import gather, start_call
from egressctl.verify.causes import Case, explain_cause
from egressctl.verify.evidence import (
    Question,
    RunFacts,
    config_refuses,
    connections_to_look_up,
    judge_all,
    lacks_only_count,
    leads_to_no_host,
    looks_refused_without_row,
)

_FLUSH_SECONDS = 1.2
"""Envoy writes its access log out once a second (pilot-agent's `--file-flush-interval-msec 1000`)."""


class ProofResults(NamedTuple):
    """The results of probes, in the questions' order, and what was read of the sidecar after all of their connections."""

    results: list[ProbeResult]
    reading: Reading


def prove(
    mesh: Mesh,
    source: Source,
    questions: Sequence[Question],
    limits: curl.TransferLimits,
    reading: Reading = NOTHING_READ,
    *,
    alone: bool = False,
    last_resort: bool = False,
    at_once: int = curl.EXECS_AT_ONCE,
) -> ProofResults:
    """Send every probe once, and judge each by what can be known of its way.

    `reading` is what was read of the sidecar just before: what it lacks is read now. `alone` gives each probe a connection
    of its own, however many there are; `last_resort` looks into the sidecar's access log for what nothing else lacks than the
    connection counts; `at_once` is how many execs, each with one probe after the other, are under way at the same time.
    Raises nothing for what could not be asked: that is in the results.
    """
    near = _begin_listing_entries(mesh, questions)
    look_before = _begin_reading_sidecar(mesh, source, questions, reading)
    began = time.monotonic()
    sent = _send(mesh, source, [question.probe for question in questions], limits, alone, at_once)
    around = cache(partial(_mesh_objects_or_none, mesh, source.namespace))
    findings = RunFacts(source, questions, sent, near=near(), around=around)
    if look_before:
        findings = _finish_reading_sidecar(mesh, look_before, findings, limits)
    results = judge_all(findings)
    if last_resort and (
        logged := _search_access_log(mesh, findings, [i for i, each in enumerate(results) if lacks_only_count(each)], began)
    ):
        results = judge_all(replace(findings, logged=logged))
    whole = [
        found or inconclusive_result(question, source, each.failure or CauseCode.EVIDENCE_LOST, each.detail)
        for question, each, found in zip(questions, sent, results, strict=True)
    ]
    # A companion may have been counted since.
    return ProofResults(whole, replace(findings.after, counts=None) if findings.companions else findings.after)


def inconclusive_result(question: Question, source: Source, code: CauseCode, detail: str) -> ProbeResult:
    """Return the inconclusive result of a probe that could not be sent, or whose answer was lost."""
    situation = Case(question.probe, source, CurlOutcome(curl_exit=-1), Evidence(), question.entry_name, question.entry)
    expected = question.probe.expect.verdict is Verdict.INCONCLUSIVE
    return ProbeResult(question.probe, source, Verdict.INCONCLUSIVE, expected, explain_cause(code, situation, detail))


def _begin_reading_sidecar(mesh: Mesh, source: Source, questions: Sequence[Question], known: Reading) -> FirstReading | None:
    """Look at the sidecar; None where the pod has none."""
    entries = [(question.entry, question.probe.port) for question in questions if question.entry]
    likely = {f"outbound|{port}||{host}" for entry, port in entries for host in entry.hosts}
    speeches = {question.probe.speech for question in questions}
    return begin_first_reading(mesh, source, known, likely, speeches)() if source.proxy else None


def _begin_listing_entries(mesh: Mesh, questions: Sequence[Question]) -> Callable[[], tuple[ServiceEntry, ...] | None]:
    """Begin to list the ServiceEntries beside those in question, and return what waits for them: None where they could not be."""
    namespaces = sorted({question.entry.namespace for question in questions if question.entry})

    def listed() -> tuple[ServiceEntry, ...] | None:
        try:
            return tuple(read_entry(each) for name in namespaces for each in mesh.entries(name))
        except CouldNotAsk:
            return None

    return start_call(listed)


def _mesh_objects_or_none(mesh: Mesh, namespace: str) -> MeshObjects | None:
    try:
        return read_mesh_objects(mesh, namespace, services=False)
    except CouldNotAsk:
        return None


def _send(
    mesh: Mesh, source: Source, probes: Sequence[Probe], limits: curl.TransferLimits, alone: bool, at_once: int
) -> list[ProbeSent]:
    sent = _run_calls(mesh.send(source, enumerate(probes), limits, alone=alone), at_once)
    # What fails on a connection that others opened says nothing of how its own would have been met.
    spoilt = [index for index, each in sent.items() if each.outcome and each.outcome.reused and each.outcome.curl_exit]
    if spoilt:
        sent |= _run_calls(mesh.send(source, [(index, probes[index]) for index in spoilt], limits, alone=True), at_once)
    return [sent[index] for index in range(len(probes))]


def _run_calls(calls: Sequence[Callable[[], list[tuple[int, ProbeSent]]]], at_once: int) -> dict[int, ProbeSent]:
    return dict(pair for part in gather(calls, at_most=at_once) for pair in part)


def _finish_reading_sidecar(mesh: Mesh, look: FirstReading, findings: RunFacts, limits: curl.TransferLimits) -> RunFacts:
    """Read the sidecar again, and ask for the companions of what it refused, at the same time.

    A bare connection to an address that is let out would hang, and be counted there. Whether an Envoy cluster exists, and
    has hosts, is known only afterwards: then the companions of those follow.
    """
    places = findings.places
    looking = begin_second_reading(mesh, findings.source, look, set(places))
    config = look.config()
    refused = [index for index, each in enumerate(findings.sent) if config_refuses(config, each, places[index])]
    companions = _companions(mesh, findings, refused, limits)
    before, after = looking()
    unseen = [index for index, each in enumerate(findings.sent) if looks_refused_without_row(each) and index not in companions]
    late = [index for index in unseen if leads_to_no_host(places[index], before, after)]
    companions |= _companions(mesh, findings, late, limits)
    return replace(findings, before=before, after=after, companions=companions)


def _search_access_log(mesh: Mesh, findings: RunFacts, indices: Sequence[int], since: float) -> dict[int, LoggedConnection]:
    """Look for connections in the sidecar's access log; a second time where one is not there yet."""
    # Few commands come to this.
    from egressctl.envoy import access_log

    wanted, found = connections_to_look_up(findings, indices), dict[int, LoggedConnection]()
    for pause in (0.0, _FLUSH_SECONDS) if wanted else ():
        time.sleep(pause)
        # No older line: another connection may have had the same ends.
        try:
            text = mesh.proxy_log(findings.source, math.ceil(time.monotonic() - since) + 1)
        except CouldNotAsk:
            break
        told = {index: access_log.find_connection(text, *connection) for index, connection in wanted.items()}
        found = {index: each for index, each in told.items() if each is not None}
        if len(found) == len(wanted):
            break
    return found


def _companions(mesh: Mesh, findings: RunFacts, indices: Sequence[int], limits: curl.TransferLimits) -> dict[int, Capture]:
    wanted = {index: findings.places[index][:2] for index in indices}
    bare = list(dict.fromkeys(wanted.values()))
    found = dict(zip(bare, mesh.companions(findings.source, bare, limits), strict=True)) if bare else {}
    return {index: found[place] for index, place in wanted.items()}
