"""The lab's sidecar gets what istiod gave a real one: listeners and Envoy clusters held against recordings."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import recordings
from egressctl.envoy.dump import parse_config
from egressctl.envoy.walk import final_envoy_clusters, walk_config
from egressctl.lab.dataplane.envoy_config import SidecarConfig
from egressctl.lab.dataplane.envoy_config import build_sidecar_config as translated
from egressctl.lab.dataplane.names import ALLOW_ANY, REGISTRY_ONLY
from egressctl.lab.dataplane.objects import SLEEP
from egressctl.lab.state import Paths
from egressctl.model.probe import Probe
from sidecars import as_dump

OUTSIDE = Paths(Path("/"), "lab")
OUTSIDE.access_log = Path("/etc/istio/proxy/access.log")

ALIKE = [
    "cidrs-60",
    "destinationrule-tls",
    "export-to-dot",
    "http-80",
    "http-80-blocked",
    "ip-over-cidr",
    "ipv6",
    "no-addresses",
    "no-addresses-and-cidr",
    "no-entry-allow-any",
    "no-entry-registry-only",
    "not-captured",
    "outside-allow-any",
    "outside-registry-only",
    "overlapping-cidrs",
    "plain-ips",
    "port-15021",
    "port-not-listed",
    "refused-beyond",
    "same-cidr-older-rival",
    "same-cidr-two-entries",
    "same-host-other-namespace-address",
    "same-host-two-namespaces",
    "seed",
    "seed-allow-any",
    "sidecar-allow-any",
    "sidecar-hides",
    "tls-and-tcp-same-cidr",
    "tls-sni",
    "tls-sni-and-tcp-cidr",
    "tls-sni-other-name",
    "two-hosts",
    "two-ports",
    "virtualservice-subset",
    "virtualservice-tcp",
    "virtualservice-tcp-weighted",
    "virtualservice-unknown-host",
    "zero-cidr",
]


def aged(manifests: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give each manifest an age, in the order of its file, as the API server did when they were applied."""
    return [
        {**manifest, "metadata": {**manifest["metadata"], "creationTimestamp": f"2026-11-23T04:00:{second:02}Z"}}
        for second, manifest in enumerate(manifests)
    ]


def given(case: str) -> SidecarConfig:
    recording = recordings.load(case)
    return translated(recordings.by_plural(aged(recording.manifests)), recording.policy, SLEEP, OUTSIDE)


def section(case: str, kind: str) -> dict[str, Any]:
    dump = json.loads(recordings.load(case).config_dump or "")
    section: dict[str, Any] = next(part for part in dump["configs"] if part["@type"].endswith(kind))
    return section


def recorded_listeners(case: str) -> dict[str, Any]:
    active = [
        item["active_state"]["listener"]
        for item in section(case, "ListenersConfigDump")["dynamic_listeners"]
        if "active_state" in item
    ]
    # What belongs to the Kubernetes cluster itself: its own services, and traffic towards the pod.
    return {item["name"]: item for item in active if item["name"] != "virtualInbound" and not item["name"].startswith("10.96.")}


def recorded_clusters(case: str) -> dict[str, Any]:
    active = [item["cluster"] for item in section(case, "ClustersConfigDump")["dynamic_active_clusters"]]
    inbound = ("InboundPassthroughCluster", "inbound|")
    return {
        item["name"]: item for item in active if not item["name"].startswith(inbound) and "svc.cluster.local" not in item["name"]
    }


def in_any_order(listener: dict[str, Any]) -> dict[str, Any]:
    """Chains come in another order after each push; the log of connections without a chain is not the lab's matter."""
    chains = [without_source_and_tracing(chain) for chain in listener["filter_chains"]]
    chains = sorted(
        (json.loads(json.dumps(chain, sort_keys=True)) for chain in chains), key=lambda chain: json.dumps(chain, sort_keys=True)
    )
    return {**{key: value for key, value in listener.items() if key != "access_log"}, "filter_chains": chains}


