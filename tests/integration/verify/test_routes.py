"""Routes, TLS and Sidecar listeners that keep a connection from its entry, or spoil it, on a mesh that a real istiod feeds.

Each situation is asked by its entry's name and by the URL alone. Those that begin with a number are cases from the field.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from cli import Cli, Odd, put_right, with_environment
from egressctl.kube.config import ConnectOptions, connect
from egressctl.mesh.client import Mesh
from egressctl.mesh.sidecar import Sidecar
from egressctl.mesh.source_pod import ANY_SOURCE, find_source
from egressctl.model.probe import Expectation
from egressctl.model.result import ProbeResult
from egressctl.runtime.progress import SilentProgress
from egressctl.verify.select import VerifyTarget, verify_target_from_urls
from egressctl.verify.targets_by_name import probe_of_host
from egressctl.verify.verify import ProbeOptions, verify
from labs import Lab, eventually

PLACES = ("istiod",)
ISTIO, GATEWAY = "networking.istio.io/v1", "gateway.networking.k8s.io/v1"
PLURALS = {
    "ServiceEntry": "serviceentries",
    "Sidecar": "sidecars",
    "VirtualService": "virtualservices",
    "DestinationRule": "destinationrules",
    "WorkloadEntry": "workloadentries",
    "HTTPRoute": "httproutes",
    "TLSRoute": "tlsroutes",
    "BackendTLSPolicy": "backendtlspolicies",
}
WWW, EN, OUTSIDE = "www.wikipedia.org", "en.wikipedia.org", "outside.example"
HTTP_80, HTTPS_443, TLS_443 = (80, "HTTP"), (443, "HTTPS"), (443, "TLS")
OPEN: tuple[str, str, tuple[str, ...]] = ("open", "", ())

Manifest = dict[str, Any]


def an_object(kind: str, name: str = "wiki", version: str = ISTIO, **spec: Any) -> Manifest:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def an_entry(*ports: tuple[int, str] | tuple[int, str, int], name: str = "wiki", host: str = WWW, **spec: Any) -> Manifest:
    """Return a ServiceEntry, by DNS unless `spec` says otherwise; a port's third number is its targetPort."""
    listed = [
        {"number": number, "name": f"port-{number}", "protocol": protocol, **({"targetPort": target[0]} if target else {})}
        for number, protocol, *target in ports
    ]
    return an_object("ServiceEntry", name, hosts=[host], ports=listed, **{"resolution": "DNS", "exportTo": ["."], **spec})


def to(host: str, port: int) -> list[Manifest]:
    return [{"destination": {"host": host, "port": {"number": port}}}]


def a_rule(**policy: Any) -> Manifest:
    return an_object("DestinationRule", host=WWW, trafficPolicy=policy)


SIMPLE = {"mode": "SIMPLE"}
FROM_80_TO_443 = an_object("VirtualService", hosts=[WWW], http=[{"match": [{"port": 80}], "route": to(WWW, 443)}])


def parent(port: int) -> Manifest:
    return {"group": "networking.istio.io", "kind": "ServiceEntry", "name": "wiki", "port": port}


def backend(host: str, port: int, kind: str = "Hostname") -> Manifest:
    return {"group": "networking.istio.io", "kind": kind, "name": host, "port": port}


def a_route(kind: str, port: int, **spec: Any) -> Manifest:
    return an_object(kind, "detour", GATEWAY, parentRefs=[parent(port)], **spec)


def listener(*hosts: str, port: tuple[int, str] | None = None, **more: str) -> Manifest:
    return {"hosts": list(hosts), **({"port": {"number": port[0], "name": "own", "protocol": port[1]}} if port else {}), **more}


@dataclass(frozen=True)
class Situation:
    """What there is, the URL that is asked, and what is said of it: verdict, cause, and words of its sentence or next command.

    `without` are the kinds of those objects without which it is open: a cause that names an object is right where that is so.
    """

    name: str
    objects: tuple[Manifest, ...]
    url: str
    says: tuple[str, str, tuple[str, ...]]
    without: tuple[str, ...] = ()
    target: str = "wiki"
    of_url: tuple[str, str, tuple[str, ...]] | None = None
    """What is said of the URL alone, where that is another."""


