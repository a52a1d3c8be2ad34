"""A provider that publishes lists over HTTPS, on this machine, and answers as a test says."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from egressctl.lab.certificates import Authority

Answer = Callable[["Asked"], None]
_PATIENCE_SECONDS = 30


class Asked(BaseHTTPRequestHandler):
    """One request, and what an answer may do with it."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        answer = self.server.answers.get(self.path)
        self.close_connection = True
        with contextlib.suppress(OSError):
            (answer or status(404))(self)

    def say(self, code: int, body: bytes = b"", **headers: str) -> None:
        """Answer with a status, a body and headers; `Content_Length=""` leaves that header out."""
        told = {"Content-Length": str(len(body)), "Content-Type": "application/json"}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.send_response(code)
        for name, value in told.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def until_the_end(self) -> None:
        """Say nothing more before the test is over, or the client has gone."""
        self.server.over.wait(_PATIENCE_SECONDS)

    def log_message(self, *_: object) -> None:
        pass


class Server(ThreadingHTTPServer):
    """Answers requests in threads; `asked` has each request's path and headers."""

    daemon_threads = True

    def __init__(self, context: ssl.SSLContext | None) -> None:
        super().__init__(("127.0.0.1", 0), Asked)
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.over = threading.Event()
        self.context = context

    def finish_request(self, request: Any, client_address: Any) -> None:
        # The handshake is made here, in the request's own thread, so that a slow one holds up no other.
        if self.context is not None:
            request = self.context.wrap_socket(request, server_side=True)
        super().finish_request(request, client_address)
        with contextlib.suppress(OSError):
            request.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


def status(code: int, body: bytes = b"", **headers: str) -> Answer:
    """Answer always the same."""
    return lambda asked: asked.say(code, body, **headers)


def in_turn(*answers: Answer) -> Answer:
    """Answer each request with the next of these, and then always with the last."""
    left = list(answers)
    return lambda asked: (left.pop(0) if len(left) > 1 else left[0])(asked)


@dataclass
class Publisher:
    """The provider: `lists` are answers by path; `authority` is the file that SSL_CERT_FILE has to name."""

    server: Server
    authority: Path
    environment: Mapping[str, str] = field(default_factory=dict)

    def url(self, path: str = "/list") -> str:
        return f"https://localhost:{self.server.server_port}{path}"

    def publish(self, answer: Answer | bytes, path: str = "/list") -> str:
        """Answer requests of a path so, and return its URL."""
        self.server.answers[path] = status(200, answer) if isinstance(answer, bytes) else answer
        return self.url(path)

    @property
    def asked(self) -> list[tuple[str, dict[str, str]]]:
        return self.server.asked


@contextlib.contextmanager
def publisher(folder: Path) -> Iterator[Publisher]:
    """Run one until the block ends."""
    authority = Authority("publisher")
    file = folder / "authority.pem"
    file.write_text(authority.certificate)
    with served(tls(authority, folder, ["localhost"])) as server:
        yield Publisher(server, file, {"SSL_CERT_FILE": str(file)})


def tls(authority: Authority, folder: Path, names: list[str]) -> ssl.SSLContext:
    """Return what a server for these names speaks TLS with."""
    certificate = authority.issue(names)
    pair = folder / "server.pem"
    pair.write_text(certificate.certificate + certificate.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair)
    return context


@contextlib.contextmanager
def served(context: ssl.SSLContext | None) -> Iterator[Server]:
    """Run a server until the block ends."""
    with Server(context) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        try:
            yield server
        finally:
            server.over.set()
            server.shutdown()


class Proxy(threading.Thread):
    """An HTTP proxy that makes tunnels (CONNECT), and says to where; it ends with its socket."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.tunnels: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                caller, _ = self._listening.accept()
                threading.Thread(target=self._tunnel, args=[caller], daemon=True).start()

    def close(self) -> None:
        self._listening.close()

    def _tunnel(self, caller: socket.socket) -> None:
        with caller, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                head += caller.recv(4096)
            where = head.split()[1].decode()
            self.tunnels.append(where)
            host, _, port = where.rpartition(":")
            with socket.create_connection((host, int(port))) as there:
                caller.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_pour, args=[there, caller], daemon=True)
                back.start()
                _pour(caller, there)
                back.join(_PATIENCE_SECONDS)


def _pour(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
