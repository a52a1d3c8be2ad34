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
from egressctl.model.json_values import mapping_at, mappings_at, texts_at, value_at

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
        said = mapping_at(route, "destination")
        host, port = self.about.full_name(said.get("host")), value_at(said, "port", "number")
        weight, number = route.get("weight"), port if isinstance(port, int) else None
        return RouteDestination(host, str(said.get("subset") or ""), number, weight if isinstance(weight, int) else 0)

    def destinations(self, route: Mapping[str, Any]) -> tuple[RouteDestination, ...]:
        """Read all of them."""
        return tuple(self.destination(each) for each in mappings_at(route, "route"))

    def hosts_behind(self) -> Iterator[str]:
        """Yield every host that any of its routes leads to."""
        for kind in ("http", "tls", "tcp"):
            for route in mappings_at(self.about.spec, kind):
                yield from (destination.host for destination in self.destinations(route))


def virtual_services_that_apply(manifests: Iterable[Manifest], workload: Workload, scope: Scope) -> tuple[VirtualService, ...]:
    """Return those that are shown to the workload's sidecar, the older first."""
    found = []
    for about in sorted(map(read_object, manifests), key=lambda each: each.order):
        hosts, gateways = texts_at(about.spec, "hosts"), texts_at(about.spec, "gateways")
        shown = sees(workload.namespace, texts_at(about.spec, "exportTo"), about.namespace)
        if shown and (not gateways or MESH in gateways) and scope.shows_routes(hosts, about.namespace):
            found.append(VirtualService(about, hosts))
    return tuple(found)


def virtual_services_of_host(virtual_services: Iterable[VirtualService], host: str) -> tuple[VirtualService, ...]:
    """Return those that name the host of a service."""
    return tuple(each for each in virtual_services if any(hosts_overlap(one, host, case=True) for one in each.hosts))


def tcp_detours(found: Iterable[VirtualService], port: int, workload: Workload) -> Iterator[Detour]:
    """Yield the tcp routes that apply to a service's port; one without `networks` is the last."""
    for each in found:
        for route in mappings_at(each.about.spec, "tcp"):
            destinations = each.destinations(route)
            if not destinations:
                continue
            networks: list[Block] = []
            matches = mappings_at(route, "match")
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
        for route in mappings_at(each.about.spec, "tls"):
            destinations = each.destinations(route)
            for match in mappings_at(route, "match"):
                key = texts_at(match, "sniHosts"), _subnets(match)
                if destinations and key not in seen and match_applies(match, port, workload):
                    seen.add(key)
                    yield Detour(each, destinations, key[1], key[0])


def match_applies(match: Mapping[str, Any], port: int, workload: Workload) -> bool:
    """Return whether the part of a match that does not depend on the connection holds."""
    gateways = texts_at(match, "gateways")
    return (
        match.get("port") in (None, 0, port)
        and (not gateways or MESH in gateways)
        and mapping_at(match, "sourceLabels").items() <= workload.labels.items()
        and match.get("sourceNamespace") in (None, "", workload.namespace)
    )


def _subnets(match: Mapping[str, Any]) -> tuple[Block, ...]:
    return tuple(parse_blocks(texts_at(match, "destinationSubnets")))
