"""The table of many ServiceEntries, and the line that sums them up."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from egressctl.model.cause import Cause, CauseCode
from egressctl.model.probe import Probe, Verdict
from egressctl.model.result import NotProbed, ProbeResult, TargetResult
from egressctl.report.lines import Line
from egressctl.report.summary import column_widths, heading_line, report_summary, target_line, total_line
from reports import REPORT, STOPPED

PROBE = Probe("x", "https://a.example")


def result(verdict: Verdict, code: CauseCode | None = None, *, held: bool | None = None) -> ProbeResult:
    cause = Cause(code, "why") if code else None
    return ProbeResult(PROBE, None, verdict, verdict is Verdict.OPEN if held is None else held, cause)


def target(name: str, *probes: ProbeResult, namespace: str = "default") -> TargetResult:
    return TargetResult(name, namespace, (name,), probes)


OPEN = target("wiki", result(Verdict.OPEN), result(Verdict.OPEN))
BLOCKED = target("api", result(Verdict.OPEN), result(Verdict.BLOCKED, CauseCode.RIVAL_ENTRY), namespace="shop")
LEFT_OUT = replace(target("quiet"), not_probed=NotProbed("its annotation says none"))
UNASKED = replace(target("odd"), not_probed=NotProbed("its probes cannot be read", meant=False))
ALL = [OPEN, BLOCKED, LEFT_OUT, UNASKED]


def text(line: Line) -> str:
    return "".join(part for _, part in line).rstrip()


def test_a_row_an_entry() -> None:
    widths = column_widths([(each.namespace, each.name) for each in ALL], everywhere=True)
    assert [text(heading_line(widths)), *(text(target_line(each, widths)) for each in ALL)] == [
        "NAMESPACE  NAME   EXPECTED  VERDICT       CAUSE",
        "default    wiki   2/2       open",
        "shop       api    1/2       blocked       rival-entry",
        "default    quiet  -         not probed    its annotation says none",
        "default    odd    -         not probed    its probes cannot be read",
    ]


def test_the_namespace_is_shown_only_where_there_are_several() -> None:
    widths = column_widths([("default", "wiki")], everywhere=False)
    assert text(heading_line(widths)) == "NAME  EXPECTED  VERDICT       CAUSE"
    assert text(target_line(OPEN, widths)) == "wiki  2/2       open"


def test_the_verdict_is_the_worst_of_what_was_not_expected() -> None:
    widths = column_widths([("default", "api")], everywhere=False)
    closed = target("api", result(Verdict.BLOCKED, CauseCode.BLACKHOLE, held=True))
    assert text(target_line(closed, widths)) == "api   1/1       blocked"
    mixed = target("api", result(Verdict.BLOCKED, held=True), result(Verdict.UNPROVEN, CauseCode.EVIDENCE_LOST))
    assert text(target_line(mixed, widths)) == "api   1/2       unproven      evidence-lost"


def test_the_sum() -> None:
    assert text(total_line(ALL, 4)) == (
        "4 ServiceEntries: 1 open, 1 blocked, 2 not probed; 1 not as expected, 1 could not be asked"
    )
    assert text(total_line([OPEN], 1)) == "1 ServiceEntry: 1 open"


def test_after_an_interruption_the_sum_says_what_was_not_come_to() -> None:
    assert text(total_line([OPEN], 200)) == "200 ServiceEntries: 1 open, 199 not reached"


def test_the_colours_of_a_row_and_of_the_sum_say_whether_it_is_as_expected() -> None:
    widths = column_widths([("default", "api")], everywhere=False)
    still_open = target("api", result(Verdict.OPEN, held=False))
    closed = target("api", result(Verdict.BLOCKED, CauseCode.BLACKHOLE, held=True))
    assert [target_line(each, widths)[1][0] for each in (OPEN, still_open, closed)] == ["green", "red", "green"]
    assert ("red", "1 open") in total_line([still_open], 1)
    assert ("green", "1 blocked") in total_line([closed], 1)
    assert ("red", "2 open") in total_line([OPEN, still_open], 2)
    assert ("yellow", "1 unproven") in total_line([target("x", result(Verdict.UNPROVEN, CauseCode.AMBIENT))], 1)


class TestReportSummary:
    def test_of_one_target_it_is_that_ones_sentence(self) -> None:
        assert report_summary(replace(REPORT, targets=(OPEN,))) == "wiki: 2 of 2 open (proved)"

    def test_of_several_it_counts_and_names_those_that_are_not_as_expected(self) -> None:
        assert report_summary(replace(REPORT, targets=(OPEN, OPEN))) == "2 of 2 targets as expected"
        assert report_summary(replace(REPORT, targets=(OPEN, BLOCKED))) == "1 of 2 targets as expected; not api"

    def test_a_closure_that_is_not_as_expected_counts(self) -> None:
        leaks = replace(OPEN, closure=(result(Verdict.OPEN, held=False),))
        assert report_summary(replace(REPORT, targets=(OPEN, leaks))) == "1 of 2 targets as expected; not wiki"

    def test_of_several_looks_at_one_target_it_counts_the_steps(self) -> None:
        steps = (replace(OPEN, step="before"), replace(BLOCKED, step="after"))
        assert report_summary(replace(REPORT, targets=steps)) == "1 of 2 steps as expected; not after: api"

    def test_of_what_was_only_done_it_names_what(self) -> None:
        made = [
            replace(target(name), probes=(), action=action)
            for name, action in (("a", "created"), ("b", "created"), ("c", "unchanged"))
        ]
        assert report_summary(replace(REPORT, targets=tuple(made))) == "a, b created; c unchanged"

    def test_of_a_table_it_is_the_sum(self) -> None:
        assert report_summary(replace(REPORT, targets=(OPEN,), planned=1)) == "1 ServiceEntry: 1 open"

    def test_of_what_could_not_be_done_it_is_why(self) -> None:
        assert report_summary(STOPPED) == "no connection"
        assert report_summary(replace(REPORT, targets=())) == "there was nothing to do"


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), min_size=1), st.text())
def test_nothing_that_others_wrote_breaks_a_row(places: list[tuple[str, str]], reason: str) -> None:
    widths = column_widths(places, everywhere=True)
    for namespace, name in places:
        for each in (target(name, result(Verdict.OPEN), namespace=namespace), replace(OPEN, not_probed=NotProbed(reason))):
            line = "".join(part for _, part in target_line(each, widths))
            assert line.isprintable()
