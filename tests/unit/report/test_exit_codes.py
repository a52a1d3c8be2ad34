"""Which exit code a report ends with."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from egressctl.model.probe import Expectation, Probe, Verdict
from egressctl.model.result import NotProbed, PartResult, ProbeResult, TargetResult
from egressctl.report.exit_codes import exit_code_of_probe, exit_code_of_results


def a_probe(verdict: Verdict, held: bool = False, expected: Verdict = Verdict.OPEN) -> ProbeResult:
    return ProbeResult(Probe("portal", "https://www.wikipedia.org", Expectation(expected)), None, verdict, held)


def a_target(*probes: ProbeResult, closure: tuple[ProbeResult, ...] = ()) -> TargetResult:
    return TargetResult("wikipedia", "default", ("wikipedia-ext",), probes, closure=closure)


HELD = a_probe(Verdict.OPEN, held=True)
BY_CODE = {3: a_probe(Verdict.INCONCLUSIVE), 1: a_probe(Verdict.BLOCKED), 4: a_probe(Verdict.UNPROVEN)}


@pytest.mark.parametrize("verdict", list(Verdict))
@pytest.mark.parametrize("allow", [True, False])
def test_what_holds_is_zero_whatever_it_is(verdict: Verdict, allow: bool) -> None:
    assert exit_code_of_probe(a_probe(verdict, held=True, expected=verdict), allow) == 0


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (Verdict.OPEN, 1),
        (Verdict.BYPASSED, 1),
        (Verdict.BLOCKED, 1),
        (Verdict.FAILED, 1),
        (Verdict.UNPROVEN, 4),
        (Verdict.INCONCLUSIVE, 3),
    ],
)
@pytest.mark.parametrize("expected", [Verdict.OPEN, Verdict.BLOCKED])
def test_what_does_not_hold_has_the_code_of_its_verdict(verdict: Verdict, code: int, expected: Verdict) -> None:
    assert exit_code_of_probe(a_probe(verdict, expected=expected), allow_unproven=False) == code


def test_unproven_passes_where_it_is_allowed_and_open_was_expected() -> None:
    assert exit_code_of_probe(a_probe(Verdict.UNPROVEN), allow_unproven=True) == 0
    assert exit_code_of_probe(a_probe(Verdict.UNPROVEN, expected=Verdict.BLOCKED), allow_unproven=True) == 4


@pytest.mark.parametrize("verdict", sorted(set(Verdict) - {Verdict.UNPROVEN}))
def test_allowing_unproven_allows_nothing_else(verdict: Verdict) -> None:
    assert (
        exit_code_of_probe(a_probe(verdict), allow_unproven=True)
        == exit_code_of_probe(a_probe(verdict), allow_unproven=False)
        != 0
    )


@pytest.mark.parametrize("count", range(1, 5))
def test_several_at_once_have_an_order(count: int) -> None:
    order = (5, 3, 1, 4)
    for codes in itertools.permutations(order, count):
        probes = [BY_CODE[code] for code in codes if code != 5]
        also = [5] if 5 in codes else []
        first = next(code for code in order if code in codes)
        assert exit_code_of_results([a_target(HELD, *probes)], also=also) == first
        assert exit_code_of_results([a_target(HELD), *map(a_target, probes)], also=also) == first


def test_a_code_from_elsewhere_stands_beside_those_of_the_probes() -> None:
    assert exit_code_of_results([a_target(HELD)], also=[3]) == 3
    assert exit_code_of_results([], also=[5]) == 5
    assert exit_code_of_results([a_target(HELD)], also=[2]) == 2
    assert exit_code_of_results([a_target(BY_CODE[4])], also=[0]) == 4


def test_the_closure_counts_as_the_probes_do() -> None:
    assert exit_code_of_results([a_target(HELD, closure=(a_probe(Verdict.OPEN, expected=Verdict.BLOCKED),))]) == 1
    assert exit_code_of_results([a_target(HELD, closure=(a_probe(Verdict.BLOCKED, held=True, expected=Verdict.BLOCKED),))]) == 0


def test_unproven_may_be_allowed_for_a_whole_report() -> None:
    targets = [a_target(HELD, BY_CODE[4])]
    assert (exit_code_of_results(targets), exit_code_of_results(targets, allow_unproven=True)) == (4, 0)


def test_nothing_asked_is_zero() -> None:
    assert exit_code_of_results([]) == 0


@pytest.mark.parametrize(
    ("part", "code"),
    [
        (PartResult("many-ext-0-1", 200, in_force=True), 0),
        (PartResult("many-ext-0-1", 200, in_force=False), 1),
        (PartResult("many-ext-0-1", 200, in_force=None), 4),
        (PartResult("many-ext-0-1", 200, action="created"), 0),
    ],
)
def test_an_entry_of_several_that_is_not_in_force_is_no_success(part: PartResult, code: int) -> None:
    target = TargetResult("many", "default", ("many-ext-0-1",), (HELD,), parts=(part,))
    assert exit_code_of_results([target]) == code
    assert exit_code_of_results([target], allow_unproven=True) == (0 if code == 4 else code)


def test_what_is_not_probed_on_purpose_counts_for_nothing_and_what_could_not_be_is_three() -> None:
    meant, not_meant = (
        TargetResult("a", "default", ("a",), (), not_probed=NotProbed("why", meant=each)) for each in (True, False)
    )
    assert exit_code_of_results([a_target(HELD), meant]) == 0
    assert exit_code_of_results([a_target(HELD), meant, not_meant]) == 3
    assert exit_code_of_results([a_target(BY_CODE[1]), not_meant]) == 3


def test_a_named_target_of_which_nothing_was_sent_is_no_pass_whatever_is_allowed() -> None:
    named = replace(a_target(), not_probed=NotProbed("its ports are UDP", named=True))
    assert exit_code_of_results([named]) == exit_code_of_results([named], allow_unproven=True) == 4
    assert exit_code_of_results([named, a_target(BY_CODE[1])]) == 1
