from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address

import pytest

import recordings
from egressctl.envoy.config import FilterChain, Listener, ProxyConfig
from egressctl.envoy.dump import parse_config
from egressctl.errors import ProxyUnreadable
from egressctl.manifests.service_entry import read_entry
from egressctl.mesh.propagation import listener_refusal, missing_blocks, remains_of_entry
from egressctl.model.blocks import Block
from egressctl.model.entry import Port, ServiceEntry

SEED_BLOCKS = ("91.198.174.192/27", "103.102.166.224/27", "198.35.26.96/27", "208.80.153.224/27", "208.80.154.224/27")
ALL_OF_SEED = tuple(f"{block}:443" for block in SEED_BLOCKS)

LACKING = {
    "export-to-dot other/wikipedia-ext": ALL_OF_SEED,
    "port-15001 default/bad-ext": ("208.80.154.224/27:15001",),
    "port-15021 default/bad-ext": ("any address:15021",),
    "same-cidr-older-rival default/wikipedia-ext": ("208.80.154.224/27:443",),
    "same-cidr-two-entries default/rival-ext": ("208.80.154.224/27:443",),
    "same-host-other-namespace-address other/wikipedia-ext": ("203.0.113.0/24:443", "198.51.100.0/24:443"),
    "same-host-two-namespaces other/wikipedia-ext": ("203.0.113.0/24:443", "198.51.100.0/24:443"),
    "sidecar-exact-host default/wikipedia-ext": tuple(each for each in ALL_OF_SEED if "208.80.153" not in each),
    "sidecar-hides default/wikipedia-ext": ALL_OF_SEED,
    "virtualservice-tcp default/wikipedia-ext": ALL_OF_SEED,
    "virtualservice-tcp-weighted default/wikipedia-ext": ALL_OF_SEED,
    "virtualservice-unknown-host default/wikipedia-ext": ALL_OF_SEED,
}
"""What the sidecar does not lead to the entry; every other entry of every recording is there in whole."""


def config_of(case: str) -> ProxyConfig:
    text = recordings.load(case).config_dump
    assert text
    return parse_config(text)


def entries_of(case: str) -> list[ServiceEntry]:
    return [read_entry(manifest) for manifest in recordings.load(case).manifests if manifest["kind"] == "ServiceEntry"]


DUMPED = [case for case in recordings.cases() if recordings.load(case).config_dump]
SEED = entries_of("seed")[0]


@pytest.mark.parametrize("case", DUMPED)
def test_what_the_sidecar_lacks_of_each_entry(case: str) -> None:
    for entry in entries_of(case):
        assert missing_blocks(config_of(case), entry) == LACKING.get(f"{case} {entry}", ()), str(entry)


@pytest.mark.parametrize("case", DUMPED)
def test_what_is_not_missing_is_present_and_nothing_else(case: str) -> None:
    config = config_of(case)
    for entry in entries_of(case):
        if {port.protocol for port in entry.ports} == {"HTTP"}:
            continue
        blocks = {each for each in remains_of_entry(config, entry) if not each.startswith("Envoy cluster")}
        whole = set(missing_blocks(replace(config, listeners=()), entry))
        assert blocks == whole - set(missing_blocks(config, entry)), str(entry)


@pytest.mark.parametrize("case", ["no-entry-registry-only", "no-entry-allow-any", "sidecar-hides", "export-to-dot"])
def test_of_an_entry_that_the_sidecar_never_had_nothing_is_present(case: str) -> None:
    assert remains_of_entry(config_of(case), SEED) == ()
    assert missing_blocks(config_of(case), SEED) == ALL_OF_SEED


def test_an_envoy_cluster_is_present_as_long_as_something_leads_to_it() -> None:
    config = config_of("virtualservice-subset")
    left = remains_of_entry(config, SEED)
    assert "Envoy cluster outbound|443|v1|wikipedia.org" in left
    forgotten = replace(config, listeners=tuple(each for each in config.listeners or () if each.name == "virtualOutbound"))
    assert forgotten.envoy_clusters == config.envoy_clusters
    assert remains_of_entry(forgotten, SEED) == ()


