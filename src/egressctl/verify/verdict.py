"""Judge: expectation, outcome and evidence in, verdict with cause out. A pure function.

`open` needs all four of captured, static, owned and counted, and no source that disagrees; `blocked` a refusal, a walk that
leads to BlackHoleCluster or to nothing, and capture; `bypassed` capture and a walk that leads elsewhere, or no capture. What
misses its evidence is `unproven` where an answer came, and `inconclusive` where none did. An answer that the sidecar itself may
have given is none that came from beyond it.
"""

from __future__ import annotations

from dataclasses import replace

from egressctl.envoy.config import LETS_OUT
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.evidence import Capture, CountSource, Evidence, Method, Ownership
from egressctl.model.probe import Verdict
from egressctl.model.result import ProbeResult
from egressctl.verify.causes import Case, explain_cause
from egressctl.verify.diagnosis import why_not_ours
from egressctl.verify.sidecar_answers import GATEWAY_STATUS, answered_by_sidecar, describe_dead_end, leads_nowhere
from egressctl.verify.verdict_no_answer import judge_failure
from egressctl.verify.verdict_tcp import judge_tcp


def judge(case: Case) -> ProbeResult:
    """Say what a probe showed, and compare that with its expectation. Never raises; never says more than the evidence."""
    cause: Cause | None
    if case.failure is not None:
        verdict, cause = Verdict.INCONCLUSIVE, explain_cause(case.failure, case, case.detail)
        return ProbeResult(case.probe, case.source, verdict, verdict is case.probe.expect.verdict, cause)
    evidence = replace(case.evidence, methods=proven_methods(case.evidence), sources=count_sources(case.evidence))
    case = replace(case, evidence=evidence)
    if case.probe.bare:
        verdict, cause = judge_tcp(case)
    elif _has_expected_answer(case):
        verdict, cause = _judge_answer(case)
    else:
        verdict, cause = judge_failure(case)
    return ProbeResult(case.probe, case.source, verdict, verdict is case.probe.expect.verdict, cause, case.outcome, evidence)


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
    """List what shows that the Envoy cluster sent the connection; nothing does where the access log says another."""
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


def _judge_answer(case: Case) -> tuple[Verdict, Cause | None]:
    evidence, walk, owner = case.evidence, case.evidence.walk, case.evidence.owner
    if case.source.ambient:
        return Verdict.UNPROVEN, explain_cause(CauseCode.AMBIENT, case)
    if case.source.proxy is None:
        return Verdict.BYPASSED, explain_cause(CauseCode.NO_SIDECAR, case)
    if case.outcome.proxied or evidence.capture is Capture.NOT_CAPTURED:
        return Verdict.BYPASSED, explain_cause(CauseCode.NOT_CAPTURED, case)
    if walk is None and evidence.capture is Capture.CAPTURED:
        return Verdict.UNPROVEN, explain_cause(CauseCode.PROXY_UNREADABLE, case)
    if doubt := _doubt_about_path(case):
        return Verdict.UNPROVEN, explain_cause(CauseCode.EVIDENCE_LOST, case, doubt)
    if case.leads_to in LETS_OUT:
        return Verdict.BYPASSED, why_not_ours(case)
    if case.entry is None and case.entry_name:
        return Verdict.BYPASSED, explain_cause(CauseCode.ENTRY_MISSING, case)
    if owner is not None and owner.ownership is Ownership.OTHERS:
        return Verdict.BYPASSED, why_not_ours(case)
    if owner is None or owner.ownership is Ownership.UNKNOWN:
        reason = owner.reason if owner else "no ServiceEntry could be read"
        said = f"the answer came through {case.leads_to}, but which entry that belongs to is not known: {reason}"
        code = CauseCode.NOT_PROPAGATED if owner and owner.outdated else CauseCode.EVIDENCE_LOST
        return Verdict.UNPROVEN, explain_cause(code, case, said)
    if not evidence.sources:
        told = "did not move" if evidence.counted is False else "could not be read"
        said = f"the answer came, and the connection counts of {case.leads_to} {told}"
        return Verdict.UNPROVEN, explain_cause(CauseCode.EVIDENCE_LOST, case, said)
    return Verdict.OPEN, None


def _doubt_about_path(case: Case) -> str:
    """Say in a sentence why it is not certain which way an answer took, "" where it is."""
    evidence, walk, status = case.evidence, case.evidence.walk, case.outcome.http_status
    if evidence.capture is not Capture.CAPTURED or walk is None:
        return (
            f"the answer came, and the pod's socket table does not show whether the sidecar had the connection to {case.address}"
        )
    if walk.unknown:
        return f"the answer came, and the path through the sidecar is not understood: {walk.unknown}"
    if walk.choices and walk.envoy_cluster is None:
        return (
            "the answer came, and the path through the sidecar is not understood: chance decides between "
            f"{', '.join(walk.choices)}, and the connection counts do not show which"
        )
    if leads_nowhere(case):
        end = describe_dead_end(case)
        return f"the answer came, and the sidecar's configuration sends {case.address} to {end}: the two do not fit together"
    if walk.http_route and status in GATEWAY_STATUS:
        return f"HTTP {status} may be the sidecar's own answer, and then nothing came from {case.address}"
    if _log_disagrees(evidence):
        return (
            f"the answer came, and the sources disagree: the sidecar's configuration sends {case.address} to "
            f"{walk.envoy_cluster}, and its access log says {evidence.logged}"
        )
    return ""
