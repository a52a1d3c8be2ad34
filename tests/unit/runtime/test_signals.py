"""Signals strike only where nothing is lost by it."""

# ruff: noqa: PT012 - where in the block the signal strikes is what is tested

from __future__ import annotations

import importlib
import signal
import sys
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from egressctl.errors import Interrupted
from egressctl.runtime.signals import Interrupts

SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)]


@pytest.fixture(autouse=True)
def _signals_as_at_a_terminal() -> Iterator[None]:
    """Undo `nohup` for the time of a test."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(("signum", "code"), SIGNALS)
def test_a_signal_interrupts_and_has_the_shells_exit_code(signum: signal.Signals, code: int) -> None:
    with Interrupts(), pytest.raises(Interrupted) as interrupted:
        signal.raise_signal(signum)
    assert interrupted.value.exit_code == code


def test_an_interruption_is_no_ordinary_failure() -> None:
    assert not issubclass(Interrupted, Exception)


def test_the_handlers_of_before_are_put_back() -> None:
    before = [signal.getsignal(signum) for signum, _ in SIGNALS]
    with Interrupts():
        assert all(signal.getsignal(signum) not in before for signum, _ in SIGNALS)
    assert [signal.getsignal(signum) for signum, _ in SIGNALS] == before


def test_the_handlers_of_before_are_put_back_after_a_failure_too() -> None:
    before = [signal.getsignal(signum) for signum, _ in SIGNALS]
    with pytest.raises(RuntimeError), Interrupts():
        raise RuntimeError
    assert [signal.getsignal(signum) for signum, _ in SIGNALS] == before


def test_a_hang_up_that_is_ignored_as_nohup_has_it_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Interrupts():
        signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_without_the_block_nothing_is_installed() -> None:
    before = [signal.getsignal(signum) for signum, _ in SIGNALS]
    interrupts = Interrupts()
    with interrupts.deferred(), interrupts.undoing():
        assert [signal.getsignal(signum) for signum, _ in SIGNALS] == before


@pytest.mark.parametrize(("signum", "code"), SIGNALS)
def test_a_signal_waits_until_what_defers_it_has_ended(signum: signal.Signals, code: int) -> None:
    done = []
    with Interrupts() as interrupts, pytest.raises(Interrupted) as interrupted:
        with interrupts.deferred():
            signal.raise_signal(signum)
            done.append("applied")
        done.append("too late")
    assert done == ["applied"]
    assert interrupted.value.exit_code == code


def test_several_signals_wait_as_one() -> None:
    done = []
    with Interrupts() as interrupts:
        with pytest.raises(Interrupted), interrupts.deferred():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append("applied")
        with interrupts.deferred():
            done.append("nothing is left waiting")
    assert done == ["applied", "nothing is left waiting"]


def test_the_outermost_of_nested_blocks_ends_the_waiting() -> None:
    done = []
    with Interrupts() as interrupts, pytest.raises(Interrupted), interrupts.deferred():
        with interrupts.deferred():
            signal.raise_signal(signal.SIGTERM)
        done.append("still deferred")
    assert done == ["still deferred"]


def test_a_failure_goes_before_the_signal_that_waited_for_it() -> None:
    with Interrupts() as interrupts:
        with pytest.raises(ValueError, match="refused"), interrupts.deferred():
            signal.raise_signal(signal.SIGINT)
            raise ValueError("refused")
        with pytest.raises(Interrupted), interrupts.undoing():
            pass  # and the signal is not forgotten


def test_a_first_signal_does_not_stop_the_undoing() -> None:
    done = []
    with Interrupts() as interrupts, pytest.raises(Interrupted), interrupts.undoing():
        signal.raise_signal(signal.SIGINT)
        done.append("undone")
    assert done == ["undone"]


def test_a_second_signal_stops_the_undoing() -> None:
    done = []
    with Interrupts() as interrupts, pytest.raises(Interrupted), interrupts.undoing():
        signal.raise_signal(signal.SIGINT)
        done.append("undone")
        signal.raise_signal(signal.SIGTERM)
        done.append("never")
    assert done == ["undone"]


def test_the_signal_that_led_to_the_undoing_is_the_first() -> None:
    done = []
    with Interrupts() as interrupts:
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted), interrupts.undoing():
            done.append("undoing")
            signal.raise_signal(signal.SIGINT)
            done.append("never")
    assert done == ["undoing"]


def test_a_call_within_the_undoing_is_not_cut_either() -> None:
    done = []
    with Interrupts() as interrupts, pytest.raises(Interrupted), interrupts.undoing():
        with interrupts.deferred():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append("deleted")
        done.append("undone")
    assert done == ["deleted", "undone"]


def test_what_the_interpreter_drops_is_raised_again(capsys: pytest.CaptureFixture[str]) -> None:
    """As by an import, which drops its locks by the callbacks of weak references: `run` went on to its end once."""

    class Lock:
        pass

    lock = Lock()
    watched = weakref.ref(lock, lambda _: signal.raise_signal(signal.SIGTERM))
    with Interrupts(), pytest.raises(Interrupted) as interrupted:
        del lock
        time.sleep(60)  # which the interruption ends
    assert watched() is None
    assert interrupted.value.exit_code == 143
    assert capsys.readouterr().err == ""


STRUCK = """
import os, signal
class Field:
    def __set_name__(self, *_):
        os.kill(os.getpid(), signal.SIGTERM)  # an exception from here would be wrapped into a RuntimeError
