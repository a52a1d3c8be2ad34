"""What a verdict is based on, and the words for its cause: the fields of the templates in `model/cause.py`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from egressctl.catalog import lookup
from egressctl.envoy.changes import CHANGED
from egressctl.envoy.config import ALLOWING_POLICIES, UNKNOWN_SERVICE, parse_outbound_name
from egressctl.istio.gateway_api import origin_of_route, origin_of_rule
from egressctl.kube.rbac import EXEC, grant_command_for_right
from egressctl.manifests.formats import MAX_ITEMS
from egressctl.manifests.typed_host import words_to_create
from egressctl.model.blocks import bracketed, ip_version, parse_blocks
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.entry import MeshObjects, ServiceEntry
from egressctl.model.evidence import CurlOutcome, Evidence, Ownership, Source
from egressctl.model.probe import Probe
from egressctl.runtime.sanitize import quote
from egressctl.verify.candidates import object_name, sidecar_that_hides, unread_entries, who_sets_policy

_COMMANDS = ("create", "show_route", "show_rule")
"""The fields that are words of a command line."""


@dataclass(frozen=True, slots=True)
class Case:
    """Everything that a verdict is based on: what was asked, from where, and the result.

    `entry` is the target's ServiceEntry on the Kubernetes cluster, None if it does not exist. `entry_name` is its name, or the
    name that it should have, empty if no target was named (a bare URL). `entry_namespace` is where it was looked for, empty for
    the source pod's. `around` is what else is on the Kubernetes cluster, None if that was not read.
    """

    probe: Probe
    source: Source
    outcome: CurlOutcome
    evidence: Evidence
    entry_name: str = ""
    entry: ServiceEntry | None = None
    around: MeshObjects | None = None
    failure: CauseCode | None = None
    """Why it could not be sent, or its answer was lost: then there is no outcome and no evidence; `detail` says more."""
    detail: str = ""
    unread: str = ""
    """Why something of the sidecar could not be read."""
    entry_namespace: str = ""

    @property
    def namespace(self) -> str:
        """Where the target's entry is, or should be."""
        return self.entry.namespace if self.entry else self.entry_namespace or self.source.namespace

    @property
    def address(self) -> str:
        """The address that curl reports, or the URL's host if curl reached none."""
        host = self.outcome.remote_ip or self.probe.host
        return f"{bracketed(host)}:{self.outcome.remote_port or self.probe.port}"

    @property
    def leads_to(self) -> str:
        """The Envoy cluster that the sidecar's configuration sends it to, or words that say that there is none."""
        walk = self.evidence.walk
        return walk.envoy_cluster if walk and walk.envoy_cluster else "no Envoy cluster"


def explain_cause(code: CauseCode, case: Case, message: str = "", step: str = "") -> Cause:
    """Write a cause as one sentence with its evidence, and name the next command to type.

    `message` replaces the sentence and `step` the command, if the caller knows more than the code says.
    """
    fields = {**_fields_of(case), **(_fields_of_policy(case) if code in _DECIDED_BY_POLICY else {})}
    wording = next(each for each in code.wordings if not each.when or fields[each.when])
    if code is CauseCode.EXEC_FORBIDDEN:
        who = re.match(r"user (\S+) may not", message)
        step = grant_command_for_right("create", EXEC, case.source.namespace, who[1] if who else "")
    return Cause(code, message or wording.sentence.format_map(fields), step or wording.step.format_map(_as_words(fields)))


def _as_words(fields: Mapping[str, object]) -> Mapping[str, object]:
    """Return the fields as words of a command line; some are several of them already, of names that were read."""
    return {name: value if name in _COMMANDS else quote(str(value)) for name, value in fields.items()}


