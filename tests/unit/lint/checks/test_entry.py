"""What egressctl says of one entry that Istio takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from egressctl.lint.checks.cdn_blocks import _CDN_LISTS, cdn_block_of
from egressctl.lint.checks.entry import check_entry, check_entry_in_file
from egressctl.lint.checks.filter_chain_count import crowded_ports
from egressctl.lint.rules import Severity
from egressctl.manifests.formats import network
from egressctl.model.entry import Manifest, Port, ServiceEntry

ENTRY = ServiceEntry(
    name="a",
    namespace="shop",
    hosts=("a.example",),
    addresses=("198.51.100.0/28",),
    ports=(Port(443, "TCP", "p"),),
    resolution="NONE",
    location="MESH_EXTERNAL",
    export_to=(".",),
)
MANIFEST: Manifest = {"metadata": {"name": "a"}, "spec": {}}


def entry(**changes: Any) -> ServiceEntry:
    return replace(ENTRY, **changes)


def found(entry: ServiceEntry, spec: Any = None, originating: tuple[str, ...] = ()) -> list[tuple[str, tuple[Any, ...]]]:
    return [(each.rule, each.path) for each in check_entry(entry, spec, originating)]


def in_a_file(entry: ServiceEntry, manifest: Manifest = MANIFEST) -> list[tuple[str, tuple[Any, ...]]]:
    return [(each.rule, each.path) for each in check_entry_in_file(entry, manifest)]


def test_an_entry_that_says_what_it_means() -> None:
    assert found(ENTRY, {}) == in_a_file(ENTRY) == []


@pytest.mark.parametrize(
    ("changes", "rule", "path"),
    [
        ({"addresses": ("192.0.2.0/24", "198.51.100.7/28")}, "host-bits", ("spec", "addresses", 1)),
        ({"addresses": ("192.0.2.1", "192.0.2.1/32")}, "duplicate-block", ("spec", "addresses", 1)),
        ({"addresses": ("192.0.2.0/24", "2001:db8::1", "2001:db8::2")}, "ipv6-block", ("spec", "addresses", 1)),
        ({"ports": ()}, "no-ports", ("spec",)),
        ({"ports": (Port(443, "TCP", "p"), Port(53, "udp", "q"))}, "udp-port", ("spec", "ports", 1)),
    ],
)
def test_what_a_file_can_say_better(changes: dict[str, Any], rule: str, path: tuple[Any, ...]) -> None:
    assert in_a_file(entry(**changes)) == [(rule, path)]


def test_nothing_that_istio_takes_and_that_works_is_an_error() -> None:
    odd = entry(addresses=("198.51.100.7/28", "198.51.100.0/28", "2001:db8::1"), ports=(Port(80, "HTTP", "p"),), export_to=())
    severities = {each.severity for each in (*check_entry(odd, {}), *check_entry_in_file(odd, MANIFEST))}
    assert severities == {Severity.WARNING}


def test_probes_that_cannot_be_read_are_told_one_by_one() -> None:
    manifest = {"metadata": {"name": "a", "annotations": {"egressctl.dev/probes": '[{"name":"a"},{"url":"ftp://a.example"}]'}}}
    assert {rule for rule, _ in in_a_file(ENTRY, manifest)} == {"invalid-probes"}
    assert len(in_a_file(ENTRY, manifest)) > 1


# Cleartext


@pytest.mark.parametrize(
    "port",
    [Port(80, "HTTP", "p"), Port(8080, "http", "p"), Port(9000, "GRPC", "p"), Port(389, "TCP", "p"), Port(7000, "REDIS", "p")],
)
def test_a_port_where_passwords_can_be_read(port: Port) -> None:
    assert found(entry(ports=(port,))) == [("cleartext-port", ("spec", "ports", 0))]
    assert found(entry(ports=(port,), location="MESH_INTERNAL")) == []
    assert found(entry(ports=(port,)), None, ("*.example",)) == []
    assert found(entry(ports=(port,), hosts=("a.example", "b.example")), None, ("b.example",)) != []


@pytest.mark.parametrize("port", [Port(443, "TCP", "p"), Port(389, "TLS", "p"), Port(443, "HTTPS", "p"), Port(5432, "TCP", "p")])
def test_a_port_of_which_nothing_is_known(port: Port) -> None:
    assert found(entry(ports=(port,))) == []


# Breadth


@pytest.mark.parametrize(
    ("addresses", "export_to", "rules"),
    [
        (("198.18.0.0/16",), ("*",), ["broadly-exported"]),
        (("198.18.0.0/17", "198.18.128.0/17"), ("*",), ["broadly-exported"]),
        (("198.18.0.0/16",), (), ["broadly-exported"]),
        (("198.18.0.0/17", "198.18.0.0/17", "198.18.0.9/17"), ("*",), []),
        (("198.18.0.0/16",), (".",), []),
        (("198.18.0.0/17",), (), ["exported-everywhere"]),
        (("2001:db8::/32",), ("*",), []),
    ],
)
def test_an_entry_for_everybody_that_opens_very_much(
    addresses: tuple[str, ...], export_to: tuple[str, ...], rules: list[str]
) -> None:
    assert [rule for rule, _ in found(entry(addresses=addresses, export_to=export_to))] == rules


def test_static_without_endpoints_goes_nowhere() -> None:
    static = entry(resolution="STATIC")
    assert found(static, {}) == [("no-endpoints", ("spec",))]
    for spec in (None, {"endpoints": [{"address": "192.0.2.1"}]}, {"workloadSelector": {"labels": {"a": "b"}}}):
        assert found(static, spec) == []


# Content delivery networks


@pytest.mark.parametrize("text", _CDN_LISTS.values(), ids=_CDN_LISTS)
def test_the_blocks_of_networks_are_blocks_without_host_bits(text: str) -> None:
    for each in text.split():
        assert str(network(each)) == each
        assert network(each).prefixlen <= 24  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("104.16.0.0/13", "Cloudflare"),
        ("104.17.3.0/24", "Cloudflare"),
        ("104.0.0.0/8", "Cloudflare"),
        ("151.101.64.0/22", "Fastly"),
        ("13.32.5.0/24", "Amazon CloudFront"),
        ("23.40.0.0/16", "Akamai"),
        ("142.250.4.0/22", "Google's front ends"),
        ("104.17.3.0/25", ""),
        ("104.17.3.7", ""),
        ("198.51.100.0/24", ""),
        ("0.0.0.0/0", ""),  # which has rules of its own
        ("2001:db8::/32", ""),
        ("no address", ""),
    ],
)
def test_a_piece_of_a_network_is_known(address: str, whose: str) -> None:
    front = cdn_block_of(address)
    assert (front.whose if front else "") == whose
    rules = [rule for rule, _ in found(entry(addresses=(address,)))]
    assert ("opens-cdn" in rules) == bool(whose)


def test_a_network_is_told_once_and_where_only_the_address_decides() -> None:
    blocks = ("198.51.100.0/24", "104.16.0.0/16", "104.17.0.0/16", "151.101.0.0/16")
    assert found(entry(addresses=blocks)) == [("opens-cdn", ("spec", "addresses", 1)), ("opens-cdn", ("spec", "addresses", 3))]
    assert found(entry(addresses=blocks, ports=(Port(443, "TLS", "p"),))) == []


# Crowds


def many(count: int, **changes: Any) -> list[ServiceEntry]:
    blocks = [f"10.{n // 256}.{n % 256}.0/24" for n in range(count)]
    return [entry(name=f"e{at}", addresses=tuple(blocks[at : at + 250]), **changes) for at in range(0, count, 250)]


def test_a_thousand_blocks_on_a_port_are_a_crowd() -> None:
    [crowd] = crowded_ports(many(1000))
    assert crowd == (443, 1000, 4, 0)
    assert list(crowded_ports(many(999))) == []


def test_blocks_that_no_pod_sees_together_are_no_crowd() -> None:
    here, there = many(500), many(1000, namespace="other")[2:]
    assert list(crowded_ports([*here, *there])) == []
    assert len(list(crowded_ports([*here, *(replace(each, export_to=("*",)) for each in there)]))) == 1


@pytest.mark.parametrize(
    "entries",
    [
        [*many(500), *many(500)],  # the same blocks: one filter chain each
        [entry(addresses=tuple(f"10.0.{n // 256}.{n % 256}" for n in range(1000)))],  # listeners of their own
        many(1000, export_to=("~",)),
        [entry(name=f"e{n}", addresses=(), ports=(Port(80, "HTTP", "p"), Port(443, "UDP", "q"))) for n in range(1000)],
    ],
)
def test_what_makes_no_filter_chains_of_its_own(entries: list[ServiceEntry]) -> None:
    assert list(crowded_ports(entries)) == []


def test_names_on_a_port_are_filter_chains_too() -> None:
    [crowd] = crowded_ports(
        [entry(hosts=tuple(f"{n}.example" for n in range(1000)), addresses=(), ports=(Port(443, "TLS", "p"),))]
    )
    assert crowd.chains == 1000
