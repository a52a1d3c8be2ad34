"""A signal at any moment of what makes something leaves nothing of it, and a kill nothing that two commands do not remove.

EGRESSCTL_TEST_SEED gives other moments, EGRESSCTL_TEST_ENDS more of them: so many by a signal, and half as many by SIGKILL.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import EXITS, Cli, hears_signals, made, nothing_is_left, owned, put_right, without_sleep
from egressctl.lab.dataplane.processes import command_line
from examples import EVERYTHING
from forked import Forks
from labs import Lab, eventually

ENDS = int(os.environ.get("EGRESSCTL_TEST_ENDS") or (50 if EVERYTHING else 5))
SEED = os.environ.get("EGRESSCTL_TEST_SEED") or "ends"
COMMANDS = {
    "create": ("create", "wikipedia"),
    "run": ("run", "wikipedia"),
    "cleanup": ("cleanup", "wikipedia"),
    "lab up": ("lab", "up"),
    "demo": ("demo",),
}
ON_A_LAB = ("create", "run", "cleanup")
WITH_SOURCE = 4
"""One in so many of the commands that can brings its own source pod."""
TOO_LATE = 1.2
"""As a share of how long a command takes: until then signals come."""

commands = pytest.mark.parametrize("command", COMMANDS)


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder of labs of the test's own, short enough for sockets."""
    found = Path(tempfile.mkdtemp(prefix="ends"))
    yield found
    shutil.rmtree(found)


class Ending:
    """A command line that is ended at a moment of chance, in a session of its own."""

    def __init__(self, cli: Cli, lab: Lab, home: Path, command: str) -> None:
        self.cli, self.lab, self.home, self.command = cli.having(EGRESSCTL_LAB_HOME=str(home)), lab, home, command
        self.chance = random.Random(f"{SEED} {command}")
        self.seconds = 0.0
        """How long the command takes, as the last one that was not ended early did."""

    def once(self, signum: int) -> tuple[int, str, bool]:
        """Start the command and end it; return its exit code, what it said, and whether it had a source pod to bring."""
        argv = COMMANDS[self.command]
        source = self.command in ("create", "run") and not self.chance.randrange(WITH_SOURCE)
        if self.command == "cleanup":
            made(self.lab)
        if source:
            without_sleep(self.lab)
            argv = (*argv, "--with-source")
        began, moment = time.monotonic(), self.chance.uniform(0, TOO_LATE * self.seconds) if self.seconds else None
        files = sorted(self.cli.home.rglob("*"))
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(
                [sys.executable, "-m", "egressctl", *argv], env=self.cli.env, cwd=self.cli.home, stdin=subprocess.DEVNULL,
                stdout=said, stderr=said, start_new_session=True, preexec_fn=hears_signals,
            )  # fmt: skip
            try:
                process.wait(moment)
            except subprocess.TimeoutExpired:
                process.send_signal(signum)
            code = process.wait()
            said.seek(0)
            text = said.read().decode()
        if code == 0:
            self.seconds = time.monotonic() - began
        assert eventually(lambda: not has_session(process.pid)), text
        assert sorted(self.cli.home.rglob("*")) == files
        return code, text, source

    def nothing_of_a_lab(self) -> bool:
        pids = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
        return not any(self.home.iterdir()) and not any(os.fsencode(self.home) in command_line(pid) for pid in pids)


def has_session(leader: int) -> bool:
    """Say whether a process of this session is alive."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = stat.read_bytes().rpartition(b")")[2].split()[:4]
        except OSError:
            continue
        if int(session) == leader and state != b"Z":
            return True
    return False


@pytest.fixture
def ending(command: str, lab: Lab, home: Path, forks: Forks | None, tmp_path: Path) -> Iterator[Ending]:
    """The command, after it was run once to its end."""
    found = Ending(Cli(lab.kubeconfig, tmp_path, forks), lab, home, command)
    code, text, _ = found.once(signal.SIGTERM)
    assert code == 0, text
    right(found)
    yield found
    right(found)


def right(ending: Ending) -> None:
    put_right(ending.lab)
    ending.cli("lab", "down", "--all")


@commands
def test_a_signal_at_any_moment_leaves_nothing(ending: Ending, command: str) -> None:
    for number in range(-(-ENDS // len(COMMANDS))):
        signum = ending.chance.choice(list(EXITS))
        code, text, source = ending.once(signum)
        told = (number, signum, code, text)
        # Before it hears signals it ends as any process does, and as Python does where that is not ready yet itself.
        unheard = (-signum, 1) if signum == signal.SIGINT else (-signum,)
        assert code in (0, EXITS[signum], *unheard), told
        assert "Traceback" not in text or ("KeyboardInterrupt" in text and code in unheard), told
        if command == "lab up" and code == 0:
            assert ending.cli("lab", "list", "-o", "name").stdout == "default\n", told
            ending.cli("lab", "down")
        if command == "create" and code == 0:
            assert owned(ending.lab) == ["serviceentry/wikipedia-ext", *(["pod/sleep", "serviceaccount/sleep"] if source else [])]
        elif command == "cleanup":
            # What it was to remove was there before: it is there as a whole, or gone.
            assert owned(ending.lab) in ([], ["serviceentry/wikipedia-ext"]), told
        elif command in ON_A_LAB:
            assert nothing_is_left(ending.lab), told
        assert eventually(ending.nothing_of_a_lab), told
        put_right(ending.lab)


@commands
def test_after_a_kill_at_any_moment_two_commands_remove_what_is_left(ending: Ending, command: str) -> None:
    for number in range(-(-ENDS // 2 // len(COMMANDS))):
        code, text, _ = ending.once(signal.SIGKILL)
        told = (number, code, text)
        assert code in (0, -signal.SIGKILL), told
        if command in ON_A_LAB:
            cleaned = ending.cli("cleanup", "--all", "--no-verify")
            assert cleaned.code == 0, (told, cleaned)
            assert eventually(lambda: nothing_is_left(ending.lab)), told
            put_right(ending.lab)
        else:
            stopped = ending.cli("lab", "down", "--all")
            assert stopped.code == 0, (told, stopped)
            assert eventually(ending.nothing_of_a_lab), told
