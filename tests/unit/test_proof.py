"""What is made of two looks at the sidecar and of what curl said, before it is judged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from egressctl.envoy import CATCH_ALL, EnvoyCluster, FilterChain, Listener, ProxyConfig, Service
from egressctl.envoy.counts import HostCounts
from egressctl.mesh import Sent
from egressctl.model import (
    Capture,
    Cause,
    CauseCode,
    Counts,
    Evidence,
    Expectation,
    Outcome,
    Ownership,
    Port,
    Probe,
    ServiceEntry,
    Source,
    Verdict,
    Walk,
)
from egressctl.proof import Question, _address, _connections, _counted, _displaced_by, _owner, _refused, _walk, unasked
from egressctl.sidecar import Reading
from egressctl.verdict import BLACKHOLE

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

ANSWER = Outcome(0, "", 200, IP, PORT, "10.244.0.5", 40000)
REFUSAL = Outcome(35, "Recv failure: Connection reset by peer", 0, IP, PORT, "10.244.0.5", 40000)
SENT = Sent(ANSWER, Capture.CAPTURED, (0, 40000))


def a_config(envoy_cluster: str = NAME, *, prefix: bool = True, known: bool = True, unknown: str = "") -> ProxyConfig:
    """A sidecar whose port 443 leads to one Envoy cluster, all else to BlackHoleCluster."""
    catch_all = FilterChain(CATCH_ALL, 0, (), (), BLACKHOLE)
    entrance = Listener("virtualOutbound", (("0.0.0.0", 15001),), True, True, (catch_all,), None)
    chain = FilterChain("", 0, (), (), envoy_cluster, unknown)
    listener = Listener("0.0.0.0_443", (("0.0.0.0", PORT),), True, False, (), chain)
    names = [BLACKHOLE, *([envoy_cluster] if known else [])]
    clusters = {name: EnvoyCluster(name, "ORIGINAL_DST", (Service(HOST, "default", HOST),)) for name in names}
    return ProxyConfig((entrance, listener) if prefix else (entrance,), clusters)


def listeners_only(config: ProxyConfig) -> ProxyConfig:
    """The same, as it is read before the probes."""
    return replace(config, envoy_clusters=None)


OURS = a_config()
CLOSED = a_config(prefix=False)
WAY = Walk("0.0.0.0_443", "", NAME)


def counts(**by_name: Mapping[tuple[str, int], Counts]) -> dict[str, HostCounts]:
    return {name: HostCounts(hosts, True) for name, hosts in by_name.items()}


# The way


def test_the_way_is_the_one_that_both_looks_agree_on() -> None:
    assert _walk(Reading(listeners_only(OURS)), Reading(OURS), *_address(SENT)) == WAY


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
    found = _walk(Reading(listeners_only(before)), Reading(after), *_address(SENT))
    assert found is not None
    assert "changed while the probe was under way" in found.unknown
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
    found = _walk(Reading(first), Reading(last), *_address(SENT))
    assert found is not None
    assert found.unknown


def test_an_envoy_cluster_that_does_not_exist_stays_unknown() -> None:
    broken = a_config(known=False)
    found = _walk(Reading(listeners_only(broken)), Reading(broken), *_address(SENT))
    assert found is not None
    assert "does not exist in the sidecar (NC)" in found.unknown


@pytest.mark.parametrize(
    ("before", "after", "sent"),
    [
        (Reading(), Reading(OURS), SENT),
        (Reading(OURS), Reading(), SENT),
        (Reading(OURS), Reading(OURS), Sent(None)),
        (Reading(OURS), Reading(OURS), Sent(Outcome(6))),
    ],
)
def test_without_two_looks_and_an_address_there_is_no_way(before: Reading, after: Reading, sent: Sent) -> None:
    assert _walk(before, after, *_address(sent)) is None


# The counts

HERE = (NAME, IP, PORT)


def sent_over(*connections: tuple[int, int]) -> list[Sent]:
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
    sent = sent_over(*connections)
    assert _connections(sent, [WAY] * len(sent)) == Counter({HERE: expected})


def test_each_place_is_counted_by_itself() -> None:
    other_ip = replace(SENT, outcome=replace(ANSWER, remote_ip="192.0.2.1"))
    other_way = replace(WAY, envoy_cluster="outbound|443||other.example")
    found = _connections([SENT, other_ip, SENT], [WAY, WAY, other_way])
    assert found == Counter({HERE: 1, (NAME, "192.0.2.1", PORT): 1, ("outbound|443||other.example", IP, PORT): 1})


def test_what_has_no_known_way_is_counted_nowhere() -> None:
    ways = [None, replace(WAY, unknown="why"), replace(WAY, envoy_cluster=None), WAY]
    assert _connections([SENT, SENT, SENT, Sent(None)], ways) == Counter()


def counted(before: int, after: int, expected: int, way: Walk | None = WAY) -> Evidence:
    place = (IP, PORT)
    old = Reading(OURS, counts(**{NAME: {place: Counts(before)}}))
    new = Reading(OURS, counts(**{NAME: {place: Counts(after)}}))
    return _counted(Evidence(walk=way), SENT, old, new, Counter({HERE: expected}))


@pytest.mark.parametrize(
    ("before", "after", "expected", "held"),
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
    before: int, after: int, expected: int, held: bool
) -> None:
    assert counted(before, after, expected).counted is held


def test_how_the_counts_moved_is_kept() -> None:
    assert counted(7, 9, 1).counts == Counts(2)


@pytest.mark.parametrize("way", [None, replace(WAY, unknown="why"), replace(WAY, envoy_cluster=None)])
def test_without_a_way_nothing_is_counted_and_nothing_denied(way: Walk | None) -> None:
    assert counted(0, 1, 1, way) == Evidence(walk=way)


@pytest.mark.parametrize("missing", ["before", "after"])
def test_counts_that_could_not_be_read_deny_nothing(missing: str) -> None:
    there = Reading(OURS, counts(**{NAME: {(IP, PORT): Counts(1)}}))
    before, after = (Reading(OURS) if missing == name else there for name in ("before", "after"))
    found = _counted(Evidence(walk=WAY), SENT, before, after, Counter({HERE: 1}))
    assert (found.counted, found.counts) == (None, None)


def test_another_address_of_the_same_envoy_cluster_does_not_count() -> None:
    before = Reading(OURS, counts(**{NAME: {}}))
    after = Reading(OURS, counts(**{NAME: {("192.0.2.1", PORT): Counts(5)}}))
    assert _counted(Evidence(walk=WAY), SENT, before, after, Counter({HERE: 1})).counted is False


# The owner

AFTER = Reading(OURS)
WAY_TO_BLOCK = replace(WAY, prefix=BLOCK)


def owned(
    question: Question, neighbours: tuple[ServiceEntry, ...] | None, way: Walk | None = WAY_TO_BLOCK, after: Reading = AFTER
) -> tuple[Ownership, str] | None:
    found = _owner(question, ANSWER, way, after, neighbours, "default")
    return (found.ownership, found.reason) if found else None


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
    assert owned(BARE, ()) == (Ownership.UNKNOWN, "no ServiceEntry that may be read claims it")


def test_an_entry_that_is_not_there_owns_nothing() -> None:
    assert owned(Question(PROBE, "wikipedia-ext", None), (ENTRY,)) is None


@pytest.mark.parametrize("way", [None, replace(WAY, unknown="why")])
def test_without_a_way_there_is_no_owner(way: Walk | None) -> None:
    assert owned(ASKED, (ENTRY,), way) is None


def test_without_the_sidecars_envoy_clusters_there_is_no_owner() -> None:
    assert owned(ASKED, (ENTRY,), after=Reading()) is None


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
    found = owned(replace(ASKED, probe=probe), (ENTRY,), replace(WAY, envoy_cluster=envoy_cluster))
    assert found == (ownership, f"the expectation names {GATEWAY}, and {envoy_cluster.split('|')[-1]} carries")


# A refusal because of another namespace's entry

THEIRS = replace(ENTRY, namespace="other")


def displaced(entry: ServiceEntry | None, *neighbours: ServiceEntry, ip: str = IP) -> ServiceEntry | None:
    found = _displaced_by(Question(PROBE, "wikipedia-ext", entry), replace(REFUSAL, remote_ip=ip), neighbours, "default")
    assert found is None or found.ownership is Ownership.OTHERS
    return found.rival if found else None


IN_POD_NAMESPACE = replace(ENTRY, addresses=("192.0.2.0/24",), created="2026-11-23T09:00:00Z")
IN_THIRD = replace(IN_POD_NAMESPACE, namespace="third")


def test_the_pods_own_namespaces_entry_of_the_host_stands_in_the_way() -> None:
    assert displaced(THEIRS, IN_POD_NAMESPACE) == IN_POD_NAMESPACE


def test_of_two_other_namespaces_the_older_entry_stands_in_the_way() -> None:
    older = replace(IN_THIRD, created="2026-11-23T01:00:00Z")
    assert displaced(THEIRS, older) == older
    assert displaced(THEIRS, IN_THIRD) is None


def test_the_owner_of_a_refused_connection_is_the_one_that_displaced_it() -> None:
    way = replace(WAY, envoy_cluster=BLACKHOLE)
    found = _owner(Question(PROBE, "wikipedia-ext", THEIRS), REFUSAL, way, AFTER, (THEIRS, IN_POD_NAMESPACE), "default")
    assert found is not None
    assert found.rival == IN_POD_NAMESPACE


@pytest.mark.parametrize(
    ("entry", "neighbour", "ip"),
    [
        (None, IN_POD_NAMESPACE, IP),
        (ENTRY, ELSEWHERE, IP),  # the pod's own namespace's entry is the one that is kept
        (THEIRS, replace(IN_POD_NAMESPACE, hosts=("other.example",)), IP),
        (THEIRS, replace(IN_POD_NAMESPACE, namespace="other"), IP),
        (THEIRS, IN_POD_NAMESPACE, "198.51.100.1"),  # not listed in the first place
        (replace(THEIRS, export_to=(".",)), IN_POD_NAMESPACE, IP),  # never reached the pod
        (THEIRS, replace(IN_POD_NAMESPACE, export_to=("~",)), IP),
    ],
)
def test_nothing_else_stands_in_the_way(entry: ServiceEntry | None, neighbour: ServiceEntry, ip: str) -> None:
    assert displaced(entry, neighbour, ip=ip) is None


# Which probes need a companion

UNSEEN = Sent(REFUSAL, Capture.UNKNOWN, (0, 40000))


def test_a_refusal_by_the_sidecar_that_left_no_row_needs_a_companion() -> None:
    assert _refused(listeners_only(CLOSED), UNSEEN)


@pytest.mark.parametrize(
    ("config", "sent"),
    [
        (None, UNSEEN),
        (OURS, UNSEEN),
        (CLOSED, Sent(None)),
        (CLOSED, replace(UNSEEN, capture=Capture.CAPTURED)),
        (CLOSED, replace(UNSEEN, capture=Capture.NOT_CAPTURED)),
        (CLOSED, replace(UNSEEN, outcome=replace(REFUSAL, curl_exit=60))),
        (CLOSED, replace(UNSEEN, outcome=ANSWER)),
        (CLOSED, replace(UNSEEN, outcome=replace(REFUSAL, remote_ip=""))),
    ],
)
def test_nothing_else_needs_one(config: ProxyConfig | None, sent: Sent) -> None:
    """A bare connection hangs where the egress is open, and proves nothing where nothing was refused."""
    assert not _refused(config, sent)


# What was never sent


def test_what_could_not_be_sent_is_inconclusive_and_says_why() -> None:
    found = unasked(ASKED, Source("default", "sleep", "sleep", "istio-proxy"), CauseCode.NO_CURL, "there is no curl")
    assert (found.verdict, found.held, found.outcome, found.evidence) == (Verdict.INCONCLUSIVE, False, None, None)
    assert found.cause == Cause(
        CauseCode.NO_CURL,
        "there is no curl",
        "name another with -c CONTAINER or --pod NAME, or start one: egressctl create ... --with-source",
    )


def test_what_could_not_be_sent_holds_only_where_that_was_expected() -> None:
    probe = replace(PROBE, expect=Expectation(Verdict.INCONCLUSIVE))
    assert unasked(Question(probe), Source("default", "", "", None), CauseCode.EXEC_FAILED, "").held
