"""Which of two ServiceEntries istiod's own generator gives to a sidecar, against what egressctl and its lab say of them.

Each pair has a port of its own, so that all of them are generated in one mesh. EGRESSCTL_TEST_SEED gives other pairs,
EGRESSCTL_TEST_TIES another number of them. What istiod leaves to chance, it is asked several times.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from ipaddress import ip_network
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from cluster.binaries import Binaries
from cluster.generator import generate
from egressctl.envoy.config import ProxyConfig
from egressctl.envoy.dump import parse_config
from egressctl.envoy.walk import walk_config
from egressctl.istio.conflict import EntryConflict
from egressctl.istio.conflicts import find_conflicts
from egressctl.istio.export_to import PUBLIC, is_exported_to_namespace
from egressctl.istio.listing import lists_address
from egressctl.istio.precedence import (
    entry_that_pods_get,
    first_by_rank,
    first_entry_in_sidecar,
    merge_key,
    rank_of,
    rank_of_service,
)
from egressctl.lab.dataplane.envoy_config import build_sidecar_config
from egressctl.lab.dataplane.names import REGISTRY_ONLY
from egressctl.lab.dataplane.objects import Workload
from egressctl.lab.state import Paths
from egressctl.manifests.service_entry import read_entry
from egressctl.model.entry import ServiceEntry
from egressctl.model.probe import Probe
from sidecars import as_dump

COUNT = int(os.environ.get("EGRESSCTL_TEST_TIES", "200"))
TIMES = 6
NAMESPACES = ("one", "two", "three")
FIRST_PORT, FURTHER = 10_000, 20_000
"""A pair's port, and that which only one of its entries has besides: so many higher."""
OLD, SAME, YOUNG = "2026-11-23T03:00:00Z", "2026-11-23T04:00:00Z", "2026-11-23T05:00:00Z"
CREATED = ((SAME, SAME), (SAME, SAME), (SAME, SAME), (OLD, YOUNG), (YOUNG, OLD), ("", OLD), (OLD, ""), ("", ""))
EXPORTS = ((), (), (), ("*",), (".",), ("three",), ("one", "two"), (".", "three"))
RESOLUTIONS: tuple[dict[str, Any], ...] = (
    {"resolution": "NONE"},
    {"resolution": "NONE"},
    {"resolution": "STATIC", "endpoints": [{"address": "192.0.2.1"}]},
    {"resolution": "DNS"},
)
OUTSIDE = Paths(Path("/"), "lab")


class Pair(NamedTuple):
    """Two entries that name the same port, as manifests and as read from them."""

    port: int
    manifests: tuple[dict[str, Any], dict[str, Any]]
    entries: tuple[ServiceEntry, ServiceEntry]

    @property
    def common(self) -> set[str]:
        return {*self.entries[0].hosts} & {*self.entries[1].hosts}


def a_manifest(
    name: str, namespace: str, hosts: list[str], address: str, created: str, ports: Sequence[int], protocol: str
) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": name, "namespace": namespace, **({"creationTimestamp": created} if created else {})},
        "spec": {
            "hosts": hosts,
            "addresses": [address] if address else [],
            "location": "MESH_EXTERNAL",
            "ports": [{"number": number, "name": f"p{number}", "protocol": protocol} for number in ports],
        },
    }


