"""What /proc says of processes, by their pid as this machine counts."""

from __future__ import annotations

import os
from pathlib import Path


def start_time(pid: int) -> int | None:
    """Return when a process was started, in clock ticks since boot; None where there is none, or only its exit code."""
    stat = _read_file(pid, "stat")
    if not stat:
        return None
    state, *fields = stat.rpartition(b")")[2].split()
    return None if state in (b"Z", b"X") else int(fields[18])


def child_pids(parent: int) -> list[int]:
    """Return the pids of a process's children."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    stats = {pid: _read_file(pid, "stat").rpartition(b")")[2].split() for pid in pids}
    return [pid for pid, fields in stats.items() if fields and int(fields[1]) == parent]


def find_processes(*arguments: str) -> list[int]:
    """Return the pids of this user's processes that have these arguments in a row, none of another container among them."""
    wanted = b"".join(b"\0" + os.fsencode(each) for each in arguments) + b"\0"
    pids = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    return [pid for pid in pids if wanted in b"\0" + command_line(pid) and _is_mine(pid)]


def _is_mine(pid: int) -> bool:
    """Say whether a process is this user's, and counted here alone: one of a container has a pid of its own in there as well."""
    said = dict(line.partition(b":")[::2] for line in _read_file(pid, "status").splitlines())
    owners, pids = said.get(b"Uid", b"").split(), said.get(b"NSpid", b"").split()
    return owners[:1] == [b"%d" % os.getuid()] and len(pids) == 1


def since_epoch(started: int) -> float:
    """Return a start time, in clock ticks since boot, as seconds since 1970."""
    [boot] = [line.split()[1] for line in Path("/proc/stat").read_bytes().splitlines() if line.startswith(b"btime ")]
    return int(boot) + started / os.sysconf("SC_CLK_TCK")


def command_line(pid: int) -> bytes:
    """Return a process's arguments, each ended by a zero byte; nothing where there is no such process."""
    return _read_file(pid, "cmdline")


def _read_file(pid: int, name: str) -> bytes:
    try:
        return Path("/proc", str(pid), name).read_bytes()
    except OSError:
        return b""
