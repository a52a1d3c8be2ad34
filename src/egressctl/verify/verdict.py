"""Judge: expectation, outcome and evidence in, verdict with cause out. A pure function.

`open` needs all four of captured, static, owned and counted, and no source that disagrees; `blocked` a refusal, a walk that
leads to BlackHoleCluster or to nothing, and capture; `bypassed` capture and a walk that leads elsewhere, or no capture. What
lacks its evidence is `unproven` where an answer came, and `inconclusive` where none did. An answer that the sidecar itself may
have given is none that came from beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from egressctl.envoy.config import PASSTHROUGH
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.evidence import Capture, CountSource, Evidence, Method, Ownership
from egressctl.model.probe import Verdict
from egressctl.model.result import ProbeResult
from egressctl.verify.causes import Case, explain_cause
from egressctl.verify.diagnosis import why_not_ours
from egressctl.verify.sidecar_answers import GATEWAY_STATUS, answered_by_sidecar, describe_dead_end, leads_nowhere
from egressctl.verify.verdict_no_answer import judge_failure


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, its cause where it is not `open`, and the evidence with the methods that hold in it."""

    verdict: Verdict
    cause: Cause | None
    evidence: Evidence


def judge(case: Case) -> Judgement:
    """Say what a probe showed. Never raises; never says more than the evidence."""
    case = replace(
        case, evidence=replace(case.evidence, methods=proven_methods(case.evidence), sources=count_sources(case.evidence))
    )
    if case.probe.bare:
        # Few commands come to this.
        from egressctl.verify.verdict_tcp import judge_tcp

        return Judgement(*judge_tcp(case), case.evidence)
    verdict, cause = _judge_answer(case) if _has_expected_answer(case) else judge_failure(case)
    return Judgement(verdict, cause, case.evidence)


def judge_probe(case: Case) -> ProbeResult:
    """Judge and hold the judgement against the probe's expectation."""
    judged = judge(case)
    held = judged.verdict is case.probe.expect.verdict
    return ProbeResult(case.probe, case.source, judged.verdict, held, judged.cause, case.outcome, judged.evidence)


def proven_methods(evidence: Evidence) -> tuple[Method, ...]:
    """List which of the four pieces of evidence hold."""
    walk, owner = evidence.walk, evidence.owner
    held = {
        Method.CAPTURED: evidence.capture is Capture.CAPTURED,
        Method.STATIC: walk is not None and not walk.unknown and walk.envoy_cluster is not None,
        Method.OWNED: owner is not None and owner.ownership is Ownership.OWNED,
        Method.COUNTED: bool(count_sources(evidence)),
    }
    return tuple(method for method, holds in held.items() if holds)


def count_sources(evidence: Evidence) -> tuple[CountSource, ...]:
    """List what shows that the Envoy cluster carried the connection; nothing does where the access log says another."""
    if _log_disagrees(evidence):
        return ()
    held = {CountSource.CLUSTERS: evidence.counted is True, CountSource.ACCESS_LOG: evidence.logged is not None}
    return tuple(source for source, holds in held.items() if holds)


def _log_disagrees(evidence: Evidence) -> bool:
    walk = evidence.walk
    return evidence.logged is not None and not evidence.logged.shows_use_of(walk.envoy_cluster if walk else None)


def _has_expected_answer(case: Case) -> bool:
    """Say whether the expected answer came: curl content, the status expected, every extraction found."""
    outcome, status = case.outcome, case.probe.expect.status
    came = outcome.curl_exit == 0 and outcome.http_status > 0 and status in (None, outcome.http_status) and not outcome.unmatched
    return came and not answered_by_sidecar(case)


def _unproven_verdict(case: Case, code: CauseCode, detail: str = "") -> tuple[Verdict, Cause]:
    return Verdict.UNPROVEN, explain_cause(code, case, detail)


def _judge_answer(case: Case) -> tuple[Verdict, Cause | None]:
    evidence, walk = case.evidence, case.evidence.walk
    if case.source.ambient:
        return _unproven_verdict(case, CauseCode.AMBIENT)
    if case.source.proxy is None:
        return Verdict.BYPASSED, explain_cause(CauseCode.NO_SIDECAR, case)
    if case.outcome.proxied or evidence.capture is Capture.NOT_CAPTURED:
        return Verdict.BYPASSED, explain_cause(CauseCode.NOT_CAPTURED, case)
    if evidence.capture is not Capture.CAPTURED:
        return _unproven_verdict(
            case,
            CauseCode.EVIDENCE_LOST,
            f"the answer came, and the pod's socket table does not show whether the sidecar had the connection to {case.address}",
        )
    if walk is None:
        return _unproven_verdict(case, CauseCode.PROXY_UNREADABLE)
    if walk.unknown or (walk.choices and walk.envoy_cluster is None):
        return _unproven_verdict(
            case,
            CauseCode.EVIDENCE_LOST,
            f"the answer came, and the way through the sidecar is not understood: {_why_path_unknown(case)}",
        )
    if leads_nowhere(case):
        return _unproven_verdict(
            case,
            CauseCode.EVIDENCE_LOST,
            f"the answer came, and the sidecar's configuration leads {case.address} to {describe_dead_end(case)}: "
            "the two do not fit together",
        )
    if walk.http_route and case.outcome.http_status in GATEWAY_STATUS:
        return _unproven_verdict(
            case,
            CauseCode.EVIDENCE_LOST,
            f"HTTP {case.outcome.http_status} may be the sidecar's own answer, and then nothing came from {case.address}",
        )
    if _log_disagrees(evidence):
        return _unproven_verdict(
            case,
            CauseCode.EVIDENCE_LOST,
            f"the answer came, and the sources disagree: the sidecar's configuration leads {case.address} to "
            f"{walk.envoy_cluster}, and its access log says {evidence.logged}",
        )
    if walk.envoy_cluster == PASSTHROUGH:
        return Verdict.BYPASSED, why_not_ours(case)
    owner = evidence.owner
    if case.entry is None and case.entry_name:
        return Verdict.BYPASSED, explain_cause(CauseCode.ENTRY_MISSING, case)
    if owner is None or owner.ownership is Ownership.UNKNOWN:
        reason = owner.reason if owner else "no ServiceEntry could be read"
        return _unproven_verdict(
            case,
            CauseCode.EVIDENCE_LOST,
            f"the answer came through {walk.envoy_cluster}, and whose that is could not be told: {reason}",
        )
    if owner.ownership is Ownership.OTHERS:
        return Verdict.BYPASSED, why_not_ours(case)
    if not evidence.sources:
        told = "did not move" if evidence.counted is False else "could not be read"
        return _unproven_verdict(
            case, CauseCode.EVIDENCE_LOST, f"the answer came, and the connection counts of {walk.envoy_cluster} {told}"
        )
    return Verdict.OPEN, None


def _why_path_unknown(case: Case) -> str:
    walk = case.evidence.walk
    if walk is None or walk.unknown:
        return walk.unknown if walk else "it was not read"
    return f"chance decides between {', '.join(walk.choices)}, and the connection counts do not tell them apart"
