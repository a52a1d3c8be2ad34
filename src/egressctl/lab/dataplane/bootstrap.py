"""The Envoy's bootstrap: Istio's admin address, identity and stats filter, and files in place of istiod's stream."""

from __future__ import annotations

from typing import Any

from egressctl.lab.dataplane.istiod_layout import TYPE
from egressctl.lab.dataplane.names import ADMIN_PORT, NAMESPACE, POD, POD_ADDRESS, POD_LABELS

_VISIBLE_STATS: list[dict[str, Any]] = [
    *(
        {"prefix": prefix}
        for prefix in ("reporter=", "cluster_manager", "listener_manager", "server", "cluster.xds-grpc", "wasm")
    ),
    *({"suffix": suffix} for suffix in ("rbac.allowed", "rbac.denied", "shadow_allowed", "shadow_denied")),
    {"safe_regex": {"regex": r"vhost\..*\.route\..*"}},
    *({"prefix": prefix} for prefix in ("component", "istio")),
]
"""Istio's own inclusion list. `cluster.*` and `tcp.*` are not in it, so that the lab shows nothing that no mesh shows."""


def bootstrap(*, clusters_file: str, listeners_file: str, admin_socket: str) -> dict[str, Any]:
    """Return the bootstrap of the pod's Envoy.

    The two files hold its Envoy clusters and listeners and are replaced by renaming. `admin_socket` is a
    unix socket (107 bytes at most) by which the host reaches the admin interface, which itself listens on
    127.0.0.1 inside the pod, as it does with Istio.
    """
    return {
        "node": {
            "id": f"sidecar~{POD_ADDRESS}~{POD}.{NAMESPACE}~{NAMESPACE}.svc.cluster.local",
            "cluster": f"{POD}.{NAMESPACE}",
            "metadata": {
                "NAME": POD,
                "NAMESPACE": NAMESPACE,
                "INSTANCE_IPS": POD_ADDRESS,
                "LABELS": dict(POD_LABELS),
                "INTERCEPTION_MODE": "REDIRECT",
            },
        },
        "admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": ADMIN_PORT}}},
        "stats_config": {
            "use_all_default_tags": False,
            "stats_tags": [
                {"tag_name": "cluster_name", "regex": r"^cluster(\.(.+);)"},
                {"tag_name": "tcp_prefix", "regex": r"^tcp\.((.*?)\.)\w+?$"},
            ],
            "stats_matcher": {"inclusion_list": {"patterns": _VISIBLE_STATS}},
        },
        # As Istio's own bootstrap: Envoy's own limit of 100 refuses to look for more than a few names at a time.
        "layered_runtime": {
            "layers": [
                {"name": "global config", "static_layer": {"re2.max_program_size.error_level": "32768"}},
                {"name": "admin", "admin_layer": {}},
            ]
        },
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": f"{TYPE}extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                        "max_active_downstream_connections": 2147483647,
                    },
                }
            ]
        },
        "dynamic_resources": {"cds_config": _file_source(clusters_file), "lds_config": _file_source(listeners_file)},
        "static_resources": {"clusters": [_admin_cluster()], "listeners": [_admin_listener(admin_socket)]},
    }


def _file_source(path: str) -> dict[str, Any]:
    source = {"path": path, "watched_directory": {"path": path.rpartition("/")[0]}}
    return {"resource_api_version": "V3", "path_config_source": source, "initial_fetch_timeout": "0s"}


def _admin_cluster() -> dict[str, Any]:
    endpoint = {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": ADMIN_PORT}}}}
    return {
        "name": "prometheus_stats",
        "type": "STATIC",
        "connect_timeout": "0.250s",
        "load_assignment": {"cluster_name": "prometheus_stats", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _admin_listener(path: str) -> dict[str, Any]:
    """Let the host in by a unix socket: the admin's own address exists in the pod's network namespace only."""
    proxy = {
        "@type": f"{TYPE}extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "lab_admin",
        "cluster": "prometheus_stats",
    }
    return {
        "name": "lab_admin",
        "address": {"pipe": {"path": path, "mode": 0o600}},
        "filter_chains": [{"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy}]}],
        "ignore_global_conn_limit": True,
    }
