"""Send probes and gather the evidence of the way each one took.

The sidecar is read before and after: the counts for their difference, the configuration so that a change
in between is noticed. The questions that do not depend on one another are asked at the same time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import NamedTuple

from egressctl import curl, envoy, ownership
from egressctl.causes import Situation, explain
from egressctl.curl import looks_reset
from egressctl.envoy import BLACKHOLE, PASSTHROUGH
from egressctl.envoy import BLACKHOLE
from egressctl.errors import CouldNotAsk
from egressctl.mesh import Mesh, Sent
from egressctl.model import (
    Capture,
    CauseCode,
    Evidence,
    Outcome,
    Owner,
    Ownership,
    Probe,
    ProbeResult,
    ServiceEntry,
    Source,
    Speech,
    Surroundings,
    Verdict,
    Walk,
)
from egressctl.ownership import exported, lists
from egressctl.parallel import gather
from egressctl.serviceentry import read
from egressctl.sidecar import NOTHING, Look, Reading, look, look_again
from egressctl.verdict import result


@dataclass(frozen=True, slots=True)
class Question:
    """One probe and the ServiceEntry that should carry it, as it is on the Kubernetes cluster (None: not there).

    `entry_name` is empty for a bare URL, which any one ServiceEntry may carry.
    """

    probe: Probe
    entry_name: str = ""
    entry: ServiceEntry | None = None


def prove(
    mesh: Mesh,
    source: Source,
    questions: Sequence[Question],
    limits: curl.Limits,
    reading: Reading = NOTHING,
    *,
    alone: bool = False,
) -> list[ProbeResult]:
    """Send every probe once, and judge each by what can be known of its way. Results stand in the questions' order.

    `reading` is what was read of the sidecar just before: what it lacks is read now. `alone` gives each probe a connection
    of its own, however many there are. Raises nothing for what could not be asked: that is in the results.
    """
    look_before, near = _look_before(mesh, source, questions, reading)
    sent = _send(mesh, source, [question.probe for question in questions], limits, alone)
    speeches = [question.probe.speech for question in questions]
    places = [_Place(*_address(each), speech) for each, speech in zip(sent, speeches, strict=True)]
    after = _look_after(mesh, source, look_before, sent, places, limits) if look_before else _NOT_READ
    # Many probes of one place go one way: it is followed once.
    walk_to = cache(partial(_walk, after.before, after.after))
    walks = [_decided(walk_to(place), place, after.before, after.after) for place in places]
    expected = _connections(sent, walks)
    gathered = _Gathered(source, after.before, after.after, near, cache(partial(_around_or_none, mesh, source.namespace)))
    owners: dict[tuple[object, ...], Owner | None] = {}
    results = []
    for index, (question, each, walk) in enumerate(zip(questions, sent, walks, strict=True)):
        if each.outcome is None or each.failure:
            results.append(unasked(question, source, each.failure or CauseCode.EVIDENCE_LOST, each.detail))
            continue
        asked = (id(question.entry), question.entry_name, question.probe.port, question.probe.expect.via, walk)
        if asked not in owners:
            owners[asked] = _owner(question, walk, gathered)
        evidence = _evidence(question, walk, owners[asked], gathered)
        if index in after.companions:
            evidence = replace(evidence, capture=after.companions[index], companion=True)
        else:
            evidence = replace(evidence, capture=each.capture)
        evidence = _counted(evidence, each, after.before, after.after, expected)
        at = Situation(question.probe, source, each.outcome, evidence, question.entry_name, question.entry)
        results.append(_judged(at, gathered))
    return results


class _Place(NamedTuple):
    """Where a probe's connection led, an empty address where there was none, and how its client spoke."""

    ip: str
    port: int
    speech: Speech


@dataclass(frozen=True, slots=True)
class _After:
    """Both readings of the sidecar, and what the companions of refused probes showed, by the probe's index."""

    before: Reading
    after: Reading
    companions: Mapping[int, Capture]


_NOT_READ = _After(NOTHING, NOTHING, {})


@dataclass(frozen=True, slots=True)
class _Gathered:
    """What is known beside one probe's own outcome.

    `near` are the ServiceEntries of the namespaces of those in question; `around` reads what else there is, once.
    """

    source: Source
    before: Reading
    after: Reading
    near: tuple[ServiceEntry, ...] | None
    around: Callable[[], Surroundings | None]


_LOOK_AROUND = (Verdict.BLOCKED, Verdict.BYPASSED, Verdict.FAILED)
"""The verdicts whose cause may lie in another object of the mesh."""


def _judged(at: Situation, gathered: _Gathered) -> ProbeResult:
    """Judge a probe, and only where something else may be to blame with all that is around."""
    judged = result(at)
    may_be_others = judged.verdict in _LOOK_AROUND and at.source.proxy is not None and at.entry is not None
    walk = at.evidence.walk
    if may_be_others and walk is not None and at.evidence.capture is not Capture.NOT_CAPTURED:
        return result(replace(at, around=gathered.around()))
    return judged


