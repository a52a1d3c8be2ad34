"""The path of a probe as a picture."""

from __future__ import annotations

from dataclasses import replace
from textwrap import dedent

import pytest

from egressctl.model.cause import Cause, CauseCode
from egressctl.model.evidence import (
    Capture,
    Counts,
    CountSource,
    CurlOutcome,
    Evidence,
    LoggedConnection,
    Method,
    Owner,
    Ownership,
    Source,
    Walk,
)
from egressctl.model.probe import Expectation, Probe, Verdict
from egressctl.model.result import ProbeResult
from egressctl.report.lines import plain_text
from egressctl.report.tree import draw_probe_path

PROBE = Probe("portal", "https://www.wikipedia.org")
SOURCE = Source("default", "sleep", "sleep", "istio-proxy")
ANSWER = CurlOutcome(0, "", 200, "208.80.154.224", 443, "10.244.0.5", 40000, seconds={"total": 0.03})
REFUSAL = CurlOutcome(35, "Recv failure: Connection reset by peer", 0, "208.80.154.224", 443, "10.244.0.5", 40000)
NAME = "outbound|443||wikipedia.org"
WALK = Walk("0.0.0.0_443", "", NAME, "208.80.154.224/27")
OURS = Owner(Ownership.OWNED, "default/wikipedia-ext lists it")
PROVEN = Evidence(Capture.CAPTURED, False, WALK, OURS, True, Counts(1), "REGISTRY_ONLY", tuple(Method))

OPEN = ProbeResult(PROBE, SOURCE, Verdict.OPEN, True, None, ANSWER, PROVEN)
BLACKHOLE = Walk("0.0.0.0_443", "", "BlackHoleCluster")
CAUSE = Cause(CauseCode.ENTRY_MISSING, "ServiceEntry wikipedia-ext is not there", "egressctl create wikipedia")


def drawn(result: ProbeResult) -> str:
    return plain_text(draw_probe_path(result))


def indented(text: str) -> str:
    """Two spaces, as each picture has them, in front of what is written flush here."""
    return "".join(f"  {line}\n" for line in dedent(text).strip("\n").splitlines())


def test_open() -> None:
    assert drawn(OPEN) == indented(
        """
          ├─ ✔ pod           default/sleep, container sleep
          ├─ ✔ sidecar       captured: istio-proxy had the other end of local port 40000
          ├─ ✔ listener      0.0.0.0_443
          ├─ ✔ filter chain  208.80.154.224/27
          ├─ ✔ Envoy cluster outbound|443||wikipedia.org (default/wikipedia-ext lists it; counted +1)
          ├─ ✔ address       208.80.154.224:443
          ╰─ ✔ answer        HTTP 200 in 0.03 s
        """
    )


def test_open_with_what_was_extracted_and_one_of_several_pods() -> None:
    result = replace(
        OPEN, source=replace(SOURCE, chosen_of=3), outcome=replace(ANSWER, extracted={"articles": "7,012,345", "since": "2001"})
    )
    lines = drawn(result).splitlines()
    assert lines[0] == "  ├─ ✔ pod           default/sleep, container sleep, newest of 3 ready"
    assert lines[-1] == "  ╰─ ✔ answer        HTTP 200 in 0.03 s, articles 7,012,345, since 2001"


@pytest.mark.parametrize(
    ("logged", "sources", "told"),
    [
        (LoggedConnection(NAME), (CountSource.ACCESS_LOG,), "in the access log"),
        (LoggedConnection("PassthroughCluster"), (), "the access log says PassthroughCluster"),
    ],
)
def test_what_the_access_log_says_stands_at_the_envoy_cluster(
    logged: LoggedConnection, sources: tuple[CountSource, ...], told: str
) -> None:
    evidence = replace(PROVEN, counted=None, counts=None, logged=logged, sources=sources)
    assert f"Envoy cluster {NAME} (default/wikipedia-ext lists it; {told})\n" in drawn(replace(OPEN, evidence=evidence))


