"""The Envoy's bootstrap: Istio's admin address, identity and stats filter, and files or an istiod's stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from egressctl.lab.dataplane.istiod_layout import EnvoyResource, extension, outside_source, socket_address, tcp_proxy, typed
from egressctl.lab.dataplane.names import ADMIN_PORT, NAMESPACE, POD, POD_ADDRESS, POD_IPV6, POD_LABELS
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

_ISTIOD = "xds-grpc"
_FOR_ISTIOD: EnvoyResource = {
    "CLUSTER_ID": "Kubernetes",
    "ISTIO_VERSION": "1.32.0",
    "ENVOY_STATUS_PORT": 15021,
    "ENVOY_PROMETHEUS_PORT": 15090,
}
"""What only an istiod wants to know."""


def bootstrap(paths: Paths, istiod: Path | None = None) -> EnvoyResource:
    """Return the bootstrap of the pod's Envoy. Its admin interface listens on 127.0.0.1 inside the pod, as it does with Istio.

    `istiod` is a folder with two unix sockets, as pilot-agent has them: what Envoy is given comes from the istiod behind XDS, in
    place of the lab's files, and what authorities it trusts from SDS.
    """
    connections = "resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
    monitor = extension(
        "resource_monitors.global_downstream_max_connections", connections, max_active_downstream_connections=2147483647
    )
    # By these istiod knows which families a pod has.
    addresses = ",".join((POD_ADDRESS, POD_IPV6) if paths.with_ipv6 else (POD_ADDRESS,))
    about = {"NAME": POD, "NAMESPACE": NAMESPACE, "INSTANCE_IPS": addresses, "LABELS": dict(POD_LABELS)}
    return {
        "node": {
            "id": f"sidecar~{POD_ADDRESS}~{POD}.{NAMESPACE}~{NAMESPACE}.svc.cluster.local",
            "cluster": f"{POD}.{NAMESPACE}",
            "metadata": {**about, "INTERCEPTION_MODE": "REDIRECT", **(_FOR_ISTIOD if istiod else {})},
        },
        "admin": {"address": socket_address("127.0.0.1", ADMIN_PORT)},
        "stats_config": {
            "use_all_default_tags": False,
            "stats_tags": _TAGS,
            "stats_matcher": {"inclusion_list": {"patterns": _VISIBLE_STATS}},
        },
        "layered_runtime": {"layers": [_RUNTIME, {"name": "admin", "admin_layer": {}}]},
        "overload_manager": {"resource_monitors": [monitor]},
        **(_fed_by_istiod(paths) if istiod else {"dynamic_resources": _files(paths)}),
        "static_resources": {
            "clusters": [_admin_cluster(), *(_agent_clusters(istiod) if istiod else ())],
            "listeners": [_admin_listener(paths.admin_socket)],
        },
    }


def _files(paths: Paths) -> EnvoyResource:
    return {"cds_config": _file_source(paths.clusters), "lds_config": _file_source(paths.listeners)}


def _file_source(path: Path) -> EnvoyResource:
    """Envoy takes what is in the file again whenever that is replaced by renaming."""
    source = {"path": str(path), "watched_directory": {"path": str(path.parent)}}
    return {"resource_api_version": "V3", "path_config_source": source, "initial_fetch_timeout": "0s"}


def _fed_by_istiod(paths: Paths) -> EnvoyResource:
    """One stream for everything, as in Istio's own bootstrap; what it leads to is reached in the internet's namespace."""
    stream = {"api_type": "DELTA_GRPC", "transport_api_version": "V3", "set_node_on_first_message_only": True}
    source = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
    return {
        "dynamic_resources": {
            "cds_config": source,
            "lds_config": source,
            "ads_config": {**stream, "grpc_services": [{"envoy_grpc": {"cluster_name": _ISTIOD}}]},
        },
        "cluster_manager": {"upstream_bind_config": outside_source(paths)},
    }


def _agent_clusters(folder: Path) -> Iterator[EnvoyResource]:
    yield _grpc_cluster(_ISTIOD, folder / "XDS")
    yield _grpc_cluster("sds-grpc", folder / "SDS")


def _grpc_cluster(name: str, socket: Path) -> EnvoyResource:
    endpoint = {"endpoint": {"address": {"pipe": {"path": str(socket)}}}}
    http2 = typed("extensions.upstreams.http.v3.HttpProtocolOptions", explicit_http_config={"http2_protocol_options": {}})
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
    }


def _admin_cluster() -> EnvoyResource:
    endpoint = {"endpoint": {"address": socket_address("127.0.0.1", ADMIN_PORT)}}
    return {
        "name": "prometheus_stats",
        "type": "STATIC",
        "connect_timeout": "0.250s",
        "load_assignment": {"cluster_name": "prometheus_stats", "endpoints": [{"lb_endpoints": [endpoint]}]},
        # In the pod's own network namespace, wherever the others connect from.
        "upstream_bind_config": {"source_address": socket_address("127.0.0.1", 0)["socket_address"]},
    }


def _admin_listener(path: Path) -> EnvoyResource:
    """Let the host in by a unix socket: the admin's own address exists in the pod's network namespace only."""
    return {
        "name": "lab_admin",
        "address": {"pipe": {"path": str(path), "mode": 0o600}},
        "filter_chains": [{"filters": [tcp_proxy({"cluster": "prometheus_stats"}, "lab_admin", None)]}],
        "ignore_global_conn_limit": True,
    }
