"""Which ServiceEntries could serve a connection that names none, and what would be in the way of a new one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum

from egressctl.istio.export_to import PUBLIC, is_exported_to_namespace
from egressctl.istio.hosts import covers_host
from egressctl.istio.listing import is_every_address, lists_address, lists_port, takes_whole_port
from egressctl.istio.mesh_objects import SIDECARS
from egressctl.istio.sidecar_scope import ImportScope, import_scope, sidecar_for_pod
from egressctl.manifests.service_entry import PLURAL
from egressctl.model.entry import Manifest, MeshObjects, Port, ServiceEntry
from egressctl.model.evidence import Source
from egressctl.model.json_values import value_at
from egressctl.model.probe import Probe
from egressctl.runtime.sanitize import quote


class Claim(IntEnum):
    """By what an entry could serve a connection, from the surest sign that it is meant for it on."""

    HOST = 0
    WILDCARD = 1
    ADDRESS = 2
    PORT = 3


def claim_of_entry(entry: ServiceEntry, probe: Probe, ip: str) -> Claim | None:
    """Say by what an entry could serve a probe that reached this address, were it as it should be; None for not at all.

    A host and an address are claims whatever the port and protocol. A port by itself is one only where the entry lets every
    connection on it out to the address that was asked for.
    """
    covering = [host for host in entry.hosts if covers_host(host, probe.host)]
    if covering:
        return Claim.WILDCARD if all(host.startswith("*") for host in covering) else Claim.HOST
    if entry.addresses:
        # To list every address on another port says nothing of this one.
        specific = lists_port(entry, probe.port) or not any(map(is_every_address, entry.addresses))
        return Claim.ADDRESS if ip and specific and lists_address(entry, ip) else None
    whole = entry.resolution == "NONE" and takes_whole_port(entry, probe.port)
    return Claim.PORT if whole else None


def sidecar_of_pod(around: MeshObjects | None, source: Source) -> Manifest | None:
    """Return the Sidecar resource that holds for the pod; None where there is none, or none was read."""
    return sidecar_for_pod(around.sidecars, source.namespace, source.labels, around.root) if around else None


def is_in_sidecar(around: MeshObjects | None, source: Source, entry: ServiceEntry, number: int) -> bool:
    """Say whether the pod's sidecar gets a port of an entry: it is exported to the pod, and no Sidecar resource hides it."""
    default = (around.default_export_to if around else None) or PUBLIC
    if not is_exported_to_namespace(entry, source.namespace, default):
        return False
    sidecar = sidecar_of_pod(around, source)
    return sidecar is None or import_scope(sidecar, entry, number, source.namespace) is not ImportScope.NOTHING


def who_sets_policy(around: MeshObjects | None, source: Source) -> str:
    """Name the object that makes the pod's outbound traffic policy: a Sidecar resource, else the mesh's configuration."""
    root = around.root if around else MeshObjects().root
    revision = f"-{source.revision}" if source.revision not in ("", "default") else ""
    configured = f"ConfigMap {root}/istio{revision}"
    if around is None or not all(around.has_read(SIDECARS, place) for place in (source.namespace, root)):
        return f"set by a Sidecar resource, which could not be looked at, or by {configured}"
    sidecar = sidecar_of_pod(around, source)
    if sidecar is not None and value_at(sidecar, "spec", "outboundTrafficPolicy") is not None:
        return f"set by Sidecar {object_name(sidecar)}"
    return f"set by {configured}"


def unread_entries(around: MeshObjects | None) -> str:
    """Say in a sentence which ServiceEntries were not looked at, "" where all were."""
    if around is None:
        return "the ServiceEntries of the mesh were not looked at"
    return next((each for each in around.unread if each.startswith(PLURAL)), "")


def sidecar_that_hides(around: MeshObjects | None, source: Source, namespace: str, host: str, number: int) -> Manifest | None:
    """Return the Sidecar resource that would hide from the pod an entry of this host and port; None where none would."""
    sidecar = sidecar_of_pod(around, source)
    if sidecar is None:
        return None
    made = ServiceEntry("", namespace, (host,), (), (Port(number, "", ""),), "DNS", "MESH_EXTERNAL", ())
    hides = import_scope(sidecar, made, number, source.namespace) is ImportScope.NOTHING
    return sidecar if hides else None


def object_name(manifest: Manifest) -> str:
    """Return `namespace/name`."""
    metadata: Mapping[str, object] = manifest["metadata"]
    return f"{metadata.get('namespace', 'default')}/{metadata['name']}"


def show_command(kind: str, name: str) -> str:
    """Return the command that shows an object, given as `namespace/name`."""
    namespace, _, own = name.partition("/")
    return f"kubectl get {kind} -n {quote(namespace)} {quote(own)} -o yaml"
