"""Judge: expectation, outcome and evidence in, verdict with cause out. A pure function.

`open` needs all four of captured, static, owned and counted, and no source that disagrees; `blocked` a refusal, a walk that
leads to BlackHoleCluster or to nothing, and capture; `bypassed` capture and a walk that leads elsewhere, or no capture. What
lacks its evidence is `unproven` where an answer came, and `inconclusive` where none did. An answer that the sidecar itself may
have given is none that came from beyond it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from egressctl.accesslog import carried
from egressctl.causes import Situation, explain
from egressctl.curl import cause_of, looks_reset
from egressctl.diagnosis import foreign, routing, speaks_otherwise, why_not_ours, wraps
from egressctl.envoy import BLACKHOLE, PASSTHROUGH
from egressctl.model import (
    Capture,
    Cause,
    CauseCode,
    CountSource,
    Evidence,
    Method,
    Ownership,
    ProbeResult,
    Verdict,
)

_GATEWAY_STATUS = (502, 503, 504)
_ONLY_HTTP2 = ("HTTP2", "GRPC")
_GIVEN_UP = 5.0
"""Seconds after which a connection that failed was not refused, which takes one round trip."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, its cause where it is not `open`, and the evidence with the methods that hold in it."""

    verdict: Verdict
    cause: Cause | None
    evidence: Evidence


def judge(at: Situation) -> Judgement:
    """Say what a probe showed. Never raises; never says more than the evidence."""
    at = replace(at, evidence=replace(at.evidence, methods=methods(at.evidence), sources=sources(at.evidence)))
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
        Method.COUNTED: bool(sources(evidence)),
    }
    return tuple(method for method, holds in held.items() if holds)


def sources(evidence: Evidence) -> tuple[CountSource, ...]:
    """List what shows that the Envoy cluster carried the connection; nothing does where the access log says another."""
    if _logged_elsewhere(evidence):
        return ()
    held = {CountSource.CLUSTERS: evidence.counted is True, CountSource.ACCESS_LOG: evidence.logged is not None}
    return tuple(source for source, holds in held.items() if holds)


def _logged_elsewhere(evidence: Evidence) -> bool:
    walk = evidence.walk
    return evidence.logged is not None and not carried(evidence.logged, walk.envoy_cluster if walk else None)


def _answered(at: Situation) -> bool:
    """Say whether the expected answer came: curl content, the status expected, every extraction found."""
    outcome, status = at.outcome, at.probe.expect.status
    came = outcome.curl_exit == 0 and outcome.http_status > 0 and status in (None, outcome.http_status) and not outcome.unmatched
    return came and not _by_the_sidecar(at)


def _by_the_sidecar(at: Situation) -> bool:
    """Say whether the sidecar itself gave this answer, or may have: then nothing came from beyond it.

    Envoy answers an HTTP request that it has a direct response for, and with 502, 503 or 504 one whose Envoy cluster has no
    hosts, could not be connected to, or broke off.
    """
    walk, status, counts = at.evidence.walk, at.outcome.http_status, at.evidence.counts
    if walk is None or not status or at.evidence.capture is not Capture.CAPTURED:
        return False
    if walk.direct_status:
        return status == walk.direct_status
    if not walk.http_route or status not in _GATEWAY_STATUS:
        return False
    return at.evidence.endpoints == 0 or bool(counts and counts.connect_failed) or _mistaken_for_http2(at)


