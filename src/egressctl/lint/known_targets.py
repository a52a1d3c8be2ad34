"""What the catalogue knows of the targets that ServiceEntries may be for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from egressctl.errors import InvalidInput
from egressctl.model.blocks import BlockSet
from egressctl.model.entry import ServiceEntry


class PublishedBlock(NamedTuple):
    """A block of a published list, and what the list calls it; `since` is the day from which on it was none any more."""

    name: str
    address: str
    since: str = ""

    def __str__(self) -> str:
        return f"{self.name} {self.address}".strip()


@dataclass(frozen=True)
class KnownTarget:
    """What the catalogue knows of a target: blocks that are published, those that were, and all that it opens."""

    name: str
    hosts: frozenset[str]
    published: tuple[PublishedBlock, ...]
    retired: tuple[PublishedBlock, ...] = ()
    opened: tuple[str, ...] = ()
    checked: str = ""

    @cached_property
    def present(self) -> BlockSet:
        """The addresses that an entry may list."""
        return BlockSet([*(each.address for each in self.published), *self.opened])

    @cached_property
    def past_and_present(self) -> BlockSet:
        """The addresses that have been the target's at some time."""
        return BlockSet([*(each.address for each in (*self.published, *self.retired)), *self.opened])


def known_targets_for(entries: Iterable[ServiceEntry], folders: Sequence[str] = ()) -> tuple[KnownTarget, ...]:
    """Return the targets of the catalogue that name a host or a block of the entries. Those that cannot be read are left out."""
    from egressctl.catalog import lookup  # imported late: 17 ms

    words = {word.lower() for entry in entries for word in (*entry.hosts, *entry.addresses)}
    found = []
    for name in lookup.catalog_names(folders) if words else ():
        try:
            if words & set(re.findall(r"[\w.*:/-]+", lookup.manifest_text(name, folders).lower())):
                found.append(_load_known_target(name, folders))
        except (InvalidInput, OSError):
            continue
    return tuple(found)


def _load_known_target(name: str, folders: Sequence[str]) -> KnownTarget:
    from egressctl.catalog import lookup  # imported late: 17 ms

    target, sources = lookup.get_target(name, folders), lookup.sources_of_target(name, folders)
    ranges = [(each.name, each.block) for source in sources for each in source.ranges]
    retired = [(each.name, each.block, each.since) for source in sources for each in source.retired]
    opened = tuple(target.spec.get("addresses", ()))
    return KnownTarget(
        name,
        frozenset(host.lower() for host in target.spec["hosts"]),
        tuple(PublishedBlock(*each) for each in ranges) or tuple(PublishedBlock("", each) for each in opened),
        tuple(PublishedBlock(*each) for each in retired),
        opened,
        max((source.checked for source in sources), default=""),
    )
