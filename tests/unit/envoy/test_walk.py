from __future__ import annotations

import json
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

import recordings
from egressctl.envoy.config import ProxyConfig
from egressctl.envoy.dump import parse_config
from egressctl.envoy.walk import listens_for, outbound_policy, walk_config
from egressctl.model.evidence import Walk
from egressctl.model.probe import Probe
from sidecars import HTTP_INSPECTOR, ROUTER, chain, dump, host, http_chain, route, sidecar

DUMPED = tuple(case for case in recordings.cases() if recordings.load(case).config_dump)

NO_SUCH_ENVOY_CLUSTER = {"virtualservice-unknown-host": "outbound|443||nowhere.example"}
BY_CHANCE = {"virtualservice-tcp-weighted": ("outbound|443||wikipedia.org", "outbound|443||other.example")}
ANSWERED_BY_THE_SIDECAR = {"http-80-blocked": ("80 / block_all / block_all", 502)}
NOT_CAPTURED = {"not-captured": "outbound|443||wikipedia.org"}
"""The configuration cannot tell that the connection never came."""


def config_of(case: str) -> ProxyConfig:
    text = recordings.load(case).config_dump
    assert text
    return parse_config(text)


def way_of(case: str) -> Walk:
    ip, _, port = recordings.load(case).truth["remote"].rpartition(":")
    return walk_config(config_of(case), ip, int(port), Probe("p", recordings.load(case).truth["probe"]).speech)


ELSEWHERE = NO_SUCH_ENVOY_CLUSTER.keys() | BY_CHANCE.keys() | ANSWERED_BY_THE_SIDECAR.keys() | NOT_CAPTURED.keys()


@pytest.mark.parametrize("case", sorted(set(DUMPED) - ELSEWHERE))
def test_the_walk_leads_where_the_access_log_says_that_the_connection_went(case: str) -> None:
    way = way_of(case)
    assert (way.envoy_cluster, way.unknown) == (recordings.load(case).truth["envoy_cluster"], "")
    assert (way.choices, way.absent, way.direct_status) == ((), False, 0)


def test_of_no_recording_the_walk_is_unknown() -> None:
    assert [case for case in DUMPED if way_of(case).unknown] == []


@pytest.mark.parametrize(("case", "envoy_cluster"), NO_SUCH_ENVOY_CLUSTER.items())
def test_an_envoy_cluster_that_does_not_exist_is_named_and_called_so(case: str, envoy_cluster: str) -> None:
    way = way_of(case)
    assert recordings.load(case).truth["response_flags"] == "NC"
    assert (way.envoy_cluster, way.absent, way.unknown) == (envoy_cluster, True, "")


@pytest.mark.parametrize(("case", "choices"), BY_CHANCE.items())
def test_where_chance_decides_all_that_it_may_take_are_named(case: str, choices: tuple[str, ...]) -> None:
    way = way_of(case)
    assert recordings.load(case).truth["envoy_cluster"] in choices
    assert (way.envoy_cluster, way.choices, way.unknown) == (None, choices, "")


@pytest.mark.parametrize(("case", "route", "status"), [(case, *rest) for case, rest in ANSWERED_BY_THE_SIDECAR.items()])
def test_a_request_that_the_sidecar_answers_by_itself_goes_to_no_envoy_cluster(case: str, route: str, status: int) -> None:
    way = way_of(case)
    truth = recordings.load(case).truth
    assert (truth["envoy_cluster"], truth["http_status"]) == ("-", status)
    assert (way.envoy_cluster, way.http_route, way.direct_status, way.unknown) == (None, route, status, "")


@pytest.mark.parametrize(("case", "envoy_cluster"), NOT_CAPTURED.items())
def test_the_walk_cannot_know_that_a_connection_was_not_captured(case: str, envoy_cluster: str) -> None:
    assert recordings.load(case).truth["envoy_cluster"] is None
    assert (way_of(case).envoy_cluster, way_of(case).unknown) == (envoy_cluster, "")


@pytest.mark.parametrize(
    ("case", "listener", "chain", "prefix"),
    [
        ("seed", "0.0.0.0_443", "", "208.80.154.224/27"),
        ("plain-ips", "208.80.154.224_443", "", "208.80.154.224"),
        ("ip-over-cidr", "208.80.154.224_443", "", "208.80.154.224"),
        ("no-addresses", "0.0.0.0_443", "", ""),
        ("no-addresses-and-cidr", "0.0.0.0_443", "", ""),
        ("zero-cidr", "0.0.0.0_443", "", ""),
        ("outside-registry-only", "0.0.0.0_443", "PassthroughFilterChain", ""),
        ("port-not-listed", "virtualOutbound", "virtualOutbound-catchall-tcp", ""),
    ],
)
def test_the_walk_names_its_stations(case: str, listener: str, chain: str, prefix: str) -> None:
    way = way_of(case)
    assert (way.listener, way.filter_chain, way.prefix) == (listener, chain, prefix)


