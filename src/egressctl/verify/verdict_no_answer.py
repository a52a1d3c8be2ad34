"""Judge a probe whose expected answer did not come: was it refused, did it fail beyond, or can that not be told. Pure."""

from __future__ import annotations

from dataclasses import replace

from egressctl.envoy.config import PASSTHROUGH
from egressctl.mesh.curl import cause_of, looks_reset
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.evidence import Capture, Ownership
from egressctl.model.probe import Verdict
from egressctl.verify.causes import Case, explain_cause
from egressctl.verify.diagnosis import (
    leads_to_other_host,
    protocol_mismatch,
    virtual_service_behind,
    why_not_ours,
    wraps_tls_in_tls,
)
from egressctl.verify.sidecar_answers import (
    GATEWAY_STATUS,
    answered_by_sidecar,
    declares_only_http2,
    describe_dead_end,
    leads_nowhere,
)

_GIVE_UP_SECONDS = 5.0
"""Seconds after which a connection that failed was not refused, which takes one round trip."""


def judge_failure(at: Case) -> tuple[Verdict, Cause]:
    """Say what a probe showed whose expected answer did not come: `failed`, `blocked` or `inconclusive`, and why."""
    outcome, evidence = at.outcome, at.evidence
    code = cause_of(outcome) if outcome.curl_exit else _wrong_answer_code(at)
    if code is None:
        return _inconclusive_verdict(
            at,
            CauseCode.EXEC_FAILED,
            f"curl exit {outcome.curl_exit} names nothing that egressctl knows: {outcome.error or 'no message'}",
        )
    if code is CauseCode.NAME_RESOLUTION:
        return Verdict.FAILED, explain_cause(code, at)
    if at.source.ambient:
        return _inconclusive_verdict(at, CauseCode.AMBIENT)
    if at.source.proxy is None:
        return Verdict.FAILED, explain_cause(code, at)
    if outcome.proxied or evidence.capture is Capture.NOT_CAPTURED:
        return judge_bypass(at, code)
    if not at.source.proxy_ready and (code is CauseCode.CONNECT_REFUSED or evidence.walk is None):
        return _inconclusive_verdict(at, CauseCode.SIDECAR_NOT_READY)
    if code is CauseCode.CONNECT_REFUSED:
        return judge_no_connection(at)
    if evidence.walk is None:
        return _inconclusive_verdict(at, CauseCode.PROXY_UNREADABLE)
    if evidence.walk.unknown:
        return _inconclusive_verdict(
            at, CauseCode.EVIDENCE_LOST, f"the way through the sidecar is not understood: {evidence.walk.unknown}"
        )
    if leads_nowhere(at) and not evidence.walk.choices:
        return _judge_refusal(at)
    return _judge_beyond(at, code)


def judge_bypass(at: Case, code: CauseCode) -> tuple[Verdict, Cause]:
    told = explain_cause(CauseCode.NOT_CAPTURED, at)
    return Verdict.FAILED, replace(told, message=f"{told.message}; then {explain_cause(code, at).message}")


def judge_no_connection(at: Case) -> tuple[Verdict, Cause]:
    """Judge a connection that was refused itself: a running sidecar accepts every one before it decides."""
    if not at.evidence.policy:  # Its listeners could not be read, so perhaps none is listening.
        return _inconclusive_verdict(
            at,
            CauseCode.PROXY_UNREADABLE,
            f"{at.address} refused the connection itself: no sidecar was in the way, or none is listening yet "
            f"({at.outcome.error or 'no message'})",
        )
    said = (
        f"no sidecar took the connection to {at.address}, which one that runs always does; "
        f"it was refused beyond it ({at.outcome.error or 'no message'})"
    )
    return Verdict.FAILED, explain_cause(CauseCode.NOT_CAPTURED, at, said)


def _wrong_answer_code(at: Case) -> CauseCode:
    status = at.probe.expect.status
    return CauseCode.BODY_MISMATCH if status in (None, at.outcome.http_status) and at.outcome.unmatched else CauseCode.HTTP_STATUS


