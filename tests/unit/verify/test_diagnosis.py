"""From a URL that names no entry to the object to blame: which entry is meant, and what keeps it from serving."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from egressctl.envoy.config import BLACKHOLE, PASSTHROUGH
from egressctl.model.cause import Cause
from egressctl.model.entry import Manifest, MeshObjects, Port, ServiceEntry
from egressctl.model.evidence import Capture, CurlOutcome, Evidence, Owner, Ownership, Source, Walk
from egressctl.model.probe import Probe
from egressctl.verify.causes import Case
from egressctl.verify.diagnosis import why_not_ours
from egressctl.verify.verdict import judge
from entries import entry

IP = "208.80.154.224"
SOURCE = Source("default", "sleep", "sleep", "istio-proxy", labels={"app": "sleep"})
REFUSED = CurlOutcome(35, "Connection reset by peer", 0, IP, 443, "10.244.0.5", 40000, seconds={"connect": 0.01})
WIKI = entry(
    name="wiki",
    namespace="default",
    hosts=("www.wikipedia.org",),
    addresses=(),
    ports=(Port(443, "TLS", "tls"),),
    resolution="DNS",
    export_to=(),
)
"""What would serve the URL."""


def to_blackhole(envoy_cluster: str | None = BLACKHOLE, **changes: Any) -> Evidence:
    return Evidence(Capture.CAPTURED, walk=Walk("virtualOutbound", "", envoy_cluster, **changes), policy="REGISTRY_ONLY")


def sidecar(*hosts: str, namespace: str = "default", **spec: Any) -> Manifest:
    return {
        "metadata": {"name": "little", "namespace": namespace},
        "spec": {"egress": [{"hosts": list(hosts)}], **spec},
    }


def blamed(
    *entries: ServiceEntry,
    url: str = "https://www.wikipedia.org",
    evidence: Evidence | None = None,
    source: Source = SOURCE,
    **around: Any,
) -> Cause:
    """Return the cause of a URL that was refused."""
    there = MeshObjects(entries=entries, **{"default_export_to": ("*",), **around})
    outcome = replace(REFUSED, remote_port=Probe("p", url).port)
    return why_not_ours(Case(Probe("p", url), source, outcome, evidence or to_blackhole(), around=there))


def code(*entries: ServiceEntry, **how: Any) -> str:
    return str(blamed(*entries, **how).code)


OTHER_PORT = replace(WIKI, ports=(Port(80, "HTTP", "http"),))


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"ports": (Port(8443, "TLS", "tls"),)}, "port-not-listed"),
        ({"ports": (Port(443, "HTTP", "http"),)}, "protocol-mismatch"),
        ({"ports": (Port(443, "UDP", "udp"),)}, "protocol-mismatch"),
        ({"export_to": ("~",)}, "not-exported"),
        ({"export_to": (".",), "namespace": "other"}, "not-exported"),
        ({"addresses": ("192.0.2.0/24",)}, "address-not-listed"),
        ({"hosts": ("*.wikipedia.org",), "export_to": ("prod",)}, "not-exported"),
        ({"hosts": ("en.wikipedia.org",), "addresses": (f"{IP}/27",)}, "host-not-listed"),
        ({"hosts": ("en.wikipedia.org",), "addresses": ("0.0.0.0/0",)}, "host-not-listed"),
        ({"hosts": ("x.example",), "addresses": (IP,), "ports": (Port(80, "TCP", "tcp"),)}, "port-not-listed"),
        ({"hosts": ("x.example",), "addresses": (IP,), "ports": (Port(443, "TCP", "t"),), "export_to": ("~",)}, "not-exported"),
        ({"hosts": ("x.example",), "addresses": (IP,), "ports": (Port(443, "HTTP", "http"),)}, "protocol-mismatch"),
        ({"hosts": ("x.example",), "addresses": (IP,), "ports": (Port(80, "HTTP", "http"),)}, "port-not-listed"),
        ({"hosts": ("x.example",), "ports": (Port(443, "TCP", "t"),), "resolution": "NONE", "export_to": ("~",)}, "not-exported"),
    ],
)
def test_an_entry_that_could_serve_it_is_blamed(changes: dict[str, Any], cause: str) -> None:
    found = blamed(replace(WIKI, **changes))
    assert str(found.code) == cause
    assert found.hint.startswith(f"kubectl get serviceentry -n {changes.get('namespace', 'default')} wiki ")


@pytest.mark.parametrize(
    "changes",
    [
        {"hosts": ("en.wikipedia.org",)},
        {"hosts": ("www.wikipedia.org.example",)},
        {"hosts": ("x.example",), "addresses": ("192.0.2.0/24",), "ports": (Port(443, "TCP", "tcp"),)},
        {"hosts": ("x.example",), "addresses": ("0.0.0.0/0",), "ports": (Port(80, "TCP", "tcp"),)},
        # it sends all of the port to its own host
        {"hosts": ("x.example",), "ports": (Port(443, "TCP", "tcp"),), "export_to": ("~",)},
    ],
)
def test_an_entry_that_could_not_is_none(changes: dict[str, Any]) -> None:
    assert code(replace(WIKI, **changes)) == "blackhole"


def test_the_host_goes_before_a_wildcard_that_before_the_address_and_that_before_the_port() -> None:
    hidden = replace(WIKI, export_to=("~",))
    wild = replace(hidden, name="wild", hosts=("*.wikipedia.org",))
    tcp = replace(hidden, hosts=("x.example",), ports=(Port(443, "TCP", "tcp"),), resolution="NONE")
    order = [hidden, wild, replace(tcp, name="block", addresses=(f"{IP}/27",)), replace(tcp, name="port")]
    for index, nearest in enumerate(order):
        assert f"default/{nearest.name} is ~" in blamed(*reversed(order[index:])).message


def test_what_one_change_opens_goes_before_what_two_would() -> None:
    wild = replace(WIKI, name="wild", hosts=("*.wikipedia.org",), export_to=("~",))
    elsewhere = replace(WIKI, namespace="other", export_to=("~",))
    assert "default/wild" in blamed(elsewhere, wild, sidecars=(sidecar("./*"),)).message


def test_the_pods_own_namespace_goes_before_another() -> None:
    theirs = replace(WIKI, namespace="another", export_to=("prod",))
    assert code(theirs, OTHER_PORT) == "port-not-listed"
    assert code(OTHER_PORT, theirs) == "port-not-listed"


def test_all_that_keeps_it_is_told_where_it_is_more_than_one_object() -> None:
    found = blamed(replace(WIKI, export_to=("~",)), sidecars=(sidecar("istio-system/*"),))
    assert found.message.startswith("exportTo of default/wiki is ~")
    assert "; besides, Sidecar default/little lets the pod import istio-system/*, so it hides default/wiki" in found.message


def test_an_address_alone_is_no_reason_to_change_several_objects() -> None:
    other = replace(WIKI, hosts=("x.example",), addresses=(IP,), ports=(Port(80, "TCP", "tcp"),), export_to=("~",))
    assert code(other) == "port-not-listed"
    assert code(other, sidecars=(sidecar("istio-system/*"),)) == "blackhole"


def test_a_sidecar_imports_host_by_host() -> None:
    both = replace(WIKI, hosts=("www.wikipedia.org", "en.wikipedia.org"))
    assert code(both, sidecars=(sidecar("./en.wikipedia.org"),)) == "hidden-by-sidecar"
    assert code(both, sidecars=(sidecar("./www.wikipedia.org"),)) == "not-propagated"


def test_an_address_that_istio_gave_is_blamed_only_where_the_sidecar_answers_dns() -> None:
    """Else it is in no filter chain."""
    given = replace(WIKI, allocated=("240.240.0.1",))
    assert code(given, sidecars=(sidecar("istio-system/*"),)) == "hidden-by-sidecar"
    assert code(given) == "not-propagated"
    assert code(given, source=replace(SOURCE, dns_capture=True)) == "address-not-listed"
    asks_itself = replace(to_blackhole(), own_listeners={("240.240.0.1", 443): ()})
    assert code(given, evidence=asks_itself) == "address-not-listed"
    assert code(given, evidence=replace(to_blackhole(), own_listeners={})) == "not-propagated"


def test_of_two_entries_of_a_host_that_chance_orders_the_one_without_the_port_came_first() -> None:
    created: dict[str, Any] = {"created": "2026-11-23T04:00:00Z"}
    mine, other = replace(WIKI, **created), replace(OTHER_PORT, name="first", resolution="NONE", **created)
    evidence = to_blackhole("outbound|443||www.wikipedia.org", absent=True)
    found = blamed(mine, replace(other, export_to=(".",)), evidence=evidence)
    assert "default/first has the same host www.wikipedia.org, comes first, whose exportTo names" in found.message
    found = blamed(replace(mine, name="a"), other, evidence=evidence)
    assert "default/first has the same host www.wikipedia.org, came first (which one does is chance" in found.message


BLOCK = replace(WIKI, name="block", hosts=("en.wikipedia.org",), addresses=(f"{IP}/27",))


@pytest.mark.parametrize(
    ("mine", "other", "cause"),
    [
        ({}, {}, "rival-entry"),
        ({"addresses": (f"{IP}/16",)}, {}, "rival-entry"),
        ({"addresses": ("0.0.0.0/0",)}, {}, "rival-entry"),
        # as long as its own, or not longer than that
        ({"addresses": (f"{IP}/27",)}, {}, "not-propagated"),
        ({"addresses": (IP,)}, {}, "not-propagated"),
        ({}, {"addresses": ("0.0.0.0/0",)}, "host-not-listed"),
        # HTTP has no listener of an address
        ({}, {"addresses": (IP,), "ports": (Port(443, "HTTP", "http"),)}, "not-propagated"),
        # elsewhere, or not in the sidecar
        ({}, {"addresses": ("192.0.2.0/24",)}, "not-propagated"),
        ({}, {"export_to": ("~",)}, "not-propagated"),
        ({}, {"ports": (Port(8443, "TLS", "tls"),)}, "not-propagated"),
    ],
)
def test_a_longer_block_is_looked_at_before_the_server_name(mine: dict[str, Any], other: dict[str, Any], cause: str) -> None:
    found = blamed(replace(WIKI, **mine), replace(BLOCK, **other))
    if cause != "host-not-listed":  # that may be of the other, which lists the address
        named = [each for each in [found] if "default/block lists" in each.message and "never asked" in each.message]
        assert bool(named) is (cause == "rival-entry")
    assert str(found.code) in (cause, "not-propagated" if cause == "host-not-listed" else cause)


def test_http_has_no_block_of_its_own_that_would_be_longer() -> None:
    plain = replace(WIKI, addresses=(IP,), ports=(Port(80, "HTTP", "http"),))
    found = blamed(plain, replace(BLOCK, ports=(Port(80, "TLS", "tls"),)), url="http://www.wikipedia.org")
    assert (str(found.code), "default/block lists" in found.message) == ("rival-entry", True)


@pytest.mark.parametrize(
    ("other", "cause"),
    [
        ({}, "rival-entry"),
        ({"export_to": ("~",)}, "rival-entry"),
        ({"resolution": "NONE"}, "not-propagated"),
        ({"namespace": "other"}, "not-propagated"),
        ({"hosts": ("en.wikipedia.org",)}, "not-propagated"),
        ({"ports": (Port(8443, "TLS", "tls"),)}, "not-propagated"),
    ],
)
def test_an_entry_without_endpoints_is_given_those_of_its_host_in_its_namespace(other: dict[str, Any], cause: str) -> None:
    mine = replace(WIKI, resolution="NONE", created="2026-11-23T04:00:00Z")
    late: dict[str, Any] = {"created": "2026-11-24T04:00:00Z", "export_to": ("~",)}
    found = blamed(mine, replace(mine, name="theirs", **{"resolution": "DNS", **late, **other}))
    assert (str(found.code), "default/theirs has the same host" in found.message) == (cause, cause == "rival-entry")


def test_an_entry_that_the_mesh_shows_to_nobody_is_blamed_on_the_mesh() -> None:
    hidden = replace(WIKI, shown_to="NONE")
    found = blamed(hidden, shown_to={"default": "NONE"})
    assert found.code == "not-exported"
    assert "the mesh's serviceEntryVisibility shows the ServiceEntries of namespace default to no namespace" in found.message
    assert found.hint == "kubectl get configmap -n istio-system istio -o yaml"


def test_a_route_that_leads_to_nothing_goes_before_every_entry() -> None:
    evidence = to_blackhole("outbound|443||nowhere.example", virtual_service="default/detour", absent=True)
    assert code(OTHER_PORT, evidence=evidence) == "rerouted"


def test_what_the_policy_lets_out_is_blamed_alike() -> None:
    let_out = to_blackhole(PASSTHROUGH)
    assert code(evidence=let_out) == "passthrough"
    assert code(OTHER_PORT, evidence=let_out) == "port-not-listed"


# The policy


@pytest.mark.parametrize(
    ("sidecars", "who"),
    [
        ((), "ConfigMap istio-system/istio"),
        ((sidecar("*/*"),), "ConfigMap istio-system/istio"),
        ((sidecar("*/*", outboundTrafficPolicy={"mode": "REGISTRY_ONLY"}),), "Sidecar default/little"),
        ((sidecar("*/*", outboundTrafficPolicy={}),), "Sidecar default/little"),
        ((sidecar("*/*", namespace="istio-system", outboundTrafficPolicy={}),), "Sidecar istio-system/little"),
        (
            (sidecar("*/*", outboundTrafficPolicy={}, workloadSelector={"labels": {"app": "another"}}),),
            "ConfigMap istio-system/istio",
        ),
    ],
)
def test_who_makes_the_policy_is_named(sidecars: tuple[Manifest, ...], who: str) -> None:
    assert f"REGISTRY_ONLY (set by {who}), and" in blamed(sidecars=sidecars).message
    assert f"ALLOW_ANY (set by {who}) let" in blamed(sidecars=sidecars, evidence=to_blackhole(PASSTHROUGH)).message


def test_a_control_plane_of_a_revision_has_a_configuration_of_its_own() -> None:
    case = Case(
        Probe("p", "https://x.example"), replace(SOURCE, revision="canary"), REFUSED, to_blackhole(), around=MeshObjects()
    )
    assert "(set by ConfigMap istio-system/istio-canary)" in why_not_ours(case).message


def test_what_could_not_be_read_is_said() -> None:
    unread = "serviceentries.networking.istio.io of namespaces other than default were not looked at: no right"
    found = blamed(unread=(unread,), reach={"serviceentries": frozenset({"default"}), "sidecars": frozenset({"default"})})
    assert found.message.endswith(f"no ServiceEntry lists {IP}:443 ({unread})")
    assert "set by a Sidecar resource, which could not be looked at, or by ConfigMap istio-system/istio" in found.message
    case = Case(Probe("p", "https://x.example"), SOURCE, REFUSED, to_blackhole())
    assert why_not_ours(case).message.endswith("(the ServiceEntries of the mesh were not looked at)")


# The next command


@pytest.mark.parametrize(
    ("url", "command"),
    [
        ("https://www.wikipedia.org", "egressctl create www.wikipedia.org -n default"),
        ("https://x.example:8443", "egressctl create x.example:8443/TLS -n default"),
        # an address of a target of the catalogue, and one of none
        ("https://208.80.154.224", "egressctl create wikipedia -n default"),
        (
            "https://192.0.2.1",
            "egressctl create host-192-0-2-1 --host host-192-0-2-1.example --address 192.0.2.1 --port 443/TCP -n default",
        ),
    ],
)
def test_it_creates_what_serves_the_url(url: str, command: str) -> None:
    assert blamed(url=url).hint == command


@pytest.mark.parametrize("hosts", [("istio-system/*",), ("./en.wikipedia.org",), ("./*", "~./www.wikipedia.org")])
def test_it_creates_nothing_that_a_sidecar_would_hide(hosts: tuple[str, ...]) -> None:
    assert blamed(sidecars=(sidecar(*hosts),)).hint == (
        "kubectl edit sidecar -n default little, which would hide a new entry: let the hosts of its egress "
        "import ./www.wikipedia.org; then egressctl create www.wikipedia.org -n default"
    )


def test_nor_does_it_for_a_target_by_its_name() -> None:
    around = MeshObjects(sidecars=(sidecar("istio-system/*"),))
    probe = Probe("p", "https://www.wikipedia.org")
    case = Case(probe, SOURCE, REFUSED, to_blackhole(), "wikipedia-ext", around=around)
    found = why_not_ours(case)
    assert str(found.code) == "entry-missing"
    assert found.hint.endswith(
        "let the hosts of its egress import ./www.wikipedia.org; then egressctl create wikipedia -n default"
    )
    assert why_not_ours(replace(case, around=MeshObjects())).hint == "egressctl create wikipedia -n default"


@pytest.mark.parametrize(
    ("walk", "owner", "step"),
    [
        ({"virtual_service": "default/via"}, Owner(Ownership.UNKNOWN, "nobody's"), "kubectl get virtualservice -n default via "),
        ({}, Owner(Ownership.UNKNOWN, "nobody's"), "egressctl explain https://www.wikipedia.org -n default"),
        ({"unknown": "it depends on more"}, None, "egressctl explain https://www.wikipedia.org -n default"),
        ({"unknown": "the sidecar's configuration changed during the probe"}, None, "try again: --retries 2"),
        ({}, Owner(Ownership.OWNED, "default/wiki lists it"), "try again: --retries 2"),
    ],
)
def test_to_try_again_is_said_only_where_that_may_show_more(walk: dict[str, Any], owner: Owner | None, step: str) -> None:
    gateway = "outbound|443||istio-egressgateway.istio-system.svc.cluster.local"
    evidence = Evidence(Capture.CAPTURED, walk=Walk("0.0.0.0_443", "", gateway, **walk), owner=owner, counted=False)
    answer = replace(REFUSED, curl_exit=0, error="", http_status=200)
    found = judge(Case(Probe("p", "https://www.wikipedia.org"), SOURCE, answer, evidence)).cause
    assert found is not None
    assert str(found.code) == "evidence-lost"
    assert found.hint.startswith(step)
