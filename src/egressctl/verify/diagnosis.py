"""Name why a connection did not go to the target's own Envoy cluster, and the object to blame. Pure.

The reasons are tried in an order in which each, where it holds, makes those after it idle: a port that the entry does not
name cannot have a conflicting entry. For a URL that names no entry, those that could serve it are held against the same
reasons, and the one that comes nearest is the entry to blame. What was not looked at is said, never taken for absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from egressctl.envoy.config import LETS_OUT, OF_POLICY, parse_outbound_name
from egressctl.istio import precedence
from egressctl.istio.export_to import PUBLIC, is_exported_to_namespace, limit_told, shown_as_in
from egressctl.istio.hosts import covers_host, hosts_overlap
from egressctl.istio.listing import lists_address, single_address
from egressctl.istio.mesh_objects import SIDECARS
from egressctl.istio.sidecar_scope import ImportScope, egress_hosts, import_scope
from egressctl.manifests.formats import HTTP_PROTOCOLS, RESERVED_PORTS, TLS_PROTOCOLS
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.entry import Manifest, MeshObjects, ServiceEntry
from egressctl.model.evidence import Owner, Ownership
from egressctl.model.json_values import texts_at
from egressctl.runtime.sanitize import quote
from egressctl.verify.candidates import Claim, claim_of_entry, object_name, show_command, sidecar_of_pod
from egressctl.verify.causes import Case, explain_cause
from egressctl.verify.rival_reasons import nearer_block_cause, shared_endpoints_cause
from egressctl.verify.route_reasons import is_moved_to_another_port, own_port_cause, rerouted_cause, server_name_cause


def why_not_ours(case: Case) -> Cause:
    """Name why a captured connection was let out, or refused, elsewhere than by the target's Envoy cluster."""
    walk, owner = case.evidence.walk, case.evidence.owner
    if owner is not None and owner.elsewhere:
        return rerouted_cause(case) or _elsewhere_cause(case, owner)
    if not case.entry_name and walk and walk.virtual_service and (walk.absent or walk.direct_status):
        return explain_cause(CauseCode.REROUTED, case)
    if not case.entry_name:
        return _cause_of_url(case, owner)
    if case.entry is None:
        return explain_cause(CauseCode.ENTRY_MISSING, case)
    for reason in _REASONS:
        if cause := reason(case, case.entry):
            return cause
    return _propagation_cause(case, case.entry)


class _Suspect(NamedTuple):
    """An entry that could serve a URL, with every reason why it does not, and what puts it before the others.

    To change one object must be enough, where that is so of any: then the cause is what a change shows to be one. An entry that
    names the host is meant for it more surely than one that names a wildcard, and that more than one that names the address. Of
    two alike the pod's own namespace's is the nearer, as for Istio; then the one with fewer things to change.
    """

    objects: int
    claim: Claim
    foreign: bool
    changes: int
    left: int
    """How many reasons come after the first that holds: the fewer, the more of it is right."""
    name: str
    causes: tuple[Cause, ...]


def _cause_of_url(case: Case, owner: Owner | None) -> Cause:
    """Name the entry that comes nearest to serving a URL and what keeps it from that; the policy where there is none."""
    let_out = case.leads_to in LETS_OUT
    if not let_out and owner is not None and owner.ownership is Ownership.OTHERS:
        return explain_cause(CauseCode.RIVAL_ENTRY, case)
    if suspects := list(_suspects(case)):
        nearest = min(suspects)
        first, *more = nearest.causes
        return first._replace(message="; besides, ".join(each.message for each in (first, *more)))
    return explain_cause(CauseCode.PASSTHROUGH if let_out else CauseCode.BLACKHOLE, case)


