"""Name why a connection did not go to the target's own Envoy cluster, and the object to blame. Pure.

The reasons are tried in an order in which each, where it holds, makes those after it idle: a port that the entry does not
name cannot have a rival. What was not looked at is said, never taken for absent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from egressctl.envoy.config import BLACKHOLE, PASSTHROUGH, destination
from egressctl.istio import precedence
from egressctl.istio.precedence import exported
from egressctl.istio.sidecar_scope import Sight, egress_hosts, governing, sight
from egressctl.manifests.formats import HTTP_PROTOCOLS, RESERVED_PORTS, TLS_PROTOCOLS, matches_host
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.entry import Manifest, ServiceEntry, Surroundings
from egressctl.model.evidence import Ownership
from egressctl.verify.causes import Situation, explain
from egressctl.verify.ownership import lists

SIDECARS = "sidecars"


def why_not_ours(at: Situation) -> Cause:
    """Name why a captured connection was let out, or refused, elsewhere than by the target's Envoy cluster."""
    if not at.entry_name:
        return _of_a_bare_url(at)
    if at.entry is None:
        return explain(CauseCode.ENTRY_MISSING, at)
    found = (reason(at, at.entry) for reason in _REASONS)
    return next((cause for cause in found if cause), None) or _not_propagated(at, at.entry)


def speaks_otherwise(entry: ServiceEntry, at: Situation) -> str:
    """Say in half a sentence how the protocol that the entry declares for the probe's port misses what is spoken."""
    protocol = _protocol(entry, at.probe.port)
    if protocol == "UDP":
        return "declares it UDP, and the probe speaks TCP"
    if protocol in HTTP_PROTOCOLS and at.probe.speech.tls:
        return f"declares it {protocol}, and the probe speaks TLS, which no HTTP route takes"
    if protocol in TLS_PROTOCOLS and not at.probe.speech.tls:
        return f"declares it {protocol}, and the probe speaks plain HTTP, which names no server in a TLS handshake"
    return ""


def routing(at: Situation) -> str:
    """Name the VirtualService (`namespace/name`) that stands behind the way taken, where it routes the target's host."""
    walk, entry = at.evidence.walk, at.entry
    if walk is None or not walk.virtual_service or entry is None:
        return walk.virtual_service if walk else ""
    known = _named(at.around.virtual_services, walk.virtual_service) if at.around else None
    if known is None:
        return walk.virtual_service
    hosts = _texts(_spec(known).get("hosts"))
    meant = any(matches_host(pattern, host) or matches_host(host, pattern) for pattern in hosts for host in entry.hosts)
    return walk.virtual_service if meant else ""


def _of_a_bare_url(at: Situation) -> Cause:
    walk, owner = at.evidence.walk, at.evidence.owner
    if walk and walk.envoy_cluster == PASSTHROUGH:
        return explain(CauseCode.PASSTHROUGH, at)
    if walk and walk.virtual_service and (walk.absent or walk.direct_status):
        return explain(CauseCode.REROUTED, at)
    return explain(CauseCode.RIVAL_ENTRY if owner and owner.ownership is Ownership.OTHERS else CauseCode.BLACKHOLE, at)


def _port(at: Situation, entry: ServiceEntry) -> Cause | None:
    listed = any(port.number == at.probe.port for port in entry.ports)
    return None if listed else explain(CauseCode.PORT_NOT_LISTED, at)


def _speech(at: Situation, entry: ServiceEntry) -> Cause | None:
    how = speaks_otherwise(entry, at)
    return explain(CauseCode.PROTOCOL_MISMATCH, at, f"{entry} names port {at.probe.port} and {how}; {_led(at)}") if how else None


def _host(at: Situation, entry: ServiceEntry) -> Cause | None:
    by_host = _protocol(entry, at.probe.port) in HTTP_PROTOCOLS | TLS_PROTOCOLS
    if not by_host or any(matches_host(host, at.probe.host) for host in entry.hosts):
        return None
    return explain(CauseCode.HOST_NOT_LISTED, at)


def _address(at: Situation, entry: ServiceEntry) -> Cause | None:
    if _protocol(entry, at.probe.port) in HTTP_PROTOCOLS or lists(entry, at.outcome.remote_ip):
        return None  # HTTP is routed by its host, whatever the address.
    return explain(CauseCode.ADDRESS_NOT_LISTED, at)


