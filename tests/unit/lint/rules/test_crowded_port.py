"""How many filter chains entries make on a port."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from egressctl.lint.rules.crowded_port import crowded_ports
from egressctl.model.entry import Port, ServiceEntry
from entries import entry


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
