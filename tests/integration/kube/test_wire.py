"""Faults of an API server as they come over the wire: what is asked again, what is raised, what never leaks."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from egressctl.errors import (
    ApiFailure,
    Conflict,
    CouldNotAsk,
    ExecFailed,
    Forbidden,
    NoConfiguration,
    NotFound,
    NotTrusted,
    Refused,
    Unauthorized,
    Unreachable,
)
from egressctl.kube import exec as kube_exec
from egressctl.kube.config import ConnectOptions, connect
from egressctl.kube.rest import Api, resource_path
from egressctl.lab.certificates import Authority
from egressctl.runtime.concurrency import gather
from labs import eventually

TOKEN = "hunter2-hunter2-hunter2"
ENTRIES = resource_path("networking.istio.io/v1", "default", "serviceentries")
ENTRY = ENTRIES + "/m"
M = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "ServiceEntry",
    "metadata": {"name": "m", "namespace": "default", "uid": "u"},
}
Act = Callable[[socket.socket, str], None]

PATIENCE = 60
"""Seconds that a busy machine has for what answers at once."""
LIMITS = (0.2, 1, 5, 25)
"""Seconds that somebody who says nothing is waited for, in turn, until they suffice for a busy machine to come so far."""


def answer(code: int, body: Any = None, *headers: str) -> Act:
    """Answer with JSON, by default that of an entry, or with bytes as they are."""
    content = body if isinstance(body, bytes) else json.dumps(M if body is None else body).encode()

    def act(sock: socket.socket, _: str) -> None:
        lines = [f"HTTP/1.1 {code} Said", f"Content-Length: {len(content)}", *headers]
        sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + content)

    return act


def said(code: int, message: str, *headers: str, **more: Any) -> Act:
    return answer(code, {"kind": "Status", "message": message, **more}, *headers)


def reset(sock: socket.socket, _: str) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise ConnectionError


def reset_later(sock: socket.socket, request: str) -> None:
    sock.sendall(b"\x89\x00")
    sock.recv(1)  # the pong: by now the client has read what was sent before, which a reset would discard
    reset(sock, request)


def raw(content: bytes) -> Act:
    def act(sock: socket.socket, _: str) -> None:
        sock.sendall(content)
        raise ConnectionError

    return act


def silence(sock: socket.socket, _: str) -> None:
    sock.recv(1)  # until the client gives up


def frames(*sent: bytes, then: Act | None = None) -> Act:
    """Accept a WebSocket and send these binary frames; then close, or do something worse."""

    def act(sock: socket.socket, request: str) -> None:
        key = re.search(r"Sec-WebSocket-Key: (\S+)", request)
        assert key
        digest = hashlib.sha1((key[1] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        head = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        head += [f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode()}", "Sec-WebSocket-Protocol: v5.channel.k8s.io"]
        sock.sendall("\r\n".join(head).encode() + b"\r\n\r\n")
        for frame in sent:
            sock.sendall(b"\x82\x7e" + struct.pack(">H", len(frame)) + frame)
        (then or (lambda s, _: s.sendall(b"\x88\x00")))(sock, request)
        raise ConnectionError

    return act


class Server:
    """A TLS server that does what it is told, one request after the other, and remembers what it was asked."""

    def __init__(self, folder: Path, *, tls: bool = True) -> None:
        self.plan: list[Act] = []
        self.requests: list[str] = []
        self.closed = 0
        self.authority = Authority("wire")
        issued = self.authority.issue(["127.0.0.1", "api.example"])
        pem = folder / "server.pem"
        pem.write_text(issued.certificate + issued.key)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(pem)
        self._tls = tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def has_closed(self, number: int) -> bool:
        """Say whether so many connections have ended on this side."""
        return self.closed == number

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    def _talk(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, ssl.SSLError), sock:
            talking = self._context.wrap_socket(sock, server_side=True) if self._tls else sock
            with talking:
                while request := self._read(talking):
                    self.requests.append(request)
                    self.plan.pop(0)(talking, request)
        self.closed += 1

    def _read(self, sock: socket.socket) -> str:
        content = b""
        while b"\r\n\r\n" not in content:
            piece = sock.recv(4096)
            if not piece:
                return ""
            content += piece
            if piece[0] == 0x16:  # a TLS handshake, of which a server without TLS understands nothing
                sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                return ""
        length = re.search(rb"(?i)content-length: (\d+)", content)
        while length and len(content.split(b"\r\n\r\n", 1)[1]) < int(length[1]):
            content += sock.recv(4096)
        return content.decode()

    def close(self) -> None:
        with contextlib.suppress(OSError):  # closed already
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.close()


def kubeconfig(folder: Path, server: Server, user: dict[str, Any] | None = None, /, **cluster: Any) -> str:
    data = base64.b64encode(server.authority.certificate.encode()).decode()
    cluster = {"server": f"https://127.0.0.1:{server.port}", "certificate-authority-data": data, **cluster}
    file = folder / "kubeconfig"
    content = {
        "current-context": "wire",
        "contexts": [{"name": "wire", "context": {"cluster": "wire", "user": "wire"}}],
        "clusters": [{"name": "wire", "cluster": cluster}],
        "users": [{"name": "wire", "user": {"token": TOKEN} if user is None else user}],
    }
    file.write_text(yaml.safe_dump(content))
    return str(file)


@pytest.fixture
def api(server: Server, tmp_path: Path) -> Iterator[Api]:
    api = connect(
        ConnectOptions(kubeconfig=kubeconfig(tmp_path, server), user_agent="egressctl/1 run-7", request_timeout=PATIENCE)
    )
    yield api
    api.close()


def opened(path: str, **options: Any) -> contextlib.closing[Api]:
    return contextlib.closing(connect(ConnectOptions(kubeconfig=path, **options)))


def test_the_request_says_who_asks_and_what_for(server: Server, api: Api) -> None:
    server.plan = [answer(201)]
    assert api.apply(ENTRY, {"spec": {}}, field_manager="me", force=True, dry_run=True) == (201, M)
    head, body = server.requests[0].split("\r\n\r\n")
    assert head.startswith(f"PATCH {ENTRY}?fieldManager=me&fieldValidation=Strict&force=true&dryRun=All HTTP/1.1")
    for line in (f"Authorization: Bearer {TOKEN}", "User-Agent: egressctl/1 run-7", "Content-Type: application/apply-patch+yaml"):
        assert line in head
    assert json.loads(body) == {"spec": {}}


@pytest.mark.parametrize("code", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("ask", ["get", "apply", "delete"])
def test_what_may_be_asked_again_is(server: Server, api: Api, code: int, ask: str) -> None:
    server.plan = [said(code, "not now", "Retry-After: 0"), answer(200)]
    asks: dict[str, Callable[[], object]] = {
        "get": lambda: api.get(ENTRY),
        "apply": lambda: api.apply(ENTRY, {}, field_manager="me"),
        "delete": lambda: api.delete(ENTRY, uid="u"),
    }
    asks[ask]()
    assert len(server.requests) == 2


def test_a_creation_is_asked_again_only_where_it_was_not_taken(server: Server, api: Api) -> None:
    server.plan = [said(429, "busy", "Retry-After: 0"), answer(201)]
    assert api.create(ENTRIES, {}) == M
    server.plan = [said(503, "perhaps")]
    with pytest.raises(ApiFailure):
        api.create(ENTRIES, {})
    server.plan = [reset]
    with pytest.raises(Unreachable, match="broke before"):
        api.create(ENTRIES, {})
    assert len(server.requests) == 4


def test_a_failure_that_stays_is_told_with_its_status(server: Server, api: Api) -> None:
    server.plan = [said(503, "etcd is away", "Retry-After: 0")] * 5
    with pytest.raises(ApiFailure, match="etcd is away") as failure:
        api.get(ENTRY)
    assert failure.value.status == 503
    assert server.plan == []


def test_a_wait_longer_than_the_time_that_is_left_is_not_begun(server: Server, api: Api) -> None:
    server.plan = [said(429, "busy", "Retry-After: 3600")]
    with pytest.raises(ApiFailure, match="asks to wait 3600 s, longer than --request-timeout") as failure:
        api.get(ENTRY)
    assert failure.value.status == 429


def test_the_500_that_is_a_mistake_of_input_is_not_asked_again(server: Server, api: Api) -> None:
    server.plan = [said(500, "failed to create typed patch object (/m): .spec.foo: field not declared in schema")]
    with pytest.raises(Refused, match=r"spec\.foo"):
        api.apply(ENTRY, {}, field_manager="me")
    assert len(server.requests) == 1


def test_an_answer_that_broke_is_asked_for_once_more(server: Server, api: Api) -> None:
    server.plan = [reset, answer(200)]
    assert api.apply(ENTRY, {}, field_manager="me")[0] == 200
    server.plan = [raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"), answer(200)]
    assert api.get(ENTRY) == M
    server.plan = [reset, reset]
    with pytest.raises(Unreachable, match="broke before its answer was complete"):
        api.get(ENTRY)


def test_a_connection_that_was_closed_while_at_rest_is_no_failure(server: Server, api: Api) -> None:
    for closed in range(3):
        assert eventually(partial(server.has_closed, closed))
        content = json.dumps(M).encode()
        server.plan = [raw(b"HTTP/1.1 201 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(content), content))]
        assert api.create(ENTRIES, {}) == M


def test_a_deletion_says_whether_there_was_an_object(server: Server, api: Api) -> None:
    gone = said(404, "not found", details={"name": "m", "kind": "serviceentries"})
    server.plan = [gone]
    assert api.delete(ENTRY, uid="u") is False
    assert json.loads(server.requests[0].split("\r\n\r\n")[1])["preconditions"] == {"uid": "u"}
    server.plan = [reset, gone]
    assert api.delete(ENTRY, uid="u") is True  # the first try may have done it
    server.plan = [said(429, "busy", "Retry-After: 0"), gone]
    assert api.delete(ENTRY, uid="u") is False
    server.plan = [answer(404, b"404 page not found\n")]
    with pytest.raises(NotFound, match="does not serve"):
        api.delete(ENTRY, uid="u")
    server.plan = [answer(404, b"<html>Nothing here</html>")]
    with pytest.raises(ApiFailure, match="an HTML page, which is not an answer of a Kubernetes API server"):
        api.delete(ENTRY, uid="u")


def test_a_deletion_whose_answer_was_cut_twice_is_not_known_to_be_one(server: Server, api: Api) -> None:
    cut = raw(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"kind": "Status", "status": "Success"')
    server.plan = [cut, answer(200)]
    assert api.delete(ENTRY, uid="u") is True
    server.plan = [cut, cut]
    with pytest.raises(Unreachable, match="broke before its answer was complete"):
        api.delete(ENTRY, uid="u")


def test_what_answers_beyond_a_proxy_is_told_with_it(server: Server, tmp_path: Path) -> None:
    (tmp_path / "proxy").mkdir()
    proxy = Server(tmp_path / "proxy", tls=False)
    proxy.plan = [answer(200, b"<title>Log in</title>")]
    cluster = {"server": "http://api.example", "proxy-url": f"http://127.0.0.1:{proxy.port}"}
    with opened(kubeconfig(tmp_path, server, **cluster)) as api, pytest.raises(ApiFailure) as failure:
        api.get(ENTRY)
    where = f"what answered at api.example (through the proxy 127.0.0.1:{proxy.port}) is not the Kubernetes API"
    assert str(failure.value).startswith(where)
    proxy.close()


@pytest.mark.parametrize(
    ("act", "kind", "words"),
    [
        (said(401, "Unauthorized"), Unauthorized, "401"),
        (said(403, 'User "dev" cannot get resource "pods" in API group ""'), Forbidden, "user dev may not get pods"),
        (answer(404, b"404 page not found\n"), NotFound, "does not serve serviceentries.networking.istio.io"),
        (said(409, "the object has been modified"), Conflict, "the object has been modified"),
        (said(422, "spec.hosts: Required value"), Refused, "spec.hosts: Required value"),
        (answer(200, b"<html>Log in</html>"), ApiFailure, "is not the Kubernetes API: asked to get serviceentries"),
        (answer(200, b"[1]"), ApiFailure, "it gave 200 and a JSON list"),
        (answer(404, b"<html>Nothing here</html>"), ApiFailure, "answered 404 when asked to get serviceentries"),
        (answer(404, {"message": "no Route matched"}), ApiFailure, "answered 404 when asked to get serviceentries"),
        (answer(302, b"", "Location: https://elsewhere.example/"), ApiFailure, "redirect"),
        (raw(b"SSH-2.0-OpenSSH_9.2\r\n"), Unreachable, "broke before"),
    ],
)
def test_each_refusal_has_its_class(server: Server, api: Api, act: Act, kind: type[Exception], words: str) -> None:
    server.plan = [act, act]
    with pytest.raises(kind) as failure:
        api.get(ENTRY)
    assert words in str(failure.value)
    assert TOKEN not in str(failure.value) + repr(failure.value)


def test_a_server_that_says_nothing_is_given_up(server: Server, tmp_path: Path) -> None:
    server.plan = [silence]
    for limit in LIMITS:
        path = kubeconfig(tmp_path, server)
        with opened(path, request_timeout=limit) as api, pytest.raises(Unreachable, match="did not answer in time"):
            api.get(ENTRY)
        if server.requests:
            break
    assert len(server.requests) == 1


def dripping(head: bytes, drop: bytes = b" ") -> Act:
    """Send this, and then a little again and again, until the client goes away."""

    def act(sock: socket.socket, _: str) -> None:
        sock.sendall(head)
        with contextlib.suppress(OSError):
            while True:
                sock.sendall(drop)
                time.sleep(0.02)
        raise ConnectionError

    return act


DRIPS = {
    "a body": dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"),
    "a header": dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x"),
    "headers": dripping(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "answers before the answer": dripping(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
}


@pytest.mark.parametrize("drip", DRIPS)
def test_an_answer_that_drips_is_given_up_too(server: Server, tmp_path: Path, drip: str) -> None:
    server.plan = [DRIPS[drip]]
    with opened(kubeconfig(tmp_path, server), request_timeout=0.3) as api, pytest.raises(Unreachable):
        api.get(ENTRY)


def test_a_proxys_answer_that_drips_is_given_up_too(server: Server, tmp_path: Path) -> None:
    (tmp_path / "proxy").mkdir()
    proxy = Server(tmp_path / "proxy", tls=False)
    proxy.plan = [dripping(b"HTTP/1.1 200 OK\r\nX: ", b"x")] * 9
    with opened(kubeconfig(tmp_path, server, **{"proxy-url": f"http://127.0.0.1:{proxy.port}"}), request_timeout=0.3) as api:
        with pytest.raises(Unreachable):
            api.get(ENTRY)
        with pytest.raises(Unreachable):
            run(api, timeout=0.3)
    proxy.close()


LISTED = {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntryList", "items": []}


def test_a_list_that_begins_again_for_ever_is_no_answer(server: Server, api: Api) -> None:
    server.plan = [answer(200, {**LISTED, "metadata": {"continue": token}}) for token in ("a", "b", "a")]
    with pytest.raises(ApiFailure, match="the same page for ever"):
        api.list(ENTRIES)


def test_a_list_that_does_not_end_is_no_answer(server: Server, api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("egressctl.kube.rest.MAX_PAGES", 3)
    server.plan = [answer(200, {**LISTED, "metadata": {"continue": str(number)}}) for number in range(9)]
    with pytest.raises(ApiFailure, match=r"the list does not end: .* more than 256 MiB or 3 pages"):
        api.list(ENTRIES)
    assert len(server.requests) == 5


def test_all_pages_of_a_list_share_the_time_of_one_question(server: Server, tmp_path: Path) -> None:
    def slow(sock: socket.socket, request: str) -> None:
        time.sleep(0.1)
        answer(200, {**LISTED, "metadata": {"continue": str(len(server.requests))}})(sock, request)

    server.plan = [slow] * 1000
    with opened(kubeconfig(tmp_path, server), request_timeout=0.5) as api, pytest.raises(Unreachable):
        api.list(ENTRIES)


def test_pages_are_put_together_and_an_expired_one_begins_anew(server: Server, api: Api) -> None:
    one, two = ({"metadata": {"name": name, "namespace": "default", "uid": name}} for name in ("one", "two"))
    told = {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntryList"}
    first = answer(200, {**told, "metadata": {"continue": "c/1"}, "items": [one]})
    server.plan = [first, said(410, "expired"), first, answer(200, {**told, "metadata": {}, "items": [two]})]
    whole = {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry"}
    assert api.list(ENTRIES, label_selector="a=b")["items"] == [{**one, **whole}, {**two, **whole}]
    assert [request.split(" ")[1].partition("?")[2] for request in server.requests[2:]] == [
        "limit=500&labelSelector=a%3Db",
        "limit=500&labelSelector=a%3Db&continue=c%2F1",
    ]


def test_warnings_are_kept_once_and_harmless(server: Server, api: Api) -> None:
    warning = 'Warning: 299 - "the \\"x\\" is \x1b[31mold", 299 - "second"'
    server.plan = [answer(200, M, warning), answer(200, M, warning)]
    api.get(ENTRY)
    api.get(ENTRY)
    assert api.warnings == ('the "x" is [31mold', "second")


def test_versions_come_newest_first_and_a_missing_group_names_istio(server: Server, api: Api) -> None:
    versions = [{"version": version} for version in ("v1alpha3", "v1", "v1beta1")]
    server.plan = [
        answer(200, {"kind": "APIGroup", "versions": versions}),
        answer(404, b"404 page not found\n"),
        answer(200, {"gitVersion": "v1.32.4"}),
    ]
    assert api.served_versions("networking.istio.io") == ("v1", "v1beta1", "v1alpha3")
    with pytest.raises(NotFound) as failure:
        api.served_versions("networking.istio.io")
    assert "Istio's CRDs are missing" in failure.value.hint
    assert api.server_version() == "v1.32.4"


def test_another_authority_is_not_trusted(server: Server, tmp_path: Path) -> None:
    other = base64.b64encode(Authority("other").certificate.encode()).decode()
    path = kubeconfig(tmp_path, server, **{"certificate-authority-data": other})
    with opened(path) as api:
        for ask in (
            lambda: api.get(ENTRY),
            lambda: kube_exec.run_in_container(api, "default", "p", "c", ["true"], timeout=PATIENCE),
        ):
            with pytest.raises(NotTrusted, match=r"not trusted by the kubeconfig's certificate authority"):
                ask()
    assert server.requests == []


def test_a_name_that_is_not_the_certificates_is_not_trusted_and_tls_server_name_says_which_is_meant(
    server: Server, tmp_path: Path
) -> None:
    with opened(kubeconfig(tmp_path, server, **{"tls-server-name": "other.example"})) as api, pytest.raises(NotTrusted):
        api.get(ENTRY)
    server.plan = [answer(200), frames(b"\x01hi", b'\x03{"status": "Success"}')]
    with opened(kubeconfig(tmp_path, server, **{"tls-server-name": "api.example"})) as api:
        assert api.get(ENTRY) == M
        assert kube_exec.run_in_container(api, "default", "p", "c", ["true"], timeout=PATIENCE).code == 0


def test_an_unverified_server_is_talked_to_where_the_kubeconfig_says_so_and_warned_of(server: Server, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, server, **{"certificate-authority-data": None, "insecure-skip-tls-verify": True})
    server.plan = [answer(200)]
    with opened(path) as api:
        assert api.get(ENTRY) == M
        assert "is not checked" in api.warnings[0]


def test_a_port_where_nobody_listens_is_named(server: Server, tmp_path: Path) -> None:
    path = kubeconfig(tmp_path, server)
    server.close()
    with opened(path, request_timeout=PATIENCE) as api:
        for ask in (
            lambda: api.get(ENTRY),
            lambda: kube_exec.run_in_container(api, "default", "p", "c", ["true"], timeout=PATIENCE),
        ):
            with pytest.raises(Unreachable, match=rf"127\.0\.0\.1:{server.port} refuses connections"):
                ask()


def test_a_server_without_tls_is_told_apart(tmp_path: Path) -> None:
    server = Server(tmp_path, tls=False)
    with opened(kubeconfig(tmp_path, server)) as api, pytest.raises(Unreachable, match="no TLS with the API server"):
        api.get(ENTRY)
    server.close()


def test_no_token_is_sent_without_tls(tmp_path: Path) -> None:
    server = Server(tmp_path, tls=False)
    server.plan = [answer(200)]
    with opened(kubeconfig(tmp_path, server), server=f"http://127.0.0.1:{server.port}") as api:
        api.get(ENTRY)
    assert TOKEN not in server.requests[0]
    server.close()


def test_impersonation_is_sent_with_rest_and_exec(server: Server, tmp_path: Path) -> None:
    server.plan = [answer(200), frames(b'\x03{"status": "Success"}')]
    path = kubeconfig(tmp_path, server, {"token": TOKEN, "as": "dev", "as-groups": ["a", "b"]})
    with opened(path) as api:
        api.get(ENTRY)
        kube_exec.run_in_container(api, "default", "p", "c", ["true"], timeout=PATIENCE)
    for request in server.requests:
        assert re.findall(r"Impersonate-(\w+: \w+)", request) == ["User: dev", "Group: a", "Group: b"]


def test_a_name_of_any_script_is_impersonated_in_utf8(server: Server, tmp_path: Path) -> None:
    server.plan = [answer(200), frames(b'\x03{"status": "Success"}')]
    with opened(kubeconfig(tmp_path, server, {"token": TOKEN, "as": "Жанна"})) as api:
        api.get(ENTRY)
        kube_exec.run_in_container(api, "default", "p", "c", ["true"], timeout=PATIENCE)
    assert ["Impersonate-User: Жанна" in request for request in server.requests] == [True, True]


def test_a_token_file_that_was_rotated_is_read_again_after_a_401(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")
    with opened(kubeconfig(tmp_path, server, {"tokenFile": "token"})) as api:
        file.write_text("new\n")
        server.plan = [said(401, "Unauthorized"), answer(200)]
        assert api.get(ENTRY) == M
        server.plan = [said(401, "Unauthorized")]
        with pytest.raises(Unauthorized):
            api.get(ENTRY)
    assert [re.findall(r"Bearer (\S+)", request)[0] for request in server.requests] == ["old", "new", "new"]


def plugin(folder: Path, script: str) -> dict[str, Any]:
    file = folder / "login-tool"
    file.write_text(f"#!{sys.executable}\n{script}")
    file.chmod(0o700)
    entry = {"apiVersion": "client.authentication.k8s.io/v1", "command": "./login-tool", "interactiveMode": "Never"}
    return {"exec": entry | {"installHint": "install login-tool from its site"}}


def test_a_credential_plugin_is_run_and_run_again_after_a_401(server: Server, tmp_path: Path) -> None:
    script = """
