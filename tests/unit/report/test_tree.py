"""The path of a probe as a picture."""

from __future__ import annotations

import re
from dataclasses import replace
from textwrap import dedent

import pytest

import recordings
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
from judged import recorded

PROBE = Probe("portal", "https://www.wikipedia.org")
SOURCE = Source("default", "sleep", "sleep", "istio-proxy")
ANSWER = CurlOutcome(0, "", 200, "208.80.154.224", 443, "10.244.0.5", 40000, seconds={"total": 0.03})
REFUSAL = CurlOutcome(35, "Recv failure: Connection reset by peer", 0, "208.80.154.224", 443, "10.244.0.5", 40000)
NAME = "outbound|443||wikipedia.org"
WALK = Walk("0.0.0.0_443", "", NAME, "208.80.154.224/27")
OURS = Owner(Ownership.OWNED, "default/wikipedia-ext lists it")
PROVEN = Evidence(Capture.CAPTURED, False, WALK, OURS, True, Counts(1), "REGISTRY_ONLY", tuple(Method))

OPEN = ProbeResult(PROBE, SOURCE, Verdict.OPEN, True, None, ANSWER, PROVEN)
BLACKHOLE = Walk("0.0.0.0_443", "PassthroughFilterChain", "BlackHoleCluster", matched="default (PassthroughFilterChain)")
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
        Capture.CAPTURED, True, BLACKHOLE, None, False, Counts(), "REGISTRY_ONLY", (Method.CAPTURED, Method.STATIC), endpoints=0
    )
    assert drawn(ProbeResult(PROBE, SOURCE, Verdict.BLOCKED, False, CAUSE, REFUSAL, evidence)) == indented(
        """
          ├─ ✔ pod           default/sleep, container sleep
          ├─ ✔ sidecar       captured: a second connection to the same address went through istio-proxy
          ├─ ✔ listener      0.0.0.0_443
          ├─ ✔ filter chain  default (PassthroughFilterChain)
          ├─ ✘ Envoy cluster BlackHoleCluster
          ╰─ ✘ answer        none, curl exit 35 after 0.00 s: Recv failure: Connection reset by peer
        """
    )


