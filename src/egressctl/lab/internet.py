"""The small internet behind the lab's mesh: HTTP and HTTPS sites on every address of a network namespace.

Run in that namespace as `python -m egressctl.lab.internet FOLDER [ipv6]`, with `internet.pem` and `untrusted.pem` (key and
certificate) in the folder. A line on standard output says that it listens.

Every site answers /status/CODE with that status, and /slow never.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from pathlib import Path

WIKIPEDIA = "208.80.154.224"
ADDRESSES: Mapping[str, str] = {
    "wikipedia.org": WIKIPEDIA,
    "www.wikipedia.org": WIKIPEDIA,
    "en.wikipedia.org": WIKIPEDIA,
    "untrusted.example": "208.80.154.230",
    "outside.example": "203.0.113.10",
}
"""Name -> address. `untrusted.example` is within one of Wikipedia's blocks, `outside.example` in none."""
WIKIPEDIA_IPV6 = "2620:0:861:ed1a::1"
ADDRESSES_IPV6: Mapping[str, str] = {
    "wikipedia.org": WIKIPEDIA_IPV6,
    "www.wikipedia.org": WIKIPEDIA_IPV6,
    "en.wikipedia.org": WIKIPEDIA_IPV6,
    "outside.example": "2001:db8:f::10",
}
"""The same of a lab that has IPv6; `untrusted.example` has no such address."""
UNTRUSTED = "untrusted.example"
TRUSTED = tuple(name for name in ADDRESSES if name != UNTRUSTED)
TLS_PORTS, PLAIN_PORTS = (443, 8443), (80, 8080)
READY = "internet"
ARTICLES = "7,012,345"

_LONGEST_REQUEST = 64 * 1024
_TYPE = "text/html; charset=UTF-8"


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; its `Content-Length` and `Date` are the server's business."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def answer(host: str, path: str, tls: bool) -> Response | None:
    """Return what a site answers to GET; None for no answer at all."""
    path = path.partition("?")[0]
    if path == "/slow":
        return None
    if path.startswith("/status/"):
        code = path.removeprefix("/status/")
        return _page(int(code) if code.isdecimal() and 200 <= int(code) <= 599 else 404, f"status {code}")
    if host.endswith("wikipedia.org") and not tls:
        return _redirect(f"https://{host}{path}")
    if host == "wikipedia.org":
        return _redirect(f"https://www.wikipedia.org{path}")
    if host in _SITES:
        return _SITES[host].get(path) or _page(404, "Not found")
    return _page(200, f"{host or 'the lab'} answers")


def _page(status: int, title: str, content: str = "") -> Response:
    body = f'<!DOCTYPE html>\n<html lang="en">\n<head><title>{title}</title></head>\n<body>\n{content}\n</body>\n</html>\n'
    return Response(status, body.encode(), {"Content-Type": _TYPE})


def _redirect(location: str) -> Response:
    return Response(301, b"", {"Location": location, "Content-Type": _TYPE})


_STATISTICS = f'<a href="/wiki/Special:Statistics" title="Special:Statistics">{ARTICLES}</a>'
_LANGUAGE = '<a href="/wiki/English_language" title="English language">English</a>'
_COUNT = f'<div id="articlecount" style="font-size:85%;">{_STATISTICS} articles in {_LANGUAGE}</div>'
_SITES = {
    "www.wikipedia.org": {"/": _page(200, "Wikipedia, the free encyclopedia")},
    "en.wikipedia.org": {
        "/": _redirect("https://en.wikipedia.org/wiki/Main_Page"),
        "/wiki/Main_Page": _page(200, "Wikipedia, the free encyclopedia", _COUNT),
    },
}
"""Site -> path -> what it answers."""


def encode_response(response: Response, *, head: bool, close: bool) -> bytes:
    """Return the response as HTTP/1.1 sends it; without a body for HEAD and for statuses that have none."""
    try:
        reason = HTTPStatus(response.status).phrase
    except ValueError:
        reason = "Unknown"
    empty = response.status in (204, 304)
    lines = [f"HTTP/1.1 {response.status} {reason}", *(f"{name}: {value}" for name, value in response.headers.items())]
    lines += [] if empty else [f"Content-Length: {len(response.body)}"]
    lines += ["Server: egressctl-lab", f"Connection: {'close' if close else 'keep-alive'}", "", ""]
    return "\r\n".join(lines).encode() + (b"" if head or empty else response.body)


async def _serve_connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, tls: bool) -> None:
    with contextlib.suppress(OSError, ssl.SSLError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
        while await _serve_request(reader, writer, tls):
            pass
    writer.close()
    with contextlib.suppress(OSError, ssl.SSLError):
        await writer.wait_closed()


async def _serve_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, tls: bool) -> bool:
    """Serve one request; return whether another may follow."""
    first = await reader.readexactly(1)
    if not first.isalpha():
        # TLS where there is none: real servers say so at once.
        writer.write(encode_response(_page(400, "Bad Request"), head=False, close=True))
        await writer.drain()
        return False
    start, *lines = (first + await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, version = start.split(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    await reader.readexactly(int(headers.get("content-length") or 0))
    close = version != "HTTP/1.1" or headers.get("connection", "").lower() == "close"
    host = re.sub(r":[0-9]*$", "", headers.get("host", "")).lower()
    response = answer(host, target, tls) if method in ("GET", "HEAD") else _page(405, "Method not allowed")
    if response is None:
        # Silence until the client goes; what else it sends is not read into memory.
        while await reader.read(_LONGEST_REQUEST):
            pass
        return False
    writer.write(encode_response(response, head=method == "HEAD", close=close))
    await writer.drain()
    return not close


def _tls_context(folder: Path) -> ssl.SSLContext:
    trusted, untrusted = (_context_of_certificate(folder / name) for name in ("internet.pem", "untrusted.pem"))

    def choose(connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext) -> None:
        if name == UNTRUSTED:
            connection.context = untrusted

    trusted.sni_callback = choose
    return trusted


def _context_of_certificate(file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    context.set_alpn_protocols(["http/1.1"])
    return context


async def serve_sites(folder: Path, *, ipv6: bool = False) -> None:
    """Serve until cancelled; print READY once every port listens."""
    places = ["0.0.0.0", "::"] if ipv6 else ["0.0.0.0"]  # noqa: S104
    context, start = _tls_context(folder), partial(asyncio.start_server, limit=_LONGEST_REQUEST, backlog=1024)
    servers = [await start(partial(_serve_connection, tls=True), places, port, ssl=context) for port in TLS_PORTS]
    servers += [await start(partial(_serve_connection, tls=False), places, port) for port in PLAIN_PORTS]
    print(READY, flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(serve_sites(Path(sys.argv[1]), ipv6="ipv6" in sys.argv[2:]))