def test_an_http_route_leads_to_an_envoy_cluster_too() -> None:
    (entry,) = entries_of("http-80")
    config = config_of("http-80")
    assert "Envoy cluster outbound|80||www.wikipedia.org" in remains_of_entry(config, entry)
    assert remains_of_entry(replace(config, routes={}), entry) == ()


def test_a_subset_of_the_host_is_the_entrys_too() -> None:
    assert "Envoy cluster outbound|443|v1|wikipedia.org" in remains_of_entry(config_of("virtualservice-subset"), SEED)


def test_a_filter_chain_whose_envoy_cluster_is_not_there_yet_or_gone_already_does_not_count() -> None:
    config = config_of("seed")
    bare = replace(config, envoy_clusters={})
    assert missing_blocks(bare, SEED) == ALL_OF_SEED
    assert missing_blocks(replace(config, envoy_clusters=None), SEED) == (), (
        "but where they were not asked for, the chains decide"
    )


def test_without_the_outbound_listener_nothing_is_called_gone() -> None:
    clusters_only = parse_config(recordings.load("rejected-listener").partial_dump or "")
    names_only = parse_config(recordings.load("rejected-listener").error_states or "")
    for config in (clusters_only, names_only):
        assert missing_blocks(config, SEED) == ALL_OF_SEED
        with pytest.raises(ProxyUnreadable, match="does not show the listener virtualOutbound"):
            remains_of_entry(config, SEED)


def test_host_bits_do_not_count() -> None:
    entry = replace(SEED, addresses=("208.80.154.230/27", "208.80.154.224/27"))
    assert missing_blocks(config_of("seed"), entry) == ()
    assert remains_of_entry(config_of("seed"), entry)[0] == "208.80.154.224/27:443"


def test_a_plain_address_and_its_32_are_one() -> None:
    (entry,) = entries_of("plain-ips")
    assert missing_blocks(config_of("plain-ips"), replace(entry, addresses=("208.80.154.224/32", "208.80.153.224"))) == ()
    assert missing_blocks(config_of("seed"), replace(SEED, addresses=("208.80.154.224",))) == ("208.80.154.224/32:443",)


def test_another_port_host_or_block_is_missing() -> None:
    config = config_of("seed")
    assert missing_blocks(config, replace(SEED, addresses=SEED_BLOCKS[:1], ports=(Port(8443, "TCP", "a"),))) == (
        "91.198.174.192/27:8443",
    )
    assert missing_blocks(config, replace(SEED, hosts=("Wikipedia.org",))) == ALL_OF_SEED, "host names keep their case"
    assert missing_blocks(config, replace(SEED, addresses=("208.80.154.0/24",))) == ("208.80.154.0/24:443",)
    assert missing_blocks(config, replace(SEED, addresses=("nonsense",))) == ("nonsense:443",)


def test_an_entry_without_addresses_is_not_served_by_the_policys_filter_chain() -> None:
    assert missing_blocks(config_of("seed-allow-any"), replace(SEED, addresses=())) == ("any address:443",)


def with_chain(chain: FilterChain, *, internal: bool = True, default: bool = False) -> ProxyConfig:
    """Return the sidecar of `no-entry-registry-only` with one filter chain on port 443."""
    config = config_of("no-entry-registry-only")
    chains = ((), chain) if default else ((chain,), None)
    listener = Listener("0.0.0.0_443", (("0.0.0.0", 443),), internal, False, *chains)
    return replace(config, listeners=(*(config.listeners or ()), listener), envoy_clusters=None)


def with_chains(*chains: FilterChain) -> ProxyConfig:
    """Return the sidecar of `no-entry-registry-only` with these filter chains on port 443."""
    config = config_of("no-entry-registry-only")
    listener = Listener("0.0.0.0_443", (("0.0.0.0", 443),), True, False, chains, None)
    return replace(config, listeners=(*(config.listeners or ()), listener), envoy_clusters=None)


