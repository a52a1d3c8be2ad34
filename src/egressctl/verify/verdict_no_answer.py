"""Judge a probe whose expected answer did not come: was it refused, did it fail beyond, or is that not known. Pure."""

from __future__ import annotations

from dataclasses import replace

from egressctl.envoy.config import LETS_OUT
from egressctl.mesh.curl import cause_of, looks_reset
from egressctl.model.blocks import bracketed
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.evidence import Capture, Ownership
from egressctl.model.probe import BARE_SCHEME, Probe, Verdict
from egressctl.verify.causes import Case, explain_cause
from egressctl.verify.diagnosis import (
    leads_to_other_host,
    protocol_mismatch,
    virtual_service_behind,
    why_not_ours,
    wraps_tls_in_tls,
)
from egressctl.verify.route_reasons import no_endpoints_cause, wrong_tls_cause
from egressctl.verify.sidecar_answers import (
    GATEWAY_STATUS,
    answered_by_sidecar,
    declares_only_http2,
    describe_dead_end,
    leads_nowhere,
)

_GIVE_UP_SECONDS = 5.0
"""Seconds after which a connection that failed was not refused, which takes one round trip."""


def judge_failure(case: Case) -> tuple[Verdict, Cause]:
    """Say what a probe showed whose expected answer did not come: `failed`, `blocked` or `inconclusive`, and why."""
    outcome, evidence, walk = case.outcome, case.evidence, case.evidence.walk
    code = cause_of(outcome) if outcome.curl_exit else _wrong_answer_code(case)
    if code is None:
        said = f"curl exit {outcome.curl_exit} names nothing that egressctl knows: {outcome.error or 'no message'}"
        return Verdict.INCONCLUSIVE, explain_cause(CauseCode.EXEC_FAILED, case, said)
    if code is CauseCode.NAME_RESOLUTION:
        return Verdict.FAILED, explain_cause(code, case)
    if case.source.ambient:
        return Verdict.INCONCLUSIVE, explain_cause(CauseCode.AMBIENT, case)
    if case.source.proxy is None:
        return Verdict.FAILED, explain_cause(code, case)
    if outcome.proxied and leads_nowhere(case) and walk is not None and not walk.unknown and not _doubt_about_refusal(case):
        return Verdict.BLOCKED, _refused_proxy_cause(case)
    if outcome.proxied or evidence.capture is Capture.NOT_CAPTURED:
        return judge_bypass(case, code)
    if cause := why_no_family(case):
        return Verdict.FAILED, cause
    if not case.source.proxy_ready and (code is CauseCode.CONNECT_REFUSED or walk is None):
        return Verdict.INCONCLUSIVE, explain_cause(CauseCode.SIDECAR_NOT_READY, case)
    if code is CauseCode.CONNECT_REFUSED:
        return judge_no_connection(case)
    if walk is None:
        return Verdict.INCONCLUSIVE, explain_cause(CauseCode.PROXY_UNREADABLE, case)
    if walk.unknown:
        said = f"the path through the sidecar is not understood: {walk.unknown}"
        return Verdict.INCONCLUSIVE, explain_cause(CauseCode.EVIDENCE_LOST, case, said)
    if leads_nowhere(case) and not walk.choices:
        if doubt := _doubt_about_refusal(case):
            return Verdict.INCONCLUSIVE, explain_cause(CauseCode.EVIDENCE_LOST, case, doubt)
        if evidence.endpoints == 0 and evidence.owner is not None and evidence.owner.ownership is Ownership.OWNED:
            return Verdict.BLOCKED, no_endpoints_cause(case)
        return Verdict.BLOCKED, why_not_ours(case)
    verdict, cause = _judge_upstream(case, code)
    return verdict, _shaped_by_mesh(case, cause) or cause if verdict is Verdict.FAILED else cause


def _refused_proxy_cause(case: Case) -> Cause:
    """Name the proxy of a proxy variable as what the mesh refused, and its reason: an entry for the URL would not help."""
    probe = Probe(case.probe.name, f"{BARE_SCHEME}{bracketed(case.outcome.remote_ip)}:{case.outcome.remote_port}")
    evidence = replace(case.evidence, owner=None)
    told = why_not_ours(replace(case, probe=probe, entry=None, entry_name="", entry_namespace="", evidence=evidence))
    asked = f"{case.probe.host}:{case.probe.port}"
    said = f"a proxy variable in the pod sent curl to the proxy {case.address}, not to {asked}, and the mesh refused the proxy"
    return told._replace(message=f"{said}: {told.message}")


def judge_bypass(case: Case, code: CauseCode) -> tuple[Verdict, Cause]:
    told = explain_cause(CauseCode.NOT_CAPTURED, case)
    return Verdict.FAILED, told._replace(message=f"{told.message}; then {explain_cause(code, case).message}")


def why_no_family(case: Case) -> Cause | None:
    """Say that the pod has no address of the family that a connection needed; None where it has, or that is not known."""
    outcome = case.outcome
    made = outcome.seconds.get("connect", 0) > 0 or not outcome.curl_exit
    lacking = case.source.lacks_family_of(outcome.remote_ip or case.probe.connect_ip or case.probe.host)
    return explain_cause(CauseCode.IP_FAMILY, case) if lacking and not made else None


