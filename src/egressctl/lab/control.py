"""Start, stop and ask a lab. Every function may be called from any process of the lab's user."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import egressctl
from egressctl.errors import CleanupIncomplete, Interrupted, InvalidInput, LabFailed
from egressctl.lab.dataplane.exclusions import Exclusions
from egressctl.lab.dataplane.names import POLICIES, REGISTRY_ONLY
from egressctl.lab.dataplane.nsenter import entrance
from egressctl.lab.dataplane.processes import child_pids, start_time
from egressctl.lab.extra import line_to_install, missing_modules
from egressctl.lab.inventory import LabProcess, all_paths, processes_of
from egressctl.lab.state import (
    DEFAULT,
    Paths,
    RunningLab,
    hold_signals,
    is_locked,
    locate,
    read_running,
    remove_files,
    try_lock,
)

START_SECONDS, STOP_SECONDS = 30.0, 10.0
PAUSE_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class LabInfo:
    """A running lab: its kubeconfig, outbound traffic policy, API's address, role -> pid, and what goes around its sidecar.

    `ipv6`: whether its pods have IPv6 as well.
    """

    name: str
    kubeconfig: Path
    policy: str
    address: str
    pids: Mapping[str, int]
    excluded: Exclusions
    ipv6: bool = False


def up(
    name: str = DEFAULT,
    policy: str | None = None,
    kubernetes: Path | None = None,
    excluded: Exclusions | None = None,
    istiod: Path | None = None,
    *,
    ipv6: bool | None = None,
    tied: bool = False,
) -> LabInfo:
    """Start the lab `name` and return once it is ready; return at once where it runs already.

    `policy` is REGISTRY_ONLY or ALLOW_ANY; None is whatever a running lab has, and REGISTRY_ONLY for a new one.
    `kubernetes` is a kubeconfig that names no other file: the new lab's sidecar is fed from the Kubernetes API that it
    leads to, and the lab serves none. `excluded` is what goes around the sidecar of a new lab; None is whatever a running
    lab has, and nothing for a new one. `istiod` goes with `kubernetes`: it is a folder with two unix sockets, as
    pilot-agent has them, and the new lab's sidecar is fed by the istiod behind XDS, whose business the policy is then; SDS
    gives it the authorities to trust. With `ipv6`, a new lab's pods and its internet have both families, and its sidecar is one
    of a dual-stack mesh; None is whatever a running lab has, and IPv4 alone for a new one. A new lab that is `tied` ends with
    this process, however that ends.
    Raises LabFailed with the step that failed and why; nothing of a failed start is left but its logs, and nothing at all of
    one that was interrupted.
    """
    with start(name, policy, kubernetes, excluded, istiod, ipv6=ipv6, tied=tied) as info:
        return info


@contextlib.contextmanager
def start(
    name: str = DEFAULT,
    policy: str | None = None,
    kubernetes: Path | None = None,
    excluded: Exclusions | None = None,
    istiod: Path | None = None,
    *,
    ipv6: bool | None = None,
    tied: bool = False,
) -> Iterator[LabInfo]:
    """Start a lab as `up` does, and stop it again where the block does not come to its end; one that ran before goes on.

    Raises CleanupIncomplete where a second signal interrupts the stopping.
    """
    _check_policy(policy)
    _check_machine()
    paths = locate(name)
    deadline = time.monotonic() + START_SECONDS
    failed: LabFailed | None = None
    lock: int | None = None
    try:
        while True:
            with hold_signals():  # else what is made for the lock would be nobody's
                lock = try_lock(paths)
            if lock is not None:
                break
            # It runs, or somebody else is starting it, or it is about to end.
            running = read_running(paths)
            if running and not _has_ended(running.processes["supervisor"]):
                yield _check_same_settings(_info(paths, running), policy, excluded, ipv6)
                return
            if time.monotonic() > deadline:
                raise LabFailed(
                    f"another start of the lab {name} does not come to an end", hint=f"egressctl lab down{_name_flag(name)}"
                )
            time.sleep(PAUSE_SECONDS)
        try:
            shutil.rmtree(paths.folder, ignore_errors=True)
            paths.logs.mkdir(parents=True, mode=0o700)
            settings = (policy or REGISTRY_ONLY, str(excluded or Exclusions()), "ipv6" if ipv6 else "")
            report = _start_supervisor(paths, settings, lock, (kubernetes, istiod), tied=tied)
            running = read_running(paths)
            if "failed" in report or running is None:
                why = report.get("failed") or f"the supervisor ended without a word; see {paths.lab_log}"
                failed = LabFailed(why, hint=report.get("hint") or f"the lab's log is {paths.lab_log}")
                raise failed
        except OSError as error:
            failed = LabFailed(f"the lab's step start: {error}")
            raise failed from error
        yield _info(paths, running)
    except BaseException as stop:
        if stop is not failed and lock is not None:
            _take_back(paths, stop)
        raise
    finally:
        if lock is not None:
            os.close(lock)


def down(name: str = DEFAULT) -> bool:
    """Stop the lab and remove everything of it; return whether it ran. No lab is no error.

    Raises LabFailed where something of it is still alive after twenty seconds.
    """
    _check_platform()
    return _stop(locate(name))


def down_all() -> Iterator[str]:
    """Stop every lab of this user as `down` does, half-started and orphaned ones included; yield the name of each that there was.

    Raises CleanupIncomplete, after the others, where some could not be stopped.
    """
    _check_platform()
    left: list[tuple[Paths, LabFailed]] = []
    for paths in all_paths():
        try:
            there = bool(processes_of(paths)) or paths.folder.exists()
            if _stop(paths) or there:
                yield paths.name
        except LabFailed as failure:
            left.append((paths, failure))
    if left:
        raise CleanupIncomplete(
            "; ".join(str(failure) for _, failure in left),
            left=[f"lab {paths.name}" for paths, _ in left],
            hint="see what runs of it: egressctl lab list -o yaml",
        )


def status(name: str = DEFAULT) -> LabInfo | None:
    """Return what the lab runs with; None where it does not run."""
    _check_platform()
    paths = locate(name)
    running = _running_lab(paths)
    return _info(paths, running) if running else None


def set_policy(name: str, value: str) -> None:
    """Change the outbound traffic policy of a running lab; return once its sidecar has acknowledged it."""
    _check_policy(value)
    _send_order(name, f"policy {value}", f"take the policy {value}")


def stall(name: str) -> None:
    """Stall the control plane of a running lab: its sidecar keeps what it has, whatever changes, until `resume`."""
    _send_order(name, "stall", "stall its control plane")


def resume(name: str) -> None:
    """End a stall; return once the sidecar has what was held back. No stall is no error."""
    _send_order(name, "resume", "resume its control plane")


def restart_proxy(name: str) -> None:
    """Stop the sidecar's Envoy and start it again; return once it has its configuration. Its counters start from zero."""
    _send_order(name, "restart", "restart its Envoy")