def without_source_and_tracing(chain: dict[str, Any]) -> dict[str, Any]:
    """Routes come by file in the lab, and over istiod's stream on a mesh; traces go nowhere."""
    chain = json.loads(json.dumps(chain))
    for network_filter in chain["filters"]:
        network_filter["typed_config"].pop("tracing", None)
        network_filter["typed_config"].get("rds", {}).pop("config_source", None)
    return chain


def as_on_a_mesh(cluster: dict[str, Any]) -> dict[str, Any]:
    """Without what binds the lab's connections in its internet, where it trusts whom, and HTTP settings that TCP never meets."""
    left_out = ["upstream_bind_config"] + ["typed_extension_protocol_options"] * ("transport_socket" not in cluster)
    cluster = json.loads(json.dumps({key: value for key, value in cluster.items() if key not in left_out}))
    common = cluster.get("transport_socket", {}).get("typed_config", {}).get("common_tls_context", {})
    for trust in ("validation_context", "combined_validation_context"):
        common.pop(trust, None)
    return cluster


@pytest.mark.parametrize("case", ALIKE)
def test_listeners_are_those_that_istiod_gave(case: str) -> None:
    ours = {name: in_any_order(listener) for name, listener in given(case).listeners.items() if name != "virtualInbound"}
    assert ours == {name: in_any_order(listener) for name, listener in recorded_listeners(case).items()}


DUAL = Paths(Path("/"), "lab", with_ipv6=True)
DUAL.access_log = OUTSIDE.access_log


@pytest.mark.parametrize("case", ["seed", "ipv6", "no-addresses", "plain-ips", "http-80", "tls-sni"])
def test_listeners_on_every_address_have_both_families_in_a_dual_stack_mesh(case: str) -> None:
    """After listener.go and listener_builder.go of istiod's `pilot/pkg/networking/core`: AdditionalAddresses."""
    recording = recordings.load(case)
    made = translated(recordings.by_plural(aged(recording.manifests)), recording.policy, SLEEP, DUAL)
    alone = given(case)
    assert made.listeners.keys() == alone.listeners.keys()
    for name, listener in made.listeners.items():
        more = listener.pop("additional_addresses", [])
        port = listener["address"]["socket_address"]["port_value"]
        wild = listener["address"]["socket_address"]["address"] == "0.0.0.0"
        assert more == [{"address": {"socket_address": {"address": "::", "port_value": port}}}] * wild
        assert listener == alone.listeners[name]


@pytest.mark.parametrize("case", [*ALIKE, "port-15001"])
def test_envoy_clusters_are_those_that_istiod_gave(case: str) -> None:
    ours = {name: as_on_a_mesh(cluster) for name, cluster in given(case).clusters.items()}
    assert ours == {name: as_on_a_mesh(cluster) for name, cluster in recorded_clusters(case).items()}


@pytest.mark.parametrize("case", ALIKE)
def test_routes_are_those_that_istiod_gave(case: str) -> None:
    names = [
        chain["filters"][0]["typed_config"]["rds"]["route_config_name"]
        for listener in recorded_listeners(case).values()
        for chain in listener["filter_chains"]
        if "rds" in chain["filters"][0]["typed_config"]
    ]
    recorded = section(case, ".RoutesConfigDump").get("dynamic_route_configs", [])
    theirs = {item["route_config"]["name"]: item["route_config"] for item in recorded}
    assert given(case).routes == {name: theirs[name] for name in names}


def test_an_exact_host_in_a_sidecar_keeps_one_block_of_five() -> None:
    [theirs] = recorded_listeners("sidecar-exact-host")["0.0.0.0_443"]["filter_chains"]
    [ours] = given("sidecar-exact-host").listeners["0.0.0.0_443"]["filter_chains"]
    blocks = {chain["filter_chain_match"]["prefix_ranges"][0]["address_prefix"] for chain in (theirs, ours)}
    assert blocks <= {
        address.partition("/")[0] for address in recordings.load("sidecar-exact-host").manifests[0]["spec"]["addresses"]
    }
    assert {**ours, "filter_chain_match": None} == {**theirs, "filter_chain_match": None}


