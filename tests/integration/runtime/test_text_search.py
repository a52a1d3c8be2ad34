"""A search that anyone's expression may ask for: it finds what `re` finds, and always ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.catalog import lookup
from egressctl.errors import CouldNotAsk
from egressctl.manifests.probes import pattern_fault
from egressctl.runtime import text_search
from egressctl.runtime.text_search import LONGEST_FOUND, SearchLimits, search_text
from examples import examples

SHORT = SearchLimits(seconds=0.05)
ENDLESS = r"(a|aa)+$"
LONG_FOR_IT = b"a" * 200 + b"b"


def of_re(patterns: Mapping[str, str], text: bytes) -> Mapping[str, str]:
    matches = {name: re.search(pattern, text.decode("utf-8", "replace")) for name, pattern in patterns.items()}
    return {name: match[1] for name, match in matches.items() if match and match[1] is not None}


def test_each_expression_finds_what_it_finds_in_python() -> None:
    page = "<div id='articlecount'><a href='Special:Statistics'>7.012.345</a></div> café \u2028 \x00".encode() + b"\xff"
    patterns = {
        "articles": lookup.get_target("wikipedia").probes[1].extract["articles"],
        "by-name": r"(?P<n>caf.)",
        "of-many-lines": r"(?s)café(.*)",
        "set-in-a-set": r"([])+]+)",
        "no-group-took-part": r"(z)?café",
        "none": r"(nothing of this)",
        "no-character": "(\ud800)",
        "of-two-lines": "(\n\n)",
        "empty": r"()",
        "backwards": r"(?<=caf)(é)",
        "again": r"(\w)\1?",
    }
    assert search_text(patterns, page) == (of_re(patterns, page), "")
    assert search_text(patterns, b"").found == {"empty": ""}


PATTERNS = st.text(st.sampled_from("ab()[]{}*+?|\\^$.,1:=!<>P#é"), max_size=15).filter(lambda text: not pattern_fault(text))


@examples(10)
@given(st.lists(PATTERNS, max_size=20), st.text(st.sampled_from("ab()é \n"), max_size=20))
def test_any_expressions_find_what_they_find_in_python(patterns: list[str], text: str) -> None:
    by_name = {str(number): pattern for number, pattern in enumerate([*patterns, "(a)"])}
    assert search_text(by_name, text.encode()) == (of_re(by_name, text.encode()), "")


@pytest.mark.parametrize("pattern", [ENDLESS, "(a+)+$", "((?:a?){1000}){1000}c"])
def test_one_that_takes_too_long_is_given_up_and_named(pattern: str) -> None:
    found = search_text({"first": "(a)", "second": pattern, "third": "(b)"}, LONG_FOR_IT, SHORT)
    assert found == ({"first": "a"}, f"the expression for second was given up after 0.05 s: {pattern}")


def test_one_that_takes_too_much_memory_is_given_up() -> None:
    found = search_text({"a": "(?:(a)|b)*?c"}, b"a" * (4 << 20), SearchLimits(seconds=60, megabytes=64))
    assert found == ({}, "the expression for a was given up after 64 MB of memory: (?:(a)|b)*?c")


def test_one_that_takes_too_much_of_the_text_is_given_up() -> None:
    found = search_text({"most": "(x*)", "all": "([xy]*)"}, b"x" * LONGEST_FOUND + b"y")
    assert found.found == {"most": "x" * LONGEST_FOUND}
    assert found.given_up == "the expression for all took more than 65,536 characters: ([xy]*)"


def test_a_process_that_does_not_start_or_does_not_end_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CouldNotAsk, match=r"could not be searched for `extract` within 0\.1 s"):
        search_text({"a": ENDLESS}, LONG_FOR_IT, SearchLimits(seconds=600, patience=0.1))
    monkeypatch.setattr(text_search, "_search", lambda *_: os.kill(os.getpid(), signal.SIGKILL))
    with pytest.raises(CouldNotAsk, match="the process for it ended with -9"):
        search_text({"a": "(a)"}, b"a")
    monkeypatch.setattr(text_search, "_search", lambda *_: 1 / 0)
    with pytest.raises(CouldNotAsk, match="the process for it ended with 70"):
        search_text({"a": "(a)"}, b"a")
    monkeypatch.setattr(os, "fork", lambda: os.open("/nowhere", os.O_RDONLY))
    with pytest.raises(CouldNotAsk, match="No such file"):
        search_text({"a": "(a)"}, b"a")


def test_no_process_is_left_of_one_that_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def interrupted(_: object, __: float) -> bytes:
        made.append(Path("/proc/self/task", str(os.getpid()), "children").read_text().split()[-1])
        raise KeyboardInterrupt

    monkeypatch.setattr(text_search, "_read_to_end", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search_text({"a": ENDLESS}, LONG_FOR_IT, SearchLimits(seconds=600))
    assert not Path("/proc", made[0]).exists()


def test_a_signal_is_heard_by_the_asker_alone(capfd: pytest.CaptureFixture[str]) -> None:
    heard = []
    before = signal.signal(signal.SIGUSR1, lambda *_: heard.append(os.getpid()))
    try:
        for _ in range(20):
            threading.Timer(0, os.kill, (os.getpid(), signal.SIGUSR1)).start()
            assert search_text({"a": "(a)"}, b"a").found == {"a": "a"}
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert set(heard) == {os.getpid()}
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere SIGIO ends nothing, and the search its second")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_search_ends_with_who_asked_for_it(number: signal.Signals) -> None:
    asking = f"from egressctl.runtime.text_search import *; search_text({{'a': {ENDLESS!r}}}, {LONG_FOR_IT!r}, SearchLimits(600))"
    asker = subprocess.Popen([sys.executable, "-c", asking])
    children = Path(f"/proc/{asker.pid}/task/{asker.pid}/children")
    child = ""
    while not (child and searches(child)):
        time.sleep(0.01)
        child = children.read_text().strip()
    assert os.getsid(int(child)) != os.getsid(asker.pid), "Ctrl-C is for the asker alone"
    os.kill(asker.pid, number)
    asker.wait()
    long_after = time.monotonic() + 60
    while searches(child):
        assert time.monotonic() < long_after, "it searches on for nobody"
        time.sleep(0.01)


def searches(pid: str) -> bool:
    """Say whether a process has begun to count the time that it searches."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return stat[0] == "R" and int(stat[11]) > 10
    except FileNotFoundError:
        return False
