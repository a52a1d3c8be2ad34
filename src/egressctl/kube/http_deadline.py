"""urllib3's connections with one deadline for an answer, which drips cannot stretch: its own time-out begins with each byte."""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from typing import Any

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError

from egressctl.runtime.concurrency import call_within


class _Reader(io.RawIOBase):
    def __init__(self, sock: socket.socket, ends: float) -> None:
        self._sock, self._raw, self._ends = sock, sock.makefile("rb", buffering=0), ends

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _Response(http.client.HTTPResponse):
    """An answer, also a proxy's to CONNECT, that is whole before the socket's time-out, as it is when the reading begins."""

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        if timeout := sock.gettimeout():
            plain, self.fp = self.fp, io.BufferedReader(_Reader(sock, time.monotonic() + timeout))
            plain.close()


class _KeepsDeadline(HTTPConnection):
    response_class = _Response

    def connect(self) -> None:
        if not isinstance(self.timeout, int | float):
            super().connect()
            return
        too_late = threading.Event()

        def connect() -> None:
            super(_KeepsDeadline, self).connect()
            if too_late.is_set():
                self.close()

        try:
            # In a thread, since nothing stops a resolver, which may take minutes.
            call_within(self.timeout, connect)
        except TimeoutError:
            too_late.set()
            raise ConnectTimeoutError(self, f"no connection to {self.host} within {self.timeout:g} s") from None

    def request(self, *args: Any, **options: Any) -> None:
        if self.sock is not None:
            self.sock.settimeout(self.timeout)  # what was left of the last answer's time is not this request's
        super().request(*args, **options)


class _TlsConnection(_KeepsDeadline, HTTPSConnection):
    pass


class _Pool(HTTPConnectionPool):
    ConnectionCls = _KeepsDeadline


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


POOLS = {"http": _Pool, "https": _TlsPool}
"""By scheme, for a PoolManager."""
