"""Commands in containers, over WebSocket. The official client's `stream` has no connect time-out and is not thread-safe."""

from __future__ import annotations

import itertools
import json
import re
import time
from collections.abc import Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

from egressctl.errors import EgressctlError, ExecFailed, Unreachable
from egressctl.kube.connection import ApiConnection, network_failure
from egressctl.kube.rest import STATUS_RETRIES, Api, pause_before_retry, resource_path
from egressctl.kube.status import ApiRequest, error_for_answer, one_line, parse_status
from egressctl.model.json_values import mapping_at, mappings_at
from egressctl.runtime.query import encode_query
from egressctl.runtime.sanitize import quote

_NEVER_RAN = (None, 126, 127, 128, 255)
"""Ends of a program that may never have run: no exit code, or the shells' and runtimes' own. curl's go up to 101."""
_NOT_FOUND = 127
"""The end of a command that a shell, or a runtime that does as a shell, did not find."""
_SILENT_AT_MOST = 2
"""So many commands in turn may give no answer: a container that does not answer is not waited for again and again."""
_FRAMING, _LEAST = 4, 1 << 16
"""So many bytes come at most for each that is taken, a frame of one byte being four, and for what is no output at all."""
_SEARCHED_BYTES = 4000
"""So many bytes of a stream, its last ones, are searched for a sentence."""
_LONGEST_ERROR = 16_000

PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"]
_STDOUT, _STDERR, _STATUS = 1, 2, 3
_EXIT_STATUS = re.compile(r"exit status (\d+)$")


class ExecResult(NamedTuple):
    """What a command did. `code` is None where it never ran, or where its end was not seen; then `error` says why, at any length.

    What had come by then is in `stdout` and `stderr`, cut where `truncated`.
    """

    code: int | None
    stdout: bytes
    stderr: bytes
    error: str = ""
    timed_out: bool = False
    truncated: bool = False


def import_websocket() -> None:
    """Import what the first exec would have to wait for."""
    import websocket  # noqa: F401  # imported late: 12 ms


def run_in_container(
    api: Api, namespace: str, pod: str, container: str, argv: Sequence[str], *, timeout: float, limit: int = 8 << 20
) -> ExecResult:
    """Run a command without input and wait for its end, for at most `timeout` seconds, the connecting included.

    Once the command was begun, whatever happens is in the result. Before that it raises
    Unauthorized, Forbidden (pods/exec), NotFound, ExecFailed, ApiFailure, Unreachable or NotTrusted.
    A container where commands in turn gave no answer is not asked again: that is ExecFailed.
    `limit` is in bytes, for both outputs together; a command that says more is left.
    """
    # Imported late: 12 ms
    from websocket import ABNF, WebSocketException, WebSocketTimeoutException

    from egressctl.kube.websocket_deadline import TooMuch

    where = (namespace, pod, container)
    if api.silent_execs.get(where, 0) >= _SILENT_AT_MOST:
        last = f"the last {_SILENT_AT_MOST} commands in container {container} of pod {namespace}/{pod}"
        raise ExecFailed(
            f"{last} gave no answer in time, and no further one is run",
            hint=f"kubectl exec -n {quote(namespace)} {quote(pod)} -c {quote(container)} -- true",
        )
    ends = time.monotonic() + timeout
    try:
        socket = _open_websocket(api, where, argv, ends, _FRAMING * (limit + _LEAST))
    except _NoHandshake:
        _note_silence(api, where, silent=True)
        raise
    outputs = {_STDOUT: bytearray(), _STDERR: bytearray(), _STATUS: bytearray()}
    error, timed_out, truncated = "", False, False
    try:
        while not outputs[_STATUS]:  # the status is always the last to come
            opcode, frame = socket.recv_data()
            if opcode == ABNF.OPCODE_CLOSE:
                break
            if len(frame) > 1 and frame[0] in outputs:
                outputs[frame[0]] += frame[1:]
            excess = sum(map(len, outputs.values())) - limit
            if excess > 0 and not outputs[_STATUS]:
                del outputs[frame[0]][-excess:]
                raise TooMuch
    except (WebSocketTimeoutException, TimeoutError):
        timed_out, error = True, f"the command did not end within {timeout:g} s"
    except TooMuch:
        truncated, error = True, f"the output is longer than {limit} bytes"
    except (WebSocketException, OSError, ValueError):
        error = "the connection was lost before the command ended"
    finally:
        socket.shutdown()
    _note_silence(api, where, silent=timed_out)
    code = None
    if outputs[_STATUS]:
        code, error = read_exit_status(bytes(outputs[_STATUS]))
    elif not error:
        error = "the connection was lost before the command ended"
    return ExecResult(code, bytes(outputs[_STDOUT]), bytes(outputs[_STDERR]), error, timed_out, truncated)


