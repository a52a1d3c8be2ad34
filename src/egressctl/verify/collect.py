"""Send probes and gather the evidence of the way each one took.

The sidecar is read before and after: the counts for their difference, the configuration so that a change
in between is noticed. The questions that do not depend on one another are asked at the same time.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

from egressctl.errors import CouldNotAsk
from egressctl.manifests.service_entry import read_entry
from egressctl.mesh import curl
from egressctl.mesh.client import Mesh
from egressctl.mesh.read_objects import read_mesh_objects
from egressctl.mesh.send_probes import open_companions, send_probes
from egressctl.mesh.sidecar import FirstReading, Sidecar
from egressctl.model.entry import MeshObjects, ServiceEntry
from egressctl.model.evidence import Capture, LoggedConnection, ProbeSent
from egressctl.model.probe import Probe
from egressctl.model.result import ProbeResult
from egressctl.runtime.concurrency import gather, start_call
from egressctl.verify.evidence import (
    Question,
    RunFacts,
    cases_of,
    config_refuses,
    connections_to_look_up,
    leads_to_no_host,
    likely_envoy_clusters,
    looks_refused_without_row,
    may_be_in_log,
    needs_mesh_objects,
)
from egressctl.verify.verdict import judge

_FLUSH_SECONDS = 1.2
"""Envoy writes its access log out once a second (pilot-agent's `--file-flush-interval-msec 1000`)."""


def prove(
    mesh: Mesh,
    sidecar: Sidecar,
    questions: Sequence[Question],
    limits: curl.TransferLimits,
    *,
    alone: bool = False,
    last_resort: bool = False,
    at_once: int = curl.EXECS_AT_ONCE,
) -> list[ProbeResult]:
    """Send every probe once, and judge each by what can be known of its way; return the results in the questions' order.

    What is known of the sidecar is not read again, and what is read of it after the probes is known from then on. `alone`
    gives each probe a connection of its own, however many there are; `last_resort` looks into the sidecar's access log for
    probes that miss nothing but the connection counts; `at_once` is how many execs, each with one probe after the other, are
    under way at the same time. Raises nothing for what could not be asked: that is in the results.
    """
    near = _begin_listing_entries(mesh, questions)
    before = _look_before(sidecar, questions) if sidecar.source.proxy else None
    began = time.monotonic()
    sent = _send(sidecar, [question.probe for question in questions], limits, alone, at_once)
    facts = RunFacts(sidecar.source, questions, sent, near=near())
    if before:
        facts = _look_after(sidecar, before, facts, limits)
    results = list(map(judge, cases_of(facts)))
    if any(map(needs_mesh_objects, results, questions)) and (around := _mesh_objects_or_none(mesh, sidecar.source.namespace)):
        facts = replace(facts, around=around)
        results = list(map(judge, cases_of(facts)))
    lacking = [index for index, result in enumerate(results) if last_resort and may_be_in_log(result, facts.after)]
    if logged := _search_access_log(sidecar, facts, lacking, began):
        results = list(map(judge, cases_of(replace(facts, logged=logged))))
    config = facts.after.config
    # The routes are those of these hosts, and a companion may have been counted since.
    sidecar.known = replace(
        facts.after,
        config=None if facts.after.doubt else config and replace(config, routes=None),
        counts=None if facts.companions else facts.after.counts,
        doubt="",
        unread="",
    )
    return results


def _look_before(sidecar: Sidecar, questions: Sequence[Question]) -> FirstReading:
    return sidecar.look_before(likely_envoy_clusters(questions), {question.probe.speech for question in questions})


def _begin_listing_entries(mesh: Mesh, questions: Sequence[Question]) -> Callable[[], tuple[ServiceEntry, ...] | None]:
    """Begin to list the other ServiceEntries, and return what waits for them: None where they could not be."""
    namespaces = sorted({question.entry.namespace for question in questions if question.entry})

    def listed() -> tuple[ServiceEntry, ...] | None:
        try:
            return tuple(read_entry(manifest) for name in namespaces for manifest in mesh.entries(name))
        except CouldNotAsk:
            return None

    return start_call(listed)


def _mesh_objects_or_none(mesh: Mesh, namespace: str) -> MeshObjects | None:
    try:
        return read_mesh_objects(mesh, namespace, services=False)
    except CouldNotAsk:
        return None


def _send(sidecar: Sidecar, probes: Sequence[Probe], limits: curl.TransferLimits, alone: bool, at_once: int) -> list[ProbeSent]:
    def run(numbered: Sequence[tuple[int, Probe]], *, alone: bool) -> dict[int, ProbeSent]:
        calls = send_probes(sidecar.api, sidecar.source, numbered, limits, alone=alone)
        return dict(pair for part in gather(calls, at_most=at_once) for pair in part)

    sent = run(list(enumerate(probes)), alone=alone)
    # What fails on a connection that others opened says nothing of how its own would have been met.
    spoilt = [index for index, each in sent.items() if each.outcome and each.outcome.reused and each.outcome.curl_exit]
    if spoilt:
        sent |= run([(index, probes[index]) for index in spoilt], alone=True)
    return [sent[index] for index in range(len(probes))]


def _look_after(sidecar: Sidecar, look: FirstReading, facts: RunFacts, limits: curl.TransferLimits) -> RunFacts:
    """Read the sidecar again, and ask for the companions of what it refused, at the same time.

    A bare connection to an address that is let out would hang, and be counted there. Whether an Envoy cluster exists, and
    has hosts, is known only afterwards: then the companions of those follow.
    """
    places = facts.places
    looking = sidecar.look_after(look, set(places))
    config = look.config()
    refused = [index for index, sent in enumerate(facts.sent) if config_refuses(config, sent, places[index])]
    companions = _companions(sidecar, facts, refused, limits)
    before, after = looking()
    unseen = [index for index, sent in enumerate(facts.sent) if looks_refused_without_row(sent) and index not in companions]
    late = [index for index in unseen if leads_to_no_host(places[index], before, after)]
    companions |= _companions(sidecar, facts, late, limits)
    return replace(facts, before=before, after=after, companions=companions)


def _companions(sidecar: Sidecar, facts: RunFacts, indices: Sequence[int], limits: curl.TransferLimits) -> dict[int, Capture]:
    wanted = {index: facts.places[index][:2] for index in indices}
    bare = list(dict.fromkeys(wanted.values()))
    found = dict(zip(bare, open_companions(sidecar.api, sidecar.source, bare, limits), strict=True))
    return {index: found[place] for index, place in wanted.items()}


def _search_access_log(sidecar: Sidecar, facts: RunFacts, indices: Sequence[int], since: float) -> dict[int, LoggedConnection]:
    """Look for connections in the sidecar's access log; a second time where one is not there yet."""
    if not indices:
        return {}
    # Few commands come to this.
    from egressctl.envoy import access_log  # imported late: 2 ms

    wanted, found = connections_to_look_up(facts, indices), dict[int, LoggedConnection]()
    for pause in (0.0, _FLUSH_SECONDS) if wanted else ():
        time.sleep(pause)
        # No older line: another connection may have had the same ends.
        try:
            text = sidecar.log(math.ceil(time.monotonic() - since) + 1)
        except CouldNotAsk:
            break
        told = {index: access_log.find_connection(text, *connection) for index, connection in wanted.items()}
        found = {index: logged for index, logged in told.items() if logged is not None}
        if len(found) == len(wanted):
            break
    return found
