"""Name why a connection did not go to the target's own Envoy cluster, and the object to blame. Pure.

The reasons are tried in an order in which each, where it holds, makes those after it idle: a port that the entry does not
name cannot have a rival. What was not looked at is said, never taken for absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from egressctl.envoy.config import BLACKHOLE, PASSTHROUGH, parse_outbound_name
from egressctl.istio import precedence
from egressctl.istio.precedence import is_exported_to_namespace
from egressctl.istio.sidecar_scope import ImportScope, egress_hosts, import_scope, sidecar_for_pod
from egressctl.manifests.formats import HTTP_PROTOCOLS, RESERVED_PORTS, TLS_PROTOCOLS, matches_host
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.entry import Manifest, MeshObjects, ServiceEntry
from egressctl.model.evidence import Ownership
from egressctl.verify.causes import Case, explain_cause
from egressctl.verify.ownership import lists_address

SIDECARS = "sidecars"


def why_not_ours(at: Case) -> Cause:
    """Name why a captured connection was let out, or refused, elsewhere than by the target's Envoy cluster."""
    if not at.entry_name:
        return _cause_for_bare_url(at)
    if at.entry is None:
        return explain_cause(CauseCode.ENTRY_MISSING, at)
    found = (reason(at, at.entry) for reason in _REASONS)
    return next((cause for cause in found if cause), None) or _propagation_cause(at, at.entry)


def protocol_mismatch(entry: ServiceEntry, at: Case) -> str:
    """Say in half a sentence how the protocol that the entry declares for the probe's port misses what is spoken."""
    protocol = _protocol(entry, at.probe.port)
    if protocol == "UDP":
        return "declares it UDP, and the probe speaks TCP"
    if protocol in HTTP_PROTOCOLS and at.probe.speech.tls:
        return f"declares it {protocol}, and the probe speaks TLS, which no HTTP route takes"
    if protocol in TLS_PROTOCOLS and not at.probe.speech.tls:
        return f"declares it {protocol}, and the probe speaks plain HTTP, which names no server in a TLS handshake"
    return ""


def virtual_service_behind(at: Case) -> str:
    """Name the VirtualService (`namespace/name`) that stands behind the way taken, where it routes the target's host."""
    walk, entry = at.evidence.walk, at.entry
    if walk is None or not walk.virtual_service or entry is None:
        return walk.virtual_service if walk else ""
    known = _find_by_name(at.around.virtual_services, walk.virtual_service) if at.around else None
    if known is None:
        return walk.virtual_service
    hosts = _texts(_spec(known).get("hosts"))
    meant = any(matches_host(pattern, host) or matches_host(host, pattern) for pattern in hosts for host in entry.hosts)
    return walk.virtual_service if meant else ""


def _cause_for_bare_url(at: Case) -> Cause:
    walk, owner = at.evidence.walk, at.evidence.owner
    if walk and walk.envoy_cluster == PASSTHROUGH:
        return explain_cause(CauseCode.PASSTHROUGH, at)
    if walk and walk.virtual_service and (walk.absent or walk.direct_status):
        return explain_cause(CauseCode.REROUTED, at)
    return explain_cause(CauseCode.RIVAL_ENTRY if owner and owner.ownership is Ownership.OTHERS else CauseCode.BLACKHOLE, at)


def _port_cause(at: Case, entry: ServiceEntry) -> Cause | None:
    listed = any(port.number == at.probe.port for port in entry.ports)
    return None if listed else explain_cause(CauseCode.PORT_NOT_LISTED, at)


def _protocol_cause(at: Case, entry: ServiceEntry) -> Cause | None:
    how = protocol_mismatch(entry, at)
    return (
        explain_cause(
            CauseCode.PROTOCOL_MISMATCH, at, f"{entry} names port {at.probe.port} and {how}; {_where_sidecar_leads(at)}"
        )
        if how
        else None
    )


def _host_cause(at: Case, entry: ServiceEntry) -> Cause | None:
    by_host = _protocol(entry, at.probe.port) in HTTP_PROTOCOLS | TLS_PROTOCOLS
    if not by_host or any(matches_host(host, at.probe.host) for host in entry.hosts):
        return None
    return explain_cause(CauseCode.HOST_NOT_LISTED, at)


def _address_cause(at: Case, entry: ServiceEntry) -> Cause | None:
    if _protocol(entry, at.probe.port) in HTTP_PROTOCOLS or lists_address(entry, at.outcome.remote_ip):
        return None  # HTTP is routed by its host, whatever the address.
    return explain_cause(CauseCode.ADDRESS_NOT_LISTED, at)