SITUATIONS = [
    # Routes that a request does not have
    Situation(
        "24: no route for the path",
        (
            an_entry(HTTP_80),
            an_object(
                "VirtualService",
                hosts=[WWW],
                http=[{"match": [{"uri": {"prefix": "/api/"}}], "timeout": "3s", "route": to(WWW, 80)}],
            ),
        ),
        f"http://{WWW}",
        (
            "blocked",
            "rerouted",
            ("VirtualService default/wiki has no route for the path / on port 80", "get virtualservice -n default wiki"),
        ),
        without=("VirtualService",),
    ),
    Situation(
        "no route for the method",
        (
            an_entry(HTTP_80),
            an_object("VirtualService", hosts=[WWW], http=[{"match": [{"method": {"exact": "POST"}}], "route": to(WWW, 80)}]),
        ),
        f"http://{WWW}",
        ("blocked", "rerouted", ("has no route for the path / on port 80",)),
        without=("VirtualService",),
    ),
    Situation(
        "a route for a port that no entry declares",
        (an_entry(HTTP_80), an_object("VirtualService", hosts=[WWW], http=[{"match": [{"port": 8080}], "route": to(WWW, 80)}])),
        f"http://{WWW}",
        OPEN,  # istiod makes nothing of it, and leaves the entry's own route
    ),
    Situation(
        "a route to a port that no entry declares",
        (an_entry(HTTP_80), an_object("VirtualService", hosts=[WWW], http=[{"route": to(WWW, 8444)}])),
        f"http://{WWW}",
        ("blocked", "rerouted", ("no ServiceEntry or Service that reaches it has the host www.wikipedia.org with port 8444",)),
        without=("VirtualService",),
    ),
    Situation(
        "a route to a subset that no rule defines",
        (
            an_entry(HTTP_80),
            an_object(
                "VirtualService",
                hosts=[WWW],
                http=[{"route": [{"destination": {"host": WWW, "subset": "v1", "port": {"number": 80}}}]}],
            ),
        ),
        f"http://{WWW}",
        ("blocked", "rerouted", ("nothing that reaches it defines subset v1 of www.wikipedia.org for port 80",)),
        without=("VirtualService",),
    ),
    Situation(
        "a route that asks for another host",
        (
            an_entry(HTTP_80),
            an_object("VirtualService", hosts=[WWW], http=[{"rewrite": {"authority": EN}, "route": to(WWW, 80)}]),
        ),
        f"http://{WWW}",
        ("bypassed", "rerouted", ("VirtualService default/wiki asks the server for the host en.wikipedia.org",)),
        without=("VirtualService",),
    ),
    Situation(
        "a route that asks for the host itself",
        (
            an_entry(HTTP_80),
            an_object("VirtualService", hosts=[WWW], http=[{"rewrite": {"authority": WWW}, "route": to(WWW, 80)}]),
        ),
        f"http://{WWW}",
        OPEN,
    ),
    Situation(
        "TLS routes for another server name",
        (
            an_entry(TLS_443, host="*.wikipedia.org", resolution="NONE"),
            an_object(
                "VirtualService",
                hosts=[EN],
                tls=[{"match": [{"port": 443, "sniHosts": [EN]}], "route": to("*.wikipedia.org", 443)}],
            ),
        ),
        f"https://{WWW}",
        ("blocked", "rerouted", ("VirtualService default/wiki has no route for the server name www.wikipedia.org on port 443",)),
        without=("VirtualService",),
    ),
    # TLS that the sidecar adds
    Situation(
        "05a: TLS by a route and a rule",
        (an_entry(HTTP_80, HTTPS_443), FROM_80_TO_443, a_rule(portLevelSettings=[{"port": {"number": 443}, "tls": SIMPLE}])),
        f"http://{WWW}",
        OPEN,
    ),
    Situation(
        "05b: TLS by targetPort and a rule",
        (an_entry((80, "HTTP", 443), HTTPS_443), a_rule(portLevelSettings=[{"port": {"number": 80}, "tls": SIMPLE}])),
        f"http://{WWW}",
        OPEN,
    ),
    Situation(
        "a route to the port of another entry of the host",
        (
            an_entry(HTTP_80),
            an_entry(HTTPS_443, name="tls"),
            FROM_80_TO_443,
            a_rule(portLevelSettings=[{"port": {"number": 443}, "tls": SIMPLE}]),
        ),
        f"http://{WWW}",
        ("bypassed", "rerouted", ("VirtualService default/wiki sends",)),
        without=("VirtualService",),
        of_url=OPEN,
    ),
    Situation(
        "04: a rule adds TLS where the server speaks plain text",
        (an_entry(HTTPS_443, HTTP_80), a_rule(tls=SIMPLE)),
        f"http://{WWW}",
        (
            "failed",
            "rerouted",
            ("DestinationRule default/wiki adds TLS", "port 80 of the server", "kubectl get destinationrule -n default wiki"),
        ),
        without=("DestinationRule",),
    ),
    Situation(
        "a rule adds TLS to TLS",
        (an_entry(HTTPS_443), a_rule(tls=SIMPLE)),
        f"https://{WWW}",
        ("failed", "rerouted", ("DestinationRule default/wiki adds TLS", "the probe speaks TLS already")),
        without=("DestinationRule",),
    ),
    Situation(
        "a route leads plain HTTP to TLS",
        (an_entry(HTTP_80, HTTPS_443), FROM_80_TO_443),
        f"http://{WWW}",
        ("failed", "rerouted", ("VirtualService default/wiki sends plain HTTP to port 443", "no DestinationRule adds TLS")),
        without=("VirtualService",),
    ),
    Situation(
        "a targetPort leads plain HTTP to TLS",
        (an_entry((80, "HTTP", 443), HTTPS_443),),
        f"http://{WWW}",
        ("failed", "protocol-mismatch", ("default/wiki has a targetPort, by which port 80 leads as plain HTTP to port 443",)),
    ),
    Situation(
        "a targetPort leads TLS to plain HTTP",
        (an_entry((443, "TLS", 80)),),
        f"https://{WWW}",
        ("failed", "protocol-mismatch", ("default/wiki has a targetPort, by which port 443 leads as TLS to port 80",)),
    ),
    Situation(
        "a route leads TLS to plain HTTP",
        (
            an_entry(TLS_443, HTTP_80),
            an_object("VirtualService", hosts=[WWW], tls=[{"match": [{"port": 443, "sniHosts": [WWW]}], "route": to(WWW, 80)}]),
        ),
        f"https://{WWW}",
        ("failed", "rerouted", ("VirtualService default/wiki sends TLS to port 80 of the server",)),
        without=("VirtualService",),
    ),
    Situation(
        "TLS by a route to a subset",
        (
            an_entry(HTTP_80, HTTPS_443),
            an_object(
                "VirtualService",
                hosts=[WWW],
                http=[
                    {
                        "match": [{"port": 80}],
                        "route": [{"destination": {"host": WWW, "subset": "tls", "port": {"number": 443}}}],
                    }
                ],
            ),
            an_object(
                "DestinationRule",
                host=WWW,
                subsets=[{"name": "tls", "trafficPolicy": {"portLevelSettings": [{"port": {"number": 443}, "tls": SIMPLE}]}}],
            ),
        ),
        f"http://{WWW}",
        OPEN,
    ),
    # The Gateway API
    Situation(
        "an HTTPRoute without a route for the path",
        (
            an_entry(HTTP_80),
            a_route(
                "HTTPRoute",
                80,
                rules=[{"matches": [{"path": {"type": "PathPrefix", "value": "/api"}}], "backendRefs": [backend(WWW, 80)]}],
            ),
        ),
        f"http://{WWW}",
        (
            "blocked",
            "rerouted",
            ("HTTPRoute default/detour has no route for the path /", "kubectl get httproute -n default detour"),
        ),
        without=("HTTPRoute",),
    ),
    Situation(
        "an HTTPRoute to a backend that istiod does not know",
        (an_entry(HTTP_80), a_route("HTTPRoute", 80, rules=[{"backendRefs": [backend("wiki", 80, "ServiceEntry")]}])),
        f"http://{WWW}",
        ("blocked", "rerouted", ("HTTPRoute default/detour sends", "istiod knows no backend that it names")),
        without=("HTTPRoute",),
    ),
    Situation(
        "a TLSRoute to another host",
        (
            an_entry(TLS_443),
            an_entry(TLS_443, name="outside", host=OUTSIDE),
            a_route("TLSRoute", 443, hostnames=[WWW], rules=[{"backendRefs": [backend(OUTSIDE, 443)]}]),
        ),
        f"https://{WWW}",
        ("bypassed", "rerouted", ("TLSRoute default/detour sends", "kubectl get tlsroute -n default detour")),
        without=("TLSRoute",),
    ),
    Situation(
        "a TLSRoute for another server name",
        (
            an_entry(TLS_443, host="*.wikipedia.org", resolution="NONE"),
            a_route("TLSRoute", 443, hostnames=[EN], rules=[{"backendRefs": [backend("*.wikipedia.org", 443)]}]),
        ),
        f"https://{WWW}",
        ("blocked", "rerouted", ("TLSRoute default/detour has no route for the server name www.wikipedia.org",)),
        without=("TLSRoute",),
    ),
    Situation(
        "an HTTPRoute that answers by itself",
        (
            an_entry(HTTP_80),
            a_route(
                "HTTPRoute",
                80,
                rules=[{"filters": [{"type": "RequestRedirect", "requestRedirect": {"scheme": "https", "statusCode": 301}}]}],
            ),
        ),
        f"http://{WWW}",
        ("blocked", "rerouted", ("HTTPRoute default/detour sends", "an answer from the sidecar itself, HTTP 301")),
        without=("HTTPRoute",),
    ),
    Situation(
        "TLS by an HTTPRoute and a BackendTLSPolicy",
        (
            an_entry(HTTP_80, HTTPS_443),
            a_route("HTTPRoute", 80, rules=[{"backendRefs": [backend(WWW, 443)]}]),
            an_object(
                "BackendTLSPolicy",
                "upgrade",
                GATEWAY,
                targetRefs=[{"group": "networking.istio.io", "kind": "ServiceEntry", "name": "wiki", "sectionName": "port-443"}],
                validation={"hostname": WWW, "wellKnownCACertificates": "System"},
            ),
        ),
        f"http://{WWW}",
        OPEN,
    ),
    Situation(
        "a BackendTLSPolicy where the server speaks plain text",
        (
            an_entry(HTTP_80),
            an_object(
                "BackendTLSPolicy",
                "upgrade",
                GATEWAY,
                targetRefs=[{"group": "networking.istio.io", "kind": "ServiceEntry", "name": "wiki"}],
                validation={"hostname": WWW, "wellKnownCACertificates": "System"},
            ),
        ),
        f"http://{WWW}",
        ("failed", "rerouted", ("BackendTLSPolicy default/upgrade adds TLS", "get backendtlspolicy -n default upgrade")),
        without=("BackendTLSPolicy",),
    ),
    # Workloads, and listeners of a Sidecar
    Situation(
        "16: a workloadSelector that takes a WorkloadEntry",
        (
            an_entry(
                TLS_443,
                location="MESH_EXTERNAL",
                resolution="STATIC",
                workloadSelector={"labels": {"app": "legacy"}},
            ),
            an_object("WorkloadEntry", "vm1", address="203.0.113.10", labels={"app": "legacy"}),
        ),
        f"https://{WWW}",
        OPEN,
    ),
    Situation(
        "16: a workloadSelector that takes none",
        (
            an_entry(
                (80, "HTTP", 8080),
                location="MESH_EXTERNAL",
                resolution="STATIC",
                workloadSelector={"labels": {"app": "legacy"}},
            ),
        ),
        f"http://{WWW}",
        ("blocked", "no-endpoints", ("wiki takes no WorkloadEntry and no pod", "kubectl get workloadentries")),
    ),
    Situation(
        "a Sidecar with a listener for another port",
        (an_entry(TLS_443), an_object("Sidecar", "ports", egress=[listener("./*", port=(8443, "TLS"))])),
        f"https://{WWW}",
        ("blocked", "hidden-by-sidecar", ("Sidecar default/ports has egress listeners for port 8443 only",)),
        without=("Sidecar",),
    ),
    Situation(
        "a Sidecar with a listener of the port's own for other hosts",
        (
            an_entry(TLS_443),
            an_entry(TLS_443, name="outside", host=OUTSIDE),
            an_object("Sidecar", "ports", egress=[listener(f"./{OUTSIDE}", port=TLS_443), listener("./*")]),
        ),
        f"https://{WWW}",
        (
            "blocked",
            "hidden-by-sidecar",
            ("Sidecar default/ports has an egress listener of its own for port 443, which imports ./outside.example",),
        ),
        without=("Sidecar",),
    ),
    Situation(
        "a Sidecar with a listener of the port's own",
        (
            an_entry(TLS_443, HTTP_80),
            an_object("Sidecar", "ports", egress=[listener("./*", port=TLS_443), listener("istio-system/*")]),
        ),
        f"https://{WWW}",
        OPEN,
    ),
    Situation(
        "a Sidecar with a listener of the port's own that takes no redirected connection",
        (an_entry(TLS_443), an_object("Sidecar", "ports", egress=[listener("./*", port=TLS_443, captureMode="NONE")])),
        f"https://{WWW}",
        ("blocked", "hidden-by-sidecar", ("of its own for port 443, which takes only what goes to 127.0.0.1",)),
        without=("Sidecar",),
    ),
    Situation(
        "a Sidecar with a listener of the port's own and another protocol",
        (an_entry(TLS_443), an_object("Sidecar", "ports", egress=[listener("./*", port=(443, "HTTP"))])),
        f"https://{WWW}",
        ("blocked", "hidden-by-sidecar", ("of its own for port 443, which declares it HTTP, and the probe speaks TLS",)),
        without=("Sidecar",),
    ),
    Situation(
        "a Sidecar with a listener that takes the port as TCP",
        (an_entry(TLS_443), an_object("Sidecar", "ports", egress=[listener("./*", port=(443, "TCP"))])),
        f"https://{WWW}",
        OPEN,
    ),
    Situation(
        "a Sidecar with a listener at the server's address",
        (an_entry(TLS_443), an_object("Sidecar", "ports", egress=[listener("./*", port=TLS_443, bind="208.80.154.224")])),
        f"https://{WWW}",
        OPEN,
    ),
]


