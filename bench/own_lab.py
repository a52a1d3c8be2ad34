"""Measure the start of the command line and of the lab, and `run` step by step, on a lab of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from figures import EGRESSCTL, Failed, Figure, ended, interleaved, output, ratios, run, started, tell

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


def start_up(rounds: int) -> Iterator[Figure]:
    """Compare the commands that answer without a Kubernetes cluster with kubectl's."""
    if shutil.which("kubectl") is None:
        tell("left out: --version and --help against kubectl, which is not on this machine")
        return
    calls: dict[str, Callable[[], object]] = {
        "kubectl": lambda: run(["kubectl", "version", "--client"]),
        "--version": lambda: run([EGRESSCTL, "--version"]),
        "--help": lambda: run([EGRESSCTL, "--help"]),
    }
    found = interleaved(calls, rounds)
    for flag in ("--version", "--help"):
        yield Figure(f"egressctl {flag} / kubectl version --client", ratios(found[flag], found["kubectl"]), 2.0, "x")


def lab_start(rounds: int) -> Iterator[Figure]:
    """Measure how long `lab up` takes until everything answers."""
    names = [f"bench-{os.getpid()}-{index}" for index in range(rounds + 1)]
    found = interleaved(
        {"up": lambda: run([EGRESSCTL, "lab", "up", "--name", names[-1]])},
        rounds,
        after=lambda: run([EGRESSCTL, "lab", "down", "--name", names.pop()]),
    )
    yield Figure("egressctl lab up, warm", found["up"], 1.0, "s")


def run_broken_down(environment: dict[str, str], rounds: int) -> Iterator[Figure]:
    """Measure `run wikipedia` as a whole and step by step, by when each line of its progress comes."""
    wholes: list[float] = []
    parts: dict[str, list[float]] = {}
    for index in range(rounds + 1):
        taken, steps = _one_run(environment)
        if index:
            wholes.append(taken)
            for name, value in steps.items():
                parts.setdefault(name, []).append(value)
    yield Figure("egressctl run wikipedia", wholes, None, "s")
    for name, each in parts.items():
        yield Figure(f"  {name}", each, None, "s")


def _one_run(environment: dict[str, str]) -> tuple[float, dict[str, float]]:
    argv = [EGRESSCTL, "run", "wikipedia", "-o", "json"]
    steps: dict[str, float] = {}
    expected, said = list(STEPS), []
    with tempfile.TemporaryFile("w+") as out:
        began = last = time.perf_counter()
        with started(argv, environment, out, subprocess.PIPE) as process:
            assert process.stderr is not None
            for line in process.stderr:
                said.append(line)
                if line.startswith(expected[0][0]) and expected[0][0]:
                    now, (_, name) = time.perf_counter(), expected.pop(0)
                    if name is not None:
                        steps[name] = now - last
                        last = now
            code = process.wait()
        over = time.perf_counter()
        if code != 0:
            out.seek(0)
            raise Failed(argv, ended(code, over - began), out.read()[-2000:] + "".join(said))
    steps[str(expected[-1][1])] = over - last
    return over - began, steps


@contextmanager
def running() -> Iterator[dict[str, str]]:
    """Start a lab for the time of the block; yield the environment that leads to it."""
    name = f"bench-{os.getpid()}"
    try:
        said = output([EGRESSCTL, "lab", "up", "--name", name])
        yield {**os.environ, "KUBECONFIG": said.strip().partition("KUBECONFIG=")[2]}
    finally:
        run([EGRESSCTL, "lab", "down", "--name", name])
