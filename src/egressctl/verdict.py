"""Judge: expectation, outcome and evidence in, verdict with cause out. A pure function.

`open` needs all four of captured, static, owned and counted; `blocked` a refusal, a walk that leads
to BlackHoleCluster or to nothing, and capture; `bypassed` capture and a walk that leads elsewhere, or no
capture. What lacks its evidence is `unproven` where an answer came, and `inconclusive` where none did.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, replace

from egressctl.causes import Situation, explain
from egressctl.curl import cause_of, looks_reset
from egressctl.model import (
    Capture,
    Cause,
    CauseCode,
    Evidence,
    Method,
    Ownership,
    ProbeResult,
    ServiceEntry,
    Verdict,
)

BLACKHOLE = "BlackHoleCluster"
PASSTHROUGH = "PassthroughCluster"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, its cause where it is not `open`, and the evidence with the methods that hold in it."""

    verdict: Verdict
    cause: Cause | None
    evidence: Evidence


def judge(at: Situation) -> Judgement:
    """Say what a probe showed. Never raises; never says more than the evidence."""
    at = replace(at, evidence=replace(at.evidence, methods=methods(at.evidence)))
    verdict, cause = _judge_answer(at) if _answered(at) else _judge_failure(at)
    return Judgement(verdict, cause, at.evidence)


def result(at: Situation) -> ProbeResult:
    """Judge and hold the judgement against the probe's expectation."""
    judged = judge(at)
    held = judged.verdict is at.probe.expect.verdict
    return ProbeResult(at.probe, at.source, judged.verdict, held, judged.cause, at.outcome, judged.evidence)


def methods(evidence: Evidence) -> tuple[Method, ...]:
    """List which of the four pieces of evidence hold."""
    walk, owner = evidence.walk, evidence.owner
    held = {
        Method.CAPTURED: evidence.capture is Capture.CAPTURED,
        Method.STATIC: walk is not None and not walk.unknown and walk.envoy_cluster is not None,
        Method.OWNED: owner is not None and owner.ownership is Ownership.OWNED,
        Method.COUNTED: evidence.counted is True,
    }
    return tuple(method for method, holds in held.items() if holds)


def _answered(at: Situation) -> bool:
    """Say whether the expected answer came: curl content, the status expected, every extraction found."""
    outcome, status = at.outcome, at.probe.expect.status
    return outcome.curl_exit == 0 and outcome.http_status > 0 and status in (None, outcome.http_status) and not outcome.unmatched


def _unproven(at: Situation, code: CauseCode, detail: str = "") -> tuple[Verdict, Cause]:
    return Verdict.UNPROVEN, explain(code, at, detail)


def _inconclusive(at: Situation, code: CauseCode, detail: str = "") -> tuple[Verdict, Cause]:
    return Verdict.INCONCLUSIVE, explain(code, at, detail)


