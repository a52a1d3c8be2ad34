"""Compare a ServiceEntry with the others of the mesh: which of them compete with it, for what, and who wins.

Who wins is what was measured with istiod, and Envoy's order of matching: the address (the longest prefix), then the server
name; a chain that matched the address is not left again for one that does not name it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from egressctl.blocks import bits
from egressctl.clash import About, Clash
from egressctl.documents import Path
from egressctl.model import Port, ServiceEntry
from egressctl.names import HTTP_PROTOCOLS, OPAQUE_PROTOCOLS, TLS_PROTOCOLS, Network, network

_SHARE = frozenset({"same-host", "same-block", "overlapping-blocks", "whole-port"})
"""The rules of clashes in which one entry takes what the other says is its own."""

_PUBLIC = ("*",)


@dataclass(frozen=True, slots=True)
class Rival:
    """Another ServiceEntry that may take an entry's traffic, or lose its own to it. `reason` is half a sentence about it."""

    entry: ServiceEntry
    reason: str


def rivals(entry: ServiceEntry, others: Sequence[ServiceEntry]) -> tuple[Rival, ...]:
    """Name the other entries that some namespace sees beside this one and that compete with it, each with why.

    They have a host in common (in any namespace, on any port), list the same or an overlapping block on a port that both
    have, or catch every address on it. The entries of one target do not compete.
    """
    found = []
    for other in others:
        reasons = [clash.reason for clash in _between(entry, other, entry.namespace) if clash.rule in _SHARE]
        if reasons:
            found.append(Rival(other, "; ".join(reasons)))
    return tuple(found)


def clashes(entry: ServiceEntry, others: Sequence[ServiceEntry], namespace: str) -> tuple[Clash, ...]:
    """Name everything in which other entries compete with this one, and who wins for pods of `namespace`.

    An entry that was not created yet is younger than all that were. An absent exportTo is taken as public.
    """
    return tuple(clash for other in others for clash in _between(entry, other, namespace))


def _between(entry: ServiceEntry, other: ServiceEntry, namespace: str) -> Iterator[Clash]:
    if (other.namespace, other.name) == (entry.namespace, entry.name) or other.beside(entry) or not _meet(entry, other):
        return
    yield from _same_host(entry, other, namespace)
    theirs = {port.number: port for port in other.ports if port.protocol.upper() != "UDP"}
    for port in sorted(entry.ports, key=lambda each: each.number):
        if port.protocol.upper() != "UDP" and port.number in theirs:
            yield from _on_port(_Side(entry, port), _Side(other, theirs[port.number]))


@dataclass(frozen=True, slots=True)
class _Side:
    """One of two entries that name the same port."""

    entry: ServiceEntry
    port: Port

    @property
    def kind(self) -> str:
        """TCP, TLS or HTTP: what a sidecar looks at."""
        protocol = self.port.protocol.upper()
        return "TLS" if protocol in TLS_PROTOCOLS else "HTTP" if protocol in HTTP_PROTOCOLS else "TCP"

    @property
    def blocks(self) -> list[Network]:
        return [block for address in self.entry.addresses if (block := network(address))]

    @property
    def whole(self) -> bool:
        """Whether it takes every address on the port."""
        if self.port.protocol.upper() not in OPAQUE_PROTOCOLS:
            return False
        return not self.entry.addresses or any(
            block.version == 4 and not block.length for block in map(bits, self.entry.addresses) if block
        )

    @property
    def path(self) -> Path:
        return ("spec", "ports", self.entry.ports.index(self.port))

    def path_of(self, block: Network) -> Path:
        return ("spec", "addresses", [network(address) for address in self.entry.addresses].index(block))


def _clash(rule: str, other: ServiceEntry, reason: str, outcome: str, path: Path, winner: ServiceEntry | None = None) -> Clash:
    about = About("ServiceEntry", other.namespace, other.name)
    return Clash(rule, about, reason, outcome, path=path, winner=str(winner) if winner else "")


def _meet(one: ServiceEntry, other: ServiceEntry) -> bool:
    """Say whether a pod can see both, an absent exportTo taken as public."""
    seen = []
    for each in (one, other):
        exports = set(each.export_to or _PUBLIC)
        seen.append(set() if "~" in exports else {each.namespace if export == "." else export for export in exports})
    first, second = seen
    return bool(first and second and ("*" in first or "*" in second or first & second))


