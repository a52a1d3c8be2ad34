"""Say whether an entry's own Envoy cluster proves anything for it: it may be of an older version, or connect somewhere else.

A control plane that stands still leaves what an entry said before it was changed, or what another of its host said that is
gone. And where Envoy chooses the address itself (DNS, STATIC), all that a filter chain takes goes to the entry's host, whatever
was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import NamedTuple

from egressctl.envoy.config import DYNAMIC, EnvoyCluster, OutboundName, ProxyConfig, parse_outbound_name
from egressctl.envoy.counts import ClusterCounts, hosts_used
from egressctl.istio.export_to import is_exported_to_namespace
from egressctl.istio.gateway_api import origin_of_route
from egressctl.istio.hosts import covers_host, hosts_overlap
from egressctl.istio.listing import lists_address, lists_block, lists_port, tcp_ports
from egressctl.istio.sidecar_listeners import egress_listeners
from egressctl.istio.sidecar_scope import ImportScope, import_scope
from egressctl.manifests.service_entry import PLURAL
from egressctl.mesh.propagation import blocks_nobody_holds
from egressctl.model.blocks import parse_address
from egressctl.model.entry import MeshObjects, ServiceEntry
from egressctl.model.evidence import Owner, Ownership, Source, Walk
from egressctl.model.json_values import texts_at
from egressctl.model.probe import Probe
from egressctl.verify.candidates import is_in_sidecar, sidecar_of_pod
from egressctl.verify.ownership import describe_match, find_owner

_ORIGINAL = "ORIGINAL_DST"
_TYPES = {
    "NONE": (_ORIGINAL,),
    "STATIC": ("EDS", "STATIC"),
    "DNS": ("STRICT_DNS", "LOGICAL_DNS"),
    "DNS_ROUND_ROBIN": ("LOGICAL_DNS", "STRICT_DNS"),
    "DYNAMIC_DNS": (DYNAMIC,),
}
"""Which types of Envoy cluster istiod makes of a resolution; a DestinationRule may make another (`loadBalancer`)."""


class WayTaken(NamedTuple):
    """A probe's way through the sidecar, and what is known of where it ended.

    `ip` is the address that was asked for. `upstream` are the addresses among which Envoy connected to one; none where it
    connects to the one asked for, or where that is not known. `asked` are the Envoy clusters that were asked for by name: one
    that `config` does not have is not there. `around` is None where it was not read.
    """

    probe: Probe
    ip: str
    walk: Walk
    config: ProxyConfig
    source: Source
    upstream: Sequence[str] = ()
    asked: Collection[str] = ()
    around: MeshObjects | None = None


def upstream_of(
    of: EnvoyCluster | None, before: ClusterCounts | None, after: ClusterCounts | None, probe: Probe
) -> tuple[str, ...]:
    """Name the addresses among which Envoy connected to one, where it chose the address by itself and was counted."""
    if of is None or of.type == _ORIGINAL or before is None or after is None:
        return ()
    return hosts_used(before, after, of.name, (probe.host, probe.port) if of.type == DYNAMIC else None)


def upstream_port_of(of: EnvoyCluster | None, counts: ClusterCounts | None) -> int:
    """Return the one port of the hosts of an Envoy cluster that has hosts of its own, else 0."""
    # One that resolves names connects to the port that was asked for, and shares what it resolved with those of other ports.
    known = counts.get(of.name) if of is not None and of.type not in (_ORIGINAL, DYNAMIC) and counts is not None else None
    ports = {port for _, port in known.hosts} if known else set()
    return ports.pop() if len(ports) == 1 else 0


def owner_of_way(way: WayTaken, entry: ServiceEntry, others: Sequence[ServiceEntry]) -> Owner:
    """Say whether what sent the probe proves anything of `entry`: its own Envoy cluster, in force, to the host asked for.

    `others` as in `ownership.find_owner`.
    """
    to = parse_outbound_name(way.walk.envoy_cluster or "")
    known = (way.config.envoy_clusters or {}).get(way.walk.envoy_cluster or "")
    of = _namespace_of_dynamic(way, to) if to is not None and known is not None and known.type == DYNAMIC else ""
    declared = _as_listener_declares(way)
    found = find_owner(
        way.walk,
        way.config,
        declared(entry),
        list(map(declared, others)),
        way.probe.port,
        pod_namespace=way.source.namespace,
        namespace=of,
    )
    found = replace(found, entry=entry) if found.entry else found
    if to is None or known is None or found.ownership is Ownership.OTHERS:
        return found
    elsewhere = known.type != _ORIGINAL and not _leads_to_what_was_asked(way, entry, to)
    if found.ownership is Ownership.UNKNOWN:
        # Whosever it is of several: where a route leads to another host, what was asked for is not there.
        routed = bool(way.walk.virtual_service) and elsewhere
        return (
            Owner(Ownership.OTHERS, f"{found.reason}; it is not the host that was asked for", entry, elsewhere=True)
            if routed
            else found
        )
    namesakes = [each for each in others if each.namespace == entry.namespace and to.host in each.hosts]
    if (giver := _namesake_that_gave(way, entry, to, known, namesakes)) is not None:
        reason = f"{giver} has the same host and gives it the Envoy cluster ({known.type}), before {entry}"
        return Owner(Ownership.OTHERS, reason, giver, shared=True)
    if lacking := _what_is_not_in_force(way, entry, to, known, namesakes):
        reason = f"the sidecar's configuration does not match {entry}: {lacking}"
        return Owner(Ownership.UNKNOWN, reason, outdated=True)
    if elsewhere:
        whom = f" ({' or '.join(way.upstream[:3])})" if way.upstream else ""
        reason = f"{entry} sends what goes to {describe_match(way.walk, to)} to {to.host}{whom}, whatever was asked for"
        return Owner(Ownership.OTHERS, reason, entry, elsewhere=True)
    asked = way.walk.authority
    if asked and not any(covers_host(host, asked) for host in entry.hosts):
        reason = f"{origin_of_route(way.walk.virtual_service)} asks for {asked} in place of {way.probe.host}"
        return Owner(Ownership.OTHERS, reason, entry, elsewhere=True)
    return found


def _as_listener_declares(way: WayTaken) -> Callable[[ServiceEntry], ServiceEntry]:
    """Return what makes of an entry what istiod takes it for, by a Sidecar's egress listener with the probe's port as its own."""
    sidecar = sidecar_of_pod(way.around, way.source)
    own = [each for each in egress_listeners(sidecar) if each.port == way.probe.port] if sidecar else []
    return own[0].as_declared if own else lambda entry: entry


def owner_of_routed_way(way: WayTaken) -> Owner | None:
    """Say that a route leads to another host than was asked for, such as an egress gateway's, which no entry has; else None."""
    to = parse_outbound_name(way.walk.envoy_cluster or "")
    known = (way.config.envoy_clusters or {}).get(way.walk.envoy_cluster or "")
    if to is None or known is None or known.type == _ORIGINAL or not way.walk.virtual_service:
        return None
    if covers_host(to.host, way.probe.host) or {*way.upstream} == {way.ip}:
        return None
    return Owner(Ownership.OTHERS, f"{origin_of_route(way.walk.virtual_service)} sends it to {to.host}", elsewhere=True)


