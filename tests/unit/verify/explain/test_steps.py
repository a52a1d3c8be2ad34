"""The way of a URL, station by station, held against recordings of a real sidecar and what Envoy's access log said."""

from __future__ import annotations

import re
from dataclasses import replace
from ipaddress import ip_address
from typing import Any

import pytest

import recordings
from egressctl.envoy.config import BLACKHOLE, PASSTHROUGH, ProxyConfig
from egressctl.envoy.counts import HostCounts, parse_clusters
from egressctl.envoy.dump import parse_config, parse_envoy_clusters, parse_routes
from egressctl.manifests.service_entry import read_entry
from egressctl.model.cause import CauseCode
from egressctl.model.entry import MeshObjects, ServiceEntry
from egressctl.model.evidence import Source
from egressctl.model.probe import Expectation, Probe
from egressctl.verify.explain.steps import ExplainedPath, explain_path, path_without_address
from egressctl.verify.explain.steps_before_sidecar import ExplainFacts, ResolvedProbe, Step
from sidecars import HTTP_INSPECTOR, chain, host, http_chain, route, sidecar

SOURCE = Source("default", "sleep", "sleep", "istio-proxy")
IP, URL = "208.80.154.224", "https://www.wikipedia.org"
OURS = "outbound|443||wikipedia.org"
DUMPED = [case for case in recordings.cases() if recordings.load(case).config_dump]


def entries_of(case: str) -> list[ServiceEntry]:
    """The ServiceEntries of a recording; it holds no times, and the first object is the older."""
    found = [each for each in recordings.load(case).manifests if each["kind"] == "ServiceEntry"]
    return [replace(read_entry(each), created=f"2026-11-23T04:00:{index:02}Z") for index, each in enumerate(found)]


def around(case: str) -> MeshObjects:
    manifests = recordings.load(case).manifests

    def of(kind: str) -> tuple[dict[str, Any], ...]:
        return tuple(each for each in manifests if each["kind"] == kind)

    return MeshObjects(tuple(entries_of(case)), of("Sidecar"), of("VirtualService"), of("DestinationRule"))


def seen(case: str, **changes: Any) -> ExplainFacts:
    recording = recordings.load(case)
    dump = recording.config_dump or ""
    config = replace(parse_config(dump), envoy_clusters=parse_envoy_clusters(dump), routes=parse_routes(dump))
    counts = parse_clusters(recording.clusters_before)
    return replace(ExplainFacts(SOURCE, config, counts, entries_of(case), around(case)), **changes)


def place(case: str, target: str = "", **changes: Any) -> ResolvedProbe:
    recording = recordings.load(case)
    ip = recording.truth["remote"].rpartition(":")[0]
    entry = next((each for each in entries_of(case) if each.name == target), None)
    return replace(ResolvedProbe(Probe("p", recording.truth["probe"]), ip, "pod default/sleep", "", target, entry), **changes)


def told(case: str, target: str = "", *, at: ResolvedProbe | None = None, **changes: Any) -> ExplainedPath:
    return explain_path(at or place(case, target), seen(case, **changes))


def station(of: ExplainedPath, name: str) -> Step:
    [found] = [each for each in of.stations if each.name == name]
    return found


# Against the truth of the access log


@pytest.mark.parametrize("case", DUMPED)
def test_nothing_that_is_not_there_is_passed(case: str) -> None:
    """A tick never stands next to `none`, and what matched has a name."""
    for step in told(case).stations:
        assert not (step.passed and re.search(r"\bnone\b", step.text)), step
    assert re.match(
        r"(\S*[0-9]\S*(, server name \S+)?|server name \S+|plain HTTP|(default|catch-all)( \(\S+\))?): ",
        station(told(case), "filter chain").text,
    )


@pytest.mark.parametrize("case", DUMPED)
def test_an_answer_of_the_sidecar_is_no_closed_connection_nor_the_reverse(case: str) -> None:
    status, found = recordings.load(case).truth["http_status"], told(case)
    if found.goes_out is False:
        ends = f"the sidecar answers with HTTP {status} by itself" if status else "the sidecar closes the connection"
        assert found.next.startswith(ends)


@pytest.mark.parametrize("case", DUMPED)
def test_what_happens_next_is_what_the_access_log_shows(case: str) -> None:
    truth, found = recordings.load(case).truth["envoy_cluster"], told(case)
    assert found.walk is not None
    assert found.unknown == ""
    if found.walk.choices:
        assert (truth in found.walk.choices, found.goes_out) == (True, None)
    elif truth in (BLACKHOLE, "-"):
        assert found.goes_out is False
        assert "the sidecar closes the connection" in found.next or "by itself" in found.next
    elif truth is None:  # never captured, which only a request that is sent shows
        assert station(found, "capture").passed is None
    else:
        assert (found.walk.envoy_cluster, found.goes_out) == (truth, True)


