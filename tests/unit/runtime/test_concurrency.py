"""A question that is begun, and waited for later."""

from __future__ import annotations

import threading

import pytest

from egressctl.runtime.concurrency import start_call


def test_the_result_is_there_where_it_is_asked_for() -> None:
    assert start_call(lambda: 7)() == 7


def test_none_is_a_result() -> None:
    assert start_call(lambda: None)() is None


def test_it_runs_while_the_caller_does_something_else() -> None:
    reached = threading.Event()

    def call() -> str:
        return "met" if reached.wait(30) else "never met"

    result = start_call(call)
    reached.set()
    assert result() == "met"


def test_two_that_wait_for_each_other_both_end() -> None:
    meet = threading.Barrier(2, timeout=30)
    results = [start_call(meet.wait), start_call(meet.wait)]
    assert sorted(result() for result in results) == [0, 1]


def test_its_exception_is_raised_where_the_result_is_asked_for() -> None:
    def call() -> None:
        raise ValueError("broken")

    result = start_call(call)
    with pytest.raises(ValueError, match="broken"):
        result()


def test_even_what_is_no_exception_reaches_the_caller() -> None:
    def call() -> None:
        raise KeyboardInterrupt

    result = start_call(call)
    with pytest.raises(KeyboardInterrupt):
        result()


def test_it_does_not_hold_up_the_end_of_the_process() -> None:
    release, threads = threading.Event(), []

    def call() -> None:
        threads.append(threading.current_thread())
        release.wait()

    result = start_call(call)
    release.set()
    result()
    assert [thread.daemon for thread in threads] == [True]