def test_istios_own_port_gets_the_listener_that_envoy_rejects() -> None:
    rejected = {
        item.get("name") for item in section("port-15001", "ListenersConfigDump")["dynamic_listeners"] if "error_state" in item
    }
    assert "0.0.0.0_15001" in rejected
    ours, theirs = given("port-15001").listeners, recorded_listeners("port-15001")
    assert ours.keys() == theirs.keys() | {"virtualInbound", "0.0.0.0_15001"}


def test_static_endpoints_are_where_connections_go() -> None:
    cluster = given("static-endpoint").clusters["outbound|443||wikipedia.org"]
    theirs = recorded_clusters("static-endpoint")["outbound|443||wikipedia.org"]
    assert {key: cluster[key] for key in ("lb_policy", "metadata", "connect_timeout")} == {
        key: theirs[key] for key in ("lb_policy", "metadata", "connect_timeout")
    }
    [group] = cluster["load_assignment"]["endpoints"]
    assert group["lb_endpoints"] == [
        {"endpoint": {"address": {"socket_address": {"address": "198.51.100.7", "port_value": 443}}}}
    ]


def test_upstream_connections_are_bound_in_the_internet() -> None:
    clusters = given("seed").clusters
    for name in ("PassthroughCluster", "outbound|443||wikipedia.org"):
        assert clusters[name]["upstream_bind_config"]["source_address"]["network_namespace_filepath"] == str(
            OUTSIDE.internet_namespace
        )
    assert "upstream_bind_config" not in clusters["BlackHoleCluster"]


def resources(entries: Iterable[dict[str, Any]], policy: str = REGISTRY_ONLY) -> SidecarConfig:
    return translated({"serviceentries": list(entries)}, policy, SLEEP, OUTSIDE)


def entry(name: str = "one-ext", namespace: str = "default", age: int = 0, /, **spec: Any) -> dict[str, Any]:
    ports = [{"number": 443, "name": "tcp", "protocol": "TCP"}]
    return {
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": f"2026-01-01T00:00:{age:02}Z"},
        "spec": {"hosts": [f"{name}.example"], "addresses": ["192.0.2.0/24"], "ports": ports, "resolution": "NONE", **spec},
    }


def carrier(*entries: dict[str, Any], listener: str = "0.0.0.0_443") -> str | None:
    """Return the Envoy cluster of the first filter chain of a listener; None where there is no such listener."""
    found = resources(entries).listeners.get(listener)
    return str(found["filter_chains"][0]["filters"][0]["typed_config"]["cluster"]) if found else None


def test_the_older_of_two_claims_to_a_block_carries_it() -> None:
    assert carrier(entry("b", "default", 1), entry("a", "default", 2)) == "outbound|443||b.example"
    assert carrier(entry("b", "default", 2), entry("a", "other", 1)) == "outbound|443||a.example"


def test_of_two_claims_of_one_second_the_first_by_name_carries() -> None:
    assert carrier(entry("z"), entry("a")) == "outbound|443||a.example"


def test_a_restricted_claim_carries_before_an_older_public_one() -> None:
    assert carrier(entry("old", "default", 1), entry("new", "default", 2, exportTo=["."])) == "outbound|443||new.example"
    assert carrier(entry("old", "default", 1), entry("new", "other", 2, exportTo=["default"])) == "outbound|443||new.example"


@pytest.mark.parametrize(
    ("namespace", "export_to", "visible"),
    [
        ("other", ["*"], True),
        ("other", [], True),
        ("other", ["."], False),
        ("other", ["default"], True),
        ("other", ["third"], False),
        ("other", ["~"], False),
        ("default", ["."], True),
        ("default", ["other"], False),
        ("default", ["~"], False),
    ],
)
def test_export_to_decides_what_the_sidecar_is_shown(namespace: str, export_to: list[str], visible: bool) -> None:
    assert (carrier(entry("one", namespace, exportTo=export_to)) is not None) is visible


