"""Fetch a published list over HTTPS, within limits of time and size. The only importer of httpx.

TLS is verified against what SSL_CERT_FILE or SSL_CERT_DIR name, else against the authorities that come with httpx.
HTTPS_PROXY, ALL_PROXY and NO_PROXY are honoured.
"""

from __future__ import annotations

import email.utils
import os
import re
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from egressctl import __version__
from egressctl.catalog.formats import MAX_BYTES
from egressctl.errors import FetchFailed
from egressctl.runtime.concurrency import call_within
from egressctl.runtime.sanitize import neutralise

if TYPE_CHECKING:
    import ssl

    import httpx

MAX_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)
_BUSY = (429, 503)
_TRIES = 3
_CHUNK = 64 * 1024
_TEXT_TYPES = frozenset(
    {"application/json", "text/json", "text/plain", "text/csv", "application/csv", "application/vnd.ms-excel"}
)
_BYTES_TYPES = frozenset({"application/octet-stream", "binary/octet-stream", "application/x-download"})
"""What object stores say of a file whose kind nobody gave them."""


class FetchLimits(NamedTuple):
    """How long and how large: seconds to connect, between two pieces, and in all; bytes, packed and unpacked."""

    connect: float = 10.0
    read: float = 20.0
    total: float = 60.0
    size: int = MAX_BYTES


class Validators(NamedTuple):
    """By which a server says whether a list has changed: ETag and Last-Modified, each "" where it gave none."""

    etag: str = ""
    modified: str = ""


class FetchedList(NamedTuple):
    """A list as it was published, and what to ask with the next time."""

    data: bytes
    validators: Validators


class _RetryAfter(NamedTuple):
    """The server asks to be asked again after this many seconds."""

    seconds: float


LIMITS = FetchLimits()
NO_VALIDATORS = Validators()


def fetch(url: str, known: Validators = NO_VALIDATORS, *, limits: FetchLimits = LIMITS) -> FetchedList | None:
    """Return what is published at an https address, None where it has not changed since `known`.

    Follows redirects to https only. A server that asks to wait (429, 503) is asked again where that fits into
    `limits.total`. Raises FetchFailed for everything else, and for what is cut short, too large, or no list by its kind.
    """
    check_url(url)
    try:
        return call_within(limits.total, lambda: _fetch(url, known, limits, time.monotonic() + limits.total))
    except TimeoutError:
        raise _fetch_failed(url, f"gave no whole answer within {limits.total:g} s") from None


def check_url(url: str) -> None:
    """Raise FetchFailed for an address that is not https, or has a user or password in it."""
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and parts.hostname and parts.username is None and parts.password is None
    except ValueError:
        good = False
    if not good:
        raise FetchFailed(f"{neutralise(_without_user(url))} is not fetched: lists are read over https, without a user")


def _without_user(url: str) -> str:
    """Leave out what stands before the host: it may be a password."""
    return re.sub(r"//[^/]*@", "//", url)


def _fetch(url: str, known: Validators, limits: FetchLimits, deadline: float) -> FetchedList | None:
    with _translate_errors(url), _client(limits) as client:
        for left in reversed(range(_TRIES)):
            answer = _request_once(client, url, known, limits, deadline)
            if not isinstance(answer, _RetryAfter):
                return answer
            if not left:
                raise _fetch_failed(url, f"asked {_TRIES} times to wait")
            if time.monotonic() + answer.seconds >= deadline:
                raise _fetch_failed(url, f"asks to wait {answer.seconds:.0f} s", "try again after that")
            time.sleep(answer.seconds)
    raise AssertionError("unreachable")


def _request_once(
    client: httpx.Client, url: str, known: Validators, limits: FetchLimits, deadline: float
) -> FetchedList | _RetryAfter | None:
    """Ask once, along redirects; return the list, None where it is unchanged, or how long to wait before asking again."""
    here, asked = url, {"If-None-Match": known.etag, "If-Modified-Since": known.modified}
    for _ in range(MAX_REDIRECTS + 1):
        with client.stream("GET", here, headers={name: value for name, value in asked.items() if value}) as response:
            if response.status_code in _REDIRECTS:
                here = _redirect_target(url, response)
                continue
            if response.status_code == 304 and known != NO_VALIDATORS:
                return None
            if response.status_code in _BUSY and "Retry-After" in response.headers:
                return _RetryAfter(_parse_retry_after(response.headers["Retry-After"]))
            _check_response(url, response)
            validators = Validators(response.headers.get("ETag", ""), response.headers.get("Last-Modified", ""))
            return FetchedList(_read_body(url, response, limits, deadline), validators)
    raise _fetch_failed(url, f"leads on more than {MAX_REDIRECTS} times")


def _redirect_target(url: str, response: httpx.Response) -> str:
    place = response.headers.get("Location", "")
    there = str(response.url.join(place)) if place else ""
    try:
        check_url(there)
    except FetchFailed:
        raise _fetch_failed(url, f"leads on to {_without_user(place) or 'no address'}, which is no plain https address") from None
    return there


