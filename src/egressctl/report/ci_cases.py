"""A Report as test cases, which is how CI servers see the world: the half that JUnit, TAP and GitHub have in common."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from egressctl.model.probe import Verdict
from egressctl.model.result import PartResult, ProbeResult, Report, TargetResult
from egressctl.report import exit_codes
from egressctl.report.lines import plain_text
from egressctl.report.sentences import target_summary
from egressctl.report.target_lines import AFTER_CLEANUP, draw_probe
from egressctl.runtime.sanitize import neutralise


class CaseStatus(StrEnum):
    """What becomes of a case: an error is a question that could not be asked, a failure one with the wrong answer."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


class CiCase(NamedTuple):
    """One probe, or something else that can go well or not.

    `kind` is a stable word for why it did not pass: the code of the cause where there is one, else the verdict.
    """

    name: str
    fate: CaseStatus = CaseStatus.PASSED
    kind: str = ""
    message: str = ""
    hint: str = ""
    result: ProbeResult | None = None
    details: tuple[str, ...] = ()
    """The verdict, its cause, and the path that the probe took, line by line; empty where there is none."""

    @property
    def seconds(self) -> float:
        """How long the transfer took, by curl's own clock."""
        outcome = self.result.outcome if self.result else None
        return outcome.seconds.get("total", 0.0) if outcome else 0.0


class CiSuite(NamedTuple):
    """The cases of one target, or of the command itself, which is None for `target`."""

    name: str
    group: str
    """The target's namespace; the program's name for the command itself."""
    target: TargetResult | None
    cases: tuple[CiCase, ...]
    summary: str = ""
    """What became of the target in one sentence, its name before it; empty for the command itself."""

    def count(self, fate: CaseStatus) -> int:
        """Return how many cases ended so."""
        return sum(case.fate is fate for case in self.cases)


def suites(report: Report) -> tuple[CiSuite, ...]:
    """Return a suite for each target, and one of the command itself where it failed, or where there is nothing else."""
    found = [_suite_of_target(target, report.allow_unproven) for target in report.targets]
    if report.error is not None:
        message, hint = neutralise(report.error.message), neutralise(report.error.hint)
        found.append(
            _command_suite(report, CiCase(report.command, CaseStatus.ERROR, f"exit-code-{report.exit_code}", message, hint))
        )
    elif not found:
        found.append(_command_suite(report, CiCase(report.command)))
    return tuple(found)


def _command_suite(report: Report, case: CiCase) -> CiSuite:
    return CiSuite(f"egressctl {report.command}", "egressctl", None, (case,))


def _suite_of_target(target: TargetResult, allow_unproven: bool) -> CiSuite:
    name = _suite_name(target)
    summary = neutralise(f"{name}: {target_summary(target)}")
    return CiSuite(name, target.namespace, target, tuple(_cases_of_target(target, allow_unproven)), summary)


def _suite_name(target: TargetResult) -> str:
    return f"{target.name}, {target.step}" if target.step else target.name


def _cases_of_target(target: TargetResult, allow_unproven: bool) -> Iterator[CiCase]:
    for probe in target.probes:
        yield case_of_probe(probe, allow_unproven)
    for probe in target.closure:
        yield case_of_probe(probe, allow_unproven, AFTER_CLEANUP)
    for part in target.parts if not target.action else ():
        yield _case_of_entry(part, allow_unproven)
    if target.probes or target.closure:
        return
    if (why := target.not_probed) is not None:
        fate = {0: CaseStatus.SKIPPED, 3: CaseStatus.ERROR}.get(exit_codes.exit_code_of_not_probed(why), CaseStatus.FAILED)
        yield CiCase("probes", fate, "not-probed", neutralise(f"nothing was asked: {why.reason}"), neutralise(why.hint))
    elif target.parts and not target.action:
        return
    elif target.action:
        for entry in target.service_entries:
            yield CiCase(neutralise(f"serviceentry/{entry}"))
    else:
        yield CiCase("probes", CaseStatus.SKIPPED, "no-probe", "the target has no probe, so nothing was asked")


def _case_of_entry(part: PartResult, allow_unproven: bool) -> CiCase:
    """Return what becomes of one of several entries, which passes where the sidecar was seen to have all that it lists."""
    name = neutralise(f"serviceentry/{part.name}")
    if part.in_force:
        return CiCase(name)
    fate = CaseStatus.FAILED if exit_codes.exit_code_of_entry(part, allow_unproven) else CaseStatus.SKIPPED
    kind = str(part.cause.code) if part.cause else "not-in-force"
    message = part.cause.message if part.cause else "the sidecar was not seen to have all that it lists"
    return CiCase(name, fate, kind, neutralise(message), neutralise(part.cause.hint) if part.cause else "")


def case_of_probe(result: ProbeResult, allow_unproven: bool, when: str = "") -> CiCase:
    """Return what becomes of a probe: decided as its exit code is, so that the two never disagree."""
    code = exit_codes.exit_code_of_probe(result, allow_unproven)
    name = when + neutralise(result.probe.name)
    if result.held:
        return CiCase(name, result=result)
    fate = {0: CaseStatus.SKIPPED, 3: CaseStatus.ERROR}.get(code, CaseStatus.FAILED)
    cause = result.cause
    kind = str(cause.code) if cause else str(result.verdict)
    message = neutralise(cause.message) if cause else _mismatch_message(result)
    details = [line.removeprefix("  ") for line in plain_text(draw_probe(result, when)).splitlines()]
    return CiCase(name, fate, kind, message, neutralise(cause.hint) if cause else "", result, tuple(details))


def _mismatch_message(result: ProbeResult) -> str:
    carried = envoy_cluster_of(result)
    way = f", through {carried}" if carried and result.verdict is Verdict.OPEN else ""
    return f"expected {result.probe.expect.verdict}, and it is {result.verdict}{way}"


def envoy_cluster_of(result: ProbeResult) -> str:
    """Return the Envoy cluster that the sidecar's configuration sends the probe to; empty where that is not known."""
    walk = result.evidence.walk if result.evidence else None
    return neutralise(walk.envoy_cluster or "") if walk else ""
