"""Which ServiceEntries a sidecar is shown, and as what: istiod's service registry, as far as the lab knows it.

istiod turns an entry into one service a host, hides what `exportTo` does not offer, keeps one namespace a
host, and orders the rest; the first in that order wins an address block that two claim. Entries of one host
and namespace stay side by side.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from egressctl.istio.export_to import EVERYWHERE, namespaces_that_see, sees
from egressctl.istio.precedence import Rank, created_seconds
from egressctl.istio.sidecar_scope import ImportScope
from egressctl.lab.dataplane.objects import read_object
from egressctl.lab.dataplane.scope import Scope
from egressctl.model.blocks import Block, parse_block
from egressctl.model.entry import Manifest
from egressctl.model.json_values import mapping_at, mappings_at, texts_at


class Resolution(Enum):
    """Where a service's connections go: where they were bound for, to its endpoints, or to what names resolve to."""

    NONE = "NONE"
    STATIC = "STATIC"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"


class PortProtocol(Enum):
    """What a port's declared protocol makes of it: istio's `ModelProtocolToListenerProtocol`, TLS kept apart."""

    TCP = "TCP"
    TLS = "TLS"
    HTTP = "HTTP"


_PROTOCOLS = {
    "TCP": PortProtocol.TCP,
    "TLS": PortProtocol.TLS,
    "HTTPS": PortProtocol.TLS,
    "HTTP": PortProtocol.HTTP,
    "HTTP2": PortProtocol.HTTP,
    "GRPC": PortProtocol.HTTP,
    "GRPC-WEB": PortProtocol.HTTP,
}
_HTTP2 = ("HTTP2", "GRPC")


@dataclass(frozen=True, slots=True)
class ServiceEndpoint:
    """Where a service really is: an address or a name."""

    address: str
    port: int
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a service; `endpoints` counts for nothing where the resolution is NONE."""

    number: int
    speaks: PortProtocol
    http2: bool
    endpoints: tuple[ServiceEndpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class MeshService:
    """One host of one namespace's entries. `networks` is empty where the entry names no address."""

    host: str
    namespace: str
    networks: tuple[Block, ...]
    ports: tuple[ServicePort, ...]
    resolution: Resolution
    rank: Rank
    entry: str
    uid: str
    attributes: tuple[object, ...] = ()
    """What two services of one host and namespace must have in common for their ports to be merged."""

    @property
    def order(self) -> tuple[Rank, str]:
        """What istiod leaves to chance, the entry's name decides."""
        return self.rank, self.entry


@dataclass(frozen=True, slots=True)
class Registry:
    """What the sidecar is shown, in istiod's order, and in `notes` what the lab leaves out, a sentence each."""

    services: tuple[MeshService, ...]
    notes: tuple[str, ...] = ()

    def of_host(self, host: str) -> MeshService | None:
        """Return the first service of that host."""
        return next((service for service in self.services if service.host == host), None)


def registry(entries: Iterable[Manifest], namespace: str) -> Registry:
    """Return the services that these ServiceEntries show to `namespace`, whatever its Sidecar resource says."""
    notes: list[str] = []
    services = (service for entry in entries for service in _services_of_entry(entry, namespace, notes))
    return Registry(tuple(sorted(services, key=lambda service: service.order)), tuple(notes))


def registry_in_scope(known: Registry, scope: Scope, namespace: str) -> Registry:
    """Return what is left of a registry by a Sidecar resource, and by the rule of one namespace a host."""
    kept = _visible_services(known.services, scope)
    winner: dict[str, str] = {}
    for service in sorted(kept, key=lambda service: (service.namespace != namespace, service.order)):
        winner.setdefault(service.host, service.namespace)
    return Registry(tuple(service for service in kept if service.namespace == winner[service.host]), known.notes)


def merge_by_host(services: Iterable[MeshService]) -> tuple[MeshService, ...]:
    """Return the services that get Envoy clusters, one a host: `appendSidecarServices` of istio's `pilot/pkg/model/sidecar.go`.

    It is the first of the host, with its own ports; those that only another has come to them where the two are alike.
    """
    first: dict[str, MeshService] = {}
    for service in services:
        found = first.setdefault(service.host, service)
        if (found.namespace, found.attributes) == (service.namespace, service.attributes):
            numbers = {port.number for port in found.ports}
            more = tuple(port for port in service.ports if port.number not in numbers)
            first[service.host] = replace(found, ports=found.ports + more)
    return tuple(first.values())


