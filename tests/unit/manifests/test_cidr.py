"""Blocks as numbers say the same as the library's networks."""

from __future__ import annotations

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from egressctl.manifests.cidr import BlockSet, parse_cidr

SMALL = st.builds("10.{}.{}.{}/{}".format, *(st.integers(0, 3),) * 3, st.integers(6, 32))
ANY = st.one_of(SMALL, st.builds(str, st.ip_addresses()), st.builds("2001:db8::/{}".format, st.integers(20, 64)))


@given(ANY, ANY)
def test_two_blocks_overlap_or_not(one: str, other: str) -> None:
    first, second = parse_cidr(one), parse_cidr(other)
    assert first
    assert second
    known = ipaddress.ip_network(one, strict=False), ipaddress.ip_network(other, strict=False)
    assert first.overlaps(second) == known[0].overlaps(known[1])


@given(st.lists(SMALL, max_size=6), SMALL)
def test_a_set_holds_what_lies_in_its_blocks_together(held: list[str], one: str) -> None:
    block = parse_cidr(one)
    assert block
    left = [ipaddress.IPv4Network(one, strict=False)]
    for each in held:
        hole = ipaddress.IPv4Network(each, strict=False)
        left = [part for piece in left for part in _without(piece, hole)]
    assert BlockSet(held).contains_block(block) == (not left)


def _without(piece: ipaddress.IPv4Network, hole: ipaddress.IPv4Network) -> list[ipaddress.IPv4Network]:
    if piece.subnet_of(hole):
        return []
    return list(piece.address_exclude(hole)) if hole.subnet_of(piece) else [piece]


def test_what_is_no_address_is_none() -> None:
    assert parse_cidr("a.example") is None
    assert not BlockSet(["a.example"]).contains_block(parse_cidr("10.0.0.1"))  # type: ignore[arg-type]