def test_of_one_host_in_two_namespaces_the_pods_own_survives_at_any_age() -> None:
    rivals = entry("one", "other", 1, addresses=["198.51.100.0/24"]), entry("one", "default", 2)
    [chain] = resources(rivals).listeners["0.0.0.0_443"]["filter_chains"]
    assert chain["filter_chain_match"]["prefix_ranges"] == [{"address_prefix": "192.0.2.0", "prefix_len": 24}]


def test_of_one_host_in_two_foreign_namespaces_the_older_survives() -> None:
    rivals = entry("one", "b", 1, addresses=["198.51.100.0/24"]), entry("one", "a", 2)
    [chain] = resources(rivals).listeners["0.0.0.0_443"]["filter_chains"]
    assert chain["filter_chain_match"]["prefix_ranges"] == [{"address_prefix": "198.51.100.0", "prefix_len": 24}]


def test_entries_of_one_host_and_namespace_are_merged() -> None:
    both = entry("a", hosts=["one.example"]), entry("b", hosts=["one.example"], addresses=["198.51.100.0/24"])
    found = resources(both)
    assert len(found.listeners["0.0.0.0_443"]["filter_chains"]) == 2
    assert [name for name in found.clusters if name.startswith("outbound")] == ["outbound|443||one.example"]


def test_host_bits_count_for_nothing() -> None:
    chains = resources([entry(addresses=["192.0.2.77/24", "192.0.2.0/24"])])
    assert len(chains.listeners["0.0.0.0_443"]["filter_chains"]) == 1


@pytest.mark.parametrize("port", [15001, 15006])
def test_a_plain_address_is_accepted_on_istios_own_ports(port: int) -> None:
    ports = [{"number": port, "name": "tcp", "protocol": "TCP"}]
    assert carrier(entry(addresses=["192.0.2.1"], ports=ports), listener=f"192.0.2.1_{port}")


@pytest.mark.parametrize("port", [15021, 15090])
def test_a_block_on_the_sidecars_static_ports_gets_no_listener(port: int) -> None:
    ports = [{"number": port, "name": "tcp", "protocol": "TCP"}]
    assert carrier(entry(ports=ports), listener=f"0.0.0.0_{port}") is None
    assert carrier(entry(ports=ports, addresses=["192.0.2.1"]), listener=f"192.0.2.1_{port}")


@pytest.mark.parametrize("protocol", ["UDP", "MONGO", "HTTP_PROXY", ""])
def test_a_protocol_that_the_lab_does_not_know_gets_no_listener_and_is_told(protocol: str) -> None:
    ports = [{"number": 443, "name": "port", "protocol": protocol}, {"number": 8443, "name": "tcp", "protocol": "tcp"}]
    found = resources([entry(ports=ports)])
    assert found.listeners.keys() == {"virtualOutbound", "virtualInbound", "0.0.0.0_8443"}
    [note] = found.notes
    assert note.startswith("ServiceEntry default/one-ext: the lab does not know")
    assert protocol in note


@pytest.mark.parametrize("resolution", ["DYNAMIC_DNS", "LATER"])
def test_a_resolution_that_the_lab_does_not_know_is_told(resolution: str) -> None:
    found = resources([entry(resolution=resolution)])
    assert found.listeners.keys() == {"virtualOutbound", "virtualInbound"}
    assert resolution in found.notes[0]


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"metadata": None, "spec": None},
        {"metadata": {"name": "a"}, "spec": {"hosts": "a.example", "ports": "443", "addresses": {}}},
        entry(ports=[{"name": "tcp"}, None, 443]),
        entry(hosts=[None]),
        entry(addresses=["not-an-address"]),
        entry(endpoints=["198.51.100.7", {"address": None}], resolution="STATIC", addresses=["1"]),
    ],
)
def test_odd_entries_open_nothing(odd: dict[str, Any]) -> None:
    assert resources([odd]).listeners.keys() == {"virtualOutbound", "virtualInbound"}


def test_the_policy_decides_what_carries_the_rest() -> None:
    for policy, expected in ((REGISTRY_ONLY, "BlackHoleCluster"), (ALLOW_ANY, "PassthroughCluster")):
        listeners = resources([entry()], policy).listeners
        catch_all = listeners["virtualOutbound"]["filter_chains"][1]
        for chain in (catch_all, listeners["0.0.0.0_443"]["default_filter_chain"]):
            assert chain["filters"][0]["typed_config"]["cluster"] == expected


