"""The path of a probe as a picture: pod, sidecar, listener, filter chain, Envoy cluster, address, answer."""

from __future__ import annotations

from collections.abc import Iterator

from egressctl.envoy.config import BLACKHOLE
from egressctl.model.blocks import bracketed
from egressctl.model.cause import Cause
from egressctl.model.evidence import Capture, CountSource, CurlOutcome, Evidence, Method, Walk
from egressctl.model.probe import Verdict
from egressctl.model.result import ProbeResult
from egressctl.report.lines import HANG, Line, hang_for
from egressctl.runtime.sanitize import neutralise
from egressctl.verify.causes import Case
from egressctl.verify.sidecar_answers import GATEWAY_STATUS, answered_by_sidecar

MARKS = {True: ("green", "✔"), False: ("red", "✘"), None: ("yellow", "?")}
"""By whether something is as expected, None where that is not known."""

_TIMED_OUT = 28
"""curl's exit of a transfer that stayed open until its time was up."""
_Step = tuple[str, str, bool | None]
"""A step of a way: its name, what is said of it, and whether it was reached."""


def draw_step(edge: str, name: str, text: str, reached: bool | None) -> Line:
    """Draw one step of a way, with a mark for whether it was reached: None where that is not known."""
    return (("", f"{edge} "), MARKS[reached], ("", f" {name:<13} "), HANG, ("", neutralise(text)))


def draw_probe_path(result: ProbeResult, indent: str = "  ") -> Iterator[Line]:
    """Draw the path that a probe took, step by step; nothing where it was not sent."""
    steps = list(_steps(result))
    for number, step in enumerate(steps, 1):
        yield draw_step(indent + ("╰─" if number == len(steps) else "├─"), *step)


def draw_cause(indent: str, cause: Cause, *, hint: bool) -> Iterator[Line]:
    """Draw a cause, and with `hint` the next command to type."""
    yield (("", f"{indent}cause  "), HANG, ("bold", str(cause.code)), ("", f": {neutralise(cause.message)}"))
    if hint:
        yield from draw_hint(indent, cause.hint)


def draw_hint(indent: str, hint: str) -> Iterator[Line]:
    """Draw the next command to type; nothing where there is none."""
    if hint:
        yield (("", f"{indent}next   "), hang_for(hint), ("", neutralise(hint)))


def _steps(result: ProbeResult) -> Iterator[_Step]:
    source, outcome, evidence = result.source, result.outcome, result.evidence
    if source is None:
        return
    several = f", newest of {source.chosen_of} ready" if source.chosen_of > 1 else ""
    yield ("pod", f"{source.namespace}/{source.pod}, container {source.container}{several}", True)
    if outcome is None or evidence is None:
        return
    yield _sidecar_step(source.proxy, evidence, outcome)
    walk = evidence.walk
    if evidence.capture is not Capture.NOT_CAPTURED and walk is not None:
        yield from _steps_in_sidecar(walk, evidence)
        if _is_answer_of_sidecar(result, walk, evidence, outcome):
            yield ("answer", f"{_answer_text(outcome)}, from the sidecar itself", False)
            return
        if _is_refused(walk, evidence) and outcome.http_status == 0:
            yield ("answer", _bare_connection_text(outcome) if result.probe.bare else _answer_text(outcome), False)
            return
    if evidence.counts and evidence.counts.connect_failed and not outcome.http_status:
        yield ("address", f"{_address_text(evidence, outcome)}: the sidecar's connection failed", False)
    else:
        yield ("address", _address_text(evidence, outcome), bool(outcome.remote_ip))
    if result.probe.bare:
        yield ("answer", _bare_connection_text(outcome), None)
        return
    yield ("answer", _answer_text(outcome), outcome.curl_exit == 0 and result.verdict is not Verdict.FAILED)


def _steps_in_sidecar(walk: Walk, evidence: Evidence) -> Iterator[_Step]:
    """Say where the sidecar's configuration led, and by what; nothing that is not known, or is not there, has a tick."""
    known = None if walk.unknown else True
    yield ("listener", walk.listener or ("not known" if walk.unknown else "none"), known and bool(walk.listener))
    leads_on = bool(walk.envoy_cluster or walk.choices or walk.direct_status)
    matched = walk.matched or walk.prefix or walk.filter_chain or "catch-all"
    if walk.unknown:
        yield ("filter chain", walk.matched or walk.prefix or walk.filter_chain or "not known", None)
    else:
        yield ("filter chain", matched if leads_on else "none matches", leads_on)
    if walk.http_route:
        none = ": no route matches" if walk.unrouted else ""
        yield ("HTTP route", f"{walk.http_route}{none}", known and (not walk.direct_status or walk.absent))
    sends = not _is_refused(walk, evidence) and Method.OWNED in evidence.methods
    which = walk.unknown or (walk.choices and not walk.envoy_cluster)
    yield ("Envoy cluster", _envoy_cluster_text(walk, evidence), None if which else sends)


