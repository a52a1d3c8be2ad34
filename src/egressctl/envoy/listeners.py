"""Read the listeners of a sidecar's config_dump, with their filter chains and where those lead.

Source: envoy/config/listener/v3/listener_components.proto, envoy/extensions/filters/network/tcp_proxy/v3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from egressctl.envoy.admin import (
    as_address_number,
    as_flag,
    as_list,
    as_number,
    as_object,
    as_text,
    extension_type,
    istio_object_name,
    short_type_name,
)
from egressctl.envoy.config import FilterChain, Listener, parse_outbound_name
from egressctl.envoy.http import read_manager, read_weighted_clusters
from egressctl.errors import ProxyUnreadable
from egressctl.model.blocks import Block

_TCP_PROXY = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"
_HTTP = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"

# Network filters that watch a connection and never divert it.
_OBSERVERS = {
    "type.googleapis.com/stats.PluginConfig",
    "type.googleapis.com/envoy.tcp.metadataexchange.config.MetadataExchange",
}
# A network filter that resolves the server name, with that port, for an Envoy cluster of type DYNAMIC, and lets others be.
_NAME_RESOLVER = "type.googleapis.com/envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.FilterConfig"
_NAME_RESOLVER_FIELDS = {"@type", "dns_cache_config", "port_value", "save_upstream_address"}
_LISTENER_FILTERS = "type.googleapis.com/envoy.extensions.filters.listener."
_ORIGINAL_DST = f"{_LISTENER_FILTERS}original_dst.v3.OriginalDst"
# Listener filters that look at what the client says first, with their fields that do not change what they see.
_INSPECTORS = {
    f"{_LISTENER_FILTERS}tls_inspector.v3.TlsInspector": {
        "@type", "enable_ja3_fingerprinting", "enable_ja4_fingerprinting", "initial_read_buffer_size"
    },
    f"{_LISTENER_FILTERS}http_inspector.v3.HttpInspector": {"@type"},
}  # fmt: skip
# Fields that do not decide which filter chain, or which Envoy cluster, takes a connection, and those that are read.
_LISTENER_FIELDS = {
    "@type", "name", "address", "additional_addresses", "stat_prefix", "filter_chains", "default_filter_chain",
    "use_original_dst", "bind_to_port", "traffic_direction", "listener_filters", "listener_filters_timeout",
    "continue_on_listener_filters_timeout", "per_connection_buffer_limit_bytes", "metadata", "drain_type", "transparent",
    "freebind", "socket_options", "tcp_fast_open_queue_length", "connection_balance_config", "reuse_port",
    "enable_reuse_port", "access_log", "tcp_backlog_size", "max_connections_to_accept_per_socket_event", "enable_mptcp",
    "ignore_global_conn_limit", "bypass_overload_manager",
}  # fmt: skip
_MATCH_FIELDS = {"destination_port", "prefix_ranges", "server_names", "transport_protocol", "application_protocols"}
_CHAIN_FIELDS = {"filter_chain_match", "filters", "name", "metadata", "transport_socket_connect_timeout"}
_TCP_PROXY_FIELDS = {
    "@type", "stat_prefix", "cluster", "access_log", "access_log_options", "idle_timeout", "downstream_idle_timeout",
    "upstream_idle_timeout", "max_connect_attempts", "hash_policy", "max_downstream_connection_duration",
    "access_log_flush_interval", "flush_access_log_on_connected", "weighted_clusters",
}  # fmt: skip


def read_listener(raw: Mapping[str, Any]) -> Listener:
    """Read a Listener. Raises ProxyUnreadable where it is none."""
    name = as_text(raw.get("name"), "a listener's name")
    what = f"listener {name}"
    inner = f"a filter chain of {what}"
    chains = tuple(_filter_chain(as_object(each, what), inner) for each in as_list(raw.get("filter_chains"), what))
    default = as_object(raw.get("default_filter_chain"), what)
    outbound = raw.get("traffic_direction") == "OUTBOUND"
    filters = [as_object(each, what) for each in as_list(raw.get("listener_filters"), what)]
    sees_tls, sees_http = (_has_inspector(filters, kind, what) for kind in _INSPECTORS)
    return Listener(
        name=name,
        addresses=tuple(_addresses(raw, what)),
        internal=outbound and not as_flag(raw.get("bind_to_port"), f"bind_to_port of {what}", default=True),
        use_original_dst=as_flag(raw.get("use_original_dst"), f"use_original_dst of {what}"),
        filter_chains=chains,
        default_filter_chain=_filter_chain(default, inner) if default else None,
        unknown=_listener_unknown(raw, filters, what),
        sees_tls=sees_tls,
        sees_http=sees_http,
    )


def _listener_unknown(raw: Mapping[str, Any], filters: Sequence[Mapping[str, Any]], what: str) -> str:
    if odd := sorted(raw.keys() - _LISTENER_FIELDS):
        return f"{what} has {', '.join(odd)}, which is not understood"
    for each in filters:
        kind = extension_type(each, what)
        if kind != _ORIGINAL_DST and kind not in _INSPECTORS:
            return f"{what} has the listener filter {short_type_name(kind)}, which is not understood"
    return ""


def _has_inspector(filters: Sequence[Mapping[str, Any]], kind: str, what: str) -> bool | None:
    """Say whether there is such an inspector, None where it looks only under a condition, or not as others do."""
    for each in filters:
        if extension_type(each, what) == kind:
            plain = not as_object(each.get("typed_config"), what).keys() - _INSPECTORS[kind]
            return True if plain and not each.keys() - {"name", "typed_config"} else None
    return False


def _addresses(raw: Mapping[str, Any], what: str) -> Iterator[tuple[str, int]]:
    more = (as_object(each, what).get("address") for each in as_list(raw.get("additional_addresses"), what))
    for holder in (raw.get("address"), *more):
        # A pipe or an internal listener has no such address, and takes no connection by one.
        socket = as_object(as_object(holder, what).get("socket_address"), what)
        if not socket or socket.get("protocol", "TCP") != "TCP":
            continue
        version, number = as_address_number(socket.get("address"), f"the address of {what}")
        address, port = Block(version, number, 0).address, as_number(socket.get("port_value"), what)
        yield address, port
        if address == "::" and as_flag(socket.get("ipv4_compat"), what):
            yield "0.0.0.0", port  # noqa: S104 - what Envoy listens on, not this program


def _filter_chain(raw: Mapping[str, Any], what: str) -> FilterChain:
    match = as_object(raw.get("filter_chain_match"), what)
    return FilterChain(
        name=as_text(raw.get("name"), what),
        destination_port=as_number(match.get("destination_port"), what),
        blocks=tuple(_block(as_object(each, what), what) for each in as_list(match.get("prefix_ranges"), what)),
        criteria=tuple(sorted(match.keys() - _MATCH_FIELDS)),
        route=istio_object_name(raw, "virtual-service", what),
        server_names=_texts(match, "server_names", what),
        transport_protocol=as_text(match.get("transport_protocol"), what),
        application_protocols=_texts(match, "application_protocols", what),
        **_chain_end(raw, what),
    )


def _texts(raw: Mapping[str, Any], key: str, what: str) -> tuple[str, ...]:
    return tuple(as_text(each, what) for each in as_list(raw.get(key), what)) if key in raw else ()


def _block(raw: Mapping[str, Any], what: str) -> Block:
    version, address = as_address_number(raw.get("address_prefix"), what)
    try:
        return Block.around(version, address, as_number(raw.get("prefix_len"), what))
    except ValueError:
        raise ProxyUnreadable(f"the sidecar's answer is not understood: {what} has a prefix that is too long") from None


def _why_it_resolves_another(raw: Mapping[str, Any], envoy_cluster: str, what: str) -> str:
    """Say why a filter that resolves server names may lead to another port than the Envoy cluster's, "" where it does not."""
    typed, to = as_object(raw.get("typed_config"), what), parse_outbound_name(envoy_cluster)
    if odd := sorted(typed.keys() - _NAME_RESOLVER_FIELDS):
        return f"the filter chain's {short_type_name(_NAME_RESOLVER)} has {', '.join(odd)}, which is not understood"
    port = as_number(typed.get("port_value"), what)
    return "" if to is None or port == to.port else f"the filter chain resolves server names for port {port}, not {to.port}"