def judge_no_connection(case: Case) -> tuple[Verdict, Cause]:
    """Judge a connection that was refused itself: a running sidecar accepts every one before it decides."""
    if not case.evidence.policy:  # Its listeners could not be read, so perhaps none is listening.
        said = (
            f"{case.address} refused the connection itself: no sidecar took it, or none listens yet "
            f"({case.outcome.error or 'no message'})"
        )
        return Verdict.INCONCLUSIVE, explain_cause(CauseCode.PROXY_UNREADABLE, case, said)
    if case.evidence.deaf:
        return Verdict.FAILED, explain_cause(CauseCode.NOT_CAPTURED, case)
    said = (
        f"no sidecar took the connection to {case.address}, although a running sidecar always does; "
        f"the address refused it ({case.outcome.error or 'no message'})"
    )
    return Verdict.FAILED, explain_cause(CauseCode.NOT_CAPTURED, case, said)


def _wrong_answer_code(case: Case) -> CauseCode:
    status = case.probe.expect.status
    return (
        CauseCode.BODY_MISMATCH
        if status in (None, case.outcome.http_status) and case.outcome.unmatched
        else CauseCode.HTTP_STATUS
    )


def _doubt_about_refusal(case: Case) -> str:
    """Say in a sentence why it is not certain that the sidecar refused what leads to nothing, "" where it is."""
    walk, outcome = case.evidence.walk, case.outcome
    # Nothing else can the sidecar answer by itself on such a way.
    its_own = answered_by_sidecar(case) and (case.evidence.endpoints == 0 or bool(walk and walk.direct_status))
    if not looks_reset(outcome) and not its_own:
        return (
            f"the sidecar's configuration refuses {case.address}, and curl met something else: "
            f"exit {outcome.curl_exit}, status {outcome.http_status}, {outcome.error or 'no message'}"
        )
    if case.evidence.capture is not Capture.CAPTURED:
        return (
            f"{case.address} was refused, and nothing shows whether by the sidecar: "
            "a second connection left no row in the pod's socket table"
        )
    if case.leads_to in LETS_OUT:
        return f"{case.address} was refused, and the sidecar's configuration sends it to {describe_dead_end(case)}"
    return ""


def _shaped_by_mesh(case: Case, cause: Cause) -> Cause | None:
    """Name what of the mesh spoilt a connection that was let out: TLS in TLS, another host's route, a declared protocol."""
    owner = case.evidence.owner
    if owner is not None and owner.elsewhere:
        told = why_not_ours(case)
        return told._replace(message=f"{told.message}; then {cause.message}")
    if wraps_tls_in_tls(case) and cause.code not in (CauseCode.TIMEOUT, CauseCode.CONNECT_TIMEOUT, CauseCode.HTTP_STATUS):
        return explain_cause(CauseCode.REROUTED, case)
    if virtual_service_behind(case) and leads_to_other_host(case):
        told = explain_cause(CauseCode.REROUTED, case)
        return told._replace(message=f"{told.message}; then {cause.message}")
    if spoilt := wrong_tls_cause(case, cause):
        return spoilt
    if case.entry is not None and (how := _protocol_failure(case)):
        return explain_cause(CauseCode.PROTOCOL_MISMATCH, case, f"{case.entry} names port {case.probe.port} and {how}")
    return None


def _protocol_failure(case: Case) -> str:
    """Say in half a sentence how the declared protocol spoilt what was let out, "" where it did not."""
    entry, walk, outcome = case.entry, case.evidence.walk, case.outcome
    if entry is None or walk is None or not walk.http_route:
        return ""
    if declares_only_http2(case) and (outcome.http_status in GATEWAY_STATUS or looks_reset(outcome)):
        return f"declares it HTTP/2, in which the sidecar asks {case.address}, and got no answer (HTTP {outcome.http_status})"
    return protocol_mismatch(entry, case)


def _judge_upstream(case: Case, code: CauseCode) -> tuple[Verdict, Cause]:
    outcome, counts = case.outcome, case.evidence.counts
    if answered_by_sidecar(case) and counts is not None and counts.connect_failed:
        return Verdict.FAILED, explain_cause(_no_connection_code(case), case)
    if not looks_reset(outcome) and code not in (CauseCode.TIMEOUT, CauseCode.CONNECT_TIMEOUT):
        return Verdict.FAILED, explain_cause(code, case)
    if counts is None:
        return Verdict.INCONCLUSIVE, explain_cause(CauseCode.PROXY_UNREADABLE, case)
    if code in (CauseCode.TIMEOUT, CauseCode.CONNECT_TIMEOUT):
        # curl closes a connection that timed out, and its row may be gone before the table is read: then the count shows it.
        if case.evidence.capture is not Capture.CAPTURED and not (counts.opened or counts.pending or counts.connect_failed):
            return Verdict.INCONCLUSIVE, explain_cause(CauseCode.EVIDENCE_LOST, case)
        connected = counts.opened > counts.connect_failed and not counts.pending
        return Verdict.FAILED, explain_cause(CauseCode.TIMEOUT if connected else CauseCode.CONNECT_TIMEOUT, case)
    if counts.connect_failed:
        return Verdict.FAILED, explain_cause(_no_connection_code(case), case)
    if counts.pending:
        return Verdict.FAILED, explain_cause(CauseCode.CONNECT_TIMEOUT, case)
    if counts.opened:
        return Verdict.FAILED, explain_cause(CauseCode.RESET, case)
    said = f"the connection to {case.address} was cut, and the connection counts do not show that it went out"
    return Verdict.INCONCLUSIVE, explain_cause(CauseCode.EVIDENCE_LOST, case, said)


def _no_connection_code(case: Case) -> CauseCode:
    """Say whether a connection was refused, or given up by Envoy, as it does after `connect_timeout`, 10 s in Istio."""
    return CauseCode.CONNECT_TIMEOUT if case.outcome.seconds.get("total", 0) >= _GIVE_UP_SECONDS else CauseCode.CONNECT_REFUSED