@pytest.mark.parametrize("case", DUMPED)
def test_the_policy_is_the_one_that_binds_this_sidecar(case: str) -> None:
    # A Sidecar resource overrides the mesh's.
    policy = "ALLOW_ANY" if case == "sidecar-allow-any" else recordings.load(case).policy
    assert outbound_policy(config_of(case)) == policy


def under_dynamic_dns(routed_to: str = "AllowAnyDynamicDNSCluster") -> ProxyConfig:
    """A sidecar whose policy lets out plain HTTP by what Envoy resolves the host to, as istiod writes it."""
    resolver = "type.googleapis.com/envoy.extensions.filters.http.dynamic_forward_proxy.v3.FilterConfig"
    filters = [{"name": "dfp", "typed_config": {"@type": resolver, "dns_cache_config": {"name": "it"}}}, ROUTER]
    by_http = http_chain(
        host("allow_any_dynamic_dns", route(routed_to), domains=["*"]),
        match={"application_protocols": ["http/1.0", "http/1.1", "h2c"]},
        http_filters=filters,
    )
    written = dump({})
    listener = written["configs"][0]["dynamic_listeners"][0]["active_state"]["listener"]
    listener["listener_filters"] = [HTTP_INSPECTOR]
    listener["filter_chains"] = [
        by_http | {"name": "virtualOutbound-catchall-tcp-http"},
        chain("PassthroughCluster") | {"name": "virtualOutbound-catchall-tcp"},
    ]
    return parse_config(json.dumps(written))


@pytest.mark.parametrize(
    ("url", "envoy_cluster"), [("http://a.example", "AllowAnyDynamicDNSCluster"), ("https://a.example", "PassthroughCluster")]
)
def test_a_policy_that_resolves_names_lets_out_http_by_an_envoy_cluster_of_its_own(url: str, envoy_cluster: str) -> None:
    config = under_dynamic_dns()
    probe = Probe("p", url)
    way = walk_config(config, "192.0.2.1", probe.port, probe.speech)
    assert (way.envoy_cluster, way.unknown) == (envoy_cluster, "")
    assert outbound_policy(config) == "ALLOW_ANY_DYNAMIC_DNS"


def test_a_policy_that_sends_http_elsewhere_is_not_known() -> None:
    assert outbound_policy(under_dynamic_dns("outbound|80||proxy.example")) == ""


@pytest.mark.parametrize("case", DUMPED)
def test_a_virtualservice_on_the_way_is_named(case: str) -> None:
    detour = any(each["kind"] == "VirtualService" for each in recordings.load(case).manifests)
    assert way_of(case).virtual_service == ("default/detour" if detour else "")


def test_the_sidecars_own_port_leads_into_the_black_hole() -> None:
    way = walk_config(config_of("seed-allow-any"), "208.80.154.224", 15001)
    assert (way.filter_chain, way.envoy_cluster) == ("virtualOutbound-blackhole", "BlackHoleCluster")


@pytest.mark.parametrize("port", [15006, 15021, 15090])
def test_the_sidecars_other_listeners_are_not_understood(port: int) -> None:
    way = walk_config(config_of("seed-allow-any"), "208.80.154.224", port)
    assert way.envoy_cluster is None
    assert "sidecar's own" in way.unknown


@pytest.mark.parametrize("port", [15021, 15090])
def test_nor_are_they_where_the_dump_does_not_show_them(port: int) -> None:
    config = config_of("seed-allow-any")
    assert config.listeners
    dynamic = replace(config, listeners=tuple(each for each in config.listeners if str(port) not in each.name))
    assert "sidecar's own" in walk_config(dynamic, "208.80.154.224", port).unknown


def test_an_ipv6_address_does_not_reach_the_listener_of_an_ipv4_pod() -> None:
    config = config_of("ipv6")
    assert walk_config(config, "2620:0:860::1", 443).envoy_cluster == "BlackHoleCluster"
    assert walk_config(config, "2620:0:861:ed1a::1", 443).prefix == "2620:0:861:ed1a::1"
    assert walk_config(config, "2620:0:861:ED1A:0:0:0:1", 443).envoy_cluster == "outbound|443||wikipedia.org"


def test_which_families_the_entrance_listens_for_is_known() -> None:
    config = config_of("ipv6")
    assert listens_for(config, "208.80.154.224") is listens_for(config, "::ffff:208.80.154.224") is True
    assert listens_for(config, "2620:0:861:ed1a::1") is False
    assert listens_for(None, "2620:0:861:ed1a::1") is listens_for(config, "") is None


