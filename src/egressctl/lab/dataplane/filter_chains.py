"""Services and VirtualServices -> filter chains and what they ask of a connection, in the layout that istiod gives them.

After istio's `pilot/pkg/networking/core/tls.go` and `listener.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from egressctl.lab.dataplane.istiod_layout import (
    TYPE,
    WILDCARD,
    EnvoyPaths,
    EnvoyResource,
    access_log,
    filter_metadata,
    tcp_proxy,
)
from egressctl.lab.dataplane.objects import Workload
from egressctl.lab.dataplane.services import MeshService, Network, PortProtocol, ServicePort
from egressctl.lab.dataplane.virtual_services import Detour, RouteDestination, VirtualService, tcp_detours, tls_detours

EnvoyClusterNamer = Callable[[RouteDestination, int], str]
"""The Envoy cluster of a destination, seen from a listener's port."""


@dataclass(frozen=True, slots=True)
class Match:
    """What a filter chain asks of a connection; two with the same match are a conflict."""

    networks: frozenset[Network] = frozenset()
    server_names: frozenset[str] = frozenset()
    http: bool = False

    @property
    def everything(self) -> bool:
        return self == Match()


def service_chains(
    service: MeshService,
    port: ServicePort,
    network: Network | None,
    named: tuple[VirtualService, ...],
    workload: Workload,
    envoy_cluster_of: EnvoyClusterNamer,
    outside: EnvoyPaths,
) -> Iterator[tuple[Match, EnvoyResource]]:
    """Yield the chains of a TCP or TLS port at one of the service's addresses: its detours, then its own."""
    alone = network is not None and network.prefixlen == network.max_prefixlen
    networks: frozenset[Network] = frozenset((network,)) if network is not None and not alone else frozenset()
    itself = _chain(
        tcp_proxy(
            {"cluster": (name := envoy_cluster_of(RouteDestination(service.host, "", port.number, 0), port.number))},
            name,
            outside,
        )
    )
    if port.speaks is PortProtocol.TLS:
        detours = tuple(tls_detours(named, port.number, workload))
        for detour in detours:
            match = Match(frozenset(detour.networks) or networks, frozenset(detour.server_names))
            yield match, _detour_chain(detour, port.number, envoy_cluster_of, outside)
        if not detours:
            # A listener of an address needs no name to tell services apart.
            yield Match(networks, frozenset() if alone else frozenset((service.host,))), itself
        return
    for detour in tcp_detours(named, port.number, workload):
        yield Match(frozenset(detour.networks) or networks), _detour_chain(detour, port.number, envoy_cluster_of, outside)
        if not detour.networks:
            return
    yield Match(networks), itself


def _detour_chain(detour: Detour, port: int, envoy_cluster_of: EnvoyClusterNamer, outside: EnvoyPaths) -> EnvoyResource:
    names = [envoy_cluster_of(destination, port) for destination in detour.destinations]
    if len(names) == 1:
        proxy = tcp_proxy({"cluster": names[0]}, names[0], outside)
    else:
        weighted = [
            {"name": name, "weight": destination.weight}
            for name, destination in zip(names, detour.destinations, strict=True)
            if destination.weight
        ]
        proxy = tcp_proxy({"weighted_clusters": {"clusters": weighted}}, detour.name, outside)
    return {**_chain(proxy), "metadata": filter_metadata(config=detour.config)}


def _chain(network_filter: EnvoyResource) -> EnvoyResource:
    return {"filters": [network_filter], "transport_socket_connect_timeout": "15s"}


def http_chain(port: int, outside: EnvoyPaths) -> EnvoyResource:
    """Return the chain that speaks HTTP on a port, without `istio.alpn`, which the lab's Envoy lacks (recording http-80)."""
    source = {"path": f"{outside.routes}/{port}.json", "watched_directory": {"path": outside.routes}}
    http = f"{TYPE}extensions.filters.http."
    return _chain(
        {
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": f"{TYPE}extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": f"outbound_{WILDCARD}_{port};",
                "rds": {
                    "config_source": {
                        "path_config_source": source,
                        "initial_fetch_timeout": "0s",
                        "resource_api_version": "V3",
                    },
                    "route_config_name": str(port),
                },
                "http_filters": [
                    {
                        "name": "envoy.filters.http.grpc_stats",
                        "typed_config": {
                            "@type": f"{http}grpc_stats.v3.FilterConfig",
                            "emit_filter_state": True,
                            "stats_for_all_methods": False,
                        },
                    },
                    {"name": "envoy.filters.http.fault", "typed_config": {"@type": f"{http}fault.v3.HTTPFault"}},
                    {"name": "envoy.filters.http.cors", "typed_config": {"@type": f"{http}cors.v3.Cors"}},
                    {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{http}router.v3.Router"}},
                ],
                "access_log": [access_log(outside.access_log)],
                "use_remote_address": False,
                "proxy_100_continue": True,
                "upgrade_configs": [{"upgrade_type": "websocket"}],
                "stream_idle_timeout": "0s",
                "normalize_path": True,
                "request_id_extension": {
                    "typed_config": {
                        "@type": f"{TYPE}extensions.request_id.uuid.v3.UuidRequestIdConfig",
                        "use_request_id_for_trace_sampling": True,
                    }
                },
                "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
            },
        }
    )