def _suspects(case: Case) -> Iterator[_Suspect]:
    for entry in case.around.entries if case.around else ():
        claim = claim_of_entry(entry, case.probe, case.outcome.remote_ip)
        if claim is None:
            continue
        of_entry = replace(case, entry=entry)
        found = {index: cause for index, reason in enumerate(_REASONS) if (cause := reason(of_entry, entry))}
        causes = tuple(found.values()) or (_propagation_cause(of_entry, entry),)
        left = len(_REASONS) - min(found, default=len(_REASONS))
        objects = len({each.hint for each in causes})  # the next command shows the object
        # An address or a port alone says too little to ask for changes of several objects.
        if claim < Claim.ADDRESS or objects == 1:
            foreign = entry.namespace != case.source.namespace
            yield _Suspect(objects, claim, foreign, len(causes), left, str(entry), causes)


def protocol_mismatch(entry: ServiceEntry, case: Case) -> str:
    """Say in half a sentence how the protocol that the entry declares for the probe's port misses what is spoken."""
    protocol = _protocol(entry, case.probe.port)
    if protocol == "UDP":
        return "declares it UDP, and the probe speaks TCP"
    if protocol in HTTP_PROTOCOLS and case.probe.speech.tls:
        return f"declares it {protocol}, and the probe speaks TLS, which no HTTP route takes"
    if protocol in TLS_PROTOCOLS and case.probe.bare:
        return f"declares it {protocol}, and a bare connection names no server in a TLS handshake"
    if protocol in TLS_PROTOCOLS and not case.probe.speech.tls:
        return f"declares it {protocol}, and the probe speaks plain HTTP, which names no server in a TLS handshake"
    return ""


def virtual_service_behind(case: Case) -> str:
    """Name the VirtualService (`namespace/name`) that stands behind the way taken, where it routes the target's host."""
    walk, entry = case.evidence.walk, case.entry
    if walk is None or not walk.virtual_service or entry is None:
        return walk.virtual_service if walk else ""
    known = _find_by_name(case.around.virtual_services, walk.virtual_service) if case.around else None
    if known is None:
        return walk.virtual_service
    hosts = texts_at(known, "spec", "hosts")
    meant = any(hosts_overlap(pattern, host) for pattern in hosts for host in entry.hosts)
    return walk.virtual_service if meant else ""


def _elsewhere_cause(case: Case, owner: Owner) -> Cause:
    asked = case.probe.connect_ip or case.probe.host
    code = CauseCode.HOST_NOT_LISTED if case.entry_name else CauseCode.RIVAL_ENTRY
    where = f"-n {quote(owner.rival.namespace)} {quote(owner.rival.name)}" if owner.rival else "-A"
    return explain_cause(code, case, f"{owner.reason}; the probe asks for {asked}", f"kubectl get serviceentry {where} -o yaml")


def _port_cause(case: Case, entry: ServiceEntry) -> Cause | None:
    listed = any(port.number == case.probe.port for port in entry.ports)
    return None if listed else explain_cause(CauseCode.PORT_NOT_LISTED, case)


def _protocol_cause(case: Case, entry: ServiceEntry) -> Cause | None:
    how = protocol_mismatch(entry, case)
    return (
        explain_cause(
            CauseCode.PROTOCOL_MISMATCH, case, f"{entry} names port {case.probe.port} and {how}; {_where_sidecar_leads(case)}"
        )
        if how
        else None
    )


def _host_cause(case: Case, entry: ServiceEntry) -> Cause | None:
    protocol = _protocol(entry, case.probe.port)
    by_host = protocol in HTTP_PROTOCOLS or (protocol in TLS_PROTOCOLS and not _has_listener_of(entry, case.outcome.remote_ip))
    if not by_host or any(covers_host(host, case.probe.host) for host in entry.hosts):
        return None
    return explain_cause(CauseCode.HOST_NOT_LISTED, case)


def _has_listener_of(entry: ServiceEntry, ip: str) -> bool:
    """Say whether the entry lists the address by itself: its listener asks for no server name."""
    return any(single_address(each) == single_address(ip) for each in entry.addresses if single_address(each))


