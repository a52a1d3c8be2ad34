from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import recordings
from egressctl.envoy.admin import as_address, as_address_number
from egressctl.envoy.config import DYNAMIC, EnvoyCluster, ListenerVersion
from egressctl.envoy.counts import parse_clusters
from egressctl.envoy.dump import parse_config, parse_envoy_clusters
from egressctl.envoy.walk import walk_config
from egressctl.errors import ProxyUnreadable
from egressctl.model.blocks import Block

PROBE = ("208.80.154.224", 443)
SEED = recordings.load("seed").config_dump or ""


def altered(change: Callable[[dict[str, Any], dict[str, Any]], None]) -> str:
    """Return the dump of `seed` with its listeners `0.0.0.0_443` and virtualOutbound changed."""
    dump = json.loads(SEED)
    listeners = next(config for config in dump["configs"] if "dynamic_listeners" in config)["dynamic_listeners"]
    by_name = {item.get("name"): item["active_state"]["listener"] for item in listeners if "active_state" in item}
    change(by_name["0.0.0.0_443"], by_name["virtualOutbound"])
    return json.dumps(dump)


def chain_of_the_probe(listener: dict[str, Any]) -> dict[str, Any]:
    chains: list[dict[str, Any]] = listener["filter_chains"]
    return next(chain for chain in chains if chain["filter_chain_match"]["prefix_ranges"][0]["address_prefix"] == PROBE[0])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "nothing"),
        (" \n", "nothing"),
        ("[" * 100_000, "no JSON"),
        (SEED[: len(SEED) // 2], "no JSON"),
        ("[]", "not an object"),
        ("{}", "neither listeners nor Envoy clusters"),
        ('{"configs": []}', "neither listeners nor Envoy clusters"),
        ('{"configs": {}}', "not a list"),
        ('{"configs": [7]}', "not an object"),
        ('{"cluster_statuses": []}', "neither listeners nor Envoy clusters"),
    ],
)
def test_what_is_no_config_dump_is_unreadable(text: str, says: str) -> None:
    with pytest.raises(ProxyUnreadable, match=says):
        parse_config(text)


def test_envoys_one_line_of_error_text_is_unreadable_and_quoted() -> None:
    error = recordings.load("rejected-listener").config_dump_error
    assert error
    with pytest.raises(ProxyUnreadable, match="Failed to convert protobuf message"):
        parse_config(error)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["configs", "cluster_statuses", "@type", "dynamic_listeners", "active_state", "listener", "cluster"]), inner
)))  # fmt: skip
def test_json_of_any_shape_is_read_or_unreadable(value: object) -> None:
    for parse in (parse_config, parse_clusters):
        with contextlib.suppress(ProxyUnreadable):
            parse(json.dumps(value))


def test_a_field_of_another_type_is_unreadable_and_named() -> None:
    text = altered(lambda listener, _: listener.update(filter_chains="none"))
    with pytest.raises(ProxyUnreadable, match=r"listener 0\.0\.0\.0_443 is not a list"):
        parse_config(text)


def test_a_dump_of_the_dynamic_listeners_alone_knows_no_envoy_clusters() -> None:
    whole = next(config for config in json.loads(SEED)["configs"] if "dynamic_listeners" in config)
    kind = {"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump.DynamicListener"}
    config = parse_config(json.dumps({"configs": [kind | item for item in whole["dynamic_listeners"]]}))
    assert config.envoy_clusters is None
    assert walk_config(config, *PROBE) == walk_config(parse_config(SEED), *PROBE)


def test_a_dump_of_the_dynamic_envoy_clusters_alone_knows_no_way() -> None:
    config = parse_config(recordings.load("rejected-listener").partial_dump or "")
    assert config.listeners is None
    assert config.envoy_clusters
    found = config.envoy_clusters["outbound|443||wikipedia.org"]
    assert (found.type, [(each.host, each.namespace) for each in found.services]) == (
        "ORIGINAL_DST",
        [("wikipedia.org", "default")],
    )
    assert walk_config(config, *PROBE).unknown == "the sidecar's listeners were not read"


def test_only_what_is_in_force_is_read() -> None:
    text = recordings.load("sidecar-hides").config_dump or ""
    draining = [
        item["name"]
        for config in json.loads(text)["configs"]
        for item in config.get("dynamic_listeners", [])
        if "active_state" not in item
    ]
    config = parse_config(text)
    assert "0.0.0.0_443" in draining
    assert config.listener("0.0.0.0_443") is None
    assert config.listener("virtualOutbound") is not None


