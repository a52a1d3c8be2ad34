"""When a probe after cleanup shows that the egress is closed, or that the mesh closes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from egressctl.lifecycle.cleanup import _judge_closed
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.evidence import Capture, Evidence, Walk
from egressctl.model.probe import Expectation, Probe, Verdict
from egressctl.model.result import ProbeResult

PROBE = Probe("portal", "https://www.wikipedia.org", Expectation(Verdict.BLOCKED))
LET_OUT = Evidence(Capture.CAPTURED, walk=Walk("virtualOutbound", "", "PassthroughCluster"), policy="ALLOW_ANY")


def looked(
    verdict: Verdict, evidence: Evidence | None = LET_OUT, code: CauseCode | None = CauseCode.ENTRY_MISSING
) -> ProbeResult:
    cause = Cause(code, "why") if code else None
    return ProbeResult(PROBE, None, verdict, verdict is Verdict.BLOCKED, cause, None, evidence)


def test_blocked_is_closed() -> None:
    assert _judge_closed(looked(Verdict.BLOCKED)).held


def test_let_out_by_the_policy_of_a_mesh_that_lets_everything_out_holds() -> None:
    assert _judge_closed(looked(Verdict.BYPASSED)).held


@pytest.mark.parametrize("verdict", sorted(set(Verdict) - {Verdict.BLOCKED, Verdict.BYPASSED}))
def test_nothing_else_is_closed(verdict: Verdict) -> None:
    assert not _judge_closed(looked(verdict)).held


@pytest.mark.parametrize("policy", ["REGISTRY_ONLY", ""])
def test_let_out_where_the_policy_does_not_say_so_is_not_closed(policy: str) -> None:
    assert not _judge_closed(looked(Verdict.BYPASSED, replace(LET_OUT, policy=policy))).held


@pytest.mark.parametrize("envoy_cluster", [None, "BlackHoleCluster", "outbound|443||wikipedia.org"])
def test_let_out_through_another_envoy_cluster_is_not_closed(envoy_cluster: str | None) -> None:
    evidence = replace(LET_OUT, walk=Walk("0.0.0.0_443", "", envoy_cluster))
    assert not _judge_closed(looked(Verdict.BYPASSED, evidence)).held


@pytest.mark.parametrize("code", [CauseCode.NO_SIDECAR, CauseCode.NOT_CAPTURED])
def test_a_way_around_the_sidecar_shows_nothing_of_the_mesh(code: CauseCode) -> None:
    assert not _judge_closed(looked(Verdict.BYPASSED, code=code)).held


@pytest.mark.parametrize("evidence", [None, Evidence()])
def test_without_evidence_nothing_is_closed(evidence: Evidence | None) -> None:
    assert not _judge_closed(looked(Verdict.BYPASSED, evidence)).held


def test_only_whether_it_held_changes() -> None:
    before = looked(Verdict.BYPASSED)
    assert _judge_closed(before) == replace(before, held=True)
