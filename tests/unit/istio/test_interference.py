"""What else than another entry can keep an entry from carrying, read from Istio's other objects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.istio import interference
from egressctl.lint.rule import RULES
from egressctl.model.entry import Manifest, Port, ServiceEntry

ENTRY = ServiceEntry(
    name="wikipedia-ext",
    namespace="default",
    hosts=("wikipedia.org",),
    addresses=("208.80.154.224/27", "91.198.174.192/27"),
    ports=(Port(443, "TCP", "tcp-port"),),
    resolution="NONE",
    location="MESH_EXTERNAL",
    export_to=(".",),
)
TLS, HTTP = Port(443, "TLS", "tls"), Port(80, "HTTP", "http")


def an_object(kind: str, spec: Any, namespace: str = "default", name: str = "it") -> Manifest:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


# Sidecars


def a_sidecar(*hosts: str, namespace: str = "default", **spec: Any) -> Manifest:
    return an_object("Sidecar", {"egress": [{"hosts": list(hosts)}], **spec}, namespace)


def sidecars(*found: Manifest, entry: ServiceEntry = ENTRY, namespace: str = "default") -> list[str]:
    return [each.rule for each in interference.find_hiding_sidecars(entry, found, namespace, "istio-system")]


@pytest.mark.parametrize(
    ("hosts", "rules"),
    [
        (("istio-system/*",), ["hidden-by-sidecar"]),
        (("./other.example",), ["hidden-by-sidecar"]),
        (("other/*", "~/*"), ["hidden-by-sidecar"]),
        (("*/*",), []),
        (("./*",), []),
        (("default/*",), []),
        (("./*.org",), []),
        (("*/wikipedia.org",), []),
        (("./wikipedia.org",), ["one-block-kept"]),
        (("default/Wikipedia.org",), ["hidden-by-sidecar"]),
        (("./wikipedia.org", "other/en.wikipedia.org"), ["one-block-kept"]),
        (("./wikipedia.org", "istio-system/*"), []),
        (("./wikipedia.org", "./*"), []),
        (("wikipedia.org",), []),
    ],
)
def test_what_a_sidecar_imports(hosts: tuple[str, ...], rules: list[str]) -> None:
    assert sidecars(a_sidecar(*hosts)) == rules


def test_an_exact_host_keeps_an_entry_of_one_block_whole() -> None:
    assert sidecars(a_sidecar("./wikipedia.org"), entry=replace(ENTRY, addresses=("192.0.2.0/24",))) == []


def test_a_dot_is_the_namespace_of_the_pod() -> None:
    entry = replace(ENTRY, namespace="other", export_to=("*",))
    assert sidecars(a_sidecar("./*"), entry=entry) == ["hidden-by-sidecar"]


def test_the_namespaces_own_sidecar_goes_before_the_meshs() -> None:
    root = a_sidecar("istio-system/*", namespace="istio-system")
    assert sidecars(root) == ["hidden-by-sidecar"]
    assert sidecars(root, a_sidecar("*/*")) == []
    assert sidecars(a_sidecar("istio-system/*", namespace="other")) == []


def test_of_two_sidecars_of_a_namespace_only_the_first_holds() -> None:
    first, second = a_sidecar("*/*"), {**a_sidecar("istio-system/*"), "metadata": {"name": "later", "namespace": "default"}}
    assert sidecars(second, first) == []


def test_a_sidecar_with_a_selector_is_for_the_pods_that_it_selects() -> None:
    selecting = a_sidecar("istio-system/*", workloadSelector={"labels": {"app": "sleep"}})
    (found,) = interference.find_hiding_sidecars(ENTRY, [selecting, a_sidecar("*/*")], "default", "istio-system")
    assert "the pods that it selects" in found.reason
    elsewhere = a_sidecar("istio-system/*", namespace="istio-system", workloadSelector={"labels": {"app": "sleep"}})
    assert sidecars(elsewhere) == []


@pytest.mark.parametrize("egress", [None, [], "odd", [{"hosts": None}], [5]])
def test_a_sidecar_that_sets_no_hosts_hides_nothing(egress: Any) -> None:
    assert sidecars(an_object("Sidecar", {"egress": egress})) == []


# VirtualServices


def a_route(host: str, kind: str = "tcp", **spec: Any) -> Manifest:
    match = {"match": [{"sniHosts": ["wikipedia.org"], "port": 443}]} if kind == "tls" else {}
    routes = [{**match, "route": [{"destination": {"host": host}}]}]
    return an_object("VirtualService", {"hosts": ["wikipedia.org"], kind: routes, **spec})


def reroutes(found: Manifest, entry: ServiceEntry = ENTRY, namespace: str = "default") -> list[str]:
    return [each.reason for each in interference.find_rerouting_virtual_services(entry, [found], namespace)]


def test_a_virtualservice_that_sends_the_host_elsewhere() -> None:
    assert reroutes(a_route("other.example")) == ["it sends wikipedia.org to other.example (a tcp route)"]


def test_a_virtualservice_that_has_nothing_to_do_with_it() -> None:
    assert reroutes(a_route("Wikipedia.org")) == []
    assert reroutes(a_route("other.example", hosts=["other.example"])) == []
    assert reroutes(a_route("other.example", gateways=["istio-system/ingress"])) == []
    assert reroutes(a_route("other.example", gateways=["mesh", "istio-system/ingress"])) != []
    assert reroutes(a_route("other.example", exportTo=["."]), namespace="other") == []
    assert reroutes(a_route("other.example", "http")) == []


def test_which_routes_concern_which_ports() -> None:
    assert reroutes(a_route("other.example", "http"), replace(ENTRY, ports=(HTTP,))) != []
    assert reroutes(a_route("other.example", "tls"), replace(ENTRY, ports=(TLS,))) != []
    assert reroutes(a_route("other.example", "tls"), replace(ENTRY, ports=(TLS,), hosts=("www.wikipedia.org",))) == []


# DestinationRules


def wraps(policy: Any, entry: ServiceEntry = ENTRY, host: str = "wikipedia.org") -> bool:
    rule = an_object("DestinationRule", {"host": host, "trafficPolicy": policy})
    return bool(list(interference.find_wrapping_destination_rules(entry, [rule], "default")))


def test_a_destinationrule_that_wraps_in_tls() -> None:
    assert wraps({"tls": {"mode": "SIMPLE"}})
    assert wraps({"tls": {"mode": "MUTUAL"}}, host="*.org")
    assert wraps({"portLevelSettings": [{"port": {"number": 443}, "tls": {"mode": "SIMPLE"}}]})


def test_a_destinationrule_that_leaves_it_as_it_is() -> None:
    assert not wraps({})
    assert not wraps(None)
    assert not wraps({"tls": {"mode": "DISABLE"}})
    assert not wraps({"tls": {"mode": "SIMPLE"}}, host="other.example")
    assert not wraps({"portLevelSettings": [{"port": {"number": 80}, "tls": {"mode": "SIMPLE"}}]})
    assert not wraps({"tls": {"mode": "SIMPLE"}, "portLevelSettings": [{"port": {"number": 443}, "tls": {"mode": "DISABLE"}}]})


def test_tls_origination_on_an_http_port_is_meant() -> None:
    assert not wraps({"tls": {"mode": "SIMPLE"}}, replace(ENTRY, ports=(HTTP,)))


# Services


def inside(port: int = 443, entry: ServiceEntry = ENTRY, **spec: Any) -> list[str]:
    service = an_object("Service", {"ports": [{"port": port}], **spec}, "shop", "db")
    return [each.outcome for each in interference.find_services_inside_blocks(entry, [service])]


def test_a_service_inside_a_block() -> None:
    assert len(inside(clusterIP="208.80.154.230", clusterIPs=["208.80.154.230"])) == 1
    assert len(inside(clusterIP="208.80.154.230")) == 1
    single = replace(ENTRY, addresses=("208.80.154.230",))
    assert inside(entry=single, clusterIP="208.80.154.230") == ["of two listeners for one address and port a sidecar gets one"]


@pytest.mark.parametrize(
    ("made", "name", "annotations", "whose"),
    [
        ("2026-11-23T03:00:00Z", "z", {}, "Service shop/z, the older"),
        ("2026-11-23T05:00:00Z", "a", {}, "default/wikipedia-ext, the older"),
        ("2026-11-23T04:00:00Z", "a", {}, "Service shop/a, the first by name of two of the same age"),
        ("2026-11-23T04:00:00Z", "z", {}, "default/wikipedia-ext, the first by name of two of the same age"),
        (
            "2026-11-23T05:00:00Z",
            "z",
            {"networking.istio.io/exportTo": ".,default"},
            "Service shop/z, whose exportTo names fewer ",
        ),
    ],
)
def test_of_a_service_and_an_entry_of_one_address_the_first_has_the_listener(
    made: str, name: str, annotations: dict[str, str], whose: str
) -> None:
    entry = replace(ENTRY, addresses=("208.80.154.230",), export_to=(), created="2026-11-23T04:00:00Z")
    metadata = {"name": name, "namespace": "shop", "creationTimestamp": made, "annotations": annotations}
    service = {"kind": "Service", "metadata": metadata, "spec": {"ports": [{"port": 443}], "clusterIP": "208.80.154.230"}}
    [found] = interference.find_services_inside_blocks(entry, [service])
    assert found.outcome.startswith(f"of two listeners for one address and port a sidecar gets one: that of {whose}")


def test_a_service_elsewhere() -> None:
    assert inside(clusterIP="10.96.0.1") == []
    assert inside(80, clusterIP="208.80.154.230") == []
    assert inside(clusterIP="None", clusterIPs=["None"]) == []
    assert inside(clusterIPs=["2620:0:860::1"]) == []
    assert inside(clusterIP="208.80.154.230", ports=[{"port": 443, "protocol": "UDP"}]) == []
    assert inside(entry=replace(ENTRY, addresses=("0.0.0.0/0",)), clusterIP="10.96.0.1") == []


# Whatever the objects

FIELDS = """hosts egress tcp tls http route match destination host trafficPolicy mode ports port number clusterIP clusterIPs
    exportTo gateways portLevelSettings"""
ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["*", ".", "mesh", "wikipedia.org", "./wikipedia.org", "~/*"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS.split()),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(st.builds(an_object, st.just("Odd"), ODD))
def test_what_is_not_understood_is_passed_over(manifest: Manifest) -> None:
    found = [
        *interference.find_hiding_sidecars(ENTRY, [manifest], "default", "istio-system"),
        *interference.find_rerouting_virtual_services(ENTRY, [manifest], "default"),
        *interference.find_wrapping_destination_rules(ENTRY, [manifest], "default"),
        *interference.find_services_inside_blocks(ENTRY, [manifest]),
    ]
    assert {each.rule for each in found} <= RULES.keys()
