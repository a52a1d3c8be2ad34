"""What egressctl says of one entry that Istio takes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from egressctl.lint.entry import entry_findings
from egressctl.lint.rule import LintedEntry, Place, Severity
from egressctl.model.entry import Manifest, Port, ServiceEntry
from entries import ENTRY, entry

MANIFEST: Manifest = {"metadata": {"name": "a"}, "spec": {}}


def found(entry: ServiceEntry, spec: Any = None, originating: tuple[str, ...] = ()) -> list[tuple[str, tuple[Any, ...]]]:
    manifest = None if spec is None else {"metadata": {"name": "a"}, "spec": spec}
    return [(each.rule, each.path) for each in entry_findings(LintedEntry(entry, Place.TARGET, manifest, originating))]


def in_a_file(entry: ServiceEntry, manifest: Manifest = MANIFEST) -> list[tuple[str, tuple[Any, ...]]]:
    return [(each.rule, each.path) for each in entry_findings(LintedEntry(entry, Place.FILE, manifest))]


def test_an_entry_that_says_what_it_means() -> None:
    assert found(ENTRY, {}) == in_a_file(ENTRY) == []


@pytest.mark.parametrize(
    ("changes", "rule", "path"),
    [
        ({"addresses": ("192.0.2.0/24", "198.51.100.7/28")}, "host-bits", ("spec", "addresses", 1)),
        ({"addresses": ("192.0.2.1", "192.0.2.1/32")}, "duplicate-block", ("spec", "addresses", 1)),
        ({"addresses": ("192.0.2.0/24", "2001:db8::1", "2001:db8::2")}, "ipv6-block", ("spec", "addresses", 1)),
        ({"addresses": ("192.0.2.0/24", "::ffff:198.51.100.7")}, "mapped-address", ("spec", "addresses", 1)),
        ({"ports": ()}, "no-ports", ("spec",)),
        ({"ports": (Port(443, "TCP", "p"), Port(53, "udp", "q"))}, "udp-port", ("spec", "ports", 1)),
    ],
)
def test_what_a_file_can_say_better(changes: dict[str, Any], rule: str, path: tuple[Any, ...]) -> None:
    assert in_a_file(entry(**changes)) == [(rule, path)]


def test_nothing_that_istio_takes_and_that_works_is_an_error() -> None:
    odd = entry(addresses=("198.51.100.7/28", "198.51.100.0/28", "2001:db8::1"), ports=(Port(80, "HTTP", "p"),), export_to=())
    severities = {each.severity for each in entry_findings(LintedEntry(odd, Place.FILE, MANIFEST))}
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


# What an entry itself says of whom and what it opens

OWN = replace(ENTRY, name="wikipedia-ext", namespace="default", hosts=("wikipedia.org",))
TLS = Port(443, "TLS", "tls")


def on_mesh(entry: ServiceEntry, namespace: str, namespaces: dict[str, Any] | None) -> list[str]:
    case = LintedEntry(entry, Place.CLUSTER, namespace=namespace, namespaces=namespaces)
    return [each.rule for each in entry_findings(case) if each.rule in ("not-exported", "unknown-namespace")]


@pytest.mark.parametrize(
    ("entry", "rules"),
    [
        (OWN, []),
        (replace(OWN, export_to=()), ["exported-everywhere"]),
        (replace(OWN, addresses=()), ["opens-whole-port"]),
        (replace(OWN, addresses=("0.0.0.0/0",)), ["opens-whole-port"]),
        (replace(OWN, addresses=("::/0",)), ["opens-whole-port"]),
        (replace(OWN, addresses=(), ports=(TLS,)), []),
        (replace(OWN, ports=(Port(15001, "TCP", "a"),)), ["reserved-port"]),
        (replace(OWN, ports=(Port(15021, "TCP", "a"),), addresses=("192.0.2.1",)), []),
    ],
)
def test_an_entry_by_itself(entry: ServiceEntry, rules: list[str]) -> None:
    assert [rule for rule, _ in found(entry)] == rules


@pytest.mark.parametrize(
    ("exports", "namespace", "rules"),
    [
        ((".",), "default", []),
        ((), "other", []),
        (("*",), "other", []),
        ((".",), "other", ["not-exported"]),
        (("~",), "default", ["not-exported"]),
        (("other",), "other", []),
        (("shop", "default"), "default", ["unknown-namespace"]),
    ],
)
def test_export_to(exports: tuple[str, ...], namespace: str, rules: list[str]) -> None:
    entry = replace(OWN, export_to=exports)
    assert on_mesh(entry, namespace, {"default": {}, "other": {}}) == rules


def test_a_namespace_is_not_called_absent_where_they_could_not_be_listed() -> None:
    entry = replace(OWN, export_to=("default", "shop"))
    assert on_mesh(entry, "default", None) == []


@pytest.mark.parametrize(
    ("resolution", "said"),
    [
        ("NONE", "port 443 is TCP with ::/0 among its addresses: it is open to every IPv6 address"),
        (
            "STATIC",
            "port 443 is TCP with ::/0 among its addresses: every connection on it, to any IPv6 address, is sent to a.example",
        ),
    ],
)
def test_a_port_for_every_address_of_ipv6_is_told_as_such(resolution: str, said: str) -> None:
    wide = entry(addresses=("192.0.2.0/24", "::/0"), resolution=resolution, endpoints=("192.0.2.7",))
    [told] = [each for each in entry_findings(LintedEntry(wide, Place.TARGET)) if each.rule == "opens-whole-port"]
    assert told.message.endswith(said)