OWN = FilterChain("", 0, (Block(4, int(ip_address("208.80.154.224")), 27),), (), "outbound|443||wikipedia.org")
ANY = replace(OWN, blocks=())


def test_a_filter_chain_to_the_host_serves_its_block() -> None:
    assert remains_of_entry(with_chain(OWN), SEED) == ("208.80.154.224/27:443",)
    assert remains_of_entry(with_chain(ANY, default=True), replace(SEED, addresses=())) == ("any address:443",)


@pytest.mark.parametrize(
    "config",
    [
        with_chain(replace(OWN, envoy_cluster="outbound|8443||wikipedia.org")),
        with_chain(replace(OWN, envoy_cluster="outbound|443||other.example")),
        with_chain(replace(OWN, envoy_cluster="", unknown="why")),
        with_chain(replace(OWN, criteria=("server_names",))),
        with_chain(OWN, internal=False),
    ],
)
def test_a_filter_chain_of_another_purpose_does_not(config: ProxyConfig) -> None:
    assert remains_of_entry(config, SEED) == ()
    assert missing_blocks(config, SEED) == ALL_OF_SEED


def test_a_policy_that_leads_to_the_host_does_not_serve_the_entry() -> None:
    # A Sidecar resource's egressProxy names an outbound service.
    policy = with_chain(replace(ANY, name="PassthroughFilterChain"), default=True)
    assert remains_of_entry(policy, replace(SEED, addresses=())) == ()


TLS = Port(443, "TLS", "tls")
NAMED = replace(OWN, server_names=("Wikipedia.org",))


@pytest.mark.parametrize(
    ("chains", "hosts", "addresses", "lacking"),
    [
        ([replace(NAMED, blocks=())], ["wikipedia.org"], [], []),
        ([replace(NAMED, blocks=())], ["wikipedia.org"], ["208.80.154.224/27"], ["208.80.154.224/27"]),
        ([NAMED], ["wikipedia.org"], ["208.80.154.224/27"], []),
        ([NAMED], ["wikipedia.org"], [], ["any address"]),
        ([OWN], ["wikipedia.org"], ["208.80.154.224/27"], ["208.80.154.224/27"]),
        ([NAMED], ["wikipedia.org", "a.example"], ["208.80.154.224/27"], ["208.80.154.224/27"]),
        (
            [NAMED, replace(OWN, server_names=("a.example",), envoy_cluster="outbound|443||a.example")],
            ["wikipedia.org", "a.example"],
            ["208.80.154.224/27"],
            [],
        ),
    ],
    ids=["by name", "without its block", "with it", "with one it lacks", "without a name", "one of two", "both of two"],
)
def test_a_tls_port_is_there_once_each_host_has_its_filter_chain(
    chains: list[FilterChain], hosts: list[str], addresses: list[str], lacking: list[str]
) -> None:
    entry = replace(SEED, hosts=tuple(hosts), addresses=tuple(addresses), ports=(TLS,))
    assert missing_blocks(with_chains(*chains), entry) == tuple(f"{block}:443" for block in lacking)


def test_in_the_listener_of_an_address_a_tls_entry_needs_no_server_name() -> None:
    entry = replace(entries_of("plain-ips")[0], ports=(TLS,))
    assert missing_blocks(config_of("plain-ips"), entry) == ()


@pytest.mark.parametrize("case", ["tls-sni", "tls-and-tcp-same-cidr", "tls-sni-and-tcp-cidr"])
def test_a_filter_chain_by_server_name_serves_no_opaque_port(case: str) -> None:
    tls = next(entry for entry in entries_of(case) if entry.ports[0].protocol == "TLS")
    assert missing_blocks(config_of(case), tls) == ()
    opaque = replace(tls, ports=(Port(443, "TCP", "tcp"),))
    assert set(missing_blocks(config_of(case), opaque)) == set(missing_blocks(replace(config_of(case), listeners=()), opaque))


