"""Blocks as numbers say the same as the library's networks, and nothing else of the house reads them."""

from __future__ import annotations

import ast
import ipaddress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import egressctl
from egressctl.model.blocks import BlockSet, Share, collapse_blocks, has_host_bits, parse_address, parse_block, parse_blocks

SMALL = st.builds("10.{}.{}.{}/{}".format, *(st.integers(0, 3),) * 3, st.integers(6, 32))
ANY = st.one_of(SMALL, st.builds(str, st.ip_addresses()), st.builds("2001:db8::/{}".format, st.integers(0, 128)))
EDGES = st.sampled_from(["0.0.0.0/0", "128.0.0.0/1", "255.255.255.255", "::/0", "8000::/1", "ffff::/16"])


@given(ANY)
def test_a_block_is_what_the_library_reads(text: str) -> None:
    block, known = parse_block(text), ipaddress.ip_network(text, strict=False)
    assert block
    assert str(block) == str(known)
    assert (block.address, block.last) == (str(known.network_address), int(known.broadcast_address))
    assert block.is_one_address == (known.prefixlen == known.max_prefixlen)


@given(ANY, ANY)
@example("10.0.0.0/8", "10.0.0.0/24")
@example("10.0.0.0/24", "10.0.0.0/8")
@example("10.0.0.0/8", "10.0.0.0/8")
def test_a_block_holds_another_or_meets_it(one: str, other: str) -> None:
    [first, second] = parse_blocks([one, other])
    known = ipaddress.ip_network(one, strict=False), ipaddress.ip_network(other, strict=False)
    assert first.overlaps(second) == known[0].overlaps(known[1])
    assert first.holds(second) == (known[0].version == known[1].version and known[1].subnet_of(known[0]))  # type: ignore[arg-type]
    assert (first < second) == ((known[0].version, known[0]) < (known[1].version, known[1]))


@given(SMALL, st.integers(0, 32))
@example("10.1.2.0/24", 32)
def test_a_block_is_cut_to_a_shorter_prefix_only(text: str, length: int) -> None:
    [block] = parse_blocks([text])
    known = ipaddress.IPv4Network(text, strict=False)
    assert str(block.cut(length)) == str(known.supernet(new_prefix=length) if length < known.prefixlen else known)


@given(st.lists(SMALL | EDGES, max_size=8))
def test_the_fewest_blocks_are_those_of_the_library(texts: list[str]) -> None:
    known = [ipaddress.ip_network(text, strict=False) for text in texts]
    fewest: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = [
        *ipaddress.collapse_addresses(each for each in known if isinstance(each, ipaddress.IPv4Network)),
        *ipaddress.collapse_addresses(each for each in known if isinstance(each, ipaddress.IPv6Network)),
    ]
    assert list(map(str, collapse_blocks(parse_blocks(texts)))) == list(map(str, fewest))
    assert BlockSet(texts).size == sum(each.num_addresses for each in fewest)


@given(st.lists(SMALL | EDGES, max_size=6), SMALL)
def test_a_set_says_how_much_it_holds_of_a_block(held: list[str], one: str) -> None:
    asked = ipaddress.IPv4Network(one, strict=False)
    left = [asked]
    for hole in map(ipaddress.ip_network, map(str, parse_blocks(held))):
        left = [part for piece in left for part in _without(piece, hole)]
    expected = Share.ALL if not left else Share.NONE if left == [asked] else Share.PART
    assert BlockSet(held).share(one) is expected
    assert BlockSet(held).holds(one) is (expected is Share.ALL)


def _without(piece: ipaddress.IPv4Network, hole: ipaddress.IPv4Network | ipaddress.IPv6Network) -> list[ipaddress.IPv4Network]:
    if not isinstance(hole, ipaddress.IPv4Network) or not piece.overlaps(hole):
        return [piece]
    return [] if piece.subnet_of(hole) else list(piece.address_exclude(hole))


@pytest.mark.parametrize(
    "text", ["a.example", "", "1.2.3", "01.2.3.4", "1.2.3.4/33", "1.2.3.4/08", "1.2.3.4/255.0.0.0", "fe80::1%eth0"]
)
def test_what_is_no_block_is_none(text: str) -> None:
    assert parse_block(text) is None
    assert BlockSet([text]).size == 0
    assert BlockSet(["0.0.0.0/0"]).share(text) is Share.NONE


def test_an_address_is_read_in_its_one_spelling() -> None:
    assert str(parse_address("::ffff:192.0.2.1")) == "192.0.2.1"
    assert str(parse_address("2001:DB8:0::1")) == "2001:db8::1"
    assert parse_address("wikipedia.org") is None


def test_no_other_module_reads_networks_or_unwraps_mapped_addresses() -> None:
    root = Path(egressctl.__file__).parent
    names = {"ip_network", "ip_interface", "IPv4Network", "IPv6Network", "collapse_addresses", "ipv4_mapped"}
    found = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Name) and node.id in names and isinstance(node.ctx, ast.Load))
        or (isinstance(node, ast.Attribute) and node.attr in names)
        or (isinstance(node, ast.Constant) and node.value == "ipv4_mapped")
    }
    assert found == {"model/blocks.py"}


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:c000:200/120", "192.0.2.0/24"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::ffff:0:0/95", None),
        ("::192.0.2.7", None),
        ("2001:db8::1", None),
        ("192.0.2.7", None),
    ],
)
def test_a_block_of_ipv6_may_stand_for_one_of_ipv4(text: str, plain: str | None) -> None:
    block = parse_block(text)
    assert block
    assert (str(block.mapped_ipv4) if block.mapped_ipv4 else None) == plain


@pytest.mark.parametrize(
    ("text", "has"),
    [
        *(("192.0.2.7/24", True), ("192.0.2.0/24", False), ("192.0.2.7", False), ("192.0.2.7/32", False)),
        *(("2001:DB8::/32", False), ("2001:db8:0::1/32", True), ("nonsense/24", False)),
    ],
)
def test_host_bits_are_known_in_any_spelling(text: str, has: bool) -> None:
    assert has_host_bits(text) is has
