"""Tell the way of a URL from a pod station by station, of what was read of pod, sidecar and mesh. Pure: nothing is sent.

Whether a connection really goes through the sidecar, only one that is sent can show; from the station `capture` on, the
stations are those of a connection that does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from egressctl import envoy, ownership
from egressctl.causes import Situation, explain
from egressctl.diagnosis import why_not_ours, wraps
from egressctl.envoy import BLACKHOLE, PASSTHROUGH, VIRTUAL_OUTBOUND
from egressctl.interception import JUDGED, left_out
from egressctl.model import (
    Cause,
    CauseCode,
    Evidence,
    Outcome,
    Owner,
    Ownership,
    Probe,
    ServiceEntry,
    Source,
    Speech,
    Surroundings,
    Walk,
)
from egressctl.names import auto_allocated, network
from egressctl.ownership import exported


@dataclass(frozen=True, slots=True)
class Station:
    """A station of the way: its name, what is known of it, and whether the way goes on there (None: not known)."""

    name: str
    text: str
    passed: bool | None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a URL leads: the probe that it makes, its address, and who resolved it; `note` is why it was not the pod.

    `entry_name` is that of the ServiceEntry that should carry it, empty for a bare URL; `entry` is that on the Kubernetes
    cluster, None where it is not there.
    """

    probe: Probe
    ip: str
    by: str
    note: str = ""
    entry_name: str = ""
    entry: ServiceEntry | None = None

    @property
    def address(self) -> str:
        return f"[{self.ip}]:{self.probe.port}" if ":" in self.ip else f"{self.ip}:{self.probe.port}"


@dataclass(frozen=True)
class Seen:
    """What was read: the pod, its sidecar, the ServiceEntries (None: none could be), and, on demand, what else is around.

    `config` and `counts` are None where the sidecar was not read; `unreadable` then says why.
    """

    source: Source
    config: envoy.ProxyConfig | None = None
    counts: envoy.ClusterCounts | None = None
    entries: Sequence[ServiceEntry] | None = None
    around: Callable[[], Surroundings | None] = lambda: None
    unreadable: str = ""


@dataclass(frozen=True, slots=True)
class Path:
    """The way of one URL to one of its addresses, as far as it can be told without sending anything.

    `carrier` is the ServiceEntry whose Envoy cluster it leads to. `target` names the one that should carry it, empty for a
    bare URL; `carried` says whether it does (None: not known), and `cause` why not. `next` is half a sentence: what becomes
    of the connection. `unknown` says what could not be explained, in half a sentence.
    """

    url: str
    ip: str
    address: str
    resolved_by: str
    stations: tuple[Station, ...]
    next: str
    goes_out: bool | None
    walk: Walk | None = None
    losers: tuple[envoy.Passed, ...] = ()
    more_losers: int = 0
    carrier: ServiceEntry | None = None
    target: str = ""
    carried: bool | None = None
    cause: Cause | None = None
    unknown: str = ""


def unresolved(probe: Probe, source: Source, by: str, why: str, *, certain: bool, target: str = "") -> Path:
    """Return the way of a URL whose name has no address: it ends at once where the pod itself has none (`certain`)."""
    stations = (_pod(source), Station("name", why, None if not certain else False))
    then = f"nothing is sent: {why}" if certain else "what happens is not known without an address (--address IP)"
    goes_out = False if certain else None
    return Path(probe.url, "", "", by, stations, then, goes_out, target=target, unknown="" if certain else why)


def path(place: Place, seen: Seen) -> Path:
    """Tell the way to one address, station by station."""
    source = seen.source
    start = [_pod(source), *_name(place), _address(place, seen.entries)]
    blank = Path(place.probe.url, place.ip, place.address, place.by, tuple(start), "", None, target=_target(place, source))
    if source.ambient:
        return _without_sidecar(blank, place, seen, "ztunnel, not a sidecar, takes the pod's connections", CauseCode.AMBIENT)
    if source.proxy is None:
        return _without_sidecar(blank, place, seen, "the pod has no sidecar", CauseCode.NO_SIDECAR)
    start.append(_capture(place, seen))
    if seen.config is None:
        start.append(Station("sidecar", seen.unreadable or "it was not read", None))
        told = seen.unreadable or "the sidecar was not read"
        return replace(blank, stations=tuple(start), next="what the sidecar does is not known", unknown=told)
    return _through(replace(blank, stations=tuple(start)), place, seen, seen.config)


