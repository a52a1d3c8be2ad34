"""Compare two ServiceEntries on a port that both have: what each claims of it, and which of them the traffic goes to. Pure.

Who wins is what was measured with istiod, and Envoy's order of matching: a listener of the address itself, the longest prefix,
then the server name; a chain that matched the address is not left again for one that does not name it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from egressctl.istio import precedence
from egressctl.istio.conflict import ConflictKind, EntryConflict, ObjectReference
from egressctl.istio.hosts import covers_host, hosts_overlap
from egressctl.istio.listing import is_every_address, lists_block
from egressctl.manifests.formats import HTTP_PROTOCOLS, OPAQUE_PROTOCOLS, TLS_PROTOCOLS
from egressctl.manifests.yaml_reader import ValuePath
from egressctl.model.blocks import Block, parse_block, parse_blocks
from egressctl.model.entry import Port, ServiceEntry


class EntryOnPort(NamedTuple):
    """One of two entries that name the same port."""

    entry: ServiceEntry
    port: Port

    @property
    def kind(self) -> str:
        """TCP, TLS or HTTP: what a sidecar looks at."""
        protocol = self.port.protocol.upper()
        return "TLS" if protocol in TLS_PROTOCOLS else "HTTP" if protocol in HTTP_PROTOCOLS else "TCP"

    @property
    def claims(self) -> list[str]:
        """The addresses that get a filter chain or a listener of their own: none of HTTP, which goes by the host alone."""
        return [] if self.kind == "HTTP" else [each for each in self.entry.addresses if not is_every_address(each)]

    @property
    def whole(self) -> bool:
        """Whether it takes every address on the port."""
        return self.port.protocol.upper() in OPAQUE_PROTOCOLS and lists_block(self.entry, "")

    @property
    def by_name(self) -> bool:
        """Whether the names in the traffic lead to it at any address."""
        if self.kind == "TLS":
            return not self.claims or any(map(is_every_address, self.entry.addresses))
        return self.kind == "HTTP"

    @property
    def path(self) -> ValuePath:
        return ("spec", "ports", self.entry.ports.index(self.port))

    def path_of(self, block: Block) -> ValuePath:
        return ("spec", "addresses", [parse_block(address) for address in self.entry.addresses].index(block))


def conflict_with(
    rule: str, other: ServiceEntry, reason: str, outcome: str, path: ValuePath, winner: ServiceEntry | None = None
) -> EntryConflict:
    """Return a clash with another entry."""
    about = ObjectReference("ServiceEntry", other.namespace, other.name)
    return EntryConflict(rule, about, reason, outcome, path=path, winner=str(winner) if winner else "")


def conflicts_on_port(mine: EntryOnPort, theirs: EntryOnPort) -> Iterator[EntryConflict]:
    """Yield what the second of two entries does to the first on a port of both."""
    claimed = _overlapping_blocks(mine.claims, theirs.claims)
    if theirs.whole or mine.whole:
        yield from _whole_port_conflicts(mine, theirs)
    if claimed:
        yield from _block_conflicts(mine, theirs, claimed)
    if "TLS" in (mine.kind, theirs.kind) and "HTTP" not in (mine.kind, theirs.kind):
        yield from _tls_behind_block_conflicts(mine, theirs)
    if mine.kind == theirs.kind == "TLS" and (claimed or not (mine.claims or theirs.claims)):
        yield from _server_name_conflicts(mine, theirs)
    own, their = mine.entry.addresses, theirs.entry.addresses
    meet = not (any(map(parse_block, own)) and any(map(parse_block, their))) or _overlapping_blocks(own, their)
    if mine.kind != theirs.kind and "HTTP" in (mine.kind, theirs.kind) and meet:
        yield _protocol_conflict(mine, theirs)


def _whole_port_conflicts(mine: EntryOnPort, theirs: EntryOnPort) -> Iterator[EntryConflict]:
    entry, other, port = mine.entry, theirs.entry, mine.port.number
    if theirs.whole and mine.whole:
        first, told = _winner_and_reason(entry, other)
        keeping = [side.entry for side in (mine, theirs) if _addresses_of_its_own(side, theirs if side is mine else mine)]
        kept = "".join(f"; {each} keeps the addresses that it lists besides" for each in keeping)
        reason, outcome = f"it catches every address on port {port}", f"so does {entry}; {told}{kept}"
        yield conflict_with(ConflictKind.WHOLE_PORT, other, reason, outcome, mine.path, entry if entry in keeping else first)
    elif theirs.whole and (mine.by_name or _addresses_of_its_own(mine, theirs)):
        keeps = f"what its hosts name as {mine.kind}" if mine.by_name else "the blocks that it lists"
        outcome = f"{entry} keeps {keeps}, and everything else on the port is open through {other}"
        yield conflict_with(ConflictKind.WHOLE_PORT, other, f"it catches every address on port {port}", outcome, mine.path, entry)
    elif mine.whole and (theirs.by_name or _addresses_of_its_own(theirs, mine)):
        reason = f"it lists addresses on port {port}, of which {entry} catches every one"
        if theirs.by_name:
            reason = f"it names {theirs.kind} hosts on port {port}, where {entry} catches every address"
        outcome = f"what it lists stays its own, and everything else on the port is open through {entry}"
        yield conflict_with(ConflictKind.WHOLE_PORT, other, reason, outcome, mine.path, other)


def _addresses_of_its_own(side: EntryOnPort, whole: EntryOnPort) -> list[str]:
    """Return the addresses that one claims and that one which takes the whole port does not list besides."""
    return [each for each in side.claims if each not in whole.claims]


def _block_conflicts(mine: EntryOnPort, theirs: EntryOnPort, pairs: list[tuple[Block, Block]]) -> Iterator[EntryConflict]:
    entry, other, port = mine.entry, theirs.entry, mine.port.number
    own_blocks, their_blocks = {parse_block(each) for each in mine.claims}, {parse_block(each) for each in theirs.claims}
    # A block that both list is nobody's for being longer than another block of one of them.
    unequal = [
        (own, their)
        for own, their in pairs
        if own != their and not (own in their_blocks if own.length > their.length else their in own_blocks)
    ]
    longer = any(own.length > their.length for own, their in unequal)
    same = [own for own, their in pairs if own == their]
    plain = [own for own in same if own.is_one_address]
    # Of two TLS entries each keeps its own names of a block.
    shared = [] if mine.kind == theirs.kind == "TLS" else [own for own in same if own not in plain]
    for alike in (plain, shared):
        if not alike:
            continue
        first, outcome = _winner_and_reason(entry, other)
        if tls := [side.entry for side in (mine, theirs) if side.kind == "TLS"]:
            if alike is shared:
                first, outcome = tls[0], f"the server names of {tls[0]} go to it, and the rest to the other"
            else:
                outcome += "; the listener of a plain address asks for no server name"
        reason = f"it lists the same block {alike[0]} on port {port}{_and_more(alike)}"
        yield conflict_with(ConflictKind.SAME_BLOCK, other, reason, outcome, mine.path_of(alike[0]), entry if longer else first)
    if unequal and not plain and not shared:
        own, their = unequal[0]
        winner, block = (mine, own) if own.length > their.length else (theirs, their)
        is_plain = block.is_one_address
        why = "a plain address goes before every block" if is_plain else "the longest prefix goes first"
        outcome = f"{winner.entry} takes {block}, since {why}"
        if winner.kind == "TLS" and not is_plain:
            outcome += "; what asks for none of its names there is not handed on to the other"
        reason = f"it lists {their} on port {port}, which overlaps {own}{_and_more(unequal)}"
        yield conflict_with(
            ConflictKind.OVERLAPPING_BLOCKS, other, reason, outcome, mine.path_of(own), entry if longer else other
        )


def _winner_and_reason(entry: ServiceEntry, other: ServiceEntry) -> tuple[ServiceEntry | None, str]:
    """Return which of two entries has what both claim alike, and say so."""
    chosen, why = precedence.first_entry_in_sidecar(entry, other)
    return chosen, f"{chosen} gets it, {why}" if chosen else f"which of them gets it {why}"


def _and_more(found: Sequence[object]) -> str:
    return f" and {len(found) - 1} more" if len(found) > 1 else ""


def _tls_behind_block_conflicts(mine: EntryOnPort, theirs: EntryOnPort) -> Iterator[EntryConflict]:
    """Report a TLS entry without addresses next to one that has some: the address is looked at before the server name."""
    entry, other, port = mine.entry, theirs.entry, mine.port.number
    if mine.by_name and theirs.claims:
        yield conflict_with(
            ConflictKind.TLS_BEHIND_BLOCK,
            other,
            f"it lists addresses on port {port} as {_declared_protocol(theirs)}",
            f"if a host of {entry} resolves to one of them, it sends or refuses the connection",
            mine.path,
            other,
        )
    if theirs.by_name and mine.claims:
        yield conflict_with(
            ConflictKind.TLS_BEHIND_BLOCK,
            other,
            f"it names TLS hosts on port {port} at any address",
            f"if one of them resolves to an address in the blocks of {entry}, {entry} sends or refuses the connection",
            mine.path,
            entry,
        )


def _server_name_conflicts(mine: EntryOnPort, theirs: EntryOnPort) -> Iterator[EntryConflict]:
    entry, other = mine.entry, theirs.entry
    for own in entry.hosts:
        for their in other.hosts:
            if own.lower() != their.lower() and hosts_overlap(own, their):
                wide, narrow = (own, their) if covers_host(own, their) else (their, own)
                first = entry if narrow is own else other
                reason = f"it names {their} as TLS on port {mine.port.number}, and {entry} names {own}"
                outcome = f"{narrow} goes to {first}, since it says more than {wide}"
                yield conflict_with(
                    ConflictKind.SAME_SERVER_NAME, other, reason, outcome, ("spec", "hosts", entry.hosts.index(own)), first
                )
                return


def _protocol_conflict(mine: EntryOnPort, theirs: EntryOnPort) -> EntryConflict:
    entry, other, port = mine.entry, theirs.entry, mine.port.number
    reason = f"it declares port {port} as {_declared_protocol(theirs)}, and {entry} as {_declared_protocol(mine)}"
    http, rest = (mine, theirs) if mine.kind == "HTTP" else (theirs, mine)
    shared = {*entry.hosts} & {*other.hosts} if entry.namespace == other.namespace else ()
    winner, outcome = None, "what does not speak as its port is declared falls to the default filter chain"
    if shared and precedence.first_entry_in_sidecar(entry, other, host=min(shared))[0] is http.entry:
        winner = rest.entry
        outcome = f"{rest.entry} comes after {http.entry}, and with it HTTP has no route to {min(shared)} on the port"
    elif rest.claims:
        winner = rest.entry
        outcome = (
            f"if a host of {http.entry} resolves to one of the addresses of {winner}, {winner} sends or refuses the connection"
        )
    return conflict_with(ConflictKind.PROTOCOL_CONFLICT, other, reason, f"{outcome}; declare one protocol", mine.path, winner)


def _declared_protocol(side: EntryOnPort) -> str:
    return side.port.protocol.upper() or "TCP"


def _overlapping_blocks(own: Sequence[str], their: Sequence[str]) -> list[tuple[Block, Block]]:
    others = parse_blocks(their)
    return [(block, other) for block in parse_blocks(own) for other in others if block.overlaps(other)]