def _namespace_of_dynamic(way: WayTaken, to: OutboundName) -> str:
    """Name the namespace whose entries are behind an Envoy cluster that resolves names, "" where it may be one or another.

    istiod notes on it no origin, as it does on all others. Of several namespaces the pod gets its own.
    """
    if way.around is None or PLURAL in way.around.reach:
        return ""
    own = way.source.namespace
    namespaces = {
        each.namespace
        for each in way.around.entries
        if to.host in each.hosts and is_in_sidecar(way.around, way.source, each, to.port)
    }
    return own if own in namespaces else namespaces.pop() if len(namespaces) == 1 else ""


def _leads_to_what_was_asked(way: WayTaken, entry: ServiceEntry, to: OutboundName) -> bool:
    """Say whether a connection whose address Envoy chose by itself went to the host, or the address, that was asked for."""
    if {*way.upstream} == {way.ip}:
        return True
    host = way.probe.host.lower().removesuffix(".")
    # An address that the entry itself lists is another name of its endpoints.
    if (entry.addresses or entry.allocated) and not lists_block(entry, "") and lists_address(entry, way.ip):
        return True
    # To connect to one of the entry's endpoints is to let Envoy choose among them.
    to_endpoint = not entry.addresses and _one_form(way.ip) in map(_one_form, entry.endpoints)
    if parse_address(host) is not None or (way.probe.connect_ip and not to_endpoint):
        return False
    # Endpoints of the entry's own are the same for each of its hosts.
    same_for_all = entry.endpoints or entry.has_moving_endpoints or entry.resolution == "STATIC"
    return any(covers_host(each, host) for each in (entry.hosts if same_for_all else (to.host,)))