def path_of(manifest: Manifest) -> str:
    return f"/apis/{manifest['apiVersion']}/namespaces/default/{PLURALS[manifest['kind']]}"


def create(lab: Lab, manifest: Mapping[str, Any]) -> None:
    status, answer = lab.api("POST", path_of(dict(manifest)), manifest)
    assert status == 201, answer


def delete(lab: Lab, manifest: Manifest) -> None:
    status, answer = lab.api("DELETE", f"{path_of(manifest)}/{manifest['metadata']['name']}")
    assert status in (200, 404), answer


def ask(lab: Lab, url: str, target: str = "") -> ProbeResult:
    """Ask an entry, or the URL alone, from the lab's pod, content with any status."""
    mesh = Mesh(connect(ConnectOptions(kubeconfig=str(lab.kubeconfig))))
    probe = replace(probe_of_host(url), expect=Expectation(status=None))
    manifest = mesh.entry("default", target) if target else None
    wanted = (
        VerifyTarget(target, "default", target, manifest, (probe,)) if target else verify_target_from_urls((probe,), "default")
    )
    source = find_source(mesh.api, "default", ANY_SOURCE)
    [found] = verify(mesh, Sidecar(mesh.api, source), [wanted], ProbeOptions(), SilentProgress())
    [result] = found.probes
    return result


