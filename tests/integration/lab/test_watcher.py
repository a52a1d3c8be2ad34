"""The watcher against a Kubernetes API that answers as a test tells it, faults among the answers."""

from __future__ import annotations

import asyncio
import base64
import datetime
import json
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from egressctl.errors import LabFailed
from egressctl.lab.certificates import Authority
from egressctl.lab.dataplane.objects import PLURALS
from egressctl.lab.dataplane.watcher import watch
from egressctl.model.entry import Manifest

GROUP = "/apis/networking.istio.io"
State = list[str]


def entry(name: str, version: int, note: str = "") -> dict[str, Any]:
    return {"metadata": {"namespace": "default", "name": name, "resourceVersion": str(version)}, "spec": {"note": note}}


def event(kind: str, item: dict[str, Any]) -> bytes:
    return json.dumps({"type": kind, "object": item}).encode() + b"\n"


def gone() -> bytes:
    return event("ERROR", {"kind": "Status", "code": 410, "message": "too old resource version"})


class Api:
    """Serves lists and watches in the order given; when they run out, watches stay silent."""

    def __init__(
        self, lists: list[list[dict[str, Any]] | int], watches: Iterable[list[bytes] | int], served: Iterable[str] = ("v1",)
    ):
        self.lists, self.watches, self.served = lists, list(watches), list(served)
        self.requests: list[web.Request] = []

    async def group(self, request: web.Request) -> web.Response:
        return web.json_response({"versions": [{"version": version} for version in self.served]})

    async def entries(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return await self.watch(request) if request.query.get("watch") else self.listed()

    def listed(self) -> web.Response:
        answer = self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]
        if isinstance(answer, int):
            return web.json_response({}, status=answer)
        return web.json_response({"metadata": {"resourceVersion": "10"}, "items": answer})

    async def watch(self, request: web.Request) -> web.StreamResponse:
        answer = self.watches.pop(0) if self.watches else None
        if isinstance(answer, int):
            return web.json_response({}, status=answer)
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in answer or ():
            await response.write(piece)
        if answer is None:
            await asyncio.Event().wait()
        if answer and not answer[-1].endswith(b"\n"):
            assert request.transport
            request.transport.abort()
        return response

    def resource_versions(self) -> list[str | None]:
        """Of each watch, where it started; None for a list."""
        return [request.query.get("resourceVersion") for request in self.requests]


