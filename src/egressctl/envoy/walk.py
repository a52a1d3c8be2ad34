"""Follow a sidecar's configuration to the Envoy cluster that would send a connection.

A captured connection enters at the listener virtualOutbound, which hands it to the listener of its original address,
else to that of the port, else keeps it. There a filter chain is chosen (matching.py), and behind one that speaks HTTP a
route (routing.py). Whatever is not understood on the way makes its end unknown.
Source: ConnectionHandlerImpl::getBalancedHandlerByAddress, source/common/listener_manager/connection_handler_impl.cc.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from egressctl.envoy.config import (
    BLACKHOLE,
    CATCH_ALL,
    CATCH_ALL_HTTP,
    OF_POLICY,
    PASSTHROUGH,
    RESOLVED_PASSTHROUGH,
    UNKNOWN_SERVICE,
    VIRTUAL_OUTBOUND,
    FilterChain,
    Listener,
    ProxyConfig,
    parse_outbound_name,
)
from egressctl.envoy.matching import FilterChainChoice, choose_filter_chain, what_inspectors_see
from egressctl.envoy.routes import HttpConnectionManager, RouteConfig
from egressctl.envoy.routing import RouteChoice, find_route
from egressctl.model.blocks import IPAddress, ip_version, parse_address
from egressctl.model.evidence import Walk
from egressctl.model.probe import SILENT, Speech

# Listeners of the sidecar's bootstrap; a dump of the dynamic listeners does not show them.
_BOOTSTRAP_PORTS = {15021, 15090}
_BAD_REQUEST = 400
_NOT_FOUND = 404


class WalkDetails(NamedTuple):
    """The walk, and what was decided at each step on it; None where it was not reached."""

    walk: Walk
    listener: Listener | None = None
    own: bool = False
    """Whether the listener is the address's own."""
    choice: FilterChainChoice | None = None
    routing: RouteChoice | None = None


def walk_config(config: ProxyConfig, ip: str, port: int, speech: Speech = SILENT) -> Walk:
    """Say where the configuration leads a captured connection to `ip` and `port` on which the client speaks like this.

    `unknown` is set where the way is not understood, or is not the same for all that the sidecar may see of it.
    """
    return walk_with_details(config, ip, port, speech).walk


def walk_with_details(config: ProxyConfig, ip: str, port: int, speech: Speech) -> WalkDetails:
    """Walk, and keep what was decided at each step."""
    ways, why = _possible_walks(config, ip, port, speech)
    if all(way.walk == ways[0].walk for way in ways):
        return ways[0]
    # The sidecar may see one thing or another, and that makes a difference.
    why = next((way.walk.unknown for way in ways if way.walk.unknown), why)
    listener = ways[0].walk.listener
    return ways[0]._replace(walk=Walk(listener, "", None, unknown=why), choice=None, routing=None)


def route_names(config: ProxyConfig, ip: str, port: int, speech: Speech) -> frozenset[str]:
    """Name the route configurations on the way, which a walk needs and a dump of the listeners does not hold."""
    chains = (way.choice.chain for way in _possible_walks(config, ip, port, speech)[0] if way.choice)
    asked = speech.authority and not speech.tls
    return frozenset(chain.http.route_name for chain in chains if asked and chain and chain.http and chain.http.route_name)


def _possible_walks(config: ProxyConfig, ip: str, port: int, speech: Speech) -> tuple[Sequence[WalkDetails], str]:
    """Follow the way of each sight that the sidecar may have of the connection; say why there are several."""
    found = _receiving_listener(config, ip, port)
    if isinstance(found, Walk):
        return [WalkDetails(found)], ""
    entrance, listener, address, own = found
    seen, why = what_inspectors_see(entrance, listener, speech)
    if not seen:
        return [WalkDetails(Walk(listener.name, "", None, unknown=why), listener, own)], ""
    choices = [choose_filter_chain(listener, address, port, sight) for sight in seen]
    prefix = str(address) if own else ""
    return [_walk_filter_chain(config, listener, own, prefix, choice, speech) for choice in choices], why


