"""What a pod's manifest says of its containers, its sidecar, and of what may keep traffic from it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.mesh.pod_spec import admin_port, bypass_hints, captures_dns, sidecar_container


def a_pod(*, own: dict[str, Any] | None = None, proxy: dict[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    containers = [{"name": "app", **(own or {})}, {"name": "istio-proxy", **(proxy or {})}]
    return {"metadata": {"name": "web", **metadata}, "spec": {"containers": containers}}


def noted(name: str, value: str) -> dict[str, Any]:
    return a_pod(annotations={name: value})


@pytest.mark.parametrize(
    ("pod", "said"),
    [
        (
            noted("traffic.sidecar.istio.io/excludeOutboundIPRanges", "208.80.154.224/27"),
            "annotation traffic.sidecar.istio.io/excludeOutboundIPRanges leaves out 208.80.154.224/27",
        ),
        (
            noted("traffic.sidecar.istio.io/excludeOutboundPorts", "443,8443"),
            "annotation traffic.sidecar.istio.io/excludeOutboundPorts leaves out 443,8443",
        ),
        (
            noted("traffic.sidecar.istio.io/includeOutboundIPRanges", "10.0.0.0/8"),
            "annotation traffic.sidecar.istio.io/includeOutboundIPRanges takes in only 10.0.0.0/8",
        ),
        (
            noted("traffic.sidecar.istio.io/includeOutboundIPRanges", ""),
            "annotation traffic.sidecar.istio.io/includeOutboundIPRanges takes in no address",
        ),
        (noted("sidecar.istio.io/interceptionMode", "NONE"), "annotation sidecar.istio.io/interceptionMode is NONE"),
        (noted("sidecar.istio.io/interceptionMode", "TPROXY"), "annotation sidecar.istio.io/interceptionMode is TPROXY"),
        (
            a_pod(labels={"istio.io/dataplane-mode": "ambient"}),
            "label istio.io/dataplane-mode is ambient, and no annotation says that ztunnel took the pod",
        ),
        (
            a_pod(own={"securityContext": {"runAsUser": 1337}}),
            "container app runs as user 1337, whose traffic does not go through the sidecar",
        ),
        (
            a_pod(own={"securityContext": {"runAsGroup": 1337}}),
            "container app runs as group 1337, whose traffic does not go through the sidecar",
        ),
        (
            a_pod(own={"env": [{"name": "HTTPS_PROXY", "value": "http://user:secret@proxy:3128"}, {"name": "all_proxy"}]}),
            "container app has the proxy variables HTTPS_PROXY, all_proxy",
        ),
        (a_pod(own={"env": [{"name": "Http_Proxy"}]}), "container app has the proxy variable Http_Proxy"),
    ],
)
def test_what_may_keep_traffic_from_the_sidecar_is_said(pod: dict[str, Any], said: str) -> None:
    assert bypass_hints(pod, "app") == (said,)


@pytest.mark.parametrize(
    "pod",
    [
        a_pod(),
        noted("traffic.sidecar.istio.io/excludeOutboundPorts", ""),
        noted("traffic.sidecar.istio.io/includeOutboundIPRanges", "*"),
        noted("traffic.sidecar.istio.io/excludeInboundPorts", "80"),
        noted("sidecar.istio.io/interceptionMode", "REDIRECT"),
        a_pod(proxy={"securityContext": {"runAsUser": 1337}, "env": [{"name": "HTTPS_PROXY"}]}),
        a_pod(own={"securityContext": {"runAsUser": 1000}, "env": [{"name": "NO_PROXY", "value": "*"}]}),
    ],
)
def test_what_keeps_nothing_out_is_not(pod: dict[str, Any]) -> None:
    assert bypass_hints(pod, "app") == ()


def test_the_pods_own_user_holds_unless_the_container_says_another() -> None:
    pod = a_pod(own={"securityContext": {"runAsUser": 1000}})
    pod["spec"]["securityContext"] = {"runAsUser": 1337, "runAsGroup": 1337}
    assert bypass_hints(pod, "app") == ("container app runs as group 1337, whose traffic does not go through the sidecar",)


def test_a_pod_in_the_nodes_network_is_told() -> None:
    pod = a_pod()
    pod["spec"]["hostNetwork"] = True
    assert bypass_hints(pod, "app") == ("the pod is in the node's network (hostNetwork), where no traffic goes to a sidecar",)


def test_a_long_value_is_cut() -> None:
    [hint] = bypass_hints(noted("traffic.sidecar.istio.io/excludeOutboundPorts", "1," * 500), "app")
    assert len(hint) < 200
    assert hint.endswith("...")


@pytest.mark.parametrize(
    ("told", "port"),
    [
        ('{"discoveryAddress":"istiod:15012","proxyAdminPort":15100}', 15100),
        ('{\n  "proxyAdminPort": 15100\n}', 15100),
        ("proxyAdminPort: 15100\nconcurrency: 2\n", 15100),
        ("proxyAdminPort: '15100'", 15100),
        ("proxyAdminPort: 15000", 0),
        ("concurrency: 2", 0),
        ("proxyAdminPort: 99999", 0),
        ("proxyAdminPort: 0", 0),
        ("proxyAdminPort: 151000", 0),
        ("noproxyAdminPort: 15100", 0),
        ("", 0),
    ],
)
def test_the_admin_port_is_where_the_pod_says(told: str, port: int) -> None:
    assert admin_port(noted("proxy.istio.io/config", told), "istio-proxy") == port
    assert admin_port(a_pod(proxy={"env": [{"name": "PROXY_CONFIG", "value": told}]}), "istio-proxy") == port


def test_what_is_in_force_goes_before_the_annotation() -> None:
    pod = a_pod(
        proxy={"env": [{"name": "PROXY_CONFIG", "value": '{"proxyAdminPort":15200}'}]},
        annotations={"proxy.istio.io/config": "proxyAdminPort: 15100"},
    )
    assert admin_port(pod, "istio-proxy") == 15200


def test_a_variable_without_a_value_of_its_own_is_passed_over() -> None:
    pod = a_pod(proxy={"env": [{"name": "PROXY_CONFIG", "valueFrom": {}}]})
    assert admin_port(pod, "istio-proxy") == 0


@pytest.mark.parametrize(("value", "captures"), [("true", True), ("True", True), ("false", False), (None, False)])
def test_whether_the_sidecar_answers_the_pods_dns_stands_in_its_environment(value: str | None, captures: bool) -> None:
    env = [{"name": "ISTIO_META_DNS_CAPTURE", "value": value}] if value else []
    assert captures_dns(a_pod(proxy={"env": env}), "istio-proxy") is captures
    assert captures_dns(a_pod(own={"env": env}), "istio-proxy") is False


@given(st.text())
def test_whatever_stands_in_the_annotations_a_sidecar_by_name_is_found(text: str) -> None:
    pod = a_pod(annotations={"sidecar.istio.io/status": text, "proxy.istio.io/config": text})
    assert sidecar_container(pod) == "istio-proxy"
    assert 0 <= admin_port(pod, "istio-proxy") < 65536
