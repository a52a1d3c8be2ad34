"""What every measurement is made with: figures with limits, and calls that take turns."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

EGRESSCTL = str(Path(sys.executable).with_name("egressctl"))


@dataclass(frozen=True)
class Figure:
    """One line of the result: what was measured, how it came out, and what it may be at most."""

    what: str
    value: float
    limit: float | None
    unit: str

    @property
    def over(self) -> bool:
        return self.limit is not None and self.value > self.limit

    def __str__(self) -> str:
        limit = "" if self.limit is None else f"   at most {self.limit:g}{self.unit}"
        return f"{self.what:<60} {self.value:6.2f}{self.unit}{limit}{'   OVER' if self.over else ''}"


def seconds(call: Callable[[], object]) -> float:
    """Measure one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def quiet(argv: Sequence[str], environment: dict[str, str] | None = None) -> None:
    """Run a command whose output does not matter, and which must succeed."""
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)


def interleaved(calls: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Return the seconds of each call, round by round; the calls take turns, so that noise meets them all alike."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            found[name].append(seconds(call))
    return found


def ratio(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the median of the ratios of two calls within each round: what slows a machine down slows down both."""
    return statistics.median(first / second for first, second in zip(one, other, strict=True))


def output(*argv: str) -> str:
    """Return what a command prints, which must succeed."""
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout
