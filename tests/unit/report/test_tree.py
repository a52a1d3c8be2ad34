"""The path of a probe as a picture."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from egressctl.model.result import PartResult, ProbeResult, TargetResult
from egressctl.report.tree import STYLES, draw_probe, draw_target
from examples import examples

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


def drawn(result: ProbeResult, when: str = "") -> str:
    return "\n".join("".join(text for _, text in line) for line in draw_probe(result, when)) + "\n"


def indented(text: str) -> str:
    """Two spaces, as each picture has them, in front of what is written flush here."""
    return "".join(f"  {line}\n" for line in dedent(text).strip("\n").splitlines())


def test_open() -> None:
    assert drawn(OPEN) == indented(
        """
        portal  https://www.wikipedia.org  open
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
    assert lines[1] == "    ├─ ✔ pod           default/sleep, container sleep, newest of 3 ready"
    assert lines[-1] == "    ╰─ ✔ answer        HTTP 200 in 0.03 s, articles 7,012,345, since 2001"


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
        portal  https://www.wikipedia.org  blocked, expected open
          ├─ ✔ pod           default/sleep, container sleep
          ├─ ✔ sidecar       captured: a second connection to the same address went through istio-proxy
          ├─ ✔ listener      0.0.0.0_443
          ├─ ✔ filter chain  none matches
          ├─ ✘ Envoy cluster BlackHoleCluster
          ╰─ ✘ answer        none, curl exit 35 after 0.00 s: Recv failure: Connection reset by peer
          cause  entry-missing: ServiceEntry wikipedia-ext is not there
          next   egressctl create wikipedia
        """
    )


def test_blocked_as_it_was_expected_after_cleanup() -> None:
    """The next command is for what went wrong, and nothing did."""
    evidence = Evidence(Capture.CAPTURED, True, replace(BLACKHOLE, envoy_cluster=None, listener=""))
    probe = replace(PROBE, expect=Expectation(Verdict.BLOCKED))
    result = ProbeResult(probe, SOURCE, Verdict.BLOCKED, True, CAUSE, REFUSAL, evidence)
    assert drawn(result, "after cleanup, ") == indented(
        """
        after cleanup, portal  https://www.wikipedia.org  blocked
          ├─ ✔ pod           default/sleep, container sleep
          ├─ ✔ sidecar       captured: a second connection to the same address went through istio-proxy
          ├─ ✔ listener      none
          ├─ ✔ filter chain  none matches
          ├─ ✘ Envoy cluster none: the connection is closed
          ╰─ ✘ answer        none, curl exit 35 after 0.00 s: Recv failure: Connection reset by peer
          cause  entry-missing: ServiceEntry wikipedia-ext is not there
        """
    )


def test_bypassed_through_the_policy() -> None:
    evidence = replace(
        PROVEN,
        walk=Walk("virtualOutbound", "virtualOutbound-catchall-tcp", "PassthroughCluster"),
        owner=Owner(Ownership.OTHERS, "the outbound traffic policy leads it to PassthroughCluster"),
        methods=(Method.CAPTURED, Method.STATIC, Method.COUNTED),
    )
    assert drawn(ProbeResult(PROBE, SOURCE, Verdict.BYPASSED, False, CAUSE, ANSWER, evidence)) == indented(
        """
        portal  https://www.wikipedia.org  bypassed, expected open
          ├─ ✔ pod           default/sleep, container sleep
          ├─ ✔ sidecar       captured: istio-proxy had the other end of local port 40000
          ├─ ✔ listener      virtualOutbound
          ├─ ✔ filter chain  virtualOutbound-catchall-tcp
          ├─ ✘ Envoy cluster PassthroughCluster (the outbound traffic policy leads it to PassthroughCluster; counted +1)
          ├─ ✔ address       208.80.154.224:443
          ╰─ ✔ answer        HTTP 200 in 0.03 s
          cause  entry-missing: ServiceEntry wikipedia-ext is not there
          next   egressctl create wikipedia
        """
    )


def test_bypassed_beside_the_sidecar() -> None:
    """What the sidecar's configuration says of it is not drawn: the connection did not go that way."""
    cause = Cause(CauseCode.NOT_CAPTURED, "it went past", "look at the pod")
    evidence = replace(PROVEN, capture=Capture.NOT_CAPTURED)
    assert drawn(ProbeResult(PROBE, SOURCE, Verdict.BYPASSED, False, cause, ANSWER, evidence)) == indented(
        """
        portal  https://www.wikipedia.org  bypassed, expected open
          ├─ ✔ pod           default/sleep, container sleep
          ├─ ✘ sidecar       not captured: the connection did not go through it
          ├─ ✔ address       208.80.154.224:443
          ╰─ ✔ answer        HTTP 200 in 0.03 s
          cause  not-captured: it went past
          next   look at the pod
        """
    )


