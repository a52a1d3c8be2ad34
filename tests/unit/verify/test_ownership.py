from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import recordings
from egressctl.envoy.config import EnvoyCluster, FilterChain, Listener, OriginService, ProxyConfig
from egressctl.envoy.dump import parse_config
from egressctl.envoy.walk import walk_config
from egressctl.manifests.service_entry import read_entry
from egressctl.model.entry import Port, ServiceEntry
from egressctl.model.evidence import Owner, Ownership, Walk
from egressctl.model.probe import Probe
from egressctl.verify.ownership import find_owner, owner_of_expected_host

HOST, BLOCK = "wikipedia.org", "208.80.154.224/27"
NAME = f"outbound|443||{HOST}"
TCP = Port(443, "TCP", "tcp-port")


def an_entry(name: str = "wikipedia-ext", **changes: object) -> ServiceEntry:
    entry = ServiceEntry(
        name=name,
        namespace="default",
        hosts=(HOST,),
        addresses=(BLOCK,),
        ports=(TCP,),
        resolution="NONE",
        location="MESH_EXTERNAL",
        export_to=(),
        created="2026-11-23T04:00:00Z",
    )
    return replace(entry, **changes)  # type: ignore[arg-type]


ENTRY = an_entry()
OLDER, YOUNGER = "2026-11-23T03:00:00Z", "2026-11-23T05:00:00Z"
WAY = Walk("0.0.0.0_443", "", NAME, BLOCK)


def a_config(name: str = NAME, *, services: Sequence[OriginService] = (OriginService(HOST, "default", HOST),)) -> ProxyConfig:
    chain = FilterChain("", 0, (), (), name)
    listener = Listener("0.0.0.0_443", (("0.0.0.0", 443),), True, False, (), chain)
    return ProxyConfig((listener,), {name: EnvoyCluster(name, "ORIGINAL_DST", tuple(services))})


CONFIG = a_config()


def ask(
    way: Walk = WAY, *others: ServiceEntry, config: ProxyConfig = CONFIG, entry: ServiceEntry = ENTRY, pod: str = ""
) -> Owner:
    return find_owner(way, config, entry, others, 443, pod_namespace=pod)


# The recordings: entry of the case, and what it should be


def recorded(case: str) -> list[tuple[ServiceEntry, Owner]]:
    recording = recordings.load(case)
    # The recordings hold no times; the first object is the older.
    entries = [
        replace(read_entry(manifest), created=f"2026-11-23T04:00:{index:02}Z")
        for index, manifest in enumerate(recording.manifests)
        if manifest["kind"] == "ServiceEntry"
    ]
    config = parse_config(recording.config_dump or "")
    ip, _, port = recording.truth["remote"].rpartition(":")
    way = walk_config(config, ip, int(port), Probe("p", recording.truth["probe"]).speech)
    return [(entry, find_owner(way, config, entry, entries, int(port), pod_namespace="default")) for entry in entries]


OWNED_BY = {
    "cidrs-60": "many-ext",
    "destinationrule-tls": "wikipedia-ext",
    "http-80": "wikipedia-http",
    "ip-over-cidr": "one-ext",
    "ipv6": "wikipedia-ext",
    "no-addresses": "open-ext",
    "no-addresses-and-cidr": "open-ext",
    "not-captured": "wikipedia-ext",  # The walk's Envoy cluster is; only the capture tells that nothing came.
    "overlapping-cidrs": "wikipedia-ext",
    "plain-ips": "wikipedia-ext",
    "port-15001": "bad-ext",
    "port-15021": "bad-ext",
    "refused-beyond": "wikipedia-7777",
    "same-cidr-older-rival": "rival-ext",
    "same-cidr-two-entries": "wikipedia-ext",
    "same-host-two-namespaces": "wikipedia-ext",
    "seed": "wikipedia-ext",
    "seed-allow-any": "wikipedia-ext",
    "static-endpoint": "wikipedia-ext",
    "tls-and-tcp-same-cidr": "wikipedia-tls",
    "tls-sni": "wikipedia-tls",
    "tls-sni-and-tcp-cidr": "wikipedia-ext",
    "two-hosts": "two-ext",
    "two-ports": "wikipedia-ext",
    "virtualservice-subset": "wikipedia-ext",
    "zero-cidr": "zero-ext",
}
"""Whose work the Envoy cluster of the walk is; in all other recordings it is nobody's, or it cannot be told."""


