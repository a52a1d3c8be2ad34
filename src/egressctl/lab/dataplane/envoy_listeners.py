"""Services and VirtualServices -> the sidecar's outbound listeners, in the layout that istiod gives them.

After istio's `pilot/pkg/networking/core/listener.go`: services come in the registry's order, a plain address makes a
listener of its own, blocks share the port's, and of two chains with one match the first stays, in silence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from egressctl.lab.dataplane.filter_chains import Match, SidecarContext, http_chain, service_chains
from egressctl.lab.dataplane.istiod_layout import (
    WILDCARD,
    EnvoyResource,
    cluster_proxy,
    extension,
    more_wildcards,
    socket_address,
    typed,
)
from egressctl.lab.dataplane.names import INBOUND_PORT, OUTBOUND_PORT
from egressctl.lab.dataplane.services import MeshService, PortProtocol
from egressctl.lab.dataplane.virtual_services import VirtualService, virtual_services_of_host
from egressctl.lab.state import Paths
from egressctl.model.blocks import Block

SILENT_PORTS = frozenset({15021, 15090})
"""Ports of the sidecar's own static listeners: istiod makes no wildcard listener there, and reports no error."""

_MATCH_ALL = "0.0.0.0/0"

_Chains = dict[Match, EnvoyResource]


def service_listeners(
    context: SidecarContext, services: Iterable[MeshService], virtual_services: tuple[VirtualService, ...]
) -> Iterator[EnvoyResource]:
    """Yield the listeners of all services."""
    own: dict[tuple[Block, int], _Chains] = {}
    shared: dict[int, _Chains] = {}
    for service in services:
        named = virtual_services_of_host(virtual_services, service.host)
        for port in service.ports:
            if port.speaks is PortProtocol.HTTP:
                # HTTP services of one port share a chain, whatever their addresses, and are distinguished by their hosts.
                shared.setdefault(port.number, {}).setdefault(Match(http=True), http_chain(port.number, context.outside))
                continue
            for network in service.networks or (None,):
                alone = network is not None and network.is_one_address
                chains = own.setdefault((network, port.number), {}) if network and alone else shared.setdefault(port.number, {})
                for match, chain in service_chains(context, service, port, network, named):
                    chains.setdefault(match, chain)
    for (network, number), chains in own.items():
        yield _listener(context, network.address, number, chains, None)
    for number in sorted(shared.keys() - SILENT_PORTS):
        chains = shared[number]
        if len(chains) == 1 and Match() in chains:
            yield _listener(context, WILDCARD, number, chains, None)
            continue
        # A chain that matches everything becomes the default chain, unless it is the only one.
        default = chains.pop(Match(), None) or {
            "name": "PassthroughFilterChain",
            "filter_chain_match": {},
            "filters": [cluster_proxy(context.fallback, context.outside)],
        }
        yield _listener(context, WILDCARD, number, chains, default)


def _listener(context: SidecarContext, address: str, port: int, chains: _Chains, default: EnvoyResource | None) -> EnvoyResource:
    inspectors: list[EnvoyResource] = []
    if any(match.server_names for match in chains):
        tls = "filters.listener.tls_inspector"
        inspectors.append(extension(tls, f"{tls}.v3.TlsInspector", initial_read_buffer_size=512))
    if any(match.http for match in chains):
        http = "filters.listener.http_inspector"
        inspectors.append(extension(http, f"{http}.v3.HttpInspector"))
    return typed(
        "config.listener.v3.Listener",
        name=f"{address}_{port}",
        address=socket_address(address, port),
        **(more_wildcards(port, context.outside) if address == WILDCARD else {}),
        filter_chains=[_chain_with_match(match, chain) for match, chain in chains.items()],
        **({"default_filter_chain": default} if default else {}),
        **({"listener_filters": inspectors} if inspectors else {}),
        listener_filters_timeout="0s",
        traffic_direction="OUTBOUND",
        continue_on_listener_filters_timeout=True,
        bind_to_port=False,
    )


def _chain_with_match(match: Match, chain: EnvoyResource) -> EnvoyResource:
    if match == Match():
        return chain
    asked: EnvoyResource = {}
    networks = sorted((network for network in match.networks if str(network) != _MATCH_ALL), key=str)
    if networks:
        asked["prefix_ranges"] = [{"address_prefix": network.address, "prefix_len": network.length} for network in networks]
    if match.server_names:
        asked["server_names"] = sorted(match.server_names)
    if match.http:
        asked |= {"transport_protocol": "raw_buffer", "application_protocols": ["http/1.1", "h2c"]}
    return {"filter_chain_match": asked, **chain}


def virtual_outbound(context: SidecarContext) -> EnvoyResource:
    """Return the listener that all of the pod's connections arrive at."""
    catch_all = {"name": "virtualOutbound-catchall-tcp", "filters": [cluster_proxy(context.fallback, context.outside)]}
    return _entrance(context.outside, "virtualOutbound", OUTBOUND_PORT, "OUTBOUND", catch_all)


def virtual_inbound(outside: Paths) -> EnvoyResource:
    """Hold port 15006, as every sidecar does, so that an entry of that port is rejected as it is on a mesh."""
    return _entrance(outside, "virtualInbound", INBOUND_PORT, "INBOUND")


def _entrance(outside: Paths, name: str, port: int, direction: str, *chains: EnvoyResource) -> EnvoyResource:
    blackhole = {
        "name": f"{name}-blackhole",
        "filter_chain_match": {"destination_port": port},
        "filters": [cluster_proxy("BlackHoleCluster", None)],
    }
    return typed(
        "config.listener.v3.Listener",
        name=name,
        address=socket_address(WILDCARD, port),
        **more_wildcards(port, outside),
        filter_chains=[blackhole, *chains],
        use_original_dst=True,
        traffic_direction=direction,
        max_connections_to_accept_per_socket_event=1,
    )
