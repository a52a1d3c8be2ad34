"""The walk through a sidecar's configuration ends where a real Envoy leads real connections, whatever is in it.

Random objects, random connections from the pod; which Envoy cluster carried each is read from Envoy's access log, by the
client's address and the connection's own. By default they are few and the same each time; EGRESSCTL_TEST_ALL asks for others and
more. EGRESSCTL_TEST_WALKS says how many rounds of connections there are, EGRESSCTL_TEST_SEED repeats those of a failure.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from egressctl.envoy.config import ProxyConfig
from egressctl.envoy.dump import parse_config
from egressctl.envoy.walk import walk_config
from egressctl.lab import control
from egressctl.model.evidence import Walk
from egressctl.model.probe import SILENT, Speech
from examples import EVERYTHING
from labs import Lab, eventually

ROUNDS = int(os.environ.get("EGRESSCTL_TEST_WALKS") or ("14" if EVERYTHING else "6"))
CONNECTIONS = 40
LEAST = 300
"""Connections whose end the walk must know, and know rightly, of all those of fourteen rounds."""

ISTIO = "/apis/networking.istio.io/v1/namespaces/default"
PORTS = (80, 443, 8080, 9000)
BLOCKS = ("198.18.0.0/16", "198.18.1.0/24", "198.18.1.64/26", "198.18.2.0/23", "198.18.2.0/24", "198.18.1.7/25", "0.0.0.0/0")
ADDRESSES = ("198.18.1.5", "198.18.1.70", "198.18.2.9", "198.18.3.1", "198.51.100.1")
HOSTS = ("a.example", "www.a.example", "b.example", "*.a.example", "*.b.example", "c.example")
NAMES = ("a.example", "www.a.example", "x.a.example", "y.x.a.example", "b.example", "deep.b.example", "c.example", "d.example")

CLIENT = Path(__file__).parent / "connections.py"


@dataclass(frozen=True)
class Connection:
    """A connection to make from the pod."""

    kind: str
    ip: str
    port: int
    name: str = ""
    protocols: tuple[str, ...] = ()
    path: str = "/"

    @property
    def speech(self) -> Speech:
        if self.kind == "bare":
            return SILENT
        if self.kind == "tls":
            return Speech(tls=True, server_name=self.name, protocols=self.protocols)
        return Speech(tls=False, protocols=("http/1.1",), authority=self.name, path=self.path)


def some(chance: random.Random, values: tuple[str, ...], least: int, most: int) -> list[str]:
    return chance.sample(values, chance.randint(least, most))


def an_entry(chance: random.Random, number: int) -> dict[str, Any]:
    protocol = chance.choice(("TCP", "TCP", "TLS", "TLS", "HTTP"))
    addresses = some(chance, BLOCKS + ADDRESSES, 0, 3) if chance.random() < 0.7 else []
    ports = [
        {"number": port, "name": f"port-{port}", "protocol": protocol} for port in chance.sample(PORTS, chance.randint(1, 2))
    ]
    spec = {"hosts": some(chance, HOSTS, 1, 2), "addresses": addresses, "ports": ports, "resolution": "NONE"}
    if chance.random() < 0.2:
        spec["exportTo"] = ["."]
    return {"kind": "ServiceEntry", "metadata": {"name": f"entry-{number}"}, "spec": spec}


def a_sidecar(chance: random.Random) -> dict[str, Any]:
    # Not `~/*`, which leaves out the marker as well; nothing but the marker is the same without it.
    hosts = chance.choice((["*/*"], ["./*"], ["./a.example", "*/*.b.example"], [], ["*/*", "~/a.example"], ["other/*"]))
    spec: dict[str, Any] = {"egress": [{"hosts": [*hosts, "*/*.marker.example"]}]}
    if chance.random() < 0.5:
        spec["outboundTrafficPolicy"] = {"mode": chance.choice(("ALLOW_ANY", "REGISTRY_ONLY"))}
    return {"kind": "Sidecar", "metadata": {"name": "limit"}, "spec": spec}


def a_detour(chance: random.Random, number: int) -> dict[str, Any]:
    host, port = chance.choice(HOSTS), chance.choice(PORTS)
    to = [*some(chance, ("a.example", "b.example", "c.example", "nowhere.example"), 1, 2)]
    route = [{"destination": {"host": each, "port": {"number": port}}, "weight": 100 // len(to)} for each in to]
    subnets = {"destinationSubnets": ["198.18.1.64/26"]} if chance.random() < 0.3 else {}
    http: list[dict[str, Any]] = [
        {"match": [{"uri": {"prefix": "/direct"}}], "directResponse": {"status": 418}},
        {"route": route},
    ]
    spec: dict[str, Any] = {
        "hosts": [host],
        "tcp": [{"match": [{"port": port, **subnets}], "route": route}],
        "tls": [{"match": [{"port": port, "sniHosts": [host]}], "route": route}],
        "http": http,
    }
    kept = chance.choice(("tcp", "tls", "http"))
    return {
        "kind": "VirtualService",
        "metadata": {"name": f"detour-{number}"},
        "spec": {name: value for name, value in spec.items() if name in ("hosts", kept)},
    }


def a_mesh(chance: random.Random) -> list[dict[str, Any]]:
    mesh = [an_entry(chance, number) for number in range(chance.randint(1, 6))]
    mesh += [a_sidecar(chance)] if chance.random() < 0.3 else []
    return mesh + [a_detour(chance, number) for number in range(chance.choice((0, 0, 1, 2)))]


def a_connection(chance: random.Random) -> Connection:
    kind = chance.choice(("bare", "tls", "tls", "http", "http"))
    ip, port = chance.choice(ADDRESSES), chance.choice(PORTS)
    if kind == "bare":
        return Connection(kind, ip, port)
    name = chance.choice(NAMES)
    if kind == "tls":
        return Connection(kind, ip, port, chance.choice((name, name, "")), chance.choice(((), ("http/1.1",))))
    return Connection(kind, ip, port, name, path=chance.choice(("/", "/direct/1")))


PLURALS = {"ServiceEntry": "serviceentries", "Sidecar": "sidecars", "VirtualService": "virtualservices"}


@pytest.fixture(scope="module")
def own_lab(lab_home: Path) -> Iterator[Lab]:
    name = f"walk-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    yield Lab(control.up(name))
    control.down(name)


def changed(lab: Lab, before: list[str], mesh: list[dict[str, Any]], number: int) -> list[str]:
    """Put a mesh in another's place, and wait until the sidecar has it; return the paths of its objects."""
    control.stall(lab.name)
    for path in before:
        lab.api("DELETE", path)
    marker: dict[str, Any] = {"hosts": [f"m{number}.marker.example"], "addresses": ["240.0.0.0/24"], "resolution": "NONE"}
    marker["ports"] = [{"number": 9, "name": "tcp", "protocol": "TCP"}]
    made = []
    for manifest in (*mesh, {"kind": "ServiceEntry", "metadata": {"name": f"marker-{number}"}, "spec": marker}):
        path = f"{ISTIO}/{PLURALS[manifest['kind']]}"
        status, answer = lab.api("POST", path, {"apiVersion": "networking.istio.io/v1", **manifest})
        assert status == 201, answer
        made.append(f"{path}/{manifest['metadata']['name']}")
    control.resume(lab.name)
    assert eventually(lambda: f"outbound|9||m{number}.marker.example" in lab.admin_text("clusters"))
    return made


