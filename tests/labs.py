"""What tests do in a running lab."""

from __future__ import annotations

import json
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from egressctl.lab import control
from egressctl.lab.control import LabInfo

PATIENCE_SECONDS = 10.0
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Lab:
    """A running lab, as a test sees it."""

    info: LabInfo

    @property
    def name(self) -> str:
        return self.info.name

    @property
    def kubeconfig(self) -> Path:
        return self.info.kubeconfig

    def run(self, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the pod."""
        command, env = control.exec_argv(self.name, argv)
        return subprocess.run(command, env=env, capture_output=True, text=True, check=False)

    def curl(self, url: str) -> tuple[int, str]:
        """Return curl's exit code and the HTTP status of a request from the pod."""
        done = self.run("curl", "-q", "-s", "-o", "/dev/null", "-w", "%{http_code}", "-m", "5", url)
        return done.returncode, done.stdout

    def is_open(self, url: str = "https://www.wikipedia.org/") -> bool:
        return self.curl(url) == (0, "200")

    def is_blocked(self, url: str = "https://www.wikipedia.org/") -> bool:
        return self.curl(url) == (35, "000")

    def admin(self, path: str) -> Any:
        """Ask the sidecar's admin interface, and read its JSON."""
        return json.loads(self.run("curl", "-q", "-s", "-g", f"http://127.0.0.1:15000/{path}").stdout)

    def api(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Ask the Kubernetes API; return status and JSON."""
        config = yaml.load(self.kubeconfig.read_text(), Loader=_LOADER)
        kubernetes = config["clusters"][0]["cluster"]
        authority = b64decode(kubernetes.get("certificate-authority-data", "")).decode()
        tls = ssl.create_default_context(cafile=kubernetes.get("certificate-authority"), cadata=authority or None)
        headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}", "Content-Type": "application/json"}
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(kubernetes["server"] + path, data, headers, method=method)
        try:
            with urllib.request.urlopen(request, context=tls) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def create(self, manifest: dict[str, Any]) -> None:
        namespace = manifest["metadata"]["namespace"]
        status, answer = self.api("POST", f"/apis/networking.istio.io/v1/namespaces/{namespace}/serviceentries", manifest)
        assert status == 201, answer

    def delete(self, manifest: dict[str, Any]) -> None:
        metadata = manifest["metadata"]
        path = f"/apis/networking.istio.io/v1/namespaces/{metadata['namespace']}/serviceentries/{metadata['name']}"
        status, answer = self.api("DELETE", path)
        assert status in (200, 404), answer


def eventually(holds: Callable[[], object]) -> bool:
    """Ask again until it holds; False where it does not within ten seconds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