def _without_sidecar(blank: Path, place: Place, seen: Seen, why: str, code: CauseCode) -> Path:
    ambient = code is CauseCode.AMBIENT
    cause = explain(code, _situation(place, seen, Evidence())) if place.entry_name or ambient else None
    return replace(
        blank,
        stations=(*blank.stations, Station("capture", why, None if ambient else False)),
        next=f"which way it takes is not known: {why}" if ambient else f"it goes to {place.address} itself: {why}",
        goes_out=None if ambient else True,
        carried=None if ambient or not place.entry_name else False,
        cause=cause,
        unknown=why if ambient else "",
    )


def _through(start: Path, place: Place, seen: Seen, config: envoy.ProxyConfig) -> Path:
    """Go on where the sidecar takes the connection."""
    trace = envoy.trace(config, place.ip, place.probe.port, place.probe.speech)
    walk = trace.walk
    hosts = _hosts(walk, config, seen.counts, place)
    told = list(start.stations)
    losers: tuple[envoy.Passed, ...] = ()
    more = 0
    for each in trace.stations:
        told.append(_of_trace(each, walk, config, hosts))
        if each.kind == "filter-chain":
            losers, more = each.passed, each.more
    found = replace(start, walk=walk, losers=losers, more_losers=more, unknown=walk.unknown)
    if walk.unknown:
        told.append(Station("Envoy cluster", f"not known: {walk.unknown}", None))
        return replace(found, stations=tuple(told), next=f"what happens is not known: {walk.unknown}", goes_out=None)
    carrier, owner = _claimant(place, walk, config, seen)
    carried = _carried(place, owner, walk)
    cause = _why_not(place, seen, config, walk, owner, hosts)
    if envoy.led_to(walk):
        told.append(_service_entry(place, walk, carrier, owner, carried, seen))
    then, goes_out = _next(walk, config, hosts, place)
    return replace(
        found,
        stations=tuple(told),
        next=then,
        goes_out=goes_out,
        carrier=carrier,
        carried=carried,
        cause=cause,
    )


# Before the sidecar


def _pod(source: Source) -> Station:
    several = f", newest of {source.chosen_of} ready" if source.chosen_of > 1 else ""
    return Station("pod", f"{source.namespace}/{source.pod}, container {source.container}{several}", True)


def _name(place: Place) -> Iterator[Station]:
    if place.by == "the URL":
        return
    if place.by == "--address":
        yield Station("name", f"{place.probe.host} is taken to be {place.ip}, as --address says", True)
        return
    note = f" ({place.note}; the pod may resolve it otherwise)" if place.note else ""
    yield Station("name", f"{place.probe.host} is {place.ip}, as {place.by} resolves it{note}", None if place.note else True)


def _address(place: Place, entries: Sequence[ServiceEntry] | None) -> Station:
    block = network(place.ip)
    holders = [each for each in entries or () if block and any(network(address) == block for address in each.allocated)]
    if holders:
        return Station("address", f"{place.address}, which Istio gave {holders[0]}: the sidecar's own DNS answers with it", True)
    if block and auto_allocated(block):
        return Station("address", f"{place.address}, one that Istio gives to entries without addresses of their own", True)
    named = [
        each
        for each in entries or ()
        if place.note and each.allocated and any(ownership.matches_host(host, place.probe.host) for host in each.hosts)
    ]
    if named:
        other = named[0].allocated[0]
        return Station("address", f"{place.address}; in the pod it may be {other}, which Istio gave {named[0]}", None)
    return Station("address", place.address, True)


def _capture(place: Place, seen: Seen) -> Station:
    """Say what is known of the interception: a connection that is sent can show it, and nothing else can."""
    source = seen.source
    shown = f"only a request that is sent shows it: egressctl verify --probe {place.probe.url}"
    unready = f"container {source.proxy} is not ready ({source.proxy_state or 'its status says so'}); "
    doubts = list(_doubts(place, seen))
    perhaps = f"perhaps not by the sidecar: {'; '.join(doubts)} (a hint); " if doubts else ""
    return Station("capture", f"{unready if not source.proxy_ready else ''}{perhaps}{shown}", None)


def _doubts(place: Place, seen: Seen) -> Iterator[str]:
    source = seen.source
    if out := left_out(source.interception, place.ip, place.probe.port):
        yield out
    # The annotations that decide by address were held against this one.
    yield from (hint for hint in source.hints if not any(f"/{word} " in hint for word in JUDGED))
    entrance = seen.config.listener(VIRTUAL_OUTBOUND) if seen.config else None
    version = ip_address(place.ip).version
    if entrance and entrance.addresses and not any(ip_address(each).version == version for each, _ in entrance.addresses):
        yield f"the sidecar listens for no IPv{version}"


