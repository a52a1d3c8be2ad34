"""From a URL to the object that keeps an entry from serving it, on a mesh that a real istiod feeds.

The first of them are cases from the field; the others are of their kinds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cli import put_right
from egressctl.lab.dataplane.names import ALLOW_ANY, REGISTRY_ONLY
from integration.verify.urls import OTHER, Asker, Manifest, an_entry, an_object, create, second_namespace
from labs import Lab, eventually

PLACES = ("istiod",)
WWW, OUTSIDE = "https://www.wikipedia.org", "https://outside.example"
HTTPS, TLS, TCP, HTTP = (443, "HTTPS"), (443, "TLS"), (443, "TCP"), (80, "HTTP")
BLOCK = "208.80.154.224/27"


def sidecar(*hosts: str, name: str = "registration", namespace: str = "default", **more: Any) -> Manifest:
    return an_object("Sidecar", name, namespace, egress=[{"hosts": list(hosts)}], **more)


def virtual_service(host: str, **spec: Any) -> Manifest:
    return an_object("VirtualService", "wiki", hosts=[host], **spec)


@dataclass(frozen=True)
class Situation:
    """What there is, the URL that is asked, and the cause, with words of its sentence or next command."""

    name: str
    objects: tuple[Manifest, ...]
    url: str
    code: str
    says: tuple[str, ...]
    verdict: str = "blocked"


WIKI = an_entry("wiki", ["www.wikipedia.org"], TLS)
REGISTRATION = sidecar("./*.test.svc.cluster.local", "./outside.example", workloadSelector={"labels": {"app": "sleep"}})
SELECTED = (
    REGISTRATION,
    an_entry("exact", ["outside.example"], TLS, exportTo=["."]),
    an_entry("wild", ["*.wikipedia.org"], TLS, resolution="NONE", exportTo=["."]),
)
NO_ROUTE = {
    "http": [
        {
            "match": [{"uri": {"prefix": "/api/"}}],
            "timeout": "3s",
            "route": [{"destination": {"host": "www.wikipedia.org", "port": {"number": 80}}}],
        }
    ]
}

SITUATIONS = [
    # Those of the field
    Situation(
        "03: HTTP on 443",
        (an_entry("https-breaker", ["www.wikipedia.org"], (443, "HTTP")),),
        WWW,
        "protocol-mismatch",
        ("default/https-breaker names port 443 and declares it HTTP", "the probe speaks TLS"),
    ),
    Situation(
        "10: another port",
        (an_entry("external-auto", ["outside.example"], (8443, "TCP"), exportTo=["."]),),
        OUTSIDE,
        "port-not-listed",
        ("external-auto lists port 8443, but the probe goes to 443",),
    ),
    Situation(
        "15: the hosts of a Sidecar",
        SELECTED,
        WWW,
        "hidden-by-sidecar",
        ("Sidecar default/registration", "it hides default/wild", "kubectl get sidecar -n default registration"),
    ),
    Situation(
        "24: a VirtualService without a route for the path",
        (an_entry("wiki", ["www.wikipedia.org"], HTTP, exportTo=["."]), virtual_service("www.wikipedia.org", **NO_ROUTE)),
        "http://www.wikipedia.org",
        "rerouted",
        ("VirtualService default/wiki has no route for", "kubectl get virtualservice -n default wiki"),
    ),
    Situation(
        "31c: every address, and hosts by name",
        (
            an_entry(
                "external-https", ["www.wikipedia.org", "outside.example"], HTTPS, addresses=["0.0.0.0/0"], resolution="NONE"
            ),
        ),
        "https://en.wikipedia.org",
        "host-not-listed",
        ("external-https lists the host www.wikipedia.org, outside.example", "asks for en.wikipedia.org"),
    ),
    # Their kinds
    Situation(
        "not exported",
        (an_entry("theirs", ["www.wikipedia.org"], TLS, namespace=OTHER, exportTo=["."]),),
        WWW,
        "not-exported",
        ("exportTo of other/theirs is .", "kubectl get serviceentry -n other theirs"),
    ),
    Situation(
        "exported to nobody",
        (an_entry("nobody", ["www.wikipedia.org"], TLS, exportTo=["~"]),),
        WWW,
        "not-exported",
        ("exportTo of default/nobody is ~",),
    ),
    Situation(
        "plain HTTP to TLS",
        (an_entry("wiki", ["www.wikipedia.org"], (80, "TLS")),),
        "http://www.wikipedia.org",
        "protocol-mismatch",
        ("declares it TLS, and the probe speaks plain HTTP",),
    ),
    Situation(
        "the right address, another server name",
        (an_entry("wiki", ["en.wikipedia.org"], TLS, addresses=[BLOCK], resolution="NONE"),),
        WWW,
        "host-not-listed",
        ("wiki lists the host en.wikipedia.org on port 443",),
    ),
    Situation(
        "the right host, another address",
        (an_entry("wiki", ["www.wikipedia.org"], TCP, addresses=["192.0.2.0/24"], resolution="NONE"),),
        WWW,
        "address-not-listed",
        ("208.80.154.224, which is in none of the blocks of ServiceEntry default/wiki (192.0.2.0/24)",),
    ),
    Situation(
        "a listener of the Sidecar for another port",
        (
            WIKI,
            an_object("Sidecar", "ports", egress=[{"port": {"number": 9080, "protocol": "HTTP", "name": "x"}, "hosts": ["./*"]}]),
        ),
        WWW,
        "hidden-by-sidecar",
        ("Sidecar default/ports", "default/wiki"),
    ),
    Situation(
        "an exclusion",
        (WIKI, sidecar("*/*", "~default/*")),
        WWW,
        "hidden-by-sidecar",
        ("Sidecar default/registration", "hides default/wiki"),
    ),
    Situation(
        "one host of the entry is imported, and another one asked",
        (an_entry("wiki", ["www.wikipedia.org", "en.wikipedia.org"], TLS), sidecar("./en.wikipedia.org")),
        WWW,
        "hidden-by-sidecar",
        ("hides default/wiki",),
    ),
    Situation(
        "a route to nowhere",
        (
            an_entry("wiki", ["www.wikipedia.org"], HTTP),
            virtual_service("www.wikipedia.org", http=[{"route": [{"destination": {"host": "nowhere.example"}}]}]),
        ),
        "http://www.wikipedia.org",
        "rerouted",
        ("VirtualService default/wiki sends", "nowhere.example"),
    ),
    Situation(
        "the one of another namespace is nearer than none, and the own one than that",
        (
            an_entry("theirs", ["www.wikipedia.org"], TLS, namespace=OTHER, exportTo=["."]),
            an_entry("ours", ["www.wikipedia.org"], (80, "HTTP")),
        ),
        WWW,
        "port-not-listed",
        ("ours lists port 80, but the probe goes to 443",),
    ),
    Situation(
        "what one change opens goes before what two would",
        (
            an_entry("theirs", ["www.wikipedia.org"], TLS, namespace=OTHER, exportTo=["."]),
            an_entry("wild", ["*.wikipedia.org"], TLS, resolution="NONE"),
            sidecar(f"{OTHER}/*"),
        ),
        WWW,
        "not-exported",
        ("other/theirs",),
    ),
    Situation(
        "two objects in the way are both told",
        (an_entry("theirs", ["www.wikipedia.org"], TLS, namespace=OTHER, exportTo=["."]), sidecar("istio-system/*")),
        WWW,
        "not-exported",
        ("exportTo of other/theirs is .", "besides, Sidecar default/registration lets the pod import istio-system/*"),
    ),
    Situation(
        "a block for another server name, in front of the entry without one",
        (WIKI, an_entry("block", ["en.wikipedia.org"], TLS, addresses=[BLOCK], resolution="NONE", namespace=OTHER)),
        WWW,
        "rival-entry",
        (f"ServiceEntry other/block lists {BLOCK} on port 443 for the server name en.wikipedia.org alone",),
    ),
    Situation(
        "the endpoints of an entry of the same host that the pod does not see",
        (
            an_entry("ours", ["www.wikipedia.org"], TLS, resolution="NONE", namespace=OTHER),
            an_entry("theirs", ["www.wikipedia.org"], TLS, namespace=OTHER, exportTo=["."]),
        ),
        WWW,
        "rival-entry",
        ("ServiceEntry other/theirs has the same host www.wikipedia.org and endpoints for port 443 (DNS)",),
    ),
    Situation(
        "the Envoy cluster of an entry of the same host",
        (
            an_entry("first", ["www.wikipedia.org"], (443, "HTTP"), resolution="NONE", exportTo=["."]),
            an_entry("second", ["www.wikipedia.org"], TCP),
        ),
        WWW,
        "rival-entry",
        ("ServiceEntry default/first",),
        "bypassed",
    ),
    Situation(
        "no entry, and the policy of the mesh",
        (),
        WWW,
        "blackhole",
        ("REGISTRY_ONLY (set by ConfigMap istio-system/istio)", "egressctl create www.wikipedia.org -n default"),
    ),
    Situation(
        "no entry, and the policy of a Sidecar",
        (sidecar("./*", outboundTrafficPolicy={"mode": "REGISTRY_ONLY"}),),
        WWW,
        "blackhole",
        ("REGISTRY_ONLY (set by Sidecar default/registration)", "egressctl create www.wikipedia.org -n default"),
    ),
    Situation(
        "no entry, and a Sidecar that would hide one",
        (sidecar("istio-system/*"),),
        WWW,
        "blackhole",
        (
            "kubectl edit sidecar -n default registration",
            "let the hosts of its egress import ./www.wikipedia.org; then egressctl create www.wikipedia.org -n default",
        ),
    ),
    Situation(
        "let out by a Sidecar",
        (sidecar("./*", outboundTrafficPolicy={"mode": "ALLOW_ANY"}),),
        WWW,
        "passthrough",
        ("ALLOW_ANY (set by Sidecar default/registration)",),
        "bypassed",
    ),
    Situation(
        "hidden by the Sidecar that lets it out",
        (WIKI, sidecar("istio-system/*", outboundTrafficPolicy={"mode": "ALLOW_ANY"})),
        WWW,
        "hidden-by-sidecar",
        ("hides default/wiki",),
        "bypassed",
    ),
]


@pytest.fixture
def asker(lab: Lab) -> Iterator[Asker]:
    second_namespace(lab)
    yield Asker(lab)
    put_right(lab)


@pytest.mark.parametrize("situation", SITUATIONS, ids=[each.name for each in SITUATIONS])
def test_the_object_to_blame(asker: Asker, situation: Situation) -> None:
    for manifest in situation.objects:
        create(asker.lab, manifest)
    seen: list[str] = []

    def holds() -> bool:
        [found] = asker.verify(situation.url)
        cause = found.cause
        seen.append(f"{found.verdict}: {cause}")
        return (
            cause is not None
            and (str(found.verdict), str(cause.code)) == (situation.verdict, situation.code)
            and all(words in f"{cause.message}\n{cause.hint}" for words in situation.says)
        )

    assert eventually(holds), seen[-1]
    [found] = asker.verify(situation.url)
    assert found.cause is not None
    assert "--retries" not in found.cause.hint
    # One situation has one cause, whether a request is sent or not.
    told = asker.explain(situation.url)
    assert told is not None
    assert (told.code, told.hint) == (found.cause.code, found.cause.hint)


def test_the_policy_of_the_mesh_lets_out_what_an_entry_misses_by_its_port(asker: Asker) -> None:
    create(asker.lab, an_entry("wiki", ["www.wikipedia.org"], (80, "HTTP")))
    asker.lab.set_policy(ALLOW_ANY)
    try:
        [found] = asker.verify(WWW)
    finally:
        asker.lab.set_policy(REGISTRY_ONLY)
    assert found.cause is not None
    assert (str(found.verdict), str(found.cause.code)) == ("bypassed", "port-not-listed")
