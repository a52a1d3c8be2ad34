"""Register the undo before the do; undo in reverse, whatever happened."""

# ruff: noqa: PT012 - the block raises at its end, and what it does before is what is tested

from __future__ import annotations

import signal
from collections.abc import Callable

import pytest

from egressctl.errors import CleanupIncomplete, Conflict, Interrupted, TimedOut, Unreachable
from egressctl.runtime.signals import Interrupts
from egressctl.runtime.undo import Undo


class Log(list[str]):
    """What was done, in order."""

    def does(self, what: str) -> Callable[[], None]:
        return lambda: self.append(what)

    def fails(self, what: str, error: Exception) -> Callable[[], None]:
        def action() -> None:
            self.append(what)
            raise error

        return action

    def is_signalled(self, what: str, times: int = 1) -> Callable[[], None]:
        def action() -> None:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)
            self.append(what)

        return action


@pytest.fixture
def log() -> Log:
    return Log()


def test_what_was_registered_is_undone_in_reverse(log: Log) -> None:
    with Undo(Interrupts()) as undo:
        for what in ("one", "two", "three"):
            undo.register(what, "kubectl ...", log.does(what))
        log.append("done")
    assert log == ["done", "three", "two", "one"]


def test_it_is_undone_after_a_failure_which_then_goes_on(log: Log) -> None:
    with pytest.raises(TimedOut, match="too late"), Undo(Interrupts()) as undo:
        undo.register("one", "kubectl ...", log.does("one"))
        raise TimedOut("too late")
    assert log == ["one"]


def test_it_is_undone_after_an_interruption_which_then_goes_on(log: Log) -> None:
    with Interrupts() as interrupts, pytest.raises(Interrupted), Undo(interrupts) as undo:
        undo.register("one", "kubectl ...", log.does("one"))
        signal.raise_signal(signal.SIGTERM)
    assert log == ["one"]


def test_what_is_meant_to_stay_is_kept(log: Log) -> None:
    with Undo(Interrupts()) as undo:
        undo.register("one", "kubectl ...", log.does("one"))
        undo.keep()
        undo.register("two", "kubectl ...", log.does("two"))
    assert log == ["two"]


def test_what_is_kept_is_kept_even_where_the_rest_fails(log: Log) -> None:
    with pytest.raises(TimedOut), Undo(Interrupts()) as undo:
        undo.register("one", "kubectl ...", log.does("one"))
        undo.keep()
        raise TimedOut("too late")
    assert log == []


def test_nothing_registered_is_nothing_undone() -> None:
    with pytest.raises(TimedOut), Undo(Interrupts()):
        raise TimedOut("too late")


@pytest.mark.parametrize("error", [Unreachable("no connection"), KeyError("metadata"), CleanupIncomplete("still there")])
def test_the_failure_of_one_does_not_keep_the_others(log: Log, error: Exception) -> None:
    with pytest.raises(CleanupIncomplete), Undo(Interrupts()) as undo:
        undo.register("one", "kubectl ...", log.does("one"))
        undo.register("two", "kubectl ...", log.fails("two", error))
        undo.register("three", "kubectl ...", log.does("three"))
    assert log == ["three", "two", "one"]


def test_what_is_left_is_named_with_its_reason_and_the_command(log: Log) -> None:
    with pytest.raises(CleanupIncomplete) as incomplete, Undo(Interrupts()) as undo:
        undo.register("entry default/a", "kubectl delete a", log.fails("a", Unreachable("no connection")))
        undo.register("entry default/b", "kubectl delete b", log.does("b"))
        undo.register("pod default/sleep", "kubectl delete c", log.fails("c", Unreachable("it broke")))
    assert str(incomplete.value) == "not cleaned up: pod default/sleep (it broke); entry default/a (no connection)"
    assert incomplete.value.left == ("pod default/sleep", "entry default/a")
    assert incomplete.value.hint == "remove it with: kubectl delete c && kubectl delete a"
    assert incomplete.value.exit_code == 5


def test_a_failure_without_words_is_named_by_its_kind(log: Log) -> None:
    with pytest.raises(CleanupIncomplete, match=r"one \(RecursionError\)"), Undo(Interrupts()) as undo:
        undo.register("one", "kubectl ...", log.fails("one", RecursionError()))


