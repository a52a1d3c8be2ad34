"""VirtualServices and DestinationRules: which apply, and what becomes of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import recordings
from egressctl.lab.dataplane.envoy_config import SidecarConfig, build_sidecar_config
from egressctl.lab.dataplane.names import REGISTRY_ONLY
from egressctl.lab.dataplane.objects import SLEEP
from egressctl.lab.state import Paths

OUTSIDE = Paths(Path("/"), "lab")
ONE, TWO = "outbound|443||one.example", "outbound|443||two.example"


def an_object(kind: str, name: str, namespace: str = "default", age: int = 0, /, **spec: Any) -> dict[str, Any]:
    created = f"2026-01-01T00:00:{age:02}Z"
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace, "creationTimestamp": created}, "spec": spec}


def entry(name: str, number: int = 443, protocol: str = "TCP", **spec: Any) -> dict[str, Any]:
    ports = [{"number": number, "name": "port", "protocol": protocol}]
    return an_object("ServiceEntry", name, hosts=[f"{name}.example"], ports=ports, **{"addresses": ["192.0.2.0/24"], **spec})


def to(host: str, port: int | None = 443, **more: Any) -> dict[str, Any]:
    return {"destination": {"host": host, **({"port": {"number": port}} if port else {})}, **more}


def detour(namespace: str = "default", /, hosts: str = "one.example", **spec: Any) -> dict[str, Any]:
    return an_object("VirtualService", "detour", namespace, hosts=[hosts], **spec)


def made(*manifests: dict[str, Any]) -> SidecarConfig:
    return build_sidecar_config(recordings.by_plural(manifests), REGISTRY_ONLY, SLEEP, OUTSIDE)


def chains(*manifests: dict[str, Any], listener: str = "0.0.0.0_443") -> list[tuple[dict[str, Any], str]]:
    """Return what each filter chain asks for, and where it leads."""
    found = made(*manifests).listeners[listener]["filter_chains"]
    return [(chain.get("filter_chain_match", {}), chain["filters"][0]["typed_config"].get("cluster", "")) for chain in found]


def block(address: str, length: int) -> dict[str, Any]:
    return {"prefix_ranges": [{"address_prefix": address, "prefix_len": length}]}


OWN = block("192.0.2.0", 24)


@pytest.mark.parametrize(
    ("applies", "spec"),
    [
        (True, {"gateways": ["mesh"]}),
        (False, {"gateways": ["istio-system/gateway"]}),
        (True, {"gateways": ["istio-system/gateway", "mesh"]}),
        (True, {"exportTo": ["."]}),
        (False, {"exportTo": ["other"]}),
        (False, {"hosts": "three.example"}),
        (True, {"hosts": "*.example"}),
    ],
)
def test_which_virtual_services_apply(applies: bool, spec: dict[str, Any]) -> None:
    route = detour(tcp=[{"route": [to("two.example")]}], **spec)
    assert chains(entry("one"), route) == [(OWN, TWO if applies else ONE)]


@pytest.mark.parametrize(
    ("applies", "match"),
    [
        (True, {}),
        (True, {"port": 443}),
        (False, {"port": 80}),
        (True, {"sourceLabels": {"app": "sleep"}}),
        (False, {"sourceLabels": {"app": "web"}}),
        (True, {"sourceNamespace": "default"}),
        (False, {"sourceNamespace": "other"}),
        (False, {"gateways": ["gateway"]}),
    ],
)
def test_which_matches_apply(applies: bool, match: dict[str, Any]) -> None:
    route = detour(tcp=[{"match": [match], "route": [to("two.example")]}])
    assert chains(entry("one"), route) == [(OWN, TWO if applies else ONE)]


def test_subnets_of_a_match_add_a_chain() -> None:
    route = detour(tcp=[{"match": [{"destinationSubnets": ["192.0.2.64/26"]}], "route": [to("two.example")]}])
    assert chains(entry("one"), route) == [(block("192.0.2.64", 26), TWO), (OWN, ONE)]


def test_a_port_that_is_left_out_is_the_services_only_one() -> None:
    route = detour(tcp=[{"route": [to("two.example", None)]}])
    assert chains(entry("one"), entry("two", 8443), route)[0] == (OWN, "outbound|8443||two.example")
    assert chains(entry("one"), route)[0] == (OWN, TWO)


def test_a_host_without_a_dot_is_one_of_the_namespace() -> None:
    route = detour(tcp=[{"route": [to("two")]}])
    assert chains(entry("one"), route) == [(OWN, "outbound|443||two.default.svc.cluster.local")]


def test_tls_routes_are_for_tls_ports_and_tcp_routes_for_others() -> None:
    tls = [{"match": [{"sniHosts": ["www.one.example", "a.one.example"]}], "route": [to("two.example")]}]
    both = detour(tls=tls, tcp=[{"route": [to("three.example")]}])
    names = ["a.one.example", "www.one.example"]
    assert chains(entry("one", protocol="TLS"), both) == [({**OWN, "server_names": names}, TWO)]
    assert chains(entry("one"), both) == [(OWN, "outbound|443||three.example")]


def test_tls_of_a_plain_address_asks_for_no_name() -> None:
    assert chains(entry("one", protocol="TLS", addresses=["192.0.2.1"]), listener="192.0.2.1_443") == [({}, ONE)]
    assert chains(entry("one", protocol="TLS", addresses=[])) == [({"server_names": ["one.example"]}, ONE)]


def test_http_and_tcp_share_a_port() -> None:
    found = made(entry("one"), entry("two", protocol="HTTP")).listeners["0.0.0.0_443"]
    asked = [chain["filter_chain_match"] for chain in found["filter_chains"]]
    assert asked == [OWN, {"transport_protocol": "raw_buffer", "application_protocols": ["http/1.1", "h2c"]}]
    assert [each["name"].rpartition(".")[2] for each in found["listener_filters"]] == ["http_inspector"]


def test_tcp_without_addresses_takes_what_is_no_http() -> None:
    found = made(entry("one", addresses=[]), entry("two", protocol="HTTP")).listeners["0.0.0.0_443"]
    assert found["default_filter_chain"]["filters"][0]["typed_config"]["cluster"] == ONE
    assert len(found["filter_chains"]) == 1


def test_a_service_that_only_a_route_leads_to_gets_an_envoy_cluster_and_no_listener() -> None:
    sidecar = an_object("Sidecar", "limit", egress=[{"hosts": ["./one.example"]}])
    found = made(entry("one"), entry("two", addresses=["198.51.100.0/24"]), sidecar, detour(tcp=[{"route": [to("two.example")]}]))
    assert {ONE, TWO} <= found.clusters.keys()
    [chain] = found.listeners["0.0.0.0_443"]["filter_chains"]
    assert chain["filter_chain_match"] == OWN


def routes(*http: dict[str, Any]) -> list[dict[str, Any]]:
    found = made(entry("one", 80, "HTTP"), detour(http=list(http))).routes["80"]["virtual_hosts"][0]["routes"]
    assert {route["metadata"]["filter_metadata"]["istio"]["config"] for route in found} <= {
        "/apis/networking.istio.io/v1/namespaces/default/virtual-service/detour"
    }
    return list(found)


def test_http_routes_match_by_path() -> None:
    kinds = [{"exact": "/a"}, {"prefix": "/b"}, {"regex": "/c.*"}]
    found = routes({"match": [{"uri": uri} for uri in kinds], "route": [to("two.example", 80)]})
    assert [route["match"] for route in found] == [{"path": "/a"}, {"prefix": "/b"}, {"safe_regex": {"regex": "/c.*"}}]
    assert {route["route"]["cluster"] for route in found} == {"outbound|80||two.example"}


def test_a_match_that_the_lab_does_not_know_never_matches_and_is_told() -> None:
    http = {"match": [{"headers": {"a": {"exact": "b"}}}], "route": [to("two.example", 80)]}
    assert routes(http) == []
    assert made(detour(http=[http])).notes == (
        "VirtualService default/detour: the lab does not know match.headers of http routes",
    )


def test_weights_divide_and_nothing_goes_to_a_weight_of_none() -> None:
    [route] = routes({"route": [to("two.example", 80, weight=70), to("three.example", 80, weight=30), to("four.example", 80)]})
    assert route["route"]["weighted_clusters"]["clusters"] == [
        {"name": "outbound|80||two.example", "weight": 70},
        {"name": "outbound|80||three.example", "weight": 30},
    ]


def rule(name: str = "rule", namespace: str = "default", age: int = 0, /, **spec: Any) -> dict[str, Any]:
    return an_object("DestinationRule", name, namespace, age, **{"host": "one.example", **spec})


SIMPLE = {"tls": {"mode": "SIMPLE"}}


def tls_of(*rules: dict[str, Any]) -> dict[str, Any] | None:
    socket = made(entry("one"), *rules).clusters[ONE].get("transport_socket")
    return socket["typed_config"] if socket else None


@pytest.mark.parametrize(
    ("applies", "spec"),
    [
        (True, {}),
        (True, {"host": "*.example"}),
        (False, {"host": "two.example"}),
        (False, {"exportTo": ["other"]}),
        (False, {"workloadSelector": {"matchLabels": {"app": "web"}}}),
        (False, {"trafficPolicy": {"tls": {"mode": "DISABLE"}}}),
        (True, {"trafficPolicy": {"portLevelSettings": [{"port": {"number": 443}, **SIMPLE}]}}),
        (False, {"trafficPolicy": {**SIMPLE, "portLevelSettings": [{"port": {"number": 443}, "tls": {"mode": "DISABLE"}}]}}),
    ],
)
def test_which_destination_rules_wrap_in_tls(applies: bool, spec: dict[str, Any]) -> None:
    assert (tls_of(rule(**{"trafficPolicy": SIMPLE, **spec})) is not None) is applies


def test_the_pods_namespace_goes_before_the_root_namespace() -> None:
    root, own = rule("root", "istio-system", trafficPolicy=SIMPLE), rule("own")
    assert tls_of(root) is not None
    assert tls_of(root, own) is None


def test_names_are_verified_as_the_rule_says() -> None:
    tls = {"mode": "SIMPLE", "sni": "sni.example", "subjectAltNames": ["san.example"]}
    found = tls_of(rule(trafficPolicy={"tls": tls}))
    assert found is not None
    assert found["sni"] == "sni.example"
    matchers = found["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"]
    assert {each["matcher"]["exact"] for each in matchers} == {"san.example"}
    unverified = tls_of(rule(trafficPolicy={"tls": {"mode": "SIMPLE", "insecureSkipVerify": True}}))
    assert unverified is not None
    assert "validation_context" not in unverified["common_tls_context"]


def test_rules_of_one_namespace_are_merged() -> None:
    first, second = rule("a", subsets=[{"name": "v1", "labels": {}}]), rule("b", subsets=[{"name": "v2", "labels": {}}])
    assert {"outbound|443|v1|one.example", "outbound|443|v2|one.example"} <= made(entry("one"), first, second).clusters.keys()


def test_a_subset_of_static_endpoints_is_those_with_its_labels() -> None:
    endpoints = [{"address": "198.51.100.1", "labels": {"v": "1"}}, {"address": "198.51.100.2", "labels": {"v": "2"}}]
    found = made(entry("one", resolution="STATIC", endpoints=endpoints), rule(subsets=[{"name": "v1", "labels": {"v": "1"}}]))
    [group] = found.clusters["outbound|443|v1|one.example"]["load_assignment"]["endpoints"]
    addresses = [each["endpoint"]["address"]["socket_address"]["address"] for each in group["lb_endpoints"]]
    assert addresses == ["198.51.100.1"]


def test_tls_of_another_mode_is_told() -> None:
    found = made(entry("one"), rule(trafficPolicy={"tls": {"mode": "ISTIO_MUTUAL"}}))
    assert "transport_socket" not in found.clusters[ONE]
    assert found.notes == ("DestinationRule default/rule: the lab does not know TLS of mode ISTIO_MUTUAL",)


@pytest.mark.parametrize("resolution", ["DNS", "DNS_ROUND_ROBIN"])
def test_a_dns_entry_leads_to_its_host_or_its_endpoints(resolution: str) -> None:
    for endpoints, expected in (([], "one.example"), ([{"address": "behind.example"}], "behind.example")):
        cluster = made(entry("one", addresses=[], resolution=resolution, endpoints=endpoints)).clusters[ONE]
        assert cluster["type"] == {"DNS": "STRICT_DNS", "DNS_ROUND_ROBIN": "LOGICAL_DNS"}[resolution]
        [group] = cluster["load_assignment"]["endpoints"]
        assert group["lb_endpoints"][0]["endpoint"]["address"]["socket_address"] == {"address": expected, "port_value": 443}


@pytest.mark.parametrize("kind", ["ServiceEntry", "Sidecar", "VirtualService", "DestinationRule"])
@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"spec": None, "metadata": None},
        {"spec": {"hosts": 1, "tcp": "a", "http": [1], "tls": {}, "egress": [None], "subsets": 3, "trafficPolicy": []}},
        {"spec": {"hosts": ["one.example"], "tcp": [{"route": [{}]}], "http": [{"route": [{"destination": 1}]}], "host": 5}},
        {"spec": {"host": "one.example", "hosts": ["one.example"], "tls": [{"match": [{"sniHosts": 1}], "route": [to("two")]}]}},
    ],
)
def test_odd_objects_break_nothing(kind: str, odd: dict[str, Any]) -> None:
    assert ONE in made(entry("one"), {"kind": kind, **odd}).clusters
