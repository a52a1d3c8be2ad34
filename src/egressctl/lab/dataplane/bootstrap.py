"""The Envoy's bootstrap: Istio's admin address, identity and stats filter, and files in place of istiod's stream."""

from __future__ import annotations

from pathlib import Path

from egressctl.lab.dataplane.istiod_layout import EnvoyResource, extension, socket_address, tcp_proxy
from egressctl.lab.dataplane.names import ADMIN_PORT, NAMESPACE, POD, POD_ADDRESS, POD_LABELS
from egressctl.lab.state import Paths

_VISIBLE_STATS: list[EnvoyResource] = [
    *(
        {"prefix": prefix}
        for prefix in ("reporter=", "cluster_manager", "listener_manager", "server", "cluster.xds-grpc", "wasm")
    ),
    *({"suffix": suffix} for suffix in ("rbac.allowed", "rbac.denied", "shadow_allowed", "shadow_denied")),
    {"safe_regex": {"regex": r"vhost\..*\.route\..*"}},
    *({"prefix": prefix} for prefix in ("component", "istio")),
]
"""Istio's own inclusion list. `cluster.*` and `tcp.*` are not in it, so that the lab shows nothing that no mesh shows."""

# As Istio's own bootstrap: Envoy's own limit of 100 refuses to look for more than a few names at a time.
_RUNTIME = {"name": "global config", "static_layer": {"re2.max_program_size.error_level": "32768"}}
_TAGS = [
    {"tag_name": "cluster_name", "regex": r"^cluster(\.(.+);)"},
    {"tag_name": "tcp_prefix", "regex": r"^tcp\.((.*?)\.)\w+?$"},
]


def bootstrap(paths: Paths) -> EnvoyResource:
    """Return the bootstrap of the pod's Envoy. Its admin interface listens on 127.0.0.1 inside the pod, as it does with Istio."""
    connections = "resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    monitor = extension(
        "resource_monitors.global_downstream_max_connections", connections, max_active_downstream_connections=2147483647
    )
    about = {"NAME": POD, "NAMESPACE": NAMESPACE, "INSTANCE_IPS": POD_ADDRESS, "LABELS": dict(POD_LABELS)}
    return {
        "node": {
            "id": f"sidecar~{POD_ADDRESS}~{POD}.{NAMESPACE}~{NAMESPACE}.svc.cluster.local",
            "cluster": f"{POD}.{NAMESPACE}",
            "metadata": {**about, "INTERCEPTION_MODE": "REDIRECT"},
        },
        "admin": {"address": socket_address("127.0.0.1", ADMIN_PORT)},
        "stats_config": {
            "use_all_default_tags": False,
            "stats_tags": _TAGS,
            "stats_matcher": {"inclusion_list": {"patterns": _VISIBLE_STATS}},
        },
        "layered_runtime": {"layers": [_RUNTIME, {"name": "admin", "admin_layer": {}}]},
        "overload_manager": {"resource_monitors": [monitor]},
        "dynamic_resources": {"cds_config": _file_source(paths.clusters), "lds_config": _file_source(paths.listeners)},
        "static_resources": {"clusters": [_admin_cluster()], "listeners": [_admin_listener(paths.admin_socket)]},
    }


def _file_source(path: Path) -> EnvoyResource:
    """Envoy takes what is in the file anew whenever that is replaced by renaming."""
    source = {"path": str(path), "watched_directory": {"path": str(path.parent)}}
    return {"resource_api_version": "V3", "path_config_source": source, "initial_fetch_timeout": "0s"}


def _admin_cluster() -> EnvoyResource:
    endpoint = {"endpoint": {"address": socket_address("127.0.0.1", ADMIN_PORT)}}
    return {
        "name": "prometheus_stats",
        "type": "STATIC",
        "connect_timeout": "0.250s",
        "load_assignment": {"cluster_name": "prometheus_stats", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _admin_listener(path: Path) -> EnvoyResource:
    """Let the host in by a unix socket: the admin's own address exists in the pod's network namespace only."""
    return {
        "name": "lab_admin",
        "address": {"pipe": {"path": str(path), "mode": 0o600}},
        "filter_chains": [{"filters": [tcp_proxy({"cluster": "prometheus_stats"}, "lab_admin", None)]}],
        "ignore_global_conn_limit": True,
    }