def test_blocked() -> None:
    evidence = Evidence(
        Capture.CAPTURED, True, BLACKHOLE, None, False, Counts(), "REGISTRY_ONLY", (Method.CAPTURED, Method.STATIC)
    )
    assert drawn(ProbeResult(PROBE, SOURCE, Verdict.BLOCKED, False, CAUSE, REFUSAL, evidence)) == indented(
        """
          ├─ ✔ pod           default/sleep, container sleep
          ├─ ✔ sidecar       captured: a second connection to the same address went through istio-proxy
          ├─ ✔ listener      0.0.0.0_443
          ├─ ✔ filter chain  none matches
          ├─ ✘ Envoy cluster BlackHoleCluster
          ╰─ ✘ answer        none, curl exit 35 after 0.00 s: Recv failure: Connection reset by peer
        """
    )


def test_blocked_where_no_filter_chain_takes_it() -> None:
    evidence = Evidence(Capture.CAPTURED, True, replace(BLACKHOLE, envoy_cluster=None, listener=""))
    probe = replace(PROBE, expect=Expectation(Verdict.BLOCKED))
    result = ProbeResult(probe, SOURCE, Verdict.BLOCKED, True, CAUSE, REFUSAL, evidence)
    assert drawn(result) == indented(
        """
          ├─ ✔ pod           default/sleep, container sleep
          ├─ ✔ sidecar       captured: a second connection to the same address went through istio-proxy
          ├─ ✔ listener      none
          ├─ ✔ filter chain  none matches
          ├─ ✘ Envoy cluster none: the connection is closed
          ╰─ ✘ answer        none, curl exit 35 after 0.00 s: Recv failure: Connection reset by peer
        """
    )


def test_bypassed_through_the_policy() -> None:
    evidence = replace(
        PROVEN,
        walk=Walk("virtualOutbound", "virtualOutbound-catchall-tcp", "PassthroughCluster"),
        owner=Owner(Ownership.OTHERS, "the outbound traffic policy sends it to PassthroughCluster"),
        methods=(Method.CAPTURED, Method.STATIC, Method.COUNTED),
    )
    assert drawn(ProbeResult(PROBE, SOURCE, Verdict.BYPASSED, False, CAUSE, ANSWER, evidence)) == indented(
        """
          ├─ ✔ pod           default/sleep, container sleep
          ├─ ✔ sidecar       captured: istio-proxy had the other end of local port 40000
          ├─ ✔ listener      virtualOutbound
          ├─ ✔ filter chain  virtualOutbound-catchall-tcp
          ├─ ✘ Envoy cluster PassthroughCluster (the outbound traffic policy sends it to PassthroughCluster; counted +1)
          ├─ ✔ address       208.80.154.224:443
          ╰─ ✔ answer        HTTP 200 in 0.03 s
        """
    )


def test_bypassed_beside_the_sidecar() -> None:
    """What the sidecar's configuration says of it is not drawn: the connection did not go that way."""
    cause = Cause(CauseCode.NOT_CAPTURED, "it went past", "look at the pod")
    evidence = replace(PROVEN, capture=Capture.NOT_CAPTURED)
    assert drawn(ProbeResult(PROBE, SOURCE, Verdict.BYPASSED, False, cause, ANSWER, evidence)) == indented(
        """
          ├─ ✔ pod           default/sleep, container sleep
          ├─ ✘ sidecar       not captured: the connection did not go through it
          ├─ ✔ address       208.80.154.224:443
          ╰─ ✔ answer        HTTP 200 in 0.03 s
        """
    )


def test_bypassed_without_a_sidecar() -> None:
    cause = Cause(CauseCode.NO_SIDECAR, "there is none", "inject one")
    source = replace(SOURCE, proxy=None)
    assert drawn(ProbeResult(PROBE, source, Verdict.BYPASSED, False, cause, ANSWER, Evidence())) == indented(
        """
          ├─ ✔ pod           default/sleep, container sleep
          ├─ ✘ sidecar       none
          ├─ ✔ address       208.80.154.224:443
          ╰─ ✔ answer        HTTP 200 in 0.03 s
        """
    )


