"""What has become of a published list since a target was made of it, and what of that should alarm. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from egressctl.manifests.published import PublishedRange, PublishedSource, addresses_of_sources
from egressctl.model.blocks import BlockSet, parse_blocks
from egressctl.runtime.sentence import first_names

_SITE_PREFIX = {4: 24, 6: 48}
"""By IP version: a block that moves stays within this prefix; what appears farther away is another place, whatever its name."""
_SHORTEST_PREFIX = {4: 8, 6: 16}
_MOST_NAMED = 3
"""How many blocks an alarm names."""

_RESERVED = """0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12
    192.0.0.0/24 192.168.0.0/16 198.18.0.0/15 224.0.0.0/4 240.0.0.0/4
    ::/8 100::/8 2001::/23 2002::/16 fc00::/7 fe80::/10 ff00::/8"""
_RESERVED_NETWORKS = parse_blocks(_RESERVED.split())
"""What no service on the internet has (IANA's special-purpose registries), without the blocks for documentation."""


class ChangeKind(StrEnum):
    """What became of a block of the list."""

    ADDED = "added"
    REMOVED = "removed"
    MOVED = "moved"


class ListChange(NamedTuple):
    """One block that is in the published list and not in the file, or the other way round; `was` where it has moved."""

    kind: ChangeKind
    name: str
    block: str
    was: str = ""


class Alarm(NamedTuple):
    """Why a list should not be taken over unseen: one of ALARMS, and a sentence."""

    code: str
    message: str


ALARMS = {
    "vanished": "a range of the file is not in the published list any more",
    "halved": "the published list holds less than half of the addresses that the file has",
    "broad": "a published range is shorter than /8 (of IPv6: /16)",
    "reserved": "a published range holds private or reserved addresses",
    "dns-outside": "the name of a probe resolves to an address outside of the published ranges",
    "addresses-written-out": "the file writes its addresses out, and refreshing what is published does not change them",
}


def changes_between(before: Sequence[PublishedRange], now: Sequence[PublishedRange]) -> list[ListChange]:
    """Return what is different between two lists, by the addresses that they hold: another cut alone is no difference."""
    held, published = BlockSet(each.block for each in before), BlockSet(each.block for each in now)
    new = [each for each in now if not held.holds(each.block)]
    gone = [each for each in before if not published.holds(each.block)]
    pairs = pair_moved_blocks(new, gone)
    moved = [ListChange(ChangeKind.MOVED, each.name, each.block, pairs[each].block) for each in new if each in pairs]
    added = [ListChange(ChangeKind.ADDED, *each) for each in new if each not in pairs]
    left = set(pairs.values())
    return [*moved, *added, *(ListChange(ChangeKind.REMOVED, *each) for each in gone if each not in left)]


def pair_moved_blocks(new: Iterable[PublishedRange], gone: Iterable[PublishedRange]) -> dict[PublishedRange, PublishedRange]:
    """Pair each new block with the one that it has come in place of: the only ones of their name, in the same /24."""
    new, gone = list(new), list(gone)
    once = Counter(each.name for each in new)
    before = Counter(each.name for each in gone)
    old = {each.name: each for each in gone if before[each.name] == 1}
    return {
        each: old[each.name]
        for each in new
        if each.name and once[each.name] == 1 and each.name in old and _same_site(each.block, old[each.name].block)
    }


def _same_site(one: str, other: str) -> bool:
    return len({block.cut(_SITE_PREFIX[block.version]) for block in parse_blocks((one, other))}) == 1


def alarms(before: Sequence[PublishedRange], now: Sequence[PublishedRange]) -> list[Alarm]:
    """Return what should stop a list from being taken over unseen."""
    found = []
    gone = [
        f"{each.name} {each.was or each.block}".strip()
        for each in changes_between(before, now)
        if each.kind is not ChangeKind.ADDED
    ]
    if gone:
        found.append(Alarm("vanished", f"no longer published: {first_names(gone, _MOST_NAMED)}"))
    for version, unit in ((4, "addresses"), (6, "addresses of IPv6")):
        had, has = (_count(ranges, version) for ranges in (before, now))
        if 2 * has < had:
            found.append(Alarm("halved", f"the list shrinks from {had} {unit} to {has}"))
    blocks = parse_blocks(dict.fromkeys(each.block for each in now))
    for version, shortest in _SHORTEST_PREFIX.items():
        if broad := [str(block) for block in blocks if block.version == version and block.length < shortest]:
            found.append(Alarm("broad", f"shorter than /{shortest}: {first_names(broad, _MOST_NAMED)}"))
    if special := [str(block) for block in blocks if any(block.overlaps(each) for each in _RESERVED_NETWORKS)]:
        found.append(Alarm("reserved", f"private or reserved: {first_names(special, _MOST_NAMED)}"))
    return found


def _count(ranges: Iterable[PublishedRange], version: int) -> int:
    return BlockSet(each.block for each in ranges if (":" in each.block) is (version == 6)).size


def dns_alarms(sources: Iterable[PublishedSource], answers: Iterable[tuple[str, str]]) -> list[Alarm]:
    """Return an alarm for each host of which an address, as resolved, is in none of the sources' ranges.

    One of IPv6 counts where the sources call IPv6.
    """
    sources = list(sources)
    with_ipv6 = any(source.calls_ipv6 and source.ranges for source in sources)
    cover = BlockSet(addresses_of_sources(sources))
    outside: dict[str, list[str]] = {}
    for host, address in answers:
        if (with_ipv6 or "." in address) and not cover.holds(address):
            outside.setdefault(host, []).append(address)
    return [
        Alarm("dns-outside", f"{host} resolves to {first_names(found, _MOST_NAMED)}, which is not published")
        for host, found in outside.items()
    ]