def _judge_answer(at: Situation) -> tuple[Verdict, Cause | None]:
    evidence, walk = at.evidence, at.evidence.walk
    if at.source.ambient:
        return _unproven(at, CauseCode.AMBIENT)
    if at.source.proxy is None:
        return Verdict.BYPASSED, explain(CauseCode.NO_SIDECAR, at)
    if at.outcome.proxied or evidence.capture is Capture.NOT_CAPTURED:
        return Verdict.BYPASSED, explain(CauseCode.NOT_CAPTURED, at)
    if evidence.capture is not Capture.CAPTURED:
        return _unproven(
            at,
            CauseCode.EVIDENCE_LOST,
            f"the answer came, and the pod's socket table does not show whether the sidecar had the connection to {at.address}",
        )
    if walk is None:
        return _unproven(at, CauseCode.PROXY_UNREADABLE)
    if walk.unknown:
        return _unproven(
            at, CauseCode.EVIDENCE_LOST, f"the answer came, and the way through the sidecar is not understood: {walk.unknown}"
        )
    if walk.envoy_cluster in (None, BLACKHOLE):
        return _unproven(
            at,
            CauseCode.EVIDENCE_LOST,
            f"the answer came, and the sidecar's configuration leads {at.address} to {walk.envoy_cluster or 'nothing'}: "
            "the two do not fit together",
        )
    if walk.envoy_cluster == PASSTHROUGH:
        return Verdict.BYPASSED, _why_not_ours(at)
    owner = evidence.owner
    if at.entry is None and at.entry_name:
        return Verdict.BYPASSED, explain(CauseCode.ENTRY_MISSING, at)
    if owner is None or owner.ownership is Ownership.UNKNOWN:
        reason = owner.reason if owner else "no ServiceEntry could be read"
        return _unproven(
            at,
            CauseCode.EVIDENCE_LOST,
            f"the answer came through {walk.envoy_cluster}, and whose that is could not be told: {reason}",
        )
    if owner.ownership is Ownership.OTHERS:
        return Verdict.BYPASSED, _why_not_ours(at)
    if evidence.counted is not True:
        told = "did not move" if evidence.counted is False else "could not be read"
        return _unproven(
            at, CauseCode.EVIDENCE_LOST, f"the answer came, and the connection counts of {walk.envoy_cluster} {told}"
        )
    return Verdict.OPEN, None


def _why_not_ours(at: Situation) -> Cause:
    """Name why a connection that was let out, or refused, did not go to the target's Envoy cluster."""
    if not at.entry_name:
        owner = at.evidence.owner
        if at.evidence.walk and at.evidence.walk.envoy_cluster == PASSTHROUGH:
            return explain(CauseCode.PASSTHROUGH, at)
        return explain(CauseCode.RIVAL_ENTRY if owner else CauseCode.BLACKHOLE, at)
    if at.entry is None:
        return explain(CauseCode.ENTRY_MISSING, at)
    if all(port.number != at.probe.port for port in at.entry.ports):
        return explain(CauseCode.PORT_NOT_LISTED, at)
    if not lists(at.entry, at.outcome.remote_ip):
        return explain(CauseCode.ADDRESS_NOT_LISTED, at)
    carried = at.evidence.walk.envoy_cluster if at.evidence.walk else None
    if carried not in (None, BLACKHOLE, PASSTHROUGH) or (at.evidence.owner and at.evidence.owner.rival):
        return explain(CauseCode.RIVAL_ENTRY, at)
    if not exported(at.entry, at.source.namespace):
        return explain(CauseCode.NOT_EXPORTED, at)
    return explain(CauseCode.NOT_PROPAGATED, at)


def lists(entry: ServiceEntry, ip: str) -> bool:
    """Say whether one of the entry's blocks holds the address; an entry without addresses holds every one."""
    if not entry.addresses:
        return True
    try:
        address = ipaddress.ip_address(ip)
    except ValueError:
        return False
    for block in entry.addresses:
        try:
            network = ipaddress.ip_network(block, strict=False)
        except ValueError:
            continue
        if address.version == network.version and address in network:
            return True
    return False


def exported(entry: ServiceEntry, namespace: str) -> bool:
    """Say whether the entry's exportTo reaches a namespace; without exportTo it reaches all."""
    return not entry.export_to or any(
        scope in ("*", namespace) or (scope == "." and entry.namespace == namespace) for scope in entry.export_to
    )


