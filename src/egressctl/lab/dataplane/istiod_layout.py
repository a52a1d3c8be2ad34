"""Pieces that the sidecar's listeners, Envoy clusters and routes have in common, as istiod writes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from egressctl.lab.state import Paths

EnvoyResource = dict[str, Any]
TYPE = "type.googleapis.com/envoy."
WILDCARD = "0.0.0.0"  # noqa: S104 - Istio's own wildcard address
WILDCARD_IPV6 = "::"

ACCESS_LOG_FORMAT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% '
    '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% '
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)
"""Istio's own, `meshConfig.accessLogFormat` unset."""


def envoy_cluster_name(host: str, port: int, subset: str = "") -> str:
    """Return the name of a service's Envoy cluster."""
    return f"outbound|{port}|{subset}|{host}"


def socket_address(address: str, port: int) -> EnvoyResource:
    """Return an address of Envoy's configuration."""
    return {"socket_address": {"address": address, "port_value": port}}


def more_wildcards(port: int, outside: Paths) -> EnvoyResource:
    """Return what a listener on every address has besides where the pod has both families."""
    return {"additional_addresses": [{"address": socket_address(WILDCARD_IPV6, port)}]} if outside.with_ipv6 else {}


def outside_source(outside: Paths) -> EnvoyResource:
    """Return where upstream connections come from: the internet's network namespace, where every address is local."""
    source = {"port_value": 0, "network_namespace_filepath": str(outside.internet_namespace)}
    made: EnvoyResource = {"source_address": {"address": WILDCARD, **source}}
    if outside.with_ipv6:
        made["extra_source_addresses"] = [{"address": {"address": WILDCARD_IPV6, **source}}]
    return made


def filter_metadata(**about: Any) -> EnvoyResource:
    """Return the metadata that istiod gives what it makes of an object."""
    return {"filter_metadata": {"istio": about}}


def typed(kind: str, **fields: Any) -> EnvoyResource:
    """Return a message that says its own type, `envoy.` left out of `kind`."""
    return {"@type": f"{TYPE}{kind}", **fields}


def extension(name: str, kind: str, **fields: Any) -> EnvoyResource:
    """Return an extension with its configuration; the names of both begin with `envoy.`, which is left out."""
    return {"name": f"envoy.{name}", "typed_config": typed(f"extensions.{kind}", **fields)}


def tcp_proxy(destination: Mapping[str, Any], stat_prefix: str, outside: Paths | None) -> EnvoyResource:
    """Return the filter that leads a connection on; `destination` is `cluster` or `weighted_clusters`."""
    logged = {"access_log": [access_log(outside)]} if outside else {}
    proxy = "filters.network.tcp_proxy"
    return extension(proxy, f"{proxy}.v3.TcpProxy", stat_prefix=stat_prefix, **destination, **logged)


def cluster_proxy(envoy_cluster: str, outside: Paths | None) -> EnvoyResource:
    """Return the filter that leads a connection to an Envoy cluster."""
    return tcp_proxy({"cluster": envoy_cluster}, envoy_cluster, outside)


def access_log(outside: Paths) -> EnvoyResource:
    """Return the access log, in Istio's format."""
    log_format = {"text_format_source": {"inline_string": ACCESS_LOG_FORMAT}}
    return extension(
        "access_loggers.file", "access_loggers.file.v3.FileAccessLog", path=str(outside.access_log), log_format=log_format
    )


def resources_by_name(items: Iterable[EnvoyResource]) -> dict[str, EnvoyResource]:
    """Return them by their name; the first of a name stays."""
    found: dict[str, EnvoyResource] = {}
    for item in items:
        found.setdefault(item["name"], item)
    return found
