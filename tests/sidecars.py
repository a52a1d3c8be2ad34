"""Sidecars written by hand: the dump of one with these listeners, filter chains and routes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from egressctl.envoy.config import ProxyConfig
from egressctl.envoy.dump import parse_config
from egressctl.lab.dataplane.envoy_config import SidecarConfig

_EXTENSIONS = "type.googleapis.com/envoy.extensions.filters"
TLS_INSPECTOR = {"name": "tls", "typed_config": {"@type": f"{_EXTENSIONS}.listener.tls_inspector.v3.TlsInspector"}}
HTTP_INSPECTOR = {"name": "http", "typed_config": {"@type": f"{_EXTENSIONS}.listener.http_inspector.v3.HttpInspector"}}
ROUTER = {"name": "router", "typed_config": {"@type": f"{_EXTENSIONS}.http.router.v3.Router"}}
FAULT = {"name": "fault", "typed_config": {"@type": f"{_EXTENSIONS}.http.fault.v3.HTTPFault"}}
ABORT = {"name": "fault", "typed_config": {"@type": f"{_EXTENSIONS}.http.fault.v3.HTTPFault", "abort": {}}}
BOTH = (TLS_INSPECTOR, HTTP_INSPECTOR)


def matched(end: dict[str, Any], *blocks: str, port: int = 0, **more: object) -> dict[str, Any]:
    """Return a filter chain of one filter, which matches these blocks and more."""
    match: dict[str, Any] = {"destination_port": port} if port else {}
    ranges = [block.split("/") for block in blocks]
    if ranges:
        match["prefix_ranges"] = [{"address_prefix": address, "prefix_len": int(length)} for address, length in ranges]
    return {"filter_chain_match": {**match, **more}, "filters": [{"name": "end", "typed_config": end}]}


def chain(envoy_cluster: str, *blocks: str, port: int = 0, **more: object) -> dict[str, Any]:
    """Return a filter chain that leads to an Envoy cluster."""
    proxy = {"@type": f"{_EXTENSIONS}.network.tcp_proxy.v3.TcpProxy", "cluster": envoy_cluster}
    return matched(proxy, *blocks, port=port, **more)


def weighted_chain(**weights: int) -> dict[str, Any]:
    """Return a filter chain that leads to Envoy clusters by weight."""
    clusters = [{"name": name, **({"weight": weight} if weight else {})} for name, weight in weights.items()]
    return matched({"@type": f"{_EXTENSIONS}.network.tcp_proxy.v3.TcpProxy", "weighted_clusters": {"clusters": clusters}})


def http_chain(*hosts: dict[str, Any], match: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return a filter chain that speaks HTTP, with routes of its own called `80`; `more` are fields of its manager."""
    manager = {
        "@type": f"{_EXTENSIONS}.network.http_connection_manager.v3.HttpConnectionManager",
        "route_config": {"name": "80", "virtual_hosts": list(hosts)},
        "http_filters": [ROUTER],
    }
    return matched({key: each for key, each in {**manager, **more}.items() if each is not None}, **(match or {}))


def host(name: str, *routes: dict[str, Any], domains: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    """Return a virtual host, for its name where no other domains are given, with one route to its name where none is."""
    return {"name": name, "domains": list(domains) or [name], "routes": list(routes) or [route(name)], **more}


def route(envoy_cluster: str = "", match: Mapping[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """Return a route to an Envoy cluster, of every path where nothing else is given."""
    led = {"route": {"cluster": envoy_cluster}} if envoy_cluster else {}
    return {"match": dict(match if match is not None else {"prefix": "/"}), **led, **more}


def dump(
    listeners: Mapping[str, Sequence[dict[str, Any]]],
    default: dict[str, Any] | None = None,
    filters: Sequence[Mapping[str, Any]] = (),
    **more: Any,
) -> dict[str, Any]:
    """Return the dump of a sidecar under REGISTRY_ONLY with listeners `ADDRESS_PORT`, all with this default filter chain."""
    active: list[dict[str, Any]] = [{
        "name": "virtualOutbound",
        "address": {"socket_address": {"address": "0.0.0.0", "port_value": 15001}},
        "use_original_dst": True,
        "traffic_direction": "OUTBOUND",
        "filter_chains": [chain("BlackHoleCluster") | {"name": "virtualOutbound-catchall-tcp"}],
    }]  # fmt: skip
    for name, chains in listeners.items():
        address, _, port = name.rpartition("_")
        active.append({
            "name": name,
            "address": {"socket_address": {"address": address, "port_value": int(port), **more}},
            "bind_to_port": False,
            "traffic_direction": "OUTBOUND",
            "listener_filters": list(filters),
            "filter_chains": list(chains),
            **({"default_filter_chain": default} if default else {}),
        })  # fmt: skip
    kind = "type.googleapis.com/envoy.admin.v3.ListenersConfigDump"
    states = [{"name": each["name"], "active_state": {"listener": each}} for each in active]
    return {"configs": [{"@type": kind, "dynamic_listeners": states}]}


def sidecar(
    listeners: Mapping[str, Sequence[dict[str, Any]]],
    default: dict[str, Any] | None = None,
    filters: Sequence[Mapping[str, Any]] = (),
    **more: Any,
) -> ProxyConfig:
    """Read the dump of such a sidecar."""
    return parse_config(json.dumps(dump(listeners, default, filters, **more)))


def as_dump(found: SidecarConfig) -> str:
    """Write what the lab gives its sidecar as a config_dump of an Envoy that has it."""
    parts: dict[str, dict[str, Any]] = {
        "ListenersConfigDump": {
            "dynamic_listeners": [
                {"name": name, "active_state": {"version_info": "1", "listener": listener}}
                for name, listener in found.listeners.items()
            ]
        },
        "ClustersConfigDump": {"dynamic_active_clusters": [{"cluster": cluster} for cluster in found.clusters.values()]},
        "RoutesConfigDump": {"dynamic_route_configs": [{"route_config": route} for route in found.routes.values()]},
    }
    return json.dumps(
        {"configs": [{"@type": f"type.googleapis.com/envoy.admin.v3.{kind}", **part} for kind, part in parts.items()]}
    )
