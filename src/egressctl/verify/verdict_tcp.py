"""Judge a bare connection, over which nothing is said: which way it took, and whether the sidecar cut it. Pure.

The sidecar accepts every connection before it decides, so that one came about shows nothing, and no answer is asked for: such
a probe is never `open`. It is `blocked` only where it was captured, the walk leads to nothing, and it was ended at once.
"""

from __future__ import annotations

from egressctl.envoy.config import PASSTHROUGH
from egressctl.mesh.curl import cause_of
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.evidence import Capture, Ownership
from egressctl.model.probe import Verdict
from egressctl.verify.causes import Case, explain_cause
from egressctl.verify.diagnosis import why_not_ours
from egressctl.verify.sidecar_answers import describe_dead_end, leads_nowhere
from egressctl.verify.verdict_no_answer import judge_bypass, judge_no_connection

_CLOSED, _HELD_OPEN, _RESET = 0, 28, 56
"""curl's exits of a telnet transfer whose other end closed it, that stayed open until its time was up, and that was reset."""


def judge_tcp(at: Case) -> tuple[Verdict, Cause]:
    """Say what a bare connection showed, and why it is not `open`. Never raises; never says more than the evidence."""
    outcome, evidence, walk = at.outcome, at.evidence, at.evidence.walk
    connected = bool(outcome.remote_ip) and outcome.seconds.get("connect", 0) > 0
    if not connected or outcome.curl_exit not in (_CLOSED, _HELD_OPEN, _RESET):
        return _judge_without_connection(at)
    if at.source.ambient:
        return Verdict.UNPROVEN, explain_cause(CauseCode.AMBIENT, at)
    if at.source.proxy is None:
        return Verdict.BYPASSED, explain_cause(CauseCode.NO_SIDECAR, at)
    if outcome.proxied or evidence.capture is Capture.NOT_CAPTURED:
        return Verdict.BYPASSED, explain_cause(CauseCode.NOT_CAPTURED, at)
    if evidence.capture is not Capture.CAPTURED:
        return _unproven_verdict(
            at, f"the pod's socket table does not show whether the sidecar had the connection to {at.address}"
        )
    if walk is None:
        return Verdict.UNPROVEN, explain_cause(CauseCode.PROXY_UNREADABLE, at)
    if walk.unknown or (walk.choices and walk.envoy_cluster is None):
        how = walk.unknown or f"chance decides between {', '.join(walk.choices)}"
        return _unproven_verdict(at, f"the way through the sidecar is not understood: {how}")
    if leads_nowhere(at):
        return _judge_refusal(at)
    if walk.envoy_cluster == PASSTHROUGH:
        return Verdict.BYPASSED, why_not_ours(at)
    return _judge_let_through(at)


def _judge_without_connection(at: Case) -> tuple[Verdict, Cause]:
    outcome = at.outcome
    code = cause_of(outcome) if outcome.curl_exit else None
    if code is None:
        said = f"curl exit {outcome.curl_exit} without a connection: {outcome.error or 'no message'}"
        return Verdict.INCONCLUSIVE, explain_cause(CauseCode.EXEC_FAILED, at, said)
    if code is CauseCode.NAME_RESOLUTION:
        return Verdict.FAILED, explain_cause(code, at)
    if at.source.ambient:
        return Verdict.INCONCLUSIVE, explain_cause(CauseCode.AMBIENT, at)
    if at.source.proxy is None:
        return Verdict.FAILED, explain_cause(code, at)
    if outcome.proxied or at.evidence.capture is Capture.NOT_CAPTURED:
        return judge_bypass(at, code)
    if not at.source.proxy_ready:
        return Verdict.INCONCLUSIVE, explain_cause(CauseCode.SIDECAR_NOT_READY, at)
    if code is CauseCode.CONNECT_REFUSED:
        return judge_no_connection(at)
    return Verdict.INCONCLUSIVE, explain_cause(CauseCode.EVIDENCE_LOST, at)


def _judge_refusal(at: Case) -> tuple[Verdict, Cause]:
    owner = at.evidence.owner
    if at.outcome.curl_exit == _HELD_OPEN:
        return _unproven_verdict(
            at,
            f"the sidecar's configuration leads {at.address} to {describe_dead_end(at)}, and the connection stayed open: "
            "it may wait for what the client says first",
        )
    if at.evidence.endpoints == 0 and owner is not None and owner.ownership is Ownership.OWNED:
        return Verdict.BLOCKED, explain_cause(CauseCode.NO_ENDPOINTS, at)
    return Verdict.BLOCKED, why_not_ours(at)


def _judge_let_through(at: Case) -> tuple[Verdict, Cause]:
    """Judge a connection that the walk leads to the Envoy cluster of a host."""
    owner, counts = at.evidence.owner, at.evidence.counts
    if at.entry is None and at.entry_name:
        return Verdict.BYPASSED, explain_cause(CauseCode.ENTRY_MISSING, at)
    carried = at.evidence.walk.envoy_cluster if at.evidence.walk else None
    if owner is None or owner.ownership is Ownership.UNKNOWN:
        reason = owner.reason if owner else "no ServiceEntry could be read"
        return _unproven_verdict(at, f"it leads to {carried}, and whose that is could not be told: {reason}")
    if owner.ownership is Ownership.OTHERS:
        return Verdict.BYPASSED, why_not_ours(at)
    if counts is not None and counts.connect_failed:
        return Verdict.FAILED, explain_cause(CauseCode.CONNECT_REFUSED, at)
    if counts is not None and counts.pending:
        return Verdict.FAILED, explain_cause(CauseCode.CONNECT_TIMEOUT, at)
    return _unproven_verdict(at, f"a bare connection went to {carried}, its own, and no answer shows that anything came of it")


def _unproven_verdict(at: Case, said: str) -> tuple[Verdict, Cause]:
    namespace = at.entry.namespace if at.entry else at.source.namespace
    step = (
        f"""give it a probe that asks: kubectl annotate serviceentry -n {namespace} {at.entry_name} egressctl.dev/probes="""
        """'[{"name":"NAME","url":"URL"}]', or none"""
        if at.entry_name
        else ""
    )
    return Verdict.UNPROVEN, explain_cause(CauseCode.EVIDENCE_LOST, at, said, step)