def test_failed_by_its_status() -> None:
    cause = Cause(CauseCode.HTTP_STATUS, "HTTP status 404, expected 200", "look at it")
    result = ProbeResult(PROBE, SOURCE, Verdict.FAILED, False, cause, replace(ANSWER, http_status=404), PROVEN)
    assert drawn(result) == indented(
        """
          ├─ ✔ pod           default/sleep, container sleep
          ├─ ✔ sidecar       captured: istio-proxy had the other end of local port 40000
          ├─ ✔ listener      0.0.0.0_443
          ├─ ✔ filter chain  208.80.154.224/27
          ├─ ✔ Envoy cluster outbound|443||wikipedia.org (default/wikipedia-ext lists it; counted +1)
          ├─ ✔ address       208.80.154.224:443
          ╰─ ✘ answer        HTTP 404 in 0.03 s
        """
    )


def test_failed_before_there_was_an_address() -> None:
    cause = Cause(CauseCode.NAME_RESOLUTION, "the pod cannot resolve it", "look it up")
    result = ProbeResult(PROBE, SOURCE, Verdict.FAILED, False, cause, CurlOutcome(6), Evidence())
    assert drawn(result) == indented(
        """
          ├─ ✔ pod           default/sleep, container sleep
          ├─ ? sidecar       not known whether it had the other end
          ├─ ✘ address       none
          ╰─ ✘ answer        none, curl exit 6 after 0.00 s: no message
        """
    )


def test_unproven() -> None:
    cause = Cause(CauseCode.EVIDENCE_LOST, "the way is not understood", "ask again")
    evidence = Evidence(Capture.CAPTURED, walk=Walk("0.0.0.0_443", "", None, unknown="it depends on server_names"))
    assert drawn(ProbeResult(PROBE, SOURCE, Verdict.UNPROVEN, False, cause, ANSWER, evidence)) == indented(
        """
          ├─ ✔ pod           default/sleep, container sleep
          ├─ ✔ sidecar       captured: istio-proxy had the other end of local port 40000
          ├─ ? listener      0.0.0.0_443
          ├─ ? filter chain  none matches
          ├─ ? Envoy cluster not known: it depends on server_names
          ├─ ✔ address       208.80.154.224:443
          ╰─ ✔ answer        HTTP 200 in 0.03 s
        """
    )


def test_inconclusive_from_a_pod() -> None:
    cause = Cause(CauseCode.NO_CURL, "the container has no curl", "name another")
    assert drawn(ProbeResult(PROBE, SOURCE, Verdict.INCONCLUSIVE, False, cause)) == indented(
        """
          ╰─ ✔ pod           default/sleep, container sleep
        """
    )


def test_nothing_is_drawn_without_a_pod() -> None:
    cause = Cause(CauseCode.NO_SOURCE_POD, "there is no pod", "")
    assert drawn(ProbeResult(PROBE, None, Verdict.INCONCLUSIVE, False, cause)) == ""


def test_an_envoy_cluster_that_is_not_ours_has_no_tick() -> None:
    evidence = replace(PROVEN, methods=(Method.CAPTURED, Method.STATIC, Method.COUNTED))
    assert "├─ ✘ Envoy cluster outbound|443||wikipedia.org" in drawn(replace(OPEN, evidence=evidence))


# Colours


def test_marks_have_their_colours() -> None:
    evidence = replace(PROVEN, walk=replace(WALK, unknown="why"))
    spans = {
        span
        for line in draw_probe_path(replace(OPEN, outcome=replace(REFUSAL, http_status=200), evidence=evidence))
        for span in line
    }
    assert {("green", "✔"), ("yellow", "?"), ("red", "✘")} <= spans
