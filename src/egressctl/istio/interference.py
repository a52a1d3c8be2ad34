"""Find what else than another ServiceEntry can keep an entry from working: Sidecars, routes, TLS settings, Services, exportTo.

Pure. What these objects mean is Istio's reference of each kind; what an exact host in a Sidecar does to an entry of several
blocks was measured. What is not understood of an object is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import isfinite
from typing import Any

from egressctl.istio.conflict import ConflictKind, EntryConflict, ObjectReference
from egressctl.istio.conflicts import find_conflicts
from egressctl.istio.export_to import sees
from egressctl.istio.hosts import covers_host, hosts_overlap
from egressctl.istio.listing import tcp_ports
from egressctl.istio.precedence import first_by_rank, rank_of, rank_of_service
from egressctl.istio.sidecar_scope import ImportScope, egress_hosts, excluding_host, import_scope, sidecars_of_namespace
from egressctl.manifests.formats import HTTP_PROTOCOLS, TLS_PROTOCOLS
from egressctl.model.blocks import parse_blocks
from egressctl.model.entry import ROOT_NAMESPACE, Manifest, MeshObjects, ServiceEntry
from egressctl.model.json_values import mapping_at, mappings_at, texts_at, value_at


def find_conflicts_and_interference(entry: ServiceEntry, around: MeshObjects, namespace: str) -> tuple[EntryConflict, ...]:
    """Return what other objects do to an entry. Pure."""
    return (*find_conflicts(entry, around.entries, namespace), *find_interference(entry, around, namespace))


def find_interference(entry: ServiceEntry, around: MeshObjects, namespace: str) -> tuple[EntryConflict, ...]:
    """Return what objects that are no ServiceEntries do to an entry. Pure."""
    return (
        *find_services_inside_blocks(entry, around.services),
        *find_hiding_sidecars(entry, around.sidecars, namespace, ROOT_NAMESPACE),
        *find_rerouting_virtual_services(entry, around.virtual_services, namespace),
        *find_wrapping_destination_rules(entry, around.destination_rules, namespace),
    )


def find_hiding_sidecars(entry: ServiceEntry, sidecars: Sequence[Manifest], namespace: str, root: str) -> Iterator[EntryConflict]:
    """Find the Sidecars that leave the entry out for pods of `namespace`, or keep one of its blocks."""
    selecting, general = sidecars_of_namespace(sidecars, namespace, root)
    for each in [*([general] if general else []), *selecting]:
        left = {import_scope(each, entry, port.number, namespace) for port in entry.ports}
        hosts = egress_hosts(each)
        whose = (
            f"the pods that it selects in namespace {namespace}" if each in selecting else f"the pods of namespace {namespace}"
        )
        if ImportScope.NOTHING in left:
            listed = ", ".join(hosts[:4]) + (", ..." if len(hosts) > 4 else "")
            reason = f"it gives {whose} {listed or 'nothing'} only, and leaves the entry out"
            excluded = excluding_host(each, entry, namespace)
            hint = (
                f'take "{excluded}" out of its egress hosts'
                if excluded
                else f"add {_egress_host_to_add(entry)} to its egress hosts"
            )
            yield EntryConflict(ConflictKind.HIDDEN_BY_SIDECAR, ObjectReference.of(each), reason, hint=hint)
        elif ImportScope.ONE_BLOCK in left and len(entry.addresses) > 1:
            exact = next(host for host in hosts if host.partition("/")[2] in entry.hosts)
            reason = f"it names the host exactly, {exact}, for {whose}"
            outcome = f"one of the {len(entry.addresses)} addresses is kept, and which one is chance"
            hint = f'write "*/{exact.partition("/")[2]}" among its egress hosts'
            yield EntryConflict(ConflictKind.ONE_BLOCK_KEPT, ObjectReference.of(each), reason, outcome, hint)


def _egress_host_to_add(entry: ServiceEntry) -> str:
    return f'"{entry.namespace}/*"'


def find_rerouting_virtual_services(
    entry: ServiceEntry, virtual_services: Sequence[Manifest], namespace: str
) -> Iterator[EntryConflict]:
    """Find the VirtualServices that send a host of the entry somewhere else than to one of its hosts."""
    kinds = _route_kinds(entry)
    for each in virtual_services:
        spec = mapping_at(each, "spec")
        gateways = texts_at(spec, "gateways")
        if not (_is_exported_to_namespace(each, namespace) and (not gateways or "mesh" in gateways)):
            continue
        host = next((host for host in entry.hosts if any(covers_host(wide, host) for wide in texts_at(spec, "hosts"))), None)
        if host is None:
            continue
        for kind in ("tcp", "tls", "http"):
            elsewhere = [
                to for to in _route_destinations(spec, kind, entry) if to.lower() not in {h.lower() for h in entry.hosts}
            ]
            if elsewhere and kind in kinds:
                reason = f"it sends {host} to {', '.join(dict.fromkeys(elsewhere))} (a {kind} route)"
                yield EntryConflict(
                    ConflictKind.REROUTED,
                    ObjectReference.of(each),
                    reason,
                    "the traffic goes there, not to the entry's Envoy cluster",
                )


def _route_destinations(spec: Mapping[str, Any], kind: str, entry: ServiceEntry) -> Iterator[str]:
    for route in mappings_at(spec, kind):
        names = [name for match in mappings_at(route, "match") for name in texts_at(match, "sniHosts")]
        # A tls route for another server name has no effect on this host's connections.
        if kind == "tls" and not any(hosts_overlap(name, host) for name in names for host in entry.hosts):
            continue
        for to in mappings_at(route, "route"):
            host = value_at(to, "destination", "host")
            if isinstance(host, str):
                yield host


def _route_kinds(entry: ServiceEntry) -> set[str]:
    """Return which kinds of route concern the entry's ports."""
    found = set()
    for port in entry.ports:
        protocol = port.protocol.upper()
        kind = "http" if protocol in HTTP_PROTOCOLS else "tls" if protocol in TLS_PROTOCOLS else "tcp"
        found |= {kind} if kind == "http" else {kind, "tcp"}
    return found