def configuration(lab: Lab) -> str:
    return lab.admin_text("config_dump")


def sent(lab: Lab, connections: list[Connection], first: int) -> dict[tuple[str, str], Connection]:
    """Make the connections from the pod, from local ports that begin with `first`; return them by what the log calls them."""
    argv, env = control.exec_argv(lab.name, [sys.executable, str(CLIENT)])
    asked = [{**asdict(each), "local_port": port} for port, each in enumerate(connections, first)]
    subprocess.run(argv, env=env, input=json.dumps(asked), capture_output=True, text=True, check=True)
    return {(f"{each.ip}:{each.port}", str(port)): each for port, each in enumerate(connections, first)}


@dataclass(frozen=True)
class Carried:
    """What Envoy's access log says of a connection."""

    envoy_cluster: str
    code: str
    flags: str
    route: str


def logged(log: Path, start: int) -> dict[tuple[str, str], Carried]:
    """Return each connection's line, by the address that it was bound for and the client's port."""
    found = {}
    for text in log.read_bytes()[start:].decode().splitlines():
        _, _, rest = text.partition('" ')
        code, flags, _ = rest.split(" ", 2)
        *_, envoy_cluster, _, bound_for, client, _, route = text.split(" ")
        found[bound_for, client.rpartition(":")[2]] = Carried(envoy_cluster, code, flags, route)
    return found