@pytest.mark.parametrize("case", [case for case in recordings.cases() if recordings.load(case).config_dump])
def test_in_the_recordings_one_entry_at_most_owns_what_carries(case: str) -> None:
    owners = [str(entry) for entry, found in recorded(case) if found.ownership is Ownership.OWNED]
    assert owners == ([f"default/{OWNED_BY[case]}"] if case in OWNED_BY else [])


@pytest.mark.parametrize(
    ("case", "entry", "rival"),
    [
        ("same-cidr-older-rival", "default/wikipedia-ext", "default/rival-ext"),
        ("same-cidr-two-entries", "default/rival-ext", "default/wikipedia-ext"),
        ("ip-over-cidr", "default/wikipedia-ext", "default/one-ext"),
        ("overlapping-cidrs", "default/wide-ext", "default/wikipedia-ext"),
        ("no-addresses-and-cidr", "default/wikipedia-ext", "default/open-ext"),
        ("zero-cidr", "default/wikipedia-ext", "default/zero-ext"),
        ("same-host-two-namespaces", "other/wikipedia-ext", "default/wikipedia-ext"),
        ("virtualservice-tcp", "default/wikipedia-ext", None),
    ],
)
def test_in_the_recordings_the_rival_is_named_where_an_entry_holds_it(case: str, entry: str, rival: str | None) -> None:
    found = {str(each): found for each, found in recorded(case)}[entry]
    assert found.ownership is Ownership.OTHERS
    assert (str(found.rival) if found.rival else None) == rival


@pytest.mark.parametrize("case", ["outside-allow-any", "outside-registry-only", "port-not-listed", "sidecar-hides"])
def test_in_the_recordings_the_policys_envoy_cluster_is_nobodys(case: str) -> None:
    for _, found in recorded(case):
        assert (found.ownership, found.rival) == (Ownership.OTHERS, None)
        assert "the outbound traffic policy sends it to" in found.reason


@pytest.mark.parametrize("case", ["virtualservice-tcp-weighted", "virtualservice-unknown-host"])
def test_in_the_recordings_an_unknown_way_has_no_known_owner(case: str) -> None:
    assert {found.ownership for _, found in recorded(case)} == {Ownership.UNKNOWN}


# One entry


def test_an_entrys_own_envoy_cluster_is_owned() -> None:
    assert ask().ownership is Ownership.OWNED
    assert (
        ask(replace(WAY, envoy_cluster=f"outbound|443|v1|{HOST}"), config=a_config(f"outbound|443|v1|{HOST}")).ownership
        is Ownership.OWNED
    )


@pytest.mark.parametrize("prefix", ["208.80.154.224", "208.80.154.224/32"])
def test_a_listener_of_the_address_is_the_plain_addresss(prefix: str) -> None:
    assert ask(replace(WAY, prefix=prefix), entry=an_entry(addresses=("208.80.154.224",))).ownership is Ownership.OWNED
    assert ask(replace(WAY, prefix=prefix)).ownership is Ownership.UNKNOWN


def test_a_plain_address_of_a_tls_port_asks_for_no_server_name() -> None:
    tls = (Port(443, "TLS", "tls"),)
    plain = replace(WAY, prefix="208.80.154.224")
    assert ask(plain, entry=an_entry(addresses=("208.80.154.224",), ports=tls)).ownership is Ownership.OWNED
    # A block's chain without a server name is that of a TCP port.
    assert ask(entry=an_entry(ports=tls)).ownership is Ownership.UNKNOWN


@pytest.mark.parametrize("addresses", [(), ("0.0.0.0/0",)])
def test_a_filter_chain_without_a_block_is_the_entrys_without_addresses(addresses: tuple[str, ...]) -> None:
    assert ask(replace(WAY, prefix=""), entry=an_entry(addresses=addresses)).ownership is Ownership.OWNED
    assert ask(entry=an_entry(addresses=addresses)).ownership is Ownership.UNKNOWN


