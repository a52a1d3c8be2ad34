"""Send probes and gather the evidence of the way each one took.

The sidecar is read before and after: the counts for their difference, the configuration so that a change
in between is noticed. The questions that do not depend on one another are asked at the same time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

from egressctl import curl, envoy, ownership
from egressctl.causes import Situation, explain
from egressctl.curl import looks_reset
from egressctl.errors import CouldNotAsk
from egressctl.mesh import Mesh, Sent
from egressctl.model import (
    SILENT,
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
    Verdict,
    Walk,
)
from egressctl.parallel import gather
from egressctl.serviceentry import read
from egressctl.sidecar import NOTHING, Look, Reading, look, look_again
from egressctl.verdict import BLACKHOLE, exported, lists, result


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
    before, after, companions = _look_after(mesh, source, look_before, sent, limits) if look_before else (NOTHING, NOTHING, {})
    # Many probes of one place go one way: it is followed once.
    walk_to = cache(partial(_walk, before, after))
    walks = [walk_to(*_address(each)) for each in sent]
    expected = _connections(sent, walks)
    policy = envoy.outbound_policy(after.config) if after.config else ""
    owners: dict[tuple[object, ...], Owner | None] = {}
    everywhere = cache(partial(_none_or_all, mesh, source.namespace))
    results = []
    for index, (question, each, walk) in enumerate(zip(questions, sent, walks, strict=True)):
        if each.outcome is None or each.failure:
            results.append(unasked(question, source, each.failure or CauseCode.EVIDENCE_LOST, each.detail))
            continue
        probe, outcome = question.probe, each.outcome
        asked = (id(question.entry), question.entry_name, probe.port, probe.expect.via, *_address(each))
        if asked not in owners:
            owner = _owner(question, outcome, walk, after, near, source.namespace)
            if _needs_all(question, walk, owner):
                owner = _owner(question, outcome, walk, after, everywhere(), source.namespace)
            owners[asked] = owner
        evidence = Evidence(
            capture=companions.get(index, each.capture),
            companion=index in companions,
            walk=walk,
            owner=owners[asked],
            policy=policy,
        )
        evidence = _counted(evidence, each, before, after, expected)
        results.append(result(Situation(probe, source, outcome, evidence, question.entry_name, question.entry)))
    return results


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


def _none_or_all(mesh: Mesh, namespace: str) -> tuple[ServiceEntry, ...] | None:
    try:
        return mesh.neighbours(namespace)[0]
    except CouldNotAsk:
        return None


def _needs_all(question: Question, walk: Walk | None, owner: Owner | None) -> bool:
    """Say whether the ServiceEntries of other namespaces matter: to name a rival, or where any one may carry a bare URL.

    Those of the entry's own namespace suffice to prove that it is the entry's Envoy cluster.
    """
    if walk is None or walk.unknown:
        return False
    if question.entry is not None:
        return owner is None or owner.ownership is not Ownership.OWNED
    return not question.entry_name


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
    mesh: Mesh, source: Source, look: Look, sent: Sequence[Sent], limits: curl.Limits
) -> tuple[Reading, Reading, dict[int, Capture]]:
    """Read the sidecar again, and ask for the companions of what it refused, at the same time."""
    addresses = [_address(each) for each in sent]
    looking = look_again(mesh, source, look, {(*address, SILENT) for address in addresses})
    config = look.config()
    refused = [index for index, each in enumerate(sent) if _refused(config, each)]
    places = list(dict.fromkeys(addresses[index] for index in refused))
    by_place = dict(zip(places, mesh.companions(source, places, limits), strict=True))
    return *looking(), {index: by_place[addresses[index]] for index in refused}


def _refused(config: envoy.ProxyConfig | None, sent: Sent) -> bool:
    """Say whether this looks like a refusal by the sidecar that left no row: only then is a companion sent.

    A bare connection to an address that is let out would hang, and be counted there.
    """
    outcome = sent.outcome
    if outcome is None or not outcome.remote_ip or config is None or sent.capture is not Capture.UNKNOWN:
        return False
    walk = envoy.walk(config, outcome.remote_ip, outcome.remote_port)
    return looks_reset(outcome) and not walk.unknown and walk.envoy_cluster in (None, BLACKHOLE)


def _address(sent: Sent) -> tuple[str, int]:
    """Return where a probe's connection led, empty where there was none."""
    return (sent.outcome.remote_ip, sent.outcome.remote_port) if sent.outcome else ("", 0)


