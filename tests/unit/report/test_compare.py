"""What became of each probe from one report to the other, and which exit code that is."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.errors import InvalidInput
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.evidence import Capture, Evidence, Walk
from egressctl.model.probe import Probe, Verdict
from egressctl.model.result import Failure, ProbeResult, Report, TargetResult
from egressctl.report import compare_formats
from egressctl.report.compare import ComparedProbe, ProbeChange, compare_reports, exit_code
from egressctl.report.json_report import report_document
from egressctl.report.reader import MAX_BYTES, ProbeKey, RecordedReport, parse_report
from examples import examples

PORTAL = Probe("portal", "https://www.wikipedia.org")
OWN, THEIRS = "outbound|443||wikipedia.org", "outbound|443||mirror.example"


def seen(
    verdict: Verdict = Verdict.OPEN,
    carrier: str | None = OWN,
    *,
    held: bool | None = None,
    cause: CauseCode | None = None,
    capture: Capture = Capture.CAPTURED,
    chain: str = "208.80.154.224/27",
    policy: str = "REGISTRY_ONLY",
    probe: Probe = PORTAL,
) -> ProbeResult:
    evidence = Evidence(capture, walk=Walk("0.0.0.0_443", "", carrier, chain), policy=policy)
    why = Cause(cause, "because") if cause else None
    return ProbeResult(probe, None, verdict, verdict is Verdict.OPEN if held is None else held, why, None, evidence)


NOT_ASKED = ProbeResult(PORTAL, None, Verdict.INCONCLUSIVE, False, Cause(CauseCode.EXEC_FAILED, "no"))


def text(*probes: ProbeResult, closure: tuple[ProbeResult, ...] = (), error: Failure | None = None) -> bytes:
    target = TargetResult("wikipedia", "default", ("wikipedia-ext",), probes, closure=closure)
    report = Report("verify", "0badcafe", "2026-11-26T10:00:00.000Z", 0.4, 0, None, (target,), error=error)
    return json.dumps(report_document(report)).encode()


def recorded(*probes: ProbeResult, closure: tuple[ProbeResult, ...] = (), error: Failure | None = None) -> RecordedReport:
    return parse_report(text(*probes, closure=closure, error=error), "report.json")


def became(old: ProbeResult, new: ProbeResult) -> tuple[ProbeChange, int]:
    found = compare_reports(recorded(old), recorded(new))
    return found[0].change, exit_code(found)


UNPROVEN = seen(Verdict.UNPROVEN, cause=CauseCode.EVIDENCE_LOST)
BLOCKED = seen(Verdict.BLOCKED, "BlackHoleCluster", held=True, cause=CauseCode.ENTRY_MISSING)


@pytest.mark.parametrize(
    ("old", "new", "change", "code"),
    [
        (seen(), seen(), ProbeChange.SAME, 0),
        (BLOCKED, BLOCKED, ProbeChange.SAME, 0),
        # An answer came both times, and the expectation held both times: what carried it is another.
        (
            seen(Verdict.BYPASSED, "PassthroughCluster", held=True),
            seen(Verdict.BYPASSED, THEIRS, held=True),
            ProbeChange.CHANGED,
            1,
        ),
        (seen(), seen(carrier=THEIRS), ProbeChange.CHANGED, 1),
        (seen(), seen(Verdict.BYPASSED, "PassthroughCluster", cause=CauseCode.ENTRY_MISSING), ProbeChange.CHANGED, 1),
        (seen(Verdict.BYPASSED, THEIRS), seen(), ProbeChange.CHANGED, 1),
        (seen(), seen(capture=Capture.NOT_CAPTURED, verdict=Verdict.BYPASSED), ProbeChange.CHANGED, 1),
        (seen(), seen(Verdict.FAILED, cause=CauseCode.HTTP_STATUS), ProbeChange.WORSE, 1),
        (seen(held=True), seen(held=False), ProbeChange.WORSE, 1),
        (seen(), seen(policy="ALLOW_ANY"), ProbeChange.WORSE, 1),
        (seen(policy="ALLOW_ANY"), seen(), ProbeChange.NOTED, 0),
        (seen(policy=""), seen(policy="ALLOW_ANY"), ProbeChange.NOTED, 0),
        (seen(Verdict.FAILED, cause=CauseCode.TIMEOUT), seen(), ProbeChange.BETTER, 0),
        (seen(), seen(chain="208.80.154.0/24"), ProbeChange.NOTED, 0),
        (
            seen(Verdict.FAILED, cause=CauseCode.TIMEOUT),
            seen(Verdict.FAILED, cause=CauseCode.HTTP_STATUS),
            ProbeChange.NOTED,
            0,
        ),
        (NOT_ASKED, NOT_ASKED, ProbeChange.UNKNOWN, 3),
        (seen(), NOT_ASKED, ProbeChange.UNKNOWN, 3),
        (NOT_ASKED, seen(), ProbeChange.BETTER, 0),
        (NOT_ASKED, BLOCKED, ProbeChange.UNKNOWN, 3),
        (UNPROVEN, UNPROVEN, ProbeChange.UNPROVEN, 4),
        (seen(), UNPROVEN, ProbeChange.WORSE, 1),
        (UNPROVEN, seen(), ProbeChange.BETTER, 0),
        (UNPROVEN, BLOCKED, ProbeChange.UNKNOWN, 3),
    ],
)
def test_a_probe_is_judged_by_what_carried_it(old: ProbeResult, new: ProbeResult, change: ProbeChange, code: int) -> None:
    assert became(old, new) == (change, code)


def test_what_is_not_the_same_is_told() -> None:
    bypassed = seen(Verdict.BYPASSED, THEIRS, cause=CauseCode.RIVAL_ENTRY)
    [found] = compare_reports(recorded(seen()), recorded(bypassed))
    assert [tuple(each) for each in found.differences] == [
        ("carried by", OWN, THEIRS),
        ("verdict", "open", "bypassed"),
        ("cause", "none", "rival-entry"),
        ("held", "yes", "no"),
    ]


def test_probes_are_matched_by_target_name_and_url_whatever_their_order() -> None:
    other = replace(PORTAL, name="articles")
    moved = replace(PORTAL, url="https://wikipedia.org")
    old = recorded(seen(), seen(probe=other))
    new = recorded(seen(probe=other), seen(probe=moved))
    found = [(each.key.probe, each.key.url, each.change) for each in compare_reports(old, new)]
    assert found == [
        ("articles", PORTAL.url, ProbeChange.SAME),
        ("portal", moved.url, ProbeChange.NEW),
        ("portal", PORTAL.url, ProbeChange.GONE),
    ]
    assert exit_code(compare_reports(old, new)) == 1
    assert exit_code(compare_reports(new, recorded(seen(probe=other), seen(probe=moved), seen()))) == 0


def test_what_was_seen_after_the_cleanup_is_compared_with_what_was_seen_after_the_cleanup() -> None:
    still_open = seen(Verdict.BYPASSED, "PassthroughCluster")
    found = compare_reports(recorded(seen(), closure=(BLOCKED,)), recorded(seen(), closure=(still_open,)))
    assert [(each.key.step, each.change) for each in found] == [("", ProbeChange.SAME), ("closure", ProbeChange.CHANGED)]


def test_probes_that_are_alike_in_everything_are_compared_in_their_order() -> None:
    found = compare_reports(recorded(seen(), seen(carrier=THEIRS)), recorded(seen(), seen()))
    assert [each.change for each in found] == [ProbeChange.SAME, ProbeChange.CHANGED]


def test_without_proof_in_either_it_passes_only_where_that_is_allowed() -> None:
    found = compare_reports(recorded(UNPROVEN, seen(probe=replace(PORTAL, name="b"))), recorded(UNPROVEN))
    assert exit_code(found) == exit_code(found, allow_unproven=True) == 1
    found = compare_reports(recorded(UNPROVEN), recorded(UNPROVEN))
    assert (exit_code(found), exit_code(found, allow_unproven=True)) == (4, 0)


def test_nothing_is_the_same_as_a_report_without_a_probe() -> None:
    empty = recorded(error=Failure("the API server did not answer"))
    with pytest.raises(InvalidInput, match=r"without any probe.*the API server did not answer"):
        compare_reports(empty, recorded(seen()))
    assert exit_code(compare_reports(recorded(seen()), empty)) == 1


def test_lines_name_what_differs_and_count_the_rest() -> None:
    other = replace(PORTAL, name="articles")
    old, new = recorded(seen(), seen(probe=other)), recorded(seen(carrier=THEIRS), seen(probe=other))
    told = ["".join(part for _, part in line) for line in compare_formats.comparison_lines(old, new, compare_reports(old, new))]
    assert told[0].split() == ["changed", "default/wikipedia", "portal", PORTAL.url]
    assert told[1].split(maxsplit=1) == ["path", f"{OWN} -> {THEIRS}"]
    assert told[-1] == "2 probes: 1 changed, 1 same"
    assert not any("articles" in line for line in told)
    everything = [
        "".join(part for _, part in line)
        for line in compare_formats.comparison_lines(old, new, compare_reports(old, new), whole=True)
    ]
    assert any("articles" in line for line in everything)


# What is no report

GOOD: dict[str, Any] = json.loads(text(seen()))


def wrong(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def wrong_probe(**changes: Any) -> bytes:
    probe = {**GOOD["targets"][0]["probes"][0], **changes}
    return wrong(targets=[{**GOOD["targets"][0], "probes": [probe]}])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "report.json: is not JSON: Expecting value in line 1 "),
        (b'{"kind": \n', "report.json: is not JSON: Expecting value in line 2 "),
        (b"\xff\xfe", "report.json: is not JSON"),
        (b"[" * 100_000, "report.json: is not JSON"),
        (b"[1]", "report.json: is no report: its kind is a list"),
        (b"{}", "report.json: is no report: its kind is empty"),
        (wrong(kind="LintReport"), 'report.json: is no report: its kind is the text "LintReport"'),
        (wrong(apiVersion="egressctl.dev/v2"), 'report.json: its schema version is "egressctl.dev/v2"'),
        (wrong(apiVersion=None), "report.json: its schema version is empty"),
        (wrong(extra=json.loads("[" * 30 + "]" * 30)), "report.json: is nested deeper than 20 levels"),
        (wrong(targets={}), "report.json: targets: is a mapping (expected a list of targets)"),
        (wrong(targets=[3]), "report.json: targets[0]: is the number 3"),
        (wrong(targets=[{"name": "a", "namespace": "b"}]), "report.json: targets[0].probes: is missing"),
        (wrong_probe(verdict="fine"), 'report.json: targets[0].probes[0].verdict: "fine" is no verdict'),
        (wrong_probe(verdict=None), "report.json: targets[0].probes[0].verdict: is empty"),
        (wrong_probe(held="yes"), 'report.json: targets[0].probes[0].held: is the text "yes"'),
        (wrong_probe(url=7), "report.json: targets[0].probes[0].url: is the number 7"),
        (wrong_probe(evidence=[]), "report.json: targets[0].probes[0].evidence: is a list"),
        (wrong_probe(evidence={"envoyCluster": 1}), "report.json: targets[0].probes[0].evidence.envoyCluster: is the number 1"),
    ],
)
def test_what_is_no_report_is_refused_with_the_place(data: bytes, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_report(data, "report.json")
    assert str(refused.value).startswith(message)


def test_not_every_fault_of_a_file_is_told() -> None:
    with pytest.raises(InvalidInput) as refused:
        parse_report(wrong(targets=[1] * 50), "report.json")
    assert len(refused.value.problems) == 11
    assert "40 more" in str(refused.value.problems[-1])


def test_fields_that_are_new_are_passed_over() -> None:
    assert parse_report(wrong(later=1), "a").probes == parse_report(wrong(), "a").probes


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*GOOD, *GOOD["targets"][0], "a"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@examples(50)
@given(st.sampled_from([*GOOD]), JSON)
def test_whatever_stands_in_a_field_it_is_read_or_refused(name: str, value: Any) -> None:
    try:
        found = parse_report(wrong(**{name: value}), "report.json")
    except InvalidInput:
        return
    assert all(isinstance(each.verdict, Verdict) for each in found.probes.values())


RESULTS = st.sampled_from([seen(), seen(carrier=THEIRS), UNPROVEN, BLOCKED, NOT_ASKED, seen(Verdict.FAILED)])


@examples(50)
@given(st.lists(RESULTS, min_size=1, max_size=5))
def test_a_report_is_the_same_as_itself_as_far_as_it_knows_anything(probes: list[ProbeResult]) -> None:
    report = recorded(*probes)
    known = [
        each for each in compare_reports(report, report) if each.old and each.old.verdict not in ("unproven", "inconclusive")
    ]
    assert {each.change for each in known} <= {ProbeChange.SAME}
    unknown = {each.verdict for each in probes} & {Verdict.UNPROVEN, Verdict.INCONCLUSIVE}
    assert (exit_code(compare_reports(report, report)) == 0) is not bool(unknown)


def test_the_page_has_every_change_with_its_exit_code_in_the_order_of_the_code() -> None:
    page = (Path(__file__).parents[3] / "docs" / "how-to" / "compare.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| .* \| (\d)", page, re.MULTILINE)
    assert [name for name, _ in rows] == list(ProbeChange)
    found = [ComparedProbe(ProbeKey("a", "b", "", "c", "d"), ProbeChange(name), None, None) for name, _ in rows]
    assert [exit_code([each]) for each in found] == [int(code) for _, code in rows]


def test_the_limit_holds_ten_thousand_probes() -> None:
    assert len(text(seen())) * 10_000 < MAX_BYTES
