"""Join what curl reported with what was read of the sidecar before and after: the evidence of each probe's way. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

from egressctl.envoy.config import BLACKHOLE, NOTHING, EnvoyCluster, ProxyConfig, Reading, destination
from egressctl.envoy.counts import moved
from egressctl.envoy.propagation import refusal
from egressctl.envoy.walk import outbound_policy, walk
from egressctl.mesh.curl import looks_reset
from egressctl.model.entry import ServiceEntry, Surroundings
from egressctl.model.evidence import Capture, Counts, Evidence, Logged, Method, Outcome, Owner, Ownership, Sent, Source, Walk
from egressctl.model.probe import Probe, Speech, Verdict
from egressctl.model.result import ProbeResult
from egressctl.verify import ownership
from egressctl.verify.causes import Situation
from egressctl.verify.verdict import result

if TYPE_CHECKING:
    from egressctl.envoy import access_log


@dataclass(frozen=True, slots=True)
class Question:
    """One probe and the ServiceEntry that should carry it, as it is on the Kubernetes cluster (None: not there).

    `entry_name` is empty for a bare URL, which any one ServiceEntry may carry.
    """

    probe: Probe
    entry_name: str = ""
    entry: ServiceEntry | None = None


class Place(NamedTuple):
    """Where a probe's connection led, an empty address where there was none, and how its client spoke."""

    ip: str
    port: int
    speech: Speech


@dataclass(frozen=True)
class Findings:
    """What was asked, what came back, and what was read of the sidecar around it.

    `sent` stands in the questions' order; `companions` says, by a question's index, what a second connection showed after a
    refusal, `logged` what the access log says of its connection. `near` are the ServiceEntries of the namespaces of those in
    question, None where they could not be listed; `around` reads, once, what else there is.
    """

    source: Source
    questions: Sequence[Question]
    sent: Sequence[Sent]
    before: Reading = NOTHING
    after: Reading = NOTHING
    companions: Mapping[int, Capture] = field(default_factory=dict)
    logged: Mapping[int, Logged] = field(default_factory=dict)
    near: tuple[ServiceEntry, ...] | None = None
    around: Callable[[], Surroundings | None] = lambda: None

    @cached_property
    def places(self) -> Sequence[Place]:
        """Where each probe's connection led."""
        return [place_of(question, each) for question, each in zip(self.questions, self.sent, strict=True)]

    @cached_property
    def walks(self) -> Sequence[Walk | None]:
        """The way of each probe; None where there was no connection, or no configuration to follow."""
        # Many probes of one place go one way: it is followed once.
        walk_to = cache(partial(way, self.before, self.after))
        return [walk_to(place) for place in self.places]

    @cached_property
    def moved(self) -> Callable[[tuple[str, str, int]], Counts]:
        """How the counts of an Envoy cluster and address moved between the readings, which must both have counts."""
        before, after = self.before.counts or {}, self.after.counts or {}
        return cache(lambda at: moved(before, after, *at))

    @cached_property
    def policy(self) -> str:
        """The outbound traffic policy, "" where it could not be read."""
        return outbound_policy(self.after.config) if self.after.config else ""

    @cached_property
    def expected(self) -> Counter[tuple[str, str, int]]:
        """How many connections, or requests of HTTP, of our own each Envoy cluster and address must account for."""
        distinct = {
            (counted_at, (0, index) if walk and walk.http_route else each.connection)
            for index, (each, walk) in enumerate(zip(self.sent, self.walks, strict=True))
            if (counted_at := _counted_at(each, walk))
        }
        return Counter(counted_at for counted_at, _ in distinct)


_LOOK_AROUND = (Verdict.BLOCKED, Verdict.BYPASSED, Verdict.FAILED)
"""The verdicts whose cause may lie in another object of the mesh."""


def judged(findings: Findings) -> list[ProbeResult | None]:
    """Judge each probe by what is known of its way; None for one that could not be sent, or whose answer was lost."""
    findings = _of_parts(findings)
    owners: dict[tuple[object, ...], Owner | None] = {}
    results: list[ProbeResult | None] = []
    for index, (question, each, led) in enumerate(zip(findings.questions, findings.sent, findings.walks, strict=True)):
        if each.outcome is None or each.failure:
            results.append(None)
            continue
        asked = (id(question.entry), question.entry_name, question.probe.port, question.probe.expect.via, led)
        if asked not in owners:
            owners[asked] = _owner(question, led, findings)
        evidence = _evidence(index, owners[asked], findings)
        results.append(_judged(question, each.outcome, evidence, findings))
    return results


