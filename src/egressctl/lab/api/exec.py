"""Commands in containers over WebSocket, as `v4.channel.k8s.io` and `v5.channel.k8s.io` say.

The first byte of a frame names its channel. The status comes last, and its words are those of
kube-apiserver and of a kubelet with containerd.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import uuid
from asyncio.subprocess import DEVNULL, PIPE, Process, SubprocessStreamProtocol
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import WSMsgType, web

from egressctl.lab.api.request import is_set
from egressctl.lab.api.settings import EnterPlan
from egressctl.lab.api.status import ApiError, Object, bad_request_error

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
STDIN, STDOUT, STDERR, STATUS, CLOSE = 0, 1, 2, 3, 255
_CHUNK = 32 * 1024
_CLOSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, and which of its streams the client wants."""

    argv: tuple[str, ...]
    stdin: bool
    stdout: bool
    stderr: bool


def parse_command(query: Mapping[str, str], argv: Sequence[str]) -> Command:
    """Return the command that a request asks for; raise ApiError 400 where it asks for none."""
    wrong = ""
    if not argv:
        wrong = "you must specify at least one command for the container"
    elif not any(streams := [is_set(query, name) for name in ("stdin", "stdout", "stderr")]):
        wrong = "you must specify at least 1 of stdin, stdout, stderr"
    elif is_set(query, "tty"):
        wrong = "the lab has no terminals: leave tty out"
    if wrong:
        raise bad_request_error(wrong)
    return Command(tuple(argv), *streams)


def missing_program(program: str, path: str) -> str:
    """Return what runc says where a program cannot be started, empty where it can.

    Looked for beforehand, since behind a prefix such as nsenter the program's absence would look
    like the prefix's failure.
    """
    if shutil.which(program, path=path):
        return ""
    if "/" not in program:
        return "executable file not found in $PATH"
    return f"stat {program}: no such file or directory" if not os.path.exists(program) else "permission denied"


def _not_started(program: str, why: str) -> ApiError:
    """Return the error of a backend, which has the message twice, as `NewInternalError` writes it."""
    message = (
        "Internal error occurred: error executing command in container: failed to exec in container: "
        f'failed to start exec "{uuid.uuid4().hex * 2}": OCI runtime exec failed: exec failed: '
        f'unable to start container process: exec: "{program}": {why}: unknown'
    )
    return ApiError(500, "InternalError", f"Internal error occurred: {message}", {"causes": [{"message": message}]})


def exit_status(returncode: int) -> Object:
    """Return the status of a command that ended; a signal counts as 128 and its number, as in a shell."""
    if returncode == 0:
        return {"metadata": {}, "status": "Success"}
    code = 128 - returncode if returncode < 0 else returncode
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: command terminated with exit code {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


async def _start(wanted: Command, plan: EnterPlan) -> tuple[Process, asyncio.SubprocessTransport]:
    program = wanted.argv[0]
    why = missing_program(program, plan.env.get("PATH", os.defpath))
    if why:
        raise _not_started(program, why)
    loop = asyncio.get_running_loop()
    # As asyncio.create_subprocess_exec does it, which keeps the transport to itself, and with it the pipes.
    starting = loop.create_task(
        loop.subprocess_exec(
            lambda: SubprocessStreamProtocol(limit=_CHUNK, loop=loop),
            *plan.prefix,
            *wanted.argv,
            stdin=PIPE if wanted.stdin else DEVNULL,
            stdout=PIPE if wanted.stdout else DEVNULL,
            stderr=PIPE if wanted.stderr else DEVNULL,
            env=dict(plan.env),
            start_new_session=True,
        )
    )
    try:
        transport, protocol = await asyncio.shield(starting)
    except (OSError, ValueError) as error:
        raise _not_started(program, str(error)) from error
    except asyncio.CancelledError:
        # A start that is broken off would leave behind what the command has started by then.
        await _wait_until_done(starting)
        if not starting.exception():
            _kill(starting.result()[0])
        raise
    return Process(transport, protocol, loop), transport


async def _wait_until_done(work: asyncio.Future[Any]) -> None:
    """Wait for what ends soon by itself, however often this is cancelled meanwhile."""
    while not work.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait((work,))


def _kill(transport: asyncio.SubprocessTransport) -> None:
    """Kill the command and all that it started, and let go of its pipes."""
    with suppress(ProcessLookupError):
        os.killpg(transport.get_pid(), signal.SIGKILL)
    transport.close()


async def _send_output(socket: web.WebSocketResponse, stream: asyncio.StreamReader | None, channel: int) -> None:
    # Reading on only when a frame is written lets a slow client slow the command down.
    while stream and (data := await stream.read(_CHUNK)):
        await socket.send_bytes(bytes([channel]) + data)


async def _receive_input(socket: web.WebSocketResponse, process: Process) -> None:
    """Pass on what the client types, and return when it is gone."""
    async for message in socket:
        data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
        if message.type not in (WSMsgType.TEXT, WSMsgType.BINARY) or not data or process.stdin is None:
            continue
        if data[0] == STDIN:
            with suppress(ConnectionError):
                process.stdin.write(data[1:])
                await process.stdin.drain()
        elif data[0] == CLOSE and data[1:2] == bytes([STDIN]):
            process.stdin.close()


async def _relay_streams(
    socket: web.WebSocketResponse, process: Process, transport: asyncio.SubprocessTransport
) -> Object | None:
    """Carry the streams until the command ends, and return its status; None where the client went away first."""
    outputs = asyncio.gather(
        _send_output(socket, process.stdout, STDOUT), _send_output(socket, process.stderr, STDERR), process.wait()
    )
    inputs = asyncio.create_task(_receive_input(socket, process))
    try:
        await asyncio.wait((asyncio.ensure_future(outputs), inputs), return_when=asyncio.FIRST_COMPLETED)
        if outputs.done() and not isinstance(outputs.exception(), ConnectionError):
            return exit_status(outputs.result()[2])
        return None
    finally:
        # What the command started must not outlive the request that it belongs to.
        _kill(transport)
        for task in (outputs, inputs):
            task.cancel()
        await _wait_until_done(asyncio.gather(outputs, inputs, process.wait(), return_exceptions=True))


async def serve_exec(
    request: web.Request, wanted: Command, plan: EnterPlan | None, unreachable: ApiError
) -> web.WebSocketResponse:
    """Run a command and send its streams; what keeps it from starting is reported in the status frame.

    `plan` None means that there is no such place, and `unreachable` is then the answer. Raises
    ApiError 400 for a request that is no WebSocket's.
    """
    if "websocket" not in request.headers.get("Upgrade", "").lower():
        raise bad_request_error("Upgrade request required")
    socket = web.WebSocketResponse(protocols=PROTOCOLS, timeout=_CLOSE_SECONDS, max_msg_size=0, compress=False)
    await socket.prepare(request)
    status: Object | None
    try:
        if plan is None:
            raise unreachable
        status = await _relay_streams(socket, *await _start(wanted, plan))
    except ApiError as error:
        status = error.body
    if status is not None:
        with suppress(ConnectionError):
            await socket.send_bytes(bytes([STATUS]) + json.dumps(status).encode())
    await socket.close()
    return socket