def _export(at: Situation, entry: ServiceEntry) -> Cause | None:
    around = at.around or Surroundings()
    default = around.default_export_to or ("*",)
    if exported(entry, at.source.namespace, default):
        return None
    if entry.export_to:
        return explain(CauseCode.NOT_EXPORTED, at)
    said = (
        f"{entry} has no exportTo, and the mesh's defaultServiceExportTo is {', '.join(default)}, "
        f"which leaves out namespace {at.source.namespace}"
    )
    return explain(CauseCode.NOT_EXPORTED, at, said, f"kubectl get configmap -n {around.root} istio -o yaml")


def _refused_listener(at: Situation, entry: ServiceEntry) -> Cause | None:
    del entry
    return explain(CauseCode.REJECTED_BY_PROXY, at) if at.evidence.refused else None


def _rerouted(at: Situation, entry: ServiceEntry) -> Cause | None:
    del entry
    return explain(CauseCode.REROUTED, at) if routing(at) else None


def _hidden(at: Situation, entry: ServiceEntry) -> Cause | None:
    sidecar = _sidecar(at)
    if sidecar is None:
        return None
    left = sight(sidecar, entry, at.probe.port, at.source.namespace)
    name = _name(sidecar)
    if left is Sight.NOTHING:
        hosts = ", ".join(egress_hosts(sidecar)[:4])
        said = f"Sidecar {name} lets the pod import {hosts or 'no hosts'}, which leaves {entry} out; {_led(at)}"
        return explain(CauseCode.HIDDEN_BY_SIDECAR, at, said, _show("sidecar", name))
    carried = at.evidence.walk.envoy_cluster if at.evidence.walk else None
    if left is Sight.ONE_BLOCK and _several(at, entry) and carried in (None, BLACKHOLE, PASSTHROUGH):
        said = (
            f"Sidecar {name} names the host exactly, and then a pod gets one of its blocks only, "
            f"not the one around {at.outcome.remote_ip}; {_led(at)}"
        )
        hint = f"{_show('sidecar', name)}; import */{entry.hosts[0]} or ./* instead"
        return explain(CauseCode.HIDDEN_BY_SIDECAR, at, said, hint)
    return None


def _rival(at: Situation, entry: ServiceEntry) -> Cause | None:
    walk, owner = at.evidence.walk, at.evidence.owner
    carried = walk.envoy_cluster if walk else None
    to = destination(carried or "")
    if walk and walk.absent and to and to.host in entry.hosts:
        return _without_its_port(at, entry, to.host)  # Else it is its own Envoy cluster, on its way in or out.
    if carried not in (None, BLACKHOLE, PASSTHROUGH) or (owner and owner.rival):
        return explain(CauseCode.RIVAL_ENTRY, at)
    other = _displacing(at, entry)
    if other is None:
        return None
    said = f"ServiceEntry {other} has the same host, and a sidecar gets only one namespace's: not that of {entry}; {_led(at)}"
    return explain(CauseCode.RIVAL_ENTRY, at, said, _show("serviceentry", str(other)))


def _without_its_port(at: Situation, entry: ServiceEntry, host: str) -> Cause | None:
    """Name the entry of the same namespace and host that comes first, and gives the sidecar the Envoy clusters of its ports."""
    number = at.probe.port
    for other in at.around.entries if at.around else ():
        beside = other.namespace == entry.namespace and other.name != entry.name and exported(other, at.source.namespace)
        if not beside or host not in other.hosts or any(port.number == number for port in other.ports):
            continue
        chosen, why = precedence.first(entry, other)
        if chosen is other and precedence.alike(entry) != precedence.alike(other):
            said = (
                f"ServiceEntry {other} has the same host {host}, comes first, {why}, and has no port {number}: "
                f"the sidecar gets no Envoy cluster for port {number} of {entry}"
            )
            hint = "put both into one entry, or give both the same labels, exportTo and resolution; "
            return explain(CauseCode.RIVAL_ENTRY, at, said, hint + _show("serviceentry", str(other)))
    return None


def _displacing(at: Situation, entry: ServiceEntry) -> ServiceEntry | None:
    """Return the entry of another namespace whose host is the same and that a sidecar gets instead.

    Of two namespaces' entries of one host it gets only one: the pod's own namespace's, else the older.
    """
    namespace = at.source.namespace
    if entry.namespace == namespace or at.around is None:
        return None
    for other in at.around.entries:
        first = other.namespace == namespace or other.created <= entry.created
        if other.namespace != entry.namespace and first and exported(other, namespace) and set(other.hosts) & set(entry.hosts):
            return other
    return None


