"""Say whose Envoy cluster an explained way leads to, and why it is not that of the ServiceEntry that should carry it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from egressctl.envoy.config import BLACKHOLE, PASSTHROUGH, ProxyConfig, destination
from egressctl.envoy.propagation import refusal
from egressctl.envoy.walk import led_to, outbound_policy
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.entry import ServiceEntry
from egressctl.model.evidence import Evidence, Outcome, Owner, Ownership, Walk
from egressctl.verify import ownership
from egressctl.verify.causes import Situation, explain
from egressctl.verify.diagnosis import why_not_ours, wraps
from egressctl.verify.explain.approach import Place, Seen


def claimant(place: Place, walk: Walk, config: ProxyConfig, seen: Seen) -> tuple[ServiceEntry | None, Owner | None]:
    """Return the ServiceEntry whose Envoy cluster it is, and whether that is the wanted one's; for a bare URL, whose it is."""
    names = led_to(walk)
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
    place: Place, walk: Walk, config: ProxyConfig, entries: Sequence[ServiceEntry], pod_namespace: str
) -> tuple[ServiceEntry | None, Owner | None]:
    def ask(entry: ServiceEntry) -> Owner:
        others = [each for each in entries if (each.namespace, each.name) != (entry.namespace, entry.name)]
        return ownership.owner(walk, config, entry, others, place.probe.port, pod_namespace=pod_namespace)

    wanted = ask(place.entry) if place.entry else None
    if place.entry and wanted and wanted.ownership is Ownership.OWNED:
        return place.entry, wanted
    to = destination(walk.envoy_cluster or "")
    for entry in entries:
        if to and to.host in entry.hosts and entry is not place.entry:
            found = ask(entry)
            if found.ownership is Ownership.OWNED:
                if place.entry and entry.beside(place.entry):  # another entry of the target
                    return entry, found
                if wanted is None and place.entry_name:
                    wanted = Owner(Ownership.OTHERS, f"it is the Envoy cluster of {entry}", entry)
                return entry, wanted or found
    return None, wanted or Owner(Ownership.UNKNOWN, "no ServiceEntry that may be read claims it")


def why_not(
    place: Place,
    seen: Seen,
    config: ProxyConfig,
    walk: Walk,
    owner: Owner | None,
    hosts: Sequence[str] | None,
) -> Cause | None:
    """Name why the way does not do what the wanted ServiceEntry says, or, for a bare URL, why it is refused."""
    known = (config.envoy_clusters or {}).get(walk.envoy_cluster or "")
    evidence = Evidence(
        walk=walk,
        owner=owner,
        policy=outbound_policy(config),
        refused=refusal(config, place.entry) if place.entry else "",
        destination_rule=known.destination_rule if known and known.tls and not place.probe.expect.via else "",
        endpoints=len(hosts) if hosts is not None and known and known.type != "ORIGINAL_DST" else None,
    )
    at = situation(place, seen, evidence)
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


def situation(place: Place, seen: Seen, evidence: Evidence) -> Situation:
    """Return what a cause is made of, for a connection that is not sent: curl has reported nothing but the address."""
    outcome = Outcome(curl_exit=0, remote_ip=place.ip, remote_port=place.probe.port)
    return Situation(place.probe, seen.source, outcome, evidence, place.entry_name, place.entry)
