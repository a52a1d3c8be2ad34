"""Services and VirtualServices -> the sidecar's outbound listeners, in the layout that istiod gives them.

After istio's `pilot/pkg/networking/core/listener.go`: services come in the registry's order, a plain address makes a
listener of its own, blocks share the port's, and of two chains with one match the first stays, in silence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from egressctl.lab.dataplane.layout import (
    TYPE,
    WILDCARD,
    Outside,
    Resource,
    access_log,
    istio_metadata,
    socket_address,
    tcp_proxy,
)
from egressctl.lab.dataplane.names import INBOUND_PORT, OUTBOUND_PORT
from egressctl.lab.dataplane.objects import Workload
from egressctl.lab.dataplane.services import Network, Service, ServicePort, Speaks
from egressctl.lab.dataplane.virtual_services import Destination, Detour, VirtualService, of_host, tcp_detours, tls_detours

SILENT_PORTS = frozenset({15021, 15090})
"""Ports of the sidecar's own static listeners: istiod makes no wildcard listener there, and reports no error."""

_MATCH_ALL = "0.0.0.0/0"
_HTTP_INSPECTOR = "envoy.filters.listener.http_inspector"
_TLS_INSPECTOR = "envoy.filters.listener.tls_inspector"

Named = Callable[[Destination, int], str]
"""The Envoy cluster of a destination, seen from a listener's port."""


@dataclass(frozen=True, slots=True)
class _Match:
    """What a filter chain asks of a connection; two with the same match are a conflict."""

    networks: frozenset[Network] = frozenset()
    server_names: frozenset[str] = frozenset()
    http: bool = False

    @property
    def everything(self) -> bool:
        return self == _Match()


_Chains = dict[_Match, Resource]


def service_listeners(
    services: Iterable[Service],
    virtual_services: tuple[VirtualService, ...],
    workload: Workload,
    fallback: str,
    envoy_cluster_of: Named,
    outside: Outside,
) -> Iterator[Resource]:
    """Yield the listeners of all services; `fallback` is the Envoy cluster of what none of them names."""
    own: dict[tuple[Network, int], _Chains] = {}
    shared: dict[int, _Chains] = {}
    for service in services:
        named = of_host(virtual_services, service.host)
        for port in service.ports:
            if port.speaks is Speaks.HTTP:
                # HTTP services of one port share a chain, whatever their addresses, and are told apart by their hosts.
                shared.setdefault(port.number, {}).setdefault(_Match(http=True), _http_chain(port.number, outside))
                continue
            for network in service.networks or (None,):
                alone = network is not None and network.prefixlen == network.max_prefixlen
                chains = own.setdefault((network, port.number), {}) if network and alone else shared.setdefault(port.number, {})
                for match, chain in _service_chains(service, port, network, named, workload, envoy_cluster_of, outside):
                    chains.setdefault(match, chain)
    for (network, number), chains in own.items():
        yield _listener(str(network.network_address), number, chains, None)
    for number in sorted(shared.keys() - SILENT_PORTS):
        yield _shared_listener(number, shared[number], fallback, outside)


def _service_chains(
    service: Service,
    port: ServicePort,
    network: Network | None,
    named: tuple[VirtualService, ...],
    workload: Workload,
    envoy_cluster_of: Named,
    outside: Outside,
) -> Iterator[tuple[_Match, Resource]]:
    """Yield the chains of a TCP or TLS port at one of the service's addresses: its detours, then its own."""
    alone = network is not None and network.prefixlen == network.max_prefixlen
    networks: frozenset[Network] = frozenset((network,)) if network is not None and not alone else frozenset()
    itself = _chain(
        tcp_proxy(
            {"cluster": (name := envoy_cluster_of(Destination(service.host, "", port.number, 0), port.number))}, name, outside
        )
    )
    if port.speaks is Speaks.TLS:
        detours = tuple(tls_detours(named, port.number, workload))
        for detour in detours:
            match = _Match(frozenset(detour.networks) or networks, frozenset(detour.server_names))
            yield match, _detour_chain(detour, port.number, envoy_cluster_of, outside)
        if not detours:
            # A listener of an address needs no name to tell services apart.
            yield _Match(networks, frozenset() if alone else frozenset((service.host,))), itself
        return
    for detour in tcp_detours(named, port.number, workload):
        yield _Match(frozenset(detour.networks) or networks), _detour_chain(detour, port.number, envoy_cluster_of, outside)
        if not detour.networks:
            return
    yield _Match(networks), itself


