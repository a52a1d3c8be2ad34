"""Where a lab keeps its files, and whether it runs.

One folder a lab, private to its user. `NAME.lock` next to it is locked by the supervisor for as long as it
lives, which no crash can leave behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import stat
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from egressctl.errors import InvalidInput, LabFailed

DEFAULT = "default"
ENVIRONMENT = "EGRESSCTL_LAB_HOME"
SOCKET_PATH_LIMIT = 107
"""Bytes that Linux keeps for the path of a unix socket."""


class Paths:
    """The files of one lab, and whether its pod and its internet have IPv6 as well."""

    def __init__(self, home: Path, name: str, *, with_ipv6: bool = False) -> None:
        self.home, self.name, self.with_ipv6 = home, name, with_ipv6
        self.lock = home / f"{name}.lock"
        self.folder = folder = home / name
        self.marker = folder / "lab.json"
        """Holds a `RunningLab`; written once everything is ready."""
        self.kubeconfig = folder / "kubeconfig"
        self.admin_socket, self.control_socket = folder / "admin.sock", folder / "control.sock"
        self.authority = folder / "ca.pem"
        """The lab's own certificate authority, PEM."""
        self.internet_namespace = folder / "ns-internet"
        self.clusters, self.listeners = folder / "xds" / "cds" / "cds.json", folder / "xds" / "lds" / "lds.json"
        self.routes = folder / "xds" / "rds"
        """Holds a file a route configuration."""
        self.etc = folder / "etc"
        """What the pod sees in /etc instead of the machine's own."""
        self.programs = folder / "bin"
        """First on the PATH of the sidecar's container."""
        self.logs = folder / "logs"
        self.access_log, self.envoy_log, self.lab_log = (self.logs / f"{name}.log" for name in ("access", "envoy", "lab"))


@dataclass(frozen=True, slots=True)
class RunningLab:
    """What a running lab says of itself. `processes` maps a role to its pid and its start time in clock ticks."""

    policy: str
    address: str
    excluded: str
    """`str` of what goes around the sidecar."""
    processes: Mapping[str, tuple[int, int]]
    ipv6: bool = False

    def write(self, paths: Paths) -> None:
        """Replace the marker in one step."""
        write_private(paths.marker, json.dumps(asdict(self)))


def read_running(paths: Paths) -> RunningLab | None:
    """Return what the marker says; None where there is none or it cannot be read. Says nothing of whether the lab lives."""
    try:
        content: dict[str, Any] = json.loads(paths.marker.read_text())
        processes = {role: (int(pid), int(started)) for role, (pid, started) in content["processes"].items()}
        return RunningLab(content["policy"], content["address"], content["excluded"], processes, content["ipv6"] is True)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_private(path: Path, text: str, mode: int = 0o600) -> None:
    """Write another file and rename it, so that a reader sees the old file or the new one, and only its owner sees either."""
    beside = path.with_name(f".{path.name}.new")
    with contextlib.suppress(FileNotFoundError):
        beside.unlink()
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    beside.rename(path)


def locate(name: str) -> Paths:
    """Return the paths of the lab `name`, its home made where it is missing.

    Raises InvalidInput for a name that is none, LabFailed where the home is not private to this user or
    too long for a socket.
    """
    if not is_name(name):
        raise InvalidInput(f"{name!r} is no name of a lab: use up to 32 lower-case letters, digits and dashes")
    paths = Paths(_home(), name)
    longest = len(os.fsencode(paths.control_socket))
    if longest > SOCKET_PATH_LIMIT:
        raise LabFailed(
            f"the lab's folder {paths.folder} is too long a path: its sockets would take {longest} bytes of {SOCKET_PATH_LIMIT}",
            hint=f"set {ENVIRONMENT} to a shorter folder, such as /tmp/lab",
        )
    return paths


def is_name(name: str) -> bool:
    """Say whether a lab may have this name."""
    return bool(re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?", name))


def homes() -> list[Path]:
    """Return the folders where labs of this user may be, those that there are: the one that is chosen, else all usual ones."""
    usual = [Path(chosen).absolute()] if (chosen := os.environ.get(ENVIRONMENT)) else _usual_homes()
    return [home for home in dict.fromkeys(usual) if _is_private(home)]


def _usual_homes() -> list[Path]:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    found = [Path(runtime) / "egressctl-lab"] if runtime and _is_usable(Path(runtime)) else []
    return [*found, Path(tempfile.gettempdir()) / f"egressctl-lab-{os.getuid()}"]


def _is_private(home: Path) -> bool:
    try:
        found = home.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid() and not found.st_mode & 0o077


def _home() -> Path:
    chosen = os.environ.get(ENVIRONMENT)
    home = Path(chosen).absolute() if chosen else _usual_homes()[0]
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        home.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise LabFailed(f"the lab's folder {home} cannot be made: {error.strerror}", hint=f"set {ENVIRONMENT}") from error
    if not _is_private(home):
        raise LabFailed(
            f"the lab's folder {home} must be a folder that belongs to you and that nobody else can enter (mode 0700)",
            hint=f"chmod 700 it, remove it, or set {ENVIRONMENT} to another",
        )
    return home


def _is_usable(folder: Path) -> bool:
    """The lab starts a program of its own from its folder, which some machines forbid in the runtime folder."""
    try:
        return folder.stat().st_uid == os.getuid() and not os.statvfs(folder).f_flag & os.ST_NOEXEC
    except OSError:
        return False


@contextlib.contextmanager
def hold_signals() -> Iterator[None]:
    """Let no signal that would end this process strike until the block has ended; to be used in the main thread."""
    heard: list[int] = []
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
    # Not by the mask of this thread: another one would take the signal, and this one's handler strike here all the same.
    handlers = {each: signal.getsignal(each) for each in ending if threading.current_thread() is threading.main_thread()}
    for each in handlers:
        if handlers[each] not in (None, signal.SIG_IGN):
            signal.signal(each, lambda signum, _: heard.append(signum))
    try:
        yield
    finally:
        for each, handler in handlers.items():
            if handler not in (None, signal.SIG_IGN):
                signal.signal(each, handler)
        for signum in heard:
            signal.raise_signal(signum)


def try_lock(paths: Paths) -> int | None:
    """Take the lab's lock and return its descriptor; None while a supervisor (or another start) holds it."""
    while True:
        descriptor = os.open(paths.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_ino == paths.lock.stat().st_ino:
                # The pid in it is that of a process which is dead. Without one, the file would not be known for a lab's.
                write_holder(descriptor, os.getpid())
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        except FileNotFoundError:
            pass
        # Anyone who held it before has removed the file: this lock is nobody's.
        os.close(descriptor)


def is_locked(paths: Paths) -> bool:
    """Say whether a supervisor holds the lab's lock, or a start does; nothing is made or changed for that."""
    try:
        descriptor = os.open(paths.lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def write_holder(lock: int, pid: int) -> None:
    """Write into the file of a lock, which is held, which process is responsible for the lab."""
    text = str(pid).encode()
    os.pwrite(lock, text, 0)
    os.ftruncate(lock, len(text))


def remove_files(paths: Paths) -> None:
    """Remove all files of a lab; to be called by who holds its lock, which is nobody's afterwards."""
    shutil.rmtree(paths.folder, ignore_errors=True)
    paths.lock.unlink(missing_ok=True)


def context_name(name: str) -> str:
    """Return what the lab's kubeconfig calls its context, Kubernetes cluster and user."""
    return "egressctl-lab" if name == DEFAULT else f"egressctl-lab-{name}"
