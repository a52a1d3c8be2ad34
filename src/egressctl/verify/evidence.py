"""Join what curl reported with what was read of the sidecar before and after: the case that each probe makes. Pure.

Nothing is asked here: where a verdict may depend on more than was read, `needs_mesh_objects` and `may_be_in_log` say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from typing import TYPE_CHECKING, NamedTuple

from egressctl.envoy.changes import CHANGED
from egressctl.envoy.config import (
    BLACKHOLE,
    DYNAMIC,
    NOTHING_READ,
    RESOLVED_PASSTHROUGH,
    EnvoyCluster,
    ProxyConfig,
    Reading,
    parse_outbound_name,
)
from egressctl.envoy.counts import count_named, counts_between
from egressctl.envoy.walk import listens_for, outbound_policy, walk_config
from egressctl.istio.listing import tcp_ports
from egressctl.mesh.curl import looks_reset
from egressctl.mesh.propagation import listener_refusal
from egressctl.model.cause import CauseCode
from egressctl.model.entry import MeshObjects, ServiceEntry
from egressctl.model.evidence import (
    Capture,
    Counts,
    CurlOutcome,
    Evidence,
    LoggedConnection,
    Method,
    Owner,
    Ownership,
    ProbeSent,
    Source,
    Walk,
)
from egressctl.model.probe import Probe, ProbeDestination, Speech, Verdict
from egressctl.model.result import ProbeResult
from egressctl.verify import ownership
from egressctl.verify.candidates import claim_of_entry
from egressctl.verify.causes import Case
from egressctl.verify.own_way import WayTaken, owner_of_routed_way, owner_of_way, upstream_of, upstream_port_of

if TYPE_CHECKING:
    from egressctl.envoy import access_log


class Question(NamedTuple):
    """One probe and the ServiceEntry that should send it, as it is on the Kubernetes cluster (None: not there).

    `entry_name` is empty for a bare URL, which any one ServiceEntry may send. `namespace` is the entry's, empty for the source
    pod's.
    """

    probe: Probe
    entry_name: str = ""
    entry: ServiceEntry | None = None
    namespace: str = ""


@dataclass(frozen=True)
class RunFacts:
    """What was asked, what came back, and what was read of the sidecar around it.

    `sent` stands in the questions' order; `companions` says, by a question's index, what a second connection showed after a
    refusal, `logged` what the access log says of its connection. `near` are the ServiceEntries of the namespaces of those in
    question, None where they could not be listed; `around` is what else there is, None where that was not, or could not be, read.
    """

    source: Source
    questions: Sequence[Question]
    sent: Sequence[ProbeSent]
    before: Reading = NOTHING_READ
    after: Reading = NOTHING_READ
    companions: Mapping[int, Capture] = field(default_factory=dict)
    logged: Mapping[int, LoggedConnection] = field(default_factory=dict)
    near: tuple[ServiceEntry, ...] | None = None
    around: MeshObjects | None = None

    @cached_property
    def places(self) -> Sequence[ProbeDestination]:
        """Where each probe's connection went."""
        return [destination_of_probe(question, each) for question, each in zip(self.questions, self.sent, strict=True)]

    @cached_property
    def walks(self) -> Sequence[Walk | None]:
        """The way of each probe; None where there was no connection, or no configuration to follow."""
        # Many probes of one place go one way: it is followed once.
        walk_to = cache(partial(common_walk, self.before, self.after))
        walks = [walk_to(place) for place in self.places]
        for index, logged in self.logged.items() if self.after.doubt else ():
            # What the log has of this very connection is certain, whatever else changed.
            certain = common_walk(self.before, replace(self.after, doubt=""), self.places[index])
            if certain and logged.shows_use_of(certain.envoy_cluster):
                walks[index] = certain
        return walks

    @cached_property
    def counts_moved(self) -> Callable[[tuple[str, str, int]], Counts]:
        """How the counts of an Envoy cluster and address moved between the readings, which must both have counts."""
        before, after = self.before.counts or {}, self.after.counts or {}
        return cache(lambda at: counts_between(before, after, *at))

    @cached_property
    def policy(self) -> str:
        """The outbound traffic policy, "" where it could not be read."""
        return outbound_policy(self.after.config) if self.after.config else ""

    @cached_property
    def expected(self) -> Counter[tuple[str, str, int]]:
        """How many connections, or requests of HTTP, of our own each Envoy cluster and address must account for."""
        distinct = {
            (counted_at, (0, index) if walk and walk.http_route else each.connection)
            for index, (question, each, walk) in enumerate(zip(self.questions, self.sent, self.walks, strict=True))
            if (counted_at := _counting_key(question.probe, each, walk, self.after))
        }
        return Counter(counted_at for counted_at, _ in distinct)


