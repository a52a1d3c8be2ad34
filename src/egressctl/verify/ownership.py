"""Say whose work an Envoy cluster is.

An Envoy cluster is not an entry: two entries of one host in one namespace share it, an entry of several hosts is served
by one of them, and a VirtualService can lead another entry's addresses to it. Its metadata names the namespace and the
host, so the ServiceEntries of that namespace suffice to prove that it is the entry's.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import isinf

from egressctl.envoy.config import (
    CATCH_ALL,
    CATCH_ALL_HTTP,
    OF_POLICY,
    PASSTHROUGH_CHAIN,
    OutboundName,
    ProxyConfig,
    parse_outbound_name,
)
from egressctl.istio.export_to import DEFAULTS, is_exported_to_namespace
from egressctl.istio.gateway_api import origin_of_route
from egressctl.istio.hosts import covers_host
from egressctl.istio.listing import lists_block, lists_port
from egressctl.istio.precedence import created_seconds, rank_of
from egressctl.manifests.formats import HTTP_PROTOCOLS, OPAQUE_PROTOCOLS, TLS_PROTOCOLS
from egressctl.model.blocks import parse_block, parse_blocks
from egressctl.model.entry import Port, ServiceEntry
from egressctl.model.evidence import Owner, Ownership, Walk


def find_owner(
    walk: Walk,
    config: ProxyConfig,
    entry: ServiceEntry,
    others: Sequence[ServiceEntry],
    port: int,
    *,
    pod_namespace: str = "",
    namespace: str = "",
) -> Owner:
    """Say whether the Envoy cluster that the walk reached for `port` is the work of `entry`.

    `others` must hold all ServiceEntries of the entry's namespace; those of other namespaces only name a conflicting one.
    `pod_namespace` is the source pod's: without it, entries that differ in exportTo cannot be distinguished. `namespace` is the
    Envoy cluster's, where that is known and its metadata does not name it.
    UNKNOWN wherever something about it is not understood; its reason is half a sentence.
    """
    if walk.unknown:
        return Owner(Ownership.UNKNOWN, walk.unknown)
    if walk.choices and walk.envoy_cluster is None:
        return Owner(Ownership.UNKNOWN, f"chance decides between {' and '.join(walk.choices)}")
    if walk.envoy_cluster is None:
        return Owner(Ownership.OTHERS, "no filter chain takes the connection, and the sidecar closes it")
    if walk.envoy_cluster in OF_POLICY or walk.filter_chain in (CATCH_ALL, CATCH_ALL_HTTP, PASSTHROUGH_CHAIN):
        return Owner(Ownership.OTHERS, f"the outbound traffic policy sends it to {walk.envoy_cluster}")
    to = parse_outbound_name(walk.envoy_cluster)
    if to is None:
        return Owner(Ownership.UNKNOWN, f"the name of the Envoy cluster {walk.envoy_cluster} is not understood")
    namespace = _namespace_of_cluster(config, walk.envoy_cluster, to.host) or namespace
    if not namespace:
        return Owner(Ownership.UNKNOWN, f"the Envoy cluster {walk.envoy_cluster} does not say which namespace it is of")
    neighbours = [other for other in others if (other.namespace, other.name) != (entry.namespace, entry.name)]
    if to.port != port and not walk.virtual_service:
        return Owner(Ownership.OTHERS, f"it goes to port {to.port} of {to.host}, not to the port that was asked for")
    if (entry.namespace, True) == (namespace, to.host in entry.hosts) and to.port != port:
        return _owner_of_other_port(walk, entry, neighbours, to, port, pod_namespace)
    if (entry.namespace, True) != (namespace, to.host in entry.hosts):
        rival = _entry_served_first(_matching_entries(neighbours, namespace, to, walk), pod_namespace, to.host)
        whose = f"{rival}, whose host is {to.host}" if rival else f"host {to.host} of namespace {namespace}"
        return Owner(Ownership.OTHERS, f"it is the Envoy cluster of {whose}", rival)
    return _owner_among_namesakes(walk, entry, neighbours, to, pod_namespace)


def _owner_of_other_port(
    walk: Walk, entry: ServiceEntry, neighbours: Sequence[ServiceEntry], to: OutboundName, port: int, pod_namespace: str
) -> Owner:
    """Decide where a VirtualService leads from the port that was asked for to another one of the same host.

    So plain HTTP becomes HTTPS: what comes to port 80 goes to port 443 of the very host, where a DestinationRule adds TLS.
    """
    holders = [
        each
        for each in (entry, *neighbours)
        if each.namespace == entry.namespace and to.host in each.hosts and lists_port(each, to.port)
    ]
    holder = _entry_served_first(holders, pod_namespace, to.host)
    moved = f"{origin_of_route(walk.virtual_service)} sends port {port} of {to.host} to its port {to.port}"
    if not _is_of_host(walk, to.host, neighbours, port):
        return Owner(
            Ownership.UNKNOWN, f"{origin_of_route(walk.virtual_service)} sends it to {to.host}, and another host may be meant"
        )
    if holder == entry:
        return Owner(Ownership.OWNED, f"{moved}, which {entry} lists", entry=entry)
    if holder is None and entry in holders:
        names = ", ".join(str(each) for each in holders if each != entry)
        return Owner(Ownership.UNKNOWN, f"{moved}, which {names} lists too, and which of them gets it is not known")
    return Owner(Ownership.OTHERS, f"{moved}, which {holder or 'no ServiceEntry'} lists, not {entry}", holder)


def _is_of_host(walk: Walk, host: str, neighbours: Iterable[ServiceEntry], port: int) -> bool:
    """Say whether the filter chain or the virtual host of a port is there for this host, and not for another entry's."""
    if walk.http_route:
        return walk.http_route.split(" / ")[1:2] == [f"{host}:{port}"]
    if walk.server_name:
        return covers_host(host, walk.server_name)
    return not any(host not in each.hosts and lists_port(each, port) and lists_block(each, walk.prefix) for each in neighbours)


