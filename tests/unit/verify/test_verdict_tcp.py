"""What a bare connection shows: never that an egress is open, and that it is blocked only with all of the evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.envoy.config import BLACKHOLE, PASSTHROUGH
from egressctl.mesh.curl import DEFAULT_LIMITS, companion_argv
from egressctl.model.cause import CauseCode
from egressctl.model.entry import Port, ServiceEntry
from egressctl.model.evidence import Capture, Counts, CurlOutcome, Evidence, Method, Owner, Ownership, Source, Walk
from egressctl.model.probe import SILENT, Expectation, Probe, Verdict
from egressctl.report.target_lines import draw_probe
from egressctl.verify.causes import Case
from egressctl.verify.verdict import judge

NAME = "outbound|5432||db.example"
ENTRY = ServiceEntry("db", "default", ("db.example",), ("203.0.113.10",), (Port(5432, "TCP", "pg"),), "NONE", "MESH_EXTERNAL", ())
PROBE = Probe("pg", "tcp://db.example:5432", Expectation(status=None))
SOURCE = Source("default", "sleep", "sleep", "istio-proxy")
HELD = CurlOutcome(
    28, "Operation timed out", 0, "203.0.113.10", 5432, "10.244.0.5", 40000, seconds={"connect": 0.01, "total": 2.0}
)
CLOSED = replace(HELD, curl_exit=0, error="", seconds={"connect": 0.01, "total": 0.02})
NO_NAME = CurlOutcome(6, "Could not resolve host: db.example")
REFUSED = CurlOutcome(7, "Connection refused", 0, "203.0.113.10", 5432)

OURS = Walk("0.0.0.0_5432", "", NAME, "203.0.113.10/32")
OWNED, OTHERS = Owner(Ownership.OWNED, "it lists it"), Owner(Ownership.OTHERS, "default/rival lists it")
CARRIED = Evidence(Capture.CAPTURED, walk=OURS, owner=OWNED, counted=True, counts=Counts(opened=1), policy="REGISTRY_ONLY")
TO_NOTHING = replace(CARRIED, walk=replace(OURS, envoy_cluster=BLACKHOLE), owner=None, counted=None, counts=None)


def at(outcome: CurlOutcome, evidence: Evidence, **changes: object) -> Case:
    return replace(Case(PROBE, SOURCE, outcome, evidence, "db", ENTRY), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("situation", "verdict", "code"),
    [
        (at(HELD, CARRIED), Verdict.UNPROVEN, CauseCode.EVIDENCE_LOST),
        (at(CLOSED, CARRIED), Verdict.UNPROVEN, CauseCode.EVIDENCE_LOST),
        (at(CLOSED, replace(CARRIED, counts=Counts(1, connect_failed=1))), Verdict.FAILED, CauseCode.CONNECT_REFUSED),
        (at(HELD, replace(CARRIED, counts=Counts(1, pending=1))), Verdict.FAILED, CauseCode.CONNECT_TIMEOUT),
        (at(HELD, replace(CARRIED, owner=OTHERS)), Verdict.BYPASSED, CauseCode.RIVAL_ENTRY),
        (at(HELD, replace(CARRIED, owner=None)), Verdict.UNPROVEN, CauseCode.EVIDENCE_LOST),
        (at(HELD, replace(CARRIED, walk=replace(OURS, envoy_cluster=PASSTHROUGH))), Verdict.BYPASSED, CauseCode.NOT_PROPAGATED),
        (at(HELD, CARRIED, entry=None), Verdict.BYPASSED, CauseCode.ENTRY_MISSING),
        (at(CLOSED, TO_NOTHING), Verdict.BLOCKED, CauseCode.NOT_PROPAGATED),
        (at(CLOSED, replace(CARRIED, endpoints=0)), Verdict.BLOCKED, CauseCode.NO_ENDPOINTS),
        (at(HELD, TO_NOTHING), Verdict.UNPROVEN, CauseCode.EVIDENCE_LOST),
        (at(HELD, replace(CARRIED, walk=replace(OURS, unknown="an inspector waits"))), Verdict.UNPROVEN, CauseCode.EVIDENCE_LOST),
        (at(HELD, replace(CARRIED, walk=None)), Verdict.UNPROVEN, CauseCode.PROXY_UNREADABLE),
        (at(CLOSED, replace(TO_NOTHING, capture=Capture.UNKNOWN)), Verdict.UNPROVEN, CauseCode.EVIDENCE_LOST),
        (at(CLOSED, replace(TO_NOTHING, capture=Capture.NOT_CAPTURED)), Verdict.BYPASSED, CauseCode.NOT_CAPTURED),
        (at(HELD, CARRIED, source=replace(SOURCE, proxy=None)), Verdict.BYPASSED, CauseCode.NO_SIDECAR),
        (at(HELD, CARRIED, source=replace(SOURCE, proxy=None, ambient=True)), Verdict.UNPROVEN, CauseCode.AMBIENT),
        (at(NO_NAME, Evidence()), Verdict.FAILED, CauseCode.NAME_RESOLUTION),
        (at(REFUSED, Evidence(policy="ALLOW_ANY")), Verdict.FAILED, CauseCode.NOT_CAPTURED),
        (at(REFUSED, Evidence(), source=replace(SOURCE, proxy_ready=False)), Verdict.INCONCLUSIVE, CauseCode.SIDECAR_NOT_READY),
        (at(REFUSED, Evidence(), source=replace(SOURCE, proxy=None)), Verdict.FAILED, CauseCode.CONNECT_REFUSED),
        (at(CurlOutcome(1, "odd"), Evidence()), Verdict.INCONCLUSIVE, CauseCode.EXEC_FAILED),
    ],
)
def test_what_it_shows(situation: Case, verdict: Verdict, code: CauseCode) -> None:
    found = judge(situation)
    assert (found.verdict, found.cause and found.cause.code) == (verdict, code)


def test_what_it_cannot_show_comes_with_the_command_that_gives_a_probe() -> None:
    found = judge(at(HELD, CARRIED))
    assert found.evidence is not None
    assert found.cause is not None
    assert found.cause.message.startswith(f"a bare connection went to the entry's own {NAME}, but without an answer")
    assert "kubectl annotate serviceentry -n default db egressctl.dev/probes=" in found.cause.hint
    assert found.evidence.methods == tuple(Method)


SITUATIONS = st.builds(
    at,
    st.sampled_from([HELD, CLOSED, NO_NAME, REFUSED, replace(CLOSED, curl_exit=56)]),
    st.builds(
        Evidence,
        capture=st.sampled_from(Capture),
        walk=st.sampled_from([None, OURS, *(replace(OURS, envoy_cluster=each) for each in (None, BLACKHOLE, PASSTHROUGH))]),
        owner=st.sampled_from([None, OWNED, OTHERS]),
        counted=st.sampled_from([None, True, False]),
        counts=st.sampled_from([None, Counts(1), Counts(1, 1), Counts(1, 0, 1)]),
        endpoints=st.sampled_from([None, 0, 1]),
        policy=st.sampled_from(["", "ALLOW_ANY", "REGISTRY_ONLY"]),
    ),
    source=st.sampled_from([SOURCE, replace(SOURCE, proxy=None), replace(SOURCE, proxy_ready=False)]),
    entry=st.sampled_from([None, ENTRY]),
)


@given(SITUATIONS)
def test_it_is_never_open_and_blocked_only_when_captured_and_led_nowhere(situation: Case) -> None:
    found, evidence = judge(situation), situation.evidence
    assert found.verdict is not Verdict.OPEN
    assert found.cause is not None
    if found.verdict is Verdict.BLOCKED:
        assert evidence.capture is Capture.CAPTURED
        assert evidence.walk is not None
        assert evidence.walk.envoy_cluster in (None, BLACKHOLE) or evidence.endpoints == 0
        assert situation.outcome.curl_exit in (0, 56)


def test_nothing_is_sent_over_it() -> None:
    assert PROBE.bare
    assert PROBE.speech == SILENT
    assert not Probe("x", "http://a.example:5432").bare
    assert "telnet://db.example:5432" in companion_argv([(PROBE.host, PROBE.port)], DEFAULT_LIMITS)


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (HELD, "? answer        none asked for: the connection was kept open for 2.00 s"),
        (CLOSED, "? answer        none asked for: the connection was closed after 0.02 s"),
    ],
)
def test_the_picture_says_that_no_answer_was_asked_for(outcome: CurlOutcome, words: str) -> None:
    drawn = ["".join(text for _, text in line) for line in draw_probe(judge(at(outcome, CARRIED)))]
    assert f"    ╰─ {words}" in drawn
