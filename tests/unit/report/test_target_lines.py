"""A target in lines: the verdict first, then the probes with why they are not as expected, and paths last."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.model.cause import Cause, CauseCode
from egressctl.model.entry import ServiceEntry
from egressctl.model.evidence import Capture, CurlOutcome, Evidence, Method, Owner, Ownership, Source, Walk
from egressctl.model.probe import Expectation, Probe, Verdict
from egressctl.model.result import NotProbed, PartResult, ProbeResult, TargetResult
from egressctl.report.lines import plain_text
from egressctl.report.target_lines import draw_probe, draw_targets, is_drawn
from examples import examples

PORTAL = Probe("portal", "https://www.wikipedia.org")
ARTICLES = Probe("articles", "https://en.wikipedia.org/wiki/Main_Page")
SOURCE = Source("default", "sleep", "sleep", "istio-proxy")
ANSWER = CurlOutcome(0, "", 200, "208.80.154.224", 443, "10.244.0.5", 40000, seconds={"total": 0.021})
REFUSAL = CurlOutcome(35, "reset", 0, "208.80.154.224", 443, seconds={"total": 0.004})
ENTRY = ServiceEntry("wikipedia-ext", "default", ("wikipedia.org",), (), (), "NONE", "MESH_EXTERNAL", ())
WALK = Walk("0.0.0.0_443", "", "outbound|443||wikipedia.org", "208.80.154.224/27")
PROVEN = Evidence(
    Capture.CAPTURED, walk=WALK, owner=Owner(Ownership.OWNED, "it lists it", entry=ENTRY), counted=True, methods=tuple(Method)
)
REFUSED = Evidence(Capture.CAPTURED, True, Walk("virtualOutbound", "catchall", "BlackHoleCluster"), policy="REGISTRY_ONLY")
CAUSE = Cause(CauseCode.ENTRY_MISSING, "ServiceEntry wikipedia-ext is not there; it leads nowhere", "egressctl create wikipedia")

OPEN = ProbeResult(PORTAL, SOURCE, Verdict.OPEN, True, None, ANSWER, PROVEN)
COUNTED = replace(OPEN, probe=ARTICLES, outcome=replace(ANSWER, extracted={"articles": "7,012,345"}))
BLOCKED = ProbeResult(PORTAL, SOURCE, Verdict.BLOCKED, False, CAUSE, REFUSAL, REFUSED)
CLOSED = replace(BLOCKED, held=True, probe=replace(PORTAL, expect=Expectation(Verdict.BLOCKED)))
TARGET = TargetResult("wikipedia", "default", ("wikipedia-ext",), (OPEN, COUNTED))


def drawn(*targets: TargetResult, show_paths: bool = False, quiet: bool = False, allow_unproven: bool = False) -> str:
    return plain_text(draw_targets(targets, show_paths=show_paths, quiet=quiet, allow_unproven=allow_unproven))


def written(text: str) -> str:
    return dedent(text).removeprefix("\n")


def test_open_is_a_line_a_target_and_a_line_a_probe() -> None:
    assert drawn(TARGET) == written(
        """
        ✔ wikipedia  2 of 2 open: ServiceEntry default/wikipedia-ext sent them (proved)
          ✔ portal    https://www.wikipedia.org                 200  0.02 s
          ✔ articles  https://en.wikipedia.org/wiki/Main_Page   200  0.02 s  articles 7,012,345
        """
    )


def test_what_is_not_as_expected_has_its_cause_and_the_next_command_before_its_path() -> None:
    assert drawn(replace(TARGET, probes=(OPEN, replace(BLOCKED, probe=ARTICLES)))) == written(
        """
        ✘ wikipedia  1 of 2 open: ServiceEntry default/wikipedia-ext sent it (proved); 1 blocked: ServiceEntry wikipedia-ext is not there (entry-missing)
          ✔ portal    https://www.wikipedia.org                 200  0.02 s
          ✘ articles  https://en.wikipedia.org/wiki/Main_Page   blocked, expected open
            cause  entry-missing: ServiceEntry wikipedia-ext is not there; it leads nowhere
            next   egressctl create wikipedia

        path of wikipedia, articles: https://en.wikipedia.org/wiki/Main_Page
          ├─ ✔ pod           default/sleep, container sleep
          ├─ ✔ sidecar       captured: a second connection to the same address went through istio-proxy
          ├─ ✔ listener      virtualOutbound
          ├─ ✔ filter chain  catchall
          ├─ ✘ Envoy cluster BlackHoleCluster
          ╰─ ✘ answer        none, curl exit 35 after 0.00 s: reset
        """  # noqa: E501
    )


def test_the_cause_of_several_is_told_once_and_every_verdict_stands_before_the_first_path() -> None:
    lines = drawn(replace(TARGET, probes=(BLOCKED, replace(BLOCKED, probe=ARTICLES))), TARGET).splitlines()
    assert [line.split()[0] for line in lines[: lines.index("")]] == ["✘", "✘", "✘", "cause", "next", "✔", "✔", "✔"]
    assert sum(line.startswith("path of ") for line in lines) == 2


def test_paths_of_what_is_as_expected_are_drawn_where_they_are_asked_for() -> None:
    assert "path of " not in drawn(replace(TARGET, closure=(CLOSED,)))
    lines = drawn(replace(TARGET, closure=(CLOSED,)), show_paths=True).splitlines()
    assert [line for line in lines if line.startswith("path of ")] == [
        "path of wikipedia, portal: https://www.wikipedia.org",
        "path of wikipedia, articles: https://en.wikipedia.org/wiki/Main_Page",
        "path of wikipedia, after cleanup, portal: https://www.wikipedia.org",
    ]
    assert "    cause  entry-missing: ServiceEntry wikipedia-ext is not there; it leads nowhere" in lines
    assert not any("next " in line for line in lines), "nothing went wrong"


def test_run_is_open_and_closed_in_two_lines() -> None:
    assert drawn(replace(TARGET, closure=(CLOSED,)), quiet=True) == written(
        """
        ✔ wikipedia  2 of 2 open: ServiceEntry default/wikipedia-ext sent them (proved)
        ✔ wikipedia  closed: 1 of 1 blocked (proved): the sidecar sent it to BlackHoleCluster
        """
    )


def test_quiet_leaves_one_line_a_target() -> None:
    lines = drawn(TARGET, replace(TARGET, name="api", probes=(BLOCKED,), step="before"), quiet=True).splitlines()
    assert [line.split("  ")[0] for line in lines] == ["✔ wikipedia", "✘ before: api"]


def test_an_unexpected_open_is_never_green() -> None:
    still_open = replace(OPEN, held=False, probe=replace(PORTAL, expect=Expectation(Verdict.BLOCKED)))
    lines = list(draw_targets([replace(TARGET, probes=(still_open,))]))
    assert plain_text(lines[:2]) == written(
        """
        ✘ wikipedia  0 of 1 blocked; 1 open: ServiceEntry default/wikipedia-ext sent it (proved)
          ✘ portal  https://www.wikipedia.org   open, expected blocked  200  0.02 s
        """
    )
    assert not any("green" in style for line in lines[:2] for style, _ in line)


def test_a_block_that_was_expected_is_never_red() -> None:
    lines = list(draw_targets([replace(TARGET, probes=(CLOSED,))]))
    assert plain_text(lines) == written(
        """
        ✔ wikipedia  1 of 1 blocked (proved): the sidecar sent it to BlackHoleCluster
          ✔ portal  https://www.wikipedia.org   blocked
        """
    )
    assert {style for line in lines for style, _ in line} & {"red", "bold red", "yellow"} == set()


@pytest.mark.parametrize(
    ("probe", "allow_unproven", "sign", "colour"),
    [
        (OPEN, False, "✔", "green"),
        (CLOSED, False, "✔", "green"),
        (BLOCKED, False, "✘", "red"),
        (replace(BLOCKED, verdict=Verdict.BYPASSED), False, "✘", "red"),
        (replace(BLOCKED, verdict=Verdict.FAILED), False, "✘", "red"),
        (replace(BLOCKED, verdict=Verdict.INCONCLUSIVE), False, "?", "yellow"),
        (replace(BLOCKED, verdict=Verdict.UNPROVEN), False, "?", "yellow"),
        (replace(BLOCKED, verdict=Verdict.UNPROVEN), True, "?", "yellow"),
    ],
)
def test_mark_and_colour_say_whether_it_is_as_expected(probe: ProbeResult, allow_unproven: bool, sign: str, colour: str) -> None:
    first, row, *_ = draw_targets([replace(TARGET, probes=(probe,))], allow_unproven=allow_unproven)
    assert first[0] == (f"bold {colour}", sign)
    assert (colour, sign) in row


def test_one_that_is_not_as_expected_outweighs_one_that_is_not_known() -> None:
    unproven = replace(BLOCKED, verdict=Verdict.UNPROVEN)
    assert drawn(replace(TARGET, probes=(unproven, OPEN))).startswith("? ")
    assert drawn(replace(TARGET, probes=(unproven, OPEN, BLOCKED))).startswith("✘ ")


def test_what_was_named_and_not_probed_is_not_proved_and_says_what_to_type() -> None:
    why = NotProbed("every host is a wildcard", "egressctl verify mirror --probe URL", named=True)
    lines = list(draw_targets([TargetResult("mirror", "default", ("mirror-ext",), (), not_probed=why)]))
    assert plain_text(lines) == "? mirror  not proved: every host is a wildcard\n  next   egressctl verify mirror --probe URL\n"
    assert lines[0][0] == ("bold yellow", "?")
    assert drawn(TargetResult("mirror", "default", ("mirror-ext",), (), not_probed=why), quiet=True).count("\n") == 1


def test_hosts_that_no_probe_asked_are_named_where_all_is_shown() -> None:
    target = replace(TARGET, unasked=("a.example:443", "b.example:80"))
    assert drawn(target).startswith(
        "✔ wikipedia  2 of 2 open: ServiceEntry default/wikipedia-ext sent them (proved); 2 hosts were not asked\n"
    )
    assert "a.example" not in drawn(target)
    assert "  not asked: a.example:443, b.example:80\n" in drawn(target, show_paths=True)


def test_an_address_that_was_not_left_to_the_name_is_told() -> None:
    elsewhere = replace(CLOSED, probe=replace(CLOSED.probe, connect_ip="208.80.155.0"))
    assert "  ✔ portal  https://www.wikipedia.org at 208.80.155.0   blocked\n" in drawn(replace(TARGET, probes=(elsewhere,)))


def test_one_of_several_pods_is_named() -> None:
    several = replace(OPEN, source=replace(SOURCE, chosen_of=3))
    assert drawn(replace(TARGET, probes=(several,))).endswith("\n  from pod default/sleep, container sleep, newest of 3 ready\n")


def test_a_long_url_does_not_push_the_other_rows_away() -> None:
    long = replace(OPEN, probe=Probe("long", "https://www.wikipedia.org/" + "x" * 80))
    rows = drawn(replace(TARGET, probes=(OPEN, long))).splitlines()[1:]
    assert rows[0] == "  ✔ portal  https://www.wikipedia.org   200  0.02 s"
    assert rows[1].endswith("xxx   200  0.02 s")


def test_of_several_entries_what_is_not_in_force_is_told() -> None:
    names = tuple(f"many-ext-{first}-8" for first in range(5))
    parts = (
        *(PartResult(name, 200, in_force=True) for name in names[:3]),
        PartResult(names[3], 1, in_force=False, cause=CAUSE),
        PartResult(names[4], 1, in_force=None),
    )
    assert drawn(TargetResult("many", "web", names, (), parts=parts)) == written(
        """
        ✘ many  no probe was sent; 2 of 5 ServiceEntries are not in force in the sidecar: many-ext-3-8, many-ext-4-8
          ✘ many-ext-3-8
            cause  entry-missing: ServiceEntry wikipedia-ext is not there; it leads nowhere
            next   egressctl create wikipedia
          ? many-ext-4-8
        """
    )
    done = replace(TargetResult("many", "web", names[:1], ()), parts=(PartResult(names[0], 1, "created"),))
    assert not is_drawn(done), "what was done to each has been told"


def test_a_probe_by_itself_has_its_verdict_then_why_then_its_path() -> None:
    lines = plain_text(draw_probe(BLOCKED, "after cleanup, ")).splitlines()
    assert lines[:3] == [
        "  ✘ after cleanup, portal  https://www.wikipedia.org   blocked, expected open",
        "    cause  entry-missing: ServiceEntry wikipedia-ext is not there; it leads nowhere",
        "    next   egressctl create wikipedia",
    ]
    assert lines[3] == "    ├─ ✔ pod           default/sleep, container sleep"


# What comes from the network

EVIL = "\x1b[2J\x1b[32mopen\r\n\u202eevil\u200b\x9b"
SHOWN = r"\x1b[2J\x1b[32mopen\x0d\x0a\u202eevil\u200b\x9b"


@pytest.mark.parametrize(
    "result",
    [
        replace(OPEN, probe=replace(PORTAL, name=EVIL)),
        replace(OPEN, probe=replace(PORTAL, url=EVIL)),
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
        replace(OPEN, cause=CAUSE._replace(message=EVIL)),
        replace(OPEN, held=False, cause=CAUSE._replace(hint=EVIL)),
    ],
    ids=[
        "name", "url", "pod", "value", "key", "error", "address", "listener", "prefix", "cluster", "unknown", "owner", "message",
        "hint",
    ],
)  # fmt: skip
def test_what_came_from_outside_cannot_draw(result: ProbeResult) -> None:
    lines = ["".join(text for _, text in line) for line in draw_targets([replace(TARGET, probes=(result,))], show_paths=True)]
    assert any(SHOWN in line for line in lines)
    assert all(each == " " or unicodedata.category(each)[0] not in "CZ" for line in lines for each in line)


@examples(60)
@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_every_line_of_a_picture_is_one_line(url: str, error: str, value: str) -> None:
    outcome = replace(ANSWER, error=error, extracted={"value": value})
    target = TargetResult(
        "wikipedia", "default", ("wikipedia-ext",), (replace(OPEN, probe=replace(PORTAL, url=url), outcome=outcome),)
    )
    for line in draw_targets([target], show_paths=True):
        assert "".join(text for _, text in line).isprintable()