def _visible_services(services: tuple[MeshService, ...], scope: Scope) -> tuple[MeshService, ...]:
    shown = {key: scope.shown(*key) for key in {(service.host, service.namespace) for service in services}}
    chosen = {key: _choose_one_address(services, *key) for key, how in shown.items() if how is ImportScope.ONE_BLOCK}
    kept = []
    for service in services:
        key = service.host, service.namespace
        if shown[key] is ImportScope.WHOLE:
            kept.append(service)
        elif shown[key] is ImportScope.ONE_BLOCK and chosen[key][0] is service:
            kept.append(replace(service, networks=chosen[key][1]))
    return tuple(kept)


def _choose_one_address(services: tuple[MeshService, ...], host: str, namespace: str) -> tuple[MeshService, tuple[Block, ...]]:
    """Choose one address of the first entry, by the UIDs: another one after each apply, and the same as long as they live."""
    choices: list[tuple[MeshService, tuple[Block, ...]]] = []
    namesakes = [service for service in services if (service.host, service.namespace) == (host, namespace)]
    for service in namesakes:
        if service.rank[1:] == min(each.rank[1:] for each in namesakes):
            choices += [(service, (network,)) for network in service.networks] or [(service, ())]
    uids = "".join(sorted({service.uid for service, _ in choices}))
    return choices[zlib.crc32(uids.encode()) % len(choices)]


def _services_of_entry(entry: Manifest, namespace: str, notes: list[str]) -> Iterator[MeshService]:
    about = read_object(entry)
    spec, own = about.spec, about.namespace
    export_to = texts_at(spec, "exportTo")
    if not sees(namespace, export_to, own):
        return
    public, created = EVERYWHERE in namespaces_that_see(export_to, own), created_seconds(about.created)
    where = f"ServiceEntry {own}/{about.name}"
    said = str(spec.get("resolution") or "NONE")
    if said not in Resolution.__members__:
        notes.append(f"{where}: the lab does not know resolution {said}, and gives it no listener")
        return
    resolution = Resolution(said)
    networks = tuple(dict.fromkeys(_networks(texts_at(spec, "addresses"), where, notes)))
    if not networks and texts_at(spec, "addresses"):
        return
    if spec.get("workloadSelector"):
        notes.append(f"{where}: the lab does not know workloadSelector, and gives it no endpoints")
    labels = mapping_at(entry, "metadata", "labels")
    attributes = (said, frozenset(labels.items()), frozenset(export_to))
    for host in dict.fromkeys(texts_at(spec, "hosts")):
        notes_of_ports = notes if host == texts_at(spec, "hosts")[0] else []
        if ports := tuple(_ports(spec, host, resolution, where, notes_of_ports)):
            rank = Rank(public, created, host, own)
            yield MeshService(host, own, networks, ports, resolution, rank, about.name, about.uid, attributes)


def _networks(addresses: tuple[str, ...], where: str, notes: list[str]) -> Iterator[Block]:
    for address in addresses:
        if block := parse_block(address):
            yield block
        else:
            notes.append(f"{where}: {address!r} is neither an address nor a block, and is left out")


def _ports(spec: Mapping[str, Any], host: str, resolution: Resolution, where: str, notes: list[str]) -> Iterator[ServicePort]:
    endpoints = [item for item in mappings_at(spec, "endpoints") if item.get("address")]
    if not endpoints and resolution in (Resolution.DNS, Resolution.DNS_ROUND_ROBIN):
        endpoints = [{"address": host}]
    for port in mappings_at(spec, "ports"):
        number = port.get("number")
        if not isinstance(number, int):
            continue
        protocol = str(port.get("protocol") or "").upper()
        if protocol not in _PROTOCOLS:
            said = f"protocol {port['protocol']}" if protocol else "a port without a protocol"
            notes.append(f"{where}: the lab does not know {said}, and gives port {number} no listener")
            continue
        name, behind = str(port.get("name", "")), port.get("targetPort") or number
        found = tuple(
            ServiceEndpoint(str(item["address"]), int(mapping_at(item, "ports").get(name, behind)), mapping_at(item, "labels"))
            for item in endpoints
        )
        yield ServicePort(number, _PROTOCOLS[protocol], protocol in _HTTP2, found)