def _export_cause(at: Case, entry: ServiceEntry) -> Cause | None:
    around = at.around or MeshObjects()
    default = around.default_export_to or ("*",)
    if is_exported_to_namespace(entry, at.source.namespace, default):
        return None
    if entry.export_to:
        return explain_cause(CauseCode.NOT_EXPORTED, at)
    said = (
        f"{entry} has no exportTo, and the mesh's defaultServiceExportTo is {', '.join(default)}, "
        f"which leaves out namespace {at.source.namespace}"
    )
    return explain_cause(CauseCode.NOT_EXPORTED, at, said, f"kubectl get configmap -n {around.root} istio -o yaml")


def _refusal_cause(at: Case, entry: ServiceEntry) -> Cause | None:
    del entry
    return explain_cause(CauseCode.REJECTED_BY_PROXY, at) if at.evidence.refused else None


def _reroute_cause(at: Case, entry: ServiceEntry) -> Cause | None:
    del entry
    return explain_cause(CauseCode.REROUTED, at) if virtual_service_behind(at) else None


def _sidecar_cause(at: Case, entry: ServiceEntry) -> Cause | None:
    sidecar = _sidecar_of_pod(at)
    if sidecar is None:
        return None
    left = import_scope(sidecar, entry, at.probe.port, at.source.namespace)
    name = _name(sidecar)
    if left is ImportScope.NOTHING:
        hosts = ", ".join(egress_hosts(sidecar)[:4])
        said = f"Sidecar {name} lets the pod import {hosts or 'no hosts'}, which leaves {entry} out; {_where_sidecar_leads(at)}"
        return explain_cause(CauseCode.HIDDEN_BY_SIDECAR, at, said, _show_command("sidecar", name))
    carried = at.evidence.walk.envoy_cluster if at.evidence.walk else None
    if left is ImportScope.ONE_BLOCK and _has_several_blocks(at, entry) and carried in (None, BLACKHOLE, PASSTHROUGH):
        said = (
            f"Sidecar {name} names the host exactly, and then a pod gets one of its blocks only, "
            f"not the one around {at.outcome.remote_ip}; {_where_sidecar_leads(at)}"
        )
        hint = f"{_show_command('sidecar', name)}; import */{entry.hosts[0]} or ./* instead"
        return explain_cause(CauseCode.HIDDEN_BY_SIDECAR, at, said, hint)
    return None


def _conflict_cause(at: Case, entry: ServiceEntry) -> Cause | None:
    walk, owner = at.evidence.walk, at.evidence.owner
    carried = walk.envoy_cluster if walk else None
    to = parse_outbound_name(carried or "")
    if walk and walk.absent and to and to.host in entry.hosts:
        return _missing_port_cause(at, entry, to.host)  # Else it is its own Envoy cluster, on its way in or out.
    if carried not in (None, BLACKHOLE, PASSTHROUGH) or (owner and owner.rival):
        return explain_cause(CauseCode.RIVAL_ENTRY, at)
    other = _entry_used_instead(at, entry)
    if other is None:
        return None
    said = f"ServiceEntry {other} has the same host, and a sidecar gets only one namespace's: not that of {entry}; "
    said += _where_sidecar_leads(at)
    return explain_cause(CauseCode.RIVAL_ENTRY, at, said, _show_command("serviceentry", str(other)))


def _missing_port_cause(at: Case, entry: ServiceEntry, host: str) -> Cause | None:
    """Name the entry of the same namespace and host that comes first, and gives the sidecar the Envoy clusters of its ports."""
    number = at.probe.port
    for other in at.around.entries if at.around else ():
        beside = (
            other.namespace == entry.namespace
            and other.name != entry.name
            and is_exported_to_namespace(other, at.source.namespace)
        )
        if not beside or host not in other.hosts or any(port.number == number for port in other.ports):
            continue
        chosen, why = precedence.first_entry_in_sidecar(entry, other)
        if chosen is other and precedence.merge_key(entry) != precedence.merge_key(other):
            said = (
                f"ServiceEntry {other} has the same host {host}, comes first, {why}, and has no port {number}: "
                f"the sidecar gets no Envoy cluster for port {number} of {entry}"
            )
            hint = "put both into one entry, or give both the same labels, exportTo and resolution; "
            return explain_cause(CauseCode.RIVAL_ENTRY, at, said, hint + _show_command("serviceentry", str(other)))
    return None


def _entry_used_instead(at: Case, entry: ServiceEntry) -> ServiceEntry | None:
    """Return the entry of another namespace whose host is the same and that a sidecar gets instead.

    Of two namespaces' entries of one host it gets only one: the pod's own namespace's, else the older.
    """
    namespace = at.source.namespace
    if entry.namespace == namespace or at.around is None:
        return None
    for other in at.around.entries:
        first = other.namespace == namespace or other.created <= entry.created
        if (
            other.namespace != entry.namespace
            and first
            and is_exported_to_namespace(other, namespace)
            and set(other.hosts) & set(entry.hosts)
        ):
            return other
    return None


