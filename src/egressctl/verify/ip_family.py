"""Ask from a dual-stack pod over each IP family that the entries list.

A client takes one address of a name, and curl reports which. So the other family is asked by address: that of the name, as the
source pod resolves it, with the URL's host as server name and authority.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from egressctl.mesh.dns import ResolvedHost, resolve_in_pod
from egressctl.mesh.sidecar import Sidecar
from egressctl.model.blocks import ip_version, parse_blocks
from egressctl.model.entry import ServiceEntry
from egressctl.model.evidence import CurlOutcome
from egressctl.model.probe import Probe
from egressctl.model.result import ProbeResult
from egressctl.runtime.concurrency import gather
from egressctl.verify.evidence import Question

_LOOKUPS_AT_ONCE = 8


class NotAsked(NamedTuple):
    """What was not asked, `www.example.com over IPv6`, and why."""

    what: str
    why: str


class OtherFamily(NamedTuple):
    """By the index of a probe that was sent: what to ask over the other family, or what cannot be asked."""

    questions: Mapping[int, Question]
    missing: Mapping[int, NotAsked]


def questions_of_other_family(
    sidecar: Sidecar, questions: Sequence[Question], results: Sequence[ProbeResult], listed: Sequence[Sequence[ServiceEntry]]
) -> OtherFamily:
    """Return what to ask over the family that the first probe did not use, where pod and entries have both.

    `listed` are the entries of each question's target. A URL of an address, and a probe that was told where to connect to, have
    one family only.
    """
    if len(sidecar.source.families) < 2:
        return OtherFamily({}, {})
    wanted = {
        index: other
        for index, (question, result) in enumerate(zip(questions, results, strict=True))
        if (other := _family_not_used(question.probe, result.outcome, listed[index]))
    }
    hosts = list(dict.fromkeys(questions[index].probe.host for index in wanted))
    calls = [partial(resolve_in_pod, sidecar.api, sidecar.source, host) for host in hosts]
    resolved = dict(zip(hosts, gather(calls, at_most=_LOOKUPS_AT_ONCE), strict=True))
    more: dict[int, Question] = {}
    missing: dict[int, NotAsked] = {}
    for index, version in wanted.items():
        probe = questions[index].probe
        ip = next((each for each in resolved[probe.host].addresses if ip_version(each) == version), "")
        if ip:
            asked = replace(probe, name=f"{probe.name}, IPv{version}", connect_ip=ip, else_ip="")
            more[index] = questions[index]._replace(probe=asked)
        else:
            missing[index] = NotAsked(f"{probe.host} over IPv{version}", _why_no_address(resolved[probe.host], version))
    return OtherFamily(more, missing)


def _why_no_address(name: ResolvedHost, version: int) -> str:
    if not name.addresses:
        return name.missing
    record = "AAAA" if version == 6 else "A"
    said = f"{name.by} resolves the name to no such address (no {record} record)"
    return f"{said}, and the pod was not asked: {name.note}" if name.note else said


def _family_not_used(probe: Probe, outcome: CurlOutcome | None, entries: Sequence[ServiceEntry]) -> int:
    """Return the IP version that the entries list as well, and the probe did not use; 0 where there is none to ask over."""
    used = ip_version(outcome.remote_ip) if outcome and not outcome.proxied else 0
    if not used or probe.connect_ip or ip_version(probe.host):
        return 0
    blocks = (block for entry in entries for block in parse_blocks(entry.addresses))
    versions = {block.version for block in blocks if not block.mapped_ipv4}
    return next(iter(versions - {used}), 0) if len(versions) == 2 else 0