def _of_parts(findings: Findings) -> Findings:
    """Ask, of a target of several entries, after the one that lists the address to which a probe led."""
    near = findings.near or ()
    entries = {id(each.entry): each.entry for each in findings.questions if each.entry is not None and each.entry.part_of}
    beside = {key: [other for other in near if other.beside(entry)] for key, entry in entries.items()}
    if all(len(each) < 2 for each in beside.values()):
        return findings
    # Few targets have several entries.
    from egressctl.manifests.split_entries import holding

    @cache
    def asked(index: int, ip: str) -> ServiceEntry:
        return holding(entries[index], beside[index], ip)

    questions = []
    for question, sent in zip(findings.questions, findings.sent, strict=True):
        if sent.outcome is not None and id(question.entry) in entries:
            entry = asked(id(question.entry), sent.outcome.remote_ip)
            question = replace(question, entry=entry, entry_name=entry.name)
        questions.append(question)
    return replace(findings, questions=questions)


def _judged(question: Question, outcome: Outcome, evidence: Evidence, findings: Findings) -> ProbeResult:
    """Judge a probe, and with all that is around only where something else may be to blame."""
    at = Situation(question.probe, findings.source, outcome, evidence, question.entry_name, question.entry)
    first = result(at)
    others = at.entry is not None and evidence.walk is not None and evidence.capture is not Capture.NOT_CAPTURED
    if first.verdict in _LOOK_AROUND and others and at.source.proxy is not None:
        return result(replace(at, around=findings.around()))
    return first


def place_of(question: Question, sent: Sent) -> Place:
    """Return where a probe's connection led, and how its client spoke."""
    ip, port = (sent.outcome.remote_ip, sent.outcome.remote_port) if sent.outcome else ("", 0)
    return Place(ip, port, question.probe.speech)


def way(before: Reading, after: Reading, place: Place) -> Walk | None:
    """Return the way that both configurations lead a connection to this place; unknown where they differ.

    Of a weighted route the Envoy cluster is named whose counts alone moved; where several did, or none, it stays open.
    """
    if before.config is None or after.config is None or not place.ip:
        return None
    first, last = (walk(config, *place) for config in (before.config, after.config))
    # Whether an Envoy cluster exists is read once, after.
    if not last.unknown and replace(first, absent=last.absent, direct_status=last.direct_status) != last:
        changed = "the sidecar's configuration changed while the probe was under way"
        return replace(last, envoy_cluster=None, choices=(), unknown=changed)
    if not last.choices or last.unknown or before.counts is None or after.counts is None:
        return last
    used = [name for name in last.choices if moved(before.counts, after.counts, name, place.ip, place.port).requests]
    return replace(last, envoy_cluster=used[0]) if len(used) == 1 else last


def left_no_row(sent: Sent) -> bool:
    """Say whether this looks like a refusal by the sidecar, which leaves no row: only then may a companion tell more."""
    outcome = sent.outcome
    return outcome is not None and bool(outcome.remote_ip) and sent.capture is Capture.UNKNOWN and looks_reset(outcome)


def refused_here(config: ProxyConfig | None, sent: Sent, place: Place) -> bool:
    """Say whether a probe was refused, without a row, where the configuration leads to BlackHoleCluster or to nothing.

    A bare connection hangs where the egress is open, and proves nothing where nothing was refused.
    """
    if config is None or not left_no_row(sent):
        return False
    led = walk(config, *place)
    return not led.unknown and not led.choices and led.envoy_cluster in (None, BLACKHOLE)


def only_uncounted(result: ProbeResult | None) -> bool:
    """Say whether nothing but `counted` keeps a probe from being open: then the access log may tell."""
    if result is None or result.verdict is not Verdict.UNPROVEN or result.evidence is None:
        return False
    return result.evidence.methods == (Method.CAPTURED, Method.STATIC, Method.OWNED)


def sought(findings: Findings, indices: Sequence[int]) -> dict[int, tuple[access_log.Connection, int]]:
    """Return by a question's index which connection the access log is to show, and in how many lines at least.

    Of HTTP it has a line a request: only all those of a connection that several probes shared say how each of them went.
    """
    # Few commands come to this.
    from egressctl.envoy import access_log

    sharing = Counter(each.connection for each in findings.sent)
    found = {}
    for index in indices:
        sent, walk = findings.sent[index], findings.walks[index]
        if sent.outcome is not None:
            at = sent.outcome
            connection = access_log.Connection(at.local_ip, at.local_port, at.remote_ip, at.remote_port)
            found[index] = connection, sharing[sent.connection] if walk and walk.http_route else 1
    return found


def without_end(place: Place, before: Reading, after: Reading) -> bool:
    """Say whether the way leads to an Envoy cluster that the sidecar does not have, or that has no hosts."""
    led = walk(after.config, *place) if after.config else None
    return led is not None and not led.unknown and (led.absent or _endpoints(_envoy_cluster(led, after), before, after) == 0)