def comes(lab: Lab, url: str, target: str, says: tuple[str, str, tuple[str, ...]]) -> None:
    verdict, code, words = says
    seen: list[str] = []

    def holds() -> bool:
        found = ask(lab, url, target)
        cause = found.cause
        told = f"{cause.message}\n{cause.hint}" if cause else ""
        seen.append(f"{found.verdict}: {cause}")
        return (str(found.verdict), str(cause.code) if cause else "") == (verdict, code) and all(each in told for each in words)

    assert eventually(holds), seen[-1]


@pytest.fixture
def mesh(lab: Lab) -> Iterator[Lab]:
    yield lab
    for version, kind in ((GATEWAY, "HTTPRoute"), (GATEWAY, "TLSRoute"), (GATEWAY, "BackendTLSPolicy"), (ISTIO, "WorkloadEntry")):
        _, found = lab.api("GET", f"/apis/{version}/namespaces/default/{PLURALS[kind]}")
        for each in found["items"]:
            delete(lab, {"apiVersion": version, "kind": kind, **each})
    put_right(lab)


@pytest.mark.parametrize("situation", SITUATIONS, ids=[each.name for each in SITUATIONS])
def test_what_is_said(mesh: Lab, situation: Situation) -> None:
    for manifest in situation.objects:
        create(mesh, manifest)
    comes(mesh, situation.url, situation.target, situation.says)
    comes(mesh, situation.url, "", situation.of_url or situation.says)
    blamed = [each for each in situation.objects if each["kind"] in situation.without]
    for manifest in blamed:
        delete(mesh, manifest)
    if blamed:
        comes(mesh, situation.url, situation.target, OPEN)


