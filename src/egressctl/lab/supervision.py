"""Start a lab's supervisor, end it, and wait until no process of the lab is left: seen from whoever asks for it."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import egressctl
from egressctl.errors import LabFailed
from egressctl.lab.dataplane.exclusions import Exclusions
from egressctl.lab.dataplane.processes import start_time
from egressctl.lab.state import Paths, RunningLab

START_SECONDS, STOP_SECONDS = 30.0, 10.0
PAUSE_SECONDS = 0.005


def start(paths: Paths, policy: str, excluded: Exclusions, lock: int, kubernetes: Path | None) -> dict[str, str]:
    """Start the supervisor and return what it reports; it is stopped where that does not come, or on an interruption."""
    source = str(Path(egressctl.__file__).parent.parent)
    search = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH")}
    command = [
        sys.executable,
        "-P",
        "-m",
        "egressctl.lab.supervisor",
        str(paths.home),
        paths.name,
        policy,
        str(excluded),
        str(lock),
    ]
    command += [str(kubernetes)] if kubernetes else []
    line = b""
    try:
        with (
            open(paths.lab_log, "ab") as log,
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**environment, "PYTHONPATH": search},
                pass_fds=(lock,),
                start_new_session=True,
            ) as starter,
        ):
            assert starter.stdout
            if select.select([starter.stdout], [], [], START_SECONDS)[0]:
                line = starter.stdout.readline()
        report: dict[str, str] = json.loads(line) if line else {}
    finally:
        if b"ready" not in line:
            stop(paths)
    return report


def stop(paths: Paths) -> None:
    """End the supervisor, which takes everything else along."""
    try:
        pid = int(paths.lock.read_text())
    except (OSError, ValueError):
        # Somebody holds the lock for a moment only, or is about to start.
        time.sleep(PAUSE_SECONDS)
        return
    started, deadline = start_time(pid), time.monotonic() + STOP_SECONDS
    _signal(pid, signal.SIGTERM)
    while started is not None and start_time(pid) == started:
        if time.monotonic() > deadline:
            _signal(pid, signal.SIGKILL)
        if time.monotonic() > deadline + STOP_SECONDS:
            raise LabFailed(f"the supervisor of the lab {paths.name}, process {pid}, cannot be ended")
        time.sleep(PAUSE_SECONDS)


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def has_ended(process: tuple[int, int]) -> bool:
    pid, started = process
    return start_time(pid) != started


def await_end(running: RunningLab | None) -> None:
    """Wait until no process of a lab that has lost its supervisor is alive; they end by themselves, or else by force."""
    left = dict(running.processes) if running else {}
    start = time.monotonic()
    while left := {role: process for role, process in left.items() if not has_ended(process)}:
        waited = time.monotonic() - start
        if waited > STOP_SECONDS:
            raise LabFailed(f"processes of the lab are still alive: {', '.join(f'{role} {left[role][0]}' for role in left)}")
        if waited > STOP_SECONDS / 5:
            for pid, _ in left.values():
                _signal(pid, signal.SIGKILL)
        time.sleep(PAUSE_SECONDS)
