"""Split a target that lists more addresses than one ServiceEntry may hold. Pure.

The address space is halved until no half has more blocks than fit: a part is a range of addresses, and holds the blocks
that begin in it. So the parts follow from the set of blocks alone, not from their order nor from what was there before,
and a block more or less changes the part of its range, or divides it in two, or joins two, and no other.
"""

from __future__ import annotations

import zlib
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from egressctl.manifests.formats import MAX_ITEMS
from egressctl.manifests.service_entry import ANNOTATION_PARTS
from egressctl.model.blocks import parse_block
from egressctl.model.probe import Target

_ADDRESS_BITS = {4: 32, 6: 128}
"""By IP version. The two are divided each for itself."""
_MOST_DIGITS = 16
"""Of a range of IPv6, so many hexadecimal digits stand in its name: a /64. Of a smaller one it is told by its checksum."""

_StartAndText = tuple[int, str]
"""A block's first address as a number, and the block as the target writes it."""


def split_target(target: Target) -> tuple[Target, ...]:
    """Return the targets of one ServiceEntry each that together are this one, by their addresses; itself where it fits in one.

    A part is called after its range: `aws-ext-52-64-10` holds the blocks that begin in 52.64.0.0/10, and `aws-ext-v6-2600-14`
    those that begin in 2600::/14. Everything else in
    the spec is the same in each. The first has the target's probes and, in an annotation, the names of all; the others have
    no probe, so that each is sent once.
    """
    addresses = target.spec.get("addresses") or ()
    if len(addresses) <= MAX_ITEMS:
        return (target,)
    ranges = list(split_into_ranges(addresses))
    names = [f"{target.entry_name}-{name}" for name, _ in ranges]
    listing = {**target.annotations, ANNOTATION_PARTS: ",".join(names)}
    return tuple(
        replace(
            target,
            entry_name=name,
            spec=_with_addresses(target.spec, blocks),
            probes=() if index else target.probes,
            annotations=target.annotations if index else listing,
        )
        for index, (name, (_, blocks)) in enumerate(zip(names, ranges, strict=True))
    )


def split_into_ranges(addresses: Sequence[str], most: int = MAX_ITEMS) -> Iterator[tuple[str, list[str]]]:
    """Divide blocks into ranges of the address space with at most `most` in each, and give the name and the blocks of each.

    Blocks that begin at one address stay together, at most 33 (of IPv6: 129) where each stands once. Those of IPv4 come first.
    Raises ValueError for what is no address or block.
    """
    listed: dict[int, list[_StartAndText]] = {version: [] for version in _ADDRESS_BITS}
    texts: dict[str, str] = {}
    for address in addresses:
        block = parse_block(address)
        if block is None:
            raise ValueError(f"{address} is no address or block")
        listed[block.version].append((block.network, str(block)))
        texts[str(block)] = address
    for version, bits in _ADDRESS_BITS.items():
        # In the order of the addresses, a block before those within it.
        ordered = sorted(listed[version], key=lambda each: (each[0], int(each[1].rpartition("/")[2])))
        for start, length, inside in _halve_range(ordered, 0, 0, most, bits):
            yield _range_name(version, start, length), [texts[text] for _, text in inside]


def _halve_range(
    listed: Sequence[_StartAndText], start: int, length: int, most: int, bits: int
) -> Iterator[tuple[int, int, Sequence[_StartAndText]]]:
    """Give start, prefix length and blocks of each range that is not empty, by address."""
    if not listed:
        return
    if len(listed) <= most or length == bits:
        yield start, length, listed
        return
    middle = start | 1 << (bits - 1 - length)
    below = bisect_left(listed, (middle, ""))
    yield from _halve_range(listed[:below], start, length + 1, most, bits)
    yield from _halve_range(listed[below:], middle, length + 1, most, bits)


def _range_name(version: int, start: int, length: int) -> str:
    """Write a range as a name: as many numbers (IPv6: digits) of its address as its prefix reaches into, and its length."""
    if version == 6:
        digits = f"{start:032x}"[: -(-length // 4)]
        if len(digits) > _MOST_DIGITS:
            digits = f"{digits[: _MOST_DIGITS - 8]}{zlib.crc32(digits.encode()):08x}"
        return "-".join(filter(None, ("v6", digits, str(length))))
    numbers = start.to_bytes(4, "big")[: -(-length // 8)]
    return "-".join(map(str, (*numbers, length)))


def _with_addresses(spec: Mapping[str, Any], addresses: list[str]) -> dict[str, Any]:
    return {key: addresses if key == "addresses" else value for key, value in spec.items()}
