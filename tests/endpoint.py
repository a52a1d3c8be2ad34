"""The lab's endpoint in this process, on a thread of its own, with commands run on this machine."""

from __future__ import annotations

import asyncio
import datetime
import http.client
import ipaddress
import json
import os
import ssl
import threading
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlencode

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from egressctl.lab.api.server import ApiEndpoint, serve_api
from egressctl.lab.api.settings import Container, EndpointSettings, EnterPlan

TOKEN = "a-token-for-tests"
ENTRIES = "/apis/networking.istio.io/v1/namespaces/default/serviceentries"
APPLY = "application/apply-patch+yaml"
T = TypeVar("T")


class LoopThread:
    """Run coroutines on an event loop that turns on a thread of its own."""

    def __init__(self, name: str) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T], timeout: float = 30.0) -> T:
        """Run to the end and return the result; raise TimeoutError after `timeout` seconds."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(timeout)

    def close(self) -> None:
        self.run(self._finish())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()

    async def _finish(self) -> None:
        # What was accepted at the last moment comes to be only meanwhile.
        while self._end_what_is_there():
            await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}), return_exceptions=True)
            await asyncio.sleep(0)
        await self.loop.shutdown_asyncgens()
        await self.loop.shutdown_default_executor()

    def _end_what_is_there(self) -> bool:
        """End every task and connection, also one whose task was never begun, or whose other side is silent."""
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        transports = [each for each in getattr(self.loop, "_transports", {}).values() if not each.is_closing()]
        for transport in transports:
            over_tls = getattr(transport.get_protocol(), "_app_transport", None)
            (over_tls or transport).abort()
        return bool(tasks or transports)


def self_signed(directory: Path) -> tuple[Path, Path]:
    """Write a certificate for 127.0.0.1 that is its own authority, and its key; return both files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    crt, pem = directory / "tls.crt", directory / "tls.key"
    crt.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem.touch(mode=0o600)
    pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return crt, pem


def write_kubeconfig(path: Path, server: str, authority: Path, token: str) -> Path:
    """Write a kubeconfig with one context, `lab`."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "clusters": [{"name": "lab", "cluster": {"server": server, "certificate-authority": str(authority)}}],
        "users": [{"name": "lab", "user": {"token": token}}],
        "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": "lab", "namespace": "default"}}],
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path


@dataclass(frozen=True)
class Answered:
    """An answer: HTTP status, body (JSON where it is any), Warning headers."""

    status: int
    body: Any
    warnings: tuple[str, ...]


def on_this_machine(container: Container) -> EnterPlan | None:
    """Run commands as they are, with this process's PATH."""
    return EnterPlan((), {"PATH": os.environ["PATH"]})


class TestEndpoint:
    """A running endpoint: `kubeconfig`, `url`, `authority` (PEM), `token`, and `request` for plain questions."""

    __test__ = False

    def __init__(
        self,
        directory: Path,
        *,
        enter: Callable[[Container], EnterPlan | None] = on_this_machine,
        log: Callable[[Container], Path | None] = lambda _: None,
    ) -> None:
        self.directory, self.token, self._enter, self._log = directory, TOKEN, enter, log

    def __enter__(self) -> Self:
        self.authority, key = self_signed(self.directory)
        settings = EndpointSettings("127.0.0.1", 0, TOKEN, self.authority, key, self._enter, log=self._log)
        self.thread = LoopThread("endpoint")
        self.endpoint: ApiEndpoint = self.thread.run(serve_api(settings))
        self.port = self.endpoint.port
        self.url = f"https://127.0.0.1:{self.port}"
        self.kubeconfig = write_kubeconfig(self.directory / "kubeconfig", self.url, self.authority, TOKEN)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.thread.run(self.endpoint.close())
        self.thread.close()

    def connection(self) -> http.client.HTTPSConnection:
        context = ssl.create_default_context(cafile=str(self.authority))
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=context)

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        media_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> Answered:
        """Put one question; `body` that is no bytes goes as JSON."""
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        told = {"Authorization": f"Bearer {self.token}", "Content-Type": media_type, **(headers or {})}
        connection = self.connection()
        try:
            connection.request(method, quote(path, safe="/%") + (f"?{urlencode(query)}" if query else ""), sent, told)
            answer = connection.getresponse()
            raw = answer.read()
            is_json = "json" in (answer.getheader("Content-Type") or "")
            return Answered(answer.status, json.loads(raw) if is_json else raw, tuple(answer.headers.get_all("Warning") or ()))
        finally:
            connection.close()

    def apply(self, manifest: Mapping[str, Any], *, manager: str = "egressctl", **query: Any) -> Answered:
        """Server-side apply a ServiceEntry in namespace default."""
        path = f"{ENTRIES}/{manifest['metadata']['name']}"
        return self.request("PATCH", path, manifest, media_type=APPLY, fieldManager=manager, **query)
