"""Blocks behind which countless sites of others stand."""

from __future__ import annotations

from typing import Any

import pytest

from egressctl.lint.rule import LintedEntry, Place
from egressctl.lint.rules.opens_cdn import _CDN_LISTS, LONGEST_PREFIX, cdn_block_of, check
from egressctl.model.blocks import parse_block
from egressctl.model.entry import Port, ServiceEntry
from entries import entry


def found(entry: ServiceEntry) -> list[tuple[Any, ...]]:
    return [path for _, _, path in check(LintedEntry(entry, Place.TARGET))]


@pytest.mark.parametrize("text", _CDN_LISTS.values(), ids=_CDN_LISTS)
def test_the_blocks_of_networks_are_blocks_without_host_bits(text: str) -> None:
    for each in text.split():
        assert str(parse_block(each)) == each
        block = parse_block(each)
        assert block
        assert block.length <= LONGEST_PREFIX[block.version]


@pytest.mark.parametrize(
    ("address", "whose"),
    [
        ("104.16.0.0/13", "Cloudflare"),
        ("104.17.3.0/24", "Cloudflare"),
        ("104.0.0.0/8", "Cloudflare"),
        ("151.101.64.0/22", "Fastly"),
        ("13.32.5.0/24", "Amazon CloudFront"),
        ("23.40.0.0/16", "Akamai"),
        ("142.250.4.0/22", "Google's front ends"),
        ("104.17.3.0/25", ""),
        ("104.17.3.7", ""),
        ("198.51.100.0/24", ""),
        ("0.0.0.0/0", ""),  # which has rules of its own
        ("2606:4700::/44", "Cloudflare"),
        ("2a06::/16", "Cloudflare"),
        ("2a04:4e42::/32", "Fastly"),
        ("2606:4700::/64", ""),
        ("2001:db8::/32", ""),
        ("::/0", ""),
        ("no address", ""),
    ],
)
def test_a_piece_of_a_network_is_known(address: str, whose: str) -> None:
    front = cdn_block_of(address)
    assert (front.whose if front else "") == whose
    assert bool(found(entry(addresses=(address,)))) == bool(whose)


def test_a_network_is_told_once_and_where_only_the_address_decides() -> None:
    blocks = ("198.51.100.0/24", "104.16.0.0/16", "104.17.0.0/16", "151.101.0.0/16")
    assert found(entry(addresses=blocks)) == [("spec", "addresses", 1), ("spec", "addresses", 3)]
    assert found(entry(addresses=blocks, ports=(Port(443, "TLS", "p"),))) == []
