"""Say whose work an Envoy cluster is, and which other ServiceEntries stand in an entry's way.

An Envoy cluster is not an entry: two entries of one host in one namespace share it, an entry of several hosts is carried
by one of them, and a VirtualService can lead another entry's addresses to it. Its metadata names the namespace and the
host, so the ServiceEntries of that namespace suffice to prove that it is the entry's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from egressctl.envoy import (
    BLACKHOLE,
    CATCH_ALL,
    PASSTHROUGH,
    PASSTHROUGH_CHAIN,
    Destination,
    ProxyConfig,
    destination,
)
from egressctl.model import Owner, Ownership, ServiceEntry, Walk
from egressctl.names import OPAQUE_PROTOCOLS, network


@dataclass(frozen=True, slots=True)
class Rival:
    """Another ServiceEntry that may take an entry's traffic, or lose its own to it. `reason` is half a sentence about it."""

    entry: ServiceEntry
    reason: str


def owner(
    walk: Walk, config: ProxyConfig, entry: ServiceEntry, others: Sequence[ServiceEntry], port: int, *, pod_namespace: str = ""
) -> Owner:
    """Say whether the Envoy cluster that the walk reached for `port` is the work of `entry`.

    `others` must hold all ServiceEntries of the entry's namespace; those of other namespaces only serve to name a rival.
    `pod_namespace` is the source pod's: without it, entries that differ in exportTo cannot be told apart.
    UNKNOWN wherever something about it is not understood; its reason is half a sentence.
    """
    if walk.unknown:
        return Owner(Ownership.UNKNOWN, walk.unknown)
    if walk.choices:
        return Owner(Ownership.UNKNOWN, f"chance decides between {', '.join(walk.choices)}")
    if walk.absent:
        return Owner(Ownership.UNKNOWN, f"the Envoy cluster {walk.envoy_cluster} does not exist in the sidecar (NC)")
    if walk.envoy_cluster is None:
        return Owner(Ownership.OTHERS, "no filter chain takes the connection, and the sidecar closes it")
    if walk.envoy_cluster in (PASSTHROUGH, BLACKHOLE) or walk.filter_chain in (CATCH_ALL, PASSTHROUGH_CHAIN):
        return Owner(Ownership.OTHERS, f"the outbound traffic policy leads it to {walk.envoy_cluster}")
    to = destination(walk.envoy_cluster)
    if to is None:
        return Owner(Ownership.UNKNOWN, f"the name of the Envoy cluster {walk.envoy_cluster} is not understood")
    namespace = _namespace(config, walk.envoy_cluster, to.host)
    if namespace is None:
        return Owner(Ownership.UNKNOWN, f"the Envoy cluster {walk.envoy_cluster} does not say which namespace it is of")
    neighbours = [other for other in others if (other.namespace, other.name) != (entry.namespace, entry.name)]
    if to.port != port:
        return Owner(Ownership.OTHERS, f"it leads to port {to.port} of {to.host}, another than was asked for")
    if (entry.namespace, True) != (namespace, to.host in entry.hosts):
        rival = _holder(_holders(neighbours, namespace, to, walk.prefix), pod_namespace)
        whose = f"{rival}, whose host is {to.host}" if rival else f"host {to.host} of namespace {namespace}"
        return Owner(Ownership.OTHERS, f"it is the Envoy cluster of {whose}", rival)
    return _among_namesakes(walk, entry, neighbours, to, pod_namespace)


def _among_namesakes(
    walk: Walk, entry: ServiceEntry, neighbours: Sequence[ServiceEntry], to: Destination, pod_namespace: str
) -> Owner:
    """Decide between the entries of the Envoy cluster's host and namespace, of which `entry` is one."""
    what = f"{walk.prefix or 'every address'} on port {to.port}"
    holders = _holders((entry, *neighbours), entry.namespace, to, walk.prefix)
    holder = _holder(holders, pod_namespace)
    if entry not in holders:
        if holder is not None:
            return Owner(Ownership.OTHERS, f"{holder} has the same host and holds {what}", holder)
        return Owner(Ownership.UNKNOWN, f"the filter chain holds {what}, which {entry} does not list")
    if holder is None:
        names = ", ".join(str(each) for each in holders if each != entry)
        return Owner(Ownership.UNKNOWN, f"{names} has the same host and {what} too, and which of them holds it is not known")
    if holder != entry:
        return Owner(Ownership.OTHERS, f"{holder} has the same host and holds {what} before {entry}", holder)
    if len(holders) > 1 and to.host != min(entry.hosts):
        # All of an entry's chains go to its first host: this one may be the work of an entry that shares another host.
        return Owner(Ownership.UNKNOWN, f"{what} is listed by several entries, and {to.host} is not the first host of {entry}")
    if route := walk.virtual_service:
        like = next((other for other in neighbours if _lists(other, to.port) and _holds(other, walk.prefix)), None)
        if like is not None:
            return Owner(Ownership.UNKNOWN, f"VirtualService {route} leads to it, and {like} lists {what} as well")
    return Owner(Ownership.OWNED, f"{entry} lists {what} and the host {to.host}")


