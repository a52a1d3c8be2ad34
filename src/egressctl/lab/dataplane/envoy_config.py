"""Istio's objects -> all that the sidecar is given: listeners, Envoy clusters and route configurations."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from egressctl.lab.dataplane import destination_rules, envoy_routes, virtual_services
from egressctl.lab.dataplane.destination_rules import rule_of
from egressctl.lab.dataplane.envoy_clusters import policy_clusters, service_clusters
from egressctl.lab.dataplane.envoy_listeners import service_listeners, virtual_inbound, virtual_outbound
from egressctl.lab.dataplane.envoy_routes import route_configurations
from egressctl.lab.dataplane.filter_chains import SidecarContext
from egressctl.lab.dataplane.istiod_layout import EnvoyResource, resources_by_name
from egressctl.lab.dataplane.names import POLICIES
from egressctl.lab.dataplane.objects import PLURALS, IstioManifests, Workload
from egressctl.lab.dataplane.scope import scope
from egressctl.lab.dataplane.services import MeshService, Registry, merge_by_host, registry, registry_in_scope
from egressctl.lab.dataplane.virtual_services import VirtualService
from egressctl.lab.state import Paths


@dataclass(frozen=True, slots=True)
class SidecarConfig:
    """Everything that a sidecar is given, by name, and in `notes` what of the objects it is not, a sentence each."""

    clusters: dict[str, EnvoyResource]
    listeners: dict[str, EnvoyResource]
    routes: dict[str, EnvoyResource] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def build_sidecar_config(objects: IstioManifests, policy: str, workload: Workload, outside: Paths) -> SidecarConfig:
    """Return the configuration of the workload's sidecar under the mesh's `policy` (a key of POLICIES)."""
    entries, sidecars, virtualservices, rules = (objects.get(plural, ()) for plural in PLURALS)
    shown = scope(sidecars, workload, policy)
    public = registry(entries, workload.namespace)
    known = registry_in_scope(public, shown, workload.namespace)
    routes = virtual_services.virtual_services_that_apply(virtualservices, workload, shown)
    context = SidecarContext(workload, POLICIES[shown.policy], public, outside)
    clusters = [*policy_clusters(outside)]
    for service in merge_by_host((*known.services, *_services_behind_routes(routes, known, public, workload))):
        clusters += service_clusters(service, rule_of(service, rules, workload), outside)
    listeners = [virtual_outbound(context), virtual_inbound(outside), *service_listeners(context, known.services, routes)]
    tables = route_configurations(context, known.services, routes)
    notes = (
        *known.notes,
        *shown.notes,
        *envoy_routes.virtual_service_notes(routes),
        *destination_rules.destination_rule_notes(rules),
    )
    return SidecarConfig(resources_by_name(clusters), resources_by_name(listeners), resources_by_name(tables), notes)


def _services_behind_routes(
    routes: Iterable[VirtualService], known: Registry, public: Registry, workload: Workload
) -> Iterable[MeshService]:
    """Return what a Sidecar resource leaves out and a VirtualService leads to: it gets Envoy clusters and no listener."""
    there = {service.host for service in known.services}
    for host in dict.fromkeys(host for each in routes for host in each.hosts_behind() if host not in there):
        found = [service for service in public.services if service.host == host]
        namespaces = {service.namespace for service in found}
        own = workload.namespace if workload.namespace in namespaces else min(namespaces, default="")
        yield from (service for service in found if service.namespace == own)