CARRIERS = {
    "seed": "wikipedia-ext",
    "same-cidr-older-rival": "rival-ext",
    "tls-sni-and-tcp-cidr": "wikipedia-ext",
    "ip-over-cidr": "one-ext",
    "http-80": "wikipedia-http",
    "two-hosts": "two-ext",
    "virtualservice-subset": "wikipedia-ext",
}


@pytest.mark.parametrize("case", CARRIERS)
def test_a_bare_urls_carrier_is_named(case: str) -> None:
    found = told(case)
    assert found.carrier is not None
    assert (found.carrier.name, found.target, found.reached) == (CARRIERS[case], "", None)
    assert station(found, "ServiceEntry").passed is True
    assert found.cause is None


@pytest.mark.parametrize(
    ("case", "target", "reached", "cause"),
    [
        ("seed", "wikipedia-ext", True, None),
        ("seed-allow-any", "wikipedia-ext", True, None),
        ("seed", "missing-ext", False, "entry-missing"),
        ("no-entry-allow-any", "wikipedia-ext", False, "entry-missing"),
        ("outside-registry-only", "wikipedia-ext", False, "address-not-listed"),
        ("outside-allow-any", "wikipedia-ext", False, "address-not-listed"),
        ("port-not-listed", "wikipedia-ext", False, "port-not-listed"),
        ("tls-sni-other-name", "wikipedia-tls", False, "host-not-listed"),
        ("export-to-dot", "wikipedia-ext", False, "not-exported"),
        ("sidecar-hides", "wikipedia-ext", False, "hidden-by-sidecar"),
        ("sidecar-exact-host", "wikipedia-ext", False, "hidden-by-sidecar"),
        ("same-cidr-older-rival", "wikipedia-ext", False, "rival-entry"),
        ("virtualservice-tcp", "wikipedia-ext", False, "rerouted"),
        ("virtualservice-unknown-host", "wikipedia-ext", False, "rerouted"),
        ("virtualservice-tcp-weighted", "wikipedia-ext", None, None),
        ("destinationrule-tls", "wikipedia-ext", True, "rerouted"),
    ],
)
def test_a_targets_entry_is_held_against_the_way(case: str, target: str, reached: bool | None, cause: str | None) -> None:
    found = told(case, target)
    assert (found.reached, found.cause and str(found.cause.code)) == (reached, cause)
    assert found.target.endswith(f"/{target}")


# Stations


def test_the_stations_stand_in_the_order_of_the_way() -> None:
    names = ["pod", "name", "address", "capture", "listener", "filter chain", "Envoy cluster", "ServiceEntry"]
    assert [each.name for each in told("seed").stations] == names
    assert [each.name for each in told("http-80").stations] == [*names[:6], "HTTP route", *names[6:]]


def test_the_filter_chains_that_lost_are_told_with_why() -> None:
    found = told("tls-sni-and-tcp-cidr")
    lost = {each.leads_to: each.why for each in found.losers}
    assert lost["outbound|443||www.wikipedia.org"] == f"another has a longer block around {IP}"
    assert (len(told("cidrs-60").losers), told("cidrs-60").more_losers) == (5, 54)


def test_an_envoy_cluster_with_hosts_of_its_own_is_told_with_them() -> None:
    found = told("static-endpoint")
    assert station(found, "Envoy cluster").text.endswith("with the host 198.51.100.7:443")
    assert found.next == "the sidecar connects to 198.51.100.7:443"


def test_one_without_hosts_closes_the_connection() -> None:
    counts = {OURS: HostCounts({}, original=False)}
    found = told("static-endpoint", "wikipedia-ext", counts=counts)
    assert (found.goes_out, found.reached, found.cause and str(found.cause.code)) == (False, True, "no-endpoints")
    assert found.next == "the sidecar closes the connection before the TLS handshake: its Envoy cluster has no hosts"
    assert station(found, "Envoy cluster").passed is False


def test_hosts_that_were_not_read_are_not_said_to_be_none() -> None:
    found = told("static-endpoint", "wikipedia-ext", counts=None)
    assert (found.goes_out, found.cause, found.next) == (True, None, f"the sidecar connects to a host of {OURS}")


