"""Show the steps of a URL's way before the sidecar: pod, name, address, and what is known of the interception. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from egressctl.envoy.config import ProxyConfig
from egressctl.envoy.counts import ClusterCounts
from egressctl.envoy.walk import listens_for
from egressctl.istio.hosts import covers_host
from egressctl.manifests.formats import is_auto_allocated
from egressctl.mesh.traffic_annotations import DECIDING_ANNOTATIONS, why_excluded
from egressctl.model.blocks import bracketed, parse_block
from egressctl.model.entry import MeshObjects, ServiceEntry
from egressctl.model.evidence import Source
from egressctl.model.probe import Probe
from egressctl.runtime.sanitize import quote

BY_ENTRY = "the ServiceEntry"
"""Who gives the address of a host that the source pod cannot resolve, as applications then have it written down."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the way: its name, what is known of it, and whether the way goes on there (None: not known)."""

    name: str
    text: str
    passed: bool | None


@dataclass(frozen=True, slots=True)
class ResolvedProbe:
    """Where a URL leads: the probe that it makes, its address, and who resolved it; `note` is why it was not the pod.

    `entry_name` is that of the ServiceEntry that should send it, empty for a bare URL; `entry` is that on the Kubernetes
    cluster, None where it is not there.
    """

    probe: Probe
    ip: str
    by: str
    note: str = ""
    entry_name: str = ""
    entry: ServiceEntry | None = None
    namespace: str = ""
    """That of the entry; empty for the source pod's."""

    @property
    def address(self) -> str:
        return f"{bracketed(self.ip)}:{self.probe.port}"


@dataclass(frozen=True)
class ExplainFacts:
    """What was read: the pod, its sidecar, the ServiceEntries (None: none could be), and what else is around (None: not read).

    `config` and `counts` are None where the sidecar was not read; `unreadable` then says why.
    """

    source: Source
    config: ProxyConfig | None = None
    counts: ClusterCounts | None = None
    entries: Sequence[ServiceEntry] | None = None
    around: MeshObjects | None = None
    unreadable: str = ""


def steps_to_address(place: ResolvedProbe, source: Source, entries: Sequence[ServiceEntry] | None) -> tuple[Step, ...]:
    """Return the steps up to the address."""
    return pod_step(source), *_name_steps(place), _address_step(place, entries, dns_capture=source.dns_capture)


def pod_step(source: Source) -> Step:
    several = f", newest of {source.chosen_of} ready" if source.chosen_of > 1 else ""
    return Step("pod", f"{source.namespace}/{source.pod}, container {source.container}{several}", True)


def _name_steps(place: ResolvedProbe) -> Iterator[Step]:
    if place.by == "the URL":
        return
    if place.by == "--address":
        yield Step("name", f"{place.probe.host} is {place.ip}, as --address says", True)
        return
    if place.by == BY_ENTRY:
        yield Step("name", f"the pod cannot resolve {place.probe.host}; the ServiceEntry gives {place.ip} for it", True)
        return
    note = f" ({place.note}; the pod may get another address)" if place.note else ""
    yield Step("name", f"{place.probe.host} is {place.ip}, as {place.by} resolves it{note}", None if place.note else True)


def _address_step(place: ResolvedProbe, entries: Sequence[ServiceEntry] | None, *, dns_capture: bool) -> Step:
    block = parse_block(place.ip)
    holders = [each for each in entries or () if block and any(parse_block(address) == block for address in each.allocated)]
    if holders:
        return Step("address", f"{place.address}, which Istio gave {holders[0]}: the sidecar's own DNS answers with it", True)
    if block and is_auto_allocated(block):
        return Step("address", f"{place.address}, which Istio gives to entries without addresses", True)
    named = [
        each
        for each in entries or ()
        if dns_capture and place.note and each.allocated and any(covers_host(host, place.probe.host) for host in each.hosts)
    ]
    if named:
        other = named[0].allocated[0]
        return Step("address", f"{place.address}; in the pod it may be {other}, which Istio gave {named[0]}", None)
    return Step("address", place.address, True)


def capture_step(place: ResolvedProbe, seen: ExplainFacts) -> Step:
    """Say what is known of the interception: a connection that is sent can show it, and nothing else can."""
    source = seen.source
    shown = f"only a real request shows it: egressctl verify --probe {quote(place.probe.url)}"
    unready = f"container {source.proxy} is not ready ({source.proxy_state or 'its status says so'}); "
    doubts = list(_capture_doubts(place, seen))
    perhaps = f"perhaps not by the sidecar: {'; '.join(doubts)} (a hint); " if doubts else ""
    return Step("capture", f"{unready if not source.proxy_ready else ''}{perhaps}{shown}", None)


def _capture_doubts(place: ResolvedProbe, seen: ExplainFacts) -> Iterator[str]:
    source = seen.source
    if out := why_excluded(source.interception, place.ip, place.probe.port):
        yield out
    # The annotations that decide by address were compared with this one.
    yield from (hint for hint in source.hints if not any(f"/{word} " in hint for word in DECIDING_ANNOTATIONS))
    if listens_for(seen.config, place.ip) is False:
        yield f"the sidecar listens for no IPv{ip_address(place.ip).version}"