_NEED_MESH_OBJECTS = (Verdict.BLOCKED, Verdict.BYPASSED, Verdict.FAILED)
"""The verdicts whose cause may lie in another object of the mesh."""


def likely_envoy_clusters(questions: Sequence[Question]) -> set[str]:
    """Name the Envoy clusters that a sidecar has where it has the ServiceEntries in question."""
    entries = {id(each.entry): each.entry for each in questions if each.entry}.values()
    return {f"outbound|{port.number}||{host}" for entry in entries for port in tcp_ports(entry) for host in entry.hosts}


def cases_of(facts: RunFacts) -> list[Case]:
    """Return what is known of each probe's way, to be judged: one that could not be sent has nothing but the failure."""
    likely = likely_envoy_clusters(facts.questions)
    facts = _with_listing_entries(facts)
    owners: dict[tuple[object, ...], Owner | None] = {}
    cases = []
    for index, (question, sent, led) in enumerate(zip(facts.questions, facts.sent, facts.walks, strict=True)):
        if sent.outcome is None or sent.failure:
            cases.append(unsent_case(question, facts.source, sent.failure or CauseCode.EVIDENCE_LOST, sent.detail))
            continue
        probe, ip = question.probe, sent.outcome.remote_ip
        asked = (id(question.entry), question.entry_name, probe.host, probe.connect_ip, probe.port, probe.expect.via, ip, led)
        if asked not in owners:
            owners[asked] = _owner(question, ip, led, facts, likely)
        evidence = _evidence(index, owners[asked], facts)
        case = Case(question.probe, facts.source, sent.outcome, evidence, question.entry_name, question.entry, facts.around)
        case = replace(case, unread=facts.after.unread) if facts.after.unread else case
        cases.append(replace(case, entry_namespace=question.namespace) if question.namespace else case)
    return cases


def unsent_case(question: Question, source: Source, code: CauseCode, detail: str) -> Case:
    """Return the case of a probe that could not be sent, or whose answer was lost."""
    nothing = CurlOutcome(curl_exit=-1)
    return Case(question.probe, source, nothing, Evidence(), question.entry_name, question.entry, failure=code, detail=detail)


def needs_mesh_objects(result: ProbeResult, question: Question) -> bool:
    """Say whether a verdict, its cause or its owner may depend on other objects of the mesh, which were not read."""
    evidence, through_sidecar = result.evidence, result.source is not None and result.source.proxy is not None
    if evidence is None:
        return False
    whose = None if result.probe.expect.via else evidence.owner
    if whose is not None and whose.ownership is not Ownership.OWNED and (question.entry is not None or not question.entry_name):
        return True
    captured = evidence.walk is not None and evidence.capture is not Capture.NOT_CAPTURED
    if question.entry_name and question.entry is None and result.held:
        return False  # that it is closed is what was wanted of an entry that is gone
    return captured and through_sidecar and result.verdict in _NEED_MESH_OBJECTS