@pytest.mark.parametrize(
    ("case", "then"),
    [
        ("seed", f"the sidecar connects to {IP}:443"),
        (
            "outside-registry-only",
            "the sidecar closes the connection before the TLS handshake: the outbound traffic policy is REGISTRY_ONLY, "
            "and no ServiceEntry takes it",
        ),
        ("no-entry-allow-any", f"the sidecar lets it out to {IP}:443 itself: the outbound traffic policy is ALLOW_ANY"),
        ("http-80-blocked", "the sidecar answers with HTTP 502 by itself"),
        (
            "virtualservice-unknown-host",
            "the sidecar closes the connection before the TLS handshake: "
            "the Envoy cluster outbound|443||nowhere.example does not exist",
        ),
        (
            "destinationrule-tls",
            f"the sidecar connects to {IP}:443 with its own TLS, so TLS arrives inside TLS",
        ),
    ],
)
def test_what_happens_next_is_said_in_a_sentence(case: str, then: str) -> None:
    assert told(case).next == then


def test_a_refused_bare_url_is_told_with_the_command_that_opens_it() -> None:
    cause = told("no-entry-registry-only").cause
    assert cause is not None
    assert (str(cause.code), cause.hint) == ("blackhole", "egressctl create www.wikipedia.org -n default")


def test_the_way_that_is_meant_is_held_to_its_host() -> None:
    meant = place("virtualservice-tcp", "wikipedia-ext")
    meant = replace(meant, probe=replace(meant.probe, expect=Expectation(via="other.example")))
    assert told("virtualservice-tcp", at=meant).reached is True
    meant = replace(meant, probe=replace(meant.probe, expect=Expectation(via="gateway.example")))
    assert told("virtualservice-tcp", at=meant).reached is False


def test_without_the_right_to_list_entries_nobodys_way_is_guessed() -> None:
    found = told("seed", "wikipedia-ext", entries=None)
    assert (found.carrier, found.reached, found.cause) == (None, None, None)
    assert station(found, "ServiceEntry").passed is None


# What is not known


def test_an_unreadable_sidecar_leaves_the_stations_before_it() -> None:
    found = told("seed", config=None, unreadable="the sidecar of sleep did not answer")
    assert [each.name for each in found.stations] == ["pod", "name", "address", "capture", "sidecar"]
    assert (found.unknown, found.goes_out, found.walk) == ("the sidecar of sleep did not answer", None, None)
    assert found.hint == "egressctl doctor -n default --pod sleep"


def test_a_way_that_is_not_understood_is_not_explained() -> None:
    found = told("seed", config=ProxyConfig((), {}))
    assert found.unknown == "the sidecar has no listener virtualOutbound"
    assert (found.goes_out, found.next) == (None, f"what happens is not known: {found.unknown}")
    assert (found.reached, found.cause) == (None, None)


def test_a_pod_without_a_sidecar_is_in_no_mesh() -> None:
    bare = replace(SOURCE, proxy=None)
    found = told("seed", "wikipedia-ext", source=bare)
    assert (found.goes_out, found.reached, found.cause and str(found.cause.code)) == (True, False, "no-sidecar")
    assert found.next == f"it goes to {IP}:443 itself: the pod has no sidecar"
    assert found.unknown == ""
    assert told("seed", source=bare).cause is None


def test_of_an_ambient_pod_nothing_can_be_told() -> None:
    found = told("seed", "wikipedia-ext", source=replace(SOURCE, proxy=None, ambient=True))
    assert (found.goes_out, found.reached, found.cause and str(found.cause.code)) == (None, None, "ambient")
    assert found.unknown


def test_a_name_that_the_pod_cannot_resolve_ends_the_way() -> None:
    found = path_without_address(
        Probe("p", URL), SOURCE, "pod default/sleep", "pod default/sleep cannot resolve it", certain=True
    )
    assert (found.goes_out, found.unknown, found.address) == (False, "", "")


def test_one_that_only_this_machine_could_not_resolve_is_not_explained() -> None:
    found = path_without_address(Probe("p", URL), SOURCE, "this machine", "this machine cannot resolve it", certain=False)
    assert (found.goes_out, found.unknown) == (None, "this machine cannot resolve it")
    assert "--address IP" in found.hint


# Before the sidecar


def test_the_name_says_who_resolved_it() -> None:
    assert station(told("seed"), "name") == Step("name", f"www.wikipedia.org is {IP}, as pod default/sleep resolves it", True)
    here = told("seed", at=place("seed", by="this machine", note="container sleep has no getent"))
    assert station(here, "name") == Step(
        "name",
        f"www.wikipedia.org is {IP}, as this machine resolves it "
        "(container sleep has no getent; the pod may get another address)",
        None,
    )
    taken = told("seed", at=place("seed", by="--address"))
    assert station(taken, "name").text == f"www.wikipedia.org is {IP}, as --address says"
    assert "name" not in [each.name for each in told("seed", at=place("seed", by="the URL")).stations]


