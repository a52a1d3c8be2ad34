"""Asking until something comes: on a clock of the tests' own."""

from __future__ import annotations

import pytest

from egressctl.errors import TimedOut
from egressctl.runtime import poll as polling
from egressctl.runtime.poll import poll


class Clock:
    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(polling, "time", clock)
    return clock


def never() -> None:
    return None


def test_the_first_answer_is_returned_without_a_pause(clock: Clock) -> None:
    assert poll(lambda: "here", 60, lambda: "never said") == "here"
    assert clock.pauses == []


@pytest.mark.parametrize("answer", [False, 0, ""])
def test_an_answer_that_is_false_is_an_answer(clock: Clock, answer: object) -> None:
    assert poll(lambda: answer, 60, lambda: "never said") == answer


def test_it_asks_again_until_an_answer_comes(clock: Clock) -> None:
    answers = iter([None, None, "here"])
    assert poll(lambda: next(answers), 60, lambda: "never said") == "here"
    assert len(clock.pauses) == 2


def test_even_without_time_it_asks_once(clock: Clock) -> None:
    assert poll(lambda: "here", 0, lambda: "never said") == "here"
    with pytest.raises(TimedOut):
        poll(never, 0, lambda: "too late")
    assert clock.pauses == []


def test_the_pauses_grow_and_stay_under_a_second(clock: Clock) -> None:
    with pytest.raises(TimedOut):
        poll(never, 60, lambda: "too late")
    assert clock.pauses == sorted(clock.pauses)
    assert clock.pauses[0] < 0.1
    assert clock.pauses[-1] == 1.0


@pytest.mark.parametrize("timeout", [0.0, 0.01, 0.5, 3.0, 60.0])
def test_it_never_waits_longer_than_it_was_given(clock: Clock, timeout: float) -> None:
    with pytest.raises(TimedOut):
        poll(never, timeout, lambda: "too late")
    assert clock.now <= timeout


def test_when_time_is_up_it_says_what_is_the_case_by_then(clock: Clock) -> None:
    asked: list[int] = []

    def ask() -> None:
        asked.append(1)

    with pytest.raises(TimedOut, match=r"asked \d+ times") as timed_out:
        poll(ask, 1, lambda: f"asked {len(asked)} times", hint="wait longer")
    assert str(timed_out.value) == f"asked {len(asked)} times"
    assert timed_out.value.hint == "wait longer"


def test_what_the_question_raises_goes_through(clock: Clock) -> None:
    def ask() -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        poll(ask, 60, lambda: "too late")
    assert clock.pauses == []
