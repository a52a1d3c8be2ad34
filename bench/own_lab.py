"""Measure the start of the command line and of the lab, and `run` step by step, on a lab of its own."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from figures import EGRESSCTL, Figure, interleaved, quiet, ratio, seconds

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
        Figure(f"egressctl {flag} / kubectl version --client", ratio(found[flag], found["kubectl"]), 2.0, "x")
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
def running() -> Iterator[dict[str, str]]:
    """Start a lab for the time of the block; yield the environment that leads to it."""
    name = f"bench-{os.getpid()}"
    said = subprocess.run([EGRESSCTL, "lab", "up", "--name", name], check=True, capture_output=True, text=True).stdout
    try:
        yield {**os.environ, "KUBECONFIG": said.strip().partition("KUBECONFIG=")[2]}
    finally:
        quiet([EGRESSCTL, "lab", "down", "--name", name])