def _namesake_that_gave(
    way: WayTaken, entry: ServiceEntry, to: OutboundName, known: EnvoyCluster, namesakes: Sequence[ServiceEntry]
) -> ServiceEntry | None:
    """Return the entry of the same host whose resolution makes such an Envoy cluster, where this one's makes none; else None."""
    types = _TYPES.get(entry.resolution, ())
    if not types or not known.type or known.type in types or known.destination_rule:
        return None
    givers = (each for each in namesakes if known.type in _TYPES.get(each.resolution, ()))
    seen = (each for each in givers if is_exported_to_namespace(each, way.source.namespace))
    return next((each for each in seen if lists_port(each, to.port)), None)


def _what_is_not_in_force(
    way: WayTaken, entry: ServiceEntry, to: OutboundName, known: EnvoyCluster, namesakes: Sequence[ServiceEntry]
) -> str:
    """Say in half a sentence what the sidecar would have if it had the entry as it stands, "" where it has everything."""
    if entry.export_to and not is_exported_to_namespace(entry, way.source.namespace):
        return f"its exportTo does not include namespace {way.source.namespace}"
    types = _TYPES.get(entry.resolution, ())
    if types and known.type and known.type not in types and not known.destination_rule:
        return f"{known.name} is {known.type}, and its resolution is {entry.resolution}"
    if stray := _endpoint_of_another(way, (entry, *namesakes), to, known):
        return f"{known.name} sends to {stray}, which is not one of its endpoints"
    if _is_shaped_by_others(way, entry):
        return ""
    names = [f"outbound|{port.number}||{host}" for port in tcp_ports(entry) for host in entry.hosts]
    absent = [name for name in names if name in way.asked and name not in (way.config.envoy_clusters or {})]
    if absent:
        return f"{absent[0]} is not there"
    address = parse_address(way.ip)
    lacking = next(blocks_nobody_holds(way.config, entry, to.port, address.version), "") if address else ""
    return f"no filter chain has {lacking} on port {to.port}" if lacking else ""


def _endpoint_of_another(way: WayTaken, entries: Sequence[ServiceEntry], to: OutboundName, known: EnvoyCluster) -> str:
    """Name an endpoint of the Envoy cluster that is none of the entries', which share it; "" where there is none."""
    if any(each.has_moving_endpoints for each in entries) or known.type == _ORIGINAL:
        return ""
    own = {_one_form(one) for each in entries for one in each.endpoints or ((to.host,) if each.resolution != "STATIC" else ())}
    seen = known.endpoints or (way.upstream if entries[0].resolution == "STATIC" else ())
    return next((each for each in seen if _one_form(each) not in own), "")


def _one_form(endpoint: str) -> str:
    return str(parse_address(endpoint) or endpoint.lower())


def _is_shaped_by_others(way: WayTaken, entry: ServiceEntry) -> bool:
    """Say whether a Sidecar resource or a VirtualService may be why a sidecar has but a part of the entry."""
    if way.walk.virtual_service:
        return True
    if way.around is None:
        return False
    sidecar = sidecar_of_pod(way.around, way.source)
    numbers = {way.probe.port, *(port.number for port in tcp_ports(entry))}
    if sidecar is not None and any(
        import_scope(sidecar, entry, number, way.source.namespace) is not ImportScope.WHOLE for number in numbers
    ):
        return True
    routed = (pattern for each in way.around.virtual_services for pattern in texts_at(each, "spec", "hosts"))
    return any(hosts_overlap(pattern, host) for pattern in routed for host in entry.hosts)
