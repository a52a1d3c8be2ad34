"""Several waits at once."""

from __future__ import annotations

import threading

import pytest

from egressctl.runtime.concurrency import call_within, gather


def test_results_come_in_the_order_of_the_calls_whatever_ends_first() -> None:
    second_ended = threading.Event()

    def first() -> str:
        second_ended.wait()
        return "first"

    def second() -> str:
        second_ended.set()
        return "second"

    assert gather([first, second], at_most=2) == ["first", "second"]


def test_no_more_run_at_once_than_allowed() -> None:
    running, most, lock = 0, 0, threading.Lock()
    pair = threading.Barrier(2)

    def call() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        pair.wait()  # nobody ends alone: two do run at once
        with lock:
            running -= 1

    gather([call] * 8, at_most=2)
    assert most == 2


def test_the_first_failure_is_raised_after_the_others_have_ended() -> None:
    ended = []

    def fails(message: str) -> None:
        raise ValueError(message)

    with pytest.raises(ValueError, match="one"):
        gather([lambda: fails("one"), lambda: fails("two"), lambda: ended.append(1)], at_most=2)
    assert ended == [1]


def test_an_interruption_leaves_at_once_and_begins_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    release, begun = threading.Event(), []

    def held() -> None:
        begun.append(1)
        release.wait()

    class Interrupting:
        def put(self, _: object) -> None:
            """Swallow what a call came to."""

        def get(self) -> object:
            raise KeyboardInterrupt

    import queue

    queues = iter([queue.SimpleQueue(), Interrupting()])
    before = set(threading.enumerate())
    monkeypatch.setattr("egressctl.runtime.concurrency.queue.SimpleQueue", lambda: next(queues))
    with pytest.raises(KeyboardInterrupt):
        gather([held] * 9, at_most=2)
    workers = set(threading.enumerate()) - before
    release.set()
    for worker in workers:
        worker.join()
    assert len(begun) <= 2


def test_nothing_to_do_and_a_single_call() -> None:
    assert gather([], at_most=4) == []
    assert gather([lambda: 7], at_most=4) == [7]


def test_what_ends_in_time_gives_its_result_or_its_failure() -> None:
    assert call_within(60, lambda: "done") == "done"
    with pytest.raises(ValueError, match="one"):
        call_within(60, lambda: int("one"))


def test_what_is_late_is_left_alone() -> None:
    never = threading.Event()
    with pytest.raises(TimeoutError):
        call_within(0.01, never.wait)
    never.set()
