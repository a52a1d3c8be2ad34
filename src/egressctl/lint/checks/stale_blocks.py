"""Hold an entry's blocks against those that are published of a target of the catalogue: which it misses, which are gone. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from egressctl.errors import InvalidInput
from egressctl.lint.rules import Finding
from egressctl.manifests.cidr import BlockSet, parse_cidr
from egressctl.model.entry import ServiceEntry

_SAME_NETWORK_PREFIX = 24
"""A block that moved stays within a network of that prefix length; what is elsewhere is a new one."""

_MOST_MISSING_BLOCKS = 10
"""So many blocks that an entry misses are told, and of the others how many there are."""


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
    from egressctl.catalog import lookup

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
    from egressctl.catalog import lookup

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


def check_stale_blocks(entry: ServiceEntry, known: Sequence[KnownTarget]) -> Iterator[Finding]:
    """Find what an entry lists otherwise than is published of the target that it is for.

    It is for the one whose host it names and of whose blocks it lists some, or of whose blocks it lists two or more that are
    at least half of its own.
    """
    own = [(index, address, block) for index, address in enumerate(entry.addresses) if (block := parse_cidr(address))]
    hosts = {host.lower() for host in entry.hosts}
    meant = [(sum(each.past_and_present.contains_block(block) for _, _, block in own), each) for each in known if each.published]
    meant = [(count, each) for count, each in meant if count and (hosts & each.hosts or 2 <= count >= len(own) / 2)]
    if not meant:
        return
    _, target = max(meant, key=lambda each: each[0])
    blocks = BlockSet(entry.addresses)
    where, listed = str(entry), f"the catalogue's {target.name}" + (f" (list of {target.checked})" if target.checked else "")
    show = f"egressctl render {target.name} prints the blocks that are published"
    missing = [each for each in target.published if (block := parse_cidr(each.address)) and not blocks.contains_block(block)]
    for each in missing[:_MOST_MISSING_BLOCKS]:
        before = [
            (index, old)
            for index, _, block in own
            for old in target.retired
            if old.name == each.name and parse_cidr(old.address) == block
        ]
        path = ("spec", "addresses", before[0][0]) if before else ("spec", "addresses")
        yield Finding("stale-blocks", _missing_block_message(each, [old for _, old in before], listed), where, show, path=path)
    if len(missing) > _MOST_MISSING_BLOCKS:
        told = f"it misses {len(missing) - _MOST_MISSING_BLOCKS} more blocks of {listed}"
        yield Finding("stale-blocks", told, where, show, path=("spec", "addresses"))
    for index, address, block in own:
        old = next((each for each in target.retired if BlockSet([each.address]).contains_block(block)), None)
        if target.present.contains_block(block) or not (old or hosts <= target.hosts):
            continue
        told = f"{address} is none of the blocks of {listed}"
        if old:
            told = f"{address} is {old.name}'s of {listed} no more" + (f", since {old.since}" if old.since else "")
        yield Finding("stale-blocks", told, where, f"take it out; {show}", path=("spec", "addresses", index))


def _missing_block_message(each: PublishedBlock, before: Sequence[PublishedBlock], listed: str) -> str:
    """Say that a block is missing; one that moved within its own network has moved, and one that left it is another."""
    if not before:
        return f"it misses {each} of {listed}"
    old, new = parse_cidr(before[0].address), parse_cidr(each.address)
    if old and new and old.cut(min(_SAME_NETWORK_PREFIX, old.length)).overlaps(new.cut(min(_SAME_NETWORK_PREFIX, new.length))):
        return f"{each.name} of {listed} has moved from {before[0].address} to {each.address}, which it does not list"
    return f"it misses {each} of {listed}: {before[0].address}, which it lists, is the old {each.name}"