def test_bypassed_without_a_sidecar() -> None:
    cause = Cause(CauseCode.NO_SIDECAR, "there is none", "inject one")
    source = replace(SOURCE, proxy=None)
    assert drawn(ProbeResult(PROBE, source, Verdict.BYPASSED, False, cause, ANSWER, Evidence())) == indented(
        """
        portal  https://www.wikipedia.org  bypassed, expected open
          ├─ ✔ pod           default/sleep, container sleep
          ├─ ✘ sidecar       none
          ├─ ✔ address       208.80.154.224:443
          ╰─ ✔ answer        HTTP 200 in 0.03 s
          cause  no-sidecar: there is none
          next   inject one
        """
    )


def test_failed_by_its_status() -> None:
    cause = Cause(CauseCode.HTTP_STATUS, "HTTP status 404, expected 200", "look at it")
    result = ProbeResult(PROBE, SOURCE, Verdict.FAILED, False, cause, replace(ANSWER, http_status=404), PROVEN)
    assert drawn(result) == indented(
        """
        portal  https://www.wikipedia.org  failed, expected open
          ├─ ✔ pod           default/sleep, container sleep
          ├─ ✔ sidecar       captured: istio-proxy had the other end of local port 40000
          ├─ ✔ listener      0.0.0.0_443
          ├─ ✔ filter chain  208.80.154.224/27
          ├─ ✔ Envoy cluster outbound|443||wikipedia.org (default/wikipedia-ext lists it; counted +1)
          ├─ ✔ address       208.80.154.224:443
          ╰─ ✘ answer        HTTP 404 in 0.03 s
          cause  http-status: HTTP status 404, expected 200
          next   look at it
        """
    )


def test_failed_before_there_was_an_address() -> None:
    cause = Cause(CauseCode.NAME_RESOLUTION, "the pod cannot resolve it", "look it up")
    result = ProbeResult(PROBE, SOURCE, Verdict.FAILED, False, cause, CurlOutcome(6), Evidence())
    assert drawn(result) == indented(
        """
        portal  https://www.wikipedia.org  failed, expected open
          ├─ ✔ pod           default/sleep, container sleep
          ├─ ? sidecar       not known whether it had the other end
          ├─ ✘ address       none
          ╰─ ✘ answer        none, curl exit 6 after 0.00 s: no message
          cause  name-resolution: the pod cannot resolve it
          next   look it up
        """
    )


def test_unproven() -> None:
    cause = Cause(CauseCode.EVIDENCE_LOST, "the way is not understood", "ask again")
    evidence = Evidence(Capture.CAPTURED, walk=Walk("0.0.0.0_443", "", None, unknown="it depends on server_names"))
    assert drawn(ProbeResult(PROBE, SOURCE, Verdict.UNPROVEN, False, cause, ANSWER, evidence)) == indented(
        """
        portal  https://www.wikipedia.org  unproven, expected open
          ├─ ✔ pod           default/sleep, container sleep
          ├─ ✔ sidecar       captured: istio-proxy had the other end of local port 40000
          ├─ ? listener      0.0.0.0_443
          ├─ ? filter chain  none matches
          ├─ ? Envoy cluster not known: it depends on server_names
          ├─ ✔ address       208.80.154.224:443
          ╰─ ✔ answer        HTTP 200 in 0.03 s
          cause  evidence-lost: the way is not understood
          next   ask again
        """
    )


def test_inconclusive_from_a_pod() -> None:
    cause = Cause(CauseCode.NO_CURL, "the container has no curl", "name another")
    assert drawn(ProbeResult(PROBE, SOURCE, Verdict.INCONCLUSIVE, False, cause)) == indented(
        """
        portal  https://www.wikipedia.org  inconclusive, expected open
          ╰─ ✔ pod           default/sleep, container sleep
          cause  no-curl: the container has no curl
          next   name another
        """
    )


def test_inconclusive_without_a_pod() -> None:
    cause = Cause(CauseCode.NO_SOURCE_POD, "there is no pod", "")
    assert drawn(ProbeResult(PROBE, None, Verdict.INCONCLUSIVE, False, cause)) == indented(
        """
        portal  https://www.wikipedia.org  inconclusive, expected open
          cause  no-source-pod: there is no pod
        """
    )


def test_an_envoy_cluster_that_is_not_ours_has_no_tick() -> None:
    evidence = replace(PROVEN, methods=(Method.CAPTURED, Method.STATIC, Method.COUNTED))
    assert "├─ ✘ Envoy cluster outbound|443||wikipedia.org" in drawn(replace(OPEN, evidence=evidence))


# A target


def test_a_target_is_drawn_with_its_probes_and_what_came_after() -> None:
    target = TargetResult("wikipedia", "web", ("wikipedia-ext",), (OPEN,), step="before", closure=(OPEN,))
    lines = ["".join(text for _, text in line) for line in draw_target(target)]
    assert lines[0] == "before: wikipedia  wikipedia-ext in namespace web"
    assert [line for line in lines if "portal" in line] == [
        "  portal  https://www.wikipedia.org  open",
        "  after cleanup, portal  https://www.wikipedia.org  open",
    ]