def agrees(expected: Walk, carried: Carried | None) -> bool:
    """Whether the walk's end is what the log says."""
    if carried is None:
        return not (expected.envoy_cluster or expected.choices or expected.direct_status)
    if expected.choices:
        return carried.envoy_cluster in expected.choices or (carried.envoy_cluster, carried.flags) == ("-", "NC")
    if expected.absent:
        return carried.envoy_cluster in ("-", expected.envoy_cluster) and carried.flags == "NC"
    if expected.direct_status:
        return (carried.envoy_cluster, carried.code) == ("-", str(expected.direct_status))
    return carried.envoy_cluster == expected.envoy_cluster


@dataclass(frozen=True)
class Round:
    """One configuration, and what became of random connections under it."""

    mesh: list[dict[str, Any]]
    config: ProxyConfig
    connections: dict[tuple[str, str], Connection]
    log: Path
    start: int

    def ends(self) -> Iterator[tuple[Connection, Walk, Carried | None]]:
        """Yield where the walk ends and where Envoy led, for each connection whose end the walk knows."""
        walks = {key: walk_config(self.config, each.ip, each.port, each.speech) for key, each in self.connections.items()}
        due = {key for key, end in walks.items() if not end.unknown and not is_nothing(end)}
        eventually(lambda: due <= logged(self.log, self.start).keys())
        carried = logged(self.log, self.start)
        yield from ((self.connections[key], end, carried.get(key)) for key, end in walks.items() if not end.unknown)


def is_nothing(end: Walk) -> bool:
    return not (end.envoy_cluster or end.choices or end.direct_status)


def a_round(lab: Lab, mesh: list[dict[str, Any]], connections: list[Connection], ports: Iterator[int]) -> Round:
    """Make the connections under a configuration that stays the same."""
    log = control.logs(lab.name)["access"]
    while True:
        start, dump = log.stat().st_size, configuration(lab)
        by_key = sent(lab, connections, next(ports))
        if parse_config(configuration(lab)).versions == parse_config(dump).versions:
            return Round(mesh, parse_config(dump), by_key, log, start)


def test_the_walk_ends_where_envoy_leads(own_lab: Lab) -> None:
    seed = int(os.environ.get("EGRESSCTL_TEST_SEED") or (random.randrange(1 << 32) if EVERYTHING else 0))
    chance, ends = random.Random(seed), Counter[str]()
    paths: list[str] = []
    ports = iter(range(10000, 32000, CONNECTIONS))
    for number in range(ROUNDS):
        mesh, connections = a_mesh(chance), [a_connection(chance) for _ in range(CONNECTIONS)]
        control.set_policy(own_lab.name, chance.choice(("REGISTRY_ONLY", "ALLOW_ANY")))
        paths = changed(own_lab, paths, mesh, number)
        for connection, expected, carried in a_round(own_lab, mesh, connections, ports).ends():
            if not agrees(expected, carried):
                pytest.fail(
                    f"EGRESSCTL_TEST_SEED={seed}, round {number}\n{connection}\n{expected}\n{carried}\n{json.dumps(mesh)}"
                )
            ends[carried.envoy_cluster.partition("|")[0] if carried else "nothing"] += 1
    assert ends.total() >= LEAST * ROUNDS // 14, ends
    if ROUNDS >= 14:
        assert ends.keys() >= {"outbound", "BlackHoleCluster", "PassthroughCluster", "-"}