def _with_listing_entries(facts: RunFacts) -> RunFacts:
    """Ask, of a target of several entries, after the one that lists the address to which a probe went."""
    near = facts.near or ()
    entries = {id(each.entry): each.entry for each in facts.questions if each.entry is not None and each.entry.part_of}
    beside = {key: [other for other in near if other.is_same_target_as(entry)] for key, entry in entries.items()}
    if all(len(each) < 2 for each in beside.values()):
        return facts
    # Few targets have several entries.
    from egressctl.manifests.split_entries import entry_that_lists  # imported late: 3 ms

    @cache
    def asked(index: int, ip: str) -> ServiceEntry:
        return entry_that_lists(entries[index], beside[index], ip)

    questions = []
    for question, sent in zip(facts.questions, facts.sent, strict=True):
        if sent.outcome is not None and id(question.entry) in entries:
            entry = asked(id(question.entry), sent.outcome.remote_ip)
            question = question._replace(entry=entry, entry_name=entry.name)
        questions.append(question)
    return replace(facts, questions=questions)


def destination_of_probe(question: Question, sent: ProbeSent) -> ProbeDestination:
    """Return where a probe's connection went, and how its client spoke."""
    ip, port = (sent.outcome.remote_ip, sent.outcome.remote_port) if sent.outcome else ("", 0)
    speech = question.probe.speech
    if sent.outcome and sent.outcome.proxied and speech.tls:  # a proxy is asked in plain text first
        speech = Speech(
            tls=False, protocols=("http/1.1",), authority=f"{question.probe.host}:{question.probe.port}", method="CONNECT"
        )
    return ProbeDestination(ip, port, speech)


def common_walk(before: Reading, after: Reading, place: ProbeDestination) -> Walk | None:
    """Return the way that both configurations lead a connection to this place; unknown where they differ.

    Of a weighted route the Envoy cluster is named whose counts alone moved; where several did, or none, it stays open.
    """
    if before.config is None or after.config is None or not place.ip:
        return None
    first, last = (walk_config(config, *place) for config in (before.config, after.config))
    # Whether an Envoy cluster exists is read once, after.
    if not last.unknown and replace(first, absent=last.absent, direct_status=last.direct_status) != last:
        return _unknown_way(last, CHANGED)
    if after.doubt and not last.unknown:
        return _unknown_way(last, after.doubt)
    if not last.choices or last.unknown or before.counts is None or after.counts is None:
        return last
    used = [name for name in last.choices if counts_between(before.counts, after.counts, name, place.ip, place.port).requests]
    return replace(last, envoy_cluster=used[0]) if len(used) == 1 else last


def _unknown_way(walk: Walk, why: str) -> Walk:
    return replace(walk, envoy_cluster=None, choices=(), unknown=why)


def looks_refused_without_row(sent: ProbeSent) -> bool:
    """Say whether this looks like a refusal by the sidecar, which leaves no row: only then may a companion show more."""
    outcome = sent.outcome
    return outcome is not None and bool(outcome.remote_ip) and sent.capture is Capture.UNKNOWN and looks_reset(outcome)


def config_refuses(config: ProxyConfig | None, sent: ProbeSent, place: ProbeDestination) -> bool:
    """Say whether a probe was refused, without a row, where the configuration leads to BlackHoleCluster or to nothing.

    A bare connection hangs where the egress is open, and proves nothing where nothing was refused.
    """
    if config is None or not looks_refused_without_row(sent):
        return False
    led = walk_config(config, *place)
    return not led.unknown and not led.choices and led.envoy_cluster in (None, BLACKHOLE)


def may_be_in_log(result: ProbeResult, after: Reading) -> bool:
    """Say whether the access log may prove what the counts, or a sidecar that changed meanwhile, do not."""
    if result.verdict is not Verdict.UNPROVEN or result.evidence is None:
        return False
    changed = bool(after.doubt) and result.evidence.capture is Capture.CAPTURED
    return changed or result.evidence.methods == (Method.CAPTURED, Method.STATIC, Method.OWNED)