def _judge_refusal(at: Case) -> tuple[Verdict, Cause]:
    """Judge a failure where the walk leads to BlackHoleCluster or to nothing."""
    owner, walk = at.evidence.owner, at.evidence.walk
    # Nothing else can the sidecar answer by itself on such a way.
    its_own = answered_by_sidecar(at) and (at.evidence.endpoints == 0 or bool(walk and walk.direct_status))
    if not looks_reset(at.outcome) and not its_own:
        return _inconclusive_verdict(
            at,
            CauseCode.EVIDENCE_LOST,
            f"the sidecar's configuration refuses {at.address}, and curl met something else: "
            f"exit {at.outcome.curl_exit}, status {at.outcome.http_status}, {at.outcome.error or 'no message'}",
        )
    if at.evidence.capture is not Capture.CAPTURED:
        return _inconclusive_verdict(
            at,
            CauseCode.EVIDENCE_LOST,
            f"{at.address} was refused, and nothing shows whether by the sidecar: "
            "a second connection left no row in the pod's socket table",
        )
    if walk is not None and walk.envoy_cluster == PASSTHROUGH:
        return _inconclusive_verdict(
            at,
            CauseCode.EVIDENCE_LOST,
            f"{at.address} was refused, and the sidecar's configuration leads it to {describe_dead_end(at)}",
        )
    if at.evidence.endpoints == 0 and owner is not None and owner.ownership is Ownership.OWNED:
        return Verdict.BLOCKED, explain_cause(CauseCode.NO_ENDPOINTS, at)
    return Verdict.BLOCKED, why_not_ours(at)


def _judge_beyond(at: Case, code: CauseCode) -> tuple[Verdict, Cause]:
    """Judge a failure where the walk leads out of the mesh: the counts, or curl's own words, say what happened."""
    verdict, cause = _judge_upstream(at, code)
    if verdict is not Verdict.FAILED:
        return verdict, cause
    if wraps_tls_in_tls(at) and cause.code not in (CauseCode.TIMEOUT, CauseCode.CONNECT_TIMEOUT, CauseCode.HTTP_STATUS):
        return verdict, explain_cause(CauseCode.REROUTED, at)
    if virtual_service_behind(at) and leads_to_other_host(at):
        told = explain_cause(CauseCode.REROUTED, at)
        return verdict, replace(told, message=f"{told.message}; then {cause.message}")
    if at.entry is not None and (how := _protocol_failure(at)):
        return verdict, explain_cause(CauseCode.PROTOCOL_MISMATCH, at, f"{at.entry} names port {at.probe.port} and {how}")
    return verdict, cause


def _protocol_failure(at: Case) -> str:
    """Say in half a sentence how the declared protocol spoilt what was let out, "" where it did not."""
    entry, walk, outcome = at.entry, at.evidence.walk, at.outcome
    if entry is None or walk is None or not walk.http_route:
        return ""
    if declares_only_http2(at) and (outcome.http_status in GATEWAY_STATUS or looks_reset(outcome)):
        return f"declares it HTTP/2, in which the sidecar asks {at.address}, and got no answer (HTTP {outcome.http_status})"
    return protocol_mismatch(entry, at)


def _judge_upstream(at: Case, code: CauseCode) -> tuple[Verdict, Cause]:
    outcome, counts = at.outcome, at.evidence.counts
    if answered_by_sidecar(at) and counts is not None and counts.connect_failed:
        return Verdict.FAILED, explain_cause(_no_connection_code(at), at)
    if not looks_reset(outcome) and code not in (CauseCode.TIMEOUT, CauseCode.CONNECT_TIMEOUT):
        return Verdict.FAILED, explain_cause(code, at)
    if counts is None:
        return _inconclusive_verdict(at, CauseCode.PROXY_UNREADABLE)
    if code in (CauseCode.TIMEOUT, CauseCode.CONNECT_TIMEOUT):
        # curl closes a connection that timed out, and its row may be gone before the table is read: then the count shows it.
        if at.evidence.capture is not Capture.CAPTURED and not (counts.opened or counts.pending or counts.connect_failed):
            return _inconclusive_verdict(at, CauseCode.EVIDENCE_LOST)
        connected = counts.opened > counts.connect_failed and not counts.pending
        return Verdict.FAILED, explain_cause(CauseCode.TIMEOUT if connected else CauseCode.CONNECT_TIMEOUT, at)
    if counts.connect_failed:
        return Verdict.FAILED, explain_cause(_no_connection_code(at), at)
    if counts.pending:
        return Verdict.FAILED, explain_cause(CauseCode.CONNECT_TIMEOUT, at)
    if counts.opened:
        return Verdict.FAILED, explain_cause(CauseCode.RESET, at)
    return _inconclusive_verdict(
        at,
        CauseCode.EVIDENCE_LOST,
        f"the connection to {at.address} was cut, and the connection counts do not show that it went out",
    )


def _no_connection_code(at: Case) -> CauseCode:
    """Tell a connection that was refused from one that Envoy gave up: it does so after `connect_timeout`, 10 s in Istio."""
    return CauseCode.CONNECT_TIMEOUT if at.outcome.seconds.get("total", 0) >= _GIVE_UP_SECONDS else CauseCode.CONNECT_REFUSED


def _inconclusive_verdict(at: Case, code: CauseCode, detail: str = "") -> tuple[Verdict, Cause]:
    return Verdict.INCONCLUSIVE, explain_cause(code, at, detail)
