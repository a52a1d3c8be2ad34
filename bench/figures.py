"""What every measurement is made with: commands that end, calls that take turns, and figures that are printed as they come."""

from __future__ import annotations

import math
import os
import shlex
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

EGRESSCTL = str(Path(sys.executable).with_name("egressctl"))
LONGEST = 180.0
"""Seconds that one command may take, on the slowest machine: what takes longer hangs."""

_told: set[str] = set()


class Failed(Exception):
    """A command did not do what it is measured for: its line, how it ended, and what it said."""

    def __init__(self, argv: Sequence[str], how: str, said: str = "") -> None:
        super().__init__(f"{shlex.join(argv)[:1000]}\n{how}")
        self.said = said.strip()[-4000:] or "It said nothing."


@dataclass(frozen=True)
class Figure:
    """One line of the result: what was measured, how it came out in each round, and what the median may be at most."""

    what: str
    values: Sequence[float]
    limit: float | None
    unit: str

    @property
    def value(self) -> float:
        return statistics.median(self.values)

    @property
    def wrong(self) -> str:
        """Say in a word what is wrong with it, "" where nothing is: a call that failed was measured as NaN."""
        if math.isnan(self.value):
            return "FAILED"
        return "OVER" if self.limit is not None and self.value > self.limit else ""

    def __str__(self) -> str:
        value = "     -" if self.wrong == "FAILED" else f"{self.value:6.2f}{self.unit}"
        least = f"   least {min(self.values):.2f}" if len(self.values) > 1 and self.wrong != "FAILED" else ""
        limit = "" if self.limit is None else f"   at most {self.limit:g}{self.unit}"
        return f"{self.what:<60} {value}{least}{limit}{'   ' if self.wrong else ''}{self.wrong}"


class Results:
    """Print figures as they come, and what fails; `wrong` names what failed or is over its limit."""

    def __init__(self) -> None:
        self.wrong: list[str] = []

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Let whatever fails in the block end no more than the block."""
        try:
            yield
        except Failed as failure:
            tell_of(failure)
            self.wrong.append(f"{name} (failed)")
        except Exception:
            tell(f"FAILED: {traceback.format_exc()}")
            self.wrong.append(f"{name} (failed)")

    def take(self, name: str, figures: Callable[[], Iterable[Figure]]) -> None:
        """Make these figures and print each of them."""
        with self.part(name):
            for figure in figures():
                tell(str(figure))
                if figure.wrong:
                    self.wrong.append(f"{figure.what.strip()} ({figure.wrong.lower()}; {name})")


def tell(text: str) -> None:
    """Print at once, also into a file."""
    print(text, flush=True)


def tell_of(failure: Failed) -> None:
    """Print a failure, with what the command said where it is the first of its kind."""
    tell(f"FAILED: {failure}" + (", as before" if str(failure) in _told else f"\n{failure.said}"))
    _told.add(str(failure))


@contextmanager
def started(
    argv: Sequence[str], environment: Mapping[str, str] | None, out: IO[str], err: IO[str] | int
) -> Iterator[subprocess.Popen[str]]:
    """Start a command; it and all that it started are killed where the block ends before it does, or it takes LONGEST."""
    try:
        process = subprocess.Popen(
            argv, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err, text=True, start_new_session=True
        )
    except OSError as error:
        raise Failed(argv, f"could not be started: {error}") from None

    def kill() -> None:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(LONGEST, kill)
    timer.daemon = True
    timer.start()
    try:
        yield process
    finally:
        timer.cancel()
        kill()
        process.wait()


def run(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> float:
    """Run a command that must succeed, and return the most memory that it had, in MB. Raises Failed."""
    with _file() as out:
        return _run(argv, environment, out)


def output(argv: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """Run a command that must succeed, and return what it prints. Raises Failed."""
    with _file() as out:
        _run(argv, environment, out)
        return _all_of(out)


def _run(argv: Sequence[str], environment: Mapping[str, str] | None, out: IO[str]) -> float:
    with _file() as err:
        began = time.monotonic()
        with started(argv, environment, out, err) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = code = os.waitstatus_to_exitcode(status)
        if code != 0:
            raise Failed(argv, ended(code, time.monotonic() - began), _all_of(out)[-2000:] + _all_of(err))
    return usage.ru_maxrss / 1000


def _file() -> IO[str]:
    # Costs less than a pipe that somebody has to read meanwhile.
    return tempfile.TemporaryFile("w+", errors="replace")


def _all_of(file: IO[str]) -> str:
    file.seek(0)
    return file.read()


def ended(code: int, taken: float) -> str:
    """Say how a command ended that failed."""
    return f"did not end in {LONGEST:g} s" if taken >= LONGEST else f"ended with {code}"


def until(holds: Callable[[], bool], what: str) -> None:
    """Ask until it holds. Raises TimeoutError after LONGEST seconds."""
    end = time.monotonic() + LONGEST
    while not holds():
        if time.monotonic() > end:
            raise TimeoutError(f"{what} did not come about in {LONGEST:g} s")


def interleaved(
    calls: Mapping[str, Callable[[], object]],
    rounds: int,
    before: Callable[[], object] = lambda: None,
    after: Callable[[], object] = lambda: None,
) -> dict[str, list[float]]:
    """Return the seconds of each call, round by round; the calls take turns, so that noise meets them all alike.

    The first round warms up and does not count. What is done `before` and `after` each call does not count either. A call
    that fails is told of, and not made again: its seconds are NaN.
    """
    found: dict[str, list[float]] = {name: [] for name in calls}
    failed: set[str] = set()
    for index in range(rounds + 1):
        for name, call in calls.items():
            if name in failed:
                continue
            before()
            began = time.perf_counter()
            try:
                call()
            except Failed as failure:
                tell_of(failure)
                failed.add(name)
            taken = time.perf_counter() - began
            after()
            if index:
                found[name].append(taken)
    return found | {name: [math.nan] * rounds for name in failed}


def ratios(one: Sequence[float], other: Sequence[float]) -> list[float]:
    """Return the ratio of two calls within each round: what slows a machine down slows down both."""
    return [first / second for first, second in zip(one, other, strict=True)]
