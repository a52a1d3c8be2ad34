"""Which results are asked again while a sidecar comes to rest, and that nothing which is settled is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from egressctl.envoy.changes import CHANGED
from egressctl.envoy.config import BLACKHOLE, PASSTHROUGH
from egressctl.model.evidence import Capture, Counts, CurlOutcome, Evidence, Owner, Ownership, Source, Walk
from egressctl.model.probe import Expectation, Probe, Verdict
from egressctl.model.result import ProbeResult
from egressctl.verify.causes import Case
from egressctl.verify.unsettled import is_unsettled, still_leads_on
from egressctl.verify.verdict import judge
from entries import WIKIPEDIA as ENTRY

NAME = "outbound|443||wikipedia.org"
PROBE = Probe("portal", "https://www.wikipedia.org")
CLOSED = replace(PROBE, expect=Expectation(Verdict.BLOCKED))
SOURCE = Source("default", "sleep", "sleep", "istio-proxy")
ANSWER = CurlOutcome(0, "", 200, "208.80.154.224", 443, "10.244.0.5", 40000, seconds={"connect": 0.01, "tls": 0.02})
REFUSAL = replace(ANSWER, curl_exit=35, error="Recv failure: Connection reset by peer", http_status=0, seconds={"connect": 0.01})
WALK = Walk("0.0.0.0_443", "", NAME, "208.80.154.224/27")
OURS = Owner(Ownership.OWNED, "default/wikipedia-ext lists it")
EVIDENCE = Evidence(Capture.CAPTURED, False, WALK, OURS, True, Counts(1), "REGISTRY_ONLY")
MOVING = replace(WALK, envoy_cluster=None, unknown=CHANGED)


def leading_to(envoy_cluster: str | None, **changes: object) -> Evidence:
    return replace(EVIDENCE, walk=replace(WALK, envoy_cluster=envoy_cluster), owner=None, **changes)  # type: ignore[arg-type]


def after_cleanup(outcome: CurlOutcome, evidence: Evidence) -> ProbeResult:
    return judge(Case(CLOSED, SOURCE, outcome, evidence, "wikipedia-ext"))


def after_create(outcome: CurlOutcome, evidence: Evidence) -> ProbeResult:
    return judge(Case(PROBE, SOURCE, outcome, evidence, "wikipedia-ext", ENTRY))


UNSETTLED = {
    "answered, and the configuration changed meanwhile": after_cleanup(ANSWER, replace(EVIDENCE, walk=MOVING)),
    "refused, and the configuration changed meanwhile": after_cleanup(REFUSAL, replace(EVIDENCE, walk=MOVING)),
    "answered by what the configuration does not have any more": after_cleanup(ANSWER, leading_to(BLACKHOLE)),
    "the same where nothing takes the address": after_cleanup(ANSWER, leading_to(None)),
    "refused, where the configuration has it already": after_create(REFUSAL, replace(EVIDENCE, counts=Counts())),
    "through the Envoy cluster of an earlier entry": after_create(
        ANSWER, replace(EVIDENCE, owner=Owner(Ownership.UNKNOWN, "it is older", outdated=True))
    ),
}
SETTLED = {
    "open": after_create(ANSWER, EVIDENCE),
    "blocked": after_cleanup(REFUSAL, leading_to(BLACKHOLE)),
    "let out by the policy": after_cleanup(ANSWER, leading_to(PASSTHROUGH, policy="ALLOW_ANY")),
    "open all the same, by another entry": after_cleanup(ANSWER, leading_to("outbound|443||other.example")),
    "the socket table does not show it": after_create(ANSWER, replace(EVIDENCE, capture=Capture.UNKNOWN)),
    "the counts did not move": after_create(ANSWER, replace(EVIDENCE, counted=False)),
    "not read": after_create(ANSWER, Evidence(Capture.CAPTURED)),
    "another doubt about the path": after_create(ANSWER, replace(EVIDENCE, walk=replace(MOVING, unknown="a filter"))),
    "another status": after_create(replace(ANSWER, http_status=503), EVIDENCE),
}


@pytest.mark.parametrize("case", UNSETTLED)
def test_what_a_changing_sidecar_answered_is_unsettled(case: str) -> None:
    assert is_unsettled(UNSETTLED[case])


@pytest.mark.parametrize("case", SETTLED)
def test_what_will_not_change_by_itself_is_settled(case: str) -> None:
    assert not is_unsettled(SETTLED[case])


@pytest.mark.parametrize("result", [*UNSETTLED.values(), *SETTLED.values()], ids=[*UNSETTLED, *SETTLED])
def test_what_is_as_expected_is_settled(result: ProbeResult) -> None:
    assert not is_unsettled(replace(result, held=True))


def test_an_entry_that_was_removed_leads_on_by_its_envoy_cluster_alone() -> None:
    assert still_leads_on(after_cleanup(ANSWER, leading_to(NAME)))
    assert not still_leads_on(after_cleanup(ANSWER, leading_to(PASSTHROUGH, policy="ALLOW_ANY")))
    assert not still_leads_on(after_cleanup(REFUSAL, leading_to(BLACKHOLE)))
    assert not still_leads_on(after_create(ANSWER, EVIDENCE))
