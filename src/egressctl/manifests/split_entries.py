"""See the several ServiceEntries of one target as what they are together. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from egressctl.manifests.service_entry import ANNOTATION_PARTS, read_entry
from egressctl.model.blocks import parse_block, parse_blocks
from egressctl.model.entry import Manifest, ServiceEntry
from egressctl.model.json_values import text_at


def group_by_target(manifests: Iterable[Manifest]) -> list[list[Manifest]]:
    """Put the entries of one target next to one another, in the order in which the first of each stands."""
    groups: dict[object, list[Manifest]] = {}
    for manifest in manifests:
        groups.setdefault(read_entry(manifest).family, []).append(manifest)
    return list(groups.values())


def join_by_target(entries: Sequence[ServiceEntry]) -> list[ServiceEntry]:
    """Return the entries with those of one target as one, which has the first's name and lists the addresses of all."""
    groups: dict[object, list[ServiceEntry]] = {}
    for entry in entries:
        groups.setdefault(entry.family, []).append(entry)
    return [_join_entries(group) for group in groups.values()]


def _join_entries(entries: Sequence[ServiceEntry]) -> ServiceEntry:
    if len(entries) == 1:
        return entries[0]
    return replace(entries[0], addresses=tuple(dict.fromkeys(address for entry in entries for address in entry.addresses)))


def entry_that_lists(entry: ServiceEntry, others: Iterable[ServiceEntry], ip: str) -> ServiceEntry:
    """Return the entry of a target that lists an address, by its longest block: this one, or one of `others` next to it.

    Where none does, it is what they are together, under this one's name; the entry itself where it is the only one.
    """
    together = [entry, *(each for each in others if each.is_same_target_as(entry) and each.name != entry.name)]
    if len(together) == 1:
        return entry
    depths = [_longest_prefix(each, ip) for each in together]
    return together[depths.index(max(depths))] if max(depths) >= 0 else _join_entries(together)


def _longest_prefix(entry: ServiceEntry, ip: str) -> int:
    """Return the length of the longest of the entry's blocks that holds the address; -1 for none."""
    address = parse_block(ip)
    if address is None:
        return -1
    return max((block.length for block in parse_blocks(entry.addresses) if block.holds(address)), default=-1)


def names_of_split_entries(manifest: Manifest) -> tuple[str, ...]:
    """Return the names of all entries of a target, as the first of them says; none where it is not the first, or the only one."""
    said = text_at(manifest, "metadata", "annotations", ANNOTATION_PARTS)
    return tuple(name for name in said.split(",") if name)
