"""Unit tests are pure: whoever opens a socket or starts a process in one has put it in the wrong directory."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from typing import NoReturn

import pytest


@pytest.fixture(scope="module", autouse=True)
def no_sockets_and_no_processes() -> Iterator[None]:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a unit test may open no socket and start no process")

    with pytest.MonkeyPatch.context() as patch:
        # The initialisers, so that names imported before are caught as well.
        patch.setattr(socket.socket, "__init__", refuse)
        patch.setattr(subprocess.Popen, "__init__", refuse)
        for name in ("system", "fork", "forkpty", "posix_spawn", "posix_spawnp"):
            patch.setattr(os, name, refuse)
        yield
