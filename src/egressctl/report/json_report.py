"""A Report as the JSON document of docs/reference/json.md, schema version egressctl.dev/v1alpha1."""

from __future__ import annotations

from typing import Any

from egressctl.model.cause import Cause
from egressctl.model.evidence import CurlOutcome, Evidence, Source
from egressctl.model.probe import Expectation, worst_verdict
from egressctl.model.result import PartResult, ProbeResult, Report, TargetResult
from egressctl.report.data_text import document
from egressctl.report.sentences import target_summary
from egressctl.report.summary import report_summary


def report_document(report: Report) -> dict[str, Any]:
    """Return the report as plain data, in the documented order of its keys."""
    kubernetes = report.kubernetes
    beside = {"notReached": list(report.not_reached)} if report.not_reached else {}
    return document(
        "Report",
        command=report.command,
        runId=report.run_id,
        startedAt=report.started_at,
        duration=round(report.duration, 3),
        verdict=str(worst_verdict(tuple(target.verdict for target in report.targets if target.probes or target.closure))),
        summary=report_summary(report),
        exitCode=report.exit_code,
        kubernetes=None
        if kubernetes is None
        else {"context": kubernetes.context, "server": kubernetes.server, "version": kubernetes.version},
        targets=[_target(target) for target in report.targets],
        **beside,
        warnings=list(report.warnings),
        error=None if report.error is None else {"message": report.error.message, "hint": report.error.hint},
    )


def _target(target: TargetResult) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": target.name,
        "namespace": target.namespace,
        "serviceEntries": list(target.service_entries),
    }
    if target.step:
        found["step"] = target.step
    if target.action:
        found["action"] = target.action
    found["verdict"] = str(target.verdict)
    found["summary"] = target_summary(target)
    if target.parts:
        found["parts"] = [_part(part) for part in target.parts]
    if target.not_probed is not None:
        why = target.not_probed
        found["notProbed"] = {"reason": why.reason, "hint": why.hint, "meant": why.meant, "named": why.named}
    found["unasked"] = list(target.unasked)
    found["probes"] = [_probe(probe) for probe in target.probes]
    if target.closure:
        found["closure"] = {
            "verdict": str(worst_verdict(tuple(probe.verdict for probe in target.closure))),
            "held": all(probe.held for probe in target.closure),
            "probes": [_probe(probe) for probe in target.closure],
        }
    return found


def _part(part: PartResult) -> dict[str, Any]:
    found: dict[str, Any] = {"serviceEntry": part.name, "addresses": part.addresses}
    if part.action:
        return {**found, "action": part.action}
    return {**found, "inForce": part.in_force, "cause": cause_document(part.cause)}


def _probe(result: ProbeResult) -> dict[str, Any]:
    return {
        "name": result.probe.name,
        "url": result.probe.url,
        "source": _source(result.source),
        "verdict": str(result.verdict),
        "held": result.held,
        "expectation": _expectation(result.probe.expect),
        "cause": cause_document(result.cause),
        "outcome": _outcome(result.outcome),
        "evidence": _evidence(result.evidence),
        "extracted": dict(result.outcome.extracted) if result.outcome else {},
    }


def _source(source: Source | None) -> dict[str, Any] | None:
    if source is None:
        return None
    return {"namespace": source.namespace, "pod": source.pod, "container": source.container, "chosenOf": source.chosen_of}


def _expectation(expect: Expectation) -> dict[str, Any]:
    found: dict[str, Any] = {"verdict": str(expect.verdict), "status": expect.status}
    return {**found, "via": expect.via} if expect.via else found


def cause_document(cause: Cause | None) -> dict[str, str] | None:
    """Return a cause as plain data."""
    return None if cause is None else {"code": str(cause.code), "message": cause.message, "hint": cause.hint}


def _outcome(outcome: CurlOutcome | None) -> dict[str, Any] | None:
    if outcome is None:
        return None
    return {
        "curlExit": outcome.curl_exit,
        "httpStatus": outcome.http_status,
        "remoteIp": outcome.remote_ip,
        "remotePort": outcome.remote_port,
        "error": outcome.error,
        "seconds": dict(outcome.seconds),
    }


def _evidence(evidence: Evidence | None) -> dict[str, Any] | None:
    if evidence is None:
        return None
    walk = evidence.walk
    return {
        "envoyCluster": walk.envoy_cluster if walk else None,
        "methods": [str(method) for method in evidence.methods],
        "sources": [str(source) for source in evidence.sources],
        "listener": walk.listener if walk else None,
        "filterChain": (walk.prefix or walk.filter_chain or walk.matched) if walk else None,
        "capture": str(evidence.capture),
        "companion": evidence.companion,
        "owner": evidence.owner.reason if evidence.owner else None,
        "connectedTo": list(evidence.upstream),
        "policy": evidence.policy or None,
    }