def _fields_of(case: Case) -> Mapping[str, object]:
    """Return what a wording may name: texts and numbers, empty where there is nothing of the kind."""
    probe, source, outcome, entry = case.probe, case.source, case.outcome, case.entry
    leads_to = case.leads_to
    return {
        "address": case.address,
        "host": probe.host,
        "url": probe.url,
        "port": probe.port,
        "ip": outcome.remote_ip,
        "ip_or_it": outcome.remote_ip or "it",
        "led_to_port": outcome.remote_port,
        "proxied": outcome.proxied,
        "status": outcome.http_status,
        "expected": probe.expect.status or "any",
        "given_up": outcome.given_up,
        "unmatched": ", ".join(outcome.unmatched) or "extract",
        "curl": f"curl exit {outcome.curl_exit}" + (f": {outcome.error}" if outcome.error else ""),
        "pod_namespace": source.namespace,
        "pod": source.pod,
        "container": source.container,
        "proxy_state": source.proxy_state or "its status says so",
        **_fields_of_family(case),
        "perhaps": f" (perhaps: {'; '.join(source.hints)})" if source.hints else "",
        "name": case.entry_name or (entry.name if entry else ""),
        # Who typed a URL does not know the entry.
        "named": case.entry_name or (f"ServiceEntry {entry}" if entry else ""),
        "target": case.entry_name.removesuffix("-ext"),
        "namespace": case.namespace,
        "leads_to": leads_to,
        "policy": case.evidence.policy if case.evidence.policy in ALLOWING_POLICIES else ALLOWING_POLICIES[0],
        "unread": f": {case.unread}" if case.unread else "",
        "refused": f": {case.evidence.refused}" if case.evidence.refused else "",
        **_fields_of_doubt(case),
        **_fields_of_entry(entry),
        **_fields_of_others(case, leads_to),
    }


_DECIDED_BY_POLICY = (CauseCode.BLACKHOLE, CauseCode.PASSTHROUGH, CauseCode.ENTRY_MISSING)
"""The causes that name no object but the policy's, and are mended by a new entry."""


def _fields_of_policy(case: Case) -> Mapping[str, object]:
    unread = unread_entries(case.around)
    return {
        "policy_set_by": who_sets_policy(case.around, case.source),
        "unread_entries": f" ({unread})" if unread else "",
        "create": _create_command(case),
    }


def _create_command(case: Case) -> str:
    """Return the command that makes the entry that is missing, behind the change to a Sidecar resource that would hide it."""
    probe, place = case.probe, case.namespace if case.entry_name else case.source.namespace
    words = quote(case.entry_name.removesuffix("-ext")) if case.entry_name else _words_to_create(probe)
    command = f"egressctl create {words} -n {quote(place)}"
    hiding = sidecar_that_hides(case.around, case.source, place, probe.host, probe.port)
    if hiding is None:
        return command
    namespace, _, name = object_name(hiding).partition("/")
    imports = quote(f"{'.' if place == case.source.namespace else place}/{probe.host}")
    return (
        f"kubectl edit sidecar -n {quote(namespace)} {quote(name)}, which would hide a new entry: "
        f"let the hosts of its egress import {imports}; then {command}"
    )


def _words_to_create(probe: Probe) -> str:
    """Return the words behind `egressctl create`: a target of the catalogue where by the URL itself it would be addresses."""
    words = words_to_create(probe.url)
    if "--address" not in words and not words.endswith("/TCP"):
        return words
    known = lookup.targets_with_host(probe.host) or lookup.targets_with_address(probe.host, probe.port)
    return known[0] if known else words


def _fields_of_doubt(case: Case) -> Mapping[str, object]:
    """Return `stays`, which is not empty where what is in doubt is the configuration, so that to ask again shows no more."""
    walk, owner = case.evidence.walk, case.evidence.owner
    unclear = walk is not None and bool(walk.unknown) and walk.unknown != CHANGED
    nobodys = owner is not None and owner.ownership is Ownership.UNKNOWN and not owner.outdated
    stays = unclear or (nobodys and walk is not None and not walk.unknown and not walk.choices)
    return {"stays": stays, "stays_routed": stays and bool(walk and walk.virtual_service)}