@pytest.mark.parametrize("case", sorted({*ALIKE, "port-15001", "static-endpoint"} - {"virtualservice-unknown-host"}))
def test_every_filter_chain_leads_to_an_envoy_cluster_or_routes_that_are_there(case: str) -> None:
    found = given(case)
    for listener in found.listeners.values():
        for chain in [*listener["filter_chains"], *filter(None, [listener.get("default_filter_chain")])]:
            config = chain["filters"][0]["typed_config"]
            if "rds" in config:
                assert config["rds"]["route_config_name"] in found.routes
            else:
                weighted = config.get("weighted_clusters", {"clusters": [{"name": config.get("cluster")}]})
                assert {each["name"] for each in weighted["clusters"]} <= found.clusters.keys()


def test_two_hosts_of_one_address_do_not_claim_its_domain_twice() -> None:
    ports = [{"number": 80, "name": "http", "protocol": "HTTP"}]
    found = resources([entry(hosts=["a.example", "b.example"], addresses=["192.0.2.1"], ports=ports)])
    domains = [domain for host in found.routes["80"]["virtual_hosts"] for domain in host["domains"]]
    assert sorted(domains) == ["*", "192.0.2.1", "a.example", "a.example.", "b.example", "b.example."]


NOT_LIKE_THERE = {
    "not-captured": "the connection never met the sidecar",
    "rejected-listener": "the recorded Envoy refused what the lab's accepts",
    "sidecar-exact-host": "which block is kept is chance",
}


@pytest.mark.parametrize("case", sorted(set(recordings.cases()) - NOT_LIKE_THERE.keys()))
def test_the_lab_leads_the_recorded_probe_to_the_recorded_truth(case: str) -> None:
    truth = recordings.load(case).truth
    ip, _, port = truth["remote"].rpartition(":")
    end = walk_config(parse_config(as_dump(given(case))), ip, int(port), Probe("p", truth["probe"]).speech)
    assert not end.unknown
    assert truth["envoy_cluster"] in (["-"] if end.absent or end.direct_status else final_envoy_clusters(end))


def test_of_one_host_the_first_has_the_envoy_clusters() -> None:
    def clusters(*entries: dict[str, Any]) -> list[str]:
        return [name for name in resources(entries).clusters if name.startswith("outbound")]

    more = [{"number": 80, "name": "tcp", "protocol": "TCP"}]
    first, second = entry("a", hosts=["one.example"]), entry("b", "default", 1, hosts=["one.example"], ports=more)
    both = ["outbound|443||one.example", "outbound|80||one.example"]
    assert clusters(first, second) == both
    # Ports are merged only where both are alike (appendSidecarServices of istio's pilot/pkg/model/sidecar.go).
    labelled = {**second, "metadata": {**second["metadata"], "labels": {"team": "a"}}}
    assert clusters(first, labelled) == both[:1]
    private = {**second, "spec": {**second["spec"], "exportTo": ["."]}}
    assert clusters(first, private) == both[1:]
    assert "0.0.0.0_443" in resources([first, private]).listeners
    assert clusters(entry("a", "other", hosts=["one.example"]), second) == both[1:]


def test_a_host_that_the_last_entry_does_not_declare_as_http_has_no_route() -> None:
    http, tcp = ([{"number": 80, "name": "port", "protocol": protocol}] for protocol in ("HTTP", "TCP"))
    first = entry("a", hosts=["one.example"], ports=http)
    found = resources([first, entry("b", "default", 1, hosts=["one.example"], ports=tcp)])
    assert [host["domains"] for host in found.routes["80"]["virtual_hosts"]] == [["*"]]
    found = resources([entry("b", hosts=["one.example"], ports=tcp), {**first, "metadata": entry("a", "default", 1)["metadata"]}])
    assert len(found.routes["80"]["virtual_hosts"]) == 2