def _evidence(question: Question, walk: Walk | None, owner: Owner | None, gathered: _Gathered) -> Evidence:
    config = gathered.after.config
    if config is None:
        return Evidence(walk=walk, owner=owner)
    leads_to = (config.envoy_clusters or {}).get(walk.envoy_cluster or "") if walk else None
    wrapped = leads_to.destination_rule if leads_to and leads_to.tls and not question.probe.expect.via else ""
    return Evidence(
        walk=walk,
        owner=owner,
        policy=envoy.outbound_policy(config),
        refused=envoy.refusal(config, question.entry) if question.entry else "",
        destination_rule=wrapped,
        endpoints=_endpoints(leads_to, gathered),
    )


def _endpoints(of: envoy.EnvoyCluster | None, gathered: _Gathered) -> int | None:
    """Count the hosts of an Envoy cluster that has hosts of its own; the more of the two readings, for they come and go."""
    readings = [each.counts.get(of.name) for each in (gathered.before, gathered.after) if of and each.counts is not None]
    if of is None or of.type in ("", "ORIGINAL_DST") or len(readings) < 2 or None in readings:
        return None
    return max(len(each.hosts) for each in readings if each)


def unasked(question: Question, source: Source, code: CauseCode, detail: str) -> ProbeResult:
    """Return the inconclusive result of a probe that could not be sent, or whose answer was lost."""
    situation = Situation(question.probe, source, Outcome(curl_exit=-1), Evidence(), question.entry_name, question.entry)
    expected = question.probe.expect.verdict is Verdict.INCONCLUSIVE
    return ProbeResult(question.probe, source, Verdict.INCONCLUSIVE, expected, explain(code, situation, detail))


def _look_before(
    mesh: Mesh, source: Source, questions: Sequence[Question], known: Reading
) -> tuple[Look | None, tuple[ServiceEntry, ...] | None]:
    """Look at the sidecar, and list the ServiceEntries beside those in question: None where they could not be."""
    entries = [(question.entry, question.probe.port) for question in questions if question.entry]
    likely = {f"outbound|{port}||{host}" for entry, port in entries for host in entry.hosts}
    looking = look(mesh, source, known, likely) if source.proxy else None
    namespaces = {entry.namespace for entry, _ in entries}
    try:
        near: tuple[ServiceEntry, ...] | None = tuple(read(each) for name in namespaces for each in mesh.entries(name))
    except CouldNotAsk:
        near = None
    return looking() if looking else None, near


def _around_or_none(mesh: Mesh, namespace: str) -> Surroundings | None:
    try:
        return surroundings(mesh, namespace, services=False)
    except CouldNotAsk:
        return None


def _send(mesh: Mesh, source: Source, probes: Sequence[Probe], limits: curl.Limits, alone: bool) -> list[Sent]:
    sent = _gathered(mesh.send(source, enumerate(probes), limits, alone=alone))
    # What fails on a connection that others opened says nothing of how its own would have been met.
    spoilt = [index for index, each in sent.items() if each.outcome and each.outcome.reused and each.outcome.curl_exit]
    if spoilt:
        sent |= _gathered(mesh.send(source, [(index, probes[index]) for index in spoilt], limits, alone=True))
    return [sent[index] for index in range(len(probes))]


def _gathered(calls: Sequence[Callable[[], list[tuple[int, Sent]]]]) -> dict[int, Sent]:
    return dict(pair for part in gather(calls, at_most=curl.EXECS_AT_ONCE) for pair in part)


def _look_after(
    mesh: Mesh, source: Source, look: Look, sent: Sequence[Sent], places: Sequence[_Place], limits: curl.Limits
) -> _After:
    """Read the sidecar again, and ask for the companions of what it refused, at the same time."""
    looking = look_again(mesh, source, look, set(places))
    config = look.config()
    refused = [index for index, (each, place) in enumerate(zip(sent, places, strict=True)) if _refused(config, each, place)]
    bare = list(dict.fromkeys(places[index][:2] for index in refused))
    by_place = dict(zip(bare, mesh.companions(source, bare, limits), strict=True))
    return _After(*looking(), {index: by_place[places[index][:2]] for index in refused})


def _refused(config: envoy.ProxyConfig | None, sent: Sent, place: _Place) -> bool:
    """Say whether this looks like a refusal by the sidecar that left no row: only then is a companion sent.

    A bare connection to an address that is let out would hang, and be counted there.
    """
    outcome = sent.outcome
    if outcome is None or not outcome.remote_ip or config is None or sent.capture is not Capture.UNKNOWN:
        return False
    walk = envoy.walk(config, *place)
    return looks_reset(outcome) and not walk.unknown and not walk.choices and _may_lead_nowhere(walk)


def _may_lead_nowhere(walk: Walk) -> bool:
    """Say whether the way may end in the sidecar: whether an Envoy cluster exists, or has hosts, is not known yet."""
    return walk.envoy_cluster != PASSTHROUGH


def _address(sent: Sent) -> tuple[str, int]:
    """Return where a probe's connection led, empty where there was none."""
    return (sent.outcome.remote_ip, sent.outcome.remote_port) if sent.outcome else ("", 0)


