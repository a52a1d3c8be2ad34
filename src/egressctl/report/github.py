"""A Report as GitHub Actions shows it: annotations, which are lines of a log, and a summary in Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from egressctl.errors import Problem
from egressctl.lint.rule import Finding
from egressctl.model.result import ProbeResult, Report, TargetResult
from egressctl.report.ci_cases import CaseStatus, CiCase, CiSuite, envoy_cluster_of, suites
from egressctl.report.summary import report_summary
from egressctl.runtime.sanitize import neutralise

FilePosition = tuple[str, int | None]
"""A file, as a path from the repository's root, and a line in it."""
FindPosition = Callable[[TargetResult, ProbeResult | None], FilePosition | None]
"""Says where a target, or a probe of it, stands in a file; None for what stands in none."""

LONGEST_SUMMARY = 1024 * 1024
"""Bytes of a step's summary that GitHub takes; of a longer one it takes nothing."""
_ANNOTATIONS = 10
"""So many annotations of one kind GitHub keeps of a step; the last of ours says how many more there are."""
_MORE = "\n{count} more are in the report.\n"
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9 .,/:;=()'+%?-]")
_LEVELS = {CaseStatus.FAILED: "error", CaseStatus.ERROR: "error", CaseStatus.SKIPPED: "warning"}
_SIGNS = {CaseStatus.PASSED: "✅", CaseStatus.FAILED: "❌", CaseStatus.ERROR: "❗", CaseStatus.SKIPPED: "⚠️"}

_WORST_FIRST = (CaseStatus.ERROR, CaseStatus.FAILED, CaseStatus.SKIPPED)
_SENTENCES = 5
"""Of so many targets the sentence stands above the table, which has them all."""


def workflow_command(level: str, message: str, title: str = "", place: FilePosition | None = None) -> str:
    """Return the line that makes an annotation; `level` is `error`, `warning` or `notice`.

    Percent signs and line ends are escaped everywhere, and in properties what ends one: actions/toolkit's command.ts.
    """
    properties = []
    if place is not None:
        properties.append(f"file={_escape_property(place[0])}")
        properties += [f"line={place[1]}"] if place[1] else []
    properties += [f"title={_escape_property(title)}"] if title else []
    return f"::{level}{' ' if properties else ''}{','.join(properties)}::{_escape_data(message)}"


def report_annotations(report: Report, find: FindPosition, problems: Iterable[Problem] = ()) -> Iterator[str]:
    """Yield a line for each probe that did not hold, or passes without a proof, and for why the command stopped.

    `problems` are those of its input, each with its place; they stand for the one sentence of the report's error.
    """
    lines: dict[str, list[str]] = {"error": [], "warning": []}
    for suite in suites(report):
        told = list(problems) if suite.target is None and report.error is not None else []
        for each in told:
            message = f"{each.field}: {each.message}" if each.field else each.message
            remedy = f" ({each.remedy})" if each.remedy else ""
            place = (each.source, each.line) if each.source else None
            lines["error"].append(workflow_command("error", message + remedy, f"egressctl {report.command}", place))
        for case in () if told else suite.cases:
            if case.fate in _LEVELS and case.kind != "no-probe":
                level = _LEVELS[case.fate]
                place = find(suite.target, case.result) if suite.target else None
                lines[level].append(workflow_command(level, _annotation_message(case), _title(suite, case), place))
    for level, found in lines.items():
        yield from found[:_ANNOTATIONS] if len(found) <= _ANNOTATIONS else found[: _ANNOTATIONS - 1]
        if len(found) > _ANNOTATIONS:
            yield workflow_command(
                level, f"{len(found) - _ANNOTATIONS + 1} more are in the step's summary", f"egressctl {report.command}"
            )


def _title(suite: CiSuite, case: CiCase) -> str:
    return f"{suite.name}: {case.name}" if suite.target else suite.name


def _annotation_message(case: CiCase) -> str:
    verdict = f"{case.result.verdict}, {case.kind}: " if case.result and case.kind != case.result.verdict else ""
    return f"{verdict}{case.message}" + (f"\nnext: {case.hint}" if case.hint else "")


