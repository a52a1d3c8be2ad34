"""Read an HTTP connection manager and its route configurations from a sidecar's config_dump.

Source: envoy/extensions/filters/network/http_connection_manager/v3, envoy/config/route/v3/route_components.proto.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from egressctl.envoy.admin import (
    as_flag,
    as_list,
    as_number,
    as_object,
    as_text,
    extension_type,
    istio_object_name,
    short_type_name,
)
from egressctl.envoy.routes import HeaderMatch, HttpConnectionManager, Route, RouteConfig, TextMatch, VirtualHost

_FILTERS = "type.googleapis.com/envoy.extensions.filters.http."
_ROUTER = f"{_FILTERS}router.v3.Router"

# HTTP filters that answer no request by themselves and choose no route, with the fields that would make them.
_HARMLESS: dict[str, Set[str]] = {
    f"{_FILTERS}cors.v3.Cors": frozenset(),
    f"{_FILTERS}fault.v3.HTTPFault": {"abort", "delay", "response_rate_limit"},
    f"{_FILTERS}grpc_stats.v3.FilterConfig": frozenset(),
    f"{_FILTERS}grpc_web.v3.GrpcWeb": frozenset(),
    "type.googleapis.com/istio.envoy.config.filter.http.alpn.v2alpha1.FilterConfig": frozenset(),
    "type.googleapis.com/io.istio.http.peer_metadata.Config": frozenset(),
    "type.googleapis.com/stats.PluginConfig": frozenset(),
    # It resolves the host of a request that goes to an Envoy cluster of its kind, and lets all others be.
    f"{_FILTERS}dynamic_forward_proxy.v3.FilterConfig": {"sub_cluster_config", "allow_dynamic_host_from_filter_state"},
}
# Settings of those filters that a route or a virtual host may have: all but a fault's.
_PER_ROUTE = {"envoy.filters.http.cors", "envoy.filters.http.grpc_stats", "envoy.filters.http.router"}
# Fields that do not decide where a request goes, and those that are read.
_MANAGER_FIELDS = {
    "@type", "stat_prefix", "codec_type", "rds", "route_config", "http_filters", "tracing", "access_log", "access_log_options",
    "common_http_protocol_options", "http_protocol_options", "http2_protocol_options", "server_name",
    "server_header_transformation", "max_request_headers_kb", "stream_idle_timeout", "request_timeout",
    "request_headers_timeout", "drain_timeout", "delayed_close_timeout", "use_remote_address", "xff_num_trusted_hops",
    "skip_xff_append", "via", "generate_request_id", "preserve_external_request_id", "always_set_request_id_in_response",
    "request_id_extension", "forward_client_cert_details", "set_current_client_cert_details", "proxy_100_continue",
    "upgrade_configs", "normalize_path", "merge_slashes", "path_with_escaped_slashes_action", "internal_address_config",
    "represent_ipv4_remote_address_as_ipv4_mapped_ipv6", "stream_error_on_invalid_http_message",
    "append_x_forwarded_port", "append_local_overload", "add_proxy_protocol_connection_state",
}  # fmt: skip
_HEADER_FIELDS = {
    "request_headers_to_add", "request_headers_to_remove", "response_headers_to_add", "response_headers_to_remove",
    "typed_per_filter_config", "metadata", "name", "request_mirror_policies",
}  # fmt: skip
_CONFIG_FIELDS = _HEADER_FIELDS | {
    "@type", "virtual_hosts", "internal_only_headers", "most_specific_header_mutations_wins", "validate_clusters",
    "max_direct_response_body_size_bytes", "cluster_specifier_plugins", "ignore_port_in_host_matching",
    "ignore_path_parameters_in_path_matching",
}  # fmt: skip
_HOST_FIELDS = _HEADER_FIELDS | {
    "domains", "routes", "require_tls", "virtual_clusters", "rate_limits", "cors", "include_request_attempt_count",
    "include_attempt_count_in_response", "retry_policy", "retry_policy_typed_config", "hedge_policy",
    "include_is_timeout_retry_header", "per_request_buffer_limit_bytes", "request_body_buffer_limit",
}  # fmt: skip
_ROUTE_FIELDS = _HEADER_FIELDS | {
    "match", "route", "redirect", "direct_response", "decorator", "tracing", "per_request_buffer_limit_bytes",
    "request_body_buffer_limit", "stat_prefix",
}  # fmt: skip
_ACTION_FIELDS = {
    "cluster", "weighted_clusters", "cluster_not_found_response_code", "metadata_match", "prefix_rewrite", "regex_rewrite",
    "path_rewrite_policy", "host_rewrite_literal", "auto_host_rewrite", "host_rewrite_header", "host_rewrite_path_regex",
    "append_x_forwarded_host", "timeout", "idle_timeout", "flush_timeout", "early_data_policy", "retry_policy",
    "retry_policy_typed_config", "request_mirror_policies", "priority", "rate_limits", "include_vh_rate_limits", "hash_policy",
    "cors", "max_grpc_timeout", "grpc_timeout_offset", "upgrade_configs", "hedge_policy", "max_stream_duration",
}  # fmt: skip
_PATHS = {"prefix": "prefix", "path": "exact", "safe_regex": "regex", "path_separated_prefix": "separated-prefix"}
# The older fields of a HeaderMatcher, by what a StringMatcher calls them.
_HEADER_MATCHES = {f"{kind}_match": kind for kind in ("exact", "prefix", "suffix", "contains", "safe_regex")}
_STATUSES = {
    "MOVED_PERMANENTLY": 301, "FOUND": 302, "SEE_OTHER": 303, "TEMPORARY_REDIRECT": 307, "PERMANENT_REDIRECT": 308,
    "SERVICE_UNAVAILABLE": 503, "NOT_FOUND": 404, "INTERNAL_SERVER_ERROR": 500,
}  # fmt: skip


def read_manager(raw: Mapping[str, Any], what: str) -> tuple[HttpConnectionManager | None, str]:
    """Read an HttpConnectionManager: where its routes are, or why that is not known. Raises ProxyUnreadable."""
    if odd := sorted(raw.keys() - _MANAGER_FIELDS):
        return None, f"the filter chain's HttpConnectionManager has {', '.join(odd)}, which is not understood"
    filters = [as_object(each, what) for each in as_list(raw.get("http_filters"), what)]
    if not filters or extension_type(filters[-1], what) != _ROUTER:
        return None, "the filter chain's HttpConnectionManager does not end in a router"
    if unknown := next((why for each in filters[:-1] if (why := _why_filter_diverts(each, what))), ""):
        return None, unknown
    inline = raw.get("route_config")
    name = as_text(as_object(raw.get("rds"), what).get("route_config_name"), what)
    if (inline is None) == (not name):
        return None, "the filter chain's HttpConnectionManager does not say where its routes are"
    routes = None if inline is None else read_routes(as_object(inline, what))
    return HttpConnectionManager(name, routes, as_text(raw.get("codec_type"), what) or "AUTO"), ""


def read_routes(raw: Mapping[str, Any], version: str = "") -> RouteConfig:
    """Read a RouteConfiguration, which is in force in that version. Raises ProxyUnreadable where it is none."""
    name = as_text(raw.get("name"), "a route configuration's name")
    what = f"route configuration {name}"
    hosts = as_list(raw.get("virtual_hosts"), what)
    return RouteConfig(
        name=name,
        virtual_hosts=tuple(_virtual_host(as_object(each, what), what) for each in hosts),
        ignore_port=as_flag(raw.get("ignore_port_in_host_matching"), what),
        unknown=_why_not_understood(raw, _CONFIG_FIELDS, what),
        version=version,
    )


def read_weighted_clusters(raw: Mapping[str, Any], what: str) -> tuple[tuple[str, ...], str]:
    """Read `weighted_clusters`, of a route or of a TcpProxy: the names that have a weight, or why they are not known."""
    if odd := sorted(raw.keys() - {"clusters", "total_weight"}):
        return (), f"weighted_clusters has {', '.join(odd)}, which is not understood"
    names: list[str] = []
    for item in as_list(raw.get("clusters"), what):
        each = as_object(item, what)
        if odd := sorted(each.keys() - _HEADER_FIELDS - {"weight", "metadata_match", "host_rewrite_literal"}):
            return (), f"weighted_clusters has {', '.join(odd)}, which is not understood"
        if per_route := _why_settings_not_understood(each, what):
            return (), per_route
        if as_number(each.get("weight"), what):
            names.append(as_text(each.get("name"), what))
    if not all(names) or not names:
        return (), "weighted_clusters names no Envoy cluster"
    return tuple(dict.fromkeys(names)), ""


def _why_filter_diverts(raw: Mapping[str, Any], what: str) -> str:
    kind = extension_type(raw, what)
    if kind not in _HARMLESS:
        return f"the filter chain has the HTTP filter {short_type_name(kind)}, which is not understood"
    typed = as_object(raw.get("typed_config"), what)
    if set_up := sorted(_HARMLESS[kind] & {*typed.keys(), *as_object(typed.get("value"), what).keys()}):
        return f"the filter chain's HTTP filter {short_type_name(kind)} has {', '.join(set_up)}, which may answer by itself"
    return ""


def _why_not_understood(raw: Mapping[str, Any], known: Set[str], what: str) -> str:
    if odd := sorted(raw.keys() - known):
        return f"{what} has {', '.join(odd)}, which is not understood"
    return _why_settings_not_understood(raw, what)


def _why_settings_not_understood(raw: Mapping[str, Any], what: str) -> str:
    if odd := sorted(as_object(raw.get("typed_per_filter_config"), what).keys() - _PER_ROUTE):
        return f"{what} has settings of its own for {', '.join(odd)}, which may answer by themselves"
    return ""


def _virtual_host(raw: Mapping[str, Any], what: str) -> VirtualHost:
    name = as_text(raw.get("name"), what)
    what = f"virtual host {name} of {what}"
    unknown = _why_not_understood(raw, _HOST_FIELDS, what)
    if raw.get("require_tls", "NONE") != "NONE":
        unknown = unknown or f"{what} wants TLS"
    return VirtualHost(
        name=name,
        domains=tuple(as_text(each, what) for each in as_list(raw.get("domains"), what)),
        routes=tuple(_route(as_object(each, what), what) for each in as_list(raw.get("routes"), what)),
        unknown=unknown,
    )


def _route(raw: Mapping[str, Any], what: str) -> Route:
    name = as_text(raw.get("name"), what)
    what = f"route {name} of {what}" if name else f"a route of {what}"
    match = as_object(raw.get("match"), what)
    known = {*_PATHS, "case_sensitive", "headers", "grpc", "connect_matcher"}
    return Route(
        name=name,
        path=_path(match, what),
        headers=tuple(_header(as_object(each, what), what) for each in as_list(match.get("headers"), what)),
        # runtime_fraction, query_parameters, cookies, tls_context, dynamic_metadata, filter_state, and what is to come.
        criteria=tuple(sorted(match.keys() - known)),
        # Content of gRPC, and a CONNECT request, are nothing that a probe sends.
        never="grpc" in match or "connect_matcher" in match,
        virtual_service=istio_object_name(raw, "virtual-service", what),
        **_route_end(raw, what),
    )


def _path(match: Mapping[str, Any], what: str) -> TextMatch:
    ignore_case = not as_flag(match.get("case_sensitive"), what, default=True)
    for key, kind in _PATHS.items():
        if key in match:
            value = as_object(match[key], what).get("regex") if key == "safe_regex" else match[key]
            return TextMatch(kind, as_text(value, what), ignore_case)
    return TextMatch("")


def _header(raw: Mapping[str, Any], what: str) -> HeaderMatch:
    known = {"name", "invert_match", "treat_missing_header_as_empty"}
    kinds = raw.keys() - known
    text: TextMatch | None = None
    if kinds and kinds != {"present_match"}:
        matcher = {_HEADER_MATCHES.get(kind, ""): raw[kind] for kind in kinds}
        text = _string_match(as_object(raw["string_match"], what) if kinds == {"string_match"} else matcher, what)
    return HeaderMatch(
        name=as_text(raw.get("name"), what).lower(),
        text=text,
        present=as_flag(raw.get("present_match"), what, default=True) if text is None else True,
        invert=as_flag(raw.get("invert_match"), what),
        missing_is_empty=as_flag(raw.get("treat_missing_header_as_empty"), what),
    )


def _string_match(raw: Mapping[str, Any], what: str) -> TextMatch:
    ignore_case = as_flag(raw.get("ignore_case"), what)
    kinds = sorted(raw.keys() - {"ignore_case"})
    if kinds == ["safe_regex"]:
        return TextMatch("regex", as_text(as_object(raw["safe_regex"], what).get("regex"), what))
    if len(kinds) == 1 and kinds[0] in ("exact", "prefix", "suffix", "contains"):
        return TextMatch(kinds[0], as_text(raw[kinds[0]], what), ignore_case)
    return TextMatch("")


def _route_end(raw: Mapping[str, Any], what: str) -> dict[str, Any]:
    """Return the fields of a Route that say where it leads."""
    if unknown := _why_not_understood(raw, _ROUTE_FIELDS, what):
        return {"unknown": unknown}
    if "direct_response" in raw:
        status = as_number(as_object(raw["direct_response"], what).get("status"), what)
        return {"direct_status": status, "unknown": "" if status else f"{what} answers without a status"}
    if "redirect" in raw:
        code = as_text(as_object(raw["redirect"], what).get("response_code"), what) or "MOVED_PERMANENTLY"
        return {"direct_status": _STATUSES[code]} if code in _STATUSES else {"unknown": f"{what} redirects with {code}"}
    action = as_object(raw.get("route"), what)
    if odd := sorted(action.keys() - _ACTION_FIELDS):
        return {"unknown": f"{what} has {', '.join(odd)}, which is not understood"}
    missing = as_text(action.get("cluster_not_found_response_code"), what)
    if "weighted_clusters" in action:
        choices, unknown = read_weighted_clusters(as_object(action["weighted_clusters"], what), what)
    else:
        choices = (as_text(action.get("cluster"), what),)
        unknown = "" if choices[0] else f"{what} names no Envoy cluster"
    return {
        "not_found_status": _STATUSES.get(missing, 503),
        "unknown": unknown,
        "choices": choices if len(choices) > 1 else (),
        "envoy_cluster": choices[0] if len(choices) == 1 else "",
        "authority": as_text(action.get("host_rewrite_literal"), what),
    }
