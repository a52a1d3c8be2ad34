"""Services and VirtualServices -> filter chains and what they ask of a connection, in the layout that istiod gives them.

After istio's `pilot/pkg/networking/core/tls.go` and `listener.go`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from egressctl.lab.dataplane.istiod_layout import (
    WILDCARD,
    EnvoyResource,
    access_log,
    cluster_proxy,
    envoy_cluster_name,
    extension,
    filter_metadata,
    tcp_proxy,
    typed,
)
from egressctl.lab.dataplane.objects import Workload
from egressctl.lab.dataplane.services import MeshService, PortProtocol, Registry, ServicePort
from egressctl.lab.dataplane.virtual_services import Detour, RouteDestination, VirtualService, tcp_detours, tls_detours
from egressctl.lab.state import Paths
from egressctl.model.blocks import Block


@dataclass(frozen=True, slots=True)
class SidecarContext:
    """What all parts of one sidecar's configuration are made with."""

    workload: Workload
    fallback: str
    """The Envoy cluster of what no ServiceEntry names."""
    public: Registry
    """What its namespace is shown, whatever a Sidecar resource says."""
    outside: Paths

    def envoy_cluster(self, destination: RouteDestination, port: int) -> str:
        """Name a destination's Envoy cluster. One without a port means its service's only one, or else the listener's."""
        target = self.public.of_host(destination.host)
        if destination.port is not None:
            port = destination.port
        elif target and len(target.ports) == 1:
            port = target.ports[0].number
        return envoy_cluster_name(destination.host, port, destination.subset)

    def clusters(self, destinations: Sequence[RouteDestination], port: int) -> EnvoyResource:
        """Return the `cluster`, or the `weighted_clusters`, that these destinations are."""
        named = [(self.envoy_cluster(each, port), each.weight) for each in destinations]
        if len(named) == 1:
            return {"cluster": named[0][0]}
        return {"weighted_clusters": {"clusters": [{"name": name, "weight": weight} for name, weight in named if weight]}}


@dataclass(frozen=True, slots=True)
class Match:
    """What a filter chain asks of a connection; two with the same match are a conflict."""

    networks: frozenset[Block] = frozenset()
    server_names: frozenset[str] = frozenset()
    http: bool = False


def service_chains(
    context: SidecarContext, service: MeshService, port: ServicePort, network: Block | None, named: tuple[VirtualService, ...]
) -> Iterator[tuple[Match, EnvoyResource]]:
    """Yield the chains of a TCP or TLS port at one of the service's addresses: its detours, then its own."""
    alone = network is not None and network.is_one_address
    networks: frozenset[Block] = frozenset((network,)) if network is not None and not alone else frozenset()
    envoy_cluster = context.envoy_cluster(RouteDestination(service.host, "", port.number, 0), port.number)
    itself = _chain(cluster_proxy(envoy_cluster, context.outside))
    if port.speaks is PortProtocol.TLS:
        detours = tuple(tls_detours(named, port.number, context.workload))
        for detour in detours:
            match = Match(frozenset(detour.networks) or networks, frozenset(detour.server_names))
            yield match, _detour_chain(context, detour, port.number)
        if not detours:
            # A listener of an address needs no name to distinguish services.
            yield Match(networks, frozenset() if alone else frozenset((service.host,))), itself
        return
    for detour in tcp_detours(named, port.number, context.workload):
        yield Match(frozenset(detour.networks) or networks), _detour_chain(context, detour, port.number)
        if not detour.networks:
            return
    yield Match(networks), itself


def _detour_chain(context: SidecarContext, detour: Detour, port: int) -> EnvoyResource:
    clusters = context.clusters(detour.destinations, port)
    proxy = tcp_proxy(clusters, clusters.get("cluster", detour.of.name), context.outside)
    return {**_chain(proxy), "metadata": filter_metadata(config=detour.of.config)}


def _chain(network_filter: EnvoyResource) -> EnvoyResource:
    return {"filters": [network_filter], "transport_socket_connect_timeout": "15s"}


def http_chain(port: int, outside: Paths) -> EnvoyResource:
    """Return the chain that speaks HTTP on a port, without `istio.alpn`, unknown to the lab's Envoy (recording http-80)."""
    source = {"path": f"{outside.routes}/{port}.json", "watched_directory": {"path": str(outside.routes)}}
    config_source = {"path_config_source": source, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    request_ids = typed("extensions.request_id.uuid.v3.UuidRequestIdConfig", use_request_id_for_trace_sampling=True)
    http, manager = "filters.http", "filters.network.http_connection_manager"
    return _chain(
        extension(
            manager,
            f"{manager}.v3.HttpConnectionManager",
            stat_prefix=f"outbound_{WILDCARD}_{port};",
            rds={"config_source": config_source, "route_config_name": str(port)},
            http_filters=[
                extension(
                    f"{http}.grpc_stats",
                    f"{http}.grpc_stats.v3.FilterConfig",
                    emit_filter_state=True,
                    stats_for_all_methods=False,
                ),
                extension(f"{http}.fault", f"{http}.fault.v3.HTTPFault"),
                extension(f"{http}.cors", f"{http}.cors.v3.Cors"),
                extension(f"{http}.router", f"{http}.router.v3.Router"),
            ],
            access_log=[access_log(outside)],
            use_remote_address=False,
            proxy_100_continue=True,
            upgrade_configs=[{"upgrade_type": "websocket"}],
            stream_idle_timeout="0s",
            normalize_path=True,
            request_id_extension={"typed_config": request_ids},
            path_with_escaped_slashes_action="KEEP_UNCHANGED",
        )
    )