def step_summary(report: Report, limit: int = LONGEST_SUMMARY) -> str:
    """Return the report as Markdown of at most `limit` bytes; rows that do not fit are counted, not cut."""
    found = suites(report)
    cases = [(suite, case) for suite in found for case in suite.cases if suite.target is not None]
    counts = f"egressctl {report.command}: {_status_counts(found)}\n\n"
    head = _lead(report, found) + counts if cases else f"### {counts}"
    if report.error is not None:
        next_step = f"<br>next: <code>{_escape_markdown(report.error.hint)}</code>" if report.error.hint else ""
        head += f"{_SIGNS[CaseStatus.ERROR]} {_escape_markdown(report.error.message)}{next_step}\n\n"
    if cases:
        head += "| | target | probe | verdict | Envoy cluster | cause and next step |\n|---|---|---|---|---|---|\n"
    tail = "".join(f"\n- warning: {_escape_markdown(each)}" for each in report.warnings[:50])
    tail += f"\n\nrun {_escape_markdown(report.run_id)}, exit code {report.exit_code}, {report.duration:.1f} s\n\n"
    left = limit - sum(len(each.encode()) for each in (head, tail, _MORE)) - 20
    if left < 0:
        return ""
    rows: list[str] = []
    for suite, case in cases:
        row = _summary_row(suite, case)
        left -= len(row.encode())
        if left < 0:
            break
        rows.append(row)
    more = _MORE.format(count=len(cases) - len(rows)) if len(rows) < len(cases) else ""
    return head + "".join(rows) + more + tail


def _lead(report: Report, found: Sequence[CiSuite]) -> str:
    """Return the sentence that says it all as a heading, and a few targets' own, those not as expected first."""
    head = f"### {_sign_of(case for suite in found for case in suite.cases)} {_escape_markdown(report_summary(report))}\n\n"
    several = sorted(found, key=lambda suite: _sign_of(suite.cases) == _SIGNS[CaseStatus.PASSED])
    if len(report.targets) < 2:
        return head
    told = [f"- {_sign_of(suite.cases)} {_escape_markdown(suite.summary)}\n" for suite in several if suite.summary]
    return head + "".join(told[:_SENTENCES]) + "\n"


def _sign_of(cases: Iterable[CiCase]) -> str:
    """Return the sign of the worst."""
    fates = {case.fate for case in cases}
    return next((_SIGNS[fate] for fate in _WORST_FIRST if fate in fates), _SIGNS[CaseStatus.PASSED])


def _status_counts(found: Iterable[CiSuite]) -> str:
    cases = [case for suite in found for case in suite.cases]
    counts = ((sum(case.fate is fate for case in cases), fate) for fate in CaseStatus)
    return ", ".join(f"{count} {'in error' if fate is CaseStatus.ERROR else fate}" for count, fate in counts if count)


def _summary_row(suite: CiSuite, case: CiCase) -> str:
    verdict = str(case.result.verdict) if case.result else suite.target.action if suite.target else ""
    why = f"{_escape_markdown(case.kind)}: {_escape_markdown(case.message)}" if case.message else ""
    why += f"<br>next: <code>{_escape_markdown(case.hint)}</code>" if case.hint else ""
    way = f"<code>{_escape_markdown(carried)}</code>" if case.result and (carried := envoy_cluster_of(case.result)) else ""
    cells = (_SIGNS[case.fate], _escape_markdown(f"{suite.group}/{suite.name}"), _escape_markdown(case.name), verdict, way, why)
    return f"| {' | '.join(cells)} |\n"


def _escape_markdown(text: str) -> str:
    """Write text so that neither Markdown nor HTML finds anything in it: a reference to a character is never structure there."""
    return _NOT_PLAIN.sub(lambda found: f"&#{ord(found[0])};", neutralise(text))


def _escape_data(text: str) -> str:
    lines = (neutralise(line) for line in text.split("\n"))
    return "%0A".join(line.replace("%", "%25") for line in lines)


def _escape_property(text: str) -> str:
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")


def lint_annotations(findings: Iterable[Finding]) -> str:
    """Return a line for each finding; one that stands in no file has its entry before the message."""
    found = []
    for each in findings:
        about_file = each.where.partition(":")[0] == each.file
        message = each.message if about_file or not each.where else f"{each.where}: {each.message}"
        message += f"\n{each.hint}" if each.hint else ""
        found.append(workflow_command(each.severity.value, message, each.rule, (each.file, each.line) if each.file else None))
    return "".join(f"{line}\n" for line in found)
