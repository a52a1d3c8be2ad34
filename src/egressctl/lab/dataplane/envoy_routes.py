"""HTTP services and VirtualServices -> the sidecar's route configurations, in the layout that istiod gives them.

After istio's `pilot/pkg/networking/core/httproute.go` and `route/route.go`; one route configuration a port.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from egressctl.lab.dataplane.filter_chains import Named
from egressctl.lab.dataplane.istiod_layout import TYPE, Resource, istio_metadata
from egressctl.lab.dataplane.objects import Workload, mapping, mappings
from egressctl.lab.dataplane.services import Service, Speaks
from egressctl.lab.dataplane.virtual_services import Destination, VirtualService, applies, of_host

_RETRIES = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
_KNOWN_MATCHES = {"uri", "port", "gateways", "sourceLabels", "sourceNamespace", "name"}
_KNOWN_FIELDS = {"name", "match", "route", "directResponse", "fault", "timeout", "retries"}


def route_configurations(
    services: Iterable[Service],
    virtual_services: tuple[VirtualService, ...],
    workload: Workload,
    fallback: str,
    envoy_cluster_of: Named,
) -> Iterator[Resource]:
    """Yield one a port of HTTP services; `fallback` is the Envoy cluster of what none of them names.

    Of several services of one host the last that has the port counts: where it is not HTTP there, the host has no route.
    """
    last: dict[int, dict[str, tuple[Service, Speaks]]] = {}
    spoken = set()
    for service in services:
        for port in service.ports:
            last.setdefault(port.number, {})[service.host] = service, port.speaks
            if port.speaks is Speaks.HTTP:
                spoken.add(port.number)
    for number in (each for each in last if each in spoken):
        ours = [
            _virtual_host(service, number, of_host(virtual_services, service.host), workload, envoy_cluster_of)
            for service, speaks in last[number].values()
            if speaks is Speaks.HTTP
        ]
        yield {
            "@type": f"{TYPE}config.route.v3.RouteConfiguration",
            "name": str(number),
            "virtual_hosts": [*_unique(ours), _rest(fallback)],
            "validate_clusters": False,
            "max_direct_response_body_size_bytes": 1048576,
            "ignore_port_in_host_matching": True,
        }


def unknown(virtual_services: Iterable[VirtualService]) -> tuple[str, ...]:
    """Say what the lab leaves out of VirtualServices, a sentence each."""
    notes = []
    for each in virtual_services:
        odd = {name for route in mappings(each.about.spec.get("http")) for name in _unknown(route)}
        if odd:
            listed = ", ".join(sorted(odd))
            about = each.about
            notes.append(f"VirtualService {about.namespace}/{about.name}: the lab does not know {listed} of http routes")
    return tuple(notes)


def _unknown(route: Mapping[str, Any]) -> set[str]:
    odd = set(route) - _KNOWN_FIELDS
    return odd | {f"match.{name}" for match in mappings(route.get("match")) for name in set(match) - _KNOWN_MATCHES}


def _virtual_host(
    service: Service, port: int, named: tuple[VirtualService, ...], workload: Workload, envoy_cluster_of: Named
) -> Resource:
    name = f"{service.host}:{port}"
    # For HTTP the oldest VirtualService of a host is the only one that counts.
    detours = next((each for each in named if each.about.spec.get("http")), None)
    routes = list(_detours(detours, name, port, workload, envoy_cluster_of)) if detours else []
    if not detours:
        envoy_cluster = envoy_cluster_of(Destination(service.host, "", port, 0), port)
        routes = [_route({"prefix": "/"}, {"cluster": envoy_cluster}, name, "default")]
    domains = [service.host] if service.host.startswith("*") else [service.host, f"{service.host}."]
    domains += [str(net.network_address) for net in service.networks if net.prefixlen == net.max_prefixlen]
    return {"name": name, "domains": domains, "routes": routes, "include_request_attempt_count": True}


def _unique(virtual_hosts: Iterable[Resource]) -> Iterator[Resource]:
    """Leave each domain to the first that has it: Envoy refuses a domain that comes twice, as hosts of one address do."""
    seen: set[str] = set()
    for each in virtual_hosts:
        domains = [domain for domain in each["domains"] if domain not in seen]
        seen.update(domains)
        if domains:
            yield {**each, "domains": domains}


def _detours(detours: VirtualService, host: str, port: int, workload: Workload, envoy_cluster_of: Named) -> Iterator[Resource]:
    """Yield a VirtualService's routes; what the lab does not know of a match never matches."""
    for route in mappings(detours.about.spec.get("http")):
        for match in mappings(route.get("match")) or ({},):
            if not applies(match, port, workload) or set(match) - _KNOWN_MATCHES:
                continue
            made = _detour(detours, route, _path(mapping(match.get("uri"))), host, port, envoy_cluster_of)
            if made:
                yield {**made, "metadata": istio_metadata(config=detours.config)}


def _detour(
    detours: VirtualService, route: Mapping[str, Any], match: Resource, host: str, port: int, envoy_cluster_of: Named
) -> Resource | None:
    name = str(route.get("name") or "")
    direct = mapping(route.get("directResponse"))
    if direct:
        return {"match": match, "direct_response": {"status": direct.get("status")}, "name": name}
    destinations = detours.destinations(route)
    if not destinations:
        return None
    names = [envoy_cluster_of(destination, port) for destination in destinations]
    action: Resource = {"cluster": names[0]}
    if len(names) > 1:
        weights = [{"name": one, "weight": each.weight} for one, each in zip(names, destinations, strict=True) if each.weight]
        action = {"weighted_clusters": {"clusters": weights}}
    made = _route(match, action, host, name)
    status = mapping(mapping(route.get("fault")).get("abort")).get("httpStatus")
    if isinstance(status, int):
        abort = {"http_status": status, "percentage": {"numerator": 1000000, "denominator": "MILLION"}}
        fault = {"@type": f"{TYPE}extensions.filters.http.fault.v3.HTTPFault", "abort": abort}
        made["typed_per_filter_config"] = {"envoy.filters.http.fault": fault}
    return made


def _path(uri: Mapping[str, Any]) -> Resource:
    if "exact" in uri:
        return {"path": str(uri["exact"])}
    if "regex" in uri:
        return {"safe_regex": {"regex": str(uri["regex"])}}
    return {"prefix": str(uri.get("prefix") or "/")}


def _route(match: Resource, action: Resource, host: str, name: str) -> Resource:
    previous = {
        "name": "envoy.retry_host_predicates.previous_hosts",
        "typed_config": {"@type": f"{TYPE}extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"},
    }
    retries = {
        "retry_on": _RETRIES,
        "num_retries": 2,
        "retry_host_predicate": [previous],
        "host_selection_retry_max_attempts": "5",
    }
    return {
        "match": match,
        "route": {**action, "timeout": "0s", "retry_policy": retries, "max_grpc_timeout": "0s"},
        "decorator": {"operation": f"{host}/*"},
        "name": name,
    }


def _rest(fallback: str) -> Resource:
    """What no virtual host names: the outbound traffic policy."""
    blocked = fallback == "BlackHoleCluster"
    name = "block_all" if blocked else "allow_any"
    passed = {"route": {"cluster": fallback, "timeout": "0s", "max_grpc_timeout": "0s"}}
    action = {"direct_response": {"status": 502}} if blocked else passed
    route = {"match": {"prefix": "/"}, **action, "name": name}
    return {"name": name, "domains": ["*"], "routes": [route], "include_request_attempt_count": True}
