"""What becomes of each probe as a test case, which is what JUnit, TAP and GitHub have in common."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from egressctl.model.probe import Verdict
from egressctl.model.result import NotProbed, ProbeResult, Report, TargetResult
from egressctl.report import exit_codes
from egressctl.report.ci_cases import CaseStatus, suites
from reports import BLOCKED, CLOSED, OPEN, REPORT, REPORTS, STILL_OPEN, STOPPED, TARGET, UNASKED, UNPROVEN, of, some

UNPROVEN_CLOSED = replace(UNPROVEN, probe=CLOSED.probe)


@pytest.mark.parametrize(
    ("probe", "allow_unproven", "fate", "kind"),
    [
        (OPEN, False, CaseStatus.PASSED, ""),
        (CLOSED, False, CaseStatus.PASSED, ""),
        (BLOCKED, False, CaseStatus.FAILED, "entry-missing"),
        (STILL_OPEN, False, CaseStatus.FAILED, "open"),
        (UNPROVEN, False, CaseStatus.FAILED, "ambient"),
        (UNPROVEN, True, CaseStatus.SKIPPED, "ambient"),
        (UNPROVEN_CLOSED, True, CaseStatus.FAILED, "ambient"),  # --allow-unproven is about answers that were wanted
        (UNASKED, False, CaseStatus.ERROR, "no-source-pod"),
        (UNASKED, True, CaseStatus.ERROR, "no-source-pod"),
    ],
)
def test_the_fate_of_a_probe(probe: ProbeResult, allow_unproven: bool, fate: CaseStatus, kind: str) -> None:
    [suite] = suites(of(probe, allow_unproven=allow_unproven))
    [case] = suite.cases
    assert (case.name, case.fate, case.kind) == ("portal", fate, kind)
    assert suite.count(fate) == 1


def test_a_failure_says_why_and_what_to_type_and_shows_the_way() -> None:
    [suite] = suites(of(BLOCKED))
    [case] = suite.cases
    assert (case.message, case.hint, case.seconds) == ("it is not there", "egressctl create wikipedia", 0)
    assert case.details[:3] == (
        "✘ portal  https://www.wikipedia.org   blocked, expected open",
        "  cause  entry-missing: it is not there",
        "  next   egressctl create wikipedia",
    )
    assert any("BlackHoleCluster" in line for line in case.details)


def test_what_is_open_and_should_not_be_has_no_cause_and_is_told_all_the_same() -> None:
    [suite] = suites(of(STILL_OPEN))
    assert suite.cases[0].message == "expected blocked, and it is open, through outbound|443||wikipedia.org"


def test_the_probes_of_a_closure_are_cases_of_their_own() -> None:
    [suite] = suites(of(OPEN, closure=(CLOSED, STILL_OPEN)))
    names = [(case.name, case.fate) for case in suite.cases]
    closed = "after cleanup, portal"
    assert names == [("portal", CaseStatus.PASSED), (closed, CaseStatus.PASSED), (closed, CaseStatus.FAILED)]
    assert (suite.name, suite.group) == ("wikipedia", "default")


def only(target: TargetResult) -> Report:
    return replace(REPORT, targets=(target,))


def test_an_entry_that_was_only_applied_is_a_case_of_its_own() -> None:
    [suite] = suites(only(replace(TARGET, probes=(), action="created")))
    assert [(case.name, case.fate) for case in suite.cases] == [("serviceentry/wikipedia-ext", CaseStatus.PASSED)]


def test_a_target_without_probes_is_skipped_not_passed() -> None:
    [suite] = suites(only(replace(TARGET, probes=())))
    assert [(case.fate, case.kind) for case in suite.cases] == [(CaseStatus.SKIPPED, "no-probe")]


def test_a_command_that_could_not_finish_is_an_error_beside_what_it_found() -> None:
    [own] = suites(STOPPED)
    [case] = own.cases
    assert (own.target, own.name, case.name, case.fate) == (None, "egressctl verify", "verify", CaseStatus.ERROR)
    assert (case.kind, case.message, case.hint) == ("exit-code-3", "no connection", "egressctl doctor")
    assert [suite.name for suite in suites(replace(STOPPED, targets=(TARGET,)))] == ["wikipedia", "egressctl verify"]


def test_a_command_that_had_nothing_to_do_passes() -> None:
    [own] = suites(replace(REPORT, command="cleanup", targets=()))
    assert [(case.name, case.fate) for case in own.cases] == [("cleanup", CaseStatus.PASSED)]


@some
@given(REPORTS)
def test_no_fate_disagrees_with_the_exit_code(report: Report) -> None:
    """Whoever reads the file and whoever reads the exit code come to the same end."""
    code = exit_codes.exit_code_of_results(report.targets, allow_unproven=report.allow_unproven, also=[3] if report.error else [])
    fates = {case.fate for suite in suites(report) for case in suite.cases}
    assert (code == 0) == (not fates & {CaseStatus.FAILED, CaseStatus.ERROR})
    assert (code == 3) == (CaseStatus.ERROR in fates)


@some
@given(REPORTS)
def test_what_was_not_shown_to_hold_never_passes(report: Report) -> None:
    for suite in suites(report):
        for case in suite.cases:
            if case.result is not None:
                assert (case.fate is CaseStatus.PASSED) == case.result.held
                assert case.fate is not CaseStatus.SKIPPED or case.result.verdict is Verdict.UNPROVEN


@pytest.mark.parametrize(("named", "fate"), [(True, CaseStatus.FAILED), (False, CaseStatus.SKIPPED)])
def test_what_was_not_probed_fails_where_it_was_named(named: bool, fate: CaseStatus) -> None:
    target = TargetResult("wild", "default", ("wild",), (), not_probed=NotProbed("its ports are UDP", named=named))
    [suite] = suites(only(target))
    assert [(case.fate, case.kind) for case in suite.cases] == [(fate, "not-probed")]
