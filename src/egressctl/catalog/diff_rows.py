"""Lay the catalogue, the entry, the published list and DNS side by side, a row a block. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from egressctl.catalog.list_changes import pair_moved_blocks
from egressctl.manifests.published import PublishedRange, PublishedSource
from egressctl.model.blocks import BlockSet, Share, parse_block
from egressctl.model.entry import ServiceEntry
from egressctl.model.probe import Target


class State(StrEnum):
    """What the sides say of a block, in the order in which rows are shown."""

    MISSING = "missing"
    MOVED = "moved"
    EXTRA = "extra"
    OUTSIDE = "outside"
    RETIRED = "retired"
    SAME = "same"


MEANINGS = {
    State.MISSING: "it is published, and a side does not have it: what goes there is not let out",
    State.MOVED: "the name has another block now, in the same network, and a side has the old one",
    State.EXTRA: "a side has it, or a part of it, and it is not published",
    State.OUTSIDE: "a probe's host resolves to it, and no side has it",
    State.RETIRED: "it was published once, as the catalogue's file says, and a side keeps it",
    State.SAME: "every side has it",
}
DIFFERENT = frozenset({State.MISSING, State.MOVED, State.EXTRA, State.OUTSIDE})


class Row(NamedTuple):
    """A block, host or port, and what each side says of it: yes, no, part, old; None where the side was not asked.

    `was` is the block that a moved one has come in place of. `dns` has the addresses in it that names resolve to.
    """

    name: str
    state: State
    what: str
    catalogue: str
    entry: str | None = None
    published: str | None = None
    dns: tuple[str, ...] | None = None
    was: str = ""

    @property
    def text(self) -> str:
        """What the row is of, in words."""
        return f"{self.was} -> {self.what}" if self.was else self.what


class Sides(NamedTuple):
    """What each side says, None where it was not asked: the catalogue's target, the entries, the published blocks, DNS."""

    target: Target
    sources: Sequence[PublishedSource] = ()
    entries: Sequence[ServiceEntry] | None = None
    published: Sequence[PublishedRange] | None = None
    answers: Sequence[tuple[str, str]] | None = None


def rows(sides: Sides) -> list[Row]:
    """Return a row for each block, and for each host and port that is not the same; the worst states come first."""
    found = [*_block_rows(sides), *_host_and_port_rows(sides)]
    order = list(State)
    return sorted(found, key=lambda row: (order.index(row.state), row.name))


def _block_rows(sides: Sides) -> list[Row]:
    opened = [str(each) for each in sides.target.spec.get("addresses") or ()]
    named = [each for source in sides.sources for each in source.ranges]
    if not opened and not sides.published and not any(each.addresses for each in sides.entries or ()):
        return []
    listed = _ranges_in_use(opened, named, sides.sources)
    with_ipv6 = _has_ipv6(sides, opened)
    entry = None if sides.entries is None else [block for each in sides.entries for block in each.addresses]
    if entry and not with_ipv6:
        entry = [block for block in entry if ":" not in block]  # what the catalogue does not offer is the entry's own business
    reference = list(dict.fromkeys(listed if sides.published is None else sides.published))
    look = _SideAddresses(
        sides, BlockSet(opened), None if entry is None else BlockSet(entry), BlockSet(each.block for each in reference)
    )
    retired = [each for source in sides.sources for each in source.retired]
    once = [PublishedRange(each.name, each.block) for each in retired]
    kept = [PublishedRange(each.name, each.block) for each in retired if each.kept]
    left = _blocks_outside_reference([*listed, *kept], entry or (), look.reference, [*named, *once])
    lacking = dict.fromkeys(each for each in reference if look.is_missing(each.block))
    # A block that is in use until now goes before one that was given up before.
    pairs = pair_moved_blocks(lacking, [each for each in left if each not in once])
    pairs |= pair_moved_blocks([each for each in lacking if each not in pairs], [each for each in left if each in once])
    found = [look.row(each, State.MOVED if each in pairs else State.MISSING, pairs.get(each)) for each in lacking]
    found += [look.row(each, State.SAME) for each in reference if each not in lacking]
    old = BlockSet(each.block for each in retired)
    replaced = set(pairs.values())
    gone = [each for each in left if each not in replaced]
    found += [look.row(each, State.RETIRED if old.holds(each.block) else State.EXTRA) for each in gone]
    return [*found, *look.rows_outside(with_ipv6)]


