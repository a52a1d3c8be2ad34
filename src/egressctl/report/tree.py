"""The path of a probe as a picture: pod, sidecar, listener, filter chain, Envoy cluster, address, answer."""

from __future__ import annotations

from collections.abc import Iterator

from egressctl.envoy.config import BLACKHOLE
from egressctl.model.cause import Cause
from egressctl.model.evidence import Capture, CountSource, CurlOutcome, Evidence, Method
from egressctl.model.probe import Verdict
from egressctl.model.result import ProbeResult, TargetResult
from egressctl.report.lines import Line
from egressctl.runtime.sanitize import neutralise
from egressctl.runtime.sentence import first_names

STYLES = {
    Verdict.OPEN: "green",
    Verdict.UNPROVEN: "yellow",
    Verdict.BYPASSED: "red",
    Verdict.FAILED: "red",
    Verdict.BLOCKED: "red",
    Verdict.INCONCLUSIVE: "yellow",
}
"""So many of a target's entries are named; a target of thousands of addresses has dozens."""
MARKS = {True: ("green", "✔"), False: ("red", "✘"), None: ("yellow", "?")}

_TIMED_OUT = 28
"""curl's exit of a transfer that stayed open until its time was up."""
_Step = tuple[str, str, bool | None]
"""A step of a way: its name, what is said of it, and whether it was reached."""


def draw_step(edge: str, name: str, text: str, reached: bool | None) -> Line:
    """Draw one step of a way, with a mark for whether it was reached: None where that is not known."""
    return (("", f"{edge} "), MARKS[reached], ("", f" {name:<13} {neutralise(text)}"))


def draw_target(target: TargetResult) -> Iterator[Line]:
    """Draw every probe of a target, those of its closure last."""
    entries = first_names(target.service_entries, 3) or "no ServiceEntry"
    step = f"{target.step}: " if target.step else ""
    yield (("bold", neutralise(f"{step}{target.name}")), ("", neutralise(f"  {entries} in namespace {target.namespace}")))
    for probe in target.probes:
        yield from draw_probe(probe)
    yield from _draw_entries(target)
    for probe in target.closure:
        yield from draw_probe(probe, "after cleanup, ")


def _count_with_noun(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"


def _draw_entries(target: TargetResult) -> Iterator[Line]:
    """Say of several entries whether the sidecar has what they list: of one that it does not, why."""
    seen = [part for part in target.parts if part.in_force]
    if seen:
        addresses = sum(part.addresses for part in seen)
        told = (
            f"in force in the sidecar: {_count_with_noun(len(seen), 'ServiceEntry', 'ServiceEntries')}, with "
            + _count_with_noun(addresses, "address", "addresses")
        )
        yield (("", "  "), MARKS[True], ("", f" {told}"))
    for part in target.parts_not_in_force:
        yield (("", "  "), MARKS[part.in_force], ("", f" {part.name}"))
        if part.cause is not None:
            yield from draw_cause("    ", part.cause, hint=True)


def draw_probe(result: ProbeResult, when: str = "") -> Iterator[Line]:
    """Draw one probe: what it showed, the steps of its way, and the cause where it is not open."""
    held = "" if result.held else f", expected {result.probe.expect.verdict}"
    style = "green" if result.held else STYLES[result.verdict]
    yield (
        ("", f"  {neutralise(f'{when}{result.probe.name}')}  {neutralise(result.probe.url)}  "),
        (f"bold {style}", str(result.verdict)),
        ("", held),
    )
    steps = list(_steps(result))
    for number, step in enumerate(steps, 1):
        yield draw_step("    ╰─" if number == len(steps) else "    ├─", *step)
    if result.cause is not None:
        yield from draw_cause("    ", result.cause, hint=not result.held)


def draw_cause(indent: str, cause: Cause, *, hint: bool) -> Iterator[Line]:
    """Draw a cause, and with `hint` the next command to type."""
    yield (("", f"{indent}cause  "), ("bold", str(cause.code)), ("", f": {neutralise(cause.message)}"))
    if cause.hint and hint:
        yield (("", f"{indent}next   {neutralise(cause.hint)}"),)


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
        refused = walk.envoy_cluster in (None, BLACKHOLE)
        known = None if walk.unknown else True
        yield ("listener", walk.listener or "none", known)
        yield ("filter chain", walk.prefix or walk.filter_chain or "none matches", known)
        yield ("Envoy cluster", _envoy_cluster_text(evidence), None if walk.unknown else not refused and _is_owned(evidence))
        if refused and outcome.http_status == 0:
            yield ("answer", _bare_connection_text(outcome) if result.probe.bare else _answer_text(outcome), False)
            return
    yield ("address", _address_text(evidence, outcome), bool(outcome.remote_ip))
    if result.probe.bare:
        yield ("answer", _bare_connection_text(outcome), None)
        return
    yield ("answer", _answer_text(outcome), outcome.curl_exit == 0 and result.verdict is not Verdict.FAILED)


def _address_text(evidence: Evidence, outcome: CurlOutcome) -> str:
    """Say where the connection ended: at the address that was asked for, or at the one that Envoy chose by itself."""
    if not outcome.remote_ip:
        return "none"
    asked = f"{outcome.remote_ip}:{outcome.remote_port}"
    if not evidence.upstream or evidence.upstream == (outcome.remote_ip,):
        return asked
    return f"{' or '.join(evidence.upstream[:3])}, which Envoy chose; {asked} was asked for"


def _is_owned(evidence: Evidence) -> bool:
    return Method.OWNED in evidence.methods


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


def _envoy_cluster_text(evidence: Evidence) -> str:
    walk = evidence.walk
    assert walk is not None
    if walk.unknown:
        return f"not known: {walk.unknown}"
    notes = []
    if evidence.owner is not None:
        notes.append(evidence.owner.reason)
    if evidence.counted is not None and walk.envoy_cluster != BLACKHOLE and evidence.counts is not None:
        notes.append(f"counted +{evidence.counts.opened}")
    if evidence.logged is not None:
        notes.append(
            "in the access log" if CountSource.ACCESS_LOG in evidence.sources else f"the access log says {evidence.logged}"
        )
    name = walk.envoy_cluster or "none: the connection is closed"
    return f"{name} ({'; '.join(notes)})" if notes else name


def _bare_connection_text(outcome: CurlOutcome) -> str:
    """Say what became of a bare connection, over which nothing was asked."""
    seconds = f"{outcome.seconds.get('total', 0):.2f} s"
    if outcome.curl_exit == _TIMED_OUT and outcome.seconds.get("connect", 0) > 0:
        return f"none asked for: the connection was held open for {seconds}"
    return f"none asked for: the connection was closed after {seconds}" if outcome.curl_exit == 0 else _answer_text(outcome)


def _answer_text(outcome: CurlOutcome) -> str:
    seconds = f"{outcome.seconds.get('total', 0):.2f} s"
    if outcome.curl_exit:
        return f"none, curl exit {outcome.curl_exit} after {seconds}: {outcome.error or 'no message'}"
    found = "".join(f", {name} {value}" for name, value in outcome.extracted.items())
    return f"HTTP {outcome.http_status} in {seconds}{found}"