def _namesake_cause(case: Case, entry: ServiceEntry) -> Cause | None:
    """Name another entry of the same host that sent it: that the address is not among this one's is then no harm."""
    rival = case.evidence.owner.rival if case.evidence.owner else None
    if rival is None or case.leads_to in OF_POLICY or is_moved_to_another_port(case):
        return None
    return None if {*rival.hosts}.isdisjoint(entry.hosts) else explain_cause(CauseCode.RIVAL_ENTRY, case)


def _address_cause(case: Case, entry: ServiceEntry) -> Cause | None:
    if _protocol(entry, case.probe.port) in HTTP_PROTOCOLS or lists_address(entry, case.outcome.remote_ip):
        return None  # HTTP is routed by its host, whatever the address.
    if not entry.addresses and not case.source.dns_capture:
        return None  # Of an address that Istio gives it, a sidecar that answers no DNS gets no listener: it takes the whole port.
    return explain_cause(CauseCode.ADDRESS_NOT_LISTED, case)


def _export_cause(case: Case, entry: ServiceEntry) -> Cause | None:
    around = case.around or MeshObjects()
    default = around.default_export_to or PUBLIC
    shown = shown_as_in(around, entry)
    if is_exported_to_namespace(shown, case.source.namespace, default):
        return None
    show = f"kubectl get configmap -n {quote(around.root)} istio -o yaml"
    if is_exported_to_namespace(replace(entry, shown_to=""), case.source.namespace, default):
        said = (
            f"{limit_told(shown, default)}, so namespace {case.source.namespace} does not get {entry}, whatever its exportTo says"
        )
        return explain_cause(CauseCode.NOT_EXPORTED, case, f"{said}; {_where_sidecar_leads(case)}", show)
    if entry.export_to:
        return explain_cause(CauseCode.NOT_EXPORTED, case)
    said = (
        f"{entry} has no exportTo, and the mesh's defaultServiceExportTo is {', '.join(default)}, "
        f"which leaves out namespace {case.source.namespace}"
    )
    return explain_cause(CauseCode.NOT_EXPORTED, case, said, show)


def _refusal_cause(case: Case, entry: ServiceEntry) -> Cause | None:
    del entry
    return explain_cause(CauseCode.REJECTED_BY_PROXY, case) if case.evidence.refused else None


def _reroute_cause(case: Case, entry: ServiceEntry) -> Cause | None:
    del entry
    return explain_cause(CauseCode.REROUTED, case) if virtual_service_behind(case) else None


def _sidecar_cause(case: Case, entry: ServiceEntry) -> Cause | None:
    sidecar = sidecar_of_pod(case.around, case.source)
    if sidecar is None:
        return None
    if cause := own_port_cause(case, _with_serving_hosts(case, entry)):
        return cause
    left = import_scope(sidecar, _with_serving_hosts(case, entry), case.probe.port, case.source.namespace)
    name = object_name(sidecar)
    if left is ImportScope.NOTHING:
        hosts = ", ".join(egress_hosts(sidecar)[:4])
        said = f"Sidecar {name} lets the pod import {hosts or 'no hosts'}, so it hides {entry}; {_where_sidecar_leads(case)}"
        return explain_cause(CauseCode.HIDDEN_BY_SIDECAR, case, said, show_command("sidecar", name))
    carried = case.evidence.walk.envoy_cluster if case.evidence.walk else None
    if left is ImportScope.ONE_BLOCK and _has_several_blocks(case, entry) and carried in (None, *OF_POLICY):
        said = (
            f"Sidecar {name} names the host exactly, so the pod gets only one of its blocks, "
            f"not the one with {case.outcome.remote_ip}; {_where_sidecar_leads(case)}"
        )
        hint = f"{show_command('sidecar', name)}; import */{entry.hosts[0]} or ./* instead"
        return explain_cause(CauseCode.HIDDEN_BY_SIDECAR, case, said, hint)
    return None