def _is_refused(walk: Walk, evidence: Evidence) -> bool:
    """Say whether the sidecar sends it nowhere: it closes the connection, or answers by itself."""
    if walk.unknown or (walk.choices and not walk.envoy_cluster):
        return False
    return walk.absent or walk.envoy_cluster in (None, BLACKHOLE) or evidence.endpoints == 0


def _is_answer_of_sidecar(result: ProbeResult, walk: Walk, evidence: Evidence, outcome: CurlOutcome) -> bool:
    """Say whether the sidecar itself gave this answer; of a weighted route where it sent nothing to any Envoy cluster."""
    if evidence.capture is Capture.CAPTURED and walk.choices and evidence.moved == ():
        return outcome.http_status in GATEWAY_STATUS
    return result.source is not None and answered_by_sidecar(Case(result.probe, result.source, outcome, evidence))


def _address_text(evidence: Evidence, outcome: CurlOutcome) -> str:
    """Say where the connection ended: at the address that was asked for, or at the one that Envoy chose by itself."""
    if not outcome.remote_ip:
        return "none"
    asked = f"{bracketed(outcome.remote_ip)}:{outcome.remote_port}"
    if not evidence.upstream or evidence.upstream == (outcome.remote_ip,):
        return asked
    return f"{' or '.join(evidence.upstream[:3])}, which Envoy chose; {asked} was asked for"


def _sidecar_step(proxy: str | None, evidence: Evidence, outcome: CurlOutcome) -> _Step:
    if proxy is None:
        return ("sidecar", "none", False)
    captured = f"captured: {proxy} had the other end of local port {outcome.local_port}"
    if evidence.companion:
        captured = f"captured: a second connection to the same address went through {proxy}"
    told = {
        Capture.CAPTURED: captured,
        Capture.NOT_CAPTURED: "not captured: the connection did not go through it",
        Capture.UNKNOWN: "not known whether it had the other end",
    }[evidence.capture]
    reached = {Capture.CAPTURED: True, Capture.NOT_CAPTURED: False, Capture.UNKNOWN: None}[evidence.capture]
    return ("sidecar", told, reached)


def _envoy_cluster_text(walk: Walk, evidence: Evidence) -> str:
    if walk.unknown:
        return f"not known: {walk.unknown}"
    if walk.absent:
        return f"{walk.envoy_cluster} (the sidecar does not have it)"
    notes = []
    if evidence.owner is not None and (walk.envoy_cluster or not walk.choices):
        notes.append(evidence.owner.reason)
    if evidence.counted is not None and walk.envoy_cluster != BLACKHOLE and evidence.counts is not None:
        # A request of HTTP may go over a connection of an earlier one.
        counted = evidence.counts.requests if walk.http_route else evidence.counts.opened
        notes.append(f"counted +{counted}")
    if evidence.logged is not None:
        notes.append(
            "in the access log" if CountSource.ACCESS_LOG in evidence.sources else f"the access log says {evidence.logged}"
        )
    if evidence.endpoints == 0 and walk.envoy_cluster != BLACKHOLE:  # which is to have none
        notes.append("it has no hosts")
    name = _envoy_cluster_name(walk, evidence)
    return f"{name} ({'; '.join(notes)})" if notes else name


def _envoy_cluster_name(walk: Walk, evidence: Evidence) -> str:
    """Name the Envoy cluster; of a weighted route, the one whose counts moved, or all of which it may be one."""
    if walk.choices and walk.envoy_cluster:
        return f"{walk.envoy_cluster}, the only one of a weighted route's {len(walk.choices)} whose counts moved"
    if walk.choices:
        told = "the counts of each moved" if evidence.moved else "no counts of them moved"
        known = "" if evidence.moved is None else f": {told}"
        return f"not known which of {' and '.join(evidence.moved or walk.choices)}{known}"
    if walk.envoy_cluster:
        return walk.envoy_cluster
    if walk.direct_status:
        return f"none: the sidecar answers with HTTP {walk.direct_status} by itself"
    return "none: the connection is closed"


def _bare_connection_text(outcome: CurlOutcome) -> str:
    """Say what became of a bare connection, over which nothing was asked."""
    seconds = f"{outcome.seconds.get('total', 0):.2f} s"
    if outcome.curl_exit == _TIMED_OUT and outcome.seconds.get("connect", 0) > 0:
        return f"none asked for: the connection was kept open for {seconds}"
    return f"none asked for: the connection was closed after {seconds}" if outcome.curl_exit == 0 else _answer_text(outcome)


def _answer_text(outcome: CurlOutcome) -> str:
    seconds = f"{outcome.seconds.get('total', 0):.2f} s"
    if outcome.curl_exit:
        return f"none, curl exit {outcome.curl_exit} after {seconds}: {outcome.error or 'no message'}"
    found = "".join(f", {name} {value}" for name, value in outcome.extracted.items())
    return f"HTTP {outcome.http_status} in {seconds}{found}"