def _owner_among_namesakes(
    walk: Walk, entry: ServiceEntry, neighbours: Sequence[ServiceEntry], to: OutboundName, pod_namespace: str
) -> Owner:
    """Decide between the entries of the Envoy cluster's host and namespace, of which `entry` is one."""
    what = describe_match(walk, to)
    holders = _matching_entries((entry, *neighbours), entry.namespace, to, walk)
    holder = _entry_served_first(holders, pod_namespace, to.host)
    if entry not in holders:
        return _owner_without_own_chain(walk, entry, neighbours, holder, to)
    if holder is None:
        names = ", ".join(str(each) for each in holders if each != entry)
        return Owner(Ownership.UNKNOWN, f"{names} has the same host and {what} too, and which of them gets it is not known")
    if holder != entry:
        return Owner(Ownership.OTHERS, f"{holder} has the same host and comes first for {what}, before {entry}", holder)
    if len(holders) > 1 and to.host != min(entry.hosts) and not (walk.server_name or walk.http_route):
        # All of a TCP port's chains go to the entry's first host: this one may be another entry's that shares another host.
        return Owner(Ownership.UNKNOWN, f"{what} is listed by several entries, and {to.host} is not the first host of {entry}")
    if walk.virtual_service:
        like = next((other for other in neighbours if lists_port(other, to.port) and _matches_walk(other, walk, to)), None)
        if like is not None:
            behind = origin_of_route(walk.virtual_service)
            return Owner(Ownership.UNKNOWN, f"{behind} sends to it, and {like} lists {what} as well")
    return Owner(Ownership.OWNED, f"{entry} lists {what} and the host {to.host}", entry=entry)


def _namespace_of_cluster(config: ProxyConfig, envoy_cluster: str, host: str) -> str | None:
    known = (config.envoy_clusters or {}).get(envoy_cluster)
    namespaces = {service.namespace for service in known.services if service.host == host} if known else set()
    return namespaces.pop() or None if len(namespaces) == 1 else None


def describe_match(walk: Walk, to: OutboundName) -> str:
    """Put into words what the filter chain, or the route, asks of a connection."""
    if walk.http_route:
        return f"the host {to.host} on port {to.port}"
    name = f" and the server name {walk.server_name}" if walk.server_name else ""
    return f"{walk.prefix or 'every address'}{name} on port {to.port}"


def _matching_entries(entries: Iterable[ServiceEntry], namespace: str, to: OutboundName, walk: Walk) -> list[ServiceEntry]:
    return [
        each
        for each in entries
        if each.namespace == namespace and to.host in each.hosts and lists_port(each, to.port) and _matches_walk(each, walk, to)
    ]


def _matches_walk(entry: ServiceEntry, walk: Walk, to: OutboundName) -> bool:
    """Say whether it is the entry that asks for this filter chain, or this virtual host, on its port.

    A port's protocol decides what istiod makes of it: HTTP is routed by host, TLS chosen by server name, TCP by address
    alone. A port whose protocol is not set may be any of them.
    """
    return any(_port_matches_walk(entry, port, walk, to) for port in entry.ports if port.number == to.port)


