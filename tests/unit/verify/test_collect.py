"""Probes that could not be sent."""

from __future__ import annotations

from dataclasses import replace

from egressctl.model.cause import Cause, CauseCode
from egressctl.model.evidence import Source
from egressctl.model.probe import Expectation, Probe, Verdict
from egressctl.verify.collect import inconclusive_result
from egressctl.verify.evidence import Question

PROBE = Probe("portal", "https://www.wikipedia.org")
ASKED = Question(PROBE, "wikipedia-ext")


def test_what_could_not_be_sent_is_inconclusive_and_says_why() -> None:
    found = inconclusive_result(ASKED, Source("default", "sleep", "sleep", "istio-proxy"), CauseCode.NO_CURL, "there is no curl")
    assert (found.verdict, found.held, found.outcome, found.evidence) == (Verdict.INCONCLUSIVE, False, None, None)
    assert found.cause == Cause(
        CauseCode.NO_CURL,
        "there is no curl",
        "name another with -c CONTAINER or --pod NAME, or start one: egressctl create ... --with-source",
    )


def test_what_could_not_be_sent_holds_only_where_that_was_expected() -> None:
    probe = replace(PROBE, expect=Expectation(Verdict.INCONCLUSIVE))
    assert inconclusive_result(Question(probe), Source("default", "", "", None), CauseCode.EXEC_FAILED, "").held
