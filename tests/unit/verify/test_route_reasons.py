"""Routes and Sidecar listeners that keep a connection from an entry: only where they do are they named."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from egressctl.envoy.config import BLACKHOLE
from egressctl.model.cause import CauseCode
from egressctl.model.entry import Manifest, MeshObjects, Port, ServiceEntry
from egressctl.model.evidence import Capture, CurlOutcome, Evidence, Owner, Ownership, Source, Walk
from egressctl.model.probe import Probe, Verdict
from egressctl.verify.causes import Case
from egressctl.verify.route_reasons import own_port_cause, rerouted_cause, server_name_cause
from egressctl.verify.verdict import judge
from entries import entry

IP = "208.80.154.224"
WILD = entry(
    name="wild", namespace="default", hosts=("*.wikipedia.org",), addresses=(), ports=(Port(443, "TLS", "tls"),), export_to=()
)
TO_NOWHERE = Evidence(Capture.CAPTURED, walk=Walk("virtualOutbound", "", BLACKHOLE), policy="REGISTRY_ONLY")
REFUSED = CurlOutcome(35, "Connection reset by peer", 0, IP, 443, "10.244.0.5", 40000, seconds={"connect": 0.01})
SOURCE = Source("default", "sleep", "sleep", "istio-proxy", labels={"app": "sleep"})


def an_object(kind: str, name: str = "little", **spec: Any) -> Manifest:
    return {"kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def a_case(*objects: Manifest, url: str = "https://www.wikipedia.org", evidence: Evidence = TO_NOWHERE) -> Case:
    def of(kind: str) -> tuple[Manifest, ...]:
        return tuple(each for each in objects if each["kind"] == kind)

    around = MeshObjects(
        entries=(WILD,), sidecars=of("Sidecar"), virtual_services=of("VirtualService"), gateway_routes=of("TLSRoute")
    )
    return Case(Probe("p", url), SOURCE, REFUSED, evidence, WILD.name, WILD, around)


# Listeners of a Sidecar


def listener(*hosts: str, port: int = 0, protocol: str = "", **more: str) -> dict[str, Any]:
    return {"hosts": list(hosts), **({"port": {"number": port, "protocol": protocol}} if port else {}), **more}


@pytest.mark.parametrize(
    ("listeners", "said"),
    [
        ([listener("./*", port=8443)], "has egress listeners for port 8443 only"),
        ([listener("./*", port=80), listener("./*", port=8443)], "has egress listeners for ports 80, 8443 only"),
        (
            [listener("./outside.example", port=443), listener("./*")],
            "has an egress listener of its own for port 443, which imports ./outside.example",
        ),
        ([listener("./*", port=443)], ""),
        ([listener("./*", port=443, protocol="TLS")], ""),
        ([listener("./*", port=443, protocol="HTTP")], "which declares it HTTP, and the probe speaks TLS"),
        ([listener("./*", port=443, captureMode="NONE")], "which takes only what goes to 127.0.0.1, and not what is redirected"),
        ([listener("./*", port=443, bind="127.0.0.2")], "which takes only what goes to 127.0.0.2"),
        ([listener("./*", port=443, bind=IP)], ""),
        ([listener("./outside.example", port=443), listener("./*.wikipedia.org", port=443)], ""),
        ([listener("./*", port=80), listener("./*")], ""),
        ([listener("istio-system/*")], ""),
        ([], ""),
    ],
)
def test_the_port_of_a_listener(listeners: list[dict[str, Any]], said: str) -> None:
    found = own_port_cause(a_case(an_object("Sidecar", egress=listeners)), WILD)
    assert (found.code if found else "", said in (found.message if found else "")) == (
        CauseCode.HIDDEN_BY_SIDECAR if said else "",
        True,
    )


def test_a_listener_of_a_port_hides_nothing_of_what_the_sidecar_sends() -> None:
    sent = replace(TO_NOWHERE, walk=Walk("0.0.0.0_443", "", "outbound|443||*.wikipedia.org"))
    assert own_port_cause(a_case(an_object("Sidecar", egress=[listener("./*", port=8443)]), evidence=sent), WILD) is None


# Server names of routes


def virtual_service(host: str = "en.wikipedia.org", sni: str = "en.wikipedia.org", **match: Any) -> Manifest:
    rule = {"match": [{"port": 443, "sniHosts": [sni], **match}], "route": [{"destination": {"host": sni}}]}
    return an_object("VirtualService", "en", hosts=[host], tls=[rule])


def tls_route(port: int = 443, **parent: Any) -> Manifest:
    named = {"group": "networking.istio.io", "kind": "ServiceEntry", "name": "wild", "port": port, **parent}
    return an_object("TLSRoute", "en", parentRefs=[named], hostnames=["en.wikipedia.org"])


@pytest.mark.parametrize(
    ("route", "named"),
    [
        (virtual_service(), "VirtualService default/en"),
        (virtual_service("*.wikipedia.org"), "VirtualService default/en"),
        (virtual_service(sourceLabels={"app": "sleep"}), "VirtualService default/en"),
        (virtual_service("*.wikipedia.org", "www.wikipedia.org"), ""),
        (virtual_service("other.example", "other.example"), ""),
        (virtual_service(port=8443), ""),
        (virtual_service(gateways=["egress"]), ""),
        (virtual_service(sourceLabels={"app": "web"}), ""),
        (virtual_service(sourceNamespace="shop"), ""),
        (tls_route(), "TLSRoute default/en"),
        (tls_route(8443), ""),
        (tls_route(name="other"), ""),
    ],
)
def test_a_route_for_other_server_names(route: Manifest, named: str) -> None:
    found = server_name_cause(a_case(route), WILD)
    said = "has no route for the server name www.wikipedia.org on port 443: it has those for en.wikipedia.org"
    assert (found is not None) is bool(named)
    assert found is None or f"{named} {said}" in found.message


def test_a_route_for_server_names_is_nothing_to_plain_http() -> None:
    assert server_name_cause(a_case(virtual_service(), url="http://www.wikipedia.org:443"), WILD) is None


# Routes to another host


@pytest.mark.parametrize(
    ("hosts", "envoy_cluster", "blamed"),
    [
        (["www.wikipedia.org"], "outbound|443||other.example", True),
        (["*.wikipedia.org"], "outbound|443||other.example", True),
        (["other.example"], "outbound|443||other.example", False),
        (["www.wikipedia.org"], "outbound|443||*.wikipedia.org", False),
    ],
)
def test_a_route_of_the_host_is_to_blame_for_another_hosts_envoy_cluster(
    hosts: list[str], envoy_cluster: str, blamed: bool
) -> None:
    walk = Walk("0.0.0.0_443", "", envoy_cluster, virtual_service="default/little")
    case = a_case(an_object("VirtualService", hosts=hosts), evidence=replace(TO_NOWHERE, walk=walk))
    assert (rerouted_cause(case) is not None) is blamed


# A proxy that was refused


def through_proxy(evidence: Evidence, entry_: ServiceEntry | None) -> Case:
    outcome = replace(REFUSED, curl_exit=56, remote_ip="203.0.113.10", remote_port=3128, proxied=True)
    name = entry_.name if entry_ else ""
    return Case(Probe("p", "https://www.wikipedia.org"), SOURCE, outcome, evidence, name, entry_, MeshObjects(entries=(WILD,)))


@pytest.mark.parametrize("entry_", [WILD, None])
def test_a_proxy_that_the_mesh_refuses(entry_: ServiceEntry | None) -> None:
    found = judge(through_proxy(TO_NOWHERE, entry_))
    assert found.cause is not None
    assert (found.verdict, found.cause.code) == (Verdict.BLOCKED, CauseCode.BLACKHOLE)
    assert "sent curl to the proxy 203.0.113.10:3128, not to www.wikipedia.org:443" in found.cause.message
    assert "no ServiceEntry lists 203.0.113.10:3128" in found.cause.message
    assert "203.0.113.10" in found.cause.hint


@pytest.mark.parametrize(
    "evidence",
    [
        replace(TO_NOWHERE, capture=Capture.UNKNOWN),
        replace(TO_NOWHERE, capture=Capture.NOT_CAPTURED),
        replace(TO_NOWHERE, walk=Walk("virtualOutbound", "", None, unknown="it is not understood")),
        replace(TO_NOWHERE, walk=Walk("0.0.0.0_3128", "", "outbound|3128||proxy.example"), owner=Owner(Ownership.UNKNOWN, "")),
    ],
)
def test_a_proxy_of_which_that_is_not_known_is_none_that_the_mesh_refused(evidence: Evidence) -> None:
    found = judge(through_proxy(evidence, WILD))
    assert found.cause is not None
    assert (found.verdict, found.cause.code) == (Verdict.FAILED, CauseCode.NOT_CAPTURED)
