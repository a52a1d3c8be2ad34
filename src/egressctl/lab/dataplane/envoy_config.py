"""ServiceEntries -> the sidecar's Envoy listeners and Envoy clusters, in the layout that istiod gives them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from egressctl.lab.dataplane.names import INBOUND_PORT, OUTBOUND_PORT, POLICIES
from egressctl.lab.dataplane.services import Network, Service, ServicePort, registry
from egressctl.model import Manifest

SILENT_PORTS = frozenset({15021, 15090})
"""Ports of the sidecar's own static listeners: istiod makes no wildcard listener there, and reports no error."""

ACCESS_LOG_FORMAT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% '
    '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% '
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)
"""Istio's own, `meshConfig.accessLogFormat` unset."""

Resource = dict[str, Any]
TYPE = "type.googleapis.com/envoy."
_UNLIMITED = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), 4294967295)
_WILDCARD, _MATCH_ALL = "0.0.0.0", "0.0.0.0/0"  # noqa: S104 - Istio's own wildcard address


@dataclass(frozen=True, slots=True)
class Outside:
    """Where the sidecar's upstream connections are bound, and where it logs; both are paths in the lab's folder."""

    namespace: str
    access_log: str


@dataclass(frozen=True, slots=True)
class Resources:
    """Everything that a sidecar is given, by name, and in `notes` what of the ServiceEntries it is not, a sentence each."""

    clusters: dict[str, Resource]
    listeners: dict[str, Resource]
    notes: tuple[str, ...] = ()


def resources(entries: Iterable[Manifest], policy: str, namespace: str, outside: Outside) -> Resources:
    """Return the configuration of a sidecar in `namespace` under `policy` (a key of POLICIES)."""
    known = registry(entries, namespace)
    clusters = [_base("BlackHoleCluster", "STATIC"), _original_dst("PassthroughCluster", outside)]
    clusters += [_outbound(service, port, outside) for service in known.services for port in service.ports]
    listeners = [_virtual_outbound(POLICIES[policy], outside), _virtual_inbound()]
    listeners += _service_listeners(known.services, POLICIES[policy], outside)
    return Resources(_named(clusters), _named(listeners), known.notes)


def _named(items: Iterable[Resource]) -> dict[str, Resource]:
    named: dict[str, Resource] = {}
    for item in items:
        named.setdefault(item["name"], item)
    return named


def _envoy_cluster(host: str, port: int) -> str:
    return f"outbound|{port}||{host}"


def _service_listeners(services: Iterable[Service], fallback: str, outside: Outside) -> Iterable[Resource]:
    """First come, first served: of two services that claim one block and port, the later one loses it in silence."""
    own: dict[tuple[Network, int], Resource] = {}
    blocks: dict[int, dict[Network, Resource]] = {}
    whole: dict[int, Resource] = {}
    for service in services:
        for port in service.ports:
            number, chain = port.number, _chain(_envoy_cluster(service.host, port.number), outside)
            if not service.networks:
                whole.setdefault(number, chain)
            for network in service.networks:
                if network.prefixlen == network.max_prefixlen:
                    own.setdefault((network, number), chain)
                else:
                    blocks.setdefault(number, {}).setdefault(network, {"filter_chain_match": _match(network), **chain})
    for (network, number), chain in own.items():
        yield _listener(str(network.network_address), number, [chain])
    for number in sorted((blocks.keys() | whole.keys()) - SILENT_PORTS):
        chains = list(blocks.get(number, {}).values())
        if not chains:
            yield _listener(_WILDCARD, number, [whole[number]])
        else:
            yield _listener(_WILDCARD, number, chains, whole.get(number) or _default_chain(fallback, outside))


def _match(network: Network) -> Resource:
    if str(network) == _MATCH_ALL:
        return {}
    return {"prefix_ranges": [{"address_prefix": str(network.network_address), "prefix_len": network.prefixlen}]}


def _listener(address: str, port: int, chains: list[Resource], default: Resource | None = None) -> Resource:
    return {
        "@type": f"{TYPE}config.listener.v3.Listener",
        "name": f"{address}_{port}",
        "address": _socket_address(address, port),
        "filter_chains": chains,
        **({"default_filter_chain": default} if default else {}),
        "listener_filters_timeout": "0s",
        "traffic_direction": "OUTBOUND",
        "continue_on_listener_filters_timeout": True,
        "bind_to_port": False,
    }


