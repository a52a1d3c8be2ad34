"""HTTP services and VirtualServices -> the sidecar's route configurations, in the layout that istiod gives them.

After istio's `pilot/pkg/networking/core/httproute.go` and `route/route.go`; one route configuration a port.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from egressctl.lab.dataplane.filter_chains import SidecarContext
from egressctl.lab.dataplane.istiod_layout import EnvoyResource, extension, filter_metadata, typed
from egressctl.lab.dataplane.services import MeshService, PortProtocol
from egressctl.lab.dataplane.virtual_services import RouteDestination, VirtualService, match_applies, virtual_services_of_host
from egressctl.model.json_values import mapping_at, mappings_at, value_at

_RETRIES = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
_KNOWN_MATCHES = {"uri", "port", "gateways", "sourceLabels", "sourceNamespace", "name"}
_KNOWN_FIELDS = {"name", "match", "route", "directResponse", "fault", "timeout", "retries"}


def route_configurations(
    context: SidecarContext, services: Iterable[MeshService], virtual_services: tuple[VirtualService, ...]
) -> Iterator[EnvoyResource]:
    """Yield one a port of HTTP services.

    Of several services of one host the last that has the port counts: where it is not HTTP there, the host has no route.
    """
    last: dict[int, dict[str, tuple[MeshService, PortProtocol]]] = {}
    for service in services:
        for port in service.ports:
            last.setdefault(port.number, {})[service.host] = service, port.speaks
    spoken = {port.number for service in services for port in service.ports if port.speaks is PortProtocol.HTTP}
    for number in (each for each in last if each in spoken):
        ours = [
            _virtual_host(context, service, number, virtual_services_of_host(virtual_services, service.host))
            for service, speaks in last[number].values()
            if speaks is PortProtocol.HTTP
        ]
        yield typed(
            "config.route.v3.RouteConfiguration",
            name=str(number),
            virtual_hosts=[*_with_unique_domains(ours), _fallback_virtual_host(context.fallback)],
            validate_clusters=False,
            max_direct_response_body_size_bytes=1048576,
            ignore_port_in_host_matching=True,
        )


def virtual_service_notes(virtual_services: Iterable[VirtualService]) -> tuple[str, ...]:
    """Say what the lab leaves out of VirtualServices, a sentence each."""
    notes = []
    for each in virtual_services:
        odd = {name for route in mappings_at(each.about.spec, "http") for name in _unknown_fields(route)}
        if odd:
            listed = ", ".join(sorted(odd))
            about = each.about
            notes.append(f"VirtualService {about.namespace}/{about.name}: the lab does not know {listed} of http routes")
    return tuple(notes)


def _unknown_fields(route: Mapping[str, Any]) -> set[str]:
    odd = set(route) - _KNOWN_FIELDS
    return odd | {f"match.{name}" for match in mappings_at(route, "match") for name in set(match) - _KNOWN_MATCHES}


def _virtual_host(context: SidecarContext, service: MeshService, port: int, named: tuple[VirtualService, ...]) -> EnvoyResource:
    name = f"{service.host}:{port}"
    # For HTTP the oldest VirtualService of a host is the only one that counts.
    detours = next((each for each in named if each.about.spec.get("http")), None)
    if detours:
        routes = list(_detour_routes(context, detours, name, port))
    else:
        # In small letters, whatever the Envoy cluster of a host in capitals is called: so it has none.
        envoy_cluster = context.envoy_cluster(RouteDestination(service.host.lower(), "", port, 0), port)
        routes = [_route({"prefix": "/"}, {"cluster": envoy_cluster}, name, "default")]
    domains = [service.host] if service.host.startswith("*") else [service.host, f"{service.host}."]
    domains += [block.host for block in service.networks if block.is_one_address]
    return {"name": name, "domains": domains, "routes": routes, "include_request_attempt_count": True}


def _with_unique_domains(virtual_hosts: Iterable[EnvoyResource]) -> Iterator[EnvoyResource]:
    """Leave each domain to the first that has it: Envoy refuses a domain that comes twice, as hosts of one address do."""
    seen: set[str] = set()
    for each in virtual_hosts:
        domains = [domain for domain in each["domains"] if domain.lower() not in seen]
        seen.update(map(str.lower, domains))
        if domains:
            yield {**each, "domains": domains}


def _detour_routes(context: SidecarContext, detours: VirtualService, host: str, port: int) -> Iterator[EnvoyResource]:
    """Yield a VirtualService's routes; what the lab does not know of a match never matches."""
    for route in mappings_at(detours.about.spec, "http"):
        for match in mappings_at(route, "match") or ({},):
            if not match_applies(match, port, context.workload) or set(match) - _KNOWN_MATCHES:
                continue
            path, name = _path_match(mapping_at(match, "uri")), str(route.get("name") or "")
            metadata = filter_metadata(config=detours.config)
            if direct := mapping_at(route, "directResponse"):
                yield {"match": path, "direct_response": {"status": direct.get("status")}, "name": name, "metadata": metadata}
            elif destinations := detours.destinations(route):
                action = context.clusters(destinations, port)
                yield {**_route(path, action, host, name), **_abort(route), "metadata": metadata}


def _abort(route: Mapping[str, Any]) -> EnvoyResource:
    status = value_at(route, "fault", "abort", "httpStatus")
    if not isinstance(status, int):
        return {}
    abort = {"http_status": status, "percentage": {"numerator": 1000000, "denominator": "MILLION"}}
    fault = typed("extensions.filters.http.fault.v3.HTTPFault", abort=abort)
    return {"typed_per_filter_config": {"envoy.filters.http.fault": fault}}


def _path_match(uri: Mapping[str, Any]) -> EnvoyResource:
    if "exact" in uri:
        return {"path": str(uri["exact"])}
    if "regex" in uri:
        return {"safe_regex": {"regex": str(uri["regex"])}}
    return {"prefix": str(uri.get("prefix") or "/")}


def _route(match: EnvoyResource, action: EnvoyResource, host: str, name: str) -> EnvoyResource:
    hosts = "retry_host_predicates.previous_hosts"
    retries = {
        "retry_on": _RETRIES,
        "num_retries": 2,
        "retry_host_predicate": [extension(hosts, "retry.host.previous_hosts.v3.PreviousHostsPredicate")],
        "host_selection_retry_max_attempts": "5",
    }
    return {
        "match": match,
        "route": {**action, "timeout": "0s", "retry_policy": retries, "max_grpc_timeout": "0s"},
        "decorator": {"operation": f"{host}/*"},
        "name": name,
    }


def _fallback_virtual_host(fallback: str) -> EnvoyResource:
    """What no virtual host names: the outbound traffic policy."""
    blocked = fallback == "BlackHoleCluster"
    name = "block_all" if blocked else "allow_any"
    passed = {"route": {"cluster": fallback, "timeout": "0s", "max_grpc_timeout": "0s"}}
    action = {"direct_response": {"status": 502}} if blocked else passed
    route = {"match": {"prefix": "/"}, **action, "name": name}
    return {"name": name, "domains": ["*"], "routes": [route], "include_request_attempt_count": True}