def _fields_of_family(case: Case) -> Mapping[str, object]:
    """Return what a wording may say of the connection's IP family: whether the entry lists none of it, or the sidecar not."""
    entry, version = case.entry, ip_version(case.outcome.remote_ip or case.probe.connect_ip or case.probe.host)
    listed = {block.version for block in parse_blocks(entry.addresses)} if entry else set()
    return {
        "family": f"IPv{version}" if version else "",
        "other_family": f"IPv{min(listed)}" if version and listed and version not in listed else "",
        "pod_families": " and ".join(f"IPv{version}" for version in sorted(case.source.families)),
        "deaf": case.evidence.deaf,
    }


def _fields_of_entry(entry: ServiceEntry | None) -> Mapping[str, object]:
    addresses = entry.addresses if entry else ()
    ports = entry.ports if entry else ()
    return {
        "allocated": ", ".join(entry.allocated) if entry and not addresses else "",
        "several_entries": len(addresses) > MAX_ITEMS,
        "block_count": len(addresses),
        "part_of": entry.part_of if entry else "",
        "blocks": _first_four(addresses),
        "ports": ", ".join(str(port.number) for port in ports) or "none",
        "hosts": _first_four(entry.hosts if entry else ()) or "none",
        "protocols": ", ".join(f"{port.number} {port.protocol or 'unset'}" for port in ports) if entry else "none",
        "export_to": ", ".join(entry.export_to) if entry else "",
        "selects": entry is not None and entry.has_moving_endpoints and not entry.endpoints,
        "static": entry is not None and entry.resolution == "STATIC",
    }


def _fields_of_others(case: Case, leads_to: str) -> Mapping[str, object]:
    """Return the fields that name another object: a conflicting entry, a VirtualService, a DestinationRule."""
    walk, owner = case.evidence.walk, case.evidence.owner
    rival = owner.rival if owner else None
    behind = walk.virtual_service if walk else ""
    route = origin_of_route(behind, case.around) if behind else None
    rule = origin_of_rule(case.evidence.destination_rule, case.around) if case.evidence.destination_rule else None
    routed_to = leads_to
    if walk and walk.absent:
        routed_to = f"{leads_to}, an Envoy cluster that the sidecar does not have{_what_lacks(leads_to)}"
    elif walk and walk.direct_status:
        routed_to = f"an answer from the sidecar itself, HTTP {walk.direct_status}"
    elif walk and walk.choices:
        # Where the counts show which, that is what came; the weights decide anew each time.
        routed_to = f"{leads_to}, which its weights chose this time" if walk.envoy_cluster else " or ".join(walk.choices)
    return {
        "rival": rival or "",
        "rival_namespace": rival.namespace if rival else "",
        "rival_name": rival.name if rival else "",
        "not_ours": f", not {case.entry or f'{case.namespace}/{case.entry_name}'}" if case.entry or case.entry_name else "",
        "owner_reason": owner.reason if owner else "no ServiceEntry that egressctl may read claims it",
        "route": route or "",
        "show_route": route.show_command if route else "",
        "no_route_for": _request_text(case) if route and walk and walk.unrouted else "",
        "routed_to": routed_to,
        "rule": rule or "",
        "show_rule": rule.show_command if rule else "",
        "by_field": " (trafficPolicy.tls)" if rule and rule.kind == "DestinationRule" else "",
    }


def _what_lacks(envoy_cluster: str) -> str:
    """Say what would make an Envoy cluster that the sidecar does not have."""
    to = parse_outbound_name(envoy_cluster)
    if to is None:
        unknown = ": istiod knows no backend that it names (a ServiceEntry's host is one of kind Hostname)"
        return unknown if envoy_cluster == UNKNOWN_SERVICE else ""
    if to.subset:
        return f": nothing that reaches it defines subset {to.subset} of {to.host} for port {to.port}"
    return f": no ServiceEntry or Service that reaches it has the host {to.host} with port {to.port}"


def _request_text(case: Case) -> str:
    """Say what a route would have to match: the path, and where the request goes."""
    path = case.probe.speech.path.partition("?")[0]
    return f"the path {path} on port {case.probe.port} ({case.probe.speech.method} {case.probe.host})"


def _first_four(texts: Sequence[str]) -> str:
    return ", ".join(texts[:4]) + (", ..." if len(texts) > 4 else "")