def _propagation_cause(at: Case, entry: ServiceEntry) -> Cause:
    number = at.probe.port
    if entry.revision and at.source.revision and entry.revision != at.source.revision:
        said = (
            f"{entry} has the label istio.io/rev={entry.revision}, and the sidecar of {at.source.pod} is of revision "
            f"{at.source.revision}: another control plane reads it; {_where_sidecar_leads(at)}"
        )
        return explain_cause(CauseCode.NOT_PROPAGATED, at, said)
    if number in RESERVED_PORTS:
        said = f"a sidecar gets no listener for port {number}, {RESERVED_PORTS[number]}, whatever {entry} says; "
        said += _where_sidecar_leads(at)
        return explain_cause(CauseCode.NOT_PROPAGATED, at, said, "name another port in the ServiceEntry")
    around = at.around or MeshObjects(unread=("the other objects of the mesh were not looked at",))
    unseen = [
        f"{plural} of namespace {place} were not looked at" for plural, place in _kinds_not_read(at) if at.around is not None
    ]
    if not entry.export_to and entry.namespace != at.source.namespace and around.default_export_to is None:
        unseen.append("whether the mesh exports entries that name no exportTo was not looked at (defaultServiceExportTo)")
    why = "the control plane has not pushed it"
    if unseen or at.around is None:
        missing = "; ".join(unseen or around.unread)
        why = f"a Sidecar resource hides the entry, or the control plane has not pushed it ({missing})"
    return explain_cause(CauseCode.NOT_PROPAGATED, at, f"{entry} lists {at.address}, and {_where_sidecar_leads(at)}: {why}")


def _kinds_not_read(at: Case) -> Iterator[tuple[str, str]]:
    around = at.around or MeshObjects()
    for place in dict.fromkeys((at.source.namespace, around.root)):
        if not around.has_read(SIDECARS, place):
            yield SIDECARS, place


_REASONS: tuple[Callable[[Case, ServiceEntry], Cause | None], ...] = (
    _port_cause,
    _protocol_cause,
    _host_cause,
    _address_cause,
    _export_cause,
    _refusal_cause,
    _reroute_cause,
    _sidecar_cause,
    _conflict_cause,
)


def _where_sidecar_leads(at: Case) -> str:
    walk = at.evidence.walk
    carried = walk.envoy_cluster if walk and walk.envoy_cluster else "no Envoy cluster"
    return f"the sidecar leads {at.address} to {carried}"


def _protocol(entry: ServiceEntry, number: int) -> str:
    return next((port.protocol.upper() for port in entry.ports if port.number == number), "")


def _has_several_blocks(at: Case, entry: ServiceEntry) -> bool:
    """Say whether the host has more than one block: in this entry, or with its namesakes of the namespace."""
    others = at.around.entries if at.around else ()
    like = [each for each in others if each.namespace == entry.namespace and set(each.hosts) & set(entry.hosts)]
    return len(entry.addresses) > 1 or len(like) > 1


def _sidecar_of_pod(at: Case) -> Manifest | None:
    if at.around is None:
        return None
    return sidecar_for_pod(at.around.sidecars, at.source.namespace, at.source.labels, at.around.root)


def _find_by_name(manifests: Iterable[Manifest], name: str) -> Manifest | None:
    return next((each for each in manifests if _name(each) == name), None)


def _name(manifest: Manifest) -> str:
    metadata = manifest["metadata"]
    return f"{metadata.get('namespace', 'default')}/{metadata['name']}"


def _spec(manifest: Manifest) -> Mapping[str, Any]:
    spec = manifest.get("spec")
    return spec if isinstance(spec, Mapping) else {}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def _show_command(kind: str, name: str) -> str:
    namespace, _, own = name.partition("/")
    return f"kubectl get {kind} -n {namespace} {own} -o yaml"


def wraps_tls_in_tls(at: Case) -> bool:
    """Say whether a DestinationRule wraps in TLS what speaks TLS already."""
    return bool(at.evidence.destination_rule) and at.probe.speech.tls


def leads_to_other_host(at: Case) -> bool:
    """Say whether the way leads to an Envoy cluster of another host than the target's: not by its policy, by a route."""
    walk, entry = at.evidence.walk, at.entry
    to = parse_outbound_name(walk.envoy_cluster or "") if walk else None
    return entry is not None and to is not None and to.host not in entry.hosts
