"""Show the steps of a walk one by one: what was taken there, why, and what was passed over.

The walk is the trace's own, so that the two cannot disagree.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from egressctl.envoy.config import (
    ALLOWING_POLICIES,
    BLACKHOLE,
    DYNAMIC,
    LETS_OUT,
    PASSTHROUGH,
    FilterChain,
    Listener,
    ProxyConfig,
)
from egressctl.envoy.matching import FilterChainChoice, MatchStep
from egressctl.envoy.routes import Route
from egressctl.envoy.walk import WalkDetails, final_envoy_clusters, outbound_policy, walk_with_details, what_is_spoken
from egressctl.model.blocks import Block, parse_block
from egressctl.model.evidence import Walk
from egressctl.model.probe import SILENT, Speech

_MOST_LISTED = 5
_ALL = (Block(4, 0, 0), Block(6, 0, 0))


@dataclass(frozen=True, slots=True)
class NotTaken:
    """A filter chain or a route that was not taken: what it asks for, where it leads, and why it lost, each half a sentence."""

    what: str
    leads_to: str
    why: str


@dataclass(frozen=True, slots=True)
class TraceStep:
    """A step of the way. `kind`: listener, filter-chain, route or envoy-cluster.

    `what` names what was taken there, `why` is half a sentence about it. Of what was passed over the most telling is listed, and
    `more` counts the rest.
    """

    kind: str
    what: str
    why: str
    passed: tuple[NotTaken, ...] = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class Trace:
    """The steps in their order, the walk that they make, and what happens next, half a sentence."""

    walk: Walk
    stations: tuple[TraceStep, ...]
    next: str


def trace(config: ProxyConfig, ip: str, port: int, speech: Speech = SILENT) -> Trace:
    """Say, step by step, where the configuration leads a captured connection to `ip` and `port`."""
    way = walk_with_details(config, ip, port, speech)
    return Trace(way.walk, tuple(_steps(config, way, port)), _what_happens_next(config, way.walk))


def _steps(config: ProxyConfig, way: WalkDetails, port: int) -> Iterator[TraceStep]:
    walk = way.walk
    if way.listener is not None:
        yield TraceStep("listener", way.listener.name, _why_listener(way.listener, own=way.own, port=port))
    if way.choice is not None and way.listener is not None and not way.choice.unknown:
        passed, more = _chains_passed(way.listener, way.choice)
        if way.choice.chain is None:
            yield TraceStep("filter-chain", "none", "no filter chain fits, and there is no default one", passed, more)
        else:
            yield TraceStep("filter-chain", walk.matched, _why_chain(way.listener, way.choice), passed, more)
    if way.routing is not None:
        why = "the first of its virtual host that matches" if way.routing.route else "nothing there matches the request"
        passed, more = _routes_passed(way.routing.passed)
        yield TraceStep("route", walk.http_route, why, passed, more)
    for name in final_envoy_clusters(walk):
        yield TraceStep("envoy-cluster", name, _describe_cluster(config, name))


def _routes_passed(routes: Sequence[Route]) -> tuple[tuple[NotTaken, ...], int]:
    """Return the last routes before the one that was taken, and how many there are before them."""
    told = (NotTaken(_describe_route(each), _route_end(each), "it does not match the request") for each in routes[-_MOST_LISTED:])
    return tuple(told), max(0, len(routes) - _MOST_LISTED)


def _why_listener(listener: Listener, *, own: bool, port: int) -> str:
    if own:
        return "it is that of this address and port"
    if any(number == port and listener.internal for _, number in listener.addresses):
        return f"it takes every address on port {port} that has no listener of its own"
    return f"no other listener is there for port {port}"


def describe_chain(chain: FilterChain) -> str:
    """Say what a filter chain asks of a connection, and its name where it has one."""
    asked = [
        f"port {chain.destination_port}" if chain.destination_port else "",
        ", ".join(map(str, chain.blocks[:3])) + (" ..." if len(chain.blocks) > 3 else ""),
        f"server name {', '.join(chain.server_names[:3])}" if chain.server_names else "",
        what_is_spoken(chain) if not chain.server_names else "",
        ", ".join(chain.criteria),
    ]
    text = ", ".join(each for each in asked if each) or "catch-all"
    return f"{chain.name} ({text})" if chain.name else text


def _why_chain(listener: Listener, choice: FilterChainChoice) -> str:
    if choice.chain is listener.default_filter_chain:
        failed = next((step for step in choice.steps if not step.kept), None)
        return f"no filter chain fits by {_criterion_text(failed)}" if failed else "no filter chain fits"
    return "the only one that fits in every respect"


def _criterion_text(step: MatchStep) -> str:
    return f"{step.criterion} {step.value}" if step.value else f"{step.criterion}: the sidecar sees none"


def _chains_passed(listener: Listener, choice: FilterChainChoice) -> tuple[tuple[NotTaken, ...], int]:
    """Return the filter chains that lost, those that came furthest first, and how many more there are."""
    stages = [listener.filter_chains, *(step.kept for step in choice.steps)]
    lost: list[tuple[FilterChain, MatchStep]] = []
    for (before, kept), step in reversed(list(zip(pairwise(stages), choice.steps, strict=True))):
        staying = set(map(id, kept))
        left = [chain for chain in before if id(chain) not in staying]
        if step.criterion == "block":
            left.sort(key=lambda chain: not any(_block_contains(block, step.value) for block in chain.blocks or _ALL))
        lost += [(chain, step) for chain in left]
    told = (NotTaken(describe_chain(chain), _chain_end(chain), _why_lost(chain, step)) for chain, step in lost[:_MOST_LISTED])
    return tuple(told), max(0, len(lost) - _MOST_LISTED)


def _block_contains(block: Block, address: str) -> bool:
    parsed = parse_block(address)
    return parsed is not None and block.holds(parsed)


def _why_lost(chain: FilterChain, step: MatchStep) -> str:
    if step.criterion == "block":
        shorter = any(_block_contains(block, step.value) for block in chain.blocks or _ALL)
        return f"another has a longer block around {step.value}" if shorter else f"its block does not hold {step.value}"
    if step.criterion == "server name" and step.kept and not chain.server_names:
        return f"another asks for the server name {step.value}"
    also = ", and another does" if step.kept else ""
    return f"it does not fit by {_criterion_text(step)}{also}"


def _chain_end(chain: FilterChain) -> str:
    if chain.http is not None:
        return f"HTTP routes {chain.http.route_name}".rstrip()
    return " or ".join(chain.choices) or chain.envoy_cluster


def _describe_route(route: Route) -> str:
    path = f"{route.path.kind} {route.path.value}".strip()
    headers = [each.name for each in route.headers]
    return "; ".join(each for each in (route.name, path, ", ".join((*headers, *route.criteria))) if each)


def _route_end(route: Route) -> str:
    return " or ".join(route.choices) or route.envoy_cluster or (f"status {route.direct_status}" if route.direct_status else "")


def _describe_cluster(config: ProxyConfig, name: str) -> str:
    """Say what an Envoy cluster is: its type, what it was made from, and to which hosts it connects."""
    if name == BLACKHOLE:
        return "the outbound traffic policy's, which has no hosts"
    known = (config.envoy_clusters or {}).get(name)
    if known is None:
        return "it was not read" if config.envoy_clusters is None else "it does not exist in the sidecar"
    hosts = {
        "ORIGINAL_DST": "it connects to the address that was asked for",
        "STATIC": "it connects to fixed endpoints",
        "EDS": "it connects to endpoints that istiod names",
        "STRICT_DNS": "it connects to what the sidecar resolves the host to",
        "LOGICAL_DNS": "it connects to what the sidecar resolves the host to",
        DYNAMIC: "it connects to what the sidecar resolves the name to that was asked for",
    }
    parts = [known.type or "a type of its own", hosts.get(known.type, "")]
    parts += [f"made for {each.host} of namespace {each.namespace}" for each in known.services]
    parts += [f"shaped by DestinationRule {known.destination_rule}" if known.destination_rule else ""]
    parts += ["wrapped in TLS by the sidecar" if known.tls else ""]
    return ", ".join(each for each in parts if each)


def _what_happens_next(config: ProxyConfig, walk: Walk) -> str:
    if walk.unknown:
        return f"what happens is not known: {walk.unknown}"
    if walk.absent:
        return f"the sidecar refuses it, since the Envoy cluster {walk.envoy_cluster} does not exist (NC)"
    if walk.direct_status:
        return f"the sidecar answers with HTTP status {walk.direct_status} by itself"
    if walk.choices:
        return f"chance decides between {' and '.join(walk.choices)}"
    if walk.envoy_cluster is None:
        return "the sidecar closes the connection"
    if walk.envoy_cluster == BLACKHOLE:
        return "the sidecar closes the connection: the outbound traffic policy is REGISTRY_ONLY"
    if walk.envoy_cluster in LETS_OUT:
        whom = "its own address" if walk.envoy_cluster == PASSTHROUGH else "what it resolves the host to"
        policy = outbound_policy(config) or ALLOWING_POLICIES[0]
        return f"the sidecar lets it out to {whom}: the outbound traffic policy is {policy}"
    known = (config.envoy_clusters or {}).get(walk.envoy_cluster)
    over = " over its own TLS" if known and known.tls else ""
    return f"the sidecar connects through {walk.envoy_cluster}{over}"