@pytest.mark.parametrize("envoy_cluster", ["PassthroughCluster", "BlackHoleCluster"])
def test_the_policys_envoy_clusters_are_others(envoy_cluster: str) -> None:
    assert ask(replace(WAY, envoy_cluster=envoy_cluster, prefix="")).ownership is Ownership.OTHERS


@pytest.mark.parametrize("chain", ["PassthroughFilterChain", "virtualOutbound-catchall-tcp"])
def test_a_policy_that_leads_to_a_host_does_not_make_it_the_entrys(chain: str) -> None:
    # A Sidecar resource's egressProxy names an outbound service.
    assert ask(replace(WAY, prefix="", filter_chain=chain), entry=an_entry(addresses=())).ownership is Ownership.OTHERS


def test_a_closed_connection_is_nobodys() -> None:
    assert ask(replace(WAY, envoy_cluster=None)).ownership is Ownership.OTHERS


def test_an_unknown_way_keeps_its_reason() -> None:
    assert ask(replace(WAY, unknown="why")) == Owner(Ownership.UNKNOWN, "why")


@pytest.mark.parametrize(
    "name", ["agent", "outbound|443|wikipedia.org", "inbound|443||wikipedia.org", "outbound|x||wikipedia.org"]
)
def test_a_name_that_is_not_understood_is_unknown(name: str) -> None:
    assert ask(replace(WAY, envoy_cluster=name), config=a_config(name)).ownership is Ownership.UNKNOWN


@pytest.mark.parametrize(
    "services",
    [
        [],
        [OriginService("other.example", "default", "other.example")],
        [OriginService(HOST, "", HOST)],
        [OriginService(HOST, "default", HOST), OriginService(HOST, "other", HOST)],
    ],
)
def test_metadata_that_does_not_name_one_namespace_is_unknown(services: list[OriginService]) -> None:
    assert ask(config=a_config(services=services)).ownership is Ownership.UNKNOWN


def test_without_the_envoy_clusters_it_is_unknown() -> None:
    assert ask(config=replace(CONFIG, envoy_clusters=None)).ownership is Ownership.UNKNOWN


def test_another_namespace_is_others_and_named() -> None:
    config = a_config(services=[OriginService(HOST, "other", HOST)])
    found = ask(config=config)
    assert (found.ownership, found.rival) == (Ownership.OTHERS, None)
    assert "host wikipedia.org of namespace other" in found.reason
    rival = an_entry(namespace="other")
    assert ask(WAY, rival, config=config).rival == rival


def test_a_host_in_another_case_is_another() -> None:
    assert ask(entry=an_entry(hosts=("Wikipedia.org",))).ownership is Ownership.OTHERS


def test_another_port_than_the_probes_is_others() -> None:
    name = f"outbound|8443||{HOST}"
    found = ask(replace(WAY, envoy_cluster=name), config=a_config(name), entry=an_entry(ports=(TCP, Port(8443, "TCP", "b"))))
    assert found.ownership is Ownership.OTHERS


PLAIN_80, HTTPS_443 = Port(80, "HTTP", "http"), Port(443, "HTTPS", "https")
UPGRADED = Walk("0.0.0.0_80", "", NAME, http_route=f"80 / {HOST}:80 / route 1", virtual_service="default/upgrade")
UPGRADED_WEB = an_entry(ports=(PLAIN_80, HTTPS_443), addresses=(), resolution="DNS")


def owner_of_upgrade(entry: ServiceEntry, *others: ServiceEntry, way: Walk = UPGRADED) -> Owner:
    return find_owner(way, CONFIG, entry, others, 80)


def test_a_virtualservice_may_lead_to_another_port_of_the_host() -> None:
    assert owner_of_upgrade(UPGRADED_WEB).ownership is Ownership.OWNED
    assert (
        "VirtualService default/upgrade sends port 80 of wikipedia.org to its port 443" in owner_of_upgrade(UPGRADED_WEB).reason
    )


