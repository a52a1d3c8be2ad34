"""Among very many ServiceEntries, find those that an entry has to be compared with, and compare it with no others. Pure.

What competes with what is `find_conflicts`; here stands only where to look: entries are filed under what they could share with
another (a host, a block and those around it, a whole port, a server name), once for every namespace that sees them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import NamedTuple

from egressctl.istio.conflict import EntryConflict
from egressctl.istio.conflicts import find_conflicts
from egressctl.istio.export_to import EVERYWHERE, namespaces_that_see_entry
from egressctl.istio.listing import tcp_ports
from egressctl.istio.port_conflicts import EntryOnPort
from egressctl.model.blocks import parse_blocks
from egressctl.model.entry import Manifest, ServiceEntry

_ANYONE = ""
"""Under this name, which no namespace has, every entry is filed that any pod sees."""

_ANY_ENDING = "*"
"""Under this host, which no entry may have, stand those whose wildcard ends within a label."""

IndexKey = tuple[Hashable, ...]


class ConflictsFound(NamedTuple):
    """The clashes of an entry, and how many more entries compete with it that it was not compared with."""

    conflicts: tuple[EntryConflict, ...]
    more: int


class ConflictIndex:
    """All entries, filed so that those that compete with one are found without a look at the others."""

    def __init__(self, entries: Sequence[ServiceEntry]) -> None:
        self._entries = entries
        self._named: dict[tuple[str, str], set[int]] = defaultdict(set)
        for index, entry in enumerate(entries):
            self._named[entry.namespace, entry.name].add(index)
        self._lengths: dict[int, set[tuple[int, int]]] = defaultdict(set)
        for entry in entries:
            for port in tcp_ports(entry):
                self._lengths[port.number] |= {(block.version, block.length) for block in parse_blocks(entry.addresses)}
        self._filed: dict[tuple[IndexKey, str], dict[int, None]] = defaultdict(dict)
        for index, entry in enumerate(entries):
            scopes = namespaces_that_see_entry(entry)
            for key in set(self._filed_under(entry)) if scopes else ():
                for scope in {*scopes, _ANYONE}:
                    self._filed[key, scope][index] = None

    def conflicts_of(self, entry: ServiceEntry, namespace: str, at_most: int) -> ConflictsFound:
        """Compare an entry with those that compete with it, for pods of `namespace`; of one kind with `at_most` of them."""
        chosen: dict[int, None] = {}
        candidates: set[int] = set()
        itself = self._named[entry.namespace, entry.name]
        for group in self._groups(entry):
            found = self._found(group, entry)
            candidates.update(found)
            others = (index for index in found if index not in itself)
            chosen.update((index, None) for index, _ in zip(others, range(at_most), strict=False))
        told: list[EntryConflict] = []
        counts: dict[str, int] = defaultdict(int)
        left_out = 0
        for index in chosen:
            new = find_conflicts(entry, [self._entries[index]], namespace)
            for each in new:
                counts[each.rule] += 1
            kept = [each for each in new if counts[each.rule] <= at_most]
            told += kept
            left_out += bool(new) and not kept
        return ConflictsFound(tuple(told), len(candidates - itself) - len(chosen) + left_out)

    def _found(self, keys: Sequence[IndexKey], entry: ServiceEntry) -> dict[int, None]:
        scopes = namespaces_that_see_entry(entry)
        seen = (_ANYONE,) if EVERYWHERE in scopes else (EVERYWHERE, *scopes) if scopes else ()
        found: dict[int, None] = {}
        for key in keys:
            for scope in seen:
                if filed := self._filed.get((key, scope)):
                    found |= filed
        return found

    def _filed_under(self, entry: ServiceEntry) -> Iterator[IndexKey]:
        for host in entry.hosts:
            yield "host", host.lower()
        for port in tcp_ports(entry):
            side = EntryOnPort(entry, port)
            number, kind = port.number, side.kind
            for bare in _has_no_addresses(side):
                yield "kind", number, kind, bare
            yield "readable", number, kind, not parse_blocks(entry.addresses)
            if side.whole:
                yield "whole", number
            for block in parse_blocks(entry.addresses):
                yield "block", number, block
                for version, length in self._lengths[number]:
                    if version == block.version and length < block.length:
                        yield "inside", number, block.cut(length)
            for host in (each.lower() for each in entry.hosts if kind == "TLS"):
                yield "name", number, _ANY_ENDING if _is_partial_wildcard(host) else host
                for suffix in _wildcard_suffixes(host):
                    yield "ends", number, suffix

    def _groups(self, entry: ServiceEntry) -> Iterator[list[IndexKey]]:
        """Yield the keys under which those stand that compete with an entry: one list for each way to compete."""
        yield [("host", host.lower()) for host in entry.hosts]
        for port in tcp_ports(entry):
            side = EntryOnPort(entry, port)
            number, kind = port.number, side.kind
            every: list[IndexKey] = [("kind", number, each, empty) for each in ("TCP", "TLS", "HTTP") for empty in (True, False)]
            whole: list[IndexKey] = [("whole", number)]
            yield every if side.whole else whole
            blocks: list[IndexKey] = []
            for block in parse_blocks(entry.addresses):
                blocks += [("block", number, block), ("inside", number, block)]
                lengths = (length for version, length in self._lengths[number] if version == block.version)
                blocks += [("block", number, block.cut(length)) for length in lengths if length < block.length]
            yield blocks
            # A TLS entry that names its hosts at any address, and one of any kind that has some.
            kinds = [each for each in ("TCP", "TLS", "HTTP") if "TLS" in (kind, each)]
            yield [("kind", number, each, not bare) for each in kinds for bare in _has_no_addresses(side)]
            if kind == "TLS":
                names: list[IndexKey] = [("name", number, _ANY_ENDING)]
                for host in map(str.lower, entry.hosts):
                    names += [("kind", number, "TLS", empty) for empty in (True, False) if _is_partial_wildcard(host)]
                    names += [("name", number, f"*{suffix}") for suffix in _wildcard_suffixes(host)]
                    names += [("ends", number, host[1:])] if host.startswith("*") else []
                yield names
            rest = [each for each in ("TCP", "TLS", "HTTP") if each != kind and "HTTP" in (each, kind)]
            without = [True] if parse_blocks(entry.addresses) else [True, False]
            yield [("readable", number, each, empty) for each in rest for empty in without]


class ManifestsByHost:
    """Manifests, filed under the hosts that they name, wildcards among them."""

    def __init__(self, manifests: Sequence[Manifest], hosts: Callable[[Manifest], Sequence[str]]) -> None:
        self._manifests = manifests
        self._filed: dict[str, list[int]] = defaultdict(list)
        for index, each in enumerate(manifests):
            for host in hosts(each):
                self._filed[_ANY_ENDING if _is_partial_wildcard(host) else host.lower()].append(index)

    def of(self, entry: ServiceEntry) -> list[Manifest]:
        """Return those that name a host of the entry, or a wildcard that covers one, in their order."""
        if not self._filed:
            return []
        if any(map(_is_partial_wildcard, entry.hosts)):
            return list(self._manifests)
        names = {
            name
            for host in entry.hosts
            for name in (host.lower(), _ANY_ENDING, *(f"*{end}" for end in _wildcard_suffixes(host.lower())))
        }
        return [self._manifests[index] for index in sorted({index for name in names for index in self._filed.get(name, ())})]


def _has_no_addresses(side: EntryOnPort) -> set[bool]:
    """Say whether an entry has no addresses; a TLS entry that lists every one next to others is filed as both."""
    return {not side.entry.addresses, not side.entry.addresses or (side.kind == "TLS" and side.by_name)}


def _is_partial_wildcard(host: str) -> bool:
    """Say whether a host is a wildcard within its first label, such as `*pedia.org`: Istio warns of those, and keeps them."""
    return host.startswith("*") and host[1:2] not in ("", ".")


def _wildcard_suffixes(host: str) -> Iterator[str]:
    """Yield what wildcards that cover a host end in: `.wikipedia.org`, `.org`, and the host without its own `*`."""
    name = host.removeprefix("*")
    for at, letter in enumerate(name):
        if letter == "." and (at or host.startswith("*")):
            yield name[at:]
