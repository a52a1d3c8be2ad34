"""Services and VirtualServices -> the sidecar's outbound listeners, in the layout that istiod gives them.

After istio's `pilot/pkg/networking/core/listener.go`: services come in the registry's order, a plain address makes a
listener of its own, blocks share the port's, and of two chains with one match the first stays, in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from egressctl.lab.dataplane.filter_chains import EnvoyClusterNamer, Match, http_chain, service_chains
from egressctl.lab.dataplane.istiod_layout import TYPE, WILDCARD, EnvoyPaths, EnvoyResource, socket_address, tcp_proxy
from egressctl.lab.dataplane.names import INBOUND_PORT, OUTBOUND_PORT
from egressctl.lab.dataplane.objects import Workload
from egressctl.lab.dataplane.services import MeshService, Network, PortProtocol
from egressctl.lab.dataplane.virtual_services import VirtualService, virtual_services_of_host

SILENT_PORTS = frozenset({15021, 15090})
"""Ports of the sidecar's own static listeners: istiod makes no wildcard listener there, and reports no error."""

_MATCH_ALL = "0.0.0.0/0"
_HTTP_INSPECTOR = "envoy.filters.listener.http_inspector"
_TLS_INSPECTOR = "envoy.filters.listener.tls_inspector"

_Chains = dict[Match, EnvoyResource]


def service_listeners(
    services: Iterable[MeshService],
    virtual_services: tuple[VirtualService, ...],
    workload: Workload,
    fallback: str,
    envoy_cluster_of: EnvoyClusterNamer,
    outside: EnvoyPaths,
) -> Iterator[EnvoyResource]:
    """Yield the listeners of all services; `fallback` is the Envoy cluster of what none of them names."""
    own: dict[tuple[Network, int], _Chains] = {}
    shared: dict[int, _Chains] = {}
    for service in services:
        named = virtual_services_of_host(virtual_services, service.host)
        for port in service.ports:
            if port.speaks is PortProtocol.HTTP:
                # HTTP services of one port share a chain, whatever their addresses, and are told apart by their hosts.
                shared.setdefault(port.number, {}).setdefault(Match(http=True), http_chain(port.number, outside))
                continue
            for network in service.networks or (None,):
                alone = network is not None and network.prefixlen == network.max_prefixlen
                chains = own.setdefault((network, port.number), {}) if network and alone else shared.setdefault(port.number, {})
                for match, chain in service_chains(service, port, network, named, workload, envoy_cluster_of, outside):
                    chains.setdefault(match, chain)
    for (network, number), chains in own.items():
        yield _listener(str(network.network_address), number, chains, None)
    for number in sorted(shared.keys() - SILENT_PORTS):
        yield _shared_listener(number, shared[number], fallback, outside)


def _shared_listener(number: int, chains: _Chains, fallback: str, outside: EnvoyPaths) -> EnvoyResource:
    """A chain that matches everything becomes the default chain, unless it is the only one."""
    everything = chains.get(Match())
    if everything and len(chains) == 1:
        return _listener(WILDCARD, number, chains, None)
    rest = {match: chain for match, chain in chains.items() if not match.everything}
    return _listener(WILDCARD, number, rest, everything or _default_chain(fallback, outside))


def _listener(address: str, port: int, chains: _Chains, default: EnvoyResource | None) -> EnvoyResource:
    inspectors: list[EnvoyResource] = []
    if any(match.server_names for match in chains):
        config: EnvoyResource = {
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
        "filter_chains": [_chain_with_match(match, chain) for match, chain in chains.items()],
        **({"default_filter_chain": default} if default else {}),
        **({"listener_filters": inspectors} if inspectors else {}),
        "listener_filters_timeout": "0s",
        "traffic_direction": "OUTBOUND",
        "continue_on_listener_filters_timeout": True,
        "bind_to_port": False,
    }


def _chain_with_match(match: Match, chain: EnvoyResource) -> EnvoyResource:
    if match.everything:
        return chain
    asked: EnvoyResource = {}
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


def _default_chain(fallback: str, outside: EnvoyPaths) -> EnvoyResource:
    filters = [tcp_proxy({"cluster": fallback}, fallback, outside)]
    return {"name": "PassthroughFilterChain", "filter_chain_match": {}, "filters": filters}


def virtual_outbound(fallback: str, outside: EnvoyPaths) -> EnvoyResource:
    """Return the listener that all of the pod's connections arrive at."""
    catch_all = [tcp_proxy({"cluster": fallback}, fallback, outside)]
    return {
        "@type": f"{TYPE}config.listener.v3.Listener",
        "name": "virtualOutbound",
        "address": socket_address(WILDCARD, OUTBOUND_PORT),
        "filter_chains": [
            _blackhole_chain("virtualOutbound-blackhole", OUTBOUND_PORT),
            {"name": "virtualOutbound-catchall-tcp", "filters": catch_all},
        ],
        "use_original_dst": True,
        "traffic_direction": "OUTBOUND",
        "max_connections_to_accept_per_socket_event": 1,
    }


def virtual_inbound() -> EnvoyResource:
    """Hold port 15006, as every sidecar does, so that an entry of that port is rejected as it is on a mesh."""
    return {
        "@type": f"{TYPE}config.listener.v3.Listener",
        "name": "virtualInbound",
        "address": socket_address(WILDCARD, INBOUND_PORT),
        "filter_chains": [_blackhole_chain("virtualInbound-blackhole", INBOUND_PORT)],
        "use_original_dst": True,
        "traffic_direction": "INBOUND",
        "max_connections_to_accept_per_socket_event": 1,
    }


def _blackhole_chain(name: str, port: int) -> EnvoyResource:
    filters = [tcp_proxy({"cluster": "BlackHoleCluster"}, "BlackHoleCluster", None)]
    return {"name": name, "filter_chain_match": {"destination_port": port}, "filters": filters}
