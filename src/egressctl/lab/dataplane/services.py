"""Which ServiceEntries a sidecar is shown, and as what: istiod's service registry, as far as the lab knows it.

istiod turns an entry into one service a host, hides what `exportTo` does not offer, keeps one namespace a
host, and orders the rest; the first in that order wins an address block that two claim. Entries of one host
and namespace stay side by side.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from egressctl.model import Manifest

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a STATIC service really is."""

    address: str
    port: int


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A TCP port of a service. `static` tells whether its connections go to `endpoints` or where they were bound for."""

    number: int
    static: bool
    endpoints: tuple[Endpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """One host of one namespace's entries. `networks` is empty where the entry names no address."""

    host: str
    namespace: str
    networks: tuple[Network, ...]
    ports: tuple[ServicePort, ...]
    created: str
    rank: int
    """0 for private to the pod's namespace, 1 for exported to it by name, 2 for public."""
    entry: str

    @property
    def order(self) -> tuple[int, str, str, str, str]:
        return self.rank, self.created, self.host, self.namespace, self.entry


@dataclass(frozen=True, slots=True)
class Registry:
    """What the sidecar is shown, in istiod's order, and in `notes` what the lab leaves out, a sentence each."""

    services: tuple[Service, ...]
    notes: tuple[str, ...] = ()


def registry(entries: Iterable[Manifest], namespace: str) -> Registry:
    """Return the services that a sidecar in `namespace` gets from these ServiceEntries."""
    notes: list[str] = []
    services = sorted(
        (service for entry in entries for service in _services(entry, namespace, notes)), key=lambda service: service.order
    )
    winner: dict[str, str] = {}
    for service in sorted(services, key=lambda service: (service.namespace != namespace, service.created, service.order)):
        winner.setdefault(service.host, service.namespace)
    return Registry(tuple(service for service in services if service.namespace == winner[service.host]), tuple(notes))


def _services(entry: Manifest, namespace: str, notes: list[str]) -> Iterator[Service]:
    metadata, spec = _mapping(entry.get("metadata")), _mapping(entry.get("spec"))
    name, own = str(metadata.get("name", "")), str(metadata.get("namespace", ""))
    rank = _rank(_strings(spec.get("exportTo")), own, namespace)
    if rank is None:
        return
    where = f"ServiceEntry {own}/{name}"
    resolution = str(spec.get("resolution") or "NONE")
    if resolution not in ("NONE", "STATIC"):
        notes.append(f"{where}: the lab does not know resolution {resolution}, and gives it no listener")
        return
    networks = tuple(dict.fromkeys(_networks(_strings(spec.get("addresses")), where, notes)))
    if not networks and _strings(spec.get("addresses")):
        return
    ports = tuple(_ports(spec, resolution == "STATIC", where, notes))
    if not ports:
        return
    for host in dict.fromkeys(_strings(spec.get("hosts"))):
        yield Service(host, own, networks, ports, str(metadata.get("creationTimestamp") or ""), rank, name)


def _rank(export_to: tuple[str, ...], own: str, namespace: str) -> int | None:
    if not export_to or "*" in export_to:
        return 2
    visible_in = {own if item == "." else item for item in export_to}
    if namespace not in visible_in:
        return None
    return 0 if own == namespace else 1


def _networks(addresses: tuple[str, ...], where: str, notes: list[str]) -> Iterator[Network]:
    for address in addresses:
        try:
            yield ipaddress.ip_network(address, strict=False)
        except ValueError:
            notes.append(f"{where}: {address!r} is neither an address nor a block, and is left out")


def _ports(spec: Mapping[str, Any], static: bool, where: str, notes: list[str]) -> Iterator[ServicePort]:
    endpoints = [item for item in spec.get("endpoints") or () if isinstance(item, Mapping) and item.get("address")]
    for port in spec.get("ports") or ():
        number = port.get("number") if isinstance(port, Mapping) else None
        if not isinstance(number, int):
            continue
        protocol = str(port.get("protocol") or "")
        if protocol.upper() != "TCP":
            said = f"protocol {protocol}" if protocol else "a port without a protocol"
            notes.append(f"{where}: the lab does not know {said}, and gives port {number} no listener")
            continue
        name, behind = str(port.get("name", "")), port.get("targetPort") or number
        yield ServicePort(
            number,
            static,
            tuple(Endpoint(str(item["address"]), int(_mapping(item.get("ports")).get(name, behind))) for item in endpoints),
        )


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _strings(value: object) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, (list, tuple)) else ()