def _not_propagated(at: Situation, entry: ServiceEntry) -> Cause:
    number = at.probe.port
    if entry.revision and at.source.revision and entry.revision != at.source.revision:
        said = (
            f"{entry} has the label istio.io/rev={entry.revision}, and the sidecar of {at.source.pod} is of revision "
            f"{at.source.revision}: another control plane reads it; {_led(at)}"
        )
        return explain(CauseCode.NOT_PROPAGATED, at, said)
    if number in RESERVED_PORTS:
        said = f"a sidecar gets no listener for port {number}, {RESERVED_PORTS[number]}, whatever {entry} says; {_led(at)}"
        return explain(CauseCode.NOT_PROPAGATED, at, said, "name another port in the ServiceEntry")
    around = at.around or Surroundings(unread=("the other objects of the mesh were not looked at",))
    unseen = [f"{plural} of namespace {place} were not looked at" for plural, place in _unseen(at) if at.around is not None]
    if not entry.export_to and entry.namespace != at.source.namespace and around.default_export_to is None:
        unseen.append("whether the mesh exports entries that name no exportTo was not looked at (defaultServiceExportTo)")
    why = "the control plane has not pushed it"
    if unseen or at.around is None:
        missing = "; ".join(unseen or around.unread)
        why = f"a Sidecar resource hides the entry, or the control plane has not pushed it ({missing})"
    return explain(CauseCode.NOT_PROPAGATED, at, f"{entry} lists {at.address}, and {_led(at)}: {why}")


def _unseen(at: Situation) -> Iterator[tuple[str, str]]:
    around = at.around or Surroundings()
    for place in dict.fromkeys((at.source.namespace, around.root)):
        if not around.saw(SIDECARS, place):
            yield SIDECARS, place


_REASONS: tuple[Callable[[Situation, ServiceEntry], Cause | None], ...] = (
    _port,
    _speech,
    _host,
    _address,
    _export,
    _refused_listener,
    _rerouted,
    _hidden,
    _rival,
)


def _led(at: Situation) -> str:
    walk = at.evidence.walk
    carried = walk.envoy_cluster if walk and walk.envoy_cluster else "no Envoy cluster"
    return f"the sidecar leads {at.address} to {carried}"


def _protocol(entry: ServiceEntry, number: int) -> str:
    return next((port.protocol.upper() for port in entry.ports if port.number == number), "")


def _several(at: Situation, entry: ServiceEntry) -> bool:
    """Say whether the host has more than one block: in this entry, or with its namesakes of the namespace."""
    others = at.around.entries if at.around else ()
    like = [each for each in others if each.namespace == entry.namespace and set(each.hosts) & set(entry.hosts)]
    return len(entry.addresses) > 1 or len(like) > 1


def _sidecar(at: Situation) -> Manifest | None:
    if at.around is None:
        return None
    return governing(at.around.sidecars, at.source.namespace, at.source.labels, at.around.root)


def _named(manifests: Iterable[Manifest], name: str) -> Manifest | None:
    return next((each for each in manifests if _name(each) == name), None)


def _name(manifest: Manifest) -> str:
    metadata = manifest["metadata"]
    return f"{metadata.get('namespace', 'default')}/{metadata['name']}"


def _spec(manifest: Manifest) -> Mapping[str, Any]:
    spec = manifest.get("spec")
    return spec if isinstance(spec, Mapping) else {}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()


def _show(kind: str, name: str) -> str:
    namespace, _, own = name.partition("/")
    return f"kubectl get {kind} -n {namespace} {own} -o yaml"


def wraps(at: Situation) -> bool:
    """Say whether a DestinationRule wraps in TLS what speaks TLS already."""
    return bool(at.evidence.destination_rule) and at.probe.speech.tls


def foreign(at: Situation) -> bool:
    """Say whether the way leads to an Envoy cluster of another host than the target's: not by its policy, by a route."""
    walk, entry = at.evidence.walk, at.entry
    to = destination(walk.envoy_cluster or "") if walk else None
    return entry is not None and to is not None and to.host not in entry.hosts