def _send_order(name: str, request: str, what: str) -> None:
    paths, _ = _require_running(name)
    with socket.socket(socket.AF_UNIX) as supervisor:
        supervisor.settimeout(START_SECONDS)
        try:
            supervisor.connect(str(paths.control_socket))
            supervisor.sendall(f"{request}\n".encode())
            answer = supervisor.recv(4096)
        except OSError as error:
            raise LabFailed(f"the lab {name} did not {what}: {error}", hint=f"its log is {paths.lab_log}") from error
    if answer != b"\n":
        why = answer.decode(errors="replace").strip() or "it ended"
        raise LabFailed(f"the lab {name} did not {what}: {why}", hint=f"its log is {paths.lab_log}")


def exec_argv(name: str, argv: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Return the command line, and its whole environment, that runs `argv` in the pod of a running lab."""
    paths, running = _require_running(name)
    prefix, env = entrance(paths, running.processes["init"][0])
    return [*prefix, *argv], env


def signal_exec(pid: int, number: int) -> None:
    """Send a signal to what a command line of `exec_argv`, running as the process `pid`, has started in the pod."""
    for child in child_pids(pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, number)


def logs(name: str = DEFAULT) -> dict[str, Path]:
    """Return the log files of a lab, also of one that has ended by itself: `access` and `envoy` of its sidecar, `lab`."""
    paths = locate(name)
    found = {"access": paths.access_log, "envoy": paths.envoy_log, "lab": paths.lab_log}
    found = {kind: path for kind, path in found.items() if path.exists()}
    if not found:
        raise LabFailed(f"there is no lab {name}, and no log of one", hint=f"egressctl lab up{_name_flag(name)}")
    return found


def _check_policy(policy: str | None) -> None:
    if policy is not None and policy not in POLICIES:
        raise InvalidInput(f"{policy!r} is no outbound traffic policy: use {' or '.join(POLICIES)}")


def _name_flag(name: str) -> str:
    return "" if name == DEFAULT else f" --name {name}"


def _check_same_settings(info: LabInfo, policy: str | None, excluded: Exclusions | None, ipv6: bool | None) -> LabInfo:
    if policy not in (None, info.policy):
        raise LabFailed(
            f"the lab {info.name} runs already, with the policy {info.policy}",
            hint=f"egressctl lab policy {policy}{_name_flag(info.name)}",
        )
    if excluded not in (None, info.excluded):
        raise LabFailed(
            f"the lab {info.name} runs already, and which traffic goes past a sidecar is decided when its pod starts",
            hint=f"egressctl lab down{_name_flag(info.name)}",
        )
    if ipv6 not in (None, info.ipv6):
        raise LabFailed(
            f"the lab {info.name} runs already, {'with' if info.ipv6 else 'without'} IPv6, which is decided when its pod starts",
            hint=f"egressctl lab down{_name_flag(info.name)}",
        )
    return info


def _running_lab(paths: Paths) -> RunningLab | None:
    return read_running(paths) if is_locked(paths) else None


def _require_running(name: str) -> tuple[Paths, RunningLab]:
    _check_platform()
    paths = locate(name)
    running = _running_lab(paths)
    if running is None:
        raise LabFailed(f"no lab {name} is running", hint=f"egressctl lab up{_name_flag(name)}")
    return paths, running


def _info(paths: Paths, running: RunningLab) -> LabInfo:
    pids = {role: pid for role, (pid, _) in running.processes.items()}
    excluded = Exclusions.parse(running.excluded)
    return LabInfo(paths.name, paths.kubeconfig, running.policy, running.address, pids, excluded, running.ipv6)


def _check_platform() -> None:
    """Raise LabFailed on anything but Linux."""
    if sys.platform != "linux":
        raise LabFailed("the lab needs Linux: it is made of network namespaces", hint="run it in a Linux machine or container")


def _check_machine() -> None:
    """Raise LabFailed with the programs or Python packages that are missing."""
    _check_platform()
    programs = [program for program in ("unshare", "nsenter", "curl") if not shutil.which(program)]
    if programs:
        raise LabFailed(f"the lab needs {', '.join(programs)}, not found on the PATH", hint="apt install util-linux curl")
    if modules := missing_modules():
        raise LabFailed(
            f"the lab needs Python packages that are not installed: {', '.join(modules)}",
            hint=line_to_install(Path(sys.prefix), sys.executable),
        )


def _start_supervisor(
    paths: Paths, settings: Sequence[str], lock: int, control_plane: Sequence[Path | None], *, tied: bool
) -> dict[str, str]:
    """Start the supervisor and return what it reports; nothing where it does not in time, and is ended for that.

    It ends by itself once the pipe that it reports to is closed before it is ready.
    """
    source = str(Path(egressctl.__file__).parent.parent)
    search = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH")}
    command = [sys.executable, "-P", "-m", "egressctl.lab.supervisor", str(paths.home), paths.name, *settings]
    command += [str(lock), "tied" if tied else "", *(str(each or "") for each in control_plane)]
    # In a thread, which no signal interrupts half the way: a process that had begun and was not known yet would be overlooked.
    with open(paths.lab_log, "ab") as log, ThreadPoolExecutor(1) as launcher:
        starting = launcher.submit(
            lambda: subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**environment, "PYTHONPATH": search},
                pass_fds=(lock,),
                start_new_session=True,
            )
        )
        starter = starting.result()
    assert starter.stdout
    if tied:
        _LIFELINES[paths.folder] = starter.stdout
    try:
        line = starter.stdout.readline() if select.select([starter.stdout], [], [], START_SECONDS)[0] else b""
        if not line:
            _end_processes(paths)
        starter.wait()
    finally:
        if not tied:
            starter.stdout.close()
    return dict(json.loads(line)) if line else {}


_LIFELINES: dict[Path, IO[bytes]] = {}
"""By a lab's folder the pipe that the lab ends with, kept open for as long as this process lives."""


def _take_back(paths: Paths, stop: BaseException) -> None:
    """Stop a lab of which this process holds the lock. Raises CleanupIncomplete where that is interrupted."""
    try:
        if lifeline := _LIFELINES.pop(paths.folder, None):
            lifeline.close()
        _end_processes(paths)
        remove_files(paths)
    except Interrupted:
        raise CleanupIncomplete(
            f"not stopped: lab {paths.name} (interrupted)",
            left=[f"lab {paths.name}"],
            hint=f"egressctl lab down{_name_flag(paths.name)}",
        ) from stop


def _stop(paths: Paths) -> bool:
    """Stop a lab, whatever is left of it; return whether any of it ran."""
    ran, deadline = False, time.monotonic() + START_SECONDS
    while (lock := try_lock(paths)) is None:
        ran = True
        if not _end_processes(paths) and time.monotonic() > deadline:
            raise LabFailed(f"another process keeps starting or stopping the lab {paths.name}", hint="egressctl lab list")
        time.sleep(PAUSE_SECONDS)
    try:
        ran = _end_processes(paths) or ran
        remove_files(paths)
    finally:
        os.close(lock)
    return ran


def _end_processes(paths: Paths) -> bool:
    """End what runs of a lab; return whether anything did. The supervisor takes all else along; what does not go is killed."""
    ran, start = False, time.monotonic()
    asked: set[LabProcess] = set()
    while left := processes_of(paths):
        ran = True
        for process in left:
            if process.role == "supervisor" and process not in asked:
                _signal(process, signal.SIGTERM)
                asked.add(process)
        _await_end(left, start)
    return ran


def _await_end(processes: Sequence[LabProcess], start: float) -> None:
    """Wait until processes have ended, by force where they do not in time. Raises LabFailed for those that cannot be ended."""
    while left := [process for process in processes if not process.has_ended]:
        waited = time.monotonic() - start
        if waited > 2 * STOP_SECONDS:
            names = ", ".join(f"{process.role} {process.pid}" for process in left)
            raise LabFailed(f"processes of the lab cannot be ended: {names}")
        # Without a supervisor they end at once by themselves, or not at all.
        if waited > (STOP_SECONDS if left[0].role == "supervisor" else STOP_SECONDS / 5):
            for process in left:
                _signal(process, signal.SIGKILL)
        time.sleep(PAUSE_SECONDS)


def _signal(process: LabProcess, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)


def _has_ended(process: tuple[int, int]) -> bool:
    pid, started = process
    return start_time(pid) != started