def _with_serving_hosts(case: Case, entry: ServiceEntry) -> ServiceEntry:
    """Return the entry with those of its hosts alone by which it would serve the probe: a Sidecar imports host by host."""
    if _protocol(entry, case.probe.port) not in HTTP_PROTOCOLS | TLS_PROTOCOLS:
        return entry  # any one of its hosts brings the address
    serving = tuple(host for host in entry.hosts if covers_host(host, case.probe.host))
    return replace(entry, hosts=serving) if serving else entry


def _conflict_cause(case: Case, entry: ServiceEntry) -> Cause | None:
    walk, owner = case.evidence.walk, case.evidence.owner
    carried = walk.envoy_cluster if walk else None
    to = parse_outbound_name(carried or "")
    if walk and walk.absent and to and to.host in entry.hosts:
        return _missing_port_cause(case, entry, to.host)  # Else it is its own Envoy cluster, on its way in or out.
    if carried not in (None, *OF_POLICY) or (owner and owner.rival):
        return explain_cause(CauseCode.RIVAL_ENTRY, case)
    other = _entry_used_instead(case, entry)
    if other is None:
        return None
    said = f"ServiceEntry {other} has the same host, and a sidecar gets the entries of only one namespace, not of {entry}'s; "
    said += _where_sidecar_leads(case)
    return explain_cause(CauseCode.RIVAL_ENTRY, case, said, show_command("serviceentry", str(other)))


def _missing_port_cause(case: Case, entry: ServiceEntry, host: str) -> Cause | None:
    """Name the entry of the same namespace and host that comes first, and gives the sidecar the Envoy clusters of its ports."""
    number = case.probe.port
    around = case.around or MeshObjects()
    default = around.default_export_to or PUBLIC
    for other in around.entries:
        beside = (
            other.namespace == entry.namespace
            and other.name != entry.name
            and is_exported_to_namespace(other, case.source.namespace, default)
        )
        if not beside or host not in other.hosts or any(port.number == number for port in other.ports):
            continue
        chosen, why = precedence.first_entry_in_sidecar(entry, other, default, host)
        # Where chance decides, or the age is not known, that the Envoy cluster is not there shows which came first.
        if chosen is not entry and precedence.merge_key(entry) != precedence.merge_key(other):
            first = f"comes first, {why}," if chosen else f"came first (which one does {why}),"
            said = (
                f"ServiceEntry {other} has the same host {host}, {first} and has no port {number}: "
                f"the sidecar gets no Envoy cluster for port {number} of {entry}"
            )
            hint = "put both into one entry, or give both the same labels, exportTo and resolution; "
            return explain_cause(CauseCode.RIVAL_ENTRY, case, said, hint + show_command("serviceentry", str(other)))
    return None


def _entry_used_instead(case: Case, entry: ServiceEntry) -> ServiceEntry | None:
    """Return the entry of another namespace whose host is the same and that a sidecar gets instead."""
    around = case.around or MeshObjects()
    for other in around.entries:
        if other.namespace != entry.namespace and not {*other.hosts}.isdisjoint(entry.hosts):
            default = around.default_export_to or PUBLIC
            if precedence.entry_that_pods_get(entry, other, case.source.namespace, default)[0] is other:
                return other
    return None


def _revision_cause(case: Case, entry: ServiceEntry) -> Cause | None:
    if not entry.revision or not case.source.revision or entry.revision == case.source.revision:
        return None
    said = (
        f"{entry} has the label istio.io/rev={entry.revision}, and the sidecar of {case.source.pod} is of revision "
        f"{case.source.revision}: another control plane reads it; {_where_sidecar_leads(case)}"
    )
    return explain_cause(CauseCode.NOT_PROPAGATED, case, said)