def _walk(before: Reading, after: Reading, ip: str, port: int) -> Walk | None:
    """Return the way that both configurations lead a connection to this address; unknown where they differ."""
    if before.config is None or after.config is None or not ip:
        return None
    first, last = (_judged(envoy.walk(config, ip, port)) for config in (before.config, after.config))
    ways = [(each.listener, each.envoy_cluster, each.prefix, each.unknown) for each in (first, last)]
    if not last.unknown and ways[0] != ways[1]:
        return replace(last, envoy_cluster=None, unknown="the sidecar's configuration changed while the probe was under way")
    return last


def _judged(walk: Walk) -> Walk:
    """Call unknown what is not judged yet: an Envoy cluster that does not exist, and one that chance decides on."""
    if walk.absent:
        return replace(walk, unknown=f"the Envoy cluster {walk.envoy_cluster} does not exist in the sidecar (NC)")
    return replace(walk, unknown=f"chance decides between {', '.join(walk.choices)}") if walk.choices else walk


def _place(sent: Sent, walk: Walk | None) -> tuple[str, str, int] | None:
    """Return the Envoy cluster, address and port at which this connection should have been counted."""
    if sent.outcome is None or walk is None or walk.unknown or walk.envoy_cluster is None:
        return None
    return walk.envoy_cluster, sent.outcome.remote_ip, sent.outcome.remote_port


def _connections(sent: Sequence[Sent], walks: Sequence[Walk | None]) -> Counter[tuple[str, str, int]]:
    """Count the connections of our own that each Envoy cluster and address must account for."""
    distinct = {(place, each.connection) for each, walk in zip(sent, walks, strict=True) if (place := _place(each, walk))}
    return Counter(place for place, _ in distinct)


def _counted(
    evidence: Evidence, sent: Sent, before: Reading, after: Reading, expected: Counter[tuple[str, str, int]]
) -> Evidence:
    place = _place(sent, evidence.walk)
    if place is None or before.counts is None or after.counts is None:
        return evidence
    counts = envoy.moved(before.counts, after.counts, *place)
    # Fewer than our own: which of them was counted cannot be told. More: the pod has other traffic.
    return replace(evidence, counts=counts, counted=counts.opened >= expected[place])


def _owner(
    question: Question,
    outcome: Outcome,
    walk: Walk | None,
    after: Reading,
    neighbours: tuple[ServiceEntry, ...] | None,
    namespace: str,
) -> Owner | None:
    """Say whose work the Envoy cluster is that the walk leads to."""
    if walk is None or walk.unknown or after.config is None:
        return None
    if walk.envoy_cluster in (None, BLACKHOLE):
        return _displaced_by(question, outcome, neighbours or (), namespace)
    if via := question.probe.expect.via:
        carried = (walk.envoy_cluster or "").split("|")[-1]
        status = Ownership.OWNED if carried == via else Ownership.OTHERS
        return Owner(status, f"the expectation names {via}, and {carried} carries")
    if neighbours is None:
        return Owner(Ownership.UNKNOWN, "the ServiceEntries of the namespace could not be listed")
    port = question.probe.port
    if question.entry is not None:
        if not any((other.namespace, other.name) == (question.entry.namespace, question.entry.name) for other in neighbours):
            # Without the right to list them all, only those of the source's namespace came: others of the entry's may share
            # its Envoy cluster.
            return Owner(Ownership.UNKNOWN, f"the ServiceEntries of namespace {question.entry.namespace} could not be listed")
        others = [
            other for other in neighbours if (other.namespace, other.name) != (question.entry.namespace, question.entry.name)
        ]
        return ownership.owner(walk, after.config, question.entry, others, port, pod_namespace=namespace)
    if question.entry_name:
        return None
    for entry in neighbours:
        others = [other for other in neighbours if other is not entry]
        found = ownership.owner(walk, after.config, entry, others, port, pod_namespace=namespace)
        if found.ownership is Ownership.OWNED:
            return found
    return Owner(Ownership.UNKNOWN, "no ServiceEntry that may be read claims it")


def _displaced_by(question: Question, outcome: Outcome, neighbours: Sequence[ServiceEntry], namespace: str) -> Owner | None:
    """Name the entry of another namespace that has this entry's host, where this one lists the refused address.

    Of two namespaces' entries of one host a sidecar gets only one: the pod's own namespace's, else the older.
    """
    entry = question.entry
    if entry is None or entry.namespace == namespace or not exported(entry, namespace) or not lists(entry, outcome.remote_ip):
        return None
    for other in neighbours:
        first = other.namespace == namespace or other.created <= entry.created
        if other.namespace != entry.namespace and first and exported(other, namespace) and set(other.hosts) & set(entry.hosts):
            return Owner(Ownership.OTHERS, f"{other} has the same host, and a sidecar gets only one of the two", other)
    return None
