"""Istio's objects -> all that the sidecar is given: listeners, Envoy clusters and route configurations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from egressctl.lab.dataplane import destination_rules, envoy_routes, virtual_services
from egressctl.lab.dataplane.destination_rules import rule_of
from egressctl.lab.dataplane.envoy_clusters import policy_clusters, service_clusters
from egressctl.lab.dataplane.envoy_listeners import service_listeners, virtual_inbound, virtual_outbound
from egressctl.lab.dataplane.envoy_routes import route_configurations
from egressctl.lab.dataplane.istiod_layout import Outside, Resource, by_name, envoy_cluster
from egressctl.lab.dataplane.names import POLICIES
from egressctl.lab.dataplane.objects import Objects, Workload
from egressctl.lab.dataplane.scope import scope
from egressctl.lab.dataplane.services import Registry, Service, in_scope, merged, registry
from egressctl.lab.dataplane.virtual_services import Destination, VirtualService


@dataclass(frozen=True, slots=True)
class Resources:
    """Everything that a sidecar is given, by name, and in `notes` what of the objects it is not, a sentence each."""

    clusters: dict[str, Resource]
    listeners: dict[str, Resource]
    routes: dict[str, Resource] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def resources(objects: Objects, policy: str, workload: Workload, outside: Outside) -> Resources:
    """Return the configuration of the workload's sidecar under the mesh's `policy` (a key of POLICIES)."""
    shown = scope(objects.sidecars, workload, policy)
    public = registry(objects.serviceentries, workload.namespace)
    known = in_scope(public, shown, workload.namespace)
    routes = virtual_services.applying(objects.virtualservices, workload, shown)
    fallback = POLICIES[shown.policy]

    def named(destination: Destination, port: int) -> str:
        """A destination without a port means its service's only one, or else the listener's."""
        target = public.of_host(destination.host)
        if destination.port is not None:
            port = destination.port
        elif target and len(target.ports) == 1:
            port = target.ports[0].number
        return envoy_cluster(destination.host, port, destination.subset)

    clusters = [*policy_clusters(outside)]
    for service in merged((*known.services, *_behind(routes, known, public, workload))):
        clusters += service_clusters(service, rule_of(service, objects.destinationrules, workload), outside)
    listeners = [virtual_outbound(fallback, outside), virtual_inbound()]
    listeners += service_listeners(known.services, routes, workload, fallback, named, outside)
    tables = route_configurations(known.services, routes, workload, fallback, named)
    notes = (*known.notes, *shown.notes, *envoy_routes.unknown(routes), *destination_rules.unknown(objects.destinationrules))
    return Resources(by_name(clusters), by_name(listeners), by_name(tables), notes)


def _behind(routes: Iterable[VirtualService], known: Registry, public: Registry, workload: Workload) -> Iterable[Service]:
    """Return what a Sidecar resource leaves out and a VirtualService leads to: it gets Envoy clusters and no listener."""
    there = {service.host for service in known.services}
    for host in dict.fromkeys(host for each in routes for host in each.hosts_behind() if host not in there):
        found = [service for service in public.services if service.host == host]
        namespaces = {service.namespace for service in found}
        own = workload.namespace if workload.namespace in namespaces else min(namespaces, default="")
        yield from (service for service in found if service.namespace == own)
