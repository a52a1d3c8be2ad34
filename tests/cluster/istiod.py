"""A real istiod beside the tests' kube-apiserver: `pilot-discovery`, an ordinary program, and a unix socket that leads to it.

with RealCluster(folder, binaries) as real, Istiod(real, locate("lab-name")) as istiod:
    with real.data_plane("lab-name", istiod) as lab:     # a lab whose sidecar is fed by it
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import yaml

from cluster.cluster import HOST, RealCluster, Startable, free_port
from egressctl.lab.dataplane.istiod_layout import ACCESS_LOG_FORMAT
from egressctl.lab.state import Paths

ROOT = "istio-system"
MESH = f"/api/v1/namespaces/{ROOT}/configmaps"


class Istiod(Startable):
    """A running istiod for the sidecar of a lab. `folder` holds the sockets by which that gets what it is given.

    The sidecar writes its access log twice: as the lab's does, and to `container_log` as a container's, for the kubelet.
    `env` are further settings of the program.
    """

    def __init__(self, real: RealCluster, lab: Paths, env: Mapping[str, str] = MappingProxyType({})) -> None:
        self._real, self._lab, self._undo = real, lab, contextlib.ExitStack()
        self._env = env
        self.container_log = lab.logs / "container.log"
        self._sent = 0
        self._policy = "REGISTRY_ONLY"
        self._more: Mapping[str, object] = {}

    def _start(self) -> None:
        self._real.install_gateway_api()
        self._real.post(MESH, self._mesh())
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
                **self._env,
            },
        )
        self.folder = Path(tempfile.mkdtemp(prefix="istiod"))
        self._undo.callback(shutil.rmtree, self.folder)
        self._real.start(
            "agent", self._real.binaries.istiod, "agent", self.folder, f"{HOST}:{ports['grpc']}", self._lab.authority
        )
        self._real.until(lambda: self._is_ready(ports["http"]), "istiod's start")

    def _is_ready(self, port: int) -> bool:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/ready", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def push_everything(self) -> None:
        """Have all of its configuration sent again, which a change of the mesh's settings does."""
        self._sent += 1
        self.set_policy("REGISTRY_ONLY")

    def _mesh(self) -> dict[str, object]:
        logs = {
            "lab": {"path": str(self._lab.access_log)},
            "kubelet": {"path": str(self.container_log), "logFormat": {"text": f"%START_TIME% stdout F {ACCESS_LOG_FORMAT}"}},
        }
        settings = {
            "extensionProviders": [{"name": name, "envoyFileAccessLog": each} for name, each in logs.items()],
            "defaultProviders": {"accessLogging": list(logs)},
            "outboundTrafficPolicy": {"mode": self._policy},
            "ingressClass": f"istio-{self._sent}",
            **self._more,
        }
        return {"metadata": {"name": "istio"}, "data": {"mesh": yaml.safe_dump(settings)}}

    def set_policy(self, policy: str) -> None:
        """Change the mesh's outbound traffic policy; its sidecars have it a little later."""
        self._policy = policy
        self._configure()

    def set_more(self, **settings: object) -> None:
        """Let the mesh's configuration say this as well, and nothing else that was set so before."""
        self._more = settings
        self._configure()

    def _configure(self) -> None:
        status, answer = self._real.api("PUT", f"{MESH}/istio", self._mesh())
        assert status == 200, answer

    def stall(self) -> None:
        """Stop the program where it stands, until `resume`."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._process.send_signal(signal.SIGCONT)