def _virtual_outbound(fallback: str, outside: Outside) -> Resource:
    return {
        "@type": f"{TYPE}config.listener.v3.Listener",
        "name": "virtualOutbound",
        "address": _socket_address(_WILDCARD, OUTBOUND_PORT),
        "filter_chains": [
            _guard("virtualOutbound-blackhole", OUTBOUND_PORT),
            {"name": "virtualOutbound-catchall-tcp", "filters": [_tcp_proxy(fallback, outside)]},
        ],
        "use_original_dst": True,
        "traffic_direction": "OUTBOUND",
        "max_connections_to_accept_per_socket_event": 1,
    }


def _virtual_inbound() -> Resource:
    """Hold port 15006, as every sidecar does, so that an entry of that port is rejected as it is on a mesh."""
    return {
        "@type": f"{TYPE}config.listener.v3.Listener",
        "name": "virtualInbound",
        "address": _socket_address(_WILDCARD, INBOUND_PORT),
        "filter_chains": [_guard("virtualInbound-blackhole", INBOUND_PORT)],
        "use_original_dst": True,
        "traffic_direction": "INBOUND",
        "max_connections_to_accept_per_socket_event": 1,
    }


def _guard(name: str, port: int) -> Resource:
    return {"name": name, "filter_chain_match": {"destination_port": port}, "filters": [_tcp_proxy("BlackHoleCluster", None)]}


def _chain(envoy_cluster: str, outside: Outside) -> Resource:
    return {"filters": [_tcp_proxy(envoy_cluster, outside)], "transport_socket_connect_timeout": "15s"}


def _default_chain(fallback: str, outside: Outside) -> Resource:
    return {"name": "PassthroughFilterChain", "filter_chain_match": {}, "filters": [_tcp_proxy(fallback, outside)]}


def _tcp_proxy(envoy_cluster: str, outside: Outside | None) -> Resource:
    config: Resource = {
        "@type": f"{TYPE}extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": envoy_cluster,
        "cluster": envoy_cluster,
    }
    if outside:
        config["access_log"] = [access_log(outside.access_log)]
    return {"name": "envoy.filters.network.tcp_proxy", "typed_config": config}


def access_log(path: str) -> Resource:
    """Return an access log in Istio's format that goes to the file at `path`."""
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": f"{TYPE}extensions.access_loggers.file.v3.FileAccessLog",
            "path": path,
            "log_format": {"text_format_source": {"inline_string": ACCESS_LOG_FORMAT}},
        },
    }


def _socket_address(address: str, port: int) -> Resource:
    return {"socket_address": {"address": address, "port_value": port}}


def _original_dst(name: str, outside: Outside) -> Resource:
    return {**_base(name, "ORIGINAL_DST"), "lb_policy": "CLUSTER_PROVIDED", **_upstream(outside)}


def _outbound(service: Service, port: ServicePort, outside: Outside) -> Resource:
    name = _envoy_cluster(service.host, port.number)
    about = {"services": [{"host": service.host, "name": service.host, "namespace": service.namespace}], "external": True}
    head = _static(name, port, outside) if port.static else _original_dst(name, outside)
    return {
        **head,
        "metadata": {"filter_metadata": {"istio": about}},
        "common_lb_config": {"healthy_panic_threshold": {}},
    }


def _static(name: str, port: ServicePort, outside: Outside) -> Resource:
    """istiod sends the endpoints by EDS; here they are part of the Envoy cluster, to the same effect."""
    hosts = [{"endpoint": {"address": _socket_address(endpoint.address, endpoint.port)}} for endpoint in port.endpoints]
    return {
        **_base(name, "STATIC"),
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": hosts}] if hosts else []},
        **_upstream(outside),
    }


def _base(name: str, kind: str) -> Resource:
    return {
        "@type": f"{TYPE}config.cluster.v3.Cluster",
        "name": name,
        "type": kind,
        "connect_timeout": "10s",
        "alt_stat_name": f"{name};",
    }


def _upstream(outside: Outside) -> Resource:
    """Bind upstream connections in the internet's network namespace: Envoy is the only way from the pod to there."""
    source = {"address": _WILDCARD, "port_value": 0, "network_namespace_filepath": outside.namespace}
    return {"circuit_breakers": {"thresholds": [_UNLIMITED]}, "upstream_bind_config": {"source_address": source}}
