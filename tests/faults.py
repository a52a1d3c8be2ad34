"""A proxy before any Kubernetes API that does harm where a test asks for it: refuses, resets, stalls, signals.

It speaks TLS on both sides and passes bytes on as they are, so watches and WebSockets go through
it too. Every request gets a connection of its own.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import http.client
import io
import json
import os
import re
import socket
import ssl
import struct
import threading
from asyncio import StreamReader, StreamWriter
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import unquote, urlsplit

import yaml

from endpoint import LoopThread, self_signed, write_kubeconfig

_HEAD_LIMIT = 4 * 1024 * 1024
_CHUNK = 64 * 1024
_WEBSOCKET = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@dataclass(frozen=True)
class Call:
    """A request as it came: its place in the order, and what it asked. `query` is as in the URL."""

    index: int
    method: str
    path: str
    query: str

    @property
    def is_exec(self) -> bool:
        return self.path.endswith("/exec")


@dataclass(frozen=True)
class Respond:
    """Answer without asking the API. Without `body` it is the Status of such a failure, with `reason` and `message`."""

    status: int
    reason: str = ""
    message: str = "injected by the test"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None


@dataclass(frozen=True)
class Reset:
    """Drop the connection before the request is passed on."""


@dataclass(frozen=True)
class ResetAfterForward:
    """Pass the request on, let the API answer it, and drop the connection without a word of the answer."""


@dataclass(frozen=True)
class ResetDuringExec:
    """Drop both connections when `after` bytes came from the API after the head of its answer."""

    after: int = 0


@dataclass(frozen=True)
class Stall:
    """Take the request and say nothing, until the client goes away or the proxy is closed."""


@dataclass(frozen=True)
class StallInBody:
    """Begin an answer, send half of it, and say nothing more."""


@dataclass(frozen=True)
class Hold:
    """Keep the request until a test sets the event, and then pass it on as usual."""

    until: threading.Event


@dataclass(frozen=True)
class WithoutSelector:
    """Pass the request on without its label selector: the answer lists more than was asked for."""


@dataclass(frozen=True)
class Signal:
    """Send a signal to a process, and pass the request on as usual.

    `before` the request is passed on; `after` the API answered (its head, where the answer is a
    stream), before the client gets any of it; or `later`, when the client has all of it.
    """

    pid: Callable[[], int]
    signum: int
    when: Literal["before", "after", "later"] = "before"


@dataclass(frozen=True)
class Meanwhile:
    """Do something, however long it takes, and pass the request on as usual then. Other requests go on."""

    do: Callable[[], object]


@dataclass(frozen=True)
class Rewrite:
    """Pass the request on, and write one text for another, of the same length, in what comes back."""

    old: str
    new: str


@dataclass(frozen=True)
class Mutate:
    """Pass the request on, and give the client what `change` makes of the body; with another `status` where one is given."""

    change: Callable[[bytes], bytes]
    status: int = 0


@dataclass(frozen=True)
class Drip:
    """Answer a byte at a time, without end: a header, or a body after whole headers. An exec's handshake is such a head."""

    what: Literal["head", "body"] = "head"


@dataclass(frozen=True)
class PlayExec:
    """Accept an exec, and send these pieces, each a frame or a part of one, with a pause before each; in the end, nothing."""

    frames: Callable[[], Iterable[bytes]]
    pause: float = 0.02


@dataclass(frozen=True)
class ChangeExec:
    """Give what a command says on stdout, all of it at its end, as `change` makes it of what it said: cut, or a lie."""

    change: Callable[[bytes], bytes]


Action = (
    Respond
    | Reset
    | ResetAfterForward
    | ResetDuringExec
    | Stall
    | StallInBody
    | Hold
    | WithoutSelector
    | Signal
    | Meanwhile
    | Rewrite
    | Mutate
    | Drip
    | PlayExec
    | ChangeExec
)
Rules = Callable[[Call], Action | None] | Sequence[Action | None]


def no_fault(call: Call) -> Action | None:
    """Pass everything on."""
    return None


def faults(action: Action, *, method: str = "", path: str = "", times: int = 1, skip: int = 0) -> Callable[[Call], Action | None]:
    """Return rules that do `action` to the next `times` requests of a method whose path contains `path`, after `skip` of them."""
    seen = 0

    def rule(call: Call) -> Action | None:
        nonlocal seen
        if (method and call.method != method) or path not in call.path:
            return None
        seen += 1
        return action if skip < seen <= skip + times else None

    return rule


@dataclass(frozen=True)
class _Upstream:
    host: str
    port: int
    tls: ssl.SSLContext
    token: str


def _bytes_of(section: Mapping[str, Any], name: str, beside: Path) -> bytes:
    if section.get(f"{name}-data"):
        return base64.b64decode(section[f"{name}-data"])
    return (beside / section[name]).read_bytes() if section.get(name) else b""


