"""websocket-client's connection with one deadline and one size for all that comes: its own time-out begins with each byte."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

from websocket import WebSocket, WebSocketTimeoutException

from egressctl.runtime.concurrency import call_within

_MOST_AT_ONCE = 1 << 16
_LONGEST_HEAD = 1 << 16
"""Bytes that come at most before a WebSocket is accepted."""


class TooMuch(Exception):
    """More came than is taken."""


class _Socket:
    """As much of a socket as websocket-client asks for, which takes the head byte by byte: all that has come is read at once."""

    def __init__(self, sock: socket.socket, ends: float) -> None:
        self._sock, self._ends, self.left = sock, ends, _LONGEST_HEAD
        self._come, self._taken = b"", 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def recv(self, size: int) -> bytes:
        if self._taken == len(self._come):
            self._wait_no_longer()
            self._come, self._taken = self._sock.recv(_MOST_AT_ONCE), 0
        data = self._come[self._taken : self._taken + size]
        self._taken += len(data)
        self.left -= len(data)
        if self.left < 0:
            raise TooMuch
        return data

    def send(self, data: bytes) -> int:
        self._wait_no_longer()
        return self._sock.send(data)

    def settimeout(self, seconds: float) -> None:
        """Leave it at the deadline."""

    def _wait_no_longer(self) -> None:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)


class WebSocketInTime(WebSocket):
    """A WebSocket that is waited for until `ends`, of the monotonic clock, whatever comes; TooMuch after `most` bytes."""

    def __init__(self, ends: float, most: int, **options: Any) -> None:
        self._until, self._most = ends, most
        self._kept: _Socket | None = None
        super().__init__(**options)

    @property
    def sock(self) -> Any:
        return self._kept

    @sock.setter
    def sock(self, sock: Any) -> None:
        self._kept = None if sock is None else _Socket(sock, self._until)

    def connect(self, url: str, **options: Any) -> None:
        left, too_late = self._until - time.monotonic(), threading.Event()

        def connect() -> None:
            super(WebSocketInTime, self).connect(url, timeout=left, **options)  # type: ignore[no-untyped-call]
            if too_late.is_set():
                self.shutdown()  # type: ignore[no-untyped-call]

        try:
            # In a thread, since nothing stops a resolver, nor a proxy whose answer drips.
            call_within(left, connect)
        except TimeoutError:
            too_late.set()
            raise WebSocketTimeoutException from None
        self.sock.left = self._most
