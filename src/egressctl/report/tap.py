"""A Report in the Test Anything Protocol, version 13, which readers of version 14 take as well."""

from __future__ import annotations

import re
from collections.abc import Iterator

from egressctl.model.result import Report
from egressctl.report.ci_cases import CaseStatus, CiCase, CiSuite, envoy_cluster_of, suites
from egressctl.runtime.sanitize import neutralise


def tap(report: Report) -> str:
    """Return the report as lines of ASCII: the plan, a point for each probe with diagnostics in YAML, and why it stopped.

    Source: the specifications of TAP 13 and 14; Perl's own reader refuses what calls itself 14.
    """
    found = [
        (suite, case) for suite in suites(report) if suite.target is not None or report.error is None for case in suite.cases
    ]
    lines = ["TAP version 13"]
    if found or report.error is None:
        lines.append(f"1..{len(found)}")
    told = None
    for number, (suite, case) in enumerate(found, 1):
        if suite is not told and suite.summary:
            lines.append(f"# {_plain_ascii(suite.summary)}")
        told = suite
        lines += _point(number, suite, case)
    if report.error is not None:
        lines.append(f"Bail out! {_plain_ascii(report.error.message)}")
    return "\n".join(lines) + "\n"


def _point(number: int, suite: CiSuite, case: CiCase) -> Iterator[str]:
    ok = "ok" if case.fate in (CaseStatus.PASSED, CaseStatus.SKIPPED) else "not ok"
    skip = (
        f" # SKIP {_escape_description(case.kind)}: {_escape_description(case.message)}"
        if case.fate is CaseStatus.SKIPPED
        else ""
    )
    yield f"{ok} {number} - {_escape_description(f'{suite.name}: {case.name}')}{skip}"
    if case.fate is CaseStatus.PASSED:
        return
    yield "  ---"
    for key, value in _diagnostics(case):
        yield f"  {key}: {_quote(value)}"
    yield "  ..."


def _diagnostics(case: CiCase) -> Iterator[tuple[str, str]]:
    yield "message", case.message
    yield "severity", "fail" if case.fate is CaseStatus.FAILED else "error" if case.fate is CaseStatus.ERROR else "comment"
    result = case.result
    if result is not None:
        yield "url", neutralise(result.probe.url)
        yield "verdict", str(result.verdict)
        yield "expected", str(result.probe.expect.verdict)
    yield "cause", case.kind
    if case.hint:
        yield "next", case.hint
    if result is not None and (carried := envoy_cluster_of(result)):
        yield "envoyCluster", carried


def _quote(text: str) -> str:
    """Write text, which is one line by now, in double quotes; above ASCII in YAML's escapes, which are Python's."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{_ascii(escaped)}"'


def _plain_ascii(text: str) -> str:
    return _ascii(neutralise(text))


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode("ascii")


def _escape_description(text: str) -> str:
    """Write a description: `#` would begin a directive, and a backslash an escape."""
    return re.sub(r"([\\#])", r"\\\1", _plain_ascii(text))
