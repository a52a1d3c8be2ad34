"""Judge a probe whose expected answer did not come: was it refused, did it fail beyond, or can that not be told. Pure."""

from __future__ import annotations

from dataclasses import replace

from egressctl.envoy.config import PASSTHROUGH
from egressctl.mesh.curl import cause_of, looks_reset
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.evidence import Capture, Ownership
from egressctl.model.probe import Verdict
from egressctl.verify.causes import Situation, explain
from egressctl.verify.diagnosis import foreign, routing, speaks_otherwise, why_not_ours, wraps
from egressctl.verify.sidecar_answers import GATEWAY_STATUS, by_the_sidecar, leads_nowhere, mistaken_for_http2, nowhere

_GIVEN_UP = 5.0
"""Seconds after which a connection that failed was not refused, which takes one round trip."""


def judge_failure(at: Situation) -> tuple[Verdict, Cause]:
    """Say what a probe showed whose expected answer did not come: `failed`, `blocked` or `inconclusive`, and why."""
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
        return around_the_sidecar(at, code)
    if not at.source.proxy_ready and (code is CauseCode.CONNECT_REFUSED or evidence.walk is None):
        return _inconclusive(at, CauseCode.SIDECAR_NOT_READY)
    if code is CauseCode.CONNECT_REFUSED:
        return judge_no_connection(at)
    if evidence.walk is None:
        return _inconclusive(at, CauseCode.PROXY_UNREADABLE)
    if evidence.walk.unknown:
        return _inconclusive(
            at, CauseCode.EVIDENCE_LOST, f"the way through the sidecar is not understood: {evidence.walk.unknown}"
        )
    if leads_nowhere(at) and not evidence.walk.choices:
        return _judge_refusal(at)
    return _judge_beyond(at, code)


def around_the_sidecar(at: Situation, code: CauseCode) -> tuple[Verdict, Cause]:
    told = explain(CauseCode.NOT_CAPTURED, at)
    return Verdict.FAILED, replace(told, message=f"{told.message}; then {explain(code, at).message}")


def judge_no_connection(at: Situation) -> tuple[Verdict, Cause]:
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
    its_own = by_the_sidecar(at) and (at.evidence.endpoints == 0 or bool(walk and walk.direct_status))
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
            at, CauseCode.EVIDENCE_LOST, f"{at.address} was refused, and the sidecar's configuration leads it to {nowhere(at)}"
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
    if mistaken_for_http2(at) and (outcome.http_status in GATEWAY_STATUS or looks_reset(outcome)):
        return f"declares it HTTP/2, in which the sidecar asks {at.address}, and got no answer (HTTP {outcome.http_status})"
    return speaks_otherwise(entry, at)


def _beyond(at: Situation, code: CauseCode) -> tuple[Verdict, Cause]:
    outcome, counts = at.outcome, at.evidence.counts
    if by_the_sidecar(at) and counts is not None and counts.connect_failed:
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


def _inconclusive(at: Situation, code: CauseCode, detail: str = "") -> tuple[Verdict, Cause]:
    return Verdict.INCONCLUSIVE, explain(code, at, detail)