@pytest.mark.parametrize(
    ("refused", "lacking"),
    [
        ("0.0.0.0_443", ALL_OF_SEED),
        ("::_443", ALL_OF_SEED),
        ("208.80.154.224_443", ()),
        ("0.0.0.0_8443", ()),
        ("virtualInbound", ()),
        ("", ()),
    ],
)
def test_an_update_that_envoy_refused_leaves_the_listeners_blocks_missing(refused: str, lacking: tuple[str, ...]) -> None:
    assert missing_blocks(replace(config_of("seed"), errors={refused: "why"}), SEED) == lacking


def test_a_refused_listener_of_the_port_leaves_plain_addresses_alone() -> None:
    assert missing_blocks(replace(config_of("plain-ips"), errors={"0.0.0.0_443": "why"}), entries_of("plain-ips")[0]) == ()


def test_a_refused_listener_of_one_address_leaves_only_that_one_missing() -> None:
    config = replace(config_of("ipv6"), errors={"2620:0:861:ed1a::1_443": "why"})
    assert missing_blocks(config, entries_of("ipv6")[0]) == ("2620:0:861:ed1a::1/128:443",)


def test_udp_is_never_waited_for() -> None:
    assert missing_blocks(config_of("seed"), replace(SEED, ports=(Port(53, "UDP", "dns"),))) == ()


def test_an_http_port_is_there_once_each_host_has_its_routes() -> None:
    (entry,) = entries_of("http-80")
    config = config_of("http-80")
    other = replace(entry, hosts=("en.wikipedia.org",))
    assert missing_blocks(config, entry) == ()
    assert missing_blocks(config, other) == ("any address:80",)
    assert missing_blocks(config, replace(entry, hosts=(*entry.hosts, *other.hosts))) == ("any address:80",)
    assert missing_blocks(config_of("seed"), entry) == ("any address:80",)
    assert "www.wikipedia.org:80" in remains_of_entry(config, entry)
    assert remains_of_entry(config, other) == ()


def test_an_http_port_is_there_once_its_listener_is_where_the_routes_were_not_read() -> None:
    (entry,) = entries_of("http-80")
    unread = replace(config_of("http-80"), routes=None)
    assert missing_blocks(unread, entry) == missing_blocks(unread, replace(entry, hosts=("en.wikipedia.org",))) == ()


# What Envoy refused


WORDS = "error adding listener: duplicate address"


@pytest.mark.parametrize(
    ("refused", "said"),
    [
        ("0.0.0.0_443", WORDS),
        ("::_443", WORDS),
        ("0.0.0.0_8443", ""),
        ("208.80.154.224_443", ""),
        ("198.51.100.7_443", ""),
        ("virtualInbound", ""),
    ],
)
def test_of_what_envoy_refused_only_the_entrys_own_listener_counts(refused: str, said: str) -> None:
    assert listener_refusal(replace(config_of("seed"), errors={refused: WORDS}), SEED) == said


def test_the_listener_of_a_plain_address_is_the_entrys_own_as_the_ports_is_of_http() -> None:
    config, (entry,) = config_of("plain-ips"), entries_of("plain-ips")
    address = entry.addresses[0].partition("/")[0]
    assert listener_refusal(replace(config, errors={f"{address}_443": WORDS}), entry) == WORDS
    port, http = replace(config, errors={"0.0.0.0_443": WORDS}), replace(entry, ports=(Port(443, "HTTP", "http"),))
    assert (listener_refusal(port, entry), listener_refusal(port, http)) == ("", WORDS)


def test_in_the_recording_of_a_refused_port_envoy_says_why() -> None:
    bad = next(entry for entry in entries_of("port-15001") if entry.name == "bad-ext")
    assert "duplicate address '0.0.0.0:15001'" in listener_refusal(config_of("port-15001"), bad)