def _envoy_cluster(walk: Walk | None, after: Reading) -> EnvoyCluster | None:
    known = after.config.envoy_clusters if after.config else None
    return (known or {}).get(walk.envoy_cluster or "") if walk else None


def _endpoints(of: EnvoyCluster | None, before: Reading, after: Reading) -> int | None:
    """Count the hosts of an Envoy cluster that has hosts of its own; the more of two readings, for they come and go."""
    if of is None or of.type in ("", "ORIGINAL_DST") or before.counts is None or after.counts is None:
        return None
    readings = [each.get(of.name) for each in (before.counts, after.counts)]
    known = [len(each.hosts) + each.nearby for each in readings if each is not None]
    return max(known) if known else None


def _evidence(index: int, owner: Owner | None, findings: Findings) -> Evidence:
    question, sent, walk = findings.questions[index], findings.sent[index], findings.walks[index]
    before, after = findings.before, findings.after
    leads_to = _envoy_cluster(walk, after)
    wraps = leads_to is not None and leads_to.tls and not question.probe.expect.via
    evidence = Evidence(
        capture=findings.companions.get(index, sent.capture),
        companion=index in findings.companions,
        logged=findings.logged.get(index),
        walk=walk,
        owner=owner,
        policy=findings.policy,
        refused=refusal(after.config, question.entry) if after.config and question.entry else "",
        destination_rule=leads_to.destination_rule if leads_to and wraps else "",
        endpoints=_endpoints(leads_to, before, after),
    )
    counted_at = _counted_at(sent, walk)
    if counted_at is None or before.counts is None or after.counts is None:
        return evidence
    counts = findings.moved(counted_at)
    # For HTTP the sidecar uses its connections again. Fewer than our own: which of them was counted cannot be told. More: the
    # pod has other traffic.
    seen = counts.requests if walk and walk.http_route else counts.opened
    return replace(evidence, counts=counts, counted=seen >= findings.expected[counted_at])


def _counted_at(sent: Sent, walk: Walk | None) -> tuple[str, str, int] | None:
    """Return the Envoy cluster, address and port at which this connection should have been counted."""
    if sent.outcome is None or walk is None or walk.unknown or walk.envoy_cluster is None:
        return None
    return walk.envoy_cluster, sent.outcome.remote_ip, sent.outcome.remote_port


def _owner(question: Question, walk: Walk | None, findings: Findings) -> Owner | None:
    """Say whose work the Envoy cluster is that the walk leads to; None where it leads to none, or there is no entry to ask for.

    The ServiceEntries of the entry's own namespace suffice to prove that it is the entry's. Those of the others matter to
    name a rival, or where any one may carry a bare URL.
    """
    config, entry = findings.after.config, question.entry
    if walk is None or walk.unknown or config is None or walk.envoy_cluster in (None, BLACKHOLE):
        return None
    if question.probe.expect.via:
        return ownership.meant(walk, question.probe.expect.via)
    if entry is None and question.entry_name:
        return None
    whose = partial(_whose, port=question.probe.port, walk=walk, config=config, pod_namespace=findings.source.namespace)
    if entry is None:
        around, to = findings.around(), destination(walk.envoy_cluster or "")
        entries = around.entries if around else ()
        claims = (whose(each, entries) for each in entries if to and to.host in each.hosts)
        owned = (claim for claim in claims if claim and claim.ownership is Ownership.OWNED)
        return next(owned, Owner(Ownership.UNKNOWN, "no ServiceEntry that may be read claims it"))
    found = whose(entry, findings.near)
    if found is not None and found.rival is not None and found.rival.beside(entry):
        found = whose(found.rival, findings.near)  # another entry of the target: the target's all the same
    if found is not None and found.ownership is Ownership.OWNED:
        return found
    around = findings.around()
    unlisted = Owner(Ownership.UNKNOWN, f"the ServiceEntries of namespace {entry.namespace} could not be listed")
    return (around and whose(entry, around.entries)) or found or unlisted


def _whose(
    entry: ServiceEntry,
    entries: Sequence[ServiceEntry] | None,
    *,
    port: int,
    walk: Walk,
    config: ProxyConfig,
    pod_namespace: str,
) -> Owner | None:
    """Ask whose Envoy cluster it is, among these entries; None where the entry is not among them.

    Then its namespace was not listed, and another of that namespace may share its Envoy cluster.
    """
    others = [other for other in entries or () if (other.namespace, other.name) != (entry.namespace, entry.name)]
    if len(others) == len(entries or ()):
        return None
    return ownership.owner(walk, config, entry, others, port, pod_namespace=pod_namespace)