def _receiving_listener(config: ProxyConfig, ip: str, port: int) -> Walk | tuple[Listener, Listener, IPAddress, bool]:
    """Return virtualOutbound, the listener that takes the connection, its address, and whether it is that address's own.

    A walk that ends before is returned as it is.
    """
    address = parse_address(ip)
    if address is None:
        return Walk("", "", None, unknown=f"{ip!r} is no IP address")
    if config.listeners is None:
        return Walk("", "", None, unknown="the sidecar's listeners were not read")
    entrance = config.listener(VIRTUAL_OUTBOUND)
    if entrance is None:
        return Walk("", "", None, unknown=f"the sidecar has no listener {VIRTUAL_OUTBOUND}")
    if not entrance.use_original_dst:
        return Walk(entrance.name, "", None, unknown=f"listener {entrance.name} does not hand over by original destination")
    wildcard = "0.0.0.0" if address.version == 4 else "::"  # noqa: S104 - what Envoy listens on, not this program
    own = (str(address), port) in config.by_address
    found = config.by_address.get((str(address) if own else wildcard, port), ())
    if len(found) > 1:
        return Walk("", "", None, unknown=f"several listeners have the address {ip} and port {port}")
    if not found and port in _BOOTSTRAP_PORTS:
        return Walk("", "", None, unknown=f"port {port} is one of the sidecar's own")
    listener = found[0] if found else entrance
    if listener is not entrance and not listener.internal:
        return Walk(listener.name, "", None, unknown=f"listener {listener.name} is one of the sidecar's own")
    if unknown := entrance.unknown or listener.unknown:
        return Walk(listener.name, "", None, unknown=unknown)
    return entrance, listener, address, own


def _walk_filter_chain(
    config: ProxyConfig, listener: Listener, own: bool, prefix: str, choice: FilterChainChoice, speech: Speech
) -> WalkDetails:
    chain, routing = choice.chain, None
    if chain is None:
        return WalkDetails(Walk(listener.name, "", None, prefix, choice.unknown), listener, own, choice)
    walk = Walk(
        listener.name,
        chain.name,
        None if chain.unknown else chain.envoy_cluster or None,
        choice.block or prefix,
        chain.unknown,
        server_name=choice.server_name,
        matched=_what_matched(listener, chain, choice, prefix),
        virtual_service=chain.route,
        choices=() if chain.unknown else chain.choices,
    )
    if not chain.unknown and chain.http is not None:
        walk, routing = _walk_http_route(config, chain.http, walk, speech)
    elif not chain.unknown:
        walk = _mark_missing_cluster(config, walk)
    return WalkDetails(walk, listener, own, choice, routing)


def _what_matched(listener: Listener, chain: FilterChain, choice: FilterChainChoice, own_address: str) -> str:
    """Say by what a filter chain was chosen: what it asks for, or that it takes whatever no other does."""
    if chain is listener.default_filter_chain:
        return f"default ({chain.name})" if chain.name else "default"
    asked = [
        choice.block or own_address,
        f"port {chain.destination_port}" if chain.destination_port else "",
        f"server name {choice.server_name}" if choice.server_name else "",
        what_is_spoken(chain) if not choice.server_name else "",
    ]
    text = ", ".join(each for each in asked if each) or "catch-all"
    return f"{text} ({chain.name})" if chain.name else text


def what_is_spoken(chain: FilterChain) -> str:
    """Name what a filter chain asks the client to speak; empty where anything will do."""
    encrypted = chain.transport_protocol == "tls"
    if "http/1.1" in chain.application_protocols:
        return "HTTP over TLS" if encrypted else "plain HTTP"
    return {"tls": "TLS", "raw_buffer": "no TLS"}.get(chain.transport_protocol, "/".join(chain.application_protocols))


def _mark_missing_cluster(config: ProxyConfig, reached: Walk, status: int = 0) -> Walk:
    """Say so where the Envoy cluster does not exist; a request over HTTP is then answered with this status."""
    name = reached.envoy_cluster
    if not name or config.envoy_clusters is None or name in config.envoy_clusters:
        return reached
    if name not in (*OF_POLICY, UNKNOWN_SERVICE) and parse_outbound_name(name) is None:
        # The bootstrap may hold one of such a name, and only those of istiod are read.
        return replace(reached, envoy_cluster=None, unknown=f"the Envoy cluster {name} is none that istiod makes")
    return replace(reached, absent=True, direct_status=status)


