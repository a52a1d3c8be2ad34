"""Processes of the command line that are forked from one which has imported everything: importing is most of what they do.

Run as `python -m forked DESCRIPTOR`, with a socket of messages: each asks for one process and brings its
three streams; the answers are its pid and then its exit code, as `subprocess` counts them.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest.mock import patch

import egressctl

_LIBRARIES = ("kubernetes.client", "kubernetes.config", "websocket", "httpx")
_MESSAGE = 1 << 20
_PATIENCE_SECONDS = 90


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

    def start(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        streams: Sequence[int],
        reports: Path | None = None,
    ) -> int:
        """Start a command line with its standard streams, and return its pid.

        Where there is a folder of `reports`, its report is kept there too, as JSON, whatever output was asked for.
        """
        message = {"argv": list(argv), "environment": dict(environment), "folder": str(folder), "reports": str(reports or "")}
        socket.send_fds(self._socket, [json.dumps(message).encode()], list(streams))
        return self._answer(None)

    def wait(self, timeout: float) -> int:
        """Return the exit code of the process that was started last. Raises TimeoutError."""
        return self._answer(timeout)

    def _answer(self, timeout: float | None) -> int:
        self._socket.settimeout(timeout)
        return int(self._socket.recv(64))


_CLIENT = """#!{python} -IS
import os, socket, sys
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as forks:
    forks.connect({address!r})
    words = [os.getcwd(), *sys.argv[1:]]
    environment = [name + "=" + value for name, value in os.environ.items()]
    socket.send_fds(forks, ["\\0".join([str(len(words)), *words, *environment]).encode()], [0, 1, 2])
    code = int(forks.recv(64))
if code < 0:
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


class Program:
    """A program at `path` that is egressctl: each call of it, from whatever shell, is one of the forks.

    Their reports are kept in the folder `reports`.
    """

    def __init__(self, forks: Forks, path: Path, reports: Path) -> None:
        self._forks, self._reports = forks, reports
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        address = str(path.with_suffix(".sock"))
        self._socket.bind(address)
        self._socket.listen()
        path.write_text(_CLIENT.format(python=sys.executable, address=address))
        path.chmod(0o755)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Let no further call in."""
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                caller, _ = self._socket.accept()
                with caller:
                    self._answer(caller)

    def _answer(self, caller: socket.socket) -> None:
        message, streams, _, _ = socket.recv_fds(caller, _MESSAGE, 3)
        count, *parts = message.decode().split("\0")
        folder, *argv = parts[: int(count)]
        environment = dict(each.split("=", 1) for each in parts[int(count) :])
        try:
            self._forks.start(argv, environment, Path(folder), streams, self._reports)
        finally:
            for stream in streams:
                os.close(stream)
        caller.send(str(self._forks.wait(_PATIENCE_SECONDS)).encode())


def serve(control: socket.socket) -> None:
    """Fork until the other side has gone."""
    for module in pkgutil.walk_packages(egressctl.__path__, "egressctl."):
        if not module.name.startswith(("egressctl.lab", "egressctl.__main__")):
            importlib.import_module(module.name)
    for library in _LIBRARIES:
        importlib.import_module(library)
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


def _writer(number: int, *, at_once: bool, errors: str) -> io.TextIOWrapper:
    raw = open(number, "wb", buffering=0 if at_once else -1, closefd=False)  # noqa: SIM115 - it lives as long as the process
    return io.TextIOWrapper(raw, encoding="utf-8", errors=errors, write_through=at_once)


def _keep_reports(folder: Path) -> None:
    """Have each report written into the folder before it is delivered."""
    session, written = (importlib.import_module(f"egressctl.{name}") for name in ("cli.report_session", "report.json_report"))
    deliver = session.ReportSession._deliver

    def keep(self: Any, code: int, failure: Any, instead: object = None) -> Any:
        document = written.report_document(self.report(code, failure))
        (folder / f"{time.time_ns()}.json").write_text(json.dumps(document, indent=2) + "\n")
        return deliver(self, code, failure, instead)

    patch.object(session.ReportSession, "_deliver", keep).start()


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
        if asked["reports"]:
            _keep_reports(Path(asked["reports"]))
        at_once = "PYTHONUNBUFFERED" in os.environ
        sys.stdin = io.TextIOWrapper(open(0, "rb", closefd=False), encoding="utf-8")  # noqa: SIM115 - as the interpreter has it
        sys.stdout = _writer(1, at_once=at_once, errors="strict")
        sys.stderr = _writer(2, at_once=True, errors="backslashreplace")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
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
