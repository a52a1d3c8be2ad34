"""Processes of the command line that are forked from one which has imported everything: importing is most of what they do.

Run as `python -m forked DESCRIPTOR`, with a socket of messages: each asks for one process and brings its
three streams; the answers are its pid and then its exit code, as `subprocess` counts them.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_COMMANDS = ("cleanup", "create", "lab", "list", "main", "render", "run", "session", "targets", "verify")
_IMPORTED = (
    *(f"egressctl.cli.{name}" for name in _COMMANDS),
    *("egressctl.inventory", "egressctl.kube.config", "egressctl.run"),
    *("kubernetes.client", "kubernetes.config", "websocket"),
)
_MESSAGE = 1 << 20


class Forks:
    """The process that forks, for the time of a `with` block. It makes one process at a time."""

    def __enter__(self) -> Self:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            command = [sys.executable, "-m", "forked", str(theirs.fileno())]
            path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
            environment = {"PATH": os.environ["PATH"], "PYTHONPATH": path, "LANG": "C.UTF-8"}
            self._process = subprocess.Popen(command, env=environment, pass_fds=[theirs.fileno()])
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()
        self._process.wait()

    def start(self, argv: Sequence[str], environment: Mapping[str, str], folder: Path, streams: Sequence[int]) -> int:
        """Start a command line with its standard streams, and return its pid."""
        message = json.dumps({"argv": list(argv), "environment": dict(environment), "folder": str(folder)})
        socket.send_fds(self._socket, [message.encode()], list(streams))
        return self._answer(None)

    def wait(self, timeout: float) -> int:
        """Return the exit code of the process that was started last. Raises TimeoutError."""
        return self._answer(timeout)

    def _answer(self, timeout: float | None) -> int:
        self._socket.settimeout(timeout)
        return int(self._socket.recv(64))


def serve(control: socket.socket) -> None:
    """Fork until the other side has gone."""
    for name in _IMPORTED:
        importlib.import_module(name)
    while True:
        message, streams, _, _ = socket.recv_fds(control, _MESSAGE, 3)
        if not message:
            return
        pid = os.fork()
        if not pid:
            control.close()
            _become(json.loads(message), streams)
        for stream in streams:
            os.close(stream)
        control.send(str(pid).encode())
        control.send(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


def _become(asked: Mapping[str, Any], streams: Sequence[int]) -> None:
    """Be what the interpreter is after its start, run the command line, and end as it does. Never returns."""
    code = 1
    try:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
            os.close(stream)
        os.environ.clear()
        os.environ.update(asked["environment"])
        os.chdir(asked["folder"])
        sys.argv = ["egressctl", *asked["argv"]]
        for standard in (sys.stdin, sys.stdout, sys.stderr):
            assert isinstance(standard, io.TextIOWrapper)
            standard.reconfigure(encoding="utf-8")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        importlib.import_module("egressctl.cli.main").main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    with socket.socket(fileno=int(sys.argv[1])) as inherited:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        serve(inherited)