def test_an_ipv4_address_written_as_ipv6_is_the_ipv4_address() -> None:
    assert walk_config(config_of("seed"), "::ffff:208.80.154.224", 443) == way_of("seed")


def test_a_listener_or_block_of_ipv4_that_is_written_as_ipv6_takes_no_connection() -> None:
    config = sidecar({"::ffff:192.0.2.7_443": [chain("a")], "0.0.0.0_443": [chain("b", "::ffff:192.0.2.0/120"), chain("c")]})
    assert walk_config(config, "192.0.2.7", 443).envoy_cluster == "c"
    assert walk_config(config, "::ffff:192.0.2.7", 443).envoy_cluster == "c"


@pytest.mark.parametrize("ip", ["", "www.wikipedia.org", "208.80.154.224/27"])
def test_what_is_no_address_leads_nowhere_known(ip: str) -> None:
    assert walk_config(config_of("seed"), ip, 443).unknown == f"{ip!r} is no IP address"


def test_no_filter_chain_at_all_closes_the_connection() -> None:
    assert walk_config(sidecar({"0.0.0.0_443": [chain("a", "192.0.2.0/24")]}), "198.51.100.1", 443) == Walk(
        "0.0.0.0_443", "", None
    )


def test_the_destination_port_comes_first_and_there_is_no_way_back() -> None:
    config = sidecar({"0.0.0.0_443": [chain("a", "192.0.2.0/24", port=443), chain("b")]}, chain("default"))
    assert walk_config(config, "192.0.2.1", 443).envoy_cluster == "a"
    assert walk_config(config, "198.51.100.1", 443).envoy_cluster == "default", "and not b, whose any port comes too late"


def test_the_longest_block_rules_out_shorter_ones_even_where_it_asks_for_more() -> None:
    config = sidecar({"0.0.0.0_443": [chain("a", "192.0.2.0/24"), chain("b", "192.0.2.0/28", source_type="EXTERNAL")]})
    assert walk_config(config, "192.0.2.1", 443).unknown == "the filter chain depends on source_type as well"
    assert walk_config(config, "192.0.2.99", 443).envoy_cluster == "a"


def test_filter_chains_that_match_alike_are_not_decided() -> None:
    config = sidecar({"0.0.0.0_443": [chain("a"), chain("b", "0.0.0.0/0")]})
    assert "match alike" in walk_config(config, "192.0.2.1", 443).unknown


def test_listeners_of_one_address_are_not_decided() -> None:
    config = sidecar({"2001:db8::1_443": [chain("a")], "2001:DB8:0::1_443": [chain("b")]})
    assert "several listeners" in walk_config(config, "2001:db8::1", 443).unknown


def test_a_listener_of_every_ipv6_address_takes_ipv4_only_where_it_says_so() -> None:
    assert walk_config(sidecar({"::_443": [chain("a")]}), "192.0.2.1", 443).envoy_cluster == "BlackHoleCluster"
    assert walk_config(sidecar({"::_443": [chain("a")]}, ipv4_compat=True), "192.0.2.1", 443).envoy_cluster == "a"
    assert walk_config(sidecar({"::_443": [chain("a")]}), "2001:db8::1", 443).envoy_cluster == "a"


def test_a_listener_for_udp_takes_no_connection() -> None:
    assert (
        walk_config(sidecar({"0.0.0.0_443": [chain("a")]}, protocol="UDP"), "192.0.2.1", 443).envoy_cluster == "BlackHoleCluster"
    )


def blocks(version: int) -> st.SearchStrategy[str]:
    # Few bits, so that blocks nest and addresses hit them; host bits are left in, which Envoy clears.
    first, width = (0xC0A80000, 32) if version == 4 else (0x20010DB8 << 96, 128)
    addresses = st.integers(first, first + 31).map(ip_address)
    return st.tuples(addresses, st.integers(width - 6, width) | st.integers(0, width)).map(lambda pair: f"{pair[0]}/{pair[1]}")


@given(st.data(), st.sampled_from([4, 6]))
def test_the_longest_block_around_the_address_decides(data: st.DataObject, version: int) -> None:
    listed = data.draw(st.lists(blocks(version), max_size=8, unique_by=lambda text: ip_network(text, strict=False)))
    address = data.draw(blocks(version)).partition("/")[0]
    config = sidecar({("0.0.0.0" if version == 4 else "::") + "_443": [chain(text, text) for text in listed]}, chain("default"))

    around = [text for text in listed if ip_address(address) in ip_network(text, strict=False)]
    longest = max(around, key=lambda text: int(text.partition("/")[2]), default="default")
    way = walk_config(config, address, 443)
    assert (way.envoy_cluster, way.unknown) == (longest, "")
    assert way.prefix == ("" if longest == "default" else str(ip_network(longest, strict=False)))