def _port_matches_walk(entry: ServiceEntry, port: Port, walk: Walk, to: OutboundName) -> bool:
    protocol = port.protocol.upper()
    if walk.http_route:
        # A port's common listener chooses by host, whatever the addresses; one of an address belongs to that address.
        return (protocol in HTTP_PROTOCOLS or not protocol) and (not walk.prefix or lists_block(entry, walk.prefix))
    if walk.server_name:
        named = bool(walk.virtual_service) or covers_host(to.host, walk.server_name)
        return (protocol in TLS_PROTOCOLS or not protocol) and named and lists_block(entry, walk.prefix)
    # The listener of a plain address asks for no server name.
    block = parse_block(walk.prefix) if walk.prefix else None
    plain = block is not None and block.is_one_address
    return (protocol in OPAQUE_PROTOCOLS or (plain and protocol in TLS_PROTOCOLS)) and lists_block(entry, walk.prefix)


def _entry_served_first(entries: Sequence[ServiceEntry], pod_namespace: str, host: str) -> ServiceEntry | None:
    """Return the entry that istiod serves first, None where there is none or where it is not known.

    They are of one namespace and host. What an absent exportTo means is the mesh's choice (defaultServiceExportTo), so both
    meanings must give the same.
    """
    if len(entries) < 2:
        return entries[0] if entries else None
    if any(isinf(created_seconds(each.created)) for each in entries):
        return None
    if not pod_namespace and len({frozenset(each.export_to) for each in entries}) > 1:
        return None
    winners = []
    for default in DEFAULTS:
        pool = [each for each in entries if not pod_namespace or is_exported_to_namespace(each, pod_namespace, default)]
        ranks = sorted((rank_of(each, default, host), index) for index, each in enumerate(pool))
        if ranks:
            by_chance = len(ranks) > 1 and ranks[0][0] == ranks[1][0]
            winners.append(None if by_chance else pool[ranks[0][1]])
    return winners[0] if winners and all(each is winners[0] for each in winners) else None


def _owner_without_own_chain(
    walk: Walk, entry: ServiceEntry, neighbours: Sequence[ServiceEntry], holder: ServiceEntry | None, to: OutboundName
) -> Owner:
    """Decide where the way leads to the entry's Envoy cluster by a filter chain that the entry does not ask for.

    A VirtualService adds one for a part of a block (`destinationSubnets`); a sidecar may still have one that the entry asked
    for before it was changed.
    """
    what = describe_match(walk, to)
    if holder is not None:
        return Owner(Ownership.OTHERS, f"{holder} has the same host and takes {what}", holder)
    if not lists_port(entry, to.port):
        return Owner(Ownership.OTHERS, f"the sidecar has port {to.port} of the host {to.host}, which {entry} does not name")
    block = parse_block(walk.prefix) if walk.prefix else None
    if block is not None and entry.addresses and not walk.http_route and not walk.server_name:
        if not any(map(block.overlaps, parse_blocks(entry.addresses))):
            return Owner(Ownership.OTHERS, f"the sidecar has {what} of the host {to.host}, which {entry} does not list")
        inside = any(each.holds(block) for each in parse_blocks(entry.addresses))
        theirs = parse_blocks(each for other in neighbours if lists_port(other, to.port) for each in other.addresses)
        like = any(map(block.overlaps, theirs))
        if walk.virtual_service and inside and not like:
            reason = f"{origin_of_route(walk.virtual_service)} sends {what}, which {entry} lists, to its host"
            return Owner(Ownership.OWNED, reason, entry=entry)
    return Owner(Ownership.UNKNOWN, f"the filter chain has {what}, which {entry} does not list")


def owner_of_expected_host(walk: Walk, via: str) -> Owner:
    """Say whether the walk leads to the Envoy cluster of `via`, the host that an expectation names as the way that is meant.

    On any port, and through any subset: an egress gateway listens where it likes. The entry's own Envoy cluster is not it.
    UNKNOWN where the walk is not understood, or chance decides between ways of which some are not it.
    """
    if walk.unknown:
        return Owner(Ownership.UNKNOWN, walk.unknown)
    ways = walk.choices or ((walk.envoy_cluster,) if walk.envoy_cluster else ())
    if not ways:
        return Owner(Ownership.OTHERS, f"the probe expects {via}, but no filter chain takes the connection")
    places = [parse_outbound_name(way) for way in ways]
    hosts = [to.host if to else way for to, way in zip(places, ways, strict=True)]
    held = [to is not None and to.host.lower() == via.lower().removesuffix(".") for to in places]
    if any(held) and not all(held):
        return Owner(Ownership.UNKNOWN, f"the probe expects {via}, but chance decides between {' and '.join(hosts)}")
    status = Ownership.OWNED if all(held) else Ownership.OTHERS
    return Owner(status, f"the probe expects {via}, and the connection goes to {' or '.join(dict.fromkeys(hosts))}")
