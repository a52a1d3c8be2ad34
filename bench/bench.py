"""Compare the speed of egressctl's commands, as ratios within one run of this script.

    python bench/bench.py                      on a lab of its own
    python bench/bench.py --kubeconfig FILE    on any Kubernetes cluster with Istio and a source pod

Prints medians, and ends with 1 where a figure is over its limit. A figure whose counterpart is not on this
machine (kubectl) is left out, and said so.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROUNDS = 11
EGRESSCTL = str(Path(sys.executable).with_name("egressctl"))

# The lines that `run` writes to stderr as it goes: what has been done once each is seen.
STEPS = (
    ("looking for the source pod", "start: interpreter, imports"),
    ("the sidecar of pod", "look, apply, wait for the sidecar"),
    ("sending", None),
    ("deleting", "probes and proof"),
    ("the sidecar of pod", "delete, wait for the sidecar"),
    ("sending", None),
    ("", "proof of closure, report"),
)


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
        return f"{self.what:<58} {self.value:6.2f}{self.unit}{limit}{'   OVER' if self.over else ''}"


def seconds(call: Callable[[], object]) -> float:
    """Measure one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def quiet(argv: Sequence[str], environment: dict[str, str] | None = None) -> None:
    """Run a command whose output does not matter, and which must succeed."""
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)


def interleaved(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each call; the calls take turns, so that noise meets them all alike."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            found[name].append(seconds(call))
    return {name: statistics.median(each) for name, each in found.items()}


def start_up(rounds: int) -> list[Figure]:
    """Compare the commands that answer without a Kubernetes cluster with kubectl's."""
    if shutil.which("kubectl") is None:
        print("left out: --version and --help against kubectl, which is not on this machine")
        return []
    calls: dict[str, Callable[[], object]] = {
        "kubectl": lambda: quiet(["kubectl", "version", "--client"]),
        "--version": lambda: quiet([EGRESSCTL, "--version"]),
        "--help": lambda: quiet([EGRESSCTL, "--help"]),
    }
    interleaved(calls, 1)
    found = interleaved(calls, rounds)
    return [
        Figure(f"egressctl {flag} / kubectl version --client", found[flag] / found["kubectl"], 2.0, "x")
        for flag in ("--version", "--help")
    ]


def lab_start(rounds: int) -> list[Figure]:
    """Measure how long `lab up` takes until everything answers."""
    taken = []
    for index in range(rounds + 1):
        name = f"bench-{os.getpid()}-{index}"
        taken.append(seconds(lambda name=name: quiet([EGRESSCTL, "lab", "up", "--name", name])))  # type: ignore[misc]
        quiet([EGRESSCTL, "lab", "down", "--name", name])
    return [Figure("egressctl lab up, warm", statistics.median(taken[1:]), 1.0, "s")]


def run_broken_down(environment: dict[str, str], arguments: Sequence[str], rounds: int) -> list[Figure]:
    """Measure `run wikipedia` as a whole and step by step, by when each line of its progress comes."""
    wholes: list[float] = []
    parts: dict[str, list[float]] = {}
    for index in range(rounds + 1):
        taken, steps = _one_run(environment, arguments)
        if index:
            wholes.append(taken)
            for name, value in steps.items():
                parts.setdefault(name, []).append(value)
    whole = statistics.median(wholes)
    figures = [Figure("egressctl run wikipedia", whole, None, "s")]
    figures += [Figure(f"  {name}", statistics.median(each), None, "s") for name, each in parts.items()]
    return figures


def _one_run(environment: dict[str, str], arguments: Sequence[str]) -> tuple[float, dict[str, float]]:
    started = last = time.perf_counter()
    steps: dict[str, float] = {}
    expected = list(STEPS)
    process = subprocess.Popen(
        [EGRESSCTL, "run", "wikipedia", "-o", "json", *arguments],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if line.startswith(expected[0][0]) and expected[0][0]:
            now, (_, name) = time.perf_counter(), expected.pop(0)
            if name is not None:
                steps[name] = now - last
                last = now
    if process.wait() != 0:
        raise SystemExit(f"egressctl run wikipedia ended with {process.returncode}:\n{''.join(said)}")
    ended = time.perf_counter()
    steps[str(expected[-1][1])] = ended - last
    return ended - started, steps


@contextmanager
def own_lab() -> Iterator[dict[str, str]]:
    """Start a lab for the time of the block; yield the environment that leads to it."""
    name = f"bench-{os.getpid()}"
    said = subprocess.run([EGRESSCTL, "lab", "up", "--name", name], check=True, capture_output=True, text=True).stdout
    try:
        yield {**os.environ, "KUBECONFIG": said.strip().partition("KUBECONFIG=")[2]}
    finally:
        quiet([EGRESSCTL, "lab", "down", "--name", name])


def main() -> int:
    """Measure everything, print it, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kubeconfig", help="measure `run` there instead of on a lab of its own")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"how often each is measured (default {ROUNDS})")
    flags = parser.parse_args()
    if flags.rounds < 10:
        parser.error("--rounds: a median of fewer than 10 says little")
    with tempfile.TemporaryDirectory(prefix="eb-") as home:
        os.environ["EGRESSCTL_LAB_HOME"] = home
        figures = start_up(flags.rounds)
        if flags.kubeconfig:
            figures += run_broken_down({**os.environ, "KUBECONFIG": flags.kubeconfig}, [], flags.rounds)
        else:
            figures += lab_start(flags.rounds)
            with own_lab() as environment:
                figures += run_broken_down(environment, [], flags.rounds)
    for figure in figures:
        print(figure)
    return 1 if any(figure.over for figure in figures) else 0


if __name__ == "__main__":
    sys.exit(main())
