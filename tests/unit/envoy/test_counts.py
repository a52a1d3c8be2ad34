from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import recordings
from egressctl.envoy.counts import count_named, counts_between, hosts_used, parse_clusters
from egressctl.errors import ProxyUnreadable
from egressctl.model.evidence import Counts

NAME = "outbound|443||wikipedia.org"
IP, PORT = "208.80.154.224", 443
REFUSED = {"destinationrule-tls", "refused-beyond"}


def moves(case: str) -> dict[str, Counts]:
    recording = recordings.load(case)
    ip, _, port = recording.truth["remote"].rpartition(":")
    before, after = parse_clusters(recording.clusters_before), parse_clusters(recording.clusters)
    found = {name: counts_between(before, after, name, ip, int(port)) for name in after}
    return {name: counts for name, counts in found.items() if counts.opened}


@pytest.mark.parametrize("case", recordings.cases())
def test_what_moved_is_the_envoy_cluster_that_the_access_log_names(case: str) -> None:
    truth = recordings.load(case).truth["envoy_cluster"]
    carried = [] if truth in (None, "-", "BlackHoleCluster") else [truth]
    # Envoy's own statistics page is asked through an Envoy cluster with an endpoint of its own.
    assert sorted(moves(case).keys() - {"prometheus_stats", "agent"}) == carried


@pytest.mark.parametrize("case", recordings.cases())
def test_a_failed_connect_beyond_is_counted_where_there_was_one(case: str) -> None:
    assert {counts.connect_failed for counts in moves(case).values()} <= ({0, 1} if case in REFUSED else {0})
    if case in REFUSED:
        assert Counts(opened=1, connect_failed=1) in moves(case).values()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "nothing"),
        ("not ready", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("{}", "is empty"),
        ('{"configs": []}', "is empty"),
        ('{"cluster_statuses": {}}', "not a list"),
        ('{"cluster_statuses": [{"name": "a", "host_statuses": [{"address": {"socket_address": {"address": "no"}}}]}]}', "an IP"),
    ],
)
def test_what_is_no_list_of_envoy_clusters_is_unreadable(text: str, says: str) -> None:
    with pytest.raises(ProxyUnreadable, match=says):
        parse_clusters(text)


def host(ip: str, port: int, total: object, *, failed: object = None, pending: object = None, name: str = NAME) -> dict[str, Any]:
    values = {"cx_total": total, "cx_connect_fail": failed, "rq_pending_active": pending}
    return {
        "address": {"socket_address": {"address": ip, "port_value": port}},
        "stats": [{"name": key, **({} if value is None else {"value": value})} for key, value in values.items()],
        "hostname": f"{name}{ip}:{port}",
    }


def text_of(*hosts: dict[str, Any], **more: object) -> str:
    status = {"name": NAME, **({"host_statuses": list(hosts)} if hosts else {}), **more}
    return json.dumps({"cluster_statuses": [{"name": "BlackHoleCluster"}, status]})


def difference(before: str, after: str, ip: str = IP, port: int = PORT) -> Counts:
    return counts_between(parse_clusters(before), parse_clusters(after), NAME, ip, port)


@pytest.mark.parametrize("value", ["many", "-1", -1, 1.5, True, [], "1" * 30])
def test_a_counter_that_is_no_number_is_unreadable(value: object) -> None:
    with pytest.raises(ProxyUnreadable, match="not a number"):
        parse_clusters(text_of(host(IP, PORT, value)))


def test_a_host_without_the_counter_is_unreadable_rather_than_zero() -> None:
    bare = host(IP, PORT, "1")
    bare["stats"] = []
    with pytest.raises(ProxyUnreadable, match="no cx_total"):
        parse_clusters(text_of(bare))


def test_counters_are_texts_and_a_zero_is_left_out() -> None:
    hosts = parse_clusters(text_of(host(IP, PORT, "120", failed="2")))[NAME].hosts
    assert hosts[IP, PORT] == Counts(opened=120, connect_failed=2, pending=0)
    assert parse_clusters(text_of(host(IP, PORT, None)))[NAME].hosts[IP, PORT] == Counts()


def resolved(name: str, ip: str, total: str) -> dict[str, Any]:
    """What Envoy has of a name that it resolved because a client asked for it."""
    return {**host(ip, PORT, total), "hostname": f"{name}:{PORT}"}


EN, DE = "en.wikipedia.org", "de.wikipedia.org"