def a_pair(chance: random.Random, port: int) -> Pair:
    host = f"h{port}.example"
    # The same host, the same in another case, two that differ, two that differ in case besides; sometimes with a second one.
    hosts = chance.choice(
        [
            ([host], [host]),
            ([host], [host]),
            ([host], [host.upper()]),
            ([f"a{host}"], [f"b{host}"]),
            ([f"a{host}"], [f"B{host}"]),
            ([f"z{host}", f"a{host}"], [f"b{host}"]),
            ([host, f"a{host}"], [host, f"b{host}"]),
        ]
    )
    sides = list(zip(hosts, chance.sample(["a", "z"], 2), chance.choice(CREATED), strict=True))
    chance.shuffle(sides)
    spaces = chance.choice([("one", "one"), ("one", "two"), ("two", "one")])
    blocks = chance.choice([("10.0.0.0/24", "10.0.0.0/24"), ("10.0.0.1", "10.0.0.1/32"), ("10.0.0.0/24", "10.0.1.0/24")])
    team = {"team": "a"}
    labels: tuple[dict[str, str], dict[str, str]] = chance.choice([({}, {}), ({}, {}), (team, {})])
    protocol = chance.choice(["TCP", "TCP", "TCP", "HTTP"])
    further = chance.choice([False, True])
    made = []
    for side, ((names, name, created), namespace, block, label) in enumerate(zip(sides, spaces, blocks, labels, strict=True)):
        ports = (port, *([port + FURTHER] if further and side else []))
        address = block if protocol == "TCP" else ""
        entry = a_manifest(f"{name}{port}", namespace, names, address, created, ports, protocol)
        entry["metadata"]["labels"] = label
        entry["spec"] |= {"exportTo": list(chance.choice(EXPORTS)), **chance.choice(RESOLUTIONS)}
        made.append(entry)
    one, two = made
    return Pair(port, (one, two), (read_entry(one), read_entry(two)))


Answers = dict[str, str | None]
"""What is asked of a sidecar's configuration, and the answer: None where istiod is said to leave it to chance, or to time."""


def seen_in(config: ProxyConfig, pair: Pair) -> Answers:
    """Return what a sidecar really has: for each host and port the Envoy cluster's namespace and type, and where traffic goes."""
    found: Answers = {}
    known = config.envoy_clusters or {}
    for host in {host for entry in pair.entries for host in entry.hosts}:
        for port in (pair.port, pair.port + FURTHER):
            cluster = known.get(f"outbound|{port}||{host}")
            found[f"namespace of {host}:{port}"] = cluster.services[0].namespace if cluster else "none"
            if cluster and port == pair.port:
                found[f"type of {host}"] = cluster.type
        if is_http(pair):
            found[f"route of {host.lower()}"] = led_to(config, "198.51.100.1", pair.port, f"http://{host}:{pair.port}/")
    for ip in ("10.0.0.1", "10.0.1.1"):
        found[f"way to {ip}"] = led_to(config, ip, pair.port, f"tcp://{ip}:{pair.port}")
    return found


def led_to(config: ProxyConfig, ip: str, port: int, url: str) -> str:
    found = walk_config(config, ip, port, Probe("p", url).speech).envoy_cluster or ""
    return found if found.startswith("outbound|") else "none"


def is_http(pair: Pair) -> bool:
    return pair.entries[0].ports[0].protocol == "HTTP"


def said_of(pair: Pair, namespace: str, default: Sequence[str]) -> Answers:
    """Return what egressctl says a sidecar of a namespace has."""
    one, two = pair.entries
    kept = {each.name: set(each.hosts) if is_exported_to_namespace(each, namespace, default) else set() for each in pair.entries}
    common = kept[one.name] & kept[two.name]
    unsure = False
    if common and one.namespace != two.namespace:
        chosen, _ = entry_that_pods_get(one, two, namespace, default)
        unsure = chosen is None
        kept = {name: hosts if chosen and name == chosen.name else hosts - common for name, hosts in kept.items()}
    said: Answers = {}
    for host in {*one.hosts, *two.hosts}:
        entries = [each for each in pair.entries if host in kept[each.name]]
        for port in (pair.port, pair.port + FURTHER):
            said[f"namespace of {host}:{port}"] = namespace_of_cluster(entries, host, port, default)
        if entries:
            first = first_of(entries, default, host)
            types = {TYPES[each.resolution] for each in ([first] if first else entries)}
            said[f"type of {host}"] = types.pop() if len(types) == 1 else None
        if is_http(pair):
            # A route leads to the host in small letters, however the entry writes it.
            there = host.lower() in {name.lower() for hosts in kept.values() for name in hosts}
            said[f"route of {host.lower()}"] = f"outbound|{pair.port}||{host.lower()}" if there else "none"
    for ip in ("10.0.0.1", "10.0.1.1"):
        if is_http(pair):
            continue
        entries = [each for each in pair.entries if kept[each.name] and lists_address(each, ip)]
        first = first_of(entries, default)
        alike = {min(kept[each.name]) for each in entries}
        to = min(kept[first.name]) if first else alike.pop() if len(alike) == 1 else None
        said[f"way to {ip}"] = "none" if not entries else f"outbound|{pair.port}||{to}" if to else None
    return dict.fromkeys(said) if unsure else said


