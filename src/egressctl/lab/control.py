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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import egressctl
from egressctl.errors import InvalidInput, LabFailed
from egressctl.lab.dataplane.exclusions import Exclusions
from egressctl.lab.dataplane.names import POLICIES, REGISTRY_ONLY
from egressctl.lab.dataplane.nsenter import entrance
from egressctl.lab.dataplane.processes import start_time
from egressctl.lab.extra import line_to_install, missing_modules
from egressctl.lab.state import DEFAULT, Paths, RunningLab, locate, read_running, try_lock

START_SECONDS, STOP_SECONDS = 30.0, 10.0
PAUSE_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class LabInfo:
    """A running lab: its kubeconfig, outbound traffic policy, API's address, role -> pid, and what goes around its sidecar."""

    name: str
    kubeconfig: Path
    policy: str
    address: str
    pids: Mapping[str, int]
    excluded: Exclusions


def up(
    name: str = DEFAULT,
    policy: str | None = None,
    kubernetes: Path | None = None,
    excluded: Exclusions | None = None,
    istiod: Path | None = None,
) -> LabInfo:
    """Start the lab `name` and return once it is ready; return at once where it runs already.

    `policy` is REGISTRY_ONLY or ALLOW_ANY; None is whatever a running lab has, and REGISTRY_ONLY for a new one.
    `kubernetes` is a kubeconfig that names no other file: the new lab's sidecar is fed from the Kubernetes API that it
    leads to, and the lab serves none. `excluded` is what goes around the sidecar of a new lab; None is whatever a running
    lab has, and nothing for a new one. `istiod` goes with `kubernetes`: it is a folder with two unix sockets, as
    pilot-agent has them, and the new lab's sidecar is fed by the istiod behind XDS, whose business the policy is then; SDS
    gives it the authorities to trust.
    Raises LabFailed with the step that failed and why; nothing of a failed start is left but its logs.
    """
    _check_policy(policy)
    _check_machine()
    paths = locate(name)
    deadline = time.monotonic() + START_SECONDS
    while (lock := try_lock(paths)) is None:
        # It runs, or somebody else is starting it, or it is about to end.
        running = read_running(paths)
        if running and not _has_ended(running.processes["supervisor"]):
            return _check_same_settings(_info(paths, running), policy, excluded)
        if time.monotonic() > deadline:
            raise LabFailed(
                f"another start of the lab {name} does not come to an end", hint=f"egressctl lab down{_name_flag(name)}"
            )
        time.sleep(PAUSE_SECONDS)
    try:
        shutil.rmtree(paths.folder, ignore_errors=True)
        paths.logs.mkdir(parents=True, mode=0o700)
        report = _start_supervisor(paths, policy or REGISTRY_ONLY, excluded or Exclusions(), lock, (kubernetes, istiod))
    except OSError as error:
        raise LabFailed(f"the lab's step start: {error}") from error
    finally:
        os.close(lock)
    running = read_running(paths)
    if "failed" in report or running is None:
        why = report.get("failed") or f"the supervisor ended without a word; see {paths.lab_log}"
        raise LabFailed(why, hint=report.get("hint") or f"the lab's log is {paths.lab_log}")
    return _info(paths, running)


def down(name: str = DEFAULT) -> bool:
    """Stop the lab and remove everything of it; return whether it ran. No lab is no error.

    Raises LabFailed where something of it is still alive after ten seconds.
    """
    _check_platform()
    paths = locate(name)
    known, ran = read_running(paths), False
    while (lock := try_lock(paths)) is None:
        ran = True
        _stop_supervisor(paths)
    try:
        _await_end(known)
        shutil.rmtree(paths.folder, ignore_errors=True)
        paths.lock.unlink(missing_ok=True)
    finally:
        os.close(lock)
    return ran


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


def _check_same_settings(info: LabInfo, policy: str | None, excluded: Exclusions | None) -> LabInfo:
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
    return info


def _running_lab(paths: Paths) -> RunningLab | None:
    lock = try_lock(paths)
    if lock is None:
        return read_running(paths)
    paths.lock.unlink(missing_ok=True)
    os.close(lock)
    return None


def _require_running(name: str) -> tuple[Paths, RunningLab]:
    _check_platform()
    paths = locate(name)
    running = _running_lab(paths)
    if running is None:
        raise LabFailed(f"no lab {name} is running", hint=f"egressctl lab up{_name_flag(name)}")
    return paths, running


def _info(paths: Paths, running: RunningLab) -> LabInfo:
    pids = {role: pid for role, (pid, _) in running.processes.items()}
    return LabInfo(paths.name, paths.kubeconfig, running.policy, running.address, pids, Exclusions.parse(running.excluded))


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
    paths: Paths, policy: str, excluded: Exclusions, lock: int, control_plane: Sequence[Path | None]
) -> dict[str, str]:
    """Start the supervisor and return what it reports; it is stopped where that does not come, or on an interruption."""
    source = str(Path(egressctl.__file__).parent.parent)
    search = os.pathsep.join(filter(None, (source, os.environ.get("PYTHONPATH"))))
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH")}
    command = [sys.executable, "-P", "-m", "egressctl.lab.supervisor"]
    command += [str(paths.home), paths.name, policy, str(excluded), str(lock), *(str(each or "") for each in control_plane)]
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
            _stop_supervisor(paths)
    return report


def _stop_supervisor(paths: Paths) -> None:
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


def _has_ended(process: tuple[int, int]) -> bool:
    pid, started = process
    return start_time(pid) != started


def _await_end(running: RunningLab | None) -> None:
    """Wait until no process of a lab that has lost its supervisor is alive; they end by themselves, or else by force."""
    left = dict(running.processes) if running else {}
    start = time.monotonic()
    while left := {role: process for role, process in left.items() if not _has_ended(process)}:
        waited = time.monotonic() - start
        if waited > STOP_SECONDS:
            raise LabFailed(f"processes of the lab are still alive: {', '.join(f'{role} {left[role][0]}' for role in left)}")
        if waited > STOP_SECONDS / 5:
            for pid, _ in left.values():
                _signal(pid, signal.SIGKILL)
        time.sleep(PAUSE_SECONDS)
