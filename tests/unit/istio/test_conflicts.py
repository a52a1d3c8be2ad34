"""Which entries compete with another, for what, and who wins: by what was measured with istiod."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.istio.conflict import EntryConflict
from egressctl.istio.conflicts import ConflictingEntry, conflicting_entries, find_conflicts
from egressctl.lint.rule import RULES
from egressctl.model.entry import Port, ServiceEntry

HOST, BLOCK = "wikipedia.org", "208.80.154.224/27"
TCP, TLS, HTTP = Port(443, "TCP", "tcp-port"), Port(443, "TLS", "tls"), Port(443, "HTTP", "http")
OLDER, YOUNGER = "2026-11-23T03:00:00Z", "2026-11-23T05:00:00Z"


def an_entry(name: str = "wikipedia-ext", **changes: object) -> ServiceEntry:
    entry = ServiceEntry(
        name=name,
        namespace="default",
        hosts=(HOST,),
        addresses=(BLOCK,),
        ports=(TCP,),
        resolution="NONE",
        location="MESH_EXTERNAL",
        export_to=(),
        created="2026-11-23T04:00:00Z",
    )
    return replace(entry, **changes)  # type: ignore[arg-type]


ENTRY = an_entry()


def other(**changes: object) -> ServiceEntry:
    return an_entry(**{"name": "other-ext", "hosts": ("other.example",), **changes})  # type: ignore[arg-type]


def only(found: tuple[EntryConflict, ...]) -> EntryConflict:
    (clash,) = found
    return clash


def compare(mine: ServiceEntry, theirs: ServiceEntry, namespace: str = "default") -> EntryConflict:
    return only(find_conflicts(mine, [theirs], namespace))


# Who wins, as measured


@pytest.mark.parametrize(
    ("mine", "theirs", "outcome"),
    [
        (ENTRY, other(created=OLDER), "default/other-ext gets it, the older"),
        (ENTRY, other(created=YOUNGER), "default/wikipedia-ext gets it, the older"),
        (ENTRY, other(created=OLDER, namespace="other"), "other/other-ext gets it, the older"),
        (an_entry(created=""), other(), "default/other-ext gets it, the older"),
        (ENTRY, other(), "default/other-ext gets it, the first by host of two of the same age"),
        (ENTRY, other(hosts=("z.example",)), "default/wikipedia-ext gets it, the first by host of two of the same age"),
        (ENTRY, other(hosts=("Z.example",)), "default/other-ext gets it, the first by host of two of the same age"),
        (
            an_entry(created=""),
            other(created=""),
            "which of them gets it is not known, since neither says its age",
        ),
        (
            an_entry(export_to=(".",), created=YOUNGER),
            other(export_to=("*",)),
            "default/wikipedia-ext gets it, whose exportTo names fewer namespaces",
        ),
        (ENTRY, other(export_to=(".",), created=YOUNGER), "default/other-ext gets it, whose exportTo names fewer namespaces"),
        (ENTRY, other(addresses=("208.80.154.230/27",), created=OLDER), "default/other-ext gets it, the older"),
    ],
)
def test_of_two_that_list_one_block(mine: ServiceEntry, theirs: ServiceEntry, outcome: str) -> None:
    found = compare(mine, theirs)
    assert (found.rule, found.outcome) == ("same-block", outcome)


@pytest.mark.parametrize(
    ("block", "outcome"),
    [
        ("208.80.154.0/24", f"default/wikipedia-ext takes {BLOCK}, since the longest prefix goes first"),
        ("208.80.154.224/28", "default/other-ext takes 208.80.154.224/28, since the longest prefix goes first"),
        ("208.80.154.230", "default/other-ext takes 208.80.154.230/32, since a plain address goes before every block"),
    ],
)
def test_of_two_overlapping_blocks_the_longest_prefix_wins_whatever_the_age(block: str, outcome: str) -> None:
    for created in (OLDER, YOUNGER):
        found = compare(ENTRY, other(addresses=(block,), created=created))
        assert (found.rule, found.outcome) == ("overlapping-blocks", outcome)


@pytest.mark.parametrize(
    ("namespaces", "created", "pods", "gets"),
    [
        (("default", "other"), OLDER, "default", "default/wikipedia-ext, their own namespace's"),
        (("default", "other"), OLDER, "other", "other/other-ext, their own namespace's"),
        (("default", "other"), OLDER, "third", "other/other-ext, the older"),
        (("default", "other"), YOUNGER, "third", "default/wikipedia-ext, the older"),
    ],
)
def test_of_one_host_in_two_namespaces_a_sidecar_gets_only_one(
    namespaces: tuple[str, str], created: str, pods: str, gets: str
) -> None:
    mine, theirs = namespaces
    rival = other(hosts=(HOST,), addresses=("192.0.2.0/24",), namespace=theirs, created=created)
    found = compare(an_entry(namespace=mine), rival, pods)
    assert found.rule == "same-host"
    assert found.outcome == f"a sidecar gets only one of the two; pods of namespace {pods} get {gets}"


def test_of_one_host_in_two_namespaces_the_first_is_the_one_that_is_exported_to_fewer() -> None:
    theirs = other(hosts=(HOST,), addresses=("192.0.2.0/24",), namespace="other", export_to=("third",), created=YOUNGER)
    found = compare(ENTRY, theirs, "third")
    assert found.outcome.endswith("pods of namespace third get other/other-ext, whose exportTo names fewer namespaces")


def test_of_one_host_and_second_in_two_namespaces_the_first_by_namespace_is_got() -> None:
    found = compare(ENTRY, other(hosts=(HOST,), addresses=("192.0.2.0/24",), namespace="another"), "third")
    assert found.outcome.endswith("get another/other-ext, the first by namespace of two of the same age")


def test_a_host_in_another_case_is_another_host_to_istio() -> None:
    for namespace in ("default", "another"):
        found = compare(ENTRY, other(hosts=("WIKIPEDIA.org",), addresses=("192.0.2.0/24",), namespace=namespace))
        assert (found.rule, found.winner) == ("same-host", "")
        assert found.outcome.startswith("to Istio that is another host: a sidecar gets both")


def test_of_two_namespaces_entries_pods_may_see_only_one() -> None:
    mine = an_entry(export_to=("*",))
    theirs = other(hosts=(HOST,), addresses=("192.0.2.0/24",), namespace="other", export_to=(".",), created=OLDER)
    assert compare(mine, theirs, "third").outcome.endswith("get default/wikipedia-ext, the only one that they see")


def test_of_one_host_in_one_namespace_both_share_an_envoy_cluster() -> None:
    found = compare(ENTRY, other(hosts=(HOST,), addresses=("192.0.2.0/24",)))
    assert (found.rule, found.reason) == ("same-host", f"it has the same host {HOST}")
    assert "share an Envoy cluster" in found.outcome


@pytest.mark.parametrize(
    ("rival", "why"),
    [
        (other(created=OLDER, resolution="STATIC"), "the older"),
        (other(created=OLDER, labels=frozenset({("team", "a")})), "the older"),
        (other(created=YOUNGER, export_to=(".",)), "whose exportTo names fewer namespaces"),
    ],
    ids=["resolution", "labels", "exportTo"],
)
def test_of_one_host_in_one_namespace_only_the_ports_of_the_first_have_envoy_clusters(rival: ServiceEntry, why: str) -> None:
    found = compare(ENTRY, replace(rival, hosts=(HOST,), ports=(Port(80, "TCP", "tcp"),)))
    assert (found.rule, found.winner) == ("same-host", "default/other-ext")
    closed = "connections to port 443 of default/wikipedia-ext are closed"
    assert found.outcome == f"default/other-ext comes first, {why}, and has the Envoy clusters: {closed}"
    assert found.hint.endswith("then their ports are merged")


def test_whose_ports_are_closed_is_not_told_where_neither_says_its_age() -> None:
    rival = other(hosts=(HOST,), ports=(Port(80, "TCP", "tcp"),), created="", resolution="STATIC")
    found = compare(an_entry(created=""), rival)
    assert found.outcome.startswith("which of them comes first is not known, since neither says its age: connections to")
    assert found.winner == ""


def test_whose_ports_are_closed_is_chance_where_both_are_of_one_second() -> None:
    found = compare(ENTRY, other(hosts=(HOST,), ports=(Port(80, "TCP", "tcp"),), resolution="STATIC"))
    assert "comes first is chance, since both have one host, namespace and second of creation: connections to" in found.outcome
    assert found.winner == ""


def test_ports_are_merged_where_labels_exports_and_resolution_are_the_same() -> None:
    alike = frozenset({("team", "a")})
    rival = other(hosts=(HOST,), addresses=("192.0.2.0/24",), ports=(Port(80, "TCP", "tcp"),), labels=alike, created=OLDER)
    assert "each address is open for both" in compare(an_entry(labels=alike), rival).outcome


def test_what_the_first_has_too_is_shared_whatever_else_differs() -> None:
    rival = other(hosts=(HOST,), addresses=("192.0.2.0/24",), ports=(TCP, Port(80, "TCP", "b")), export_to=(".",))
    assert "each address is open for both" in compare(ENTRY, rival).outcome


def test_entries_of_one_host_of_which_no_pod_gets_both_do_not_meet_on_a_port() -> None:
    private = an_entry(export_to=(".",))
    found = compare(private, other(hosts=(HOST,), namespace="other", addresses=("208.80.154.0/24",)))
    assert found.rule == "same-host"


@pytest.mark.parametrize("theirs", [(), ("0.0.0.0/0",)])
def test_an_entry_that_catches_the_whole_port_leaves_blocks_alone(theirs: tuple[str, ...]) -> None:
    found = compare(ENTRY, other(addresses=theirs, created=OLDER))
    assert (found.rule, found.reason) == ("whole-port", "it catches every address on port 443")
    assert found.outcome == (
        "default/wikipedia-ext keeps the blocks that it lists, and everything else on the port is open through default/other-ext"
    )


def test_an_entry_without_addresses_takes_the_rest_of_the_port() -> None:
    found = compare(an_entry(addresses=()), other())
    assert found.reason == "it lists addresses on port 443, of which default/wikipedia-ext catches every one"
    assert "what it lists stays its own" in found.outcome
    both = compare(an_entry(addresses=()), other(addresses=(), created=OLDER))
    assert both.outcome == "so does default/wikipedia-ext; default/other-ext gets it, the older"


def test_the_blocks_of_an_entry_that_catches_the_whole_port_count_as_well() -> None:
    wide = other(addresses=("0.0.0.0/0", "208.80.154.230"), created=OLDER)
    found = {each.rule: each for each in find_conflicts(ENTRY, [wide], "default")}
    assert found["overlapping-blocks"].winner == "default/other-ext"
    assert found["whole-port"].winner == "default/wikipedia-ext"
    # What both list is nobody's beside the whole port.
    [same] = find_conflicts(an_entry(addresses=("208.80.154.230",)), [wide], "default")
    assert (same.rule, same.winner) == ("same-block", "default/other-ext")
    [both] = find_conflicts(an_entry(addresses=("0.0.0.0/0", "192.0.2.1")), [other(addresses=(), created=OLDER)], "default")
    assert both.outcome.endswith("the older; default/wikipedia-ext keeps the addresses that it lists besides")
    assert both.winner == "default/wikipedia-ext"


def test_a_block_that_both_list_is_not_taken_from_a_wider_one_of_either() -> None:
    wide = other(addresses=("208.80.154.0/24", BLOCK), created=OLDER)
    found = compare(ENTRY, wide)
    assert (found.rule, found.winner) == ("same-block", "default/other-ext")


# TLS


@pytest.mark.parametrize("mine", [TCP, TLS])
@pytest.mark.parametrize("theirs", [TCP, TLS])
def test_a_plain_address_goes_to_one_whatever_the_server_name(mine: Port, theirs: Port) -> None:
    found = compare(
        an_entry(ports=(mine,), addresses=("208.80.154.224",)),
        other(ports=(theirs,), addresses=("208.80.154.224/32",), created=OLDER),
    )
    assert (found.rule, found.winner) == ("same-block", "default/other-ext")
    assert found.outcome.endswith("asks for no server name") is (TLS in (mine, theirs))


def test_a_longer_plain_address_takes_every_name() -> None:
    found = compare(ENTRY, other(ports=(TLS,), addresses=("208.80.154.224",)))
    assert found.outcome.endswith("since a plain address goes before every block")


def test_tls_on_every_address_is_behind_blocks_too() -> None:
    found = {
        each.rule: each.winner for each in find_conflicts(an_entry(ports=(TLS,), addresses=("0.0.0.0/0",)), [other()], "default")
    }
    assert found == {"tls-behind-block": "default/other-ext"}


def test_a_tls_entry_with_the_same_block_takes_its_names_from_the_tcp_entry() -> None:
    for mine, theirs in ((TCP, TLS), (TLS, TCP)):
        found = compare(an_entry(ports=(mine,)), other(ports=(theirs,), created=OLDER))
        tls = "default/wikipedia-ext" if mine is TLS else "default/other-ext"
        assert found.rule == "same-block"
        assert found.outcome == f"the server names of {tls} go to it, and the rest to the other"


def test_two_tls_entries_share_a_block_in_peace() -> None:
    assert find_conflicts(an_entry(ports=(TLS,)), [other(ports=(TLS,))], "default") == ()


def test_a_tls_entry_without_addresses_loses_to_a_block() -> None:
    nowhere = an_entry(addresses=(), ports=(TLS,), created=OLDER)
    for protocol in (TCP, TLS):
        found = compare(nowhere, other(ports=(protocol,)))
        assert found.rule == "tls-behind-block"
        assert found.reason == f"it lists addresses on port 443 as {protocol.protocol}"
        mirrored = compare(other(ports=(protocol,)), nowhere)
        assert mirrored.rule == "tls-behind-block"
        assert "one of them resolves to an address in the blocks of default/other-ext" in mirrored.outcome


def test_what_a_longer_tls_block_refuses_is_not_handed_on() -> None:
    found = compare(ENTRY, other(ports=(TLS,), addresses=("208.80.154.224/28",)))
    assert found.rule == "overlapping-blocks"
    assert found.outcome.endswith("what asks for none of its names there is not handed on to the other")


def test_of_two_server_names_the_one_that_says_more_wins() -> None:
    mine = an_entry(addresses=(), ports=(TLS,), hosts=("*.wikipedia.org",))
    theirs = other(addresses=(), ports=(TLS,), hosts=("en.wikipedia.org",))
    found = compare(mine, theirs)
    assert found.rule == "same-server-name"
    assert found.outcome == "en.wikipedia.org goes to default/other-ext, since it says more than *.wikipedia.org"
    assert compare(theirs, mine).outcome == found.outcome


# Protocols


@pytest.mark.parametrize("theirs", [TCP, TLS])
def test_a_port_that_one_declares_http_and_another_not(theirs: Port) -> None:
    mine = an_entry(addresses=(), ports=(HTTP,))
    found = [each for each in find_conflicts(mine, [other(ports=(theirs,))], "default") if each.rule == "protocol-conflict"]
    assert [each.reason for each in found] == [f"it declares port 443 as {theirs.protocol}, and default/wikipedia-ext as HTTP"]


def test_http_loses_its_hosts_within_the_addresses_of_another_protocol() -> None:
    http = an_entry(addresses=(), ports=(HTTP,))
    found = compare(http, other())
    assert (found.rule, found.winner) == ("protocol-conflict", "default/other-ext")
    assert found.outcome.startswith("if a host of default/wikipedia-ext resolves to one of the addresses of default/other-ext")


def test_http_has_no_route_to_a_host_that_a_later_entry_declares_otherwise() -> None:
    later = other(hosts=(HOST,), addresses=("192.0.2.0/24",), created=YOUNGER)
    found = {each.rule: each for each in find_conflicts(an_entry(addresses=(), ports=(HTTP,)), [later], "default")}
    assert found["protocol-conflict"].winner == "default/other-ext"
    assert f"with it HTTP has no route to {HOST} on the port" in found["protocol-conflict"].outcome


def test_http_entries_do_not_compete_for_addresses() -> None:
    assert find_conflicts(an_entry(ports=(HTTP,)), [other(ports=(HTTP,))], "default") == ()


def test_protocols_do_not_conflict_where_addresses_do_not_meet() -> None:
    assert find_conflicts(an_entry(ports=(HTTP,)), [other(addresses=("192.0.2.0/24",))], "default") == ()


# Rivals: what `run` refuses


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (an_entry("b", addresses=("192.0.2.0/24",)), "it has the same host wikipedia.org"),
        (an_entry("b", addresses=("192.0.2.0/24",), hosts=("WIKIPEDIA.org", "x.example")), "it has the same host WIKIPEDIA.org"),
        (
            an_entry("b", ports=(Port(80, "HTTP", "h"),), namespace="other"),
            "it has the same host wikipedia.org in namespace other",
        ),
        (an_entry("b", hosts=("b.example",), addresses=("208.80.154.230/27",)), f"it lists the same block {BLOCK} on port 443"),
        (
            an_entry("b", hosts=("b.example",), addresses=("192.0.2.1", "208.80.154.230")),
            f"it lists 208.80.154.230/32 on port 443, which overlaps {BLOCK}",
        ),
        (an_entry("b", hosts=("b.example",), addresses=()), "it catches every address on port 443"),
        (an_entry("b", hosts=("b.example",), addresses=("0.0.0.0/0",)), "it catches every address on port 443"),
        (an_entry("b"), f"it has the same host wikipedia.org; it lists the same block {BLOCK} on port 443"),
    ],
)
def test_a_rival_is_named_with_why(other: ServiceEntry, reason: str) -> None:
    assert conflicting_entries(ENTRY, [ENTRY, other]) == (ConflictingEntry(other, reason),)


@pytest.mark.parametrize(
    "other",
    [
        ENTRY,
        an_entry(uid="a-later-reading"),
        an_entry("b", hosts=("b.example",), addresses=("208.80.154.0/27",)),
        an_entry("b", hosts=("b.example",), ports=(Port(8443, "TCP", "a"),)),
        an_entry("b", hosts=("b.example",), ports=(Port(443, "UDP", "a"),)),
        an_entry("b", hosts=("b.example",), addresses=(), ports=(Port(443, "TLS", "a"),)),
        an_entry("b", hosts=("b.example",), addresses=("2620:0:860::/46", "nonsense")),
        an_entry("b", export_to=("~",)),
    ],
)
def test_what_does_not_compete_is_no_rival(other: ServiceEntry) -> None:
    assert conflicting_entries(ENTRY, [other]) == ()


@pytest.mark.parametrize(
    ("mine", "theirs", "meet"),
    [
        ((".",), (".",), False),
        ((".",), ("default",), True),
        ((".",), (), True),
        (("*",), (".",), True),
        (("a",), ("a", "b"), True),
        (("a",), ("b",), False),
    ],
)
def test_entries_that_no_namespace_sees_both_of_are_no_rivals(mine: tuple[str, ...], theirs: tuple[str, ...], meet: bool) -> None:
    found = conflicting_entries(an_entry(export_to=mine), [an_entry(namespace="other", export_to=theirs)])
    assert bool(found) is meet


def test_an_entry_that_catches_every_address_has_rivals_in_those_that_list_some() -> None:
    (found,) = conflicting_entries(an_entry(addresses=()), [an_entry("b", hosts=("b.example",))])
    assert found.reason == "it lists addresses on port 443, of which default/wikipedia-ext catches every one"


def test_a_tls_entry_elsewhere_is_told_of_and_does_not_keep_a_test_from_running() -> None:
    theirs = other(addresses=(), ports=(TLS,))
    assert find_conflicts(ENTRY, [theirs], "default")
    assert conflicting_entries(ENTRY, [theirs]) == ()


# Whatever the entries

ENTRIES = st.builds(
    an_entry,
    st.sampled_from(["a-ext", "wikipedia-ext", "z-ext"]),
    namespace=st.sampled_from(["default", "other"]),
    hosts=st.lists(st.sampled_from([HOST, "*.wikipedia.org", "en.wikipedia.org", "z.example"]), min_size=1, unique=True).map(
        tuple
    ),
    addresses=st.lists(
        st.sampled_from([BLOCK, "208.80.154.0/24", "0.0.0.0/0", "208.80.154.224", "2620:0:860::/46", "no address"]), max_size=3
    ).map(tuple),
    ports=st.lists(
        st.builds(
            Port, st.sampled_from([443, 80]), st.sampled_from(["", "TCP", "tls", "HTTPS", "HTTP", "UDP", "odd"]), st.just("a")
        ),
        max_size=2,
        unique_by=lambda port: port.number,
    ).map(tuple),
    created=st.sampled_from([OLDER, YOUNGER, "", "yesterday", "2026-11-23T03:00:00"]),
    export_to=st.sampled_from([(), (".",), ("*",), ("~",), ("other",)]),
)


@given(ENTRIES, st.lists(ENTRIES, max_size=4), st.sampled_from(["default", "other", "third"]))
def test_a_clash_names_a_rule_and_another_entry_and_both_sides_see_it(
    entry: ServiceEntry, others: list[ServiceEntry], namespace: str
) -> None:
    for clash in find_conflicts(entry, others, namespace):
        assert clash.rule in RULES
        assert clash.reason.startswith("it ")
        assert (clash.about.namespace, clash.about.name) != (entry.namespace, entry.name)
    for each in others:
        mine = {clash.rule for clash in find_conflicts(entry, [each], namespace)}
        assert {clash.rule for clash in find_conflicts(each, [entry], namespace)} == mine