def test_a_virtualservice_that_leads_to_a_port_of_another_entry_of_the_host_makes_it_that_entrys() -> None:
    plain, tls = replace(UPGRADED_WEB, ports=(PLAIN_80,)), replace(UPGRADED_WEB, name="tls", ports=(HTTPS_443,))
    found = owner_of_upgrade(plain, tls)
    assert (found.ownership, found.rival) == (Ownership.OTHERS, tls)
    assert owner_of_upgrade(tls, plain).ownership is Ownership.OWNED


def test_of_two_entries_with_that_port_the_older_has_it() -> None:
    older = replace(UPGRADED_WEB, name="older", created=OLDER)
    assert owner_of_upgrade(UPGRADED_WEB, older) == Owner(Ownership.OTHERS, owner_of_upgrade(UPGRADED_WEB, older).reason, older)
    assert owner_of_upgrade(older, UPGRADED_WEB).ownership is Ownership.OWNED
    assert owner_of_upgrade(UPGRADED_WEB, replace(UPGRADED_WEB, name="twin")).ownership is Ownership.UNKNOWN


@pytest.mark.parametrize(
    "way",
    [
        replace(UPGRADED, http_route="80 / other.example:80 / route 1"),
        replace(UPGRADED, http_route="", server_name="other.example"),
        replace(UPGRADED, http_route="", prefix="192.0.2.0/24"),
    ],
)
def test_what_a_virtualservice_leads_there_from_another_host_is_not_known_to_be_the_entrys(way: Walk) -> None:
    other = an_entry("other", hosts=("other.example",), addresses=("192.0.2.0/24",), ports=(Port(80, "TCP", "tcp"),))
    assert owner_of_upgrade(UPGRADED_WEB, other, way=way).ownership is Ownership.UNKNOWN


def test_a_port_that_the_entry_does_not_list_is_not_owned() -> None:
    entry = an_entry(ports=(Port(8443, "TCP", "a"), Port(443, "UDP", "b")))
    assert ask(entry=entry).ownership is Ownership.OTHERS  # the sidecar has it from before
    namesake = an_entry("a-ext")
    assert ask(WAY, namesake, entry=entry) == replace(ask(WAY, namesake, entry=entry), ownership=Ownership.OTHERS, rival=namesake)


# Several entries of one host and namespace


@pytest.mark.parametrize("addresses", [(BLOCK,), ("198.51.100.0/24", "208.80.154.230/27")])
def test_of_two_namesakes_that_list_the_block_the_older_holds_it(addresses: tuple[str, ...]) -> None:
    older, younger = (an_entry("z-ext", addresses=addresses, created=when) for when in (OLDER, YOUNGER))
    assert ask(WAY, older) == replace(ask(WAY, older), ownership=Ownership.OTHERS, rival=older)
    assert ask(WAY, younger).ownership is Ownership.OWNED


@pytest.mark.parametrize("name", ["a-ext", "z-ext"])
def test_which_of_two_namesakes_of_one_second_holds_the_block_is_chance(name: str) -> None:
    found = ask(WAY, an_entry(name))
    assert found.ownership is Ownership.UNKNOWN
    assert "which of them gets it is not known" in found.reason


def test_a_third_that_is_older_holds_it_before_two_of_one_second() -> None:
    older = an_entry("z-ext", created=OLDER)
    assert ask(WAY, an_entry("a-ext"), older).rival == older


def test_a_namesake_with_another_block_does_not_matter() -> None:
    assert ask(WAY, an_entry("a-ext", addresses=("198.51.100.0/24",), created=OLDER)).ownership is Ownership.OWNED


@pytest.mark.parametrize(
    "other", [an_entry("a-ext", hosts=("a.example",), created=OLDER), an_entry(namespace="other", created=OLDER)]
)
def test_an_older_entry_of_another_host_or_namespace_does_not_matter(other: ServiceEntry) -> None:
    # Had it taken the block, its own Envoy cluster would be there.
    assert ask(WAY, other).ownership is Ownership.OWNED