async def states(
    api: Api, folder: Path, last: State, tls: ssl.SSLContext | None = None, user: str = "token: secret"
) -> list[State]:
    """Watch until the state is `last`; return every state that was told, entries as NAME or NAME=NOTE."""
    application = web.Application()
    application.router.add_get(GROUP, api.group)
    application.router.add_get(GROUP + "/{version}/serviceentries", api.entries)
    runner = web.AppRunner(application, shutdown_timeout=0.01)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    seen: list[State] = []
    over = asyncio.Event()

    def changed(plural: str, entries: Iterable[Manifest]) -> None:
        if plural != "serviceentries":
            return
        notes = [(item["metadata"]["name"], item["spec"]["note"]) for item in entries]
        seen.append(sorted(f"{name}={note}" if note else name for name, note in notes))
        if seen[-1] == last:
            over.set()

    server = f"http{'s' if tls else ''}://127.0.0.1:{runner.addresses[0][1]}"
    watching = asyncio.create_task(watch(kubeconfig(folder, server, user), changed))
    try:
        ends = [watching, asyncio.create_task(over.wait())]
        done, _ = await asyncio.wait(ends, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        assert done, f"only {seen}"
        if watching.done():
            watching.result()
    finally:
        watching.cancel()
        await asyncio.wait([watching])
        await runner.cleanup()
    return seen


def kubeconfig(folder: Path, server: str, user: str) -> Path:
    file = folder / "kubeconfig"
    authority = "\n    certificate-authority: ca.pem" if (folder / "ca.pem").exists() else ""
    file.write_text(
        f"current-context: c\ncontexts:\n- name: c\n  context: {{cluster: k, user: u}}\n"
        f"clusters:\n- name: k\n  cluster:\n    server: {server}{authority}\nusers:\n- name: u\n  user:\n    {user}\n"
    )
    return file


def watched(tmp_path: Path, api: Api, last: State) -> list[State]:
    return asyncio.run(states(api, tmp_path, last))


def test_every_change_is_told_whole(tmp_path: Path) -> None:
    changes = [event("ADDED", entry("b", 11)), event("MODIFIED", entry("b", 12, "new")), event("DELETED", entry("a", 13))]
    api = Api([[entry("a", 9)]], [changes])
    assert watched(tmp_path, api, ["b=new"]) == [["a"], ["a", "b"], ["a", "b=new"], ["b=new"]]
    assert {request.headers["Authorization"] for request in api.requests} == {"Bearer secret"}


def test_a_watch_that_ends_goes_on_where_it_was(tmp_path: Path) -> None:
    api = Api([[]], [[event("ADDED", entry("a", 11)), event("BOOKMARK", entry("", 20))], [event("ADDED", entry("b", 21))]])
    assert watched(tmp_path, api, ["a", "b"]) == [[], ["a"], ["a", "b"]]
    assert api.resource_versions()[:3] == [None, "10", "20"]


@pytest.mark.parametrize("expired", [[gone()], 410])
def test_an_expired_version_leads_to_a_new_list(tmp_path: Path, expired: list[bytes] | int) -> None:
    api = Api([[entry("a", 9)], [entry("b", 9)]], [expired])
    assert watched(tmp_path, api, ["b"]) == [["a"], ["b"]]


def test_a_kind_that_is_not_served_has_no_objects(tmp_path: Path) -> None:
    """Only ServiceEntries are served by the test's API."""
    told: dict[str, list[Manifest]] = {}

    async def until_all_are_told() -> None:
        application = web.Application()
        api = Api([[entry("a", 9)]], [])
        application.router.add_get(GROUP, api.group)
        application.router.add_get(GROUP + "/{version}/serviceentries", api.entries)
        runner = web.AppRunner(application, shutdown_timeout=0.01)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        all_told = asyncio.Event()

        def changed(plural: str, items: Iterable[Manifest]) -> None:
            told[plural] = list(items)
            if len(told) == len(PLURALS):
                all_told.set()

        server = f"http://127.0.0.1:{runner.addresses[0][1]}"
        watching = asyncio.create_task(watch(kubeconfig(tmp_path, server, "token: secret"), changed))
        async with asyncio.timeout(10):
            await all_told.wait()
        watching.cancel()
        await asyncio.wait([watching])
        await runner.cleanup()

    asyncio.run(until_all_are_told())
    assert told == {**{key: [] for key in PLURALS}, "serviceentries": [entry("a", 9)]}


def test_watches_that_end_at_once_are_not_asked_for_without_pause(tmp_path: Path) -> None:
    api = Api([[entry("a", 9)], [entry("b", 9)]], [[]])
    assert watched(tmp_path, api, ["b"]) == [["a"], ["b"]]
    assert api.resource_versions()[:3] == [None, "10", None]


@pytest.mark.parametrize("status", [403, 404, 429, 500, 503])
def test_a_refusal_is_asked_again(tmp_path: Path, status: int) -> None:
    assert watched(tmp_path, Api([status, status, [entry("a", 9)]], [status]), ["a"])[0] == ["a"]


@pytest.mark.parametrize(
    "broken",
    [
        [event("ADDED", entry("b", 11))[:-20]],
        [b"<html>\n"],
        [b'"text"\n'],
        [event("ERROR", {"code": 500, "message": "boom"})],
        [event("ADDED", {"metadata": {}})],
    ],
)
def test_a_broken_watch_leads_to_a_new_list(tmp_path: Path, broken: list[bytes]) -> None:
    api = Api([[entry("a", 9)], [entry("c", 9)]], [broken])
    assert watched(tmp_path, api, ["c"]) == [["a"], ["c"]]


def test_an_event_may_come_in_pieces_and_be_long(tmp_path: Path) -> None:
    whole = event("ADDED", entry("a", 11, "x" * 300_000)) + event("MODIFIED", entry("a", 12, "short"))
    pieces = [whole[:7], whole[7:100_000], whole[100_000:]]
    assert watched(tmp_path, Api([[]], [pieces]), ["a=short"])[0] == []


@pytest.mark.parametrize(
    ("served", "chosen"),
    [
        (["v1alpha3", "v1beta1", "v1"], "v1"),
        (["v1alpha3", "v1beta1"], "v1beta1"),
        (["v1alpha3"], "v1alpha3"),
        (["v2", "v1"], "v1"),
    ],
)
def test_the_newest_version_that_is_served_is_watched(tmp_path: Path, served: list[str], chosen: str) -> None:
    api = Api([[entry("a", 9)]], [], served)
    watched(tmp_path, api, ["a"])
    assert {request.path for request in api.requests} == {f"{GROUP}/{chosen}/serviceentries"}


def test_a_server_of_another_authority_is_not_trusted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tls, api = server_tls(tmp_path), Api([[entry("a", 9)]], [])
    (tmp_path / "ca.pem").write_text(Authority("another").certificate)

    async def until_refused() -> None:
        watching = asyncio.create_task(states(api, tmp_path, ["a"], tls))
        while "certificate verify failed" not in caplog.text and not watching.done():
            await asyncio.sleep(0)
        watching.cancel()
        await asyncio.wait([watching])

    asyncio.run(until_refused())
    assert api.requests == []
    assert "certificate verify failed" in caplog.text


@pytest.mark.parametrize("embedded", [True, False])
def test_a_client_certificate_is_presented(tmp_path: Path, embedded: bool) -> None:
    tls = server_tls(tmp_path)
    certificate, key = client_certificate()
    tls.load_verify_locations(cadata=certificate.decode())
    tls.verify_mode = ssl.CERT_REQUIRED
    if embedded:
        data = (base64.b64encode(content).decode() for content in (certificate, key))
        user = "client-certificate-data: {}\n    client-key-data: {}".format(*data)
    else:
        (tmp_path / "client.pem").write_bytes(certificate)
        (tmp_path / "client.key").write_bytes(key)
        user = "client-certificate: client.pem\n    client-key: client.key"
    api = Api([[entry("a", 9)]], [])
    assert asyncio.run(states(api, tmp_path, ["a"], tls, user)) == [["a"]]
    assert "Authorization" not in api.requests[0].headers


def server_tls(folder: Path) -> ssl.SSLContext:
    authority = Authority("test")
    issued = authority.issue(["127.0.0.1"])
    (folder / "ca.pem").write_text(authority.certificate)
    (folder / "server.pem").write_text(issued.key + issued.certificate)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / "server.pem")
    return tls


def client_certificate() -> tuple[bytes, bytes]:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "watcher")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
    )
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    return builder.sign(key, hashes.SHA256()).public_bytes(pem), key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)


@pytest.mark.parametrize("text", ["", "[]", "current-context: c", "{", "a: &a [*a]"])
def test_an_unusable_kubeconfig_is_named_without_its_content(tmp_path: Path, text: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(text)
    with pytest.raises(LabFailed, match="kubeconfig cannot be used") as failure:
        asyncio.run(watch(file, lambda plural, items: None))
    assert text not in str(failure.value) or not text