def _upstream(kubeconfig: Path, directory: Path) -> _Upstream:
    config = yaml.safe_load(kubeconfig.read_text())

    def named(plural: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(one for one in config[plural] if one["name"] == name)
        return found

    context = named("contexts", config["current-context"])["context"]
    cluster, user = named("clusters", context["cluster"])["cluster"], named("users", context["user"])["user"]
    authority = _bytes_of(cluster, "certificate-authority", kubeconfig.parent)
    tls = ssl.create_default_context(cadata=authority.decode() or None)
    certificate, key = (_bytes_of(user, name, kubeconfig.parent) for name in ("client-certificate", "client-key"))
    if certificate:
        pair = directory / "upstream.pem"
        pair.touch(mode=0o600)
        pair.write_bytes(certificate + b"\n" + key)
        tls.load_cert_chain(pair)
    server = urlsplit(cluster["server"])
    return _Upstream(server.hostname or "", server.port or 443, tls, user.get("token", ""))


def _answer(action: Respond) -> bytes:
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": action.message}
    body = action.body
    if body is None:
        body = json.dumps({**status, "reason": action.reason, "code": action.status}).encode()
    told = {"Content-Type": "application/json", **action.headers, "Content-Length": str(len(body)), "Connection": "close"}
    head = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"HTTP/1.1 {action.status} Injected\r\n{head}\r\n".encode() + body


class FaultProxy:
    """Stand before the API of a kubeconfig while the `with` block lasts.

    `kubeconfig` leads to the proxy, `calls` are the requests in their order, `rules` what to do to
    each: a function of the call, or a list of actions in the order of the calls. Both may be
    changed while it runs.
    """

    def __init__(self, upstream_kubeconfig: Path, directory: Path, rules: Rules = no_fault) -> None:
        self.upstream_kubeconfig, self.directory, self.rules = upstream_kubeconfig, directory, rules
        self.calls: list[Call] = []

    def __enter__(self) -> Self:
        self.directory.mkdir(parents=True, exist_ok=True)
        self._upstream = _upstream(self.upstream_kubeconfig, self.directory)
        authority, key = self_signed(self.directory)
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(authority, key)
        self._thread = LoopThread("fault-proxy")
        serving = asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context, limit=_HEAD_LIMIT)
        self._server = self._thread.run(serving)
        self.port: int = self._server.sockets[0].getsockname()[1]
        # What authenticates by certificate does so behind the proxy; the client still needs something to show.
        token = self._upstream.token or "by-the-proxy"
        self.kubeconfig = write_kubeconfig(self.directory / "kubeconfig", f"https://127.0.0.1:{self.port}", authority, token)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._thread.loop.call_soon_threadsafe(self._server.close)
        self._thread.close()

    async def _serve(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            await self._handle(head, reader, writer)
        except (OSError, EOFError, asyncio.CancelledError):
            # Gone, on either side, or the proxy is being closed: nothing is left to be told to anyone.
            _drop(writer)
        finally:
            writer.close()

    async def _handle(self, head: bytes, reader: StreamReader, writer: StreamWriter) -> None:
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        path, _, query = target.partition("?")
        call = Call(len(self.calls), method, unquote(path), query)
        self.calls.append(call)
        action = self._action(call)
        if isinstance(action, Reset):
            _drop(writer)
        elif isinstance(action, Stall | StallInBody):
            if isinstance(action, StallInBody):
                writer.write(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 4096\r\n\r\n{"kind": ')
                await writer.drain()
            while await reader.read(_CHUNK):
                pass
        elif isinstance(action, Drip):
            await _until_gone(reader, _drip(writer, action.what))
        elif isinstance(action, PlayExec):
            await _until_gone(reader, _play_exec(head, writer, action))
        elif isinstance(action, Respond):
            await reader.readexactly(_length(head))
            writer.write(_answer(action))
            await writer.drain()
        else:
            if isinstance(action, Hold):
                await asyncio.to_thread(action.until.wait)
            if isinstance(action, Meanwhile):
                await asyncio.to_thread(action.do)
            if isinstance(action, Signal) and action.when == "before":
                os.kill(action.pid(), action.signum)
            if isinstance(action, WithoutSelector):
                head = re.sub(rb"labelSelector=[^& ]*&?", b"", head, count=1)
            await self._forward(head, action, reader, writer)
            if isinstance(action, Signal) and action.when == "later":
                os.kill(action.pid(), action.signum)

    def _action(self, call: Call) -> Action | None:
        if callable(self.rules):
            return self.rules(call)
        return self.rules[call.index] if call.index < len(self.rules) else None

    async def _forward(self, head: bytes, action: Action | None, reader: StreamReader, writer: StreamWriter) -> None:
        to = self._upstream
        from_api, to_api = await asyncio.open_connection(to.host, to.port, ssl=to.tls, limit=_HEAD_LIMIT)
        sending = asyncio.create_task(_pump(reader, to_api))
        try:
            to_api.write(_for_upstream(head))
            answering = asyncio.create_task(self._reply(action, from_api, writer))
            # Whichever side ends the conversation ends it for the other.
            await asyncio.wait({sending, answering}, return_when=asyncio.FIRST_COMPLETED)
            if not answering.done():
                answering.cancel()
            await asyncio.gather(answering, return_exceptions=True)
            if not answering.cancelled() and (error := answering.exception()):
                raise error
        finally:
            to_api.transport.abort()
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

    async def _reply(self, action: Action | None, from_api: StreamReader, writer: StreamWriter) -> None:
        if isinstance(action, ResetAfterForward):
            await from_api.read(-1)
            _drop(writer)
            return
        if isinstance(action, Mutate):
            writer.write(_mutated(action, await from_api.read(-1)))
            await writer.drain()
            return
        head = await from_api.readuntil(b"\r\n\r\n")
        if isinstance(action, Rewrite) and not head.startswith(b"HTTP/1.1 101"):
            head = (head + await from_api.read(-1)).replace(action.old.encode(), action.new.encode())
        if isinstance(action, Signal) and action.when == "after":
            is_stream = head.startswith(b"HTTP/1.1 101") or b"transfer-encoding: chunked" in head.lower()
            rest = b"" if is_stream else await from_api.read(-1)
            os.kill(action.pid(), action.signum)
            head += rest
        writer.write(head)
        if isinstance(action, ChangeExec):
            await _change_exec(action, from_api, writer)
            return
        left = action.after if isinstance(action, ResetDuringExec) else None
        while left is None or left > 0:
            data = await from_api.read(_CHUNK if left is None else left)
            if not data:
                return
            writer.write(data)
            await writer.drain()
            left = None if left is None else left - len(data)
        await writer.drain()
        _drop(writer)


async def _change_exec(action: ChangeExec, from_api: StreamReader, writer: StreamWriter) -> None:
    """Pass the frames of an exec on, those of stdout as one before its status (RFC 6455, section 5.2: a server masks nothing)."""
    said = bytearray()
    while True:
        start = await from_api.readexactly(2)
        size = start[1]
        if size > 125:
            extended = await from_api.readexactly(2 if size == 126 else 8)
            start, size = start + extended, int.from_bytes(extended, "big")
        payload = await from_api.readexactly(size)
        if payload[:1] == b"\x01":
            said += payload[1:]
            continue
        if payload[:1] == b"\x03" and (changed := action.change(bytes(said))):
            writer.write(b"\x82\x7f" + (1 + len(changed)).to_bytes(8, "big") + b"\x01" + changed)
        writer.write(start + payload)
        await writer.drain()


def _drop(writer: StreamWriter) -> None:
    """Break the connection as a crash does: a reset, no farewell."""
    connection = writer.get_extra_info("socket")
    with suppress(OSError):
        # None where the client was quicker.
        if connection is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _until_gone(reader: StreamReader, playing: Coroutine[Any, Any, None]) -> None:
    """Play to a client until it goes away; one that goes on reading nothing is played to all the same."""
    task = asyncio.create_task(playing)
    try:
        while await reader.read(_CHUNK):
            pass
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _drip(writer: StreamWriter, what: str) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
    writer.write(b"X-Drip: " if what == "head" else b'Content-Length: 1000000\r\n\r\n{"a": "')
    while True:
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.02)


async def _play_exec(head: bytes, writer: StreamWriter, action: PlayExec) -> None:
    key = re.search(rb"(?i)sec-websocket-key: *(\S+)", head)
    accept = base64.b64encode(hashlib.sha1((key[1] if key else b"") + _WEBSOCKET).digest())
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n")
    writer.write(b"Sec-WebSocket-Protocol: v5.channel.k8s.io\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    for frame in action.frames():
        await asyncio.sleep(action.pause)
        writer.write(frame)
        await writer.drain()
    await writer.drain()


def _mutated(action: Mutate, answer: bytes) -> bytes:
    parsed = http.client.HTTPResponse(_Told(answer))  # type: ignore[arg-type]  # all that it asks of a socket
    parsed.begin()
    body = action.change(parsed.read())
    told = {"Content-Type": parsed.getheader("Content-Type", "application/json"), "Content-Length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in told.items())
    return f"HTTP/1.1 {action.status or parsed.status} Mutated\r\n{lines}Connection: close\r\n\r\n".encode() + body


@dataclass(frozen=True)
class _Told:
    content: bytes

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self.content)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0


def _for_upstream(head: bytes) -> bytes:
    """Ask for one answer and the end of the connection, unless it is to become a WebSocket."""
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    if not any(line.lower().startswith(b"upgrade:") for line in lines):
        lines = [line for line in lines if not line.lower().startswith(b"connection:")] + [b"Connection: close"]
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def _pump(reader: StreamReader, writer: StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
