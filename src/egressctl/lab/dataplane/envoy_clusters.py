"""Services and DestinationRules -> the sidecar's Envoy clusters, in the layout that istiod gives them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from egressctl.lab.dataplane.destination_rules import MergedDestinationRule, Subset, Tls
from egressctl.lab.dataplane.istiod_layout import (
    EnvoyResource,
    envoy_cluster_name,
    extension,
    filter_metadata,
    outside_source,
    socket_address,
    typed,
)
from egressctl.lab.dataplane.services import MeshService, Resolution, ServiceEndpoint, ServicePort
from egressctl.lab.state import Paths

_UNLIMITED = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests", "max_retries"), 4294967295)
_DNS_TYPES = {Resolution.DNS: "STRICT_DNS", Resolution.DNS_ROUND_ROBIN: "LOGICAL_DNS"}
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def policy_clusters(outside: Paths) -> Iterator[EnvoyResource]:
    """Yield the two Envoy clusters of what no ServiceEntry names."""
    yield _base_cluster("BlackHoleCluster", "STATIC")
    yield _original_destination_cluster("PassthroughCluster", outside)


def service_clusters(service: MeshService, rule: MergedDestinationRule | None, outside: Paths) -> Iterator[EnvoyResource]:
    """Yield a service's Envoy clusters: one a port, and one a subset of it."""
    for port in service.ports:
        yield _service_cluster(service, port, None, rule, outside)
        for subset in rule.subsets if rule else ():
            yield _service_cluster(service, port, subset, rule, outside)


def _service_cluster(
    service: MeshService, port: ServicePort, subset: Subset | None, rule: MergedDestinationRule | None, outside: Paths
) -> EnvoyResource:
    about: EnvoyResource = {"services": [{"host": service.host, "name": service.host, "namespace": service.namespace}]}
    about |= {"subset": subset.name} if subset else {"external": True}
    about |= {"config": rule.config} if rule else {}
    name = envoy_cluster_name(service.host, port.number, subset.name if subset else "")
    tls = rule.tls(port.number, subset) if rule else None
    endpoints = [each for each in port.endpoints if not subset or subset.labels.items() <= each.labels.items()]
    if service.resolution is Resolution.NONE:
        made = _original_destination_cluster(name, outside)
    else:
        made = _cluster_with_endpoints(name, service.resolution, endpoints, outside)
    made["metadata"] = filter_metadata(**about, **({"alpn_override": "false"} if tls else {}))
    made["common_lb_config"] = {"healthy_panic_threshold": {}}
    if tls:
        made["transport_socket"] = _tls_socket(tls, outside)
    if tls or port.http2:
        made["typed_extension_protocol_options"] = {_HTTP_OPTIONS: _http_options(tls is not None, port.http2)}
    return made


def _http_options(tls: bool, http2: bool) -> EnvoyResource:
    names = {"upstream_http_protocol_options": {"auto_sni": True, "auto_san_validation": True}} if tls else {}
    protocol = "http2_protocol_options" if http2 else "http_protocol_options"
    return typed("extensions.upstreams.http.v3.HttpProtocolOptions", **names, explicit_http_config={protocol: {}})


def _tls_socket(tls: Tls, outside: Paths) -> EnvoyResource:
    """Return the TLS that Envoy adds. istiod sends the trusted authorities by SDS; here they are named by file."""
    names = [{"san_type": kind, "matcher": {"exact": name}} for name in tls.subject_names for kind in ("DNS", "URI")]
    trusted: EnvoyResource = {"trusted_ca": {"filename": str(outside.authority)}}
    if names:
        trusted["match_typed_subject_alt_names"] = names
    common: EnvoyResource = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
        **({"validation_context": trusted} if tls.verify else {}),
    }
    server_name = {"sni": tls.server_name} if tls.server_name else {}
    kind = "transport_sockets.tls.v3.UpstreamTlsContext"
    return extension("transport_sockets.tls", kind, common_tls_context=common, **server_name)


def _original_destination_cluster(name: str, outside: Paths) -> EnvoyResource:
    return {**_base_cluster(name, "ORIGINAL_DST"), "lb_policy": "CLUSTER_PROVIDED", **_upstream_settings(outside)}


def _cluster_with_endpoints(
    name: str, resolution: Resolution, endpoints: Iterable[ServiceEndpoint], outside: Paths
) -> EnvoyResource:
    """istiod sends STATIC endpoints by EDS; here they are part of the Envoy cluster, to the same effect."""
    hosts = [{"endpoint": {"address": socket_address(endpoint.address, endpoint.port)}} for endpoint in endpoints]
    made = {
        **_base_cluster(name, _DNS_TYPES.get(resolution, "STATIC")),
        "lb_policy": "LEAST_REQUEST",
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": hosts}] if hosts else []},
        **_upstream_settings(outside),
    }
    if resolution is not Resolution.STATIC:
        made |= {
            "dns_lookup_family": "ALL" if outside.with_ipv6 else "V4_ONLY",
            "dns_refresh_rate": "60s",
            "respect_dns_ttl": True,
        }
    return made


def _base_cluster(name: str, kind: str) -> EnvoyResource:
    return typed("config.cluster.v3.Cluster", name=name, type=kind, connect_timeout="10s", alt_stat_name=f"{name};")


def _upstream_settings(outside: Paths) -> EnvoyResource:
    return {"circuit_breakers": {"thresholds": [_UNLIMITED]}, "upstream_bind_config": outside_source(outside)}
