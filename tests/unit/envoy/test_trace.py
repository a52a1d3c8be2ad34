"""The stations of a way as they are told: what was taken, why, and what was passed over."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import recordings
from egressctl.envoy.config import ProxyConfig
from egressctl.envoy.dump import parse_config
from egressctl.envoy.trace import Trace, TraceStep, trace
from egressctl.envoy.walk import walk_config
from egressctl.model.probe import SILENT, Probe, Speech
from sidecars import BOTH, HTTP_INSPECTOR, chain, host, http_chain, route, sidecar

DUMPED = tuple(case for case in recordings.cases() if recordings.load(case).config_dump)


def asked(case: str) -> tuple[ProxyConfig, str, int, Speech]:
    recording = recordings.load(case)
    ip, _, port = recording.truth["remote"].rpartition(":")
    return parse_config(recording.config_dump or ""), ip, int(port), Probe("p", recording.truth["probe"]).speech


def told(case: str) -> Trace:
    return trace(*asked(case))


def station(found: Trace, kind: str) -> TraceStep:
    (only,) = [each for each in found.stations if each.kind == kind]
    return only


@pytest.mark.parametrize("case", DUMPED)
def test_the_walk_is_the_traces_end(case: str) -> None:
    found = told(case)
    assert found.walk == walk_config(*asked(case))
    named = tuple(each.what for each in found.stations if each.kind == "envoy-cluster")
    assert named == (found.walk.choices or ((found.walk.envoy_cluster,) if found.walk.envoy_cluster else ()))
    assert [each.kind for each in found.stations][:2] == ["listener", "filter-chain"]
    assert all(len(each.passed) <= 5 for each in found.stations)


@pytest.mark.parametrize(
    ("case", "listener", "why"),
    [
        ("seed", "0.0.0.0_443", "it takes every address on port 443 that has no listener of its own"),
        ("ip-over-cidr", "208.80.154.224_443", "it is that of this address and port"),
        ("port-not-listed", "virtualOutbound", "no other listener is there for port 8443"),
    ],
)
def test_the_listener_is_told_and_why_it_is_this_one(case: str, listener: str, why: str) -> None:
    found = station(told(case), "listener")
    assert (found.what, found.why) == (listener, why)


def test_a_filter_chain_that_lost_is_told_by_what_it_asks_and_where_it_lost() -> None:
    found = station(told("tls-and-tcp-same-cidr"), "filter-chain")
    assert (found.what, found.why) == (
        "208.80.154.224/27, server name www.wikipedia.org",
        "the only one that fits in every respect",
    )
    first, second = found.passed[:2]
    assert (first.what, first.leads_to) == ("208.80.154.224/27", "outbound|443||wikipedia.org")
    assert first.why == "another asks for the server name www.wikipedia.org"
    assert second.why == "its block does not hold 208.80.154.224"


def test_a_shorter_block_around_the_address_is_told_before_blocks_elsewhere() -> None:
    chains = [*(chain(f"c{number}", f"10.0.{number}.0/24") for number in range(9)), chain("wide", "10.0.0.0/8")]
    found = station(trace(sidecar({"0.0.0.0_443": chains}), "10.0.3.1", 443), "filter-chain")
    assert (found.what, found.passed[0].leads_to) == ("10.0.3.0/24", "wide")
    assert found.passed[0].why == "another has a longer block around 10.0.3.1"
    assert (len(found.passed), found.more) == (5, 4)


def test_a_default_filter_chain_is_told_with_the_criterion_that_none_met() -> None:
    found = station(told("tls-sni-other-name"), "filter-chain")
    assert found.what == "default (PassthroughFilterChain)"
    assert found.why == "no filter chain fits by server name en.wikipedia.org"
    assert found.passed[0].why == "it does not fit by server name en.wikipedia.org"


def test_tls_on_a_port_declared_http_is_told() -> None:
    match = {"transport_protocol": "raw_buffer", "application_protocols": ["http/1.1", "h2c"]}
    config = sidecar({"0.0.0.0_443": [http_chain(host("*"), match=match)]}, chain("BlackHoleCluster"), BOTH)
    found = station(trace(config, "192.0.2.1", 443, Probe("p", "https://a.example").speech), "filter-chain")
    assert found.why == "no filter chain fits by transport protocol tls"
    assert found.passed[0].what == "plain HTTP"
    assert found.passed[0].leads_to == "HTTP routes"


def test_without_a_filter_chain_there_is_none() -> None:
    found = trace(sidecar({"0.0.0.0_443": [chain("a", "192.0.2.0/24")]}), "198.51.100.1", 443)
    assert (station(found, "filter-chain").what, found.next) == ("none", "the sidecar closes the connection")


def test_a_route_is_told_with_those_before_it() -> None:
    routes = [route("a", {"path": "/a"}, name="first"), route("b", {"prefix": "/", "headers": [{"name": "x"}]}), route("c")]
    config = sidecar({"0.0.0.0_80": [http_chain(host("www.wikipedia.org", *routes))]}, filters=[HTTP_INSPECTOR])
    found = station(trace(config, "192.0.2.1", 80, Probe("p", "http://www.wikipedia.org/").speech), "route")
    assert (found.what, found.why) == ("80 / www.wikipedia.org / route 3", "the first of its virtual host that matches")
    assert [(each.what, each.leads_to) for each in found.passed] == [("first; exact /a", "a"), ("prefix /; x", "b")]


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("seed", "the sidecar connects through outbound|443||wikipedia.org"),
        ("destinationrule-tls", "the sidecar connects through outbound|443||wikipedia.org over its own TLS"),
        ("outside-registry-only", "the sidecar closes the connection: the outbound traffic policy is REGISTRY_ONLY"),
        ("outside-allow-any", "the sidecar lets it out to its own address: the outbound traffic policy is ALLOW_ANY"),
        ("virtualservice-unknown-host", "the sidecar refuses it, since the Envoy cluster outbound|443||nowhere.example"),
        ("virtualservice-tcp-weighted", "chance decides between outbound|443||wikipedia.org and outbound|443||other.example"),
        ("http-80-blocked", "the sidecar answers with HTTP status 502 by itself"),
    ],
)
def test_what_happens_next_is_half_a_sentence(case: str, says: str) -> None:
    assert told(case).next.startswith(says)


@pytest.mark.parametrize(
    ("case", "says"),
    [
        ("seed", "ORIGINAL_DST, it connects to the address that was asked for, made for wikipedia.org of namespace default"),
        ("static-endpoint", "EDS, it connects to endpoints that istiod names"),
        ("destinationrule-tls", "shaped by DestinationRule default/tls, wrapped in TLS by the sidecar"),
        ("outside-registry-only", "the outbound traffic policy's, which has no hosts"),
        ("virtualservice-unknown-host", "it does not exist in the sidecar"),
    ],
)
def test_the_envoy_cluster_is_told_with_its_origin_and_its_hosts(case: str, says: str) -> None:
    assert says in station(told(case), "envoy-cluster").why


@pytest.mark.parametrize(
    ("config", "speech", "stations"),
    [
        (replace(sidecar({}), listeners=None), SILENT, []),
        (sidecar({"0.0.0.0_443": [chain("a")]}, filters=BOTH), SILENT, ["listener"]),
        (sidecar({"0.0.0.0_443": [chain("a", source_type="EXTERNAL")]}), SILENT, ["listener"]),
        (sidecar({"0.0.0.0_443": [http_chain(host("*"))]}), SILENT, ["listener", "filter-chain"]),
    ],
)
def test_where_the_way_is_lost_the_stations_up_to_there_are_told(
    config: ProxyConfig, speech: Speech, stations: list[Any]
) -> None:
    found = trace(config, "192.0.2.1", 443, speech)
    assert [each.kind for each in found.stations] == stations
    assert found.next == f"what happens is not known: {found.walk.unknown}"