def test_a_block_that_nobody_lists_any_more_is_not_the_entrys() -> None:
    """The sidecar has it from before the entry was changed: the entry as it is on the Kubernetes cluster did not open it."""
    found = ask(replace(WAY, prefix="198.51.100.0/24"))
    assert (found.ownership, found.rival) == (Ownership.OTHERS, None)
    assert "198.51.100.0/24 on port 443 of the host wikipedia.org, which default/wikipedia-ext does not list" in found.reason


@pytest.mark.parametrize("prefix", ["208.80.154.0/24", "208.80.154.230/32", ""])
def test_a_part_of_a_block_or_more_than_it_is_not_known_to_be_the_entrys(prefix: str) -> None:
    assert ask(replace(WAY, prefix=prefix)).ownership is Ownership.UNKNOWN


def test_a_virtualservice_may_ask_for_a_part_of_a_block() -> None:
    part = replace(WAY, prefix="208.80.154.230/32", virtual_service="default/part")
    assert ask(part).ownership is Ownership.OWNED
    assert ask(replace(part, prefix="208.80.154.0/24")).ownership is Ownership.UNKNOWN
    # It may be the part of another's block, led to this host.
    assert ask(part, an_entry("a-ext", hosts=("a.example",))).ownership is Ownership.UNKNOWN


# HTTP and TLS, where the host decides

WEB, SECURE = Port(443, "HTTP", "web"), Port(443, "TLS", "tls")
ROUTED = replace(WAY, prefix="", http_route="443 / wikipedia.org:443 / default")
NAMED = replace(WAY, prefix="", server_name=HOST)


@pytest.mark.parametrize("addresses", [(), (BLOCK,)])
def test_a_route_of_http_is_the_entrys_whatever_its_addresses(addresses: tuple[str, ...]) -> None:
    assert ask(ROUTED, entry=an_entry(ports=(WEB,), addresses=addresses)).ownership is Ownership.OWNED


def test_a_route_of_an_address_of_its_own_is_that_addresss() -> None:
    own = replace(ROUTED, prefix="208.80.154.224")
    assert ask(own, entry=an_entry(ports=(WEB,), addresses=("208.80.154.224",))).ownership is Ownership.OWNED
    assert ask(own, entry=an_entry(ports=(WEB,), addresses=("208.80.154.225",))).ownership is Ownership.UNKNOWN


def test_a_server_name_is_the_entrys_that_has_the_host_and_the_block() -> None:
    assert ask(NAMED, entry=an_entry(ports=(SECURE,), addresses=())).ownership is Ownership.OWNED
    assert ask(replace(NAMED, prefix=BLOCK), entry=an_entry(ports=(SECURE,))).ownership is Ownership.OWNED
    assert ask(NAMED, entry=an_entry(ports=(SECURE,))).ownership is Ownership.UNKNOWN
    assert (
        ask(replace(NAMED, server_name="other.example"), entry=an_entry(ports=(SECURE,), addresses=())).ownership
        is not Ownership.OWNED
    )


@pytest.mark.parametrize(
    ("way", "port"), [(ROUTED, SECURE), (ROUTED, TCP), (NAMED, WEB), (NAMED, TCP), (WAY, WEB), (WAY, SECURE)]
)
def test_what_the_ports_protocol_does_not_make_is_not_owned(way: Walk, port: Port) -> None:
    entry = an_entry(ports=(port,), addresses=(BLOCK,) if way is WAY else ())
    assert ask(way, entry=entry).ownership is not Ownership.OWNED


def test_of_a_tls_and_a_tcp_entry_of_one_host_the_server_name_tells_which_it_is() -> None:
    secure, plain = an_entry("tls-ext", ports=(SECURE,), addresses=()), an_entry("tcp-ext", addresses=(), created=OLDER)
    assert ask(NAMED, plain, entry=secure).ownership is Ownership.OWNED
    assert ask(NAMED, secure, entry=plain) == replace(ask(NAMED, secure, entry=plain), ownership=Ownership.OTHERS, rival=secure)
    assert ask(replace(WAY, prefix=""), secure, entry=plain).ownership is Ownership.OWNED


# Addresses that Istio gave