class Half:
    field = Field()
WHOLE = True
"""


def test_a_signal_waits_for_the_end_of_an_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.joinpath("struck.py").write_text(STRUCK)
    tmp_path.joinpath("ended.py").write_text(STRUCK)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Interrupted) as struck, Interrupts():
        importlib.import_module("struck")
        time.sleep(60)
    assert (struck.value.signum, sys.modules["struck"].WHOLE) == (signal.SIGTERM, True)
    with pytest.raises(Interrupted), Interrupts():
        importlib.import_module("ended")
    with Interrupts() as interrupts:
        importlib.reload(sys.modules["struck"])
        interrupts.commit()


@pytest.mark.parametrize(("signum", "code"), SIGNALS)
def test_after_the_commitment_a_signal_comes_too_late(signum: signal.Signals, code: int) -> None:
    done = []
    with _handlers_put_back(), Interrupts() as interrupts:
        interrupts.commit()
        signal.raise_signal(signum)
        done.append("reported")
    assert done == ["reported"]


def test_it_comes_too_late_after_the_block_as_well() -> None:
    """Between that and the exit code nothing is left to be lost."""
    with _handlers_put_back():
        with Interrupts() as interrupts:
            interrupts.commit()
        signal.raise_signal(signal.SIGTERM)


def test_the_commitment_of_an_inner_block_outlives_the_outer_one() -> None:
    with _handlers_put_back():
        with Interrupts(), Interrupts() as interrupts:
            interrupts.commit()
        signal.raise_signal(signal.SIGTERM)


def test_one_that_waited_comes_too_late_too() -> None:
    with _handlers_put_back(), Interrupts() as interrupts:
        with pytest.raises(ValueError, match="refused"), interrupts.deferred():
            signal.raise_signal(signal.SIGINT)
            raise ValueError("refused")
        interrupts.commit()
        with interrupts.deferred():
            pass


def test_a_second_signal_is_heard_whatever_was_committed() -> None:
    with _handlers_put_back(), Interrupts() as interrupts:
        interrupts.commit()
        signal.raise_signal(signal.SIGINT)
        with pytest.raises(Interrupted) as interrupted:
            signal.raise_signal(signal.SIGTERM)
    assert interrupted.value.exit_code == 143


@contextmanager
def _handlers_put_back() -> Iterator[None]:
    before = {signum: signal.getsignal(signum) for signum, _ in SIGNALS}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)
