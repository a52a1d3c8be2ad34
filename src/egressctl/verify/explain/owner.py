"""Say whose Envoy cluster an explained path leads to, and why it is not that of the ServiceEntry that should send it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from egressctl.envoy.config import BLACKHOLE, LETS_OUT, OF_POLICY, ProxyConfig, parse_outbound_name
from egressctl.envoy.walk import final_envoy_clusters, outbound_policy
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.entry import ServiceEntry
from egressctl.model.evidence import CurlOutcome, Evidence, Owner, Ownership, Walk
from egressctl.verify import ownership
from egressctl.verify.causes import Case, explain_cause
from egressctl.verify.diagnosis import why_not_ours, wraps_tls_in_tls
from egressctl.verify.evidence import owner_for_url, refusal_by_envoy
from egressctl.verify.explain.steps_before_sidecar import ExplainFacts, ResolvedProbe
from egressctl.verify.own_way import WayTaken, owner_of_way, upstream_of
from egressctl.verify.route_reasons import no_endpoints_cause


def owner_of_path(
    place: ResolvedProbe, walk: Walk, config: ProxyConfig, seen: ExplainFacts
) -> tuple[ServiceEntry | None, Owner | None]:
    """Return the ServiceEntry whose Envoy cluster it is, and whether that is the wanted one's; for a bare URL, whose it is."""
    names = final_envoy_clusters(walk)
    if not names or names[0] in OF_POLICY:
        own = None if not place.entry_name else Owner(Ownership.OTHERS, "the path does not end at a ServiceEntry's Envoy cluster")
        return None, own
    if seen.entries is None:
        return None, Owner(Ownership.UNKNOWN, "the ServiceEntries could not be listed")
    each_way = [replace(walk, envoy_cluster=name, choices=()) for name in names]
    found = [_owning_entry(place, way, config, seen, seen.entries) for way in each_way]
    carriers = {str(entry): entry for entry, _ in found if entry is not None}
    carrier = next(iter(carriers.values())) if len(carriers) == 1 and all(entry for entry, _ in found) else None
    owners = [owner for _, owner in found if owner is not None]
    if via := place.probe.expect.via:
        return carrier, ownership.owner_of_expected_host(walk, via)
    if len({each.ownership for each in owners}) > 1:
        return carrier, Owner(Ownership.UNKNOWN, f"chance decides between {' and '.join(names)}")
    return carrier, owners[0] if owners else None


def _owning_entry(
    place: ResolvedProbe, walk: Walk, config: ProxyConfig, seen: ExplainFacts, entries: Sequence[ServiceEntry]
) -> tuple[ServiceEntry | None, Owner | None]:
    known = (config.envoy_clusters or {}).get(walk.envoy_cluster or "")
    upstream = upstream_of(known, seen.counts, seen.counts, place.probe)
    way = WayTaken(place.probe, place.ip, walk, config, seen.source, upstream, around=seen.around)
    if not place.entry_name:
        owner = owner_for_url(way, entries)
        return owner.entry, owner

    def ask(entry: ServiceEntry) -> Owner:
        others = [each for each in entries if (each.namespace, each.name) != (entry.namespace, entry.name)]
        return owner_of_way(way, entry, others)

    wanted = ask(place.entry) if place.entry else None
    if place.entry and wanted and wanted.ownership is Ownership.OWNED:
        return place.entry, wanted
    to = parse_outbound_name(walk.envoy_cluster or "")
    for entry in entries:
        if to and to.host in entry.hosts and entry is not place.entry:
            found = ask(entry)
            if found.ownership is Ownership.OWNED:
                if place.entry and entry.is_same_target_as(place.entry):  # another entry of the target
                    return entry, found
                return entry, wanted or Owner(Ownership.OTHERS, f"it is the Envoy cluster of {entry}", entry)
    return None, wanted or owner_for_url(way, entries)


def why_not_reached(
    place: ResolvedProbe,
    seen: ExplainFacts,
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
        refused=refusal_by_envoy(config, place.probe, place.ip, place.entry, seen.around),
        own_listeners=config.by_address if config.listeners is not None else None,
        destination_rule=known.destination_rule if known and known.tls and not place.probe.expect.via else "",
        endpoints=len(hosts) if hosts is not None and known and known.type != "ORIGINAL_DST" else None,
    )
    at = case_without_request(place, seen, evidence)
    nowhere = not walk.choices and (walk.envoy_cluster in (None, BLACKHOLE) or walk.absent)
    ours = owner is not None and owner.ownership is Ownership.OWNED
    if ours and evidence.endpoints == 0:
        return no_endpoints_cause(at)
    if ours and wraps_tls_in_tls(at):
        return explain_cause(CauseCode.REROUTED, at)
    others = owner is not None and owner.ownership is Ownership.OTHERS
    return why_not_ours(at) if nowhere or others or walk.envoy_cluster in LETS_OUT else None


def case_without_request(place: ResolvedProbe, seen: ExplainFacts, evidence: Evidence) -> Case:
    """Return what a cause is made of, for a connection that is not sent: curl has reported nothing but the address."""
    outcome = CurlOutcome(curl_exit=0, remote_ip=place.ip, remote_port=place.probe.port)
    case = Case(place.probe, seen.source, outcome, evidence, place.entry_name, place.entry, seen.around)
    return replace(case, entry_namespace=place.namespace)