def _same_host(entry: ServiceEntry, other: ServiceEntry, namespace: str) -> Iterator[Clash]:
    names = {host.lower(): host for host in other.hosts}
    common = sorted(names[host] for host in {host.lower() for host in entry.hosts} & names.keys())
    if not common:
        return
    reason = f"it has the same host {', '.join(common)}"
    path: Path = ("spec", "hosts", [host.lower() for host in entry.hosts].index(common[0].lower()))
    if other.namespace == entry.namespace:
        yield _clash("same-host", other, reason, "the two share an Envoy cluster, and each address is carried for both", path)
        return
    chosen, why = _of_namespaces(entry, other, namespace)
    gets = f"pods of namespace {namespace} get {chosen}, {why}" if chosen else f"which of them pods of {namespace} get {why}"
    both = seen_by(entry, namespace) and seen_by(other, namespace)
    yield _clash(
        "same-host",
        other,
        f"{reason} in namespace {other.namespace}",
        f"a sidecar gets only one of the two; {gets}",
        path,
        chosen if both else None,
    )


def _of_namespaces(entry: ServiceEntry, other: ServiceEntry, namespace: str) -> tuple[ServiceEntry | None, str]:
    """Return which of two namespaces' entries of one host a pod gets: its own namespace's, else the older."""
    seen = [each for each in (entry, other) if seen_by(each, namespace)]
    if len(seen) == 1:
        return seen[0], "the only one that they see"
    for each in (entry, other):
        if each.namespace == namespace:
            return each, "their own namespace's"
    return _older(entry, other)


def seen_by(entry: ServiceEntry, namespace: str) -> bool:
    """Say whether pods of a namespace see an entry, an absent exportTo taken as public."""
    exports = entry.export_to or _PUBLIC
    return "*" in exports or namespace in exports or ("." in exports and namespace == entry.namespace)


def _first(entry: ServiceEntry, other: ServiceEntry) -> tuple[ServiceEntry | None, str]:
    """Return which of two entries a block goes to that both list, and say so."""
    private = [each for each in (entry, other) if "*" not in (each.export_to or _PUBLIC)]
    if len(private) == 1:
        return private[0], f"{private[0]} carries it, whose exportTo names fewer namespaces"
    chosen, why = _older(entry, other)
    return chosen, f"{chosen} carries it, {why}" if chosen else f"which of them carries it {why}"


def _older(entry: ServiceEntry, other: ServiceEntry) -> tuple[ServiceEntry | None, str]:
    ages = [each.created_at for each in (entry, other)]
    if ages == [None, None]:
        return None, "cannot be told, since neither says its age"
    mine, theirs = (each.timestamp() if each else float("inf") for each in ages)
    if mine == theirs:
        return min(entry, other, key=lambda each: (each.name, each.namespace)), "the first by name of two of the same age"
    return (entry if mine < theirs else other), "the older"


def _on_port(mine: _Side, theirs: _Side) -> Iterator[Clash]:
    entry, other, port = mine.entry, theirs.entry, mine.port.number
    pairs = _overlapping(entry.addresses, other.addresses)
    if theirs.whole or mine.whole:
        yield _whole_port(mine, theirs)
    elif pairs:
        yield from _blocks(mine, theirs, pairs)
    elif "TLS" in (mine.kind, theirs.kind) and bool(mine.entry.addresses) != bool(theirs.entry.addresses):
        yield from _behind_block(mine, theirs)
    if mine.kind == theirs.kind == "TLS" and (pairs or not (mine.blocks or theirs.blocks)):
        yield from _server_names(mine, theirs)
    if mine.kind != theirs.kind and "HTTP" in (mine.kind, theirs.kind) and (pairs or not (mine.blocks and theirs.blocks)):
        yield _clash(
            "protocol-conflict",
            other,
            f"it declares port {port} as {_declared(theirs)}, and {entry} as {_declared(mine)}",
            "what does not speak as its port is declared falls to the default filter chain; declare one protocol",
            mine.path,
        )


def _overlapping(own: Sequence[str], their: Sequence[str]) -> list[tuple[Network, Network]]:
    others = [(each, block) for each in their if (block := bits(each))]
    found = [(one, each) for one in own if (block := bits(one)) for each, other in others if block.overlaps(other)]
    return [(first, second) for one, each in found if (first := network(one)) and (second := network(each))]


def _declared(side: _Side) -> str:
    return side.port.protocol.upper() or "TCP"


