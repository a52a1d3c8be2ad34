"""Which labs of a user there are, half-started and orphaned ones included, and what runs of each.

What runs is read from the arguments of processes, so that no crash at whatever moment can hide it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from egressctl.lab.dataplane.process_tree import processes_below
from egressctl.lab.dataplane.processes import command_line, find_processes, since_epoch, start_time
from egressctl.lab.state import Paths, RunningLab, homes, is_locked, is_name, read_running

_SUPERVISOR, _INIT = "egressctl.lab.supervisor", "egressctl.lab.dataplane.init"
_SUFFIX = ".lock"


class LabProcess(NamedTuple):
    """A process of a lab. `started` is in clock ticks since boot: it tells it from another of the same pid."""

    role: str
    pid: int
    started: int

    @property
    def has_ended(self) -> bool:
        """Whether it is gone, or only its exit code is left."""
        return start_time(self.pid) != self.started


@dataclass(frozen=True, slots=True)
class ListedLab:
    """A lab as it was found.

    `state` is `running`, `starting`, `orphaned` (its supervisor is gone, other processes are not) or `ended` (files are left,
    such as its logs). `since` is seconds since 1970: when the oldest of its processes started, else when its files changed.
    """

    paths: Paths
    state: str
    since: float
    running: RunningLab | None
    """What it says of itself, where it is running."""
    processes: tuple[LabProcess, ...]


def list_labs() -> list[ListedLab]:
    """Return every lab of this user, by name."""
    found = [_look_at(paths) for paths in all_paths()]
    return sorted((lab for lab in found if lab is not None), key=lambda lab: (lab.paths.name, lab.paths.home))


def all_paths() -> list[Paths]:
    """Return the paths of all that is a lab's, or was: in a folder that is not only the labs', nothing else."""
    found = []
    for home in homes():
        names = {entry.name.removesuffix(_SUFFIX) for entry in os.scandir(home) if entry.name.endswith(_SUFFIX)}
        # Of one whose files somebody has removed, the processes are left.
        for module in (_SUPERVISOR, _INIT):
            for pid in find_processes(module, str(home)):
                # Which may have ended meanwhile.
                _, _, arguments = command_line(pid).partition(os.fsencode(f"\0{module}\0{home}\0"))
                names.add(os.fsdecode(arguments.partition(b"\0")[0]))
        found += [paths for paths in (Paths(home, name) for name in names if is_name(name)) if _is_a_labs(paths)]
    return found


def _is_a_labs(paths: Paths) -> bool:
    try:
        return paths.lab_log.exists() or paths.lock.read_text().isdecimal() or bool(processes_of(paths))
    except (OSError, ValueError):
        return bool(processes_of(paths))


def processes_of(paths: Paths) -> list[LabProcess]:
    """Return the processes of a lab that live, its supervisor first."""
    place = (str(paths.home), paths.name)
    supervisors = dict.fromkeys((*_holder(paths), *find_processes(_SUPERVISOR, *place)))
    pids = [("supervisor", pid) for pid in supervisors]
    for unshare in find_processes(_INIT, *place):
        pids += processes_below(unshare).items()
    live = ((role, pid, start_time(pid)) for role, pid in pids)
    return [LabProcess(role, pid, started) for role, pid, started in live if started is not None]


def _holder(paths: Paths) -> Iterator[int]:
    """Yield the supervisor that its lock names: one that was started with another spelling of the folder is found so."""
    try:
        pid = int(paths.lock.read_text())
    except (OSError, ValueError):
        return
    if os.fsencode(_SUPERVISOR) + b"\0" in command_line(pid):
        yield pid


def _look_at(paths: Paths) -> ListedLab | None:
    """Return a lab; None where nothing is left of it but the file of its lock."""
    locked, running, processes = is_locked(paths), read_running(paths), tuple(processes_of(paths))
    if locked:
        state = "running" if running else "starting"
    elif processes:
        state, running = "orphaned", None
    elif paths.folder.exists():
        state, running = "ended", None
    else:
        return None
    return ListedLab(paths, state, _since(paths, processes), running, processes)


def _since(paths: Paths, processes: tuple[LabProcess, ...]) -> float:
    if processes:
        return since_epoch(min(process.started for process in processes))
    files = (paths.folder, paths.lock, *paths.folder.glob("logs/*"))
    return max((file.stat().st_mtime for file in files if file.exists()), default=time.time())