def _mistaken_for_http2(at: Situation) -> bool:
    """Say whether the sidecar speaks HTTP/2 beyond because the port is declared so, and the probe does not."""
    ports = at.entry.ports if at.entry else ()
    return any(port.number == at.probe.port and port.protocol.upper() in _ONLY_HTTP2 for port in ports)


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
    if walk.unknown or (walk.choices and walk.envoy_cluster is None):
        return _unproven(
            at, CauseCode.EVIDENCE_LOST, f"the answer came, and the way through the sidecar is not understood: {_obscure(at)}"
        )
    if _leads_nowhere(at):
        return _unproven(
            at,
            CauseCode.EVIDENCE_LOST,
            f"the answer came, and the sidecar's configuration leads {at.address} to {_nowhere(at)}: the two do not fit together",
        )
    if walk.http_route and at.outcome.http_status in _GATEWAY_STATUS:
        return _unproven(
            at,
            CauseCode.EVIDENCE_LOST,
            f"HTTP {at.outcome.http_status} may be the sidecar's own answer, and then nothing came from {at.address}",
        )
    if _logged_elsewhere(evidence):
        return _unproven(
            at,
            CauseCode.EVIDENCE_LOST,
            f"the answer came, and the sources disagree: the sidecar's configuration leads {at.address} to "
            f"{walk.envoy_cluster}, and its access log says {evidence.logged}",
        )
    if walk.envoy_cluster == PASSTHROUGH:
        return Verdict.BYPASSED, why_not_ours(at)
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
        return Verdict.BYPASSED, why_not_ours(at)
    if not evidence.sources:
        told = "did not move" if evidence.counted is False else "could not be read"
        return _unproven(
            at, CauseCode.EVIDENCE_LOST, f"the answer came, and the connection counts of {walk.envoy_cluster} {told}"
        )
    return Verdict.OPEN, None


def _obscure(at: Situation) -> str:
    walk = at.evidence.walk
    if walk is None or walk.unknown:
        return walk.unknown if walk else "it was not read"
    return f"chance decides between {', '.join(walk.choices)}, and the connection counts do not tell them apart"


def _leads_nowhere(at: Situation) -> bool:
    """Say whether nothing can come back by this way: no Envoy cluster, one that is not there, or one without hosts."""
    walk = at.evidence.walk
    return walk is not None and (walk.envoy_cluster in (None, BLACKHOLE) or walk.absent or at.evidence.endpoints == 0)


def _nowhere(at: Situation) -> str:
    walk = at.evidence.walk
    if walk is None or walk.envoy_cluster is None:
        return f"an answer of its own, HTTP {walk.direct_status}" if walk and walk.direct_status else "nothing"
    if walk.absent:
        return f"{walk.envoy_cluster}, which it does not have"
    return f"{walk.envoy_cluster}, which has no hosts" if at.evidence.endpoints == 0 else walk.envoy_cluster


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
        return _around_the_sidecar(at, code)
    if not at.source.proxy_ready and (code is CauseCode.CONNECT_REFUSED or evidence.walk is None):
        return _inconclusive(at, CauseCode.SIDECAR_NOT_READY)
    if code is CauseCode.CONNECT_REFUSED:
        return _judge_no_connection(at)
    if evidence.walk is None:
        return _inconclusive(at, CauseCode.PROXY_UNREADABLE)
    if evidence.walk.unknown:
        return _inconclusive(
            at, CauseCode.EVIDENCE_LOST, f"the way through the sidecar is not understood: {evidence.walk.unknown}"
        )
    if _leads_nowhere(at) and not evidence.walk.choices:
        return _judge_refusal(at)
    return _judge_beyond(at, code)


def _around_the_sidecar(at: Situation, code: CauseCode) -> tuple[Verdict, Cause]:
    told = explain(CauseCode.NOT_CAPTURED, at)
    return Verdict.FAILED, replace(told, message=f"{told.message}; then {explain(code, at).message}")


def _judge_no_connection(at: Situation) -> tuple[Verdict, Cause]:
    """Judge a connection that was refused itself: a running sidecar accepts every one before it decides."""
    if not at.evidence.policy:  # Its listeners could not be read, so perhaps none is listening.
        return _inconclusive(
            at,
            CauseCode.PROXY_UNREADABLE,
            f"{at.address} refused the connection itself: no sidecar was in the way, or none is listening yet "
            f"({at.outcome.error or 'no message'})",
        )
    said = (
        f"no sidecar took the connection to {at.address}, which one that runs always does; "
        f"it was refused beyond it ({at.outcome.error or 'no message'})"
    )
    return Verdict.FAILED, explain(CauseCode.NOT_CAPTURED, at, said)