def _whole_port(mine: _Side, theirs: _Side) -> Clash:
    entry, other, port = mine.entry, theirs.entry, mine.port.number
    if theirs.whole and mine.whole:
        first, told = _first(entry, other)
        return _clash(
            "whole-port", other, f"it catches every address on port {port}", f"so does {entry}; {told}", mine.path, first
        )
    if theirs.whole:
        keeps = "the blocks that it lists" if entry.addresses else f"what its hosts name as {mine.kind}"
        outcome = f"{entry} keeps {keeps}, and everything else on the port is open through {other}"
        return _clash("whole-port", other, f"it catches every address on port {port}", outcome, mine.path, entry)
    reason = f"it names {theirs.kind} hosts on port {port}, where {entry} catches every address"
    if other.addresses:
        reason = f"it lists addresses on port {port}, of which {entry} catches every one"
    outcome = f"what it lists stays its own, and everything else on the port is open through {entry}"
    return _clash("whole-port", other, reason, outcome, mine.path, other)


def _blocks(mine: _Side, theirs: _Side, pairs: list[tuple[Network, Network]]) -> Iterator[Clash]:
    entry, other, port = mine.entry, theirs.entry, mine.port.number
    both_tls = mine.kind == theirs.kind == "TLS"
    same = [own for own, their in pairs if own == their]
    longer = any(own.prefixlen > their.prefixlen for own, their in pairs)
    if same and not both_tls:  # of two TLS entries each keeps its own names
        tls = [side.entry for side in (mine, theirs) if side.kind == "TLS"]
        first, outcome = _first(entry, other)
        if tls:
            first, outcome = tls[0], f"the server names of {tls[0]} go to it, and the rest to the other"
        reason = f"it lists the same block {same[0]} on port {port}{_more(same)}"
        yield _clash("same-block", other, reason, outcome, mine.path_of(same[0]), entry if longer else first)
        return
    if unequal := [(own, their) for own, their in pairs if own != their]:
        own, their = unequal[0]
        winner, block = (mine, own) if own.prefixlen > their.prefixlen else (theirs, their)
        why = (
            "a plain address goes before every block"
            if block.prefixlen == block.max_prefixlen
            else "the longest prefix goes first"
        )
        outcome = f"{winner.entry} takes {block}, since {why}"
        if winner.kind == "TLS":
            outcome += "; what asks for none of its names there is not handed on to the other"
        reason = f"it lists {their} on port {port}, which overlaps {own}{_more(unequal)}"
        yield _clash("overlapping-blocks", other, reason, outcome, mine.path_of(own), entry if longer else other)


def _more(found: Sequence[object]) -> str:
    return f" and {len(found) - 1} more" if len(found) > 1 else ""


def _behind_block(mine: _Side, theirs: _Side) -> Iterator[Clash]:
    """Tell of a TLS entry without addresses beside one that has some: the address is looked at before the server name."""
    entry, other, port = mine.entry, theirs.entry, mine.port.number
    if mine.kind == "TLS" and not entry.addresses:
        yield _clash(
            "tls-behind-block",
            other,
            f"it lists addresses on port {port} as {_declared(theirs)}",
            f"where a host of {entry}, which has none, resolves into them, it carries or refuses the connection",
            mine.path,
            other,
        )
    elif theirs.kind == "TLS" and not other.addresses:
        yield _clash(
            "tls-behind-block",
            other,
            f"it names TLS hosts on port {port} and has no addresses",
            f"where one of them resolves into the blocks of {entry}, {entry} carries or refuses the connection",
            mine.path,
            entry,
        )


def _server_names(mine: _Side, theirs: _Side) -> Iterator[Clash]:
    entry, other = mine.entry, theirs.entry
    for own in entry.hosts:
        for their in other.hosts:
            if own.lower() != their.lower() and (covers(own, their) or covers(their, own)):
                wide, narrow = (own, their) if covers(own, their) else (their, own)
                first = entry if narrow is own else other
                reason = f"it names {their} as TLS on port {mine.port.number}, and {entry} names {own}"
                outcome = f"{narrow} goes to {first}, since it says more than {wide}"
                yield _clash("same-server-name", other, reason, outcome, ("spec", "hosts", entry.hosts.index(own)), first)
                return


def covers(wide: str, host: str) -> bool:
    """Say whether a host, perhaps with a wildcard as its first label, names everything that another names."""
    wide, host = wide.lower(), host.lower()
    if not wide.startswith("*"):
        return wide == host
    return host == wide or (len(host) > len(wide) - 1 and host.removeprefix("*").endswith(wide[1:]))
