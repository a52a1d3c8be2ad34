"""What GitHub's runner and its Markdown make of our lines, read as they read them."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given

from egressctl.cli.github import path_in_repository
from egressctl.errors import Problem
from egressctl.model.result import ProbeResult, Report, TargetResult
from egressctl.report.ci_cases import suites
from egressctl.report.github import FilePosition, report_annotations, step_summary, workflow_command
from reports import BLOCKED, OPEN, REPORT, REPORTS, STOPPED, TARGET, TEXTS, UNASKED, UNPROVEN, of, some

Read = tuple[str, dict[str, str], str]


def obeyed(line: str) -> Read | None:
    """Return the command that actions/runner finds in a line of a log, with its properties and data: ActionCommand.cs."""
    if (start := line.find("##[")) >= 0 and "]" in line[start:]:
        return "##[", {}, line[start:]
    trimmed = line.lstrip()
    if not trimmed.startswith("::") or "::" not in trimmed[2:]:
        return None
    info, _, data = trimmed[2:].partition("::")
    name, _, properties = info.partition(" ")
    pairs = [each.split("=", 1) for each in properties.strip().split(",") if "=" in each]
    return name, {key: undone(value, ":,\r\n%") for key, value in pairs}, undone(data, "\r\n%")


def undone(text: str, escaped: str) -> str:
    for each in escaped:
        text = text.replace(f"%{ord(each):02X}", each)
    return text


def nowhere(target: TargetResult, probe: ProbeResult | None) -> FilePosition | None:
    return None


def in_a_file(target: TargetResult, probe: ProbeResult | None) -> FilePosition | None:
    return ("egress/targets.yaml", 12)


class TestAnnotations:
    def test_a_probe_that_did_not_hold_is_an_error_at_its_line(self) -> None:
        assert list(report_annotations(of(OPEN, BLOCKED), in_a_file)) == [
            "::error file=egress/targets.yaml,line=12,title=wikipedia%3A portal::"
            "blocked, entry-missing: it is not there%0Anext: egressctl create wikipedia"
        ]

    def test_what_stands_in_no_file_is_told_without_a_place(self) -> None:
        [line] = report_annotations(of(UNASKED), nowhere)
        assert line.startswith("::error title=wikipedia%3A portal::inconclusive, no-source-pod: there is no pod%0A")

    def test_an_answer_without_a_proof_that_passes_is_a_warning(self) -> None:
        [passed] = report_annotations(of(UNPROVEN, allow_unproven=True), nowhere)
        [failed] = report_annotations(of(UNPROVEN), nowhere)
        assert (passed.split(" ")[0], failed.split(" ")[0]) == ("::warning", "::error")

    def test_where_all_is_well_nothing_is_told(self) -> None:
        assert list(report_annotations(of(OPEN), in_a_file)) == []

    def test_a_command_that_could_not_finish_says_why(self) -> None:
        assert list(report_annotations(STOPPED, nowhere)) == [
            "::error title=egressctl verify::no connection%0Anext: egressctl doctor"
        ]

    def test_each_problem_of_an_input_stands_at_its_own_line(self) -> None:
        problems = [Problem("is no port", "spec.ports[0]", "write 443", "a,b.yaml", 3), Problem("is no file")]
        assert list(report_annotations(STOPPED, nowhere, problems)) == [
            "::error file=a%2Cb.yaml,line=3,title=egressctl verify::spec.ports[0]: is no port (write 443)",
            "::error title=egressctl verify::is no file",
        ]

    def test_of_more_than_github_keeps_the_last_says_how_many(self) -> None:
        found = list(report_annotations(of(*[BLOCKED] * 25), nowhere))
        assert len(found) == 10
        assert found[-1] == "::error title=egressctl verify::16 more are in the step's summary"

    @given(TEXTS, TEXTS, TEXTS)
    def test_the_runner_reads_what_was_meant(self, message: str, title: str, file: str) -> None:
        line = workflow_command("error", message, title, (file, 7))
        assert "\n" not in line
        assert "\r" not in line
        read = obeyed(line)
        assert read is not None
        assert read[0] == "error"
        assert set(read[1]) <= {"file", "line", "title"}
        assert read[1]["line"] == "7"

    @some
    @given(REPORTS)
    def test_no_text_makes_a_command_of_its_own(self, report: Report) -> None:
        for line in report_annotations(report, nowhere):
            read = obeyed(line)
            assert read is not None
            assert len(line.splitlines()) == 1
            assert read[0] in ("error", "warning")
            assert set(read[1]) == {"title"}


HEAD = "| | target | probe | verdict | Envoy cluster | cause and next step |\n|---|---|---|---|---|---|\n"
MARKS = re.compile(r"[\\`*_{}\[\]<>#!|~@&\"]")


class TestSummary:
    def test_a_report_as_it_stands(self) -> None:
        assert step_summary(replace(of(OPEN, BLOCKED), exit_code=1, warnings=("mind *the* gap",))) == (
            "### ❌ wikipedia: 1 of 2 open (proved); 1 blocked: it is not there (entry-missing)\n"
            "\n"
            "egressctl verify: 1 passed, 1 failed\n"
            "\n"
            "| | target | probe | verdict | Envoy cluster | cause and next step |\n"
            "|---|---|---|---|---|---|\n"
            "| ✅ | default/wikipedia | portal | open | <code>outbound&#124;443&#124;&#124;wikipedia.org</code> |  |\n"
            "| ❌ | default/wikipedia | portal | blocked | <code>BlackHoleCluster</code> "
            "| entry-missing: it is not there<br>next: <code>egressctl create wikipedia</code> |\n"
            "\n"
            "- warning: mind &#42;the&#42; gap\n"
            "\n"
            "run r1, exit code 1, 0.4 s\n"
            "\n"
        )

    def test_of_several_targets_the_sentences_of_those_not_as_expected_come_first(self) -> None:
        targets = (*[replace(TARGET, name=f"t{index}") for index in range(6)], replace(TARGET, name="api", probes=(BLOCKED,)))
        lines = step_summary(replace(REPORT, targets=targets)).splitlines()
        assert lines[0] == "### ❌ 6 of 7 targets as expected; not api"
        assert lines[2] == "- ❌ api: 0 of 1 open; 1 blocked: it is not there (entry-missing)"
        assert lines[3:7] == [f"- ✅ t{index}: 1 of 1 open (proved)" for index in range(4)]
        assert lines[8] == "egressctl verify: 6 passed, 1 failed"

    def test_a_command_that_could_not_ask_says_why_and_has_no_table(self) -> None:
        found = step_summary(STOPPED)
        assert found.startswith("### egressctl verify: 1 in error\n\n❗ no connection<br>next: <code>egressctl doctor</code>\n")
        assert "|" not in found

    @pytest.mark.parametrize("limit", [0, 100, 1000, 5000, 100_000])
    def test_it_is_no_longer_than_github_takes_and_counts_what_is_left_out(self, limit: int) -> None:
        report = replace(REPORT, targets=tuple(replace(TARGET, name=f"t{index}") for index in range(200)))
        found = step_summary(report, limit)
        assert len(found.encode()) <= limit
        rows = found.count("| ✅ |")
        assert not found or rows == 200 or f"\n{200 - rows} more are in the report.\n" in found
        assert (limit < 1000) == (rows == 0)

    @some
    @given(REPORTS)
    def test_no_text_is_taken_for_markdown_or_html(self, report: Report) -> None:
        text = step_summary(report)
        for line in text.replace(HEAD, "").splitlines():
            if line.startswith("| "):
                assert len(line.split(" | ")) == 6, line
            bare = re.sub(r"</?code>|<br>|&#\d+;|^### |^\| *| \|$| \| ", "", line)
            assert not MARKS.search(bare), line
        told = html.unescape(text)
        for suite in suites(report):
            assert suite.target is None or all(case.message in told for case in suite.cases)


def test_a_file_is_named_from_the_root_of_what_was_checked_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "repo" / "egress").mkdir(parents=True)
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path / "repo"))
    monkeypatch.chdir(tmp_path / "repo" / "egress")
    assert path_in_repository("targets.yaml") == "egress/targets.yaml"
    assert path_in_repository(str(tmp_path / "repo" / "x.yaml")) == "x.yaml"
    assert path_in_repository("../../elsewhere.yaml") == "../../elsewhere.yaml"