def find_wrapping_destination_rules(
    entry: ServiceEntry, destination_rules: Sequence[Manifest], namespace: str
) -> Iterator[EntryConflict]:
    """Find the DestinationRules that wrap in TLS what is spoken on a TCP or TLS port of the entry.

    On an HTTP port that is TLS origination, and meant.
    """
    ports = {port.number for port in entry.ports if port.protocol.upper() not in HTTP_PROTOCOLS | {"UDP"}}
    for each in destination_rules:
        spec = mapping_at(each, "spec")
        host = next((host for host in entry.hosts if covers_host(str(spec.get("host") or ""), host)), None)
        if host is None or not ports or not _is_exported_to_namespace(each, namespace):
            continue
        policy = mapping_at(spec, "trafficPolicy")
        for port in sorted(ports):
            levels = [each for each in mappings_at(policy, "portLevelSettings") if value_at(each, "port", "number") == port]
            mode = next(filter(None, map(_tls_mode, levels)), "") or _tls_mode(policy)
            if mode not in ("", "DISABLE"):
                reason = f"it adds TLS to connections to {host} ({mode})"
                outcome = f"connections on port {port} that are TLS already arrive as TLS inside TLS"
                yield EntryConflict(ConflictKind.WRAPPED_IN_TLS, ObjectReference.of(each), reason, outcome)
                break


def hosts_with_tls_origination(destination_rules: Sequence[Manifest]) -> tuple[str, ...]:
    """Return the hosts, wildcards among them, whose connections some DestinationRule wraps in TLS on some port."""
    found = []
    for each in destination_rules:
        policy = mapping_at(each, "spec", "trafficPolicy")
        modes = {_tls_mode(policy), *map(_tls_mode, mappings_at(policy, "portLevelSettings"))}
        if modes - {"", "DISABLE"}:
            found.append(str(value_at(each, "spec", "host") or ""))
    return tuple(filter(None, found))


def _tls_mode(policy: Mapping[str, Any]) -> str:
    return str(value_at(policy, "tls", "mode") or "")


def find_services_inside_blocks(entry: ServiceEntry, services: Sequence[Manifest]) -> Iterator[EntryConflict]:
    """Find the Services whose address is inside a block of the entry, on the same port."""
    ports = {port.number for port in tcp_ports(entry)}
    blocks = [block for block in parse_blocks(entry.addresses) if block.length]
    for each in services:
        spec = mapping_at(each, "spec")
        tcp = [port.get("port") for port in mappings_at(spec, "ports") if port.get("protocol") != "UDP"]
        common = [number for number in sorted(ports) if number in tcp]
        texts = [*texts_at(spec, "clusterIPs"), *texts_at([spec.get("clusterIP")])]
        addresses = parse_blocks(text for text in texts if "/" not in text)
        held = next(((ip, block) for ip in addresses for block in blocks if ip.overlaps(block)), None)
        if not (common and held):
            continue
        ip, block = held
        if ip == block:
            mine, its = rank_of(entry), rank_of_service(each)
            # A Service is there: one that does not say since when is not the younger for that.
            first, why = first_by_rank(mine, its, "name") if isfinite(its.created) else (None, "")
            whose = "" if first is None else f": that of {entry if first is mine else ObjectReference.of(each)}, {why}"
            outcome = f"of two listeners for one address and port a sidecar gets one{whose}"
        else:
            outcome = "its own listener comes first, so the entry's traffic to this address goes to the Service"
        reason = f"it has the address {ip.address} inside {block}, on port {common[0]} as well"
        yield EntryConflict(ConflictKind.SERVICE_ADDRESS, ObjectReference.of(each), reason, outcome)


def _is_exported_to_namespace(manifest: Manifest, namespace: str) -> bool:
    return sees(namespace, texts_at(manifest, "spec", "exportTo"), _namespace_of(manifest))


def _namespace_of(manifest: Manifest) -> str:
    return str(value_at(manifest, "metadata", "namespace") or "")