def test_an_address_that_istio_gave_is_told_with_whom() -> None:
    given = replace(entries_of("seed")[0], allocated=("240.240.0.5",))
    at = place("seed", ip="240.240.0.5")
    assert "which Istio gave default/wikipedia-ext" in station(told("seed", at=at, entries=[given]), "address").text
    assert "which Istio gives to" in station(told("seed", at=at, entries=[]), "address").text


def test_one_resolved_here_may_be_istios_in_the_pod() -> None:
    given = replace(entries_of("seed")[0], hosts=("www.wikipedia.org",), allocated=("240.240.0.5",))
    at, answers = place("seed", note="no getent"), replace(SOURCE, dns_capture=True)
    found = station(told("seed", at=at, entries=[given], source=answers), "address")
    assert (found.passed, "in the pod it may be 240.240.0.5" in found.text) == (None, True)
    assert station(told("seed", at=at, entries=[given]), "address") == Step("address", f"{IP}:443", True), (
        "nothing answers with it"
    )
    assert station(told("seed", entries=[given]), "address") == Step("address", f"{IP}:443", True)


def test_capture_is_never_claimed() -> None:
    capture = station(told("seed"), "capture")
    assert capture == Step("capture", f"only a real request shows it: egressctl verify --probe {URL}/", None)


HINT = "annotation traffic.sidecar.istio.io/excludeOutboundPorts leaves out"


@pytest.mark.parametrize(("excluded", "said"), [("443,8443", True), ("8443", False)])
def test_an_annotation_counts_where_it_holds_for_this_port(excluded: str, said: bool) -> None:
    source = replace(SOURCE, interception={"excludeOutboundPorts": excluded}, hints=(f"{HINT} {excluded}",))
    text = station(told("seed", source=source), "capture").text
    assert (f"perhaps not by the sidecar: {HINT} port 443 (a hint)" in text) is said
    assert (excluded in text) is False


def test_other_hints_and_a_sidecar_that_is_not_ready_are_told() -> None:
    source = replace(SOURCE, hints=("container sleep runs as user 1337",), proxy_ready=False, proxy_state="waiting")
    text = station(told("seed", source=source), "capture").text
    assert text.startswith("container istio-proxy is not ready (waiting); perhaps not by the sidecar: container sleep runs as")


def test_a_sidecar_of_ipv4_alone_may_not_have_an_ipv6_connection() -> None:
    at = place("ipv6", ip="2620:0:861:ed1a::1")
    assert ip_address(at.ip).version == 6
    assert "the sidecar listens for no IPv6" in station(told("ipv6", at=at), "capture").text
    assert at.address == "[2620:0:861:ed1a::1]:443"


def test_from_a_pod_without_ipv6_no_connection_is_made() -> None:
    at = place("ipv6", ip="2620:0:861:ed1a::1")
    found = told("ipv6", at=at, source=replace(SOURCE, addresses=("10.244.0.5",)))
    assert found.goes_out is found.reached is None
    assert found.cause is not None
    assert found.cause.code is CauseCode.IP_FAMILY
    assert [(each.name, each.passed) for each in found.stations][-1] == ("address", None)
    dual = told("ipv6", at=at, source=replace(SOURCE, addresses=("10.244.0.5", "fd00::5")))
    assert dual.cause is None or dual.cause.code is not CauseCode.IP_FAMILY


def test_of_choices_neither_is_taken_for_sure() -> None:
    found = told("virtualservice-tcp-weighted")
    assert found.carrier is None
    assert [each.passed for each in found.stations if each.name == "Envoy cluster"] == [None, None]
    assert PASSTHROUGH not in found.next


# Routes


@pytest.mark.parametrize(
    ("name", "path", "said", "passed"),
    [
        ("wiki", "/", "default/wiki routes it", True),
        ("wiki", "/api/", "default/wiki has no route for it", False),
        ("default~80~www.wikipedia.org", "/", "an HTTPRoute of namespace default for www.wikipedia.org routes it", True),
    ],
)
def test_the_route_that_takes_it_or_does_not_is_named(name: str, path: str, said: str, passed: bool) -> None:
    made = f"/apis/networking.istio.io/v1/namespaces/default/virtual-service/{name}"
    to = route("outbound|80||www.wikipedia.org", {"prefix": path}, metadata={"filter_metadata": {"istio": {"config": made}}})
    match = {"transport_protocol": "raw_buffer", "application_protocols": ["http/1.1", "h2c"]}
    chains = {"0.0.0.0_80": [http_chain(host("www.wikipedia.org", to), match=match)]}
    config = sidecar(chains, chain("BlackHoleCluster"), [HTTP_INSPECTOR])
    found = explain_path(
        ResolvedProbe(Probe("p", "http://www.wikipedia.org"), IP, "pod default/sleep"), ExplainFacts(SOURCE, config, {}, [], None)
    )
    assert station(found, "VirtualService") == Step("VirtualService", said, passed)
