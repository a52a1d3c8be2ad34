"""Addresses, and blocks of them as numbers: which holds which, and what several hold together. Pure."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import NamedTuple

IPAddress = IPv4Address | IPv6Address

_BLOCK = re.compile(r"([0-9a-fA-F.:]+)(?:/(0|[1-9][0-9]{0,2}))?")
_BITS = {4: 32, 6: 128}


def plain_address(address: IPAddress) -> IPAddress:
    """Return `::ffff:192.0.2.1` as 192.0.2.1, and any other address as it is."""
    return getattr(address, "ipv4_mapped", None) or address


def parse_address(text: str) -> IPAddress | None:
    """Read an address, an IPv4 one in IPv6's clothes as IPv4; None where it is none."""
    try:
        return plain_address(ip_address(text))
    except ValueError:
        return None


def ip_version(text: str) -> int:
    """Return the IP version of an address, IPv4 of one in IPv6's clothes; 0 of what is no address."""
    address = parse_address(text)
    return address.version if address else 0


def bracketed(host: str) -> str:
    """Return a host as a URL has it: an address of IPv6 in brackets, anything else as it is."""
    return f"[{host}]" if ":" in host and "[" not in host else host


class Block(NamedTuple):
    """A block of addresses; thousands are compared at once, and an ip_network takes ten times as long to make.

    `version` is 4 or 6, `network` the first address as a number, `length` that of the prefix in bits. In their order a block
    stands before those inside it.
    """

    version: int
    network: int
    length: int

    @classmethod
    def around(cls, version: int, address: int, length: int) -> Block:
        """Return the block of that length around an address. Raises ValueError where it cannot be so long."""
        host_bits = _BITS[version] - length
        return cls(version, address >> host_bits << host_bits, length)

    def __str__(self) -> str:
        """Write it as `10.0.0.0/8`."""
        return f"{self.address}/{self.length}"

    @property
    def address(self) -> str:
        """The first address."""
        return str((IPv4Address if self.version == 4 else IPv6Address)(self.network))

    @property
    def host(self) -> str:
        """The first address as a URL has it: in brackets where it is of IPv6."""
        return bracketed(self.address)

    @property
    def last(self) -> int:
        """The last address as a number."""
        return self.network | (1 << _BITS[self.version] - self.length) - 1

    @property
    def is_one_address(self) -> bool:
        return self.length == _BITS[self.version]

    def cut(self, length: int) -> Block:
        """Return the block of that length that holds this one; itself where it is no longer than that."""
        return self.around(self.version, self.network, length) if length < self.length else self

    @property
    def mapped_ipv4(self) -> Block | None:
        """The IPv4 block that this one of IPv6 stands for, as ::ffff:192.0.2.0/120 does; None for any other."""
        if self.version == 4 or self.length < 96 or self.network >> 32 != 0xFFFF:
            return None
        return Block(4, self.network & 0xFFFFFFFF, self.length - 96)

    def holds(self, other: Block) -> bool:
        return self.length <= other.length and self.overlaps(other)

    def overlaps(self, other: Block) -> bool:
        """Say whether two blocks have an address in common."""
        beyond = _BITS[self.version] - min(self.length, other.length)
        return self.version == other.version and (self.network ^ other.network) >> beyond == 0


@lru_cache(maxsize=65536)
def parse_block(text: str) -> Block | None:
    """Read an address or a block, host bits cleared; None where it is neither, as Go's parser judges."""
    found = _BLOCK.fullmatch(text)
    if not found:
        return None
    try:
        address = ip_address(found[1])
        return Block.around(address.version, int(address), int(found[2] or address.max_prefixlen))
    except ValueError:
        return None


def has_host_bits(text: str) -> bool:
    """Say whether a block is written with an address that is not its first one; not of what is no block."""
    head, slash, _ = text.partition("/")
    block = parse_block(text)
    return bool(slash) and block is not None and parse_block(head) != parse_block(block.address)


def parse_blocks(texts: Iterable[str]) -> list[Block]:
    """Read those of the texts that are addresses or blocks."""
    return [block for text in texts if (block := parse_block(text))]


def collapse_blocks(blocks: Iterable[Block]) -> Iterator[Block]:
    """Give the fewest blocks that hold the same addresses, in their order."""
    for version, first, last in _joined_ranges(blocks):
        while first <= last:
            # The largest that begins here and does not reach beyond the range.
            size = min(first & -first or 1 << 128, 1 << (last - first + 1).bit_length() - 1)
            yield (block := Block(version, first, _BITS[version] + 1 - size.bit_length()))
            first = block.last + 1


def _joined_ranges(blocks: Iterable[Block]) -> list[tuple[int, int, int]]:
    """Return version, first and last address of each range without a gap, in their order."""
    joined: list[tuple[int, int, int]] = []
    for block in sorted(blocks):
        version, first, last = joined[-1] if joined else (0, 0, 0)
        if block.version == version and block.network <= last + 1:
            joined[-1] = version, first, max(last, block.last)
        else:
            joined.append((block.version, block.network, block.last))
    return joined


class Share(StrEnum):
    """How much of a block is held."""

    ALL = "yes"
    PART = "part"
    NONE = "no"


class BlockSet:
    """The addresses of some blocks together, however they are cut; what is no block is passed over."""

    def __init__(self, blocks: Iterable[str]) -> None:
        self._ranges = _joined_ranges(parse_blocks(blocks))

    @property
    def size(self) -> int:
        """How many addresses are held."""
        return sum(last - first + 1 for _, first, last in self._ranges)

    def share(self, text: str) -> Share:
        """Say how much of a block is held; of what is none, nothing."""
        block = parse_block(text)
        if block is None:
            return Share.NONE
        # No other range may hold a part of it than the last that begins before its end.
        before = bisect_right(self._ranges, (block.version, block.last, 1 << 128)) - 1
        version, first, last = self._ranges[before] if before >= 0 else (0, 0, 0)
        if version != block.version or last < block.network:
            return Share.NONE
        return Share.ALL if first <= block.network and block.last <= last else Share.PART

    def holds(self, text: str) -> bool:
        """Say whether a block is held whole."""
        return self.share(text) is Share.ALL