def _has_ipv6(sides: Sides, opened: Sequence[str]) -> bool:
    return any(":" in block for block in (*opened, *(each.block for each in sides.published or ())))


def _ranges_in_use(
    opened: Sequence[str], named: Sequence[PublishedRange], sources: Sequence[PublishedSource]
) -> list[PublishedRange]:
    """Return what the catalogue holds to be in use: its ranges by name, and what it opens besides without having a name."""
    once = [each.block for source in sources for each in source.retired]
    known = BlockSet([*(each.block for each in named), *once])
    return [*named, *(PublishedRange("", block) for block in opened if not known.holds(block))]


def _blocks_outside_reference(
    listed: Iterable[PublishedRange], entry: Iterable[str], reference: BlockSet, named: Sequence[PublishedRange]
) -> list[PublishedRange]:
    """Return the blocks of catalogue and entry that the reference does not hold whole, by the names that are known for them."""
    names = {each.block: each.name for each in named}
    blocks = [*(each.block for each in listed), *entry]
    return [
        PublishedRange(names.get(str(parse_block(block)), ""), block)
        for block in dict.fromkeys(blocks)
        if not reference.holds(block)
    ]


class _SideAddresses(NamedTuple):
    """What the sides hold, ready to be asked."""

    sides: Sides
    catalogue: BlockSet
    entry: BlockSet | None
    reference: BlockSet

    def is_missing(self, block: str) -> bool:
        return not self.catalogue.holds(block) or (self.entry is not None and not self.entry.holds(block))

    def row(self, each: PublishedRange, state: State, was: PublishedRange | None = None) -> Row:
        old = was.block if was else ""
        return Row(
            name=each.name,
            state=state,
            what=each.block,
            catalogue=_cell(self.catalogue, each.block, old),
            entry=None if self.entry is None else _cell(self.entry, each.block, old),
            published=None if self.sides.published is None else self.reference.share(each.block),
            dns=self.resolved(each.block, old),
            was=old,
        )

    def resolved(self, *blocks: str) -> tuple[str, ...] | None:
        if self.sides.answers is None:
            return None
        inside = BlockSet(blocks)
        return tuple(dict.fromkeys(address for _, address in self.sides.answers if inside.holds(address)))

    def rows_outside(self, with_ipv6: bool) -> list[Row]:
        """Return a row for each address that a name resolves to and that no side has; of IPv6 where a side has that."""
        held = [cover for cover in (self.catalogue, self.entry, self.reference) if cover is not None]
        answers = dict.fromkeys(each for each in self.sides.answers or () if with_ipv6 or "." in each[1])
        entry = None if self.entry is None else str(Share.NONE)
        published = None if self.sides.published is None else str(Share.NONE)
        return [
            Row(host, State.OUTSIDE, address, Share.NONE, entry, published, (address,))
            for host, address in answers
            if not any(cover.holds(address) for cover in held)
        ]


def _cell(cover: BlockSet, block: str, was: str) -> str:
    share = cover.share(block)
    return "old" if share is Share.NONE and was and cover.holds(was) else share


def _host_and_port_rows(sides: Sides) -> list[Row]:
    """Return a row for each host and port that only one of catalogue and entry names."""
    if not sides.entries:
        return []
    spec = sides.target.spec
    ports = [f"{each.get('number')}/{each.get('protocol')}" for each in spec.get("ports") or ()]
    theirs = [f"{port.number}/{port.protocol}" for each in sides.entries for port in each.ports]
    hosts = [str(each) for each in spec.get("hosts") or ()]
    return [
        *_one_sided_rows("host", hosts, [host for each in sides.entries for host in each.hosts]),
        *_one_sided_rows("port", ports, theirs),
    ]


def _one_sided_rows(name: str, ours: Sequence[str], theirs: Sequence[str]) -> list[Row]:
    return [
        *(Row(name, State.MISSING, each, Share.ALL, Share.NONE) for each in dict.fromkeys(ours) if each not in theirs),
        *(Row(name, State.EXTRA, each, Share.NONE, Share.ALL) for each in dict.fromkeys(theirs) if each not in ours),
    ]
