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


def command_line(pid: int) -> bytes:
    """Return a process's arguments, each ended by a zero byte; nothing where there is no such process."""
    return _read_file(pid, "cmdline")


def _read_file(pid: int, name: str) -> bytes:
    try:
        return Path("/proc", str(pid), name).read_bytes()
    except OSError:
        return b""