# In the sidecar


def _of_trace(station: envoy.Station, walk: Walk, config: envoy.ProxyConfig, hosts: Sequence[str] | None) -> Station:
    text = f"{station.what}: {station.why}" if station.why else station.what
    if station.kind == "filter-chain":
        return Station("filter chain", text, None if walk.unknown and not walk.filter_chain else station.what != "none")
    if station.kind == "route":
        return Station("HTTP route", text, None if walk.unknown else not walk.direct_status or walk.absent)
    if station.kind != "envoy-cluster":
        return Station(station.kind, text, True)
    if walk.choices:
        return Station("Envoy cluster", f"perhaps {text}", None)
    dead = station.what == BLACKHOLE or walk.absent or hosts == ()
    if hosts:
        text = f"{text}, with the host{'s' if len(hosts) > 1 else ''} {_listed(hosts)}"
    elif hosts == () and not walk.absent and station.what != BLACKHOLE:
        text = f"{text}, and has no hosts"
    return Station("Envoy cluster", text, not dead)


def _hosts(walk: Walk, config: envoy.ProxyConfig, counts: envoy.ClusterCounts | None, place: Place) -> tuple[str, ...] | None:
    """Name the hosts that the Envoy cluster connects to: the address itself, or its own; None where they are not known."""
    known = (config.envoy_clusters or {}).get(walk.envoy_cluster or "")
    if walk.envoy_cluster == PASSTHROUGH or (known is not None and known.type == "ORIGINAL_DST"):
        return (place.address,)
    if known is None or not known.type or counts is None or known.name not in counts:
        return None
    return tuple(f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}" for ip, port in counts[known.name].hosts)


def _claimant(place: Place, walk: Walk, config: envoy.ProxyConfig, seen: Seen) -> tuple[ServiceEntry | None, Owner | None]:
    """Return the ServiceEntry whose Envoy cluster it is, and whether that is the wanted one's; for a bare URL, whose it is."""
    names = envoy.led_to(walk)
    if not names or names[0] in (BLACKHOLE, PASSTHROUGH):
        own = None if not place.entry_name else Owner(Ownership.OTHERS, "the way leads to no ServiceEntry's Envoy cluster")
        return None, own
    if seen.entries is None:
        return None, Owner(Ownership.UNKNOWN, "the ServiceEntries could not be listed")
    each_way = [replace(walk, envoy_cluster=name, choices=()) for name in names]
    found = [_owned_by(place, way, config, seen.entries, seen.source.namespace) for way in each_way]
    carriers = {str(entry): entry for entry, _ in found if entry is not None}
    carrier = next(iter(carriers.values())) if len(carriers) == 1 and all(entry for entry, _ in found) else None
    owners = [owner for _, owner in found if owner is not None]
    if via := place.probe.expect.via:
        return carrier, ownership.meant(walk, via)
    if len({each.ownership for each in owners}) > 1:
        return carrier, Owner(Ownership.UNKNOWN, f"chance decides between {' and '.join(names)}")
    return carrier, owners[0] if owners else None


def _owned_by(
    place: Place, walk: Walk, config: envoy.ProxyConfig, entries: Sequence[ServiceEntry], pod_namespace: str
) -> tuple[ServiceEntry | None, Owner | None]:
    def ask(entry: ServiceEntry) -> Owner:
        others = [each for each in entries if (each.namespace, each.name) != (entry.namespace, entry.name)]
        return ownership.owner(walk, config, entry, others, place.probe.port, pod_namespace=pod_namespace)

    wanted = ask(place.entry) if place.entry else None
    if place.entry and wanted and wanted.ownership is Ownership.OWNED:
        return place.entry, wanted
    to = envoy.destination(walk.envoy_cluster or "")
    for entry in entries:
        if to and to.host in entry.hosts and entry is not place.entry:
            found = ask(entry)
            if found.ownership is Ownership.OWNED:
                if wanted is None and place.entry_name:
                    wanted = Owner(Ownership.OTHERS, f"it is the Envoy cluster of {entry}", entry)
                return entry, wanted or found
    return None, wanted or Owner(Ownership.UNKNOWN, "no ServiceEntry that may be read claims it")