@pytest.mark.parametrize("allocated", [("240.240.0.7",), ()])
def test_an_address_that_istio_gave_is_the_entrys_that_has_none(allocated: tuple[str, ...]) -> None:
    entry = an_entry(addresses=(), allocated=allocated, resolution="DNS")
    assert ask(replace(WAY, prefix="240.240.0.7"), entry=entry).ownership is Ownership.OWNED


@pytest.mark.parametrize(
    "entry",
    [
        an_entry(addresses=(), allocated=("240.240.0.8",), resolution="DNS"),
        an_entry(addresses=(), resolution="NONE"),  # it is given none
        an_entry(resolution="DNS"),
    ],
)
def test_an_address_that_istio_gave_another_is_not_the_entrys(entry: ServiceEntry) -> None:
    assert ask(replace(WAY, prefix="240.240.0.7"), entry=entry).ownership is not Ownership.OWNED


def test_the_block_of_a_namesake_is_the_namesakes() -> None:
    namesake = an_entry("a-ext", addresses=("198.51.100.0/24",))
    found = ask(replace(WAY, prefix="198.51.100.0/24"), namesake)
    assert (found.ownership, found.rival) == (Ownership.OTHERS, namesake)


@pytest.mark.parametrize("created", ["", "yesterday", "2026-11-23T03:00:00"])
def test_a_namesake_whose_age_is_not_known_leaves_it_open(created: str) -> None:
    assert ask(WAY, an_entry("a-ext", created=created)).ownership is Ownership.UNKNOWN


@pytest.mark.parametrize(
    ("mine", "theirs", "age", "pod", "expected"),
    [
        ((".",), ("*",), OLDER, "default", Ownership.OWNED),
        (("*",), (".",), YOUNGER, "default", Ownership.OTHERS),
        ((".",), ("*",), YOUNGER, "other", Ownership.OTHERS),
        (("*",), (".",), OLDER, "other", Ownership.OWNED),
        (("*",), ("~",), OLDER, "default", Ownership.OWNED),
        (("*",), (".",), OLDER, "", Ownership.UNKNOWN),
        ((), ("*",), OLDER, "default", Ownership.UNKNOWN),
        ((), ("*",), YOUNGER, "default", Ownership.OWNED),
        ((), (".",), YOUNGER, "default", Ownership.UNKNOWN),
        ((), (), OLDER, "default", Ownership.OTHERS),
        ((), (), YOUNGER, "", Ownership.OWNED),
    ],
)
def test_the_one_exported_to_fewer_comes_before_the_older(
    mine: tuple[str, ...], theirs: tuple[str, ...], age: str, pod: str, expected: Ownership
) -> None:
    # What an absent exportTo means is the mesh's choice: where it matters, nothing is known.
    other = an_entry("z-ext", export_to=theirs, created=age)
    assert ask(WAY, other, entry=an_entry(export_to=mine), pod=pod).ownership is expected


def test_a_shared_host_that_is_not_the_first_of_the_entry_leaves_it_open() -> None:
    entry = an_entry(hosts=("a.example", HOST))
    assert ask(entry=entry).ownership is Ownership.OWNED
    assert ask(WAY, an_entry("z-ext", created=YOUNGER), entry=entry).ownership is Ownership.UNKNOWN


def test_a_virtualservice_may_lead_another_entrys_block_here() -> None:
    other = an_entry("other-ext", namespace="other", hosts=("other.example",))
    assert ask(WAY, other).ownership is Ownership.OWNED
    way, everything = replace(WAY, prefix=""), an_entry(addresses=())
    assert ask(way, entry=everything).ownership is Ownership.OWNED
    rerouted = replace(way, virtual_service="default/detour")
    found = ask(rerouted, replace(other, addresses=()), entry=everything)
    assert found.ownership is Ownership.UNKNOWN
    assert "VirtualService default/detour" in found.reason


HOSTS = st.lists(st.sampled_from([HOST, "a.example", "z.example"]), min_size=1, unique=True).map(tuple)
BLOCKS = ["", BLOCK, "208.80.154.0/24", "0.0.0.0/0", "208.80.154.224/32", "2620:0:860::/46"]
ENTRIES = st.builds(
    an_entry,
    st.sampled_from(["a-ext", "wikipedia-ext", "z-ext"]),
    namespace=st.sampled_from(["default", "other"]),
    hosts=HOSTS,
    addresses=st.lists(st.sampled_from(BLOCKS[1:]), max_size=3).map(tuple),
    ports=st.sampled_from([(TCP,), (Port(8443, "TCP", "a"),)]),
    created=st.sampled_from([OLDER, YOUNGER, ""]),
    export_to=st.sampled_from([(), (".",), ("*",)]),
)