def test_a_warming_listener_is_not_in_force() -> None:
    dump = json.loads(SEED)
    listeners = next(config for config in dump["configs"] if "dynamic_listeners" in config)["dynamic_listeners"]
    for item in listeners:
        if item.get("name") == "0.0.0.0_443":
            item["warming_state"] = item.pop("active_state")
    assert walk_config(parse_config(json.dumps(dump)), *PROBE).envoy_cluster == "BlackHoleCluster"


def test_what_envoy_refused_is_kept_by_listener_name() -> None:
    errors = parse_config(recordings.load("port-15001").config_dump or "").errors
    assert list(errors) == ["0.0.0.0_15001"]
    assert "duplicate address '0.0.0.0:15001'" in errors["0.0.0.0_15001"]


def test_what_envoy_refused_can_be_read_where_the_dump_cannot() -> None:
    errors = parse_config(recordings.load("rejected-listener").error_states or "").errors
    assert "Didn't find a registered implementation for 'istio.alpn'" in errors["0.0.0.0_80"]


STATS = {"name": "istio.stats", "typed_config": {"@type": "type.googleapis.com/stats.PluginConfig"}}
EXCHANGE = {
    "name": "istio.metadata_exchange",
    "typed_config": {
        "@type": "type.googleapis.com/udpa.type.v1.TypedStruct",
        "type_url": "type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange",
        "value": {"protocol": "istio-peer-exchange"},
    },
}
RBAC = {"name": "rbac", "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC"}}
# An observer by name only: the type decides what a filter does.
DISGUISED = {"name": "istio.stats", "typed_config": RBAC["typed_config"]}


def test_istios_own_observers_before_the_tcp_proxy_do_no_harm() -> None:
    text = altered(lambda listener, _: chain_of_the_probe(listener).update(
        filters=[EXCHANGE, STATS, *chain_of_the_probe(listener)["filters"]]
    ))  # fmt: skip
    assert walk_config(parse_config(text), *PROBE).envoy_cluster == "outbound|443||wikipedia.org"


def resolver(**fields: object) -> dict[str, Any]:
    kind = "type.googleapis.com/envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig"
    return {"name": "sni", "typed_config": {"@type": kind, "dns_cache_config": {"name": "it"}, "port_value": 443, **fields}}


def test_what_resolves_server_names_for_the_envoy_clusters_own_port_leads_to_it() -> None:
    text = altered(lambda listener, _: chain_of_the_probe(listener)["filters"].insert(0, resolver()))
    assert walk_config(parse_config(text), *PROBE).envoy_cluster == "outbound|443||wikipedia.org"


def tcp_proxy(listener: dict[str, Any]) -> dict[str, Any]:
    config: dict[str, Any] = chain_of_the_probe(listener)["filters"][-1]["typed_config"]
    return config


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda listener, _: chain_of_the_probe(listener)["filters"].insert(0, RBAC), "RBAC"),
        (lambda listener, _: chain_of_the_probe(listener)["filters"].insert(0, DISGUISED), "RBAC"),
        (lambda listener, _: chain_of_the_probe(listener)["filters"].insert(0, resolver(port_value=8443)), "for port 8443"),
        (lambda listener, _: chain_of_the_probe(listener)["filters"].insert(0, resolver(of_tomorrow=1)), "of_tomorrow"),
        (lambda listener, _: chain_of_the_probe(listener)["filters"].append(STATS), "ends in PluginConfig"),
        (lambda listener, _: chain_of_the_probe(listener).update(filters=[]), "ends in nothing"),
        (lambda listener, _: chain_of_the_probe(listener).update(transport_socket={"name": "tls"}), "transport_socket"),
        (lambda listener, _: tcp_proxy(listener).update(tunneling_config={"hostname": "proxy:443"}), "tunneling_config"),
        (lambda listener, _: tcp_proxy(listener).update(weighted_clusters={}), "weighted_clusters"),
        (lambda listener, _: tcp_proxy(listener).pop("cluster"), "names no Envoy cluster"),
        (lambda listener, _: listener.update(filter_chain_matcher={"matcher_tree": {}}), "filter_chain_matcher"),
        (lambda listener, _: listener.update(listener_filters=[RBAC]), "the listener filter RBAC"),
        (lambda listener, _: listener.update(bind_to_port=True), "one of the sidecar's own"),
        (lambda listener, _: listener.pop("bind_to_port"), "one of the sidecar's own"),
        (lambda listener, _: listener.update(traffic_direction="INBOUND"), "one of the sidecar's own"),
        (lambda _, entrance: entrance.pop("use_original_dst"), "does not hand over by original destination"),
        (lambda _, entrance: entrance.update(name="another"), "no listener virtualOutbound"),
        (lambda _, entrance: entrance.update(a_field_of_tomorrow=1), "a_field_of_tomorrow"),
    ],
)  # fmt: skip
def test_what_is_not_understood_makes_the_way_unknown(
    change: Callable[[dict[str, Any], dict[str, Any]], None], says: str
) -> None:
    way = walk_config(parse_config(altered(change)), *PROBE)
    assert way.envoy_cluster is None
    assert says in way.unknown