def _carried(place: Place, owner: Owner | None, walk: Walk) -> bool | None:
    if not place.entry_name:
        return None
    if not envoy.led_to(walk):
        return False
    if owner is None or owner.ownership is Ownership.UNKNOWN:
        return None
    return owner.ownership is Ownership.OWNED


def _service_entry(
    place: Place, walk: Walk, carrier: ServiceEntry | None, owner: Owner | None, carried: bool | None, seen: Seen
) -> Station:
    if walk.envoy_cluster in (BLACKHOLE, PASSTHROUGH):
        return Station("ServiceEntry", "none: the outbound traffic policy decides", False)
    reason = owner.reason if owner else ""
    wanted = f"{_target(place, seen.source)}, " if place.entry_name and not carried else ""
    if place.probe.expect.via:
        return Station("way that is meant", reason, carried)
    if carrier is not None and (carried or not place.entry_name):
        return Station("ServiceEntry", f"{carrier}: {reason}" if reason else str(carrier), True)
    if carrier is not None:
        return Station("ServiceEntry", f"{carrier}, not {wanted.removesuffix(', ')}: {reason}", False)
    not_this = f", not {wanted.removesuffix(', ')}" if carried is False else ""
    return Station("ServiceEntry", f"none that is known{not_this}: {reason}", False if carried is False else None)


def _target(place: Place, source: Source) -> str:
    if not place.entry_name:
        return ""
    return str(place.entry) if place.entry else f"{source.namespace}/{place.entry_name}"


def _situation(place: Place, seen: Seen, evidence: Evidence) -> Situation:
    outcome = Outcome(curl_exit=0, remote_ip=place.ip, remote_port=place.probe.port)
    return Situation(place.probe, seen.source, outcome, evidence, place.entry_name, place.entry)


def _why_not(
    place: Place,
    seen: Seen,
    config: envoy.ProxyConfig,
    walk: Walk,
    owner: Owner | None,
    hosts: Sequence[str] | None,
) -> Cause | None:
    """Name why the way does not do what the wanted ServiceEntry says, or, for a bare URL, why it is refused."""
    known = (config.envoy_clusters or {}).get(walk.envoy_cluster or "")
    evidence = Evidence(
        walk=walk,
        owner=owner,
        policy=envoy.outbound_policy(config),
        refused=envoy.refusal(config, place.entry) if place.entry else "",
        destination_rule=known.destination_rule if known and known.tls and not place.probe.expect.via else "",
        endpoints=len(hosts) if hosts is not None and known and known.type != "ORIGINAL_DST" else None,
    )
    at = _situation(place, seen, evidence)
    nowhere = not walk.choices and (walk.envoy_cluster in (None, BLACKHOLE) or walk.absent)
    ours = owner is not None and owner.ownership is Ownership.OWNED
    if not place.entry_name:
        return why_not_ours(at) if nowhere else None
    if ours and evidence.endpoints == 0:
        return explain(CauseCode.NO_ENDPOINTS, at)
    if ours and wraps(at):
        return explain(CauseCode.REROUTED, at)
    others = owner is not None and owner.ownership is Ownership.OTHERS
    if place.entry is not None and (nowhere or others):
        return why_not_ours(replace(at, around=seen.around()))
    return why_not_ours(at) if nowhere or others else None


def _next(walk: Walk, config: envoy.ProxyConfig, hosts: Sequence[str] | None, place: Place) -> tuple[str, bool | None]:
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
        return f"{closes}: the outbound traffic policy is REGISTRY_ONLY, and no ServiceEntry takes it", False
    if walk.envoy_cluster == PASSTHROUGH:
        return f"the sidecar lets it out to {place.address} itself: the outbound traffic policy is ALLOW_ANY", True
    if hosts == ():
        return (f"{closes}: its Envoy cluster has no hosts" if not walk.http_route else _NO_HOSTS), False
    known = (config.envoy_clusters or {}).get(walk.envoy_cluster)
    wrapped = " in TLS of its own" if known and known.tls else ""
    inside = ", so that what is TLS already arrives as TLS inside TLS" if wrapped and tls else ""
    to = _listed(hosts) if hosts else f"a host of {walk.envoy_cluster}"
    return f"the sidecar connects to {to}{wrapped}{inside}", True


_NO_HOSTS = "the sidecar answers with HTTP 503 by itself: its Envoy cluster has no hosts"
_MOST = 3


def _listed(hosts: Sequence[str]) -> str:
    more = f" or {len(hosts) - _MOST} more" if len(hosts) > _MOST else ""
    return " or ".join(hosts[:_MOST]) + more
