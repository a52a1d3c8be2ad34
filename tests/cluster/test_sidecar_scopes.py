"""How much of an entry istiod's own generator gives a pod under a Sidecar resource, against what egressctl and its lab say.

Each namespace has Sidecars of its own, so that all of them are generated in one mesh. EGRESSCTL_TEST_SEED gives other ones.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import Any

import pytest

from cluster.binaries import Binaries
from cluster.generator import generate
from egressctl.envoy.walk import walk_config
from egressctl.istio.sidecar_scope import ImportScope, import_scope, sidecar_for_pod
from egressctl.lab.dataplane.names import REGISTRY_ONLY
from egressctl.lab.dataplane.objects import Workload
from egressctl.lab.dataplane.scope import scope
from egressctl.manifests.service_entry import read_entry

NAMESPACES = [f"n{number}" for number in range(100)]
LABELS = {"app": "sleep"}
ROOT = "istio-system"
BLOCKS = ["10.0.0.0/24", "10.0.1.0/24", "10.0.2.1"]
SCOPES = {0: ImportScope.NOTHING, 1: ImportScope.ONE_BLOCK, len(BLOCKS): ImportScope.WHOLE}
PLACES = ["*", "*", ".", "one", "two", "one", "~one", "~", "~.", "~*"]
HOSTS = ["*", "a.example", "b.a.example", "*.example", "*.a.example", "*a.example", "A.example", "other.example"]
SELECTORS: list[dict[str, Any]] = [
    *({}, {}, {"workloadSelector": {"labels": LABELS}}, {"workloadSelector": {"labels": {"app": "web"}}}),
    *({"workloadSelector": {"labels": {**LABELS, "tier": "web"}}}, {"workloadSelector": {}}),
]


def a_sidecar(chance: random.Random, namespace: str, **spec: Any) -> dict[str, Any]:
    hosts = [f"{chance.choice(PLACES)}/{chance.choice(HOSTS)}" for _ in range(chance.randint(1, 3))]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "Sidecar",
        "metadata": {
            "name": f"s{chance.randrange(10**6)}",
            "namespace": namespace,
            "creationTimestamp": f"2026-11-23T04:00:0{chance.randint(0, 1)}Z",
        },
        "spec": {"egress": [{"hosts": hosts}], **spec},
    }


def an_entry(number: int, namespace: str, host: str) -> dict[str, Any]:
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": f"e{number}", "namespace": namespace, "creationTimestamp": "2026-11-23T04:00:00Z"},
        "spec": {
            "hosts": [host],
            "addresses": BLOCKS,
            "location": "MESH_EXTERNAL",
            "resolution": "NONE",
            "ports": [{"number": 10_000 + number, "name": "tcp", "protocol": "TCP"}],
        },
    }


@pytest.mark.parametrize("of_the_mesh", [False, True], ids=["none in the root", "one in the root"])
def test_a_pod_has_as_much_of_an_entry_as_istiod_gives_it(programs: Binaries, of_the_mesh: bool) -> None:
    seed = int(os.environ.get("EGRESSCTL_TEST_SEED") or random.randrange(1 << 32))
    chance = random.Random(seed)
    places = [("one", "a.example"), ("one", "b.a.example"), ("two", "c.example"), ("two", "*.b.example"), ("one", "A.example")]
    places += [(namespace, f"{namespace}.a.example") for namespace in NAMESPACES[:9]]
    entries = [an_entry(number, *place) for number, place in enumerate(places)]
    *by_chance, last = NAMESPACES
    sidecars = [
        a_sidecar(chance, namespace, **chance.choice(SELECTORS)) for namespace in by_chance for _ in range(chance.randint(0, 3))
    ]
    sidecars += [a_sidecar(chance, ROOT)] * of_the_mesh
    # What names no wildcard at all gives one block of a host, which chance alone does not always make.
    sidecars += [a_sidecar(chance, last, egress=[{"hosts": ["one/a.example"]}])]
    [answer] = generate(programs.istiod, [*entries, *sidecars], NAMESPACES)
    met = Counter[ImportScope]()
    for namespace in NAMESPACES:
        holds = sidecar_for_pod(sidecars, namespace, LABELS, ROOT)
        lab = scope(sidecars, Workload(namespace, LABELS), REGISTRY_ONLY)
        for entry in map(read_entry, entries):
            [port] = entry.ports
            ways = [walk_config(answer[namespace], ip, port.number).envoy_cluster for ip in ("10.0.0.1", "10.0.1.1", "10.0.2.1")]
            theirs = SCOPES[sum(way == f"outbound|{port.number}||{entry.hosts[0]}" for way in ways)]
            ours = import_scope(holds, entry, port.number, namespace) if holds else ImportScope.WHOLE
            told = f"EGRESSCTL_TEST_SEED={seed}: {entry}, for pods of {namespace}: {holds}"
            assert (ours, lab.shown(entry.hosts[0], entry.namespace)) == (theirs, theirs), told
            met[theirs] += 1
    assert len(met) == 3, met