@pytest.mark.parametrize(
    "criterion",
    [
        {"source_type": "EXTERNAL"},
        {"source_ports": [1]},
        {"source_prefix_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]},
        {"direct_source_prefix_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]},
        {"address_suffix": "1.2.3.4", "suffix_len": 8},
    ],
)
def test_a_further_criterion_on_the_longest_block_makes_the_way_unknown(criterion: dict[str, Any]) -> None:
    config = parse_config(altered(lambda listener, _: chain_of_the_probe(listener)["filter_chain_match"].update(criterion)))
    way = walk_config(config, *PROBE)
    assert way.envoy_cluster is None
    assert next(iter(criterion)) in way.unknown
    assert walk_config(config, "91.198.174.200", 443).envoy_cluster == "outbound|443||wikipedia.org", "and no other block's"


def test_a_dump_of_thousands_of_filter_chains_is_read() -> None:
    def grow(listener: dict[str, Any], _: dict[str, Any]) -> None:
        model = chain_of_the_probe(listener)
        for number in range(3_000):
            block = {"address_prefix": f"10.{number // 256}.{number % 256}.0", "prefix_len": 24}
            listener["filter_chains"].append({**model, "filter_chain_match": {"prefix_ranges": [block]}})

    config = parse_config(altered(grow))
    assert walk_config(config, "10.11.183.9", 443).prefix == "10.11.183.0/24"
    assert walk_config(config, *PROBE).prefix == "208.80.154.224/27"


# Versions

MASKED = """{"configs": [
 {"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump.DynamicListener", "name": "virtualOutbound",
  "active_state": {"version_info": "7", "last_updated": "2026-11-24T15:36:17.860Z"}},
 {"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump.DynamicListener", "name": "0.0.0.0_443",
  "active_state": {"version_info": "8", "last_updated": "2026-11-24T15:36:18.100Z"},
  "error_state": {"details": "no such filter"}},
 {"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump.DynamicListener", "name": "0.0.0.0_80"}
]}"""


def test_the_version_of_a_listener_is_when_it_was_changed() -> None:
    assert parse_config(MASKED).versions == {
        ListenerVersion("virtualOutbound", "7", "2026-11-24T15:36:17.860Z"),
        ListenerVersion("0.0.0.0_443", "8", "2026-11-24T15:36:18.100Z"),
    }, "and one that is not in force has none"


def test_a_whole_dump_holds_the_versions_of_what_is_in_it() -> None:
    assert {each.name for each in parse_config(SEED).versions} > {"virtualOutbound", "0.0.0.0_443"}


# Envoy clusters by name


def test_of_names_that_do_not_exist_nothing_is_there() -> None:
    assert parse_envoy_clusters("{}") == {}


@pytest.mark.parametrize(("extension", "type"), [("dynamic_forward_proxy", DYNAMIC), ("redis", "")])
def test_an_envoy_cluster_of_an_extension_is_of_a_known_type_or_of_none(extension: str, type: str) -> None:
    config = {"@type": f"type.googleapis.com/envoy.extensions.clusters.{extension}.v3.ClusterConfig"}
    found = {"name": "it", "cluster_type": {"name": "whatever", "typed_config": config}}
    kind = "type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster"
    [read] = parse_envoy_clusters(json.dumps({"configs": [{"@type": kind, "cluster": found}]})).values()
    assert read.type == type


def test_envoy_clusters_are_read_by_name() -> None:
    dump = json.loads(SEED)
    active = next(config for config in dump["configs"] if "dynamic_active_clusters" in config)["dynamic_active_clusters"]
    kind = {"@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster"}
    found = parse_envoy_clusters(json.dumps({"configs": [{**kind, **each} for each in active]}))
    assert "outbound|443||wikipedia.org" in found
    whole = parse_config(SEED).envoy_clusters
    assert whole is not None
    assert {name: whole[name] for name in found} == found


@pytest.mark.parametrize("text", ["", "[]", '{"configs": 7}'])
def test_what_is_no_list_of_envoy_clusters_by_name_is_unreadable(text: str) -> None:
    with pytest.raises(ProxyUnreadable):
        parse_envoy_clusters(text)


def envoy_cluster_of(case: str, name: str = "outbound|443||wikipedia.org") -> EnvoyCluster:
    config = parse_config(recordings.load(case).config_dump or "")
    assert config.envoy_clusters
    return config.envoy_clusters[name]


def test_a_destinationrule_is_named_and_its_tls_seen() -> None:
    plain, wrapped = envoy_cluster_of("seed"), envoy_cluster_of("destinationrule-tls")
    assert (plain.tls, plain.destination_rule, plain.subset) == (False, "", "")
    assert (wrapped.tls, wrapped.destination_rule, wrapped.subset) == (True, "default/tls", "")
    subset = envoy_cluster_of("virtualservice-subset", "outbound|443|v1|wikipedia.org")
    assert (subset.tls, subset.destination_rule, subset.subset) == (False, "default/subsets", "v1")


def test_mutual_tls_to_the_meshs_own_workloads_is_no_wrapping() -> None:
    assert not envoy_cluster_of("seed", "outbound|443||kubernetes.default.svc.cluster.local").tls


UPSTREAM_TLS = {
    "name": "tls",
    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"},
}
RAW = {"name": "envoy.transport_sockets.raw_buffer"}


@pytest.mark.parametrize(
    ("sockets", "tls"),
    [
        ({"transport_socket": UPSTREAM_TLS}, True),
        ({"transport_socket": RAW}, False),
        ({"transport_socket": {"name": "of tomorrow"}}, True),
        ({"transport_socket_matches": [{"match": {"tlsMode": "istio"}, "transport_socket": UPSTREAM_TLS}]}, False),
        ({"transport_socket_matches": [{"match": {"a": "b"}, "transport_socket": UPSTREAM_TLS}]}, True),
        ({"transport_socket_matches": [{"match": {}, "transport_socket": UPSTREAM_TLS}]}, True),
        ({"transport_socket_matches": [{"match": {}, "transport_socket": RAW}]}, False),
    ],
)
def test_an_envoy_cluster_wraps_in_tls_what_any_endpoint_may_get_so(sockets: dict[str, Any], tls: bool) -> None:
    kind = {"@type": "type.googleapis.com/envoy.admin.v3.ClustersConfigDump.DynamicCluster"}
    text = json.dumps({"configs": [{**kind, "cluster": {"name": "a", **sockets}}]})
    assert parse_envoy_clusters(text)["a"].tls is tls


# What Envoy refused, masked


MASKED_ERRORS = """{"configs": [
 {"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump.DynamicListener", "name": "0.0.0.0_443",
  "active_state": {"version_info": "v1", "listener": {"name": "0.0.0.0_443"}, "last_updated": "2026-11-25T21:15:02.118Z"}},
 {"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump.DynamicListener", "name": "0.0.0.0_80",
  "error_state": {"details": "Didn't find a registered implementation for 'nope' with type URL: 'nope.Nope'"}},
 {"@type": "type.googleapis.com/envoy.admin.v3.ListenersConfigDump.DynamicListener",
  "error_state": {"details": "Didn't find a registered implementation for 'nope' with type URL: 'nope.Nope'"}}
]}"""
"""What Envoy 1.40 gave with `mask=name,active_state,error_state.details` where a whole dump was one line of error text."""


def test_a_mask_that_leaves_out_what_was_refused_still_holds_the_listeners_in_force_and_why() -> None:
    config = parse_config(MASKED_ERRORS)
    assert [each.name for each in config.listeners or ()] == ["0.0.0.0_443"]
    assert config.errors == {"0.0.0.0_80": "Didn't find a registered implementation for 'nope' with type URL: 'nope.Nope'"}


# Addresses as numbers


@given(st.one_of(st.ip_addresses().map(str), st.from_regex(r"[0-9.]{1,16}", fullmatch=True), st.text(max_size=20)))
def test_an_address_as_a_number_is_the_address(text: str) -> None:
    try:
        address = as_address(text, "it")
    except ProxyUnreadable:
        with pytest.raises(ProxyUnreadable):
            as_address_number(text, "it")
    else:
        assert as_address_number(text, "it") == (address.version, int(address))


@given(st.ip_addresses(), st.integers(0, 129))
def test_a_block_of_numbers_is_the_block(address: Any, length: int) -> None:
    try:
        block = ip_network((str(address), length), strict=False)
    except ValueError:
        with pytest.raises(ValueError, match="negative shift"):
            Block.around(address.version, int(address), length)
    else:
        found = Block.around(address.version, int(address), length)
        assert (found.network, str(found)) == (int(block.network_address), str(block))