def connections_to_look_up(facts: RunFacts, indices: Sequence[int]) -> dict[int, tuple[access_log.ProbeConnection, int]]:
    """Return by a question's index which connection the access log is to show, and in how many lines at least.

    Of HTTP it has a line a request: only all those of a connection that several probes shared say how each of them went.
    """
    # Few commands come to this.
    from egressctl.envoy import access_log  # imported late: 2 ms

    sharing = Counter(each.connection for each in facts.sent)
    found = {}
    for index in indices:
        sent, walk = facts.sent[index], facts.walks[index]
        if sent.outcome is not None:
            at = sent.outcome
            connection = access_log.ProbeConnection(at.local_ip, at.local_port, at.remote_ip, at.remote_port)
            found[index] = connection, sharing[sent.connection] if walk and walk.http_route else 1
    return found


def leads_to_no_host(place: ProbeDestination, before: Reading, after: Reading) -> bool:
    """Say whether the way leads to an Envoy cluster that the sidecar does not have, or that has no hosts."""
    led = walk_config(after.config, *place) if after.config else None
    if led is None or led.unknown:
        return False
    named = place.speech.server_name or place.speech.authority.partition(":")[0], place.port
    return led.absent or _endpoints(_envoy_cluster(led, after), before, after, named) == 0


def _envoy_cluster(walk: Walk | None, after: Reading) -> EnvoyCluster | None:
    known = after.config.envoy_clusters if after.config else None
    return (known or {}).get(walk.envoy_cluster or "") if walk else None


def _endpoints(of: EnvoyCluster | None, before: Reading, after: Reading, named: tuple[str, int]) -> int | None:
    """Count the hosts of an Envoy cluster that has hosts of its own; the more of two readings, for they come and go.

    Of one that resolves names, those of the name and port that were asked for.
    """
    if of is None or of.type in ("", "ORIGINAL_DST") or before.counts is None or after.counts is None:
        return None
    if of.name == RESOLVED_PASSTHROUGH:
        return None  # It is the policy's: what it cannot resolve it has not refused.
    if of.type == DYNAMIC:
        return max(count_named(each, of.name, *named) for each in (before.counts, after.counts))
    readings = [each.get(of.name) for each in (before.counts, after.counts)]
    known = [len(each.hosts) + each.nearby for each in readings if each is not None]
    return max(known) if known else None


def _evidence(index: int, owner: Owner | None, facts: RunFacts) -> Evidence:
    question, sent, walk = facts.questions[index], facts.sent[index], facts.walks[index]
    before, after = facts.before, facts.after
    leads_to = _envoy_cluster(walk, after)
    wraps = leads_to is not None and leads_to.tls and not question.probe.expect.via
    evidence = Evidence(
        capture=facts.companions.get(index, sent.capture),
        companion=index in facts.companions,
        logged=facts.logged.get(index),
        walk=walk,
        owner=owner,
        policy=facts.policy,
        refused=refusal_by_envoy(
            after.config, question.probe, sent.outcome.remote_ip if sent.outcome else "", question.entry, facts.around
        ),
        own_listeners=after.config.by_address if after.config and after.config.listeners is not None else None,
        destination_rule=leads_to.destination_rule if leads_to and wraps else "",
        deaf=listens_for(after.config, facts.places[index].ip) is False,
        upstream=upstream_of(leads_to, before.counts, after.counts, question.probe),
        upstream_port=upstream_port_of(leads_to, after.counts),
        endpoints=_endpoints(leads_to, before, after, (question.probe.host, question.probe.port)),
    )
    counted_at = _counting_key(question.probe, sent, walk, after)
    if before.counts is not None and after.counts is not None and walk and walk.choices and sent.outcome:
        at = sent.outcome.remote_ip, sent.outcome.remote_port
        moved = tuple(name for name in walk.choices if facts.counts_moved((name, *at)).requests)
        evidence = replace(evidence, moved=moved)
    if counted_at is None or before.counts is None or after.counts is None:
        return evidence
    counts = facts.counts_moved(counted_at)
    # For HTTP the sidecar uses its connections again. Fewer than our own: which of them was counted is not known. More: the
    # pod has other traffic.
    seen = counts.requests if walk and walk.http_route else counts.opened
    return replace(evidence, counts=counts, counted=seen >= facts.expected[counted_at])