def _check_response(url: str, response: httpx.Response) -> None:
    """Raise FetchFailed for a status that brings no list, or a kind of content that is none."""
    status = response.status_code
    if status in (404, 410):
        raise _fetch_failed(
            url, f"answered {status}: the list is not there any more", "the provider has moved it: look for its new address"
        )
    if status in _BUSY:
        raise _fetch_failed(url, f"answered {status}: it takes no more requests now", "try again later")
    if status != 200:
        raise _fetch_failed(url, f"answered {status}")
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind and kind not in _TEXT_TYPES | _BYTES_TYPES and not re.fullmatch(r"application/[a-z0-9.-]+\+json", kind):
        raise _fetch_failed(
            url, f"answered with {kind} where a list was expected", "a page of a proxy or a login, perhaps: open it in a browser"
        )
    if not any(name in response.headers for name in ("Content-Length", "Transfer-Encoding")):
        raise _fetch_failed(url, "does not say how long its answer is, so that one cut short would not be seen")


def _read_body(url: str, response: httpx.Response, limits: FetchLimits, deadline: float) -> bytes:
    """Read the answer's whole body, unpacked; httpx itself would unpack without a limit."""
    length = response.headers.get("Content-Length", "")
    if re.fullmatch(r"[0-9]{1,20}", length) and int(length) > limits.size:
        raise _too_large_error(url, limits)
    packed = response.headers.get("Content-Encoding", "identity").lower()
    pieces = _pieces_within_limits(url, response.iter_raw(_CHUNK), limits, deadline)
    if packed == "identity":
        return b"".join(pieces)
    if packed != "gzip":
        raise _fetch_failed(url, f"is packed as {packed}, which was not asked for")
    return _unpack(url, pieces, limits)


def _pieces_within_limits(url: str, pieces: Iterable[bytes], limits: FetchLimits, deadline: float) -> Iterator[bytes]:
    size = 0
    for piece in pieces:
        size += len(piece)
        if size > limits.size:
            raise _too_large_error(url, limits)
        if time.monotonic() > deadline:
            raise TimeoutError
        yield piece


def _unpack(url: str, pieces: Iterable[bytes], limits: FetchLimits) -> bytes:
    unpacking, whole = zlib.decompressobj(wbits=31), bytearray()
    try:
        for piece in pieces:
            whole += unpacking.decompress(piece, limits.size + 1 - len(whole))
            if len(whole) > limits.size:
                raise _too_large_error(url, limits)
    except zlib.error:
        raise _fetch_failed(url, "says that it is packed as gzip, and is not") from None
    if not unpacking.eof or unpacking.unused_data:
        raise _fetch_failed(url, "was cut short" if not unpacking.eof else "goes on behind what is packed in it")
    return bytes(whole)


def _too_large_error(url: str, limits: FetchLimits) -> FetchFailed:
    return _fetch_failed(url, f"is larger than {limits.size / (1 << 20):g} MiB, which no list of addresses is")


def _parse_retry_after(text: str) -> float:
    """Read Retry-After (RFC 9110, 10.2.3): seconds or a date; a second for what is neither."""
    if re.fullmatch(r"[0-9]{1,9}", text.strip()):
        return float(text)
    try:
        when = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return 1.0
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def _client(limits: FetchLimits) -> httpx.Client:
    import httpx  # imported late: 32 ms

    return httpx.Client(
        verify=_tls_context(os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", "")),
        timeout=httpx.Timeout(limits.read, connect=limits.connect),
        headers={"User-Agent": f"egressctl/{__version__}", "Accept-Encoding": "gzip", "Accept": "*/*"},
        follow_redirects=False,
    )


@cache
def _tls_context(file: str, folder: str) -> ssl.SSLContext:  # noqa: ARG001  (httpx reads them; they distinguish one context from another)
    import httpx  # imported late: 32 ms

    return httpx.create_ssl_context()


@contextmanager
def _translate_errors(url: str) -> Iterator[None]:
    """Turn what httpx, TLS and the files of the environment raise into FetchFailed, in one sentence."""
    import httpx  # imported late: 32 ms

    try:
        yield
    except httpx.TimeoutException as late:
        stage = {"ConnectTimeout": "no connection", "PoolTimeout": "no connection"}.get(type(late).__name__, "nothing more")
        raise _fetch_failed(url, f"gave {stage} in time") from None
    except httpx.ProxyError as refused:
        raise _fetch_failed(url, f"could not be reached through the proxy of the environment: {refused}") from None
    except httpx.RemoteProtocolError as broken:
        cut = "complete message body" in str(broken) or "incomplete chunked read" in str(broken)
        raise _fetch_failed(url, "was cut short" if cut else f"broke off: {broken}") from None
    except httpx.TransportError as failure:
        untrusted = "CERTIFICATE_VERIFY_FAILED" in str(failure)
        why = "has a certificate that is not trusted" if untrusted else f"could not be reached: {failure}"
        raise _fetch_failed(url, why, "SSL_CERT_FILE names the authorities to trust" if untrusted else "") from None
    except (httpx.InvalidURL, ImportError, ValueError) as unusable:
        raise _fetch_failed(url, f"cannot be asked for: {unusable}") from None
    except OSError as unreadable:
        if isinstance(unreadable, TimeoutError):
            raise
        raise _fetch_failed(
            url, f"cannot be asked for: {unreadable.strerror or unreadable} (SSL_CERT_FILE, SSL_CERT_DIR)"
        ) from None


def _fetch_failed(url: str, why: str, hint: str = "") -> FetchFailed:
    return FetchFailed(neutralise(f"{url} {why}"), hint=hint)