def _walk_http_route(
    config: ProxyConfig, http: HttpConnectionManager, walk: Walk, speech: Speech
) -> tuple[Walk, RouteChoice | None]:
    if http.codec not in ("AUTO", "HTTP1"):
        return replace(walk, unknown=f"the filter chain speaks {http.codec} only"), None
    if speech.tls:
        # What is no HTTP is answered as a bad request, in plain text.
        return replace(walk, direct_status=_BAD_REQUEST), None
    routes, unknown = _routes(config, http)
    if not speech.authority:
        unknown = "the filter chain speaks HTTP, and what the client says is not known"
    if routes is None or unknown:
        return replace(walk, unknown=unknown), None
    routing = find_route(routes, speech)
    host, route = routing.virtual_host, routing.route
    steps = (routes.name, host and host.name, route and (route.name or f"route {len(routing.passed) + 1}"))
    walk = replace(walk, unknown=routing.unknown, http_route=" / ".join(each for each in steps if each))
    if routing.unknown:
        return replace(walk, virtual_service=(route.virtual_service if route else "") or walk.virtual_service), routing
    if route is None:
        # All that a virtual host has may be one VirtualService's work: then it is that which has no route for the request.
        made_by = {each.virtual_service for each in routing.passed}
        behind = made_by.pop() if len(made_by) == 1 else ""
        return replace(walk, direct_status=_NOT_FOUND, virtual_service=behind or walk.virtual_service, unrouted=True), routing
    walk = replace(
        walk,
        envoy_cluster=route.envoy_cluster or None,
        choices=route.choices,
        direct_status=route.direct_status,
        virtual_service=route.virtual_service or walk.virtual_service,
        authority=route.authority if _host_of(route.authority) != _host_of(speech.authority) else "",
    )
    return _mark_missing_cluster(config, walk, route.not_found_status), routing


def _host_of(authority: str) -> str:
    """Return an authority's host without its port, in small letters."""
    host, colon, port = authority.lower().rpartition(":")
    return host if colon and port.isdigit() else authority.lower()


def _routes(config: ProxyConfig, http: HttpConnectionManager) -> tuple[RouteConfig | None, str]:
    if http.routes is not None:
        return http.routes, ""
    if config.routes is None:
        return None, f"the sidecar's route configuration {http.route_name} was not read"
    found = config.routes.get(http.route_name)
    return found, "" if found else f"the sidecar has no route configuration {http.route_name}"


def final_envoy_clusters(walk: Walk) -> tuple[str, ...]:
    """Name the Envoy clusters that a walk ends at: none, one, or those of which chance takes one."""
    return walk.choices or ((walk.envoy_cluster,) if walk.envoy_cluster else ())


def listens_for(config: ProxyConfig | None, ip: str) -> bool | None:
    """Say whether virtualOutbound listens on an address of this one's IP family; None where that is not known."""
    entrance, version = config.listener(VIRTUAL_OUTBOUND) if config else None, ip_version(ip)
    if entrance is None or not entrance.addresses or not version:
        return None
    return any(ip_version(each) == version for each, _ in entrance.addresses)


def outbound_policy(config: ProxyConfig) -> str:
    """Return the outbound traffic policy that this sidecar has, as MeshConfig writes it, or "" where it is not known.

    The name of a listener's default filter chain says nothing: it is PassthroughFilterChain under REGISTRY_ONLY as well.
    """
    entrance = config.listener(VIRTUAL_OUTBOUND)
    chains = entrance.filter_chains if entrance else ()
    ends = [chain.envoy_cluster for chain in chains if chain.name == CATCH_ALL]
    by_http = [chain.http for chain in chains if chain.name == CATCH_ALL_HTTP]
    if by_http:
        routes = [http.routes for http in by_http if http and http.routes]
        led = {route.envoy_cluster for each in routes for host in each.virtual_hosts for route in host.routes}
        return "ALLOW_ANY_DYNAMIC_DNS" if (led, ends) == ({RESOLVED_PASSTHROUGH}, [PASSTHROUGH]) else ""
    return {BLACKHOLE: "REGISTRY_ONLY", PASSTHROUGH: "ALLOW_ANY"}.get(ends[0], "") if len(ends) == 1 else ""