TYPES = {"NONE": "ORIGINAL_DST", "STATIC": "EDS", "DNS": "STRICT_DNS"}


def first_of(entries: Sequence[ServiceEntry], default: Sequence[str], host: str = "") -> ServiceEntry | None:
    return first_entry_in_sidecar(entries[0], entries[1], default, host)[0] if len(entries) == 2 else next(iter(entries), None)


def namespace_of_cluster(entries: Sequence[ServiceEntry], host: str, port: int, default: Sequence[str]) -> str | None:
    """Return whose Envoy cluster of a host there is on a port: that of the first, and of the other where both are alike."""
    having = [each for each in entries if any(each_port.number == port for each_port in each.ports)]
    if not having or len(having) == len(entries) or len({merge_key(each) for each in entries}) == 1:
        return having[0].namespace if having else "none"
    first = first_of(entries, default, host)
    return None if first is None else first.namespace if first in having else "none"


Rounds = list[dict[str, ProxyConfig]]


@pytest.fixture(scope="module")
def seed() -> int:
    return int(os.environ.get("EGRESSCTL_TEST_SEED") or random.randrange(1 << 32))


@pytest.fixture(scope="module")
def asked(seed: int) -> list[Pair]:
    chance = random.Random(seed)
    return [a_pair(chance, FIRST_PORT + number) for number in range(COUNT)]


@pytest.fixture(scope="module")
def of_istiod(programs: Binaries, asked: list[Pair]) -> dict[tuple[str, ...], Rounds]:
    """Return what istiod generates, by what the mesh makes of an absent exportTo."""
    manifests = [manifest for pair in asked for manifest in pair.manifests]
    ask = partial(generate, programs.istiod, manifests, NAMESPACES, times=TIMES)
    return {default: ask(default_export_to=default) for default in (PUBLIC, (".",))}


def test_each_of_hundreds_of_pairs_gets_what_istiod_gives_it(
    of_istiod: dict[tuple[str, ...], Rounds], asked: list[Pair], seed: int
) -> None:
    wrong, certain, both_ways = [], 0, 0
    for default, rounds in of_istiod.items():
        for pair, namespace in product(asked, NAMESPACES):
            seen = [seen_in(answer[namespace], pair) for answer in rounds]
            unsure = set()
            for question, said in said_of(pair, namespace, default).items():
                answers = {each.get(question) for each in seen}
                if said is None:
                    unsure.add(len(answers) > 1)
                    continue
                certain += 1
                if answers != {said}:
                    wrong.append(f"{default}, {namespace}: {question}: {said}, istiod: {answers}: {pair.entries}")
            both_ways += True in unsure
            # Of two without age the one that is made first comes first; of two of one second, chance chooses.
            if unsure == {False} and not any(each.created for each in pair.entries):
                wrong.append(f"{default}, {namespace}: istiod leaves nothing to time: {pair.entries}")
    assert not wrong, f"EGRESSCTL_TEST_SEED={seed}: {len(wrong)} of {certain}\n" + "\n".join(wrong[:5])
    assert certain > 20 * COUNT
    assert both_ways


def test_whom_lint_calls_the_winner_has_the_traffic(
    of_istiod: dict[tuple[str, ...], Rounds], asked: list[Pair], seed: int
) -> None:
    wrong, certain = [], Counter[str]()
    for pair, namespace, (mine, theirs) in product(asked, NAMESPACES, ((0, 1), (1, 0))):
        entry, other = pair.entries[mine], pair.entries[theirs]
        if not all(is_exported_to_namespace(each, namespace) for each in pair.entries):
            continue
        for found in find_conflicts(entry, [other], namespace):
            for said in what_winning_means(pair, found):
                certain[found.rule] += 1
                if bad := {seen_in(each[namespace], pair)[said.question] for each in of_istiod[PUBLIC]} - said.answers:
                    wrong.append(f"{namespace}: {found}: istiod has {bad} of {said}: {pair.entries}")
    assert not wrong, f"EGRESSCTL_TEST_SEED={seed}: {len(wrong)} of {certain}\n" + "\n".join(wrong[:5])
    assert {*certain} == {"same-host", "same-block"}


