"""An entry's own Envoy cluster: when it is of the entry as it stands, and leads to what was asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from egressctl.envoy.config import DYNAMIC, EnvoyCluster, FilterChain, Listener, OriginService, ProxyConfig
from egressctl.envoy.routes import HttpConnectionManager
from egressctl.model.blocks import Block
from egressctl.model.entry import MeshObjects, Port, ServiceEntry
from egressctl.model.evidence import Owner, Ownership, Source, Walk
from egressctl.model.probe import Probe
from egressctl.verify.own_way import WayTaken, owner_of_way

HOST, IP = "www.example.org", "198.51.100.7"
NAME = f"outbound|443||{HOST}"
WHOLE_PORT = ServiceEntry(
    name="entry",
    namespace="default",
    hosts=(HOST,),
    addresses=(),
    ports=(Port(443, "TCP", "tcp"),),
    resolution="DNS",
    location="MESH_EXTERNAL",
    export_to=(),
)
BLOCKS = replace(WHOLE_PORT, addresses=("198.51.100.0/24",), resolution="NONE")
SOURCE = Source("default", "sleep", "sleep", "istio-proxy")


def config_of(*blocks: Block, type: str = "STRICT_DNS", http: bool = False, **changes: object) -> ProxyConfig:
    """A sidecar whose port 443 has a filter chain for each block, or one for every address, that lead to the host."""
    chains = [FilterChain("", 0, (block,), (), NAME) for block in blocks] or [FilterChain("", 0, (), (), NAME)]
    if http:
        chains.append(FilterChain("", 0, (), (), http=HttpConnectionManager("443", None, "AUTO")))
    listener = Listener("0.0.0.0_443", (("0.0.0.0", 443),), True, False, tuple(chains), None)
    found = EnvoyCluster(NAME, type, (OriginService(HOST, "default", HOST),))
    return ProxyConfig((listener,), {NAME: found._replace(**changes)})  # type: ignore[arg-type]


def ask(
    entry: ServiceEntry = WHOLE_PORT,
    *others: ServiceEntry,
    config: ProxyConfig | None = None,
    url: str = f"https://{HOST}",
    connect_ip: str = "",
    ip: str = IP,
    prefix: str = "",
    upstream: tuple[str, ...] = (),
    asked: tuple[str, ...] = (),
    around: MeshObjects | None = None,
) -> Owner:
    walk = Walk("0.0.0.0_443", "", NAME, prefix)
    way = WayTaken(Probe("p", url, connect_ip=connect_ip), ip, walk, config or config_of(), SOURCE, upstream, asked, around)
    return owner_of_way(way, entry, others)


# What istiod notes no origin on

NAMES = replace(WHOLE_PORT, hosts=("*.example.org",), ports=(Port(443, "TLS", "tls"),), resolution="DYNAMIC_DNS")
ELSEWHERE = replace(NAMES, namespace="other")


def ask_by_name(around: MeshObjects | None, **changes: object) -> Owner:
    name = "outbound|443||*.example.org"
    chain = FilterChain("", 0, (), (), name, server_names=("*.example.org",))
    listener = Listener("0.0.0.0_443", (("0.0.0.0", 443),), True, False, (chain,), None)
    config = ProxyConfig((listener,), {name: EnvoyCluster(name, DYNAMIC, ())._replace(**changes)})  # type: ignore[arg-type]
    walk = Walk("0.0.0.0_443", "", name, server_name="*.example.org")
    return owner_of_way(WayTaken(Probe("p", f"https://{HOST}"), IP, walk, config, SOURCE, (IP,), (), around), NAMES, [])


def test_an_envoy_cluster_that_resolves_names_is_the_one_entrys_that_can_be_behind_it() -> None:
    assert ask_by_name(MeshObjects(entries=(NAMES,))).ownership is Ownership.OWNED
    unseen = replace(ELSEWHERE, export_to=(".",))
    assert ask_by_name(MeshObjects(entries=(NAMES, unseen))).ownership is Ownership.OWNED
    assert ask_by_name(MeshObjects(entries=(NAMES, ELSEWHERE))).ownership is Ownership.OWNED, "its own namespace's"
    hides = {"metadata": {"name": "s", "namespace": "default"}, "spec": {"egress": [{"hosts": ["*/*", "~default/*"]}]}}
    found = ask_by_name(MeshObjects(entries=(NAMES, ELSEWHERE), sidecars=(hides,)))
    assert found.ownership is Ownership.OTHERS, "the other's, which alone is not hidden"


@pytest.mark.parametrize(
    "around",
    [
        None,
        MeshObjects(entries=(ELSEWHERE, replace(NAMES, namespace="third"))),
        MeshObjects(entries=(NAMES,), reach={"serviceentries": frozenset({"default"})}),
    ],
    ids=["nothing was read", "two of other namespaces", "not all were read"],
)
def test_it_is_not_known_whose_it_is_where_it_may_be_anothers(around: MeshObjects | None) -> None:
    assert ask_by_name(around).ownership is Ownership.UNKNOWN


def test_one_of_another_type_is_of_an_older_entry() -> None:
    found = ask_by_name(None, type="STRICT_DNS", services=(OriginService("*.example.org", "default", "*.example.org"),))
    assert (found.ownership, found.outdated) == (Ownership.UNKNOWN, True)


@pytest.mark.parametrize(
    ("changes", "ownership"),
    [
        ({}, Ownership.OTHERS),
        ({"export_to": (".",)}, Ownership.OTHERS),
        # It may be left of an older version of the entry
        ({"export_to": ("~",)}, Ownership.UNKNOWN),
        ({"resolution": "DNS"}, Ownership.UNKNOWN),
        ({"ports": (Port(80, "HTTP", "http"),)}, Ownership.UNKNOWN),
    ],
)
def test_one_of_another_type_is_that_of_another_entry_of_the_host(changes: dict[str, Any], ownership: Ownership) -> None:
    giver = replace(WHOLE_PORT, **{"name": "giver", "resolution": "NONE", "ports": (Port(443, "HTTP", "http"),), **changes})
    found = ask(WHOLE_PORT, giver, config=config_of(type="ORIGINAL_DST"))
    assert (found.ownership, found.rival) == (ownership, giver if ownership is Ownership.OTHERS else None)


# What was asked for

VIP = replace(WHOLE_PORT, addresses=("198.51.100.7",), resolution="STATIC", endpoints=("192.0.2.1",))
TWO = replace(WHOLE_PORT, hosts=(HOST, "zoo.example.org"))


@pytest.mark.parametrize("url", [f"https://{HOST}", "https://WWW.example.org.", f"https://{HOST}/path"])
def test_its_own_host_is_what_was_asked_for_whatever_address_envoy_chose(url: str) -> None:
    assert ask(url=url, upstream=("203.0.113.9",)).ownership is Ownership.OWNED


@pytest.mark.parametrize(
    ("url", "connect_ip"),
    [("https://other.example", ""), (f"https://{IP}", ""), (f"https://{HOST}", IP)],
    ids=["another host", "an address", "its host at an address that was chosen"],
)
def test_what_else_is_asked_for_goes_to_its_host_all_the_same(url: str, connect_ip: str) -> None:
    found = ask(url=url, connect_ip=connect_ip, upstream=("203.0.113.9", "203.0.113.8"))
    assert (found.ownership, found.elsewhere, found.rival) == (Ownership.OTHERS, True, WHOLE_PORT)
    sent = f"default/entry sends what goes to every address on port 443 to {HOST}"
    assert found.reason == f"{sent} (203.0.113.9 or 203.0.113.8), whatever was asked for"


def test_the_address_that_envoy_connected_to_is_what_was_asked_for() -> None:
    assert ask(url="https://other.example", upstream=(IP,)).ownership is Ownership.OWNED
    assert ask(url="https://other.example", upstream=(IP, "203.0.113.9")).elsewhere, "it may have been the other"


def test_an_address_that_the_entry_lists_is_another_name_of_its_endpoints() -> None:
    found = ask(
        VIP, url=f"https://{IP}", prefix=IP, config=config_of(Block(4, 0xC6336407, 32), type="EDS"), upstream=("192.0.2.1",)
    )
    assert found.ownership is Ownership.OWNED
    every = replace(WHOLE_PORT, addresses=("0.0.0.0/0",))
    assert ask(every, url="https://other.example", upstream=("203.0.113.9",)).elsewhere, "to list every address names none"


def test_of_several_hosts_each_has_endpoints_of_the_entrys_own_and_none_has_anothers_dns() -> None:
    other = "https://zoo.example.org"
    assert ask(TWO, url=other, upstream=("203.0.113.9",)).elsewhere
    written = replace(TWO, endpoints=("203.0.113.9",))
    assert ask(written, url=other, upstream=("203.0.113.9",)).ownership is Ownership.OWNED


def test_resolution_none_connects_to_what_was_asked_for() -> None:
    config = config_of(Block(4, 0xC6336400, 24), type="ORIGINAL_DST")
    assert ask(BLOCKS, url="https://other.example", prefix="198.51.100.0/24", config=config).ownership is Ownership.OWNED


# What is in force

IN_FORCE = config_of(Block(4, 0xC6336400, 24), type="ORIGINAL_DST")


@pytest.mark.parametrize(
    ("entry", "config", "asked", "lacking"),
    [
        (replace(BLOCKS, resolution="STATIC", endpoints=("192.0.2.1",)), IN_FORCE, (), "its resolution is STATIC"),
        (replace(BLOCKS, addresses=("198.51.100.0/24", "203.0.113.0/24")), IN_FORCE, (), "no filter chain has 203.0.113.0/24"),
        (replace(BLOCKS, export_to=("elsewhere",)), IN_FORCE, (), "its exportTo does not include namespace default"),
        (
            replace(BLOCKS, ports=(*BLOCKS.ports, Port(8443, "TCP", "more"))),
            IN_FORCE,
            (NAME, f"outbound|8443||{HOST}"),
            f"outbound|8443||{HOST} is not there",
        ),
        (
            replace(VIP, addresses=BLOCKS.addresses),
            config_of(Block(4, 0xC6336400, 24), type="EDS"),
            (),
            f"{NAME} sends to 203.0.113.9, which is not one of its endpoints",
        ),
        (
            replace(BLOCKS, resolution="DNS", endpoints=("new.example",)),
            config_of(Block(4, 0xC6336400, 24), endpoints=("old.example",)),
            (),
            f"{NAME} sends to old.example, which is not one of its endpoints",
        ),
    ],
    ids=["resolution", "block", "exportTo", "port", "endpoint", "endpoint's name"],
)
def test_an_entry_of_which_the_sidecar_lacks_a_part_owns_nothing(
    entry: ServiceEntry, config: ProxyConfig, asked: tuple[str, ...], lacking: str
) -> None:
    found = ask(entry, config=config, prefix="198.51.100.0/24", asked=asked, upstream=("203.0.113.9",))
    assert (found.ownership, found.outdated) == (Ownership.UNKNOWN, True)
    assert found.reason.startswith("the sidecar's configuration does not match default/entry: ")
    assert lacking in found.reason


SIDECAR = {"metadata": {"name": "s", "namespace": "default"}, "spec": {"egress": [{"hosts": [f"./{HOST}"]}]}}
ROUTE = {"metadata": {"name": "r", "namespace": "default"}, "spec": {"hosts": [HOST]}}
LONGER = replace(BLOCKS, addresses=("198.51.100.0/24", "203.0.113.0/24"))


@pytest.mark.parametrize(
    "around", [MeshObjects(sidecars=(SIDECAR,)), MeshObjects(virtual_services=(ROUTE,))], ids=["Sidecar", "VirtualService"]
)
def test_what_another_object_keeps_from_the_sidecar_is_no_sign_of_an_older_entry(around: MeshObjects) -> None:
    assert ask(LONGER, config=IN_FORCE, prefix="198.51.100.0/24", around=around).ownership is Ownership.OWNED
    assert ask(LONGER, config=IN_FORCE, prefix="198.51.100.0/24", around=MeshObjects()).outdated


@pytest.mark.parametrize(
    ("entry", "config"),
    [
        (replace(BLOCKS, addresses=("198.51.100.0/24", "2001:db8::/32")), IN_FORCE),
        (replace(BLOCKS, addresses=("198.51.100.0/24", "0.0.0.0/0")), IN_FORCE),
        (LONGER, config_of(Block(4, 0xC6336400, 24), type="ORIGINAL_DST", http=True)),
        (LONGER, config_of(Block(4, 0xC6336400, 24), Block(4, 0xCB007100, 24), type="ORIGINAL_DST")),
    ],
    ids=["another IP version", "every address", "HTTP has the listener", "all are there"],
)
def test_what_need_not_be_there_is_not_missed(entry: ServiceEntry, config: ProxyConfig) -> None:
    assert ask(entry, config=config, prefix="198.51.100.0/24").ownership is Ownership.OWNED


def test_endpoints_that_a_namesake_adds_are_its_own_as_well() -> None:
    config, entry = config_of(Block(4, 0xC6336400, 24), type="EDS"), replace(VIP, addresses=BLOCKS.addresses)
    beside = replace(entry, name="beside", addresses=("203.0.113.0/24",), endpoints=("203.0.113.9",))
    found = ask(entry, beside, config=config, prefix="198.51.100.0/24", upstream=("192.0.2.1", "203.0.113.9"))
    assert found.ownership is Ownership.OWNED


TWO_ENDPOINTS = replace(WHOLE_PORT, addresses=(), resolution="STATIC", endpoints=(IP, "198.51.100.8"))


def test_to_connect_to_one_of_its_endpoints_is_to_let_envoy_choose_among_them() -> None:
    config = config_of(type="STATIC")
    found = ask(TWO_ENDPOINTS, config=config, connect_ip=IP, upstream=("198.51.100.8",))
    assert found.ownership is Ownership.OWNED


@pytest.mark.parametrize(
    ("entry", "url", "ip"),
    [
        (TWO_ENDPOINTS, f"https://{IP}", IP),
        (TWO_ENDPOINTS, "https://other.example", IP),
        (TWO_ENDPOINTS, f"https://{HOST}", "203.0.113.1"),
    ],
    ids=["an address", "another host", "an address that is none of its endpoints"],
)
def test_but_not_for_whatever_is_asked_for(entry: ServiceEntry, url: str, ip: str) -> None:
    found = ask(entry, config=config_of(type="STATIC"), url=url, connect_ip=ip, ip=ip, upstream=("198.51.100.8",))
    assert found.ownership is Ownership.OTHERS
