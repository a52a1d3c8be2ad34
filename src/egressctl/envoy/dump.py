"""Read a sidecar's config_dump: its listeners with their filter chains, and its Envoy clusters.

Only what is in force is read: `active_state`, not what is draining or warming.
Source: envoy/admin/v3/config_dump_shared.proto, envoy/config/listener/v3/listener_components.proto.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from egressctl.envoy.admin import as_address, as_address_number, as_flag, as_list, as_number, as_object, as_text, read_json
from egressctl.envoy.config import (
    Block,
    EnvoyCluster,
    FilterChain,
    Listener,
    ListenerVersion,
    ProxyConfig,
    Service,
    Versions,
)
from egressctl.errors import ProxyUnreadable

_ADMIN = "type.googleapis.com/envoy.admin.v3."
_TCP_PROXY = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
_TYPED_STRUCTS = {"type.googleapis.com/udpa.type.v1.TypedStruct", "type.googleapis.com/xds.type.v3.TypedStruct"}

# Network filters that watch a connection and never divert it.
_OBSERVERS = {
    "type.googleapis.com/stats.PluginConfig",
    "type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange",
}
# Listener filters that change neither the destination nor the filter chain of one that looks at addresses only.
_LISTENER_FILTERS = {
    "type.googleapis.com/envoy.extensions.filters.listener.original_dst.v3.OriginalDst",
    "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
    "type.googleapis.com/envoy.extensions.filters.listener.http_inspector.v3.HttpInspector",
}
# Fields that do not decide which filter chain, or which Envoy cluster, takes a connection, and those that are read.
_LISTENER_FIELDS = {
    "@type", "name", "address", "additional_addresses", "stat_prefix", "filter_chains", "default_filter_chain",
    "use_original_dst", "bind_to_port", "traffic_direction", "listener_filters", "listener_filters_timeout",
    "continue_on_listener_filters_timeout", "per_connection_buffer_limit_bytes", "metadata", "drain_type", "transparent",
    "freebind", "socket_options", "tcp_fast_open_queue_length", "connection_balance_config", "reuse_port",
    "enable_reuse_port", "access_log", "tcp_backlog_size", "max_connections_to_accept_per_socket_event", "enable_mptcp",
    "ignore_global_conn_limit", "bypass_overload_manager",
}  # fmt: skip
_READ_OF_MATCH = {"destination_port", "prefix_ranges"}
_CHAIN_FIELDS = {"filter_chain_match", "filters", "name", "metadata", "transport_socket_connect_timeout"}
_TCP_PROXY_FIELDS = {
    "@type", "stat_prefix", "cluster", "access_log", "access_log_options", "idle_timeout", "downstream_idle_timeout",
    "upstream_idle_timeout", "max_connect_attempts", "hash_policy", "max_downstream_connection_duration",
    "access_log_flush_interval", "flush_access_log_on_connected",
}  # fmt: skip


def parse_config(text: str) -> ProxyConfig:
    """Read the answer to `GET config_dump`, whole or with `?resource=dynamic_listeners`.

    Raises ProxyUnreadable where there is no such thing in it: an empty body, Envoy's one line of error text, a dump
    without listeners and Envoy clusters, or one of another shape.
    """
    configs = as_list(read_json(text, "config_dump").get("configs"), "configs")
    listeners: list[Listener] | None = None
    envoy_clusters: dict[str, EnvoyCluster] | None = None
    errors: dict[str, str] = {}
    versions: list[ListenerVersion] = []
    for kind, element in _elements(configs):
        if kind in ("StaticListener", "DynamicListener"):
            listeners = listeners or []
            state = as_object(element.get("active_state"), "active_state") if kind == "DynamicListener" else element
            if state.get("listener") is not None:
                listeners.append(_listener(as_object(state["listener"], "listener")))
            _note_error(errors, element)
            versions += _version(element)
        elif kind == "Cluster":
            found = _envoy_cluster(as_object(element.get("cluster"), "cluster"))
            envoy_clusters = envoy_clusters or {}
            envoy_clusters[found.name] = found
    if listeners is None and envoy_clusters is None:
        raise ProxyUnreadable("the sidecar's config_dump holds neither listeners nor Envoy clusters")
    return ProxyConfig(None if listeners is None else tuple(listeners), envoy_clusters, errors, frozenset(versions))


def parse_versions(text: str) -> Versions:
    """Read the answer to `GET config_dump?resource=dynamic_listeners` whose mask leaves the listeners themselves out.

    Raises ProxyUnreadable where there is no listener in it.
    """
    configs = as_list(read_json(text, "config_dump").get("configs"), "configs")
    found = frozenset(
        version for kind, element in _elements(configs) if kind == "DynamicListener" for version in _version(element)
    )
    if not found:
        raise ProxyUnreadable("the sidecar's config_dump holds no listeners")
    return found


def parse_envoy_clusters(text: str) -> Mapping[str, EnvoyCluster]:
    """Read the answer to `GET config_dump?resource=dynamic_active_clusters`, by name. Raises ProxyUnreadable."""
    configs = as_list(read_json(text, "config_dump").get("configs"), "configs")
    elements = (element for kind, element in _elements(configs) if kind == "Cluster")
    found = (_envoy_cluster(as_object(element.get("cluster"), "cluster")) for element in elements)
    return {each.name: each for each in found}


def _elements(configs: Sequence[Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Flatten a dump: a whole one nests its listeners and Envoy clusters, one that was asked by resource does not."""
    nested = {
        "static_listeners": "StaticListener",
        "dynamic_listeners": "DynamicListener",
        "static_clusters": "Cluster",
        "dynamic_active_clusters": "Cluster",
    }
    alone = {"ListenersConfigDump.DynamicListener": "DynamicListener", "ClustersConfigDump.DynamicCluster": "Cluster"}
    for item in configs:
        config = as_object(item, "configs[]")
        kind = as_text(config.get("@type"), "@type").removeprefix(_ADMIN)
        if kind in alone:
            yield alone[kind], config
        elif kind in ("ListenersConfigDump", "ClustersConfigDump"):
            for key, of in nested.items():
                for element in as_list(config.get(key), key):
                    yield of, as_object(element, f"{key}[]")