import json, os, pathlib
count = pathlib.Path(__file__).with_name("count")
count.write_text((count.read_text() if count.exists() else "") + "x")
kind = json.loads(os.environ["KUBERNETES_EXEC_INFO"])["kind"]
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": kind, "status": {"token": count.read_text()}}))
"""
    server.plan = [
        answer(200),
        said(401, "Unauthorized"),
        answer(200),
        said(401, "Unauthorized"),
        frames(b'\x03{"status": "Success"}'),
    ]
    with opened(kubeconfig(tmp_path, server, plugin(tmp_path, script))) as api:
        api.get(ENTRY)
        api.get(ENTRY)
        assert kube_exec.run_in_container(api, "default", "p", "c", ["true"], timeout=PATIENCE).code == 0
    assert [re.findall(r"Bearer (\S+)", request)[0] for request in server.requests] == ["x", "x", "xx", "xx", "xxx"]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("import sys; sys.exit('no session; key AKIA0123456789ABCDEF01 is stale')", "no session"),
        ("print('AKIA0123456789ABCDEF01')", "failed"),
        ("print('{\"AKIA0123456789ABCDEF01\": 1}')", "failed"),
        (
            'print(\'{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {}}\')',
            "neither a token nor a certificate",
        ),
    ],
)
def test_a_plugin_that_fails_is_named_and_what_could_be_a_secret_is_not(
    server: Server, tmp_path: Path, script: str, words: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(NoConfiguration) as failure:
        connect(ConnectOptions(kubeconfig=kubeconfig(tmp_path, server, plugin(tmp_path, script))))
    assert "login-tool of user 'wire'" in str(failure.value)
    assert words in str(failure.value)
    assert failure.value.hint == "install login-tool from its site"
    assert "AKIA" not in str(failure.value) + "".join(capfd.readouterr())


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("while True: print('x' * 1000)", "failed: it printed more than 1 MiB"),
        ("import sys\nwhile True: sys.stderr.write('x' * 1000)", "failed: it printed more than 1 MiB"),
        ("import time\nprint('x', flush=True)\ntime.sleep(1000)", "failed: it did not end within 1 s"),
        ("import os, time\nos.close(1)\nos.close(2)\ntime.sleep(1000)", "failed: it did not end within 1 s"),
        ("import subprocess\nsubprocess.Popen(['sleep', '1000'])", "failed: it did not end within 1 s"),
        ("print('[]')", "failed: what it printed is no ExecCredential"),
        ("print('[' * 100000)", "failed: what it printed is no JSON"),
        ("import sys\nsys.stdout.buffer.write(bytes([255]))", "failed: what it printed is no JSON"),
        ('print(\'{"kind": "ExecCredential", "apiVersion": []}\')', "has another apiVersion than"),
        ("import os\nos.kill(os.getpid(), 9)", "failed: process returned -9"),
        ("import sys\nsys.exit(len(sys.stdin.read()))", "failed: what it printed is no JSON"),
    ],
)
def test_a_plugin_has_a_time_and_a_size(server: Server, tmp_path: Path, script: str, words: str) -> None:
    path = kubeconfig(tmp_path, server, plugin(tmp_path, script))
    limit = 1 if "within 1 s" in words else PATIENCE
    with pytest.raises(NoConfiguration, match=re.escape(words)):
        connect(ConnectOptions(kubeconfig=path, request_timeout=limit))


@pytest.mark.parametrize(
    "fields",
    [
        {"args": 5},
        {"args": [5]},
        {"env": 5},
        {"env": [5]},
        {"env": [{"name": "a"}]},
        {"args": ["\0"]},
        {"command": 5},
        {"apiVersion": 5},
    ],
    ids=str,
)
def test_a_plugin_of_another_shape_is_a_matter_of_configuration(server: Server, tmp_path: Path, fields: dict[str, Any]) -> None:
    user = plugin(tmp_path, "print('{}')")
    user["exec"] |= fields
    with pytest.raises(NoConfiguration, match="plugin"):
        connect(ConnectOptions(kubeconfig=kubeconfig(tmp_path, server, user)))


@pytest.mark.parametrize("file", ["/dev/zero", "pipe"])
@pytest.mark.parametrize("field", ["tokenFile", "client-certificate", "certificate-authority"])
def test_files_of_credentials_have_a_time_and_a_size(server: Server, tmp_path: Path, field: str, file: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    config = yaml.safe_load(Path(kubeconfig(tmp_path, server)).read_text())
    section = config["clusters"][0]["cluster"] if field == "certificate-authority" else config["users"][0]["user"]
    section.pop("token", None)
    section.pop(f"{field}-data", None)
    section[field] = file
    (tmp_path / "other").write_text(yaml.safe_dump(config))
    why = r"file too large" if file == "/dev/zero" else r"nothing came in time"
    with pytest.raises(NoConfiguration, match=rf"cannot be read \({'.*' + file}\): {why}"):
        connect(ConnectOptions(kubeconfig=str(tmp_path / "other"), request_timeout=0.3))


@pytest.mark.parametrize("file", ["/dev/zero", "pipe"])
def test_a_kubeconfig_has_a_time_and_a_size(tmp_path: Path, file: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(NoConfiguration, match=r"larger than 4 MiB|cannot be read: nothing came in time"):
        connect(ConnectOptions(kubeconfig=str(tmp_path / file), request_timeout=0.3))


def test_a_plugin_that_is_not_installed_is_named_with_its_hint(server: Server, tmp_path: Path) -> None:
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-tool", "installHint": "get it"}}
    with pytest.raises(NoConfiguration, match="no-such-tool of user 'wire' is not installed") as failure:
        connect(ConnectOptions(kubeconfig=kubeconfig(tmp_path, server, user)))
    assert failure.value.hint == "get it"


@pytest.mark.parametrize(
    "user", [{"client-certificate-data": "!", "client-key-data": "!"}, {"client-certificate": "none"}, {"tokenFile": "none"}]
)
def test_credentials_that_cannot_be_read_are_a_matter_of_configuration(
    server: Server, tmp_path: Path, user: dict[str, Any]
) -> None:
    with pytest.raises(NoConfiguration, match=r"wire|no usable PEM"):
        connect(ConnectOptions(kubeconfig=kubeconfig(tmp_path, server, user)))


def test_the_environments_proxy_is_not_asked_for_loopback(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    server.plan = [answer(200), frames(b'\x03{"status": "Success"}')]
    with opened(kubeconfig(tmp_path, server)) as api:
        assert api.get(ENTRY) == M
        assert kube_exec.run_in_container(api, "default", "p", "c", ["true"], timeout=PATIENCE).code == 0


def test_the_kubeconfigs_proxy_is_asked_by_rest_and_exec(server: Server, tmp_path: Path) -> None:
    (tmp_path / "proxy").mkdir()
    proxy = Server(tmp_path / "proxy", tls=False)
    proxy.plan = [answer(407, b"")] * 2
    with opened(kubeconfig(tmp_path, server, **{"proxy-url": f"http://u:{TOKEN}@127.0.0.1:{proxy.port}"})) as api:
        for ask in (
            lambda: api.get(ENTRY),
            lambda: kube_exec.run_in_container(api, "default", "p", "c", ["true"], timeout=PATIENCE),
        ):
            with pytest.raises(Unreachable, match=r"the proxy would not connect .* it answered 407") as failure:
                ask()
            assert TOKEN not in str(failure.value)
    assert [request.split(" ")[0] for request in proxy.requests] == ["CONNECT", "CONNECT"]
    proxy.close()


def exit_status(code: int) -> bytes:
    cause = {"reason": "ExitCode", "message": str(code)}
    return b"\x03" + json.dumps({"status": "Failure", "reason": "NonZeroExitCode", "details": {"causes": [cause]}}).encode()


def run(api: Api, *, timeout: float = PATIENCE, limit: int = 1 << 20) -> kube_exec.ExecResult:
    return kube_exec.run_in_container(api, "default", "sleep", "curl", ["curl", "-q", "a b"], timeout=timeout, limit=limit)


def test_a_command_gives_its_outputs_and_its_exit_code(server: Server, api: Api) -> None:
    server.plan = [frames(b"\x01", b"\x02", b"\x01a\xff", b"\x02e", b"\x01b", exit_status(35))]
    result = run(api)
    assert (result.code, result.stdout, result.stderr) == (35, b"a\xffb", b"e")
    path = server.requests[0].split(" ")[1]
    query = "command=curl&command=-q&command=a+b&container=curl&stdout=true&stderr=true"
    assert path == f"/api/v1/namespaces/default/pods/sleep/exec?{query}"
    assert "User-Agent: egressctl/1 run-7" in server.requests[0]


@pytest.mark.parametrize("then", [reset_later, raw(b"\x88\x00"), raw(b""), raw(b"\x82\x7e\x00\x50\x01cut")])
def test_a_command_whose_end_was_lost_keeps_what_had_come_and_has_no_code(server: Server, api: Api, then: Act) -> None:
    server.plan = [frames(b"\x01half", then=then)]
    result = run(api)
    assert (result.code, result.error) == (None, "the connection was lost before the command ended")
    assert result.stdout == b"half"
    assert not result.timed_out


def is_left_with_half(server: Server, api: Api, then: Act) -> bool:
    """Say whether a command of which only `half` came is left in its time, with that."""
    for limit in LIMITS:
        api.silent_execs.clear()
        server.plan = [frames(b"\x01half", then=then)]
        with contextlib.suppress(Unreachable):  # the command had not begun by then
            result = run(api, timeout=limit)
            assert (result.code, result.timed_out) == (None, True)
            if result.stdout:
                break
    return result.stdout == b"half"


def test_a_command_that_does_not_end_is_left_in_time_with_what_it_said(server: Server, api: Api) -> None:
    assert is_left_with_half(server, api, silence)


def test_a_command_that_says_too_much_is_cut(server: Server, api: Api) -> None:
    server.plan = [frames(b"\x01" + b"x" * 60, b"\x02" + b"y" * 60, then=silence)]
    result = run(api, limit=100)
    assert (result.code, len(result.stdout), len(result.stderr), result.truncated) == (None, 60, 40, True)


@pytest.mark.parametrize(
    ("act", "kind", "words"),
    [
        (said(401, "Unauthorized"), Unauthorized, "401"),
        (
            said(
                403,
                'User "ci" cannot create resource "pods/exec" in API group "" in the namespace "default"',
            ),
            Forbidden,
            "user ci may not create pods/exec in namespace default",
        ),
        (said(404, 'pods "sleep" not found', details={"name": "sleep", "kind": "pods"}), NotFound, 'pods "sleep" not found'),
        (said(400, "container curl is not valid for pod sleep"), ExecFailed, "container curl is not valid"),
        (said(500, "error dialing backend: no route to host"), ApiFailure, "error dialing backend"),
        (answer(200, {}), ExecFailed, "not WebSocket"),
        (answer(302, b"", "Location: wss://127.0.0.1:1/"), ExecFailed, "WebSocket"),
        (reset, Unreachable, "broke"),
    ],
)
def test_a_command_that_was_not_begun_is_an_exception(
    server: Server, api: Api, act: Act, kind: type[Exception], words: str
) -> None:
    server.plan = [act]
    with pytest.raises(kind) as failure:
        run(api)
    assert words in str(failure.value)
    assert TOKEN not in str(failure.value)


def test_forbidden_to_exec_says_which_rights_it_takes(server: Server, api: Api) -> None:
    server.plan = [said(403, "no")]
    with pytest.raises(Forbidden) as failure:
        run(api)
    assert (failure.value.verb, failure.value.resource, failure.value.namespace) == ("create", "pods/exec", "default")
    assert "get and create on pods/exec" in failure.value.hint


def test_a_silent_handshake_is_given_up(server: Server, api: Api) -> None:
    server.plan = [silence]
    for limit in LIMITS:
        api.silent_execs.clear()
        with pytest.raises(Unreachable) as failure:
            run(api, timeout=limit)
        if server.requests:
            break
    assert "did not begin the command in time" in str(failure.value)


def test_a_handshake_that_drips_is_given_up(server: Server, api: Api) -> None:
    server.plan = [dripping(b"HTTP/1.1 101 Switching Protocols\r\nX: ", b"x")]
    with pytest.raises(Unreachable, match="did not begin the command in time"):
        run(api, timeout=0.3)


def test_a_container_that_does_not_answer_is_not_asked_again_and_again(server: Server, api: Api) -> None:
    server.plan = [frames(then=silence)] * 2
    for _ in range(2):
        with contextlib.suppress(Unreachable):  # the command had not begun by then
            assert run(api, timeout=0.2).timed_out
    server.plan, server.requests = [], []
    with pytest.raises(ExecFailed, match="the last 2 commands in container curl of pod default/sleep gave no answer in time"):
        run(api)
    assert not server.requests
    server.plan = [frames(exit_status(0))]
    assert kube_exec.run_in_container(api, "default", "sleep", "another", ["true"], timeout=PATIENCE).code == 0


STREAMS = {
    "pings": (b"", b"\x89\x00"),
    "empty frames": (b"", b"\x82\x00"),
    "one frame": (b"\x82\x7f" + struct.pack(">Q", 1 << 20) + b"\x01", b"x"),
    "parts of one message": (b"\x02\x01\x01", b"\x00\x01x"),
}


@pytest.mark.parametrize("stream", STREAMS)
def test_a_command_whose_answer_drips_is_left_in_time(server: Server, api: Api, stream: str) -> None:
    assert is_left_with_half(server, api, dripping(*STREAMS[stream]))


@pytest.mark.parametrize(
    "head", [b"\x82\x7f" + struct.pack(">Q", 1 << 40), b"\x02\x7f" + struct.pack(">Q", 1 << 33)], ids=["a frame", "a part"]
)
def test_a_frame_of_gigabytes_is_not_read(server: Server, api: Api, head: bytes) -> None:
    def flood(sock: socket.socket, _: str) -> None:
        sock.sendall(head)
        with contextlib.suppress(OSError):
            while True:
                sock.sendall(bytes(1 << 16))
        raise ConnectionError

    server.plan = [frames(b"\x01half", then=flood)]
    result = run(api, limit=1000)
    assert (result.code, result.stdout, result.truncated, result.error) == (
        None,
        b"half",
        True,
        "the output is longer than 1000 bytes",
    )


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: x",
        b"Content-Length: -5",
        b"Content-Length: " + b"9" * 5000,
        b"no header",
        b"X: \xff",
        b"X: " + b"x" * 100_000,
    ],
    ids=lambda head: repr(head[:24]),
)
def test_a_handshake_of_another_shape_is_an_exception(server: Server, api: Api, head: bytes) -> None:
    for status in (b"101 Switching Protocols", b"500 No", b"x"):
        server.plan = [raw(b"HTTP/1.1 " + status + b"\r\n" + head + b"\r\n\r\n")]
        with pytest.raises(CouldNotAsk):
            run(api)


def test_a_hundred_commands_at_once_do_not_get_in_each_others_way(server: Server, api: Api) -> None:
    def echo(sock: socket.socket, request: str) -> None:
        word = re.search(r"command=(\d+)", request)
        assert word
        frames(b"\x01" + word[1].encode(), exit_status(int(word[1])))(sock, request)

    server.plan = [echo] * 100
    calls = [lambda n=n: kube_exec.run_in_container(api, "default", "p", "c", [str(n)], timeout=PATIENCE) for n in range(100)]
    results = gather(calls, at_most=16)
    assert [(result.code, result.stdout) for result in results] == [(n, str(n).encode()) for n in range(100)]


def test_keys_of_a_kubeconfig_are_not_left_in_files(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    issued = server.authority.issue(["client"])
    encoded = {
        "client-certificate-data": base64.b64encode(issued.certificate.encode()).decode(),
        "client-key-data": base64.b64encode(issued.key.encode()).decode(),
    }
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("egressctl.kube.config.MEMORY", temporary)
    server.plan = [answer(200), answer(200)]
    for _ in range(2):
        with opened(kubeconfig(tmp_path, server, encoded)) as api:
            assert api.get(ENTRY) == M
    assert list(temporary.iterdir()) == []


def test_the_official_client_is_not_imported_before_it_is_needed() -> None:
    script = "import sys, egressctl.kube.config, egressctl.kube.exec; sys.exit('kubernetes' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
