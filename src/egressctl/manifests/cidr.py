"""Address blocks as numbers, where very many are compared: which overlap, and what lies in a set of them. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from egressctl.manifests.formats import Network, network


class Cidr(NamedTuple):
    """A block: IP's version, the prefix's length, and the prefix as a number of so many bits."""

    version: int
    length: int
    prefix: int

    def cut(self, length: int) -> Cidr:
        """Return the block of a shorter prefix, or of the same, that holds this one."""
        return Cidr(self.version, length, self.prefix >> (self.length - length))

    def overlaps(self, other: Cidr) -> bool:
        """Say whether two blocks have an address in common."""
        if self.version != other.version:
            return False
        short = min(self.length, other.length)
        return self.prefix >> (self.length - short) == other.prefix >> (other.length - short)


@lru_cache(maxsize=65536)
def parse_cidr(address: str) -> Cidr | None:
    """Read an address or a block, host bits cleared; None where it is neither."""
    return _cidr_of_network(block) if (block := network(address)) else None


def _cidr_of_network(block: Network) -> Cidr:
    return Cidr(block.version, block.prefixlen, int(block.network_address) >> (block.max_prefixlen - block.prefixlen))


class BlockSet:
    """A set of addresses, made of blocks; neighbouring ones are joined."""

    def __init__(self, addresses: Iterable[str]) -> None:
        found = [block for each in addresses if (block := network(each))]
        joined: list[Network] = []
        joined += ipaddress.collapse_addresses(each for each in found if isinstance(each, ipaddress.IPv4Network))
        joined += ipaddress.collapse_addresses(each for each in found if isinstance(each, ipaddress.IPv6Network))
        self._held = {_cidr_of_network(each) for each in joined}
        self._lengths = {(each.version, each.length) for each in self._held}

    def contains_block(self, block: Cidr) -> bool:
        """Say whether a block lies in them."""
        return any(
            block.cut(length) in self._held
            for version, length in self._lengths
            if version == block.version and length <= block.length
        )