def _walk(before: Reading, after: Reading, place: _Place) -> Walk | None:
    """Return the way that both configurations lead a connection to this place; unknown where they differ."""
    if before.config is None or after.config is None or not place.ip:
        return None
    first, last = (envoy.walk(config, *place) for config in (before.config, after.config))
    # Whether an Envoy cluster exists is read once, after.
    if not last.unknown and replace(first, absent=last.absent, direct_status=last.direct_status) != last:
        return replace(last, envoy_cluster=None, choices=(), unknown=_CHANGED)
    return last


_CHANGED = "the sidecar's configuration changed while the probe was under way"


def _decided(walk: Walk | None, place: _Place, before: Reading, after: Reading) -> Walk | None:
    """Say which Envoy cluster of a weighted route it was, where the counts of one alone moved."""
    if walk is None or not walk.choices or walk.unknown or before.counts is None or after.counts is None:
        return walk
    moved = [name for name in walk.choices if envoy.moved(before.counts, after.counts, name, place.ip, place.port).requests]
    return replace(walk, envoy_cluster=moved[0]) if len(moved) == 1 else walk


def _place(sent: Sent, walk: Walk | None) -> tuple[str, str, int] | None:
    """Return the Envoy cluster, address and port at which this connection should have been counted."""
    if sent.outcome is None or walk is None or walk.unknown or walk.envoy_cluster is None:
        return None
    return walk.envoy_cluster, sent.outcome.remote_ip, sent.outcome.remote_port


def _connections(sent: Sequence[Sent], walks: Sequence[Walk | None]) -> Counter[tuple[str, str, int]]:
    """Count the connections, or requests of HTTP, of our own that each Envoy cluster and address must account for."""
    distinct = {
        (place, (0, index) if walk and walk.http_route else each.connection)
        for index, (each, walk) in enumerate(zip(sent, walks, strict=True))
        if (place := _place(each, walk))
    }
    return Counter(place for place, _ in distinct)


def _counted(
    evidence: Evidence, sent: Sent, before: Reading, after: Reading, expected: Counter[tuple[str, str, int]]
) -> Evidence:
    place = _place(sent, evidence.walk)
    if place is None or before.counts is None or after.counts is None:
        return evidence
    counts = envoy.moved(before.counts, after.counts, *place)
    # Of HTTP the sidecar uses its connections again. Fewer than our own: which of them was counted cannot be told. More: the
    # pod has other traffic.
    seen = counts.requests if evidence.walk and evidence.walk.http_route else counts.opened
    return replace(evidence, counts=counts, counted=seen >= expected[place])


def _owner(question: Question, walk: Walk | None, gathered: _Gathered) -> Owner | None:
    """Say whose work the Envoy cluster is that the walk leads to; None where it leads to none, or there is no entry to ask for.

    The ServiceEntries of the entry's own namespace suffice to prove that it is the entry's. Those of the others matter to
    name a rival, or where any one may carry a bare URL.
    """
    config, entry = gathered.after.config, question.entry
    if walk is None or walk.unknown or config is None or walk.envoy_cluster in (None, BLACKHOLE):
        return None
    if question.probe.expect.via:
        return ownership.meant(walk, question.probe.expect.via)
    if entry is None and question.entry_name:
        return None
    if entry is None:
        return _anybodys(question, walk, config, gathered)
    found = _whose(entry, question.probe.port, walk, config, gathered.near, gathered.source.namespace)
    around = gathered.around() if found.ownership is not Ownership.OWNED else None
    return _whose(entry, question.probe.port, walk, config, around.entries, gathered.source.namespace) if around else found


def _whose(
    entry: ServiceEntry,
    port: int,
    walk: Walk,
    config: envoy.ProxyConfig,
    entries: tuple[ServiceEntry, ...] | None,
    pod_namespace: str,
) -> Owner:
    if entries is None:
        return Owner(Ownership.UNKNOWN, "the ServiceEntries of the namespace could not be listed")
    others = [other for other in entries if (other.namespace, other.name) != (entry.namespace, entry.name)]
    if len(others) == len(entries):
        # Without the right to list them all, only those of the source's namespace came: others of the entry's may share
        # its Envoy cluster.
        return Owner(Ownership.UNKNOWN, f"the ServiceEntries of namespace {entry.namespace} could not be listed")
    return ownership.owner(walk, config, entry, others, port, pod_namespace=pod_namespace)


def _anybodys(question: Question, walk: Walk, config: envoy.ProxyConfig, gathered: _Gathered) -> Owner:
    """Find the ServiceEntry that carries a bare URL."""
    around = gathered.around()
    if around is None:
        return Owner(Ownership.UNKNOWN, "the ServiceEntries of the namespace could not be listed")
    for entry in around.entries:
        found = _whose(entry, question.probe.port, walk, config, around.entries, gathered.source.namespace)
        if found.ownership is Ownership.OWNED:
            return found
    return Owner(Ownership.UNKNOWN, "no ServiceEntry that may be read claims it")
