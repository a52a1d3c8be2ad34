"""Judge a bare connection, over which nothing is said: which way it took, and whether the sidecar cut it. Pure.

The sidecar accepts every connection before it decides, so that one came about shows nothing, and no answer is asked for: such
a probe is never `open`. It is `blocked` only where it was captured, the walk leads to nothing, and it was ended at once.
"""

from __future__ import annotations

from egressctl.envoy.config import LETS_OUT
from egressctl.mesh.curl import cause_of
from egressctl.model.blocks import bracketed
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.evidence import Capture, Ownership
from egressctl.model.probe import Verdict
from egressctl.runtime.sanitize import quote
from egressctl.verify.causes import Case, explain_cause
from egressctl.verify.diagnosis import why_not_ours
from egressctl.verify.route_reasons import no_endpoints_cause
from egressctl.verify.sidecar_answers import describe_dead_end, leads_nowhere
from egressctl.verify.verdict_no_answer import judge_bypass, judge_no_connection, why_no_family

_CLOSED, _HELD_OPEN, _RESET = 0, 28, 56
"""curl's exits of a telnet transfer whose other end closed it, that stayed open until its time was up, and that was reset."""


def judge_tcp(case: Case) -> tuple[Verdict, Cause]:
    """Say what a bare connection showed, and why it is not `open`. Never raises; never says more than the evidence."""
    outcome, evidence, walk = case.outcome, case.evidence, case.evidence.walk
    connected = bool(outcome.remote_ip) and outcome.seconds.get("connect", 0) > 0
    if not connected or outcome.curl_exit not in (_CLOSED, _HELD_OPEN, _RESET):
        return _judge_without_connection(case)
    if case.source.ambient:
        return Verdict.UNPROVEN, explain_cause(CauseCode.AMBIENT, case)
    if case.source.proxy is None:
        return Verdict.BYPASSED, explain_cause(CauseCode.NO_SIDECAR, case)
    if outcome.proxied or evidence.capture is Capture.NOT_CAPTURED:
        return Verdict.BYPASSED, explain_cause(CauseCode.NOT_CAPTURED, case)
    if evidence.capture is not Capture.CAPTURED:
        return _unproven_verdict(
            case, f"the pod's socket table does not show whether the sidecar had the connection to {case.address}"
        )
    if walk is None:
        return Verdict.UNPROVEN, explain_cause(CauseCode.PROXY_UNREADABLE, case)
    if walk.unknown or (walk.choices and walk.envoy_cluster is None):
        how = walk.unknown or f"chance decides between {', '.join(walk.choices)}"
        return _unproven_verdict(case, f"the path through the sidecar is not understood: {how}")
    if leads_nowhere(case):
        return _judge_refusal(case)
    if walk.envoy_cluster in LETS_OUT:
        return Verdict.BYPASSED, why_not_ours(case)
    return _judge_let_through(case)


def _judge_without_connection(case: Case) -> tuple[Verdict, Cause]:
    outcome = case.outcome
    code = cause_of(outcome) if outcome.curl_exit else None
    if code is None:
        said = f"curl exit {outcome.curl_exit} without a connection: {outcome.error or 'no message'}"
        return Verdict.INCONCLUSIVE, explain_cause(CauseCode.EXEC_FAILED, case, said)
    if code is CauseCode.NAME_RESOLUTION:
        return Verdict.FAILED, explain_cause(code, case)
    if case.source.ambient:
        return Verdict.INCONCLUSIVE, explain_cause(CauseCode.AMBIENT, case)
    if case.source.proxy is None:
        return Verdict.FAILED, explain_cause(code, case)
    if outcome.proxied or case.evidence.capture is Capture.NOT_CAPTURED:
        return judge_bypass(case, code)
    if cause := why_no_family(case):
        return Verdict.FAILED, cause
    if not case.source.proxy_ready:
        return Verdict.INCONCLUSIVE, explain_cause(CauseCode.SIDECAR_NOT_READY, case)
    if code is CauseCode.CONNECT_REFUSED:
        return judge_no_connection(case)
    return Verdict.INCONCLUSIVE, explain_cause(CauseCode.EVIDENCE_LOST, case)


def _judge_refusal(case: Case) -> tuple[Verdict, Cause]:
    owner = case.evidence.owner
    if case.outcome.curl_exit == _HELD_OPEN:
        return _unproven_verdict(
            case,
            f"the sidecar's configuration sends {case.address} to {describe_dead_end(case)}, and the connection stayed open: "
            "it may wait for what the client says first",
        )
    if case.evidence.endpoints == 0 and owner is not None and owner.ownership is Ownership.OWNED:
        return Verdict.BLOCKED, no_endpoints_cause(case)
    return Verdict.BLOCKED, why_not_ours(case)


def _judge_let_through(case: Case) -> tuple[Verdict, Cause]:
    """Judge a connection that the walk leads to the Envoy cluster of a host."""
    owner, counts = case.evidence.owner, case.evidence.counts
    if case.entry is None and case.entry_name:
        return Verdict.BYPASSED, explain_cause(CauseCode.ENTRY_MISSING, case)
    if owner is None or owner.ownership is Ownership.UNKNOWN:
        reason = owner.reason if owner else "no ServiceEntry could be read"
        return _unproven_verdict(case, f"it leads to {case.leads_to}, but which entry that belongs to is not known: {reason}")
    if owner.ownership is Ownership.OTHERS:
        return Verdict.BYPASSED, why_not_ours(case)
    if counts is not None and counts.connect_failed:
        return Verdict.FAILED, explain_cause(CauseCode.CONNECT_REFUSED, case)
    if counts is not None and counts.pending:
        return Verdict.FAILED, explain_cause(CauseCode.CONNECT_TIMEOUT, case)
    return _unproven_verdict(
        case, f"a bare connection went to the entry's own {case.leads_to}, but without an answer it proves no more"
    )


def _unproven_verdict(case: Case, said: str) -> tuple[Verdict, Cause]:
    command = f"kubectl annotate serviceentry -n {quote(case.namespace)} {quote(case.entry_name)} egressctl.dev/probes="
    host = bracketed(case.probe.host)
    asking = f"send a request, whose answer shows it: egressctl verify --probe {quote(f'https://{host}:{case.probe.port}')}"
    step = f"""give it a probe that asks: {command}'[{{"name":"NAME","url":"URL"}}]', or none""" if case.entry_name else asking
    return Verdict.UNPROVEN, explain_cause(CauseCode.EVIDENCE_LOST, case, said, step)