def _version(element: Mapping[str, Any]) -> Iterator[ListenerVersion]:
    """Give the version of a dynamic listener, none for one that is still warming up."""
    state = as_object(element.get("active_state"), "active_state")
    error = as_object(element.get("error_state"), "error_state")
    if state or error:
        yield ListenerVersion(
            as_text(element.get("name"), "name"),
            as_text(state.get("version_info"), "version_info"),
            as_text(state.get("last_updated"), "last_updated"),
            as_text(error.get("details"), "details"),
        )


def _note_error(errors: dict[str, str], element: Mapping[str, Any]) -> None:
    error = as_object(element.get("error_state"), "error_state")
    if not error:
        return
    # Envoy lists a rejected listener twice, once without its name.
    refused = as_object(error.get("failed_configuration"), "failed_configuration")
    name = as_text(element.get("name") or refused.get("name"), "name")
    errors.setdefault(name, as_text(error.get("details"), "details"))


def _listener(raw: Mapping[str, Any]) -> Listener:
    name = as_text(raw.get("name"), "a listener's name")
    what = f"listener {name}"
    inner = f"a filter chain of {what}"
    chains = tuple(_filter_chain(as_object(each, what), inner) for each in as_list(raw.get("filter_chains"), what))
    default = as_object(raw.get("default_filter_chain"), what)
    outbound = raw.get("traffic_direction") == "OUTBOUND"
    return Listener(
        name=name,
        addresses=tuple(_addresses(raw, what)),
        internal=outbound and not as_flag(raw.get("bind_to_port"), f"bind_to_port of {what}", default=True),
        use_original_dst=as_flag(raw.get("use_original_dst"), f"use_original_dst of {what}"),
        filter_chains=chains,
        default_filter_chain=_filter_chain(default, inner) if default else None,
        unknown=_listener_unknown(raw, what),
    )


def _listener_unknown(raw: Mapping[str, Any], what: str) -> str:
    if odd := sorted(raw.keys() - _LISTENER_FIELDS):
        return f"{what} has {', '.join(odd)}, which is not understood"
    for item in as_list(raw.get("listener_filters"), what):
        kind = _type_of(as_object(item, what), what)
        if kind not in _LISTENER_FILTERS:
            return f"{what} has the listener filter {_short(kind)}, which is not understood"
    return ""


