"""What tests do in a running lab."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
import threading
import time
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import yaml

from egressctl.lab import control
from egressctl.lab.control import LabInfo
from egressctl.lab.dataplane.names import ALLOW_ANY, POLICIES
from egressctl.lab.state import locate

PATIENCE_SECONDS = 60.0
"""Far more than any machine needs: it is waited for only where something fails."""
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Logged:
    """A line of Envoy's access log: a TCP connection that has ended, or an HTTP request that has."""

    began: datetime
    code: str
    flags: str
    envoy_cluster: str
    bound_for: str
    client_port: str


class ControlPlane(Protocol):
    """A control plane that feeds a lab's sidecar in place of the lab's own feeder."""

    def set_policy(self, policy: str) -> None:
        """Change the outbound traffic policy; the sidecar has it a little later."""

    def push_everything(self) -> None:
        """Have the sidecar be sent all that it should have, under REGISTRY_ONLY."""

    def stall(self) -> None:
        """Feed nothing until `resume`."""

    def resume(self) -> None:
        """Feed again, what was held back as well."""


@dataclass(frozen=True)
class Lab:
    """A running lab, as a test sees it."""

    info: LabInfo
    fed_by: ControlPlane | None = None

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def kubeconfig(self) -> Path:
        return self.info.kubeconfig

    def set_policy(self, policy: str) -> None:
        """Change the outbound traffic policy; return once the sidecar has it."""
        if self.fed_by:
            self.fed_by.set_policy(policy)
            assert eventually(lambda: self._lets_out() is policy.startswith(ALLOW_ANY)), policy
        else:
            control.set_policy(self.name, policy)

    def _lets_out(self) -> bool:
        # Not the one that drains, which the dump shows for a while.
        listeners = self.admin("config_dump?resource=dynamic_listeners&name_regex=^virtualOutbound$").get("configs", [])
        return any(POLICIES[ALLOW_ANY] in json.dumps(each.get("active_state")) for each in listeners)

    def stall(self) -> None:
        """Stall the control plane: the sidecar keeps what it has, whatever changes, until `resume`."""
        self.fed_by.stall() if self.fed_by else control.stall(self.name)

    def resume(self) -> None:
        """End a stall."""
        self.fed_by.resume() if self.fed_by else control.resume(self.name)

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the pod."""
        command, env = control.exec_argv(self.name, argv)
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    def curl(self, url: str) -> tuple[int, str]:
        """Return curl's exit code and the HTTP status of a request from the pod."""
        done = self.run("curl", "-q", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", "20", url)
        return done.returncode, done.stdout

    def is_open(self, url: str = "https://www.wikipedia.org/") -> bool:
        return self.curl(url) == (0, "200")

    def is_blocked(self, url: str = "https://www.wikipedia.org/") -> bool:
        return self.curl(url) == (35, "000")

    def logged(self, since: datetime) -> list[Logged]:
        """Return what Envoy's access log has of connections that began after a moment of this machine's clock.

        Whose a line is, the client's port does not tell: the redirect gives a connection another one where an earlier
        connection of the pod had the same, which the kernel remembers for minutes. Lines of earlier ones may still come.
        """
        text = control.logs(self.name)["access"].read_bytes().decode()
        return [line for line in map(_read, text.splitlines(keepends=True)) if line and line.began > since]

    def admin_text(self, path: str) -> str:
        """Ask the sidecar's admin interface by the socket that leads to it from outside: no process is started for it."""
        connection = _UnixConnection(str(locate(self.name).admin_socket))
        try:
            connection.request("GET", f"/{path}", headers={"Host": "envoy"})
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def admin(self, path: str) -> Any:
        """Ask the sidecar's admin interface, and read its JSON."""
        return json.loads(self.admin_text(path))

    def api(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Ask the Kubernetes API; return status and JSON."""
        return _api_of(self.kubeconfig.read_text()).ask(method, path, body)

    def create(self, manifest: dict[str, Any]) -> None:
        namespace = manifest["metadata"]["namespace"]
        status, answer = self.api("POST", f"/apis/networking.istio.io/v1/namespaces/{namespace}/serviceentries", manifest)
        assert status == 201, answer

    def delete(self, manifest: dict[str, Any]) -> None:
        metadata = manifest["metadata"]
        path = f"/apis/networking.istio.io/v1/namespaces/{metadata['namespace']}/serviceentries/{metadata['name']}"
        status, answer = self.api("DELETE", path)
        assert status in (200, 404), answer


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over the unix socket at `host`."""

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.host)


class _Api:
    """A Kubernetes API over one connection that is kept: most of a short request is the handshake."""

    def __init__(self, kubeconfig: str) -> None:
        config = yaml.load(kubeconfig, Loader=_LOADER)
        kubernetes = config["clusters"][0]["cluster"]
        authority = b64decode(kubernetes.get("certificate-authority-data", "")).decode()
        tls = ssl.create_default_context(cafile=kubernetes.get("certificate-authority"), cadata=authority or None)
        self._connection = http.client.HTTPSConnection(kubernetes["server"].removeprefix("https://"), context=tls, timeout=60)
        self._headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}", "Content-Type": "application/json"}
        self._turn = threading.Lock()

    def ask(self, method: str, path: str, body: object) -> tuple[int, Any]:
        data = json.dumps(body).encode() if body is not None else None
        with self._turn:
            try:
                return self._ask(method, path, data)
            except (ConnectionError, ssl.SSLEOFError):  # the server has closed it meanwhile
                self._connection.close()
                return self._ask(method, path, data)

    def _ask(self, method: str, path: str, data: bytes | None) -> tuple[int, Any]:
        self._connection.request(method, path, data, self._headers)
        with self._connection.getresponse() as response:
            return response.status, json.load(response)

    def close(self) -> None:
        self._connection.close()


_APIS: dict[str, _Api] = {}
"""By the text of the kubeconfig that leads there."""


def _api_of(kubeconfig: str) -> _Api:
    if kubeconfig not in _APIS:
        _APIS[kubeconfig] = _Api(kubeconfig)
    return _APIS[kubeconfig]


def close_connections() -> None:
    """Close what `Lab.api` keeps open."""
    while _APIS:
        _APIS.popitem()[1].close()


def now() -> datetime:
    return datetime.now(UTC)


def _read(line: str) -> Logged | None:
    """Read a line of Istio's format; None where it is not whole yet."""
    if not line.endswith("\n"):
        return None
    began = datetime.fromisoformat(line[1 : line.index("]")])
    code, flags, _ = line.partition('" ')[2].split(" ", 2)
    *_, envoy_cluster, _, bound_for, client, _, _ = line.split(" ")
    return Logged(began, code, flags, envoy_cluster, bound_for, client.rpartition(":")[2])


def eventually(holds: Callable[[], object]) -> bool:
    """Ask again until it holds; False where it never does."""
    deadline, pause = time.monotonic() + PATIENCE_SECONDS, 0.01
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
        pause = min(1.5 * pause, 0.2)  # to ask takes a process as often as not
    return True
