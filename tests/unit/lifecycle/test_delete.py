"""Connections that outlive the entry that let them out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from egressctl.envoy.counts import HostCounts
from egressctl.lifecycle.delete import count_open_connections
from egressctl.model.entry import Port, ServiceEntry

GONE = ServiceEntry(
    name="wikipedia-ext",
    namespace="default",
    hosts=("wikipedia.org", "two.example"),
    addresses=("208.80.154.224/27",),
    ports=(Port(443, "TCP", "tcp"), Port(80, "HTTP", "http")),
    resolution="NONE",
    location="MESH_EXTERNAL",
    export_to=(),
)


def counts(**active: int) -> dict[str, HostCounts]:
    names = {
        "own": "outbound|443||wikipedia.org",
        "subset": "outbound|443|v1|wikipedia.org",
        "second": "outbound|443||two.example",
    }
    more = {"http": "outbound|80||wikipedia.org", "port": "outbound|8443||wikipedia.org", "other": "outbound|443||other.example"}
    named = {**names, **more, "passthrough": "PassthroughCluster"}
    return {named[key]: HostCounts({}, True, number) for key, number in active.items()}


@pytest.mark.parametrize(
    ("active", "number"),
    [
        ({}, 0),
        ({"own": 0}, 0),
        ({"own": 2}, 2),
        ({"own": 2, "second": 1, "subset": 4}, 7),
        ({"http": 3}, 0),
        ({"port": 1, "other": 1, "passthrough": 9}, 0),
    ],
)
def test_those_of_the_entrys_envoy_clusters_are_counted(active: dict[str, int], number: int) -> None:
    assert count_open_connections(counts(**active), [GONE]) == number


def test_those_of_an_envoy_cluster_that_another_entry_keeps_are_not() -> None:
    other = replace(GONE, name="other-ext", hosts=("wikipedia.org",), ports=(Port(443, "TLS", "tls"),))
    assert count_open_connections(counts(own=2, second=1), [GONE], [other]) == 1
    assert count_open_connections(counts(own=2, second=1), [GONE], [replace(other, ports=(Port(444, "TCP", "tcp"),))]) == 3