def test_of_two_entries_of_a_host_the_one_that_sent_it_is_named(mesh: Lab) -> None:
    create(mesh, an_entry(TLS_443, name="first"))
    comes(mesh, f"https://{WWW}", "first", OPEN)
    time.sleep(1.1)  # of two of one second chance decides
    create(mesh, an_entry(TLS_443, name="second"))
    comes(mesh, f"https://{WWW}", "second", ("bypassed", "rival-entry", ("ServiceEntry default/first takes the traffic",)))
    comes(mesh, f"https://{WWW}", "", OPEN)


def test_another_entry_of_the_host_sent_it_by_an_address_that_this_one_does_not_list(mesh: Lab) -> None:
    for name, block in (("first", "208.80.154.224/27"), ("second", "203.0.113.0/24")):
        create(mesh, an_entry((443, "TCP"), name=name, addresses=[block], resolution="NONE"))
    comes(mesh, f"https://{WWW}", "second", ("bypassed", "rival-entry", ("ServiceEntry default/first",)))


@pytest.mark.parametrize(
    ("variable", "url"),
    [("https_proxy", f"https://{WWW}"), ("http_proxy", f"http://{WWW}"), ("all_proxy", f"https://{WWW}")],
)
def test_a_proxy_that_the_mesh_refuses_is_what_was_refused(cli: Cli, odd: Odd, variable: str, url: str) -> None:
    kubeconfig = odd(with_environment(**{variable: "http://203.0.113.10:3128"}))
    for target in ((), ("wikipedia",)):
        ran = cli.at(kubeconfig)("verify", *target, "--probe", url, "-o", "json")
        assert (ran.code, ran.judged) == (1, [("blocked", "blackhole")])
        cause = ran.probes[0]["cause"]
        assert f"sent curl to the proxy 203.0.113.10:3128, not to {WWW}" in cause["message"]
        assert "no ServiceEntry lists 203.0.113.10:3128" in cause["message"]
        assert "203.0.113.10" in cause["hint"]
