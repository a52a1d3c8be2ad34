"""TAP, read as its specification says."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import NamedTuple

import yaml
from hypothesis import given

from egressctl.model.result import Report
from egressctl.report.ci_cases import CaseStatus, suites
from egressctl.report.tap import tap
from reports import BLOCKED, OPEN, REPORTS, STOPPED, TARGET, UNPROVEN, of, some


def test_a_report_as_it_stands() -> None:
    assert tap(of(OPEN, BLOCKED)) == (
        "TAP version 13\n"
        "1..2\n"
        "# wikipedia: 1 of 2 open (proved); 1 blocked: it is not there (entry-missing)\n"
        "ok 1 - wikipedia: portal\n"
        "not ok 2 - wikipedia: portal\n"
        "  ---\n"
        '  message: "it is not there"\n'
        '  severity: "fail"\n'
        '  url: "https://www.wikipedia.org"\n'
        '  verdict: "blocked"\n'
        '  expected: "open"\n'
        '  cause: "entry-missing"\n'
        '  next: "egressctl create wikipedia"\n'
        '  envoyCluster: "BlackHoleCluster"\n'
        "  ...\n"
    )


def test_an_answer_without_a_proof_that_may_pass_is_skipped() -> None:
    assert "\nok 1 - wikipedia: portal # SKIP ambient: no proxy tells\n" in tap(of(UNPROVEN, allow_unproven=True))
    assert "\nnot ok 1 - wikipedia: portal\n" in tap(of(UNPROVEN))


def test_where_nothing_could_be_asked_it_bails_out() -> None:
    assert tap(STOPPED) == "TAP version 13\nBail out! no connection\n"


def test_what_was_found_before_is_told_first() -> None:
    assert tap(replace(STOPPED, targets=(TARGET,))) == (
        "TAP version 13\n1..1\n# wikipedia: 1 of 1 open (proved)\nok 1 - wikipedia: portal\nBail out! no connection\n"
    )


class Point(NamedTuple):
    ok: bool
    description: str
    skipped: bool
    diagnostics: dict[str, str]


def read(text: str) -> tuple[list[Point], bool]:
    """Read TAP 13 strictly: nothing but version, plan, comments, points with their diagnostics, and a bail-out at the end."""
    lines = text.split("\n")
    assert lines.pop() == ""
    assert lines.pop(0) == "TAP version 13"
    bailed = bool(lines) and lines[-1].startswith("Bail out!")
    lines = lines[:-1] if bailed else lines
    plan = int(lines.pop(0).removeprefix("1..")) if lines else 0
    points: list[Point] = []
    while lines:
        if lines[0].startswith("# "):
            lines.pop(0)
        found = re.fullmatch(r"(not )?ok (\d+) - ((?:[^\\#]|\\.)*?)( # SKIP (?:[^\\#]|\\.)*)?", lines.pop(0))
        assert found
        assert int(found[2]) == len(points) + 1
        diagnostics = {}
        if lines and lines[0] == "  ---":
            end = lines.index("  ...")
            diagnostics = yaml.safe_load("\n".join(lines[1:end]))
            lines = lines[end + 1 :]
        points.append(Point(not found[1], re.sub(r"\\(.)", r"\1", found[3]), bool(found[4]), diagnostics))
    assert len(points) == plan
    return points, bailed


@some
@given(REPORTS)
def test_no_text_leaves_its_place(report: Report) -> None:
    text = tap(report)
    assert text.isascii()
    points, bailed = read(text)
    assert bailed == (report.error is not None)
    cases = [case for suite in suites(report) for case in suite.cases if suite.target or not bailed]
    assert [(point.ok, point.skipped) for point in points] == [
        (case.fate in (CaseStatus.PASSED, CaseStatus.SKIPPED), case.fate is CaseStatus.SKIPPED) for case in cases
    ]
    assert [point.diagnostics.get("message", "") for point in points] == [case.message for case in cases]