def _reserved_port_cause(case: Case, entry: ServiceEntry) -> Cause | None:
    number = case.probe.port
    if number not in RESERVED_PORTS or case.evidence.refused:
        return None
    said = f"a sidecar gets no listener for port {number}, {RESERVED_PORTS[number]}, whatever {entry} says; "
    said += _where_sidecar_leads(case)
    return explain_cause(CauseCode.NOT_PROPAGATED, case, said, "name another port in the ServiceEntry")


def _propagation_cause(case: Case, entry: ServiceEntry) -> Cause:
    opaque, listeners = _protocol(entry, case.probe.port) not in HTTP_PROTOCOLS, case.evidence.own_listeners
    # Only a sidecar that answers DNS itself has a listener of the address that Istio gave the entry.
    given = case.source.dns_capture if listeners is None else any((ip, case.probe.port) in listeners for ip in entry.allocated)
    if opaque and given and not lists_address(entry, case.outcome.remote_ip):
        return explain_cause(CauseCode.ADDRESS_NOT_LISTED, case)
    around = case.around or MeshObjects(unread=("the other objects of the mesh were not looked at",))
    unseen = [
        f"{plural} of namespace {place} were not looked at" for plural, place in _kinds_not_read(case) if case.around is not None
    ]
    if not entry.export_to and entry.namespace != case.source.namespace and around.default_export_to is None:
        unseen.append("whether the mesh exports entries that name no exportTo was not looked at (defaultServiceExportTo)")
    if entry.namespace not in around.namespaces:
        unseen += [each for each in around.unread if "serviceEntryVisibility" in each]
    why = "the control plane has not pushed it"
    if unseen or case.around is None:
        missing = "; ".join(unseen or around.unread)
        why = f"a Sidecar resource hides the entry, or the control plane has not pushed it ({missing})"
    return explain_cause(CauseCode.NOT_PROPAGATED, case, f"{entry} lists {case.address}, and {_where_sidecar_leads(case)}: {why}")


def _kinds_not_read(case: Case) -> Iterator[tuple[str, str]]:
    around = case.around or MeshObjects()
    for place in dict.fromkeys((case.source.namespace, around.root)):
        if not around.has_read(SIDECARS, place):
            yield SIDECARS, place


_REASONS: tuple[Callable[[Case, ServiceEntry], Cause | None], ...] = (
    _port_cause,
    _protocol_cause,
    _host_cause,
    _namesake_cause,
    server_name_cause,
    _address_cause,
    _export_cause,
    _refusal_cause,
    _reroute_cause,
    _sidecar_cause,
    nearer_block_cause,
    shared_endpoints_cause,
    _conflict_cause,
    _revision_cause,
    _reserved_port_cause,
)


def _where_sidecar_leads(case: Case) -> str:
    return f"the sidecar sends {case.address} to {case.leads_to}"


def _protocol(entry: ServiceEntry, number: int) -> str:
    return next((port.protocol.upper() for port in entry.ports if port.number == number), "")


def _has_several_blocks(case: Case, entry: ServiceEntry) -> bool:
    """Say whether the host has more than one block: in this entry, or with its namesakes of the namespace."""
    others = case.around.entries if case.around else ()
    like = [each for each in others if each.namespace == entry.namespace and set(each.hosts) & set(entry.hosts)]
    return len(entry.addresses) > 1 or len(like) > 1


def _find_by_name(manifests: Iterable[Manifest], name: str) -> Manifest | None:
    return next((each for each in manifests if object_name(each) == name), None)


def wraps_tls_in_tls(case: Case) -> bool:
    """Say whether a DestinationRule wraps in TLS what speaks TLS already."""
    return bool(case.evidence.destination_rule) and case.probe.speech.tls


def leads_to_other_host(case: Case) -> bool:
    """Say whether the way leads to an Envoy cluster of another host than the target's: not by its policy, by a route."""
    walk, entry = case.evidence.walk, case.entry
    to = parse_outbound_name(walk.envoy_cluster or "") if walk else None
    return entry is not None and to is not None and to.host not in entry.hosts