def _addresses(raw: Mapping[str, Any], what: str) -> Iterator[tuple[str, int]]:
    more = (as_object(each, what).get("address") for each in as_list(raw.get("additional_addresses"), what))
    for holder in (raw.get("address"), *more):
        # A pipe or an internal listener has no such address, and takes no connection by one.
        socket = as_object(as_object(holder, what).get("socket_address"), what)
        if not socket or socket.get("protocol", "TCP") != "TCP":
            continue
        address, port = as_address(socket.get("address"), f"the address of {what}"), as_number(socket.get("port_value"), what)
        yield str(address), port
        if str(address) == "::" and as_flag(socket.get("ipv4_compat"), what):
            yield "0.0.0.0", port  # noqa: S104 - what Envoy listens on, not this program


def _filter_chain(raw: Mapping[str, Any], what: str) -> FilterChain:
    match = as_object(raw.get("filter_chain_match"), what)
    envoy_cluster, unknown = _terminal(raw, what)
    return FilterChain(
        name=as_text(raw.get("name"), what),
        destination_port=as_number(match.get("destination_port"), what),
        blocks=tuple(_block(as_object(each, what), what) for each in as_list(match.get("prefix_ranges"), what)),
        criteria=tuple(sorted(match.keys() - _READ_OF_MATCH)),
        envoy_cluster=envoy_cluster,
        unknown=unknown,
        route=_route(raw, what),
    )


def _block(raw: Mapping[str, Any], what: str) -> Block:
    version, address = as_address_number(raw.get("address_prefix"), what)
    try:
        return Block.around(version, address, as_number(raw.get("prefix_len"), what))
    except ValueError:
        raise ProxyUnreadable(f"the sidecar's answer is not understood: {what} has a prefix that is too long") from None


def _terminal(raw: Mapping[str, Any], what: str) -> tuple[str, str]:
    """Return the Envoy cluster that the chain leads to, or why that is not known."""
    if odd := sorted(raw.keys() - _CHAIN_FIELDS):
        return "", f"the filter chain has {', '.join(odd)}, which is not understood"
    filters = [as_object(each, what) for each in as_list(raw.get("filters"), what)]
    kinds = [_type_of(each, what) for each in filters]
    if not kinds or kinds[-1] != _TCP_PROXY:
        return "", f"the filter chain ends in {_short(kinds[-1]) if kinds else 'nothing'}, and only TcpProxy is understood"
    if odd := [kind for kind in kinds[:-1] if kind not in _OBSERVERS]:
        return "", f"the filter chain has {', '.join(map(_short, odd))} before TcpProxy, which is not understood"
    proxy = as_object(filters[-1].get("typed_config"), what)
    if odd := sorted(proxy.keys() - _TCP_PROXY_FIELDS):
        return "", f"the filter chain's TcpProxy has {', '.join(odd)}, which is not understood"
    envoy_cluster = as_text(proxy.get("cluster"), what)
    return envoy_cluster, "" if envoy_cluster else "the filter chain's TcpProxy names no Envoy cluster"


def _type_of(raw: Mapping[str, Any], what: str) -> str:
    typed = as_object(raw.get("typed_config"), what)
    kind = as_text(typed.get("@type"), what)
    if kind in _TYPED_STRUCTS:
        kind = as_text(typed.get("type_url"), what)
    return kind or as_text(raw.get("name"), what)


def _short(kind: str) -> str:
    return kind.rpartition("/")[2].rpartition(".")[2] or "a filter without a type"


def _istio(raw: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    metadata = as_object(as_object(raw.get("metadata"), what).get("filter_metadata"), what)
    return as_object(metadata.get("istio"), what)


def _route(raw: Mapping[str, Any], what: str) -> str:
    if "metadata" not in raw:
        return ""
    # /apis/networking.istio.io/v1/namespaces/NAMESPACE/virtual-service/NAME
    path = as_text(_istio(raw, what).get("config"), what).split("/")
    return f"{path[-3]}/{path[-1]}" if len(path) > 3 and path[-2] == "virtual-service" else ""


def _envoy_cluster(raw: Mapping[str, Any]) -> EnvoyCluster:
    name = as_text(raw.get("name"), "an Envoy cluster's name")
    what = f"Envoy cluster {name}"
    services = (as_object(each, what) for each in as_list(_istio(raw, what).get("services"), what))
    return EnvoyCluster(
        name=name,
        # A type of an extension's own has `cluster_type` instead; protobuf leaves out STATIC, which is zero.
        type=as_text(raw.get("type"), what) or ("" if "cluster_type" in raw else "STATIC"),
        services=tuple(Service(*(as_text(each.get(key), what) for key in ("host", "namespace", "name"))) for each in services),
    )
