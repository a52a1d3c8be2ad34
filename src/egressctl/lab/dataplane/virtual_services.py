"""VirtualServices as far as they send a sidecar's traffic elsewhere: their tcp, tls and http routes, in istiod's order.

After istio's `pilot/pkg/networking/core/tls.go` and `route/route.go`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from egressctl.istio.export_to import sees
from egressctl.istio.hosts import hosts_overlap
from egressctl.lab.dataplane.objects import IstioObject, Workload, read_object
from egressctl.lab.dataplane.scope import Scope
from egressctl.model.blocks import Block, parse_blocks
from egressctl.model.entry import Manifest
from egressctl.model.json_values import as_mapping, as_mappings, as_texts

MESH = "mesh"
"""The gateway that stands for all sidecars."""


@dataclass(frozen=True, slots=True)
class RouteDestination:
    """Where a route leads. `port` is None where it names none, `subset` empty."""

    host: str
    subset: str
    port: int | None
    weight: int


@dataclass(frozen=True, slots=True)
class Detour:
    """A tcp or tls route as a sidecar gets it. `networks` and `server_names` are what it matches beyond its service."""

    of: VirtualService
    destinations: tuple[RouteDestination, ...]
    networks: tuple[Block, ...] = ()
    server_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VirtualService:
    """One that applies to the sidecar."""

    about: IstioObject
    hosts: tuple[str, ...]

    @property
    def config(self) -> str:
        """istiod's name for it, in the metadata of all that it makes of it."""
        return f"/apis/networking.istio.io/v1/namespaces/{self.about.namespace}/virtual-service/{self.about.name}"

    @property
    def name(self) -> str:
        """NAME.NAMESPACE."""
        return f"{self.about.name}.{self.about.namespace}"

    def destination(self, route: Mapping[str, Any]) -> RouteDestination:
        """Read one `route` of a tcp, tls or http route; a host without a dot is one of its own namespace."""
        said = as_mapping(route.get("destination"))
        host, port = self.about.full_name(said.get("host")), as_mapping(said.get("port")).get("number")
        weight, number = route.get("weight"), port if isinstance(port, int) else None
        return RouteDestination(host, str(said.get("subset") or ""), number, weight if isinstance(weight, int) else 0)

    def destinations(self, route: Mapping[str, Any]) -> tuple[RouteDestination, ...]:
        """Read all of them."""
        return tuple(self.destination(each) for each in as_mappings(route.get("route")))

    def hosts_behind(self) -> Iterator[str]:
        """Yield every host that any of its routes leads to."""
        for kind in ("http", "tls", "tcp"):
            for route in as_mappings(self.about.spec.get(kind)):
                yield from (destination.host for destination in self.destinations(route))


def virtual_services_that_apply(manifests: Iterable[Manifest], workload: Workload, scope: Scope) -> tuple[VirtualService, ...]:
    """Return those that are shown to the workload's sidecar, the older first."""
    found = []
    for about in sorted(map(read_object, manifests), key=lambda each: each.order):
        hosts, gateways = as_texts(about.spec.get("hosts")), as_texts(about.spec.get("gateways"))
        shown = sees(workload.namespace, as_texts(about.spec.get("exportTo")), about.namespace)
        if shown and (not gateways or MESH in gateways) and scope.shows_routes(hosts, about.namespace):
            found.append(VirtualService(about, hosts))
    return tuple(found)


def virtual_services_of_host(virtual_services: Iterable[VirtualService], host: str) -> tuple[VirtualService, ...]:
    """Return those that name the host of a service."""
    return tuple(each for each in virtual_services if any(hosts_overlap(one, host, case=True) for one in each.hosts))


def tcp_detours(found: Iterable[VirtualService], port: int, workload: Workload) -> Iterator[Detour]:
    """Yield the tcp routes that apply to a service's port; one without `networks` is the last."""
    for each in found:
        for route in as_mappings(each.about.spec.get("tcp")):
            destinations = each.destinations(route)
            if not destinations:
                continue
            networks: list[Block] = []
            matches = as_mappings(route.get("match"))
            for match in matches:
                if match_applies(match, port, workload):
                    subnets = _subnets(match)
                    if not subnets:
                        yield Detour(each, destinations)
                        return
                    networks += subnets
            if networks:
                yield Detour(each, destinations, tuple(networks))
            elif not matches:
                yield Detour(each, destinations)
                return


def tls_detours(found: Iterable[VirtualService], port: int, workload: Workload) -> Iterator[Detour]:
    """Yield the tls routes that apply to a service's port, each match once."""
    seen: set[tuple[tuple[str, ...], tuple[Block, ...]]] = set()
    for each in found:
        for route in as_mappings(each.about.spec.get("tls")):
            destinations = each.destinations(route)
            for match in as_mappings(route.get("match")):
                key = as_texts(match.get("sniHosts")), _subnets(match)
                if destinations and key not in seen and match_applies(match, port, workload):
                    seen.add(key)
                    yield Detour(each, destinations, key[1], key[0])


def match_applies(match: Mapping[str, Any], port: int, workload: Workload) -> bool:
    """Return whether the part of a match that does not depend on the connection holds."""
    gateways = as_texts(match.get("gateways"))
    return (
        match.get("port") in (None, 0, port)
        and (not gateways or MESH in gateways)
        and as_mapping(match.get("sourceLabels")).items() <= workload.labels.items()
        and match.get("sourceNamespace") in (None, "", workload.namespace)
    )


def _subnets(match: Mapping[str, Any]) -> tuple[Block, ...]:
    return tuple(parse_blocks(as_texts(match.get("destinationSubnets"))))