def _detour_chain(detour: Detour, port: int, envoy_cluster_of: Named, outside: Outside) -> Resource:
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
    return {**_chain(proxy), "metadata": istio_metadata(config=detour.config)}


def _chain(network_filter: Resource) -> Resource:
    return {"filters": [network_filter], "transport_socket_connect_timeout": "15s"}


def _http_chain(port: int, outside: Outside) -> Resource:
    """Without `istio.alpn`, which no Envoy of the lab has: as in recording http-80."""
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


def _shared_listener(number: int, chains: _Chains, fallback: str, outside: Outside) -> Resource:
    """A chain that matches everything becomes the default chain, unless it is the only one."""
    everything = chains.get(_Match())
    if everything and len(chains) == 1:
        return _listener(WILDCARD, number, chains, None)
    rest = {match: chain for match, chain in chains.items() if not match.everything}
    return _listener(WILDCARD, number, rest, everything or _default_chain(fallback, outside))


def _listener(address: str, port: int, chains: _Chains, default: Resource | None) -> Resource:
    inspectors: list[Resource] = []
    if any(match.server_names for match in chains):
        config: Resource = {
            "@type": f"{TYPE}extensions.filters.listener.tls_inspector.v3.TlsInspector",
            "initial_read_buffer_size": 512,
        }
        inspectors.append({"name": _TLS_INSPECTOR, "typed_config": config})
    if any(match.http for match in chains):
        config = {"@type": f"{TYPE}extensions.filters.listener.http_inspector.v3.HttpInspector"}
        inspectors.append({"name": _HTTP_INSPECTOR, "typed_config": config})
    return {
        "@type": f"{TYPE}config.listener.v3.Listener",
        "name": f"{address}_{port}",
        "address": socket_address(address, port),
        "filter_chains": [_matched(match, chain) for match, chain in chains.items()],
        **({"default_filter_chain": default} if default else {}),
        **({"listener_filters": inspectors} if inspectors else {}),
        "listener_filters_timeout": "0s",
        "traffic_direction": "OUTBOUND",
        "continue_on_listener_filters_timeout": True,
        "bind_to_port": False,
    }


def _matched(match: _Match, chain: Resource) -> Resource:
    if match.everything:
        return chain
    asked: Resource = {}
    networks = sorted((network for network in match.networks if str(network) != _MATCH_ALL), key=str)
    if networks:
        asked["prefix_ranges"] = [
            {"address_prefix": str(network.network_address), "prefix_len": network.prefixlen} for network in networks
        ]
    if match.server_names:
        asked["server_names"] = sorted(match.server_names)
    if match.http:
        asked |= {"transport_protocol": "raw_buffer", "application_protocols": ["http/1.1", "h2c"]}
    return {"filter_chain_match": asked, **chain}


def _default_chain(fallback: str, outside: Outside) -> Resource:
    filters = [tcp_proxy({"cluster": fallback}, fallback, outside)]
    return {"name": "PassthroughFilterChain", "filter_chain_match": {}, "filters": filters}


def virtual_outbound(fallback: str, outside: Outside) -> Resource:
    """Return the listener that all of the pod's connections arrive at."""
    catch_all = [tcp_proxy({"cluster": fallback}, fallback, outside)]
    return {
        "@type": f"{TYPE}config.listener.v3.Listener",
        "name": "virtualOutbound",
        "address": socket_address(WILDCARD, OUTBOUND_PORT),
        "filter_chains": [
            _guard("virtualOutbound-blackhole", OUTBOUND_PORT),
            {"name": "virtualOutbound-catchall-tcp", "filters": catch_all},
        ],
        "use_original_dst": True,
        "traffic_direction": "OUTBOUND",
        "max_connections_to_accept_per_socket_event": 1,
    }


def virtual_inbound() -> Resource:
    """Hold port 15006, as every sidecar does, so that an entry of that port is rejected as it is on a mesh."""
    return {
        "@type": f"{TYPE}config.listener.v3.Listener",
        "name": "virtualInbound",
        "address": socket_address(WILDCARD, INBOUND_PORT),
        "filter_chains": [_guard("virtualInbound-blackhole", INBOUND_PORT)],
        "use_original_dst": True,
        "traffic_direction": "INBOUND",
        "max_connections_to_accept_per_socket_event": 1,
    }


def _guard(name: str, port: int) -> Resource:
    filters = [tcp_proxy({"cluster": "BlackHoleCluster"}, "BlackHoleCluster", None)]
    return {"name": name, "filter_chain_match": {"destination_port": port}, "filters": filters}