def test_what_led_to_the_undoing_is_not_lost(log: Log) -> None:
    cause = TimedOut("too late")
    with pytest.raises(CleanupIncomplete) as incomplete, Undo(Interrupts()) as undo:
        undo.register("one", "kubectl ...", log.fails("one", Unreachable("no connection")))
        raise cause
    assert incomplete.value.__cause__ is cause


def test_a_first_signal_while_undoing_waits_for_its_end(log: Log) -> None:
    with Interrupts() as interrupts, pytest.raises(Interrupted) as interrupted, Undo(interrupts) as undo:
        undo.register("one", "kubectl ...", log.does("one"))
        undo.register("two", "kubectl ...", log.is_signalled("two"))
    assert log == ["two", "one"]
    assert interrupted.value.exit_code == 130


def test_a_second_signal_stops_and_what_is_left_is_said(log: Log) -> None:
    with Interrupts() as interrupts, pytest.raises(CleanupIncomplete) as incomplete, Undo(interrupts) as undo:
        undo.register("one", "kubectl delete 1", log.does("one"))
        undo.register("two", "kubectl delete 2", log.is_signalled("two", times=2))
        undo.register("three", "kubectl delete 3", log.does("three"))
    assert log == ["three"]
    assert incomplete.value.left == ("two", "one")
    assert str(incomplete.value) == "not cleaned up: two (interrupted); one (interrupted)"
    assert incomplete.value.hint == "remove it with: kubectl delete 2 && kubectl delete 1"


def test_the_signal_that_led_to_the_undoing_counts_as_the_first(log: Log) -> None:
    with Interrupts() as interrupts, pytest.raises(CleanupIncomplete) as incomplete, Undo(interrupts) as undo:
        undo.register("one", "kubectl delete 1", log.is_signalled("one"))
        signal.raise_signal(signal.SIGINT)
    assert log == []
    assert incomplete.value.left == ("one",)
    assert isinstance(incomplete.value.__cause__, Interrupted)


def test_what_failed_before_the_second_signal_is_said_too(log: Log) -> None:
    with Interrupts() as interrupts, pytest.raises(CleanupIncomplete) as incomplete, Undo(interrupts) as undo:
        undo.register("one", "kubectl delete 1", log.is_signalled("one", times=2))
        undo.register("two", "kubectl delete 2", log.fails("two", Unreachable("no connection")))
    assert incomplete.value.left == ("two", "one")


def test_what_is_kept_is_known_for_what_is_said_of_a_signal(log: Log) -> None:
    interrupts = Interrupts()
    with Undo(interrupts) as undo:
        undo.register("one", "kubectl ...", log.does("one"))
        assert not interrupts.kept
        undo.keep()
    assert interrupts.kept


def test_what_an_outer_block_takes_back_was_not_kept(log: Log) -> None:
    interrupts = Interrupts()
    with Undo(interrupts) as outer:
        outer.register("one", "kubectl ...", log.does("one"))
        with Undo(interrupts) as inner:
            inner.keep()
    assert log == ["one"]
    assert not interrupts.kept


def test_what_is_somebody_elses_by_now_stays_and_has_no_command(log: Log) -> None:
    theirs = Conflict("taken over by argocd", hint="see whose it is")
    with (
        pytest.raises(Conflict, match=r"it is somebody else's by now: two \(taken over by argocd\)") as told,
        Undo(Interrupts()) as undo,
    ):
        undo.register("one", "kubectl delete one", log.does("one"))
        undo.register("two", "kubectl delete two", log.fails("two", theirs))
    assert (log, told.value.hint) == (["two", "one"], "see whose it is")


def test_beside_what_is_left_it_is_told_and_has_no_command(log: Log) -> None:
    with pytest.raises(CleanupIncomplete) as told, Undo(Interrupts()) as undo:
        undo.register("one", "kubectl delete one", log.fails("one", Unreachable("no answer")))
        undo.register("two", "kubectl delete two", log.fails("two", Conflict("theirs")))
    assert str(told.value) == "not cleaned up: two (theirs); one (no answer)"
    assert (told.value.left, told.value.hint) == (("one",), "remove it with: kubectl delete one")


def test_a_command_that_removes_several_is_named_once(log: Log) -> None:
    with pytest.raises(CleanupIncomplete) as told, Undo(Interrupts()) as undo:
        for what in ("one", "two"):
            undo.register(what, "kubectl delete -l run", log.fails(what, Unreachable("no answer")))
    assert told.value.hint == "remove it with: kubectl delete -l run"