@given(ENTRIES, st.lists(ENTRIES, max_size=4), st.sampled_from(BLOCKS), st.sampled_from(["default", "other"]))
def test_nothing_is_owned_but_by_an_entry_that_lists_its_host_block_and_port(
    entry: ServiceEntry, others: list[ServiceEntry], prefix: str, namespace: str
) -> None:
    config = a_config(services=[OriginService(HOST, namespace, HOST)])
    found = ask(replace(WAY, prefix=prefix), *others, config=config, entry=entry, pod="default")
    assert found.reason
    if found.ownership is Ownership.OWNED:
        assert entry.namespace == namespace
        assert HOST in entry.hosts
        assert TCP in entry.ports
        assert prefix in entry.addresses or (prefix in ("", "0.0.0.0/0") and entry.addresses in ((), ("0.0.0.0/0",))) or (
            prefix == "" and "0.0.0.0/0" in entry.addresses
        )  # fmt: skip
    assert found.rival != entry


@given(st.lists(ENTRIES, min_size=2, max_size=4, unique_by=lambda each: (each.namespace, each.name)), st.sampled_from(BLOCKS))
def test_no_two_entries_own_one_filter_chain(entries: list[ServiceEntry], prefix: str) -> None:
    way = replace(WAY, prefix=prefix)
    owners = [each for each in entries if ask(way, *entries, entry=each, pod="default").ownership is Ownership.OWNED]
    assert len(owners) <= 1


# A way that is meant


GATEWAY = "istio-egressgateway.istio-system.svc.cluster.local"
THROUGH = f"outbound|443||{GATEWAY}"


@pytest.mark.parametrize(
    ("way", "ownership", "reason"),
    [
        (Walk("l", "c", THROUGH), Ownership.OWNED, f"goes to {GATEWAY}"),
        (Walk("l", "c", f"outbound|8443|v1|{GATEWAY}"), Ownership.OWNED, f"goes to {GATEWAY}"),
        (Walk("l", "c", f"outbound|443||{GATEWAY.upper()}"), Ownership.OWNED, "and the connection goes to"),
        (Walk("l", "c", f"inbound|443||{GATEWAY}"), Ownership.OTHERS, "and the connection goes to"),
        (Walk("l", "c", f"outbound|443||not-{GATEWAY}"), Ownership.OTHERS, "and the connection goes to"),
        (Walk("l", "c", NAME), Ownership.OTHERS, "goes to wikipedia.org"),
        (Walk("l", "c", "PassthroughCluster"), Ownership.OTHERS, "goes to PassthroughCluster"),
        (Walk("l", "c", GATEWAY), Ownership.OTHERS, "and the connection goes to"),
        (Walk("l", "c", None), Ownership.OTHERS, "no filter chain takes the connection"),
        (Walk("l", "c", None, unknown="a filter is not understood"), Ownership.UNKNOWN, "a filter is not understood"),
        (Walk("l", "c", THROUGH, unknown="a filter is not understood"), Ownership.UNKNOWN, "a filter is not understood"),
        (Walk("l", "c", None, choices=(THROUGH, f"outbound|443|v2|{GATEWAY}")), Ownership.OWNED, "and the connection goes to"),
        (Walk("l", "c", None, choices=(THROUGH, NAME)), Ownership.UNKNOWN, "chance decides between"),
        (Walk("l", "c", None, choices=(NAME, NAME)), Ownership.OTHERS, "goes to wikipedia.org"),
    ],
)
def test_the_way_that_is_meant_is_the_envoy_cluster_of_its_host(way: Walk, ownership: Ownership, reason: str) -> None:
    found = owner_of_expected_host(way, GATEWAY)
    assert found.ownership is ownership
    assert reason in found.reason