def test_a_target_without_an_entry_says_so() -> None:
    (line, *_) = draw_target(TargetResult("url", "web", (), ()))
    assert "".join(text for _, text in line) == "url  no ServiceEntry in namespace web"


def test_several_entries_are_counted_and_what_is_not_in_force_is_told() -> None:
    names = tuple(f"many-ext-{first}-8" for first in range(5))
    parts = (
        *(PartResult(name, 200, in_force=True) for name in names[:3]),
        PartResult(names[3], 1, in_force=False, cause=CAUSE),
        PartResult(names[4], 1, in_force=None),
    )
    drawn = ["".join(text for _, text in line) for line in draw_target(TargetResult("many", "web", names, (), parts=parts))]
    assert drawn == [
        "many  many-ext-0-8, many-ext-1-8, many-ext-2-8 and 2 more in namespace web",
        "  ✔ in force in the sidecar: 3 ServiceEntries, with 600 addresses",
        "  ✘ many-ext-3-8",
        "    cause  entry-missing: ServiceEntry wikipedia-ext is not there",
        "    next   egressctl create wikipedia",
        "  ? many-ext-4-8",
    ]
    done = replace(TargetResult("many", "web", names[:1], ()), parts=(PartResult(names[0], 1, "created"),))
    assert len(list(draw_target(done))) == 1, "what was done to each has been told"


# Colours


@pytest.mark.parametrize("verdict", list(Verdict))
def test_a_verdict_has_its_colour_and_green_where_it_was_expected(verdict: Verdict) -> None:
    cause = None if verdict is Verdict.OPEN else CAUSE
    for held, style in ((True, "green"), (False, STYLES[verdict])):
        first, *_ = draw_probe(ProbeResult(PROBE, SOURCE, verdict, held, cause, ANSWER, PROVEN))
        assert (f"bold {style}", str(verdict)) in first


def test_marks_have_their_colours() -> None:
    evidence = replace(PROVEN, walk=replace(WALK, unknown="why"))
    spans = {
        span for line in draw_probe(replace(OPEN, outcome=replace(REFUSAL, http_status=200), evidence=evidence)) for span in line
    }
    assert {("green", "✔"), ("yellow", "?"), ("red", "✘")} <= spans


# What comes from the network

EVIL = "\x1b[2J\x1b[32mopen\r\n\u202eevil\u200b\x9b"
SHOWN = r"\x1b[2J\x1b[32mopen\x0d\x0a\u202eevil\u200b\x9b"


@pytest.mark.parametrize(
    "result",
    [
        replace(OPEN, probe=replace(PROBE, name=EVIL)),
        replace(OPEN, probe=replace(PROBE, url=EVIL)),
        replace(OPEN, source=replace(SOURCE, pod=EVIL)),
        replace(OPEN, outcome=replace(ANSWER, extracted={"articles": EVIL})),
        replace(OPEN, outcome=replace(ANSWER, extracted={EVIL: "7"})),
        replace(OPEN, outcome=replace(REFUSAL, error=EVIL)),
        replace(OPEN, outcome=replace(ANSWER, remote_ip=EVIL)),
        replace(OPEN, evidence=replace(PROVEN, walk=replace(WALK, listener=EVIL))),
        replace(OPEN, evidence=replace(PROVEN, walk=replace(WALK, prefix=EVIL))),
        replace(OPEN, evidence=replace(PROVEN, walk=replace(WALK, envoy_cluster=EVIL))),
        replace(OPEN, evidence=replace(PROVEN, walk=replace(WALK, unknown=EVIL))),
        replace(OPEN, evidence=replace(PROVEN, owner=Owner(Ownership.OTHERS, EVIL))),
        replace(OPEN, cause=replace(CAUSE, message=EVIL)),
        replace(OPEN, held=False, cause=replace(CAUSE, hint=EVIL)),
    ],
    ids=[
        "name", "url", "pod", "value", "key", "error", "address", "listener", "prefix", "cluster", "unknown", "owner", "message",
        "hint",
    ],
)  # fmt: skip
def test_what_came_from_outside_cannot_draw(result: ProbeResult) -> None:
    lines = ["".join(text for _, text in line) for line in draw_probe(result)]
    assert any(SHOWN in line for line in lines)
    assert all(each == " " or unicodedata.category(each)[0] not in "CZ" for line in lines for each in line)


@examples(60)
@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_every_line_of_a_picture_is_one_line(url: str, error: str, value: str) -> None:
    outcome = replace(ANSWER, error=error, extracted={"value": value})
    target = TargetResult(
        "wikipedia", "default", ("wikipedia-ext",), (replace(OPEN, probe=replace(PROBE, url=url), outcome=outcome),)
    )
    for line in draw_target(target):
        assert "".join(text for _, text in line).isprintable()