class Meaning(NamedTuple):
    """What a sidecar has to have where an entry is the winner of a conflict."""

    question: str
    answers: set[str | None]


def what_winning_means(pair: Pair, found: EntryConflict) -> Iterator[Meaning]:
    winner, loser = sorted(pair.entries, key=lambda each: str(each) != found.winner)
    if not found.winner:
        return
    if found.rule == "same-block":
        ip = next(iter(ip_network(winner.addresses[0]).hosts()))
        yield Meaning(f"way to {ip}", {f"outbound|{pair.port}||{host}" for host in winner.hosts})
    for host in pair.common if found.rule == "same-host" else ():
        if winner.namespace != loser.namespace:
            yield Meaning(f"namespace of {host}:{pair.port}", {winner.namespace})
        for port in {port.number for port in loser.ports} - {port.number for port in winner.ports}:
            yield Meaning(f"namespace of {host}:{port}", {"none"})


def test_the_labs_sidecar_has_what_istiods_has(asked: list[Pair], seed: int) -> None:
    objects = {"serviceentries": tuple(manifest for pair in asked for manifest in pair.manifests)}
    wrong = []
    for namespace in NAMESPACES:
        config = parse_config(as_dump(build_sidecar_config(objects, REGISTRY_ONLY, Workload(namespace, {}), OUTSIDE)))
        for pair in asked:
            seen = seen_in(config, pair)
            for question, said in said_of(pair, namespace, PUBLIC).items():
                # The lab writes the endpoints into the Envoy cluster itself.
                if said is not None and seen.get(question) != ("STATIC" if said == "EDS" else said):
                    wrong.append(f"{namespace}: {question}: {seen.get(question)}, istiod: {said}: {pair.entries}")
    assert not wrong, f"EGRESSCTL_TEST_SEED={seed}: {len(wrong)}\n" + "\n".join(wrong[:5])


def test_of_a_service_and_an_entry_of_one_address_istiod_gives_the_one_that_ranks_first(programs: Binaries, seed: int) -> None:
    chance = random.Random(seed)
    entries: list[dict[str, Any]] = []
    services: list[dict[str, Any]] = []
    for number in range(COUNT // 4):
        address, port = f"10.96.{number // 250}.{number % 250 + 1}", FIRST_PORT + number
        made = chance.choice([OLD, SAME, SAME, YOUNG])
        exports = chance.choice([{}, {}, {"networking.istio.io/exportTo": ".,three"}])
        metadata = {"name": chance.choice("az"), "namespace": f"n{number}", "creationTimestamp": made, "annotations": exports}
        ports = [{"name": "tcp-a", "port": port, "protocol": "TCP"}]
        services.append({"metadata": metadata, "spec": {"clusterIP": address, "clusterIPs": [address], "ports": ports}})
        entry = a_manifest(f"ext{number}", "one", [f"h{number}.example"], address, SAME, [port], "TCP")
        entry["spec"]["exportTo"] = chance.choice([[], [], ["three"]])
        entries.append(entry)
    firsts = Counter[str]()
    for answer in generate(programs.istiod, entries, ["three"], services=services, times=2):
        for manifest, service in zip(entries, services, strict=True):
            read, place = read_entry(manifest), service["metadata"]
            mine, its = rank_of(read), rank_of_service(service)
            first, why = first_by_rank(mine, its, "name")
            host = read.hosts[0] if first is mine else f"{place['name']}.{place['namespace']}.svc.cluster.local"
            led = walk_config(answer["three"], read.addresses[0], read.ports[0].number).envoy_cluster
            assert led == f"outbound|{read.ports[0].number}||{host}", f"EGRESSCTL_TEST_SEED={seed}: {why}: {read}, {service}"
            firsts[why] += 1
    assert len(firsts) == 3, firsts