def _wrong_answer(at: Situation) -> CauseCode:
    status = at.probe.expect.status
    return CauseCode.BODY_MISMATCH if status in (None, at.outcome.http_status) and at.outcome.unmatched else CauseCode.HTTP_STATUS


def _judge_refusal(at: Situation) -> tuple[Verdict, Cause]:
    """Judge a failure where the walk leads to BlackHoleCluster or to nothing."""
    owner, walk = at.evidence.owner, at.evidence.walk
    # Nothing else can the sidecar answer by itself on such a way.
    its_own = _by_the_sidecar(at) and (at.evidence.endpoints == 0 or bool(walk and walk.direct_status))
    if not looks_reset(at.outcome) and not its_own:
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
    if walk is not None and walk.envoy_cluster == PASSTHROUGH:
        return _inconclusive(
            at, CauseCode.EVIDENCE_LOST, f"{at.address} was refused, and the sidecar's configuration leads it to {_nowhere(at)}"
        )
    if at.evidence.endpoints == 0 and owner is not None and owner.ownership is Ownership.OWNED:
        return Verdict.BLOCKED, explain(CauseCode.NO_ENDPOINTS, at)
    return Verdict.BLOCKED, why_not_ours(at)


def _judge_beyond(at: Situation, code: CauseCode) -> tuple[Verdict, Cause]:
    """Judge a failure where the walk leads out of the mesh: the counts, or curl's own words, say what happened."""
    verdict, cause = _beyond(at, code)
    if verdict is not Verdict.FAILED:
        return verdict, cause
    if wraps(at) and cause.code not in (CauseCode.TIMEOUT, CauseCode.CONNECT_TIMEOUT, CauseCode.HTTP_STATUS):
        return verdict, explain(CauseCode.REROUTED, at)
    if routing(at) and foreign(at):
        told = explain(CauseCode.REROUTED, at)
        return verdict, replace(told, message=f"{told.message}; then {cause.message}")
    if at.entry is not None and (how := _mistaken(at)):
        return verdict, explain(CauseCode.PROTOCOL_MISMATCH, at, f"{at.entry} names port {at.probe.port} and {how}")
    return verdict, cause


def _mistaken(at: Situation) -> str:
    """Say in half a sentence how the declared protocol spoilt what was let out, "" where it did not."""
    entry, walk, outcome = at.entry, at.evidence.walk, at.outcome
    if entry is None or walk is None or not walk.http_route:
        return ""
    if _mistaken_for_http2(at) and (outcome.http_status in _GATEWAY_STATUS or looks_reset(outcome)):
        return f"declares it HTTP/2, in which the sidecar asks {at.address}, and got no answer (HTTP {outcome.http_status})"
    return speaks_otherwise(entry, at)


def _beyond(at: Situation, code: CauseCode) -> tuple[Verdict, Cause]:
    outcome, counts = at.outcome, at.evidence.counts
    if _by_the_sidecar(at) and counts is not None and counts.connect_failed:
        return Verdict.FAILED, explain(_not_connected(at), at)
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
        return Verdict.FAILED, explain(_not_connected(at), at)
    if counts.pending:
        return Verdict.FAILED, explain(CauseCode.CONNECT_TIMEOUT, at)
    if counts.opened:
        return Verdict.FAILED, explain(CauseCode.RESET, at)
    return _inconclusive(
        at,
        CauseCode.EVIDENCE_LOST,
        f"the connection to {at.address} was cut, and the connection counts do not show that it went out",
    )


def _not_connected(at: Situation) -> CauseCode:
    """Tell a connection that was refused from one that Envoy gave up: it does so after `connect_timeout`, 10 s in Istio."""
    return CauseCode.CONNECT_TIMEOUT if at.outcome.seconds.get("total", 0) >= _GIVEN_UP else CauseCode.CONNECT_REFUSED