def _namespace(config: ProxyConfig, envoy_cluster: str, host: str) -> str | None:
    known = (config.envoy_clusters or {}).get(envoy_cluster)
    namespaces = {service.namespace for service in known.services if service.host == host} if known else set()
    return namespaces.pop() or None if len(namespaces) == 1 else None


def _holders(entries: Iterable[ServiceEntry], namespace: str, to: Destination, prefix: str) -> list[ServiceEntry]:
    return [
        each
        for each in entries
        if each.namespace == namespace and to.host in each.hosts and _lists(each, to.port) and _holds(each, prefix)
    ]


def _lists(entry: ServiceEntry, port: int) -> bool:
    return any(each.number == port and each.protocol.upper() != "UDP" for each in entry.ports)


def _holds(entry: ServiceEntry, prefix: str) -> bool:
    """Say whether the entry lists exactly this block; no prefix is an entry without addresses, or with 0.0.0.0/0."""
    if not prefix:
        return not entry.addresses or any(str(network(address)) == "0.0.0.0/0" for address in entry.addresses)
    block = network(prefix)
    return block is not None and any(network(address) == block for address in entry.addresses)


def _holder(entries: Sequence[ServiceEntry], pod_namespace: str) -> ServiceEntry | None:
    """Return the entry that istiod serves first, None where there is none or where it cannot be told.

    Those exported to fewer than all come first, then the older, then by name. What an absent exportTo means is the
    mesh's choice (defaultServiceExportTo), so both meanings must give the same.
    """
    if len(entries) < 2:
        return entries[0] if entries else None
    ages = {id(each): _age(each.created) for each in entries}
    if None in ages.values():
        return None
    if not pod_namespace and len({frozenset(each.export_to) for each in entries}) > 1:
        return None
    winners = []
    for default in ("*", "."):
        pool = [each for each in entries if not pod_namespace or _exported(each, pod_namespace, default)]
        if pool:
            winners.append(min(pool, key=lambda each: ("*" in (each.export_to or default), ages[id(each)], each.name)))
    return winners[0] if winners and all(each is winners[0] for each in winners) else None


def _age(created: str) -> datetime | None:
    try:
        age = datetime.fromisoformat(created)
    except ValueError:
        return None
    return age if age.tzinfo else None


def _exported(entry: ServiceEntry, namespace: str, default: str) -> bool:
    exports = entry.export_to or (default,)
    return "*" in exports or namespace in exports or ("." in exports and namespace == entry.namespace)


def rivals(entry: ServiceEntry, others: Sequence[ServiceEntry]) -> tuple[Rival, ...]:
    """Name the other entries that some namespace sees beside this one and that compete with it, each with why.

    They have a host in common (in any namespace, on any port), list the same or an overlapping block on a port that both
    have, or catch every address on it.
    """
    found = []
    for other in others:
        if (other.namespace, other.name) == (entry.namespace, entry.name) or not _meet(entry, other):
            continue
        if reasons := [*_same_host(entry, other), *_same_block(entry, other)]:
            found.append(Rival(other, "; ".join(reasons)))
    return tuple(found)


def _meet(one: ServiceEntry, other: ServiceEntry) -> bool:
    """Say whether a pod can see both, an absent exportTo taken as public."""
    seen = []
    for each in (one, other):
        exports = set(each.export_to or ("*",))
        seen.append(set() if "~" in exports else {each.namespace if export == "." else export for export in exports})
    first, second = seen
    return bool(first and second and ("*" in first or "*" in second or first & second))


def _same_host(entry: ServiceEntry, other: ServiceEntry) -> Iterable[str]:
    names = {host.lower(): host for host in other.hosts}
    common = sorted(names[host] for host in {host.lower() for host in entry.hosts} & names.keys())
    if common:
        where = "" if other.namespace == entry.namespace else f" in namespace {other.namespace}"
        yield f"it has the same host {', '.join(common)}{where}"


def _same_block(entry: ServiceEntry, other: ServiceEntry) -> Iterable[str]:
    for port in sorted({each.number for each in entry.ports if _lists(entry, each.number) and _lists(other, each.number)}):
        if _catches_all(other, port):
            yield f"it catches every address on port {port}"
            continue
        if other.addresses and _catches_all(entry, port):
            yield f"it lists addresses on port {port}, of which {entry} catches every one"
            continue
        yield from _overlap(entry, other, port)


def _catches_all(entry: ServiceEntry, port: int) -> bool:
    opaque = any(each.number == port and each.protocol.upper() in OPAQUE_PROTOCOLS for each in entry.ports)
    return opaque and _holds(entry, "")


def _overlap(entry: ServiceEntry, other: ServiceEntry, port: int) -> Iterable[str]:
    mine = [block for address in entry.addresses if (block := network(address))]
    theirs = [block for address in other.addresses if (block := network(address))]
    pairs = [(own, their) for own in mine for their in theirs if own.overlaps(their)]
    if same := next((own for own, their in pairs if own == their), None):
        yield f"it lists the same block {same} on port {port}"
    elif pairs:
        own, their = pairs[0]
        yield f"it lists {their} on port {port}, which overlaps {own}"