def read_exit_status(status: bytes) -> tuple[int | None, str]:
    """Read the status of a command's end: its exit code, None where it could not be started, and what was said."""
    try:
        told = mapping_at(json.loads(status))
    except (ValueError, RecursionError):
        return None, "the command's status cannot be read"
    if told.get("status") == "Success":
        return 0, ""
    # It may have the whole command line in it, before what happened.
    message = one_line(str(told.get("message") or told.get("reason") or "the command failed"), _LONGEST_ERROR)
    for cause in mappings_at(told, "details", "causes"):
        code = str(cause.get("message", ""))
        if cause.get("reason") == "ExitCode" and code.isdecimal() and len(code) < 4:
            return int(code), message
    # Stand-ins for a kubelet give the code in words alone.
    words = _EXIT_STATUS.search(message) if told.get("reason") == "InternalError" else None
    return (int(words[1]) if words and len(words[1]) < 4 else None), message


def _note_silence(api: Api, where: tuple[str, str, str], *, silent: bool) -> None:
    api.silent_execs[where] = api.silent_execs.get(where, 0) + 1 if silent else 0


def _open_websocket(api: Api, where: tuple[str, str, str], argv: Sequence[str], ends: float, most: int) -> Any:
    namespace, pod, container = where
    query = [("command", word) for word in argv] + [("container", container), ("stdout", "true"), ("stderr", "true")]
    path = f"{resource_path('v1', namespace, 'pods', pod)}/exec?{encode_query(query)}"
    what = ApiRequest("create", "", "pods/exec", namespace, pod)
    renewed = False
    for attempt in itertools.count():
        connection = api.connection()
        try:
            return _handshake(api, connection, path, what, ends, most)
        except _HandshakeRefused as refused:
            if refused.status == 401 and not renewed and api.renew(connection):
                renewed = True
                continue
            pause = pause_before_retry(refused.retry_after, attempt)
            # An API server that is too busy has begun nothing.
            if refused.status != 429 or attempt >= STATUS_RETRIES or time.monotonic() + pause >= ends:
                raise refused.error from None
        time.sleep(pause)
    raise AssertionError("unreachable")


class _NoHandshake(Unreachable):
    pass


class _HandshakeRefused(Exception):
    def __init__(self, status: int, error: EgressctlError, retry_after: str) -> None:
        super().__init__(status)
        self.status, self.error, self.retry_after = status, error, retry_after


def _handshake(api: Api, connection: ApiConnection, path: str, what: ApiRequest, ends: float, most: int) -> Any:
    import websocket  # imported late: 12 ms

    from egressctl.kube.websocket_deadline import TooMuch, WebSocketInTime

    if ends <= time.monotonic():
        raise Unreachable(f"no time was left to run a command in pod {what.name}")
    socket = WebSocketInTime(
        ends,
        most,
        sslopt={"context": connection.tls, "server_hostname": connection.server_name or connection.host}
        if connection.tls
        else {},
        skip_utf8_validation=True,
        enable_multithread=False,
    )
    try:
        # `redirect_limit`: a redirect would take the credentials elsewhere.
        socket.connect(
            "ws" + connection.base.removeprefix("http") + path,
            header=[f"{name}: {value}" for name, value in (("User-Agent", api.user_agent), *connection.headers)],
            subprotocols=PROTOCOLS,
            suppress_origin=True,
            redirect_limit=0,
            **_proxy_options(connection),
        )
    except websocket.WebSocketBadStatusException as error:
        refusal = _handshake_error(error.status_code, error.resp_body or b"", what)
        raise _HandshakeRefused(error.status_code, refusal, str((error.resp_headers or {}).get("retry-after", ""))) from None
    except websocket.WebSocketTimeoutException:
        raise _NoHandshake(f"the API server {connection.where} did not begin the command in time") from None
    except (websocket.WebSocketProxyException, websocket.WebSocketAddressException, OSError) as error:
        raise network_failure(error, connection) from None
    except websocket.WebSocketConnectionClosedException as error:
        raise network_failure(error, connection) from None
    except (websocket.WebSocketException, TooMuch, ValueError):
        raise ExecFailed(
            f"{connection.where} does not speak WebSocket as Kubernetes does", hint="is a proxy in between?"
        ) from None
    return socket


