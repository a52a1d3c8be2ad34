"""Which addresses some blocks hold together, however they are cut. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from enum import StrEnum
from ipaddress import IPv4Network, collapse_addresses

from egressctl.manifests.formats import network


class Share(StrEnum):
    """How much of a block is held."""

    ALL = "yes"
    PART = "part"
    NONE = "no"


class AddressSet:
    """The addresses of IPv4 blocks; what is none is passed over."""

    def __init__(self, blocks: Iterable[str]) -> None:
        read = (network(block) for block in blocks)
        # In this form a block that is held whole lies in a single one of them.
        self._held = tuple(collapse_addresses(block for block in read if isinstance(block, IPv4Network)))
        self._first = [int(block.network_address) for block in self._held]

    def __bool__(self) -> bool:
        return bool(self._held)

    @property
    def size(self) -> int:
        """How many addresses are held."""
        return sum(block.num_addresses for block in self._held)

    def share(self, block: str) -> Share:
        """Say how much of a block, or of a plain address, is held."""
        asked = network(block)
        if not isinstance(asked, IPv4Network):
            return Share.NONE
        after = bisect_right(self._first, int(asked.network_address))
        around = self._held[max(after - 1, 0) : after + 1]
        if any(asked.subnet_of(each) for each in around):
            return Share.ALL
        return Share.PART if any(asked.overlaps(each) for each in around) else Share.NONE

    def holds(self, block: str) -> bool:
        """Say whether a block, or a plain address, is held whole."""
        return self.share(block) is Share.ALL