def test_of_names_that_envoy_resolved_only_the_one_that_was_asked_for_counts() -> None:
    before = text_of(resolved(EN, IP, "3"), resolved(DE, IP, "5"))
    after = text_of(resolved(EN, IP, "3"), resolved(DE, IP, "6"))
    assert difference(before, after, "De.Wikipedia.org.") == Counts(opened=1)
    assert difference(before, after, EN) == Counts()
    assert difference(before, after, EN, 8443) == Counts()
    assert difference(before, after, "unheard.wikipedia.org") == Counts()


def test_the_addresses_used_are_those_of_the_name() -> None:
    other = "192.0.2.1"
    before = parse_clusters(text_of())
    after = parse_clusters(text_of(resolved(EN, IP, "1"), resolved(DE, other, "1")))
    assert hosts_used(before, after, NAME, (EN, PORT)) == (IP,)
    assert hosts_used(before, after, NAME) == (IP, other)
    assert (count_named(after, NAME, EN, PORT), count_named(after, NAME, "unheard.wikipedia.org", PORT)) == (1, 0)


def test_an_envoy_cluster_without_hosts_has_made_no_connection() -> None:
    assert difference(text_of(), text_of()) == Counts()
    assert counts_between({}, {}, NAME, IP, PORT) == Counts()


def test_a_host_that_is_new_counts_from_zero() -> None:
    assert difference(text_of(), text_of(host(IP, PORT, "3"))) == Counts(opened=3)


def test_a_host_that_is_gone_counts_as_nothing() -> None:
    assert difference(text_of(host(IP, PORT, "3")), text_of()) == Counts()


def test_a_host_that_was_dropped_and_made_anew_counts_from_zero() -> None:
    assert difference(text_of(host(IP, PORT, "100")), text_of(host(IP, PORT, "2", failed="1"))) == Counts(2, 1)
    assert difference(text_of(host(IP, PORT, "2", failed="2")), text_of(host(IP, PORT, "2"))) == Counts(2)


def test_pending_connections_are_those_that_came_in_between() -> None:
    assert difference(text_of(host(IP, PORT, "1", pending="1")), text_of(host(IP, PORT, "2", pending="2"))) == Counts(1, 0, 1)
    assert difference(text_of(host(IP, PORT, "1", pending="2")), text_of(host(IP, PORT, "1"))) == Counts()


def test_other_addresses_and_ports_of_the_envoy_cluster_do_not_count() -> None:
    assert difference(text_of(), text_of(host("208.80.154.225", PORT, "5"), host(IP, 8443, "5"))) == Counts()


def test_an_envoy_cluster_with_endpoints_of_its_own_counts_all_of_them() -> None:
    own = {"eds_service_name": NAME}
    before, after = text_of(host("198.51.100.7", PORT, "4"), **own), text_of(host("198.51.100.7", PORT, "5"), **own)
    assert difference(before, after) == Counts(opened=1)
    resolved = {**host("198.51.100.8", PORT, "1"), "hostname": "wikipedia.org"}
    assert difference(text_of(), text_of(resolved)) == Counts(opened=1)


def test_an_endpoint_that_was_removed_does_not_make_the_others_count_twice() -> None:
    own = {"eds_service_name": NAME}
    before = text_of(host("198.51.100.7", PORT, "100"), host("198.51.100.8", PORT, "5"), **own)
    assert difference(before, text_of(host("198.51.100.8", PORT, "5"), **own)) == Counts()


@given(st.integers(0, 9), st.integers(0, 9), st.booleans())
def test_never_more_is_counted_than_the_host_has_made(before: int, after: int, known: bool) -> None:
    earlier = text_of(host(IP, PORT, str(before))) if known else text_of()
    counts = difference(earlier, text_of(host(IP, PORT, str(after))))
    assert 0 <= counts.opened <= after


def test_connections_that_are_open_are_those_of_all_hosts_of_the_envoy_cluster() -> None:
    def held(ip: str, number: object) -> dict[str, Any]:
        return {**host(ip, 443, "5"), "stats": [*host(ip, 443, "5")["stats"], {"name": "cx_active", "value": number}]}

    found = parse_clusters(text_of(held(IP, "2"), held("192.0.2.1", "1"), host("192.0.2.2", 443, "7")))
    assert (found[NAME].active, found["BlackHoleCluster"].active) == (3, 0)
    with pytest.raises(ProxyUnreadable, match="not a number"):
        parse_clusters(text_of(held(IP, "many")))