def test_blocked_where_no_filter_chain_takes_it() -> None:
    evidence = Evidence(Capture.CAPTURED, True, replace(BLACKHOLE, envoy_cluster=None, listener="", matched=""))
    probe = replace(PROBE, expect=Expectation(Verdict.BLOCKED))
    result = ProbeResult(probe, SOURCE, Verdict.BLOCKED, True, CAUSE, REFUSAL, evidence)
    assert drawn(result) == indented(
        """
          ├─ ✔ pod           default/sleep, container sleep
          ├─ ✔ sidecar       captured: a second connection to the same address went through istio-proxy
          ├─ ✘ listener      none
          ├─ ✘ filter chain  none matches
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
          ├─ ? filter chain  not known
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


# Against the truth of recordings


@pytest.mark.parametrize("case", recordings.cases())
def test_a_tick_never_stands_next_to_nothing(case: str) -> None:
    for line in drawn(recorded(case)[1]).splitlines():
        assert not re.search(r"✔ .*\b(none|not known)\b", line), line


@pytest.mark.parametrize("case", recordings.cases())
def test_a_refusal_is_never_drawn_as_an_answer_nor_the_reverse(case: str) -> None:
    truth, picture = recordings.load(case).truth, drawn(recorded(case)[1])
    answer = picture.splitlines()[-1].partition("answer")[2].strip()
    if truth["http_status"]:
        assert answer.startswith(f"HTTP {truth['http_status']} in ")
        assert "closed" not in picture
    else:
        assert answer.startswith(f"none, curl exit {truth['curl_exit']} ")
        assert "HTTP" not in answer
    by_sidecar = truth["envoy_cluster"] == "-" and truth["http_status"] != 0
    assert answer.endswith("from the sidecar itself") is by_sidecar
    # Where the sidecar sent it nowhere, no address was reached.
    assert ("address" in picture) is (truth["envoy_cluster"] not in ("BlackHoleCluster", "-") or case == "rejected-listener")


MATCHED = {
    "cidrs-60": "208.80.154.0/24",
    "http-80": "plain HTTP",
    "http-80-blocked": "plain HTTP",
    "ip-over-cidr": "208.80.154.224",
    "no-addresses": "catch-all",
    "no-addresses-and-cidr": "default",
    "no-entry-allow-any": "catch-all (virtualOutbound-catchall-tcp)",
    "no-entry-registry-only": "catch-all (virtualOutbound-catchall-tcp)",
    "outside-allow-any": "default (PassthroughFilterChain)",
    "outside-registry-only": "default (PassthroughFilterChain)",
    "overlapping-cidrs": "208.80.154.224/27",
    "plain-ips": "208.80.154.224",
    "tls-and-tcp-same-cidr": "208.80.154.224/27, server name www.wikipedia.org",
    "tls-sni": "server name www.wikipedia.org",
    "tls-sni-and-tcp-cidr": "208.80.154.224/27",
    "tls-sni-other-name": "default (PassthroughFilterChain)",
    "zero-cidr": "catch-all",
}


@pytest.mark.parametrize("case", MATCHED)
def test_the_filter_chain_is_named_by_what_matched(case: str) -> None:
    assert f" ✔ filter chain  {MATCHED[case]}\n" in drawn(recorded(case)[1])


def test_in_the_recordings_every_filter_chain_that_took_a_connection_has_a_name() -> None:
    pictures = {case: drawn(recorded(case)[1]) for case in recordings.cases()}
    nameless = {case for case, text in pictures.items() if not re.search(r"✔ filter chain  \S", text)}
    assert nameless == {"not-captured", "rejected-listener"}


def test_requests_are_counted_where_they_share_a_connection() -> None:
    walk = replace(WALK, http_route="80 / www.wikipedia.org:80 / default")
    assert "; counted +2)" in drawn(replace(OPEN, evidence=replace(PROVEN, walk=walk, counts=Counts(0, requests=2))))


@pytest.mark.parametrize("case", ["refused-beyond", "destinationrule-tls"])
def test_an_address_at_which_the_sidecars_connection_failed_has_no_tick(case: str) -> None:
    assert re.search(r"✘ address       208\.80\.154\.224:\d+: the sidecar's connection failed\n", drawn(recorded(case)[1]))


def test_an_envoy_cluster_that_is_not_there_is_said_to_be_missing() -> None:
    told = "✘ Envoy cluster outbound|443||nowhere.example (the sidecar does not have it)\n"
    assert told in drawn(recorded("virtualservice-unknown-host")[1])


def test_http_of_a_route_is_drawn_with_it() -> None:
    assert " ✔ HTTP route    80 / www.wikipedia.org:80 / default\n" in drawn(recorded("http-80")[1])


def test_an_answer_of_the_sidecar_itself_is_no_closed_connection() -> None:
    lines = drawn(recorded("http-80-blocked")[1]).splitlines()
    assert re.fullmatch(r"  ├─ ✘ HTTP route    80 / block_all / .*", lines[4])
    assert lines[5] == "  ├─ ✘ Envoy cluster none: the sidecar answers with HTTP 502 by itself"
    assert re.fullmatch(r"  ╰─ ✘ answer        HTTP 502 in \d\.\d\d s, from the sidecar itself", lines[6])


def test_of_a_weighted_route_the_envoy_cluster_is_named_whose_counts_moved() -> None:
    case = "virtualservice-tcp-weighted"
    truth = recordings.load(case).truth["envoy_cluster"]
    assert f"Envoy cluster {truth}, the only one of a weighted route's 2 whose counts moved (" in drawn(recorded(case)[1])


@pytest.mark.parametrize(
    ("moved", "told"),
    [
        (("a", "b"), "not known which of a and b: the counts of each moved"),
        ((), "not known which of a and b and c: no counts of them moved"),
        (None, "not known which of a and b and c"),
    ],
)
def test_where_the_counts_do_not_show_which_of_a_weighted_route_that_is_said(moved: tuple[str, ...] | None, told: str) -> None:
    walk = replace(WALK, envoy_cluster=None, choices=("a", "b", "c"))
    evidence = Evidence(Capture.CAPTURED, walk=walk, owner=Owner(Ownership.UNKNOWN, "chance decides"), moved=moved)
    picture = drawn(replace(OPEN, verdict=Verdict.UNPROVEN, evidence=evidence))
    assert f"  ├─ ? Envoy cluster {told}\n  ├─ ✔ address       208.80.154.224:443\n" in picture


def test_what_no_way_of_a_weighted_route_sent_the_sidecar_answered() -> None:
    walk = replace(WALK, envoy_cluster=None, choices=("a", "b"), http_route="80 / x / y")
    evidence = Evidence(Capture.CAPTURED, walk=walk, endpoints=None, moved=())
    picture = drawn(replace(OPEN, verdict=Verdict.FAILED, outcome=replace(ANSWER, http_status=503), evidence=evidence))
    assert picture.endswith("  ╰─ ✘ answer        HTTP 503 in 0.03 s, from the sidecar itself\n")
    assert "address" not in picture


def test_an_envoy_cluster_without_hosts_sends_nothing_to_any_address() -> None:
    evidence = replace(PROVEN, counts=Counts(), counted=False, endpoints=0)
    picture = drawn(ProbeResult(PROBE, SOURCE, Verdict.BLOCKED, False, CAUSE, REFUSAL, evidence))
    assert f"  ├─ ✘ Envoy cluster {NAME} (default/wikipedia-ext lists it; counted +0; it has no hosts)\n" in picture
    assert "address" not in picture


@pytest.mark.parametrize(
    ("walk", "status", "told"),
    [
        (
            Walk("l", "", None, matched="catch-all", http_route="80 / x", direct_status=404, unrouted=True),
            404,
            "answers with HTTP 404 by itself",
        ),
        (
            Walk("l", "", NAME, matched="catch-all", http_route="80 / x / y", direct_status=503, absent=True),
            503,
            "the sidecar does not have it",
        ),
        (Walk("l", "", NAME, matched="catch-all", http_route="80 / x / y"), 503, NAME),
    ],
    ids=["no route", "an Envoy cluster that is not there", "no hosts"],
)
def test_an_answer_that_the_sidecar_gave_ends_there(walk: Walk, status: int, told: str) -> None:
    evidence = replace(PROVEN, walk=walk, owner=None, endpoints=0, methods=(Method.CAPTURED,))
    probe = replace(PROBE, url="http://www.wikipedia.org")
    result = ProbeResult(probe, SOURCE, Verdict.BLOCKED, False, CAUSE, replace(ANSWER, http_status=status), evidence)
    picture = drawn(result)
    assert told in picture
    assert (": no route matches\n" in picture) is (walk.envoy_cluster is None)
    assert picture.endswith(f"  ╰─ ✘ answer        HTTP {status} in 0.03 s, from the sidecar itself\n")
    assert "address" not in picture
    assert "closed" not in picture


# Colours


def test_marks_have_their_colours() -> None:
    evidence = replace(PROVEN, walk=replace(WALK, unknown="why"))
    spans = {
        span
        for line in draw_probe_path(replace(OPEN, outcome=replace(REFUSAL, http_status=200), evidence=evidence))
        for span in line
    }
    assert {("green", "✔"), ("yellow", "?"), ("red", "✘")} <= spans
