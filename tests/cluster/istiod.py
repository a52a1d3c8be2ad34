"""A real istiod beside the tests' kube-apiserver: `pilot-discovery`, an ordinary program, and a unix socket that leads to it.

with RealCluster(folder, binaries) as real, Istiod(real, access_log) as istiod:
    with real.data_plane("lab-name", istiod) as lab:     # a lab whose sidecar is fed by it
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import tempfile
import threading
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

import yaml

from cluster.cluster import HOST, RealCluster, free_port

ROOT = "istio-system"
MESH = f"/api/v1/namespaces/{ROOT}/configmaps"


class Istiod:
    """A running istiod. `socket` is where Envoy asks it, and `access_log` the file that it has sidecars write."""

    def __init__(self, real: RealCluster, access_log: Path) -> None:
        self._real, self._access_log, self._undo = real, access_log, contextlib.ExitStack()

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._undo.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._undo.close()

    def _start(self) -> None:
        self._real.post(MESH, self._mesh("REGISTRY_ONLY"))
        # Nobody serves certificates here, and without them no listener comes.
        plain = {"metadata": {"name": "default"}, "spec": {"mtls": {"mode": "DISABLE"}}}
        head = {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication"}
        self._real.post(f"/apis/security.istio.io/v1/namespaces/{ROOT}/peerauthentications", {**head, **plain})
        ports = {name: free_port() for name in ("http", "grpc", "https", "monitoring")}
        addresses = [word for name, port in ports.items() for word in (f"--{name}Addr", f"{HOST}:{port}")]
        self._process = self._real.start(
            "pilot-discovery",
            *(self._real.binaries.discovery, "discovery", "--kubeconfig", self._real.kubeconfig, "--registries", "Kubernetes"),
            *(*addresses, "--secureGRPCAddr", "", "--ctrlz_port", "0"),
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self._real.folder),
                "POD_NAMESPACE": ROOT,
                "POD_NAME": "istiod",
                "REVISION": "default",
                "CLUSTER_ID": "Kubernetes",
                "VALIDATION_WEBHOOK_CONFIG_NAME": "istio-validator",
                "INJECTION_WEBHOOK_CONFIG_NAME": "",
                "PILOT_ENABLE_METADATA_EXCHANGE": "false",
                "PILOT_ENABLE_ALPN_FILTER": "false",
            },
        )
        folder = Path(tempfile.mkdtemp(prefix="xds"))
        self._undo.callback(shutil.rmtree, folder)
        self.socket = folder / "istiod"
        self._forward(ports["grpc"])
        self._real.until(lambda: self._is_ready(ports["http"]), "istiod's start")

    def _is_ready(self, port: int) -> bool:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _mesh(self, policy: str) -> dict[str, object]:
        settings = {"accessLogFile": str(self._access_log), "outboundTrafficPolicy": {"mode": policy}}
        return {"metadata": {"name": "istio"}, "data": {"mesh": yaml.safe_dump(settings)}}

    def set_policy(self, policy: str) -> None:
        """Change the mesh's outbound traffic policy; its sidecars have it a little later."""
        status, answer = self._real.api("PUT", f"{MESH}/istio", self._mesh(policy))
        assert status == 200, answer

    def stall(self) -> None:
        """Stop the program where it stands, until `resume`."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)

    def _forward(self, port: int) -> None:
        """Lead the socket to a port of 127.0.0.1: istiod listens on TCP only, and a pod has a network of its own."""
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.socket))
        listener.listen()
        self._undo.callback(listener.close)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    near, _ = listener.accept()
                    far = socket.create_connection((HOST, port))
                    for pair in ((near, far), (far, near)):
                        threading.Thread(target=_copy, args=pair, daemon=True).start()

        threading.Thread(target=accept, name="to istiod", daemon=True).start()


def _copy(one: socket.socket, other: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := one.recv(65536):
            other.sendall(piece)
    for each in (one, other):
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)