def _proxy_options(connection: ApiConnection) -> dict[str, Any]:
    if connection.proxy is None:
        # Else websocket-client looks into the environment by rules of its own; and it heeds no_proxy only with a proxy.
        return {"http_proxy_host": "none", "http_proxy_port": 1, "http_no_proxy": ["*"]}
    user, _, password = (connection.proxy.auth or "").partition(":")
    return {
        "http_proxy_host": connection.proxy.host,
        "http_proxy_port": connection.proxy.port or 80,
        "http_proxy_auth": (unquote(user), unquote(password)) if user else None,
        "http_no_proxy": ["-"],
        "proxy_type": "http",
    }


def _handshake_error(code: int, body: bytes, what: ApiRequest) -> EgressctlError:
    if code < 400:
        return ExecFailed(f"commands cannot be run: the API server answered {code}, not WebSocket", hint="is a proxy in between?")
    if code == 400:
        said = one_line(str(parse_status(body).get("message") or body.decode("utf-8", "replace"))) or "no reason given"
        return ExecFailed(f"no command can be run in pod {what.name}{what.place}: {said}")
    error = error_for_answer(code, body, what)
    if code == 403:
        error.hint = f"exec needs get and create on pods/exec; {error.hint}"
    return error


def is_program_missing(ran: ExecResult, program: str) -> bool:
    """Say whether a command was never run because the container has no such program.

    Some runtimes say it in the status, others on the command's own streams with exit code 126 or 127.
    """
    if ran.code not in _NEVER_RAN:
        return False
    streams = (
        (ran.stdout[-_SEARCHED_BYTES:] + b"\n" + ran.stderr[-_SEARCHED_BYTES:]).decode("utf-8", "replace") if ran.code else ""
    )
    if says_program_is_missing(f"{ran.error}\n{streams}", program):
        return True
    if ran.code != _NOT_FOUND:
        return False
    # In whatever language: `bash: curl: Kommando nicht gefunden.`; a library or a symbol that is missing has a name of its own.
    _, _, last = _QUOTES.sub("", streams.strip()).rpartition("\n")
    of = last.rpartition(": ")[0].rpartition(": ")[2].split()[-1:]
    return not last or of in ([program], [f"{program}.exe"])


def says_program_is_missing(text: str, program: str) -> bool:
    """Say whether a runtime or a shell says that there is no such program, in whatever words around it.

    What counts is the kind of the failure, ENOENT or a search in PATH, and of which file that is said: the last that is named
    before it. A folder, a library or a socket that is missing is another matter.
    """
    plain = _LISTS.sub(" ", _QUOTES.sub("", text))
    return any(
        _is_about(line[: found.start()], found, program) for line in plain.splitlines() for found in _NOT_THERE.finditer(line)
    )


_QUOTES = re.compile(r"""[\\"'`\u2018\u2019\u201c\u201d]+""")
_LISTS = re.compile(r"\[[^\]\n]*\]")
"""A PATH, or a whole command line, as Go prints them."""
_NOT_THERE = re.compile(
    # The names of the errors, of Linux, Rust and Windows.
    r"(?P<errno>ENOENT|no such file or directory|\bos error 2\b|cannot find the file specified|\b0x2\b|\b80070002\b)"
    # What a search in PATH, a shell and an agent in a virtual machine say.
    r"|not found in \$?PATH|(?:executable file|command|applet|was|:) not found(?:: (?P<after>\S+))?",
    re.IGNORECASE,
)


_EXEC = re.compile(r"(?:failed to |could not |cannot )?exec(?:v\w*|ute)?(?: process| command)?(?: failed| error)?")
"""What fails where no file is named: `exec failed: No such file or directory (os error 2)`."""


def _is_about(before: str, found: re.Match[str], program: str) -> bool:
    """Say whether that something is not there is said of the program; `before` is what stands before it in its line."""
    names = (program, f"{program}.exe")
    if found["after"] in names:
        return True
    last = before.rstrip(" :").rpartition(": ")[2].strip().rstrip(":")
    if " " not in last and last.rpartition("/")[2] in names:
        return True
    if " " not in last and last and found["errno"] is None and not found[0].lower().startswith("executable"):
        return False  # `curl: line 2: jq: command not found`: the wrapper is there
    if re.search(r"CreateProcess", before) and found["errno"]:
        return True  # of Windows, with the whole command line before it
    files = [word for word in re.split(r"[\s():,;=<>{}]+", before) if word.rpartition("/")[2] in names or _is_path(word)]
    if files:
        return files[-1].rpartition("/")[2] in names
    return bool(found["errno"] and _EXEC.fullmatch(last))


def _is_path(word: str) -> bool:
    return word.startswith(("/", "./")) or ".so" in word