def _chain_end(raw: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return the fields of a FilterChain that say where it leads, or why that is not known."""
    if odd := sorted(raw.keys() - _CHAIN_FIELDS):
        return {"unknown": f"the filter chain has {', '.join(odd)}, which is not understood"}
    filters = [as_object(each, what) for each in as_list(raw.get("filters"), what)]
    kinds = [extension_type(each, what) for each in filters]
    if not kinds or kinds[-1] not in (_TCP_PROXY, _HTTP):
        end = short_type_name(kinds[-1]) if kinds else "nothing"
        return {"unknown": f"the filter chain ends in {end}, and only TcpProxy and HttpConnectionManager are understood"}
    if odd := [short_type_name(kind) for kind in kinds[:-1] if kind not in _OBSERVERS and kind != _NAME_RESOLVER]:
        before = f"{', '.join(odd)} before {short_type_name(kinds[-1])}"
        return {"unknown": f"the filter chain has {before}, which is not understood"}
    last = as_object(filters[-1].get("typed_config"), what)
    if kinds[-1] == _HTTP:
        return dict(zip(("http", "unknown"), read_manager(last, what), strict=True))
    if odd := sorted(last.keys() - _TCP_PROXY_FIELDS):
        return {"unknown": f"the filter chain's TcpProxy has {', '.join(odd)}, which is not understood"}
    if "weighted_clusters" in last:
        choices, unknown = read_weighted_clusters(as_object(last["weighted_clusters"], what), what)
        if unknown:
            return {"unknown": f"the filter chain's {unknown}"}
        return {"choices": choices} if len(choices) > 1 else {"envoy_cluster": choices[0]}
    if envoy_cluster := as_text(last.get("cluster"), what):
        resolvers = [each for each, kind in zip(filters, kinds, strict=True) if kind == _NAME_RESOLVER]
        unknown = next((why for each in resolvers if (why := _why_it_resolves_another(each, envoy_cluster, what))), "")
        return {"unknown": unknown} if unknown else {"envoy_cluster": envoy_cluster}
    return {"unknown": "the filter chain's TcpProxy names no Envoy cluster"}
