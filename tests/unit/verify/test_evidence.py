"""What is made of two looks at the sidecar and of what curl said, before it is judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_network

import pytest

from egressctl.envoy.access_log import ProbeConnection
from egressctl.envoy.config import (
    BLACKHOLE,
    CATCH_ALL,
    NOTHING_READ,
    EnvoyCluster,
    FilterChain,
    Listener,
    OriginService,
    ProxyConfig,
    Reading,
)
from egressctl.envoy.counts import HostCounts
from egressctl.envoy.routes import HttpConnectionManager, Route, RouteConfig, TextMatch, VirtualHost
from egressctl.model.blocks import Block
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.entry import MeshObjects, Port, ServiceEntry
from egressctl.model.evidence import Capture, Counts, CurlOutcome, Evidence, LoggedConnection, Ownership, ProbeSent, Source, Walk
from egressctl.model.probe import Expectation, Probe, ProbeDestination, Verdict
from egressctl.model.result import ProbeResult
from egressctl.verify.evidence import (
    Question,
    RunFacts,
    cases_of,
    common_walk,
    config_refuses,
    connections_to_look_up,
    destination_of_probe,
    leads_to_no_host,
    looks_refused_without_row,
    may_be_in_log,
    needs_mesh_objects,
    unsent_case,
)
from egressctl.verify.verdict import judge

IP, PORT = "208.80.154.224", 443
HOST, NAME = "wikipedia.org", "outbound|443||wikipedia.org"
BLOCK = "208.80.154.224/27"
PROBE = Probe("portal", "https://www.wikipedia.org")
ENTRY = ServiceEntry(
    name="wikipedia-ext",
    namespace="default",
    hosts=(HOST,),
    addresses=(BLOCK,),
    ports=(Port(PORT, "TCP", "tcp-port"),),
    resolution="NONE",
    location="MESH_EXTERNAL",
    export_to=(),
    created="2026-11-23T04:00:00Z",
)
ELSEWHERE = replace(ENTRY, namespace="other", addresses=("192.0.2.0/24",), created="2026-11-23T03:00:00Z")

ANSWER = CurlOutcome(0, "", 200, IP, PORT, "10.244.0.5", 40000)
REFUSAL = CurlOutcome(35, "Recv failure: Connection reset by peer", 0, IP, PORT, "10.244.0.5", 40000)
SENT = ProbeSent(ANSWER, Capture.CAPTURED, (0, 40000))
PLACE = ProbeDestination(IP, PORT, PROBE.speech)


def judge_all(facts: RunFacts) -> list[ProbeResult]:
    return [judge(case) for case in cases_of(facts)]


SOURCE = Source("default", "sleep", "sleep", "istio-proxy")
PLAIN = replace(PROBE, url="http://wikipedia.org:443")
ROUTE = Route("default", TextMatch("prefix", "/"), (), (), envoy_cluster=NAME)


def a_config(
    envoy_cluster: str = NAME,
    *,
    prefix: bool = True,
    known: bool = True,
    unknown: str = "",
    block: str = "",
    http: HttpConnectionManager | None = None,
) -> ProxyConfig:
    """A sidecar whose port 443 leads to one Envoy cluster, all else to BlackHoleCluster."""
    catch_all = FilterChain(CATCH_ALL, 0, (), (), BLACKHOLE)
    entrance = Listener("virtualOutbound", (("0.0.0.0", 15001),), True, True, (catch_all,), None)
    chain = FilterChain("", 0, (), (), "" if http else envoy_cluster, unknown, http=http)
    network = ip_network(block) if block else None
    blocks = (Block(4, int(network.network_address), network.prefixlen),) if network else ()
    chains = (replace(chain, blocks=blocks),) if blocks else ()
    listener = Listener("0.0.0.0_443", (("0.0.0.0", PORT),), True, False, chains, None if blocks else chain)
    names = [BLACKHOLE, *([envoy_cluster] if known else [])]
    clusters = {name: EnvoyCluster(name, "ORIGINAL_DST", (OriginService(HOST, "default", HOST),)) for name in names}
    return ProxyConfig((entrance, listener) if prefix else (entrance,), clusters)


def listeners_only(config: ProxyConfig) -> ProxyConfig:
    """The same, as it is read before the probes."""
    return replace(config, envoy_clusters=None)


OURS = a_config()
HTTP_ROUTED = a_config(http=HttpConnectionManager("", RouteConfig("443", (VirtualHost("all", ("*",), (ROUTE,)),))))
CLOSED = a_config(prefix=False)
WAY = Walk("0.0.0.0_443", "", NAME)


def counts(**by_name: Mapping[tuple[str, int], Counts]) -> dict[str, HostCounts]:
    return {name: HostCounts(hosts, True) for name, hosts in by_name.items()}


# The way


def test_the_way_is_the_one_that_both_looks_agree_on() -> None:
    assert common_walk(Reading(listeners_only(OURS)), Reading(OURS), PLACE) == WAY


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (CLOSED, OURS),
        (OURS, CLOSED),
        (a_config("outbound|443||other.example"), OURS),
        (a_config(unknown="its route was not understood"), a_config(unknown="")),
    ],
)
def test_a_configuration_that_changed_under_way_is_unknown(before: ProxyConfig, after: ProxyConfig) -> None:
    found = common_walk(Reading(listeners_only(before)), Reading(after), PLACE)
    assert found is not None
    assert "changed during the probe" in found.unknown
    assert found.envoy_cluster is None


def test_a_way_that_became_understood_is_not_taken_for_the_one_that_was_taken() -> None:
    """Both lead to no Envoy cluster; only the second is known to."""
    by_name = FilterChain("", 0, (), ("server_names",), NAME)
    first, last = (
        replace(
            OURS,
            listeners=tuple(
                replace(each, default_filter_chain=None, filter_chains=chains) if each.name != "virtualOutbound" else each
                for each in OURS.listeners or ()
            ),
        )
        for chains in ((by_name,), ())
    )
    found = common_walk(Reading(first), Reading(last), PLACE)
    assert found is not None
    assert found.unknown


def test_an_envoy_cluster_that_does_not_exist_is_said_to_be_absent() -> None:
    broken = a_config(known=False)
    assert common_walk(Reading(listeners_only(broken)), Reading(broken), PLACE) == replace(WAY, absent=True)


OTHER = "outbound|443||other.example"


def weighted(*moved: str) -> Walk | None:
    """The way of a route that is split in two, where the counts of some of them moved."""
    chain = FilterChain("", 0, (), (), "", choices=(NAME, OTHER))
    listeners = tuple(
        replace(each, default_filter_chain=chain) if each.name != "virtualOutbound" else each for each in OURS.listeners or ()
    )
    clusters = {name: EnvoyCluster(name, "ORIGINAL_DST", ()) for name in (NAME, OTHER, BLACKHOLE)}
    config = replace(OURS, listeners=listeners, envoy_clusters=clusters)
    before, after = (
        counts(**{name: {(IP, PORT): Counts(requests=3 + (name in more))} for name in (NAME, OTHER)}) for more in ((), moved)
    )
    return common_walk(Reading(listeners_only(config), before), Reading(config, after), PLACE)


@pytest.mark.parametrize("name", [NAME, OTHER])
def test_of_a_weighted_route_the_counts_tell_which_way_it_was(name: str) -> None:
    found = weighted(name)
    assert found is not None
    assert (found.envoy_cluster, found.choices) == (name, (NAME, OTHER))


@pytest.mark.parametrize("moved", [(), (NAME, OTHER)])
def test_where_none_or_several_counts_moved_chance_is_not_guessed(moved: tuple[str, ...]) -> None:
    found = weighted(*moved)
    assert found is not None
    assert (found.envoy_cluster, found.choices) == (None, (NAME, OTHER))


@pytest.mark.parametrize(
    ("before", "after", "sent"),
    [
        (Reading(), Reading(OURS), SENT),
        (Reading(OURS), Reading(), SENT),
        (Reading(OURS), Reading(OURS), ProbeSent(None)),
        (Reading(OURS), Reading(OURS), ProbeSent(CurlOutcome(6))),
    ],
)
def test_without_two_looks_and_an_address_there_is_no_way(before: Reading, after: Reading, sent: ProbeSent) -> None:
    assert common_walk(before, after, destination_of_probe(Question(PROBE), sent)) is None


# The access log


LISTED = Reading(a_config(block=BLOCK))


def uncounted(**changes: object) -> ProbeResult:
    """A probe of which all is known but whether it was counted."""
    [found] = judge_all(findings(SENT, **{"before": LISTED, "after": LISTED, **changes}))  # type: ignore[arg-type]
    return found


def test_the_access_log_is_asked_where_nothing_lacks_but_the_counts() -> None:
    assert may_be_in_log(uncounted(), NOTHING_READ)


@pytest.mark.parametrize(
    "changes",
    [
        {"sent": [replace(SENT, capture=Capture.UNKNOWN)]},
        {"sent": [replace(SENT, capture=Capture.NOT_CAPTURED)]},
        {"sent": [ProbeSent(REFUSAL, Capture.CAPTURED, (0, 40000))]},
        {"sent": [ProbeSent(None)]},
        {"after": Reading(CLOSED)},
        {"before": Reading()},
        {"near": ()},
        {
            "before": replace(LISTED, counts=counts(**{NAME: {(IP, PORT): Counts(1)}})),
            "after": replace(LISTED, counts=counts(**{NAME: {(IP, PORT): Counts(2)}})),
        },
    ],
    ids=["capture not known", "not captured", "refused", "lost", "changed", "not read", "owner not known", "counted"],
)
def test_the_access_log_is_not_asked_otherwise(changes: Mapping[str, object]) -> None:
    assert not may_be_in_log(uncounted(**changes), NOTHING_READ)


def test_what_the_log_shows_of_a_connection_makes_its_probe_open() -> None:
    found = uncounted(logged={0: LoggedConnection(NAME)})
    assert found is not None
    assert (found.verdict, found.cause) == (Verdict.OPEN, None)


@pytest.mark.parametrize(("config", "lines"), [(OURS, 1), (HTTP_ROUTED, 2)])
def test_of_http_every_request_of_a_connection_is_sought(config: ProxyConfig, lines: int) -> None:
    probe = PROBE if config is OURS else PLAIN
    found = findings(*sent_over((0, 40000), (0, 40000), (1, 40000)), config=config, probe=probe)
    connection = ProbeConnection("10.244.0.5", 40000, IP, PORT)
    assert connections_to_look_up(found, [0, 1, 2]) == {0: (connection, lines), 1: (connection, lines), 2: (connection, 1)}


# The counts

HERE = (NAME, IP, PORT)


def findings(*sent: ProbeSent, config: ProxyConfig = OURS, probe: Probe = PROBE, **changes: object) -> RunFacts:
    """What was found of probes of one entry."""
    known = RunFacts(
        SOURCE, [Question(probe, ENTRY.name, ENTRY)] * len(sent), sent, Reading(config), Reading(config), near=(ENTRY,)
    )
    return replace(known, **changes)  # type: ignore[arg-type]


def sent_over(*connections: tuple[int, int]) -> list[ProbeSent]:
    return [replace(SENT, connection=connection) for connection in connections]


@pytest.mark.parametrize(
    ("connections", "expected"),
    [
        ([(0, 40000)], 1),
        ([(0, 40000), (0, 40001)], 2),
        ([(0, 40000), (1, 40000)], 2),  # the same local port in two execs is two connections
        ([(0, 40000), (0, 40000)], 1),  # curl used one connection twice
    ],
)
def test_each_connection_of_our_own_is_to_be_counted_once(connections: Sequence[tuple[int, int]], expected: int) -> None:
    assert findings(*sent_over(*connections)).expected == Counter({HERE: expected})


def test_each_place_is_counted_by_itself() -> None:
    other_ip = replace(SENT, outcome=replace(ANSWER, remote_ip="192.0.2.1"))
    assert findings(SENT, other_ip).expected == Counter({HERE: 1, (NAME, "192.0.2.1", PORT): 1})


@pytest.mark.parametrize("config", [a_config(unknown="why"), replace(OURS, listeners=None)])
def test_what_has_no_known_way_is_counted_nowhere(config: ProxyConfig) -> None:
    assert findings(SENT, config=config).expected == Counter()


def test_what_was_not_sent_is_counted_nowhere() -> None:
    assert findings(ProbeSent(None)).expected == Counter()


def test_requests_of_http_are_counted_one_by_one_whatever_connection_they_shared() -> None:
    found = findings(SENT, SENT, config=HTTP_ROUTED, probe=PLAIN)
    assert found.expected == Counter({HERE: 2})


def evidence(
    before: Counts | None, after: Counts | None, *sent: ProbeSent, config: ProxyConfig = OURS, probe: Probe = PROBE
) -> Evidence:
    old, new = (Reading(config, None if each is None else counts(**{NAME: {(IP, PORT): each}})) for each in (before, after))
    [first, *_] = judge_all(findings(*(sent or (SENT,)), config=config, probe=probe, before=old, after=new))
    assert first is not None
    assert first.evidence is not None
    return first.evidence


@pytest.mark.parametrize(
    ("before", "after", "probes", "held"),
    [
        (0, 1, 1, True),
        (7, 8, 1, True),
        (7, 9, 1, True),  # the pod has other traffic
        (7, 8, 2, False),  # one of two, and which cannot be told
        (7, 7, 1, False),
        (7, 1, 1, True),  # dropped and made anew in between
    ],
)
def test_a_connection_is_counted_where_the_counts_account_for_all_of_ours(
    before: int, after: int, probes: int, held: bool
) -> None:
    sent = sent_over(*((number, 40000) for number in range(probes)))
    assert evidence(Counts(before), Counts(after), *sent).counted is held


@pytest.mark.parametrize(("requests", "held"), [(3, False), (4, True)])
def test_a_request_of_http_is_counted_as_one_though_its_connection_was_there_before(requests: int, held: bool) -> None:
    before, after = Counts(opened=1, requests=3), Counts(opened=1, requests=requests)
    assert evidence(before, after, config=HTTP_ROUTED, probe=PLAIN).counted is held


def test_how_the_counts_moved_is_kept() -> None:
    assert evidence(Counts(7), Counts(9)).counts == Counts(2)


@pytest.mark.parametrize("config", [a_config(unknown="why"), CLOSED])
def test_without_a_way_nothing_is_counted(config: ProxyConfig) -> None:
    assert evidence(Counts(0), Counts(1), config=config).counted is not True


@pytest.mark.parametrize(("before", "after"), [(None, Counts(1)), (Counts(1), None)])
def test_counts_that_could_not_be_read_deny_nothing(before: Counts | None, after: Counts | None) -> None:
    found = evidence(before, after)
    assert (found.counted, found.counts) == (None, None)


def test_another_address_of_the_same_envoy_cluster_does_not_count() -> None:
    before = Reading(OURS, counts(**{NAME: {}}))
    after = Reading(OURS, counts(**{NAME: {("192.0.2.1", PORT): Counts(5)}}))
    [found] = judge_all(findings(SENT, before=before, after=after))
    assert found is not None
    assert found.evidence is not None
    assert found.evidence.counted is False


# The endpoints


def with_endpoints(kind: str, before: int, after: int) -> int | None:
    config = replace(OURS, envoy_clusters={NAME: EnvoyCluster(NAME, kind, ()), BLACKHOLE: EnvoyCluster(BLACKHOLE, "STATIC", ())})
    old, new = (
        Reading(config, {NAME: HostCounts({(f"192.0.2.{each}", PORT): Counts() for each in range(number)}, False)})
        for number in (before, after)
    )
    [found] = judge_all(findings(SENT, config=config, before=old, after=new))
    assert found is not None
    assert found.evidence is not None
    assert leads_to_no_host(PLACE, old, new) is (found.evidence.endpoints == 0)
    return found.evidence.endpoints


@pytest.mark.parametrize(
    ("kind", "before", "after", "endpoints"),
    [
        ("STATIC", 0, 0, 0),
        ("EDS", 2, 2, 2),
        ("STRICT_DNS", 1, 0, 1),  # they come and go: it may have had one
        ("STRICT_DNS", 0, 1, 1),
        ("ORIGINAL_DST", 0, 0, None),  # it connects to the address that was asked for
        ("", 0, 0, None),
    ],
)
def test_an_envoy_cluster_of_its_own_hosts_is_empty_only_where_both_readings_say_so(
    kind: str, before: int, after: int, endpoints: int | None
) -> None:
    assert with_endpoints(kind, before, after) == endpoints


# The owner

WITH_BLOCK = a_config(block=BLOCK)


def owned(
    question: Question, neighbours: tuple[ServiceEntry, ...] | None, config: ProxyConfig = WITH_BLOCK
) -> tuple[Ownership, str] | None:
    near = neighbours if question.entry else None
    around = MeshObjects(entries=neighbours) if neighbours is not None else None
    found = RunFacts(SOURCE, [question], [SENT], Reading(config), Reading(config), near=near, around=around)
    [result] = judge_all(found)
    assert result is not None
    assert result.evidence is not None
    owner = result.evidence.owner
    return (owner.ownership, owner.reason) if owner else None


ASKED = Question(PROBE, "wikipedia-ext", ENTRY)
BARE = Question(PROBE)


def test_the_entrys_own_envoy_cluster_is_owned() -> None:
    assert owned(ASKED, (ENTRY,)) == (Ownership.OWNED, f"default/wikipedia-ext lists {BLOCK} on port 443 and the host {HOST}")


def test_an_entry_is_no_rival_of_itself_however_it_was_read() -> None:
    found = owned(ASKED, (replace(ENTRY, uid="another reading"),))
    assert found is not None
    assert found[0] is Ownership.OWNED


def test_an_older_entry_of_the_same_host_and_block_holds_it() -> None:
    older = replace(ENTRY, name="older-ext", created="2026-11-23T03:00:00Z")
    found = owned(ASKED, (ENTRY, older))
    assert found is not None
    assert found[0] is Ownership.OTHERS


PART = replace(ENTRY, name="wikipedia-ext-208-8", part_of="wikipedia", owned=True)
ELSE = replace(PART, name="wikipedia-ext-52-8", addresses=("52.0.0.0/24",))


@pytest.mark.parametrize("asked", [PART, ELSE])
def test_of_several_entries_of_a_target_it_is_the_one_that_lists_the_address(asked: ServiceEntry) -> None:
    found = owned(Question(PROBE, asked.name, asked), (ELSE, PART))
    assert found == (Ownership.OWNED, f"default/{PART.name} lists {BLOCK} on port 443 and the host {HOST}")


def test_what_the_target_was_before_is_the_targets_as_long_as_it_holds_the_block() -> None:
    before = replace(PART, name="wikipedia-ext", created="2026-11-23T03:00:00Z")
    found = owned(Question(PROBE, ELSE.name, ELSE), (ELSE, PART, before))
    assert found == (Ownership.OWNED, f"default/wikipedia-ext lists {BLOCK} on port 443 and the host {HOST}")


@pytest.mark.parametrize("change", [{"owned": False}, {"part_of": "other"}, {"part_of": ""}, {"namespace": "other"}])
def test_another_entry_of_the_host_is_none_of_the_targets_whatever_its_name(change: dict[str, object]) -> None:
    stranger = replace(PART, **change)  # type: ignore[arg-type]
    found = owned(Question(PROBE, ELSE.name, ELSE), (ELSE, stranger))
    assert found is not None
    assert found[0] is not Ownership.OWNED


def test_an_address_that_none_of_several_entries_lists_is_said_of_all() -> None:
    many = replace(ELSE, addresses=tuple(f"52.0.{third}.0/24" for third in range(200)))
    more = replace(many, name="wikipedia-ext-54-8", addresses=tuple(f"54.0.{third}.0/24" for third in range(200)))
    sent = ProbeSent(REFUSAL, Capture.CAPTURED, (0, 40000))
    closed = a_config(prefix=False)
    near = (many, more)
    found = RunFacts(
        SOURCE, [Question(PROBE, many.name, many)], [sent], Reading(closed), Reading(closed), near=near,
        around=MeshObjects(entries=near),
    )  # fmt: skip
    [result] = judge_all(found)
    assert result is not None
    assert result.cause is not None
    assert result.cause.message.endswith("which is in none of the 400 blocks of the ServiceEntries of wikipedia")
    assert result.cause.hint == "kubectl get serviceentry -n default -l egressctl.dev/target=wikipedia -o yaml"


def test_an_entry_whose_namespace_could_not_be_listed_is_not_known_to_own_anything() -> None:
    """Another entry of that namespace may share the Envoy cluster, and would be older: this would be a false `open`."""
    found = owned(Question(PROBE, "wikipedia-ext", replace(ENTRY, namespace="hidden")), (ENTRY,))
    assert found == (Ownership.UNKNOWN, "the ServiceEntries of namespace hidden could not be listed")


@pytest.mark.parametrize("question", [ASKED, BARE])
def test_without_a_list_nothing_is_owned(question: Question) -> None:
    found = owned(question, None)
    assert found is not None
    assert found[0] is Ownership.UNKNOWN


def test_a_bare_url_may_be_carried_by_any_one_entry() -> None:
    found = owned(BARE, (replace(ELSEWHERE, hosts=("other.example",)), ENTRY))
    assert found is not None
    assert found[0] is Ownership.OWNED
    assert "default/wikipedia-ext" in found[1]


def test_a_bare_url_that_no_entry_claims_has_no_known_owner() -> None:
    assert owned(BARE, ()) == (Ownership.UNKNOWN, "no ServiceEntry that egressctl may read claims it")


def test_an_entry_that_is_not_there_owns_nothing() -> None:
    assert owned(Question(PROBE, "wikipedia-ext", None), (ENTRY,)) is None


@pytest.mark.parametrize("config", [a_config(unknown="why"), CLOSED])
def test_without_a_way_there_is_no_owner(config: ProxyConfig) -> None:
    assert owned(ASKED, (ENTRY,), config) is None


GATEWAY = "istio-egressgateway.istio-system.svc.cluster.local"


@pytest.mark.parametrize(
    ("envoy_cluster", "ownership"),
    [
        (f"outbound|443||{GATEWAY}", Ownership.OWNED),
        (f"outbound|443|v1|{GATEWAY}", Ownership.OWNED),
        (NAME, Ownership.OTHERS),
        (f"outbound|443||not-{GATEWAY}", Ownership.OTHERS),
        ("PassthroughCluster", Ownership.OTHERS),
    ],
)
def test_an_expectation_that_names_the_way_is_held_against_it(envoy_cluster: str, ownership: Ownership) -> None:
    probe = replace(PROBE, expect=Expectation(via=GATEWAY))
    found = owned(ASKED._replace(probe=probe), (ENTRY,), a_config(envoy_cluster))
    assert found == (ownership, f"the probe expects {GATEWAY}, and the connection goes to {envoy_cluster.split('|')[-1]}")


# Looking around

MUST_DENY = replace(PROBE, expect=Expectation(Verdict.BLOCKED))


@pytest.mark.parametrize(
    ("question", "config", "sent", "looks"),
    [
        (ASKED, WITH_BLOCK, SENT, False),  # its own namespace's entries suffice to prove it
        (ASKED, CLOSED, ProbeSent(REFUSAL, Capture.CAPTURED), True),
        # It is not there, and a Sidecar resource may hide a new one.
        (Question(PROBE, ENTRY.name), CLOSED, ProbeSent(REFUSAL, Capture.CAPTURED), True),
        (Question(MUST_DENY, ENTRY.name), CLOSED, ProbeSent(REFUSAL, Capture.CAPTURED), False),
        (ASKED, CLOSED, ProbeSent(ANSWER, Capture.NOT_CAPTURED), False),
        (BARE, CLOSED, ProbeSent(REFUSAL, Capture.CAPTURED), True),  # any entry could serve it
        (BARE, WITH_BLOCK, SENT, True),  # any entry may carry it
    ],
)
def test_what_else_is_on_the_kubernetes_cluster_is_read_only_where_it_may_matter(
    question: Question, config: ProxyConfig, sent: ProbeSent, looks: bool
) -> None:
    there = Reading(config, counts(**{NAME: {(IP, PORT): Counts(1)}}))
    before = Reading(config, counts(**{NAME: {(IP, PORT): Counts(0)}}))
    near = (ENTRY,) if question.entry else None
    [result] = judge_all(RunFacts(SOURCE, [question], [sent], before, there, near=near))
    assert needs_mesh_objects(result, question) is looks


# Which probes need a companion

UNSEEN = ProbeSent(REFUSAL, Capture.UNKNOWN, (0, 40000))


def test_a_refusal_by_the_sidecar_that_left_no_row_needs_a_companion() -> None:
    assert config_refuses(listeners_only(CLOSED), UNSEEN, PLACE)


@pytest.mark.parametrize(
    ("config", "sent"),
    [
        (None, UNSEEN),
        (OURS, UNSEEN),
        (CLOSED, ProbeSent(None)),
        (CLOSED, replace(UNSEEN, capture=Capture.CAPTURED)),
        (CLOSED, replace(UNSEEN, capture=Capture.NOT_CAPTURED)),
        (CLOSED, replace(UNSEEN, outcome=replace(REFUSAL, curl_exit=60))),
        (CLOSED, replace(UNSEEN, outcome=ANSWER)),
        (CLOSED, replace(UNSEEN, outcome=replace(REFUSAL, remote_ip=""))),
    ],
)
def test_nothing_else_needs_one(config: ProxyConfig | None, sent: ProbeSent) -> None:
    """A bare connection hangs where the egress is open, and proves nothing where nothing was refused."""
    assert not config_refuses(config, sent, PLACE)


def test_a_way_without_an_end_needs_one_as_well() -> None:
    broken = a_config(known=False)
    assert looks_refused_without_row(UNSEEN)
    assert leads_to_no_host(PLACE, Reading(broken), Reading(broken))
    assert not leads_to_no_host(PLACE, Reading(OURS), Reading(OURS))


# What could not be sent

PORTAL = Probe("portal", "https://www.wikipedia.org")


def test_what_could_not_be_sent_is_inconclusive_and_says_why() -> None:
    source = Source("default", "sleep", "sleep", "istio-proxy")
    found = judge(unsent_case(Question(PORTAL, "wikipedia-ext"), source, CauseCode.NO_CURL, "there is no curl"))
    assert (found.verdict, found.held, found.outcome, found.evidence) == (Verdict.INCONCLUSIVE, False, None, None)
    assert found.cause == Cause(
        CauseCode.NO_CURL,
        "there is no curl",
        "name another with -c CONTAINER or --pod NAME, or start one: egressctl create ... -n default --with-source",
    )


def test_what_could_not_be_sent_holds_only_where_that_was_expected() -> None:
    probe = replace(PORTAL, expect=Expectation(Verdict.INCONCLUSIVE))
    assert judge(unsent_case(Question(probe), Source("default", "", "", None), CauseCode.EXEC_FAILED, "")).held