def _judge_failure(at: Situation) -> tuple[Verdict, Cause]:
    outcome, evidence = at.outcome, at.evidence
    code = cause_of(outcome) if outcome.curl_exit else _wrong_answer(at)
    if code is None:
        return _inconclusive(
            at,
            CauseCode.EXEC_FAILED,
            f"curl exit {outcome.curl_exit} names nothing that egressctl knows: {outcome.error or 'no message'}",
        )
    if code is CauseCode.NAME_RESOLUTION:
        return Verdict.FAILED, explain(code, at)
    if at.source.ambient:
        return _inconclusive(at, CauseCode.AMBIENT)
    if at.source.proxy is None:
        return Verdict.FAILED, explain(code, at)
    if outcome.proxied or evidence.capture is Capture.NOT_CAPTURED:
        told = explain(CauseCode.NOT_CAPTURED, at)
        return Verdict.FAILED, replace(told, message=f"{told.message}; then {explain(code, at).message}")
    if code is CauseCode.CONNECT_REFUSED:
        # A running sidecar accepts every connection before it decides, so it was not there, or not in the way.
        return _inconclusive(
            at,
            CauseCode.EVIDENCE_LOST,
            f"{at.address} refused the connection itself: no sidecar was in the way, or none is listening yet ({outcome.error})",
        )
    if evidence.walk is None:
        return _inconclusive(at, CauseCode.PROXY_UNREADABLE)
    if evidence.walk.unknown:
        return _inconclusive(
            at, CauseCode.EVIDENCE_LOST, f"the way through the sidecar is not understood: {evidence.walk.unknown}"
        )
    if evidence.walk.envoy_cluster in (None, BLACKHOLE):
        return _judge_refusal(at)
    return _judge_beyond(at, code)


def _wrong_answer(at: Situation) -> CauseCode:
    status = at.probe.expect.status
    return CauseCode.BODY_MISMATCH if status in (None, at.outcome.http_status) else CauseCode.HTTP_STATUS


def _judge_refusal(at: Situation) -> tuple[Verdict, Cause]:
    """Judge a failure where the walk leads to BlackHoleCluster or to nothing."""
    if not looks_reset(at.outcome):
        return _inconclusive(
            at,
            CauseCode.EVIDENCE_LOST,
            f"the sidecar's configuration refuses {at.address}, and curl met something else: "
            f"exit {at.outcome.curl_exit}, status {at.outcome.http_status}, {at.outcome.error or 'no message'}",
        )
    if at.evidence.capture is not Capture.CAPTURED:
        return _inconclusive(
            at,
            CauseCode.EVIDENCE_LOST,
            f"{at.address} was refused, and nothing shows whether by the sidecar: "
            "a second connection left no row in the pod's socket table",
        )
    return Verdict.BLOCKED, _why_not_ours(at)


def _judge_beyond(at: Situation, code: CauseCode) -> tuple[Verdict, Cause]:
    """Judge a failure where the walk leads out of the mesh: the counts, or curl's own words, say what happened."""
    outcome, counts = at.outcome, at.evidence.counts
    if not looks_reset(outcome) and code not in (CauseCode.TIMEOUT, CauseCode.CONNECT_TIMEOUT):
        return Verdict.FAILED, explain(code, at)
    if counts is None:
        return _inconclusive(at, CauseCode.PROXY_UNREADABLE)
    if code in (CauseCode.TIMEOUT, CauseCode.CONNECT_TIMEOUT):
        # curl closes a connection that timed out, and its row may be gone before the table is read: then the count shows it.
        if at.evidence.capture is not Capture.CAPTURED and not (counts.opened or counts.pending or counts.connect_failed):
            return _inconclusive(at, CauseCode.EVIDENCE_LOST)
        connected = counts.opened > counts.connect_failed and not counts.pending
        return Verdict.FAILED, explain(CauseCode.TIMEOUT if connected else CauseCode.CONNECT_TIMEOUT, at)
    if counts.connect_failed:
        return Verdict.FAILED, explain(CauseCode.CONNECT_REFUSED, at)
    if counts.pending:
        return Verdict.FAILED, explain(CauseCode.CONNECT_TIMEOUT, at)
    if counts.opened:
        return Verdict.FAILED, explain(CauseCode.RESET, at)
    return _inconclusive(
        at,
        CauseCode.EVIDENCE_LOST,
        f"the connection to {at.address} was cut, and the connection counts do not show that it went out",
    )
