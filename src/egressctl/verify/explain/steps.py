"""Show the path of a URL from a pod step by step, of what was read of pod, sidecar and mesh. Pure: nothing is sent.

Whether a connection really goes through the sidecar, only one that is sent can show; from the step `capture` on, the
steps are those of a connection that does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from egressctl.envoy.config import (
    ALLOWING_POLICIES,
    BLACKHOLE,
    DYNAMIC,
    LETS_OUT,
    OF_POLICY,
    PASSTHROUGH,
    ProxyConfig,
    parse_outbound_name,
)
from egressctl.envoy.counts import ClusterCounts
from egressctl.envoy.trace import NotTaken, trace
from egressctl.envoy.trace import TraceStep as TracedStation
from egressctl.envoy.walk import final_envoy_clusters, outbound_policy
from egressctl.istio.gateway_api import origin_of_route
from egressctl.model.blocks import bracketed
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.entry import ServiceEntry
from egressctl.model.evidence import Evidence, Owner, Ownership, Source, Walk
from egressctl.model.probe import Probe
from egressctl.runtime.sanitize import quote
from egressctl.verify.causes import explain_cause
from egressctl.verify.explain.owner import case_without_request, owner_of_path, why_not_reached
from egressctl.verify.explain.steps_before_sidecar import (
    ExplainFacts,
    ResolvedProbe,
    Step,
    capture_step,
    pod_step,
    steps_to_address,
)


@dataclass(frozen=True, slots=True)
class ExplainedPath:
    """The path of one URL to one of its addresses, as far as it can be known without sending anything.

    `carrier` is the ServiceEntry whose Envoy cluster it leads to. `target` names the one that should send it, empty for a
    bare URL; `reached` says whether it does (None: not known), and `cause` why not. `next` is half a sentence: what becomes
    of the connection. `unknown` says what could not be explained, in half a sentence.
    """

    url: str
    ip: str
    address: str
    resolved_by: str
    stations: tuple[Step, ...]
    next: str
    goes_out: bool | None
    walk: Walk | None = None
    losers: tuple[NotTaken, ...] = ()
    more_losers: int = 0
    carrier: ServiceEntry | None = None
    target: str = ""
    reached: bool | None = None
    cause: Cause | None = None
    unknown: str = ""
    hint: str = ""
    """The next command to type where something is unknown."""


def path_without_address(probe: Probe, source: Source, by: str, why: str, *, certain: bool, target: str = "") -> ExplainedPath:
    """Return the path of a URL whose name has no address: it ends at once where the pod itself has none (`certain`)."""
    stations = (pod_step(source), Step("name", why, None if not certain else False))
    then = f"nothing is sent: {why}" if certain else "what happens is not known without an address (--address IP)"
    goes_out = False if certain else None
    blank = ExplainedPath(probe.url, "", "", by, stations, then, goes_out, target=target)
    return (
        blank
        if certain
        else replace(blank, unknown=why, hint=f"name an address: egressctl explain {quote(probe.url)} --address IP")
    )


def explain_path(place: ResolvedProbe, seen: ExplainFacts) -> ExplainedPath:
    """Show the path to one address, step by step."""
    source = seen.source
    start = list(steps_to_address(place, source, seen.entries))
    blank = ExplainedPath(
        place.probe.url, place.ip, place.address, place.by, tuple(start), "", None, target=_target_name(place, source)
    )
    if source.lacks_family_of(place.ip):
        cause = explain_cause(CauseCode.IP_FAMILY, case_without_request(place, seen, Evidence()))
        start[-1] = Step("address", cause.message, None)
        then = "no connection is made, unless the network of the pod translates between the families"
        return replace(blank, stations=tuple(start), next=then, cause=cause)
    if source.ambient:
        return _path_without_sidecar(blank, place, seen, "ztunnel, not a sidecar, takes the pod's connections", CauseCode.AMBIENT)
    if source.proxy is None:
        return _path_without_sidecar(blank, place, seen, "the pod has no sidecar", CauseCode.NO_SIDECAR)
    start.append(capture_step(place, seen))
    if seen.config is None:
        start.append(Step("sidecar", seen.unreadable or "it was not read", None))
        told = seen.unreadable or "the sidecar was not read"
        then = "what the sidecar does is not known"
        return replace(blank, stations=tuple(start), next=then, unknown=told, hint=_doctor_command(source))
    return _path_through_sidecar(replace(blank, stations=tuple(start)), place, seen, seen.config)


def needs_mesh_objects(path: ExplainedPath) -> bool:
    """Say whether the cause of a path, or whose it is, may lie in other objects of the mesh."""
    if path.walk is None:
        return False
    # Of names that Envoy resolves, only all entries together say whose Envoy cluster it is.
    to = parse_outbound_name(path.walk.envoy_cluster or "")
    return path.cause is not None or (path.carrier is None and to is not None and to.host.startswith("*"))


def _doctor_command(source: Source) -> str:
    return f"egressctl doctor -n {quote(source.namespace)} --pod {quote(source.pod)}"


def _path_without_sidecar(
    blank: ExplainedPath, place: ResolvedProbe, seen: ExplainFacts, why: str, code: CauseCode
) -> ExplainedPath:
    ambient = code is CauseCode.AMBIENT
    cause = explain_cause(code, case_without_request(place, seen, Evidence())) if place.entry_name or ambient else None
    return replace(
        blank,
        stations=(*blank.stations, Step("capture", why, None if ambient else False)),
        next=f"which path it takes is not known: {why}" if ambient else f"it goes to {place.address} itself: {why}",
        goes_out=None if ambient else True,
        reached=None if ambient or not place.entry_name else False,
        cause=cause,
        unknown=why if ambient else "",
        hint=cause.hint if cause and ambient else "",
    )


def _path_through_sidecar(start: ExplainedPath, place: ResolvedProbe, seen: ExplainFacts, config: ProxyConfig) -> ExplainedPath:
    """Go on where the sidecar takes the connection."""
    traced = trace(config, place.ip, place.probe.port, place.probe.speech)
    walk = traced.walk
    hosts = _hosts_of_cluster(walk, config, seen.counts, place)
    told = list(start.stations)
    losers: tuple[NotTaken, ...] = ()
    more = 0
    for each in traced.stations:
        told.append(_step_from_trace(each, walk, hosts))
        if each.kind == "filter-chain":
            losers, more = each.passed, each.more
    found = replace(start, walk=walk, losers=losers, more_losers=more, unknown=walk.unknown)
    if walk.unknown:
        told.append(Step("Envoy cluster", f"not known: {walk.unknown}", None))
        hint = f"see which path it takes: egressctl verify --probe {quote(place.probe.url)}"
        return replace(found, stations=tuple(told), next=f"what happens is not known: {walk.unknown}", hint=hint)
    carrier, owner = owner_of_path(place, walk, config, seen)
    reached = _reaches_target(place, owner, walk)
    cause = why_not_reached(place, seen, config, walk, owner, hosts)
    if walk.virtual_service:
        behind = origin_of_route(walk.virtual_service, seen.around)
        which = walk.virtual_service if behind.kind == "VirtualService" else str(behind)
        told.append(
            Step("VirtualService", f"{which} {'has no route for it' if walk.unrouted else 'routes it'}", not walk.unrouted)
        )
    if final_envoy_clusters(walk):
        told.append(_service_entry_step(place, walk, carrier, owner, reached, seen.source))
    then, goes_out = _what_happens_next(walk, config, hosts, place)
    return replace(
        found,
        stations=tuple(told),
        next=then,
        goes_out=goes_out,
        carrier=carrier,
        reached=reached,
        cause=cause,
    )


def _step_from_trace(station: TracedStation, walk: Walk, hosts: Sequence[str] | None) -> Step:
    text = f"{station.what}: {station.why}" if station.why else station.what
    if station.kind == "filter-chain":
        return Step("filter chain", text, None if walk.unknown and not walk.filter_chain else station.what != "none")
    if station.kind == "route":
        return Step("HTTP route", text, None if walk.unknown else not walk.direct_status or walk.absent)
    if station.kind != "envoy-cluster":
        return Step(station.kind, text, True)
    if walk.choices:
        return Step("Envoy cluster", f"perhaps {text}", None)
    dead = station.what == BLACKHOLE or walk.absent or hosts == ()
    if hosts and not station.why.startswith("ORIGINAL_DST") and station.what not in LETS_OUT:
        text = f"{text}, with the host{'s' if len(hosts) > 1 else ''} {_join_hosts(hosts)}"
    elif hosts == () and not walk.absent and station.what != BLACKHOLE:
        text = f"{text}, and has no hosts"
    return Step("Envoy cluster", text, not dead)


def _hosts_of_cluster(
    walk: Walk, config: ProxyConfig, counts: ClusterCounts | None, place: ResolvedProbe
) -> tuple[str, ...] | None:
    """Name the hosts that the Envoy cluster connects to: the address itself, or its own; None where they are not known."""
    known = (config.envoy_clusters or {}).get(walk.envoy_cluster or "")
    if walk.envoy_cluster == PASSTHROUGH or (known is not None and known.type == "ORIGINAL_DST"):
        return (place.address,)
    if known is not None and known.type == DYNAMIC:
        return (f"{place.probe.host}:{place.probe.port}",)
    if known is None or not known.type or counts is None or known.name not in counts:
        return None
    return tuple(f"{bracketed(ip)}:{port}" for ip, port in counts[known.name].hosts)


def _reaches_target(place: ResolvedProbe, owner: Owner | None, walk: Walk) -> bool | None:
    if not place.entry_name:
        return None
    if not final_envoy_clusters(walk) or walk.absent:
        return False
    if owner is None or owner.ownership is Ownership.UNKNOWN:
        return None
    return owner.ownership is Ownership.OWNED


def _service_entry_step(
    place: ResolvedProbe, walk: Walk, carrier: ServiceEntry | None, owner: Owner | None, reached: bool | None, source: Source
) -> Step:
    """Say whose way it is: True for the wanted entry's, or, for a bare URL, any one's."""
    if walk.envoy_cluster in OF_POLICY:
        return Step("ServiceEntry", "none: the outbound traffic policy decides", False)
    reason = owner.reason if owner else ""
    if place.probe.expect.via:
        return Step("meant way", reason, reached)
    whose = str(carrier) if carrier else "none that is known"
    instead = f", not {_target_name(place, source)}" if place.entry_name and reached is False else ""
    passed = reached if place.entry_name and (carrier or reached is False) else True if carrier else None
    text = reason if reason.startswith(f"{whose} ") and not instead else f"{whose}{instead}: {reason}"
    return Step("ServiceEntry", text, passed)


def _target_name(place: ResolvedProbe, source: Source) -> str:
    if not place.entry_name:
        return ""
    return str(place.entry) if place.entry else f"{place.namespace or source.namespace}/{place.entry_name}"


def _what_happens_next(
    walk: Walk, config: ProxyConfig, hosts: Sequence[str] | None, place: ResolvedProbe
) -> tuple[str, bool | None]:
    """Say in half a sentence what becomes of the connection, and whether it leaves the pod."""
    tls = place.probe.speech.tls
    closes = "the sidecar closes the connection" + (" before the TLS handshake" if tls else "")
    if walk.direct_status:
        why = f", since the Envoy cluster {walk.envoy_cluster} does not exist" if walk.absent else ""
        return f"the sidecar answers with HTTP {walk.direct_status} by itself{why}", False
    if walk.absent:
        return f"{closes}: the Envoy cluster {walk.envoy_cluster} does not exist", False
    if walk.choices:
        return f"chance decides between {' and '.join(walk.choices)}", None
    if walk.envoy_cluster is None:
        return f"{closes}: no filter chain takes it", False
    if walk.envoy_cluster == BLACKHOLE:
        ends = "the sidecar answers with HTTP 503 by itself" if walk.http_route else closes
        return f"{ends}: the outbound traffic policy is REGISTRY_ONLY, and no ServiceEntry takes it", False
    if walk.envoy_cluster in LETS_OUT:
        whom = f"{place.address} itself" if walk.envoy_cluster == PASSTHROUGH else f"what it resolves {place.probe.host} to"
        policy = outbound_policy(config) or ALLOWING_POLICIES[0]
        return f"the sidecar lets it out to {whom}: the outbound traffic policy is {policy}", True
    if hosts == ():
        return (f"{closes}: its Envoy cluster has no hosts" if not walk.http_route else _NO_HOSTS), False
    known = (config.envoy_clusters or {}).get(walk.envoy_cluster)
    wrapped = " with its own TLS" if known and known.tls else ""
    inside = ", so TLS arrives inside TLS" if wrapped and tls else ""
    to = _join_hosts(hosts) if hosts else f"a host of {walk.envoy_cluster}"
    return f"the sidecar connects to {to}{wrapped}{inside}", True


_NO_HOSTS = "the sidecar answers with HTTP 503 by itself: its Envoy cluster has no hosts"
_MOST_HOSTS = 3


def _join_hosts(hosts: Sequence[str]) -> str:
    more = f" or {len(hosts) - _MOST_HOSTS} more" if len(hosts) > _MOST_HOSTS else ""
    return " or ".join(hosts[:_MOST_HOSTS]) + more