def refusal_by_envoy(
    config: ProxyConfig | None, probe: Probe, ip: str, entry: ServiceEntry | None, around: MeshObjects | None
) -> str:
    """Return what Envoy said when it refused a listener of the entry, or, for a URL, of one that could serve it; "" for none."""
    if config is None or not config.errors:
        return ""
    could = [each for each in (around.entries if around else ()) if claim_of_entry(each, probe, ip) is not None]
    return next(filter(None, (listener_refusal(config, each) for each in ([entry] if entry else could))), "")


def _counting_key(probe: Probe, sent: ProbeSent, walk: Walk | None, after: Reading) -> tuple[str, str, int] | None:
    """Return the Envoy cluster, address (or name, by which some go) and port at which this connection should be counted."""
    if sent.outcome is None or walk is None or walk.unknown or walk.envoy_cluster is None:
        return None
    of = _envoy_cluster(walk, after)
    if of is not None and of.type == DYNAMIC:
        return walk.envoy_cluster, probe.host, probe.port
    return walk.envoy_cluster, sent.outcome.remote_ip, sent.outcome.remote_port


def _owner(question: Question, ip: str, walk: Walk | None, facts: RunFacts, likely: Collection[str]) -> Owner | None:
    """Say whose work the Envoy cluster is that the walk leads to; None where it leads to none, or there is no entry to ask for.

    The ServiceEntries of the entry's own namespace suffice to prove that it is the entry's. Those of the others matter to
    name a conflicting entry, or where any one may send a bare URL.
    """
    config, entry = facts.after.config, question.entry
    if walk is None or walk.unknown or config is None or walk.envoy_cluster in (None, BLACKHOLE):
        return None
    if question.probe.expect.via:
        return ownership.owner_of_expected_host(walk, question.probe.expect.via)
    if entry is None and question.entry_name:
        return None
    upstream = upstream_of(_envoy_cluster(walk, facts.after), facts.before.counts, facts.after.counts, question.probe)
    way = WayTaken(question.probe, ip, walk, config, facts.source, upstream, likely, facts.around)
    whose = partial(_owner_among, way)
    if entry is None:
        return owner_for_url(way, facts.around.entries if facts.around else ())
    found = whose(entry, facts.near)
    if found is not None and found.rival is not None and found.rival.is_same_target_as(entry):
        found = whose(found.rival, facts.near)  # another entry of the target: the target's all the same
    if found is not None and found.ownership is Ownership.OWNED:
        return found
    unlisted = Owner(Ownership.UNKNOWN, f"the ServiceEntries of namespace {entry.namespace} could not be listed")
    return (facts.around and whose(entry, facts.around.entries)) or found or unlisted


def owner_for_url(way: WayTaken, entries: Sequence[ServiceEntry]) -> Owner:
    """Say which of the entries sends what names none: the first that owns it, else one that sends it to its own host.

    Else it is that of an entry whose filter chain leads to the Envoy cluster of another of its host.
    """
    to = parse_outbound_name(way.walk.envoy_cluster or "")
    claims = [claim for each in entries if to and to.host in each.hosts and (claim := _owner_among(way, each, entries))]
    owned = (claim for claim in claims if claim.ownership is Ownership.OWNED)
    partly = (claim for claim in claims if claim.elsewhere or claim.outdated)
    shared = (claim for claim in claims if claim.shared)
    nobody = owner_of_routed_way(way) or Owner(Ownership.UNKNOWN, "no ServiceEntry that egressctl may read claims it")
    return next(owned, next(partly, next(shared, nobody)))


def _owner_among(way: WayTaken, entry: ServiceEntry, entries: Sequence[ServiceEntry] | None) -> Owner | None:
    """Ask whose Envoy cluster it is, among these entries; None where the entry is not among them.

    Then its namespace was not listed, and another of that namespace may share its Envoy cluster.
    """
    others = [other for other in entries or () if (other.namespace, other.name) != (entry.namespace, entry.name)]
    if len(others) == len(entries or ()):
        return None
    return owner_of_way(way, entry, others)
