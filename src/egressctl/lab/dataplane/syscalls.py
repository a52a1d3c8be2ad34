"""Three system calls that Python 3.11 does not offer. All raise OSError; Linux only."""

from __future__ import annotations

import ctypes
import os

NEW_NETWORK = 0x40000000
_BIND = 0x1000

_libc = ctypes.CDLL(None, use_errno=True)


def unshare_network() -> None:
    """Move this process into a new network namespace of its own."""
    _check_result(_libc.unshare(ctypes.c_int(NEW_NETWORK)), "unshare")


def enter_network(namespace: int) -> None:
    """Move this process into the network namespace behind a file descriptor."""
    _check_result(_libc.setns(ctypes.c_int(namespace), ctypes.c_int(NEW_NETWORK)), "setns")


def bind_mount(source: str, target: str) -> None:
    """Show `source` at `target` in this mount namespace."""
    _check_result(_libc.mount(os.fsencode(source), os.fsencode(target), None, ctypes.c_ulong(_BIND), None), target)


def mount_tmpfs(target: str) -> None:
    """Cover `target` with an empty file system in this mount namespace."""
    _check_result(_libc.mount(b"tmpfs", os.fsencode(target), b"tmpfs", ctypes.c_ulong(0), None), target)


def _check_result(result: int, what: str) -> None:
    if result:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)
