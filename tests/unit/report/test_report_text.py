"""A report in each format: what is drawn of it, and that a format is the one that was asked for."""

from __future__ import annotations

import html
import json
from dataclasses import replace
from xml.etree import ElementTree

import pytest
import yaml
from hypothesis import given

from egressctl.model.probe import Probe, Verdict
from egressctl.model.result import Failure, NotProbed, ProbeResult, Report, TargetResult
from egressctl.report.github import report_annotations, step_summary
from egressctl.report.lines import plain_text
from egressctl.report.report_text import report_lines, report_text
from reports import REPORT, REPORTS, some

PROBE = Probe("portal", "https://www.wikipedia.org")


def target(name: str, *verdicts: Verdict) -> TargetResult:
    probes = tuple(ProbeResult(PROBE, None, verdict, verdict is Verdict.OPEN) for verdict in verdicts)
    return TargetResult(name, "default", (f"{name}-ext",), probes)


ROWS = replace(
    REPORT,
    targets=(
        target("held", Verdict.OPEN),
        target("missed", Verdict.OPEN, Verdict.BLOCKED),
        replace(target("left-out"), not_probed=NotProbed("its annotation says none")),
    ),
    planned=3,
)


def drawn(*, show_paths: bool = False, quiet: bool = False) -> list[str]:
    """Name the targets that are drawn below the rows of a table."""
    lines = ["".join(text for _, text in line) for line in report_lines(ROWS, show_paths=show_paths, quiet=quiet)]
    assert lines.pop().startswith("3 ServiceEntries: ")
    return [line.split()[1] for line in lines if line and not line.startswith(" ")]


def test_below_rows_stands_what_is_not_as_expected_or_all_where_that_is_wanted() -> None:
    assert drawn() == ["missed"]
    assert drawn(show_paths=True) == ["held", "missed"]
    assert drawn(quiet=True) == []


def test_what_was_drawn_while_the_command_went_on_is_not_drawn_again() -> None:
    report = replace(REPORT, targets=(target("first", Verdict.OPEN), target("second", Verdict.OPEN)))
    assert plain_text(report_lines(report, quiet=True, told=1)) == "✔ second  1 of 1 open (proved)\n"


def test_without_rows_every_probe_is_drawn_and_what_was_only_done_is_not() -> None:
    done = replace(target("made"), action="created")
    text = report_text(replace(REPORT, targets=(target("held", Verdict.OPEN), done)), "table")
    assert text.startswith("✔ held  1 of 1 open (proved)\n")
    assert "made" not in text


def test_a_table_begins_with_what_was_told_and_ends_with_why_it_stopped() -> None:
    stopped = replace(REPORT, targets=(), error=Failure("half\nbroken"))
    assert report_text(stopped, "table", ["serviceentry/x created"]) == "serviceentry/x created\nerror: half\\x0abroken\n"


def test_names_are_kubectls() -> None:
    assert report_text(ROWS, "name").splitlines()[0] == "serviceentry.networking.istio.io/held-ext"


def test_every_other_format_is_read_by_its_own_reader() -> None:
    assert json.loads(report_text(ROWS, "json")) == yaml.safe_load(report_text(ROWS, "yaml"))
    assert len(ElementTree.fromstring(report_text(ROWS, "junit"))) == 3
    assert report_text(ROWS, "tap").startswith("TAP version 13\n1..")


# What others wrote


@pytest.mark.parametrize("form", ["table", "json", "yaml", "name", "junit", "tap"])
@some
@given(report=REPORTS)
def test_no_line_holds_a_control_or_format_character(form: str, report: Report) -> None:
    text = report_text(report, form, show_paths=True)
    shown = html.unescape(text) if form == "junit" else text
    assert all(line.isprintable() for line in shown.split("\n"))


@some
@given(report=REPORTS)
def test_nor_does_any_of_what_github_shows(report: Report) -> None:
    shown = [*html.unescape(step_summary(report)).split("\n"), *report_annotations(report, lambda target, probe: None)]
    assert all(line.isprintable() for line in shown)
