"""A real control plane on this machine: etcd, kube-apiserver with Istio's CRDs, and KWOK as the kubelet of the lab's pod.

    with RealCluster(folder, binaries) as real:      # the API server, with two namespaces, and istiod's webhook
        with real.data_plane("lab-name") as lab:     # a lab whose sidecar is fed from it, and whose pod KWOK enters

No root, no Docker. Every process is killed with the one that started it.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import secrets
import shlex
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import yaml

from cluster import webhooks
from cluster.binaries import Binaries
from egressctl.lab import control
from egressctl.lab.api.pods import NODE, PROXY
from egressctl.lab.certificates import Authority
from egressctl.lab.dataplane.exclusions import Exclusions
from egressctl.lab.dataplane.names import POD_ADDRESS, POD_IPV6
from egressctl.lab.dataplane.nsenter import entrance
from egressctl.lab.state import locate, write_private
from labs import ControlPlane, Lab

HOST = "127.0.0.1"
START_SECONDS = 60.0
_PAUSE_SECONDS = 0.05
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
PROGRAMS = ("curl", "pilot-agent", "cat", "echo", "env", "false", "getent", "printf", "sh", "sleep", "true")
"""What a command in the pod may be; any other is not found, as in a small image."""
NO_SIDECAR = "plain"
"""A pod of this name has no sidecar: KWOK chooses by name."""


class Istiod(ControlPlane, Protocol):
    """An istiod, the folder with the unix sockets that lead to it, and the log of the sidecar's container."""

    folder: Path
    container_log: Path


class Startable:
    """What `_start` starts for the time of a `with` block; `_undo` ends it, also where it came half the way."""

    _undo: contextlib.ExitStack

    def _start(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._undo.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._undo.close()


@dataclass
class RealCluster(Startable):
    """A running control plane; `istio` says whether Istio's CRDs are there."""

    folder: Path
    binaries: Binaries
    istio: bool = True
    api_flags: Sequence[str] = ()
    port: int = 0
    judge: int = 0
    kubeconfig: Path = Path()
    _undo: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def _start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.authority = Authority("egressctl tests")
        issued = self.authority.issue((HOST, "localhost"))
        chain, key, crt, authority = (self.folder / name for name in ("tls.pem", "tls.key", "tls.crt", "ca.pem"))
        write_private(chain, issued.key + issued.certificate)
        write_private(key, issued.key)
        write_private(crt, issued.certificate)
        write_private(authority, self.authority.certificate)
        storage, peers, self.port = free_port(), free_port(), free_port()
        self.token = secrets.token_urlsafe(16)
        tokens = self.folder / "tokens.csv"
        write_private(tokens, f'{self.token},admin,admin,"system:masters"\n')
        self.kubeconfig = self.write_kubeconfig("admin", self.token)
        self.start(
            "etcd",
            *(self.binaries.etcd, "--data-dir", self.folder / "etcd", "--unsafe-no-fsync", "--log-level", "error"),
            *("--listen-client-urls", f"http://{HOST}:{storage}", "--advertise-client-urls", f"http://{HOST}:{storage}"),
            *("--listen-peer-urls", f"http://{HOST}:{peers}", "--initial-advertise-peer-urls", f"http://{HOST}:{peers}"),
            *("--initial-cluster", f"default=http://{HOST}:{peers}"),
        )
        self.start(
            "kube-apiserver",
            *(self.binaries.apiserver, "--etcd-servers", f"http://{HOST}:{storage}", "--endpoint-reconciler-type", "none"),
            *(
                "--bind-address",
                HOST,
                "--advertise-address",
                HOST,
                "--secure-port",
                self.port,
                "--cert-dir",
                self.folder / "certs",
            ),
            *("--tls-cert-file", chain, "--tls-private-key-file", key, "--token-auth-file", tokens),
            *("--authorization-mode", "RBAC", "--disable-admission-plugins", "ServiceAccount"),
            *("--kubelet-preferred-address-types", "InternalIP", "--kubelet-certificate-authority", authority),
            *("--service-cluster-ip-range", "10.96.0.0/16", "--service-account-issuer", "https://kubernetes.default.svc"),
            *("--service-account-key-file", crt, "--service-account-signing-key-file", key, *self.api_flags),
        )
        self.until(lambda: self._ready() and self.api("GET", "/api/v1/namespaces/default")[0] == 200, "the API server's start")
        if self.istio:
            self._install_istio()
        for name, labels in (("default", {"istio-injection": "enabled"}), ("istio-system", {}), ("other", {})):
            self.namespace(name, labels)
        hooks = webhooks.start(chain, lambda name: dict(self.api("GET", f"/api/v1/namespaces/{name}")[1]))
        self._undo.callback(hooks.server_close)
        self._undo.callback(hooks.shutdown)
        self.judge = free_port()
        self.start("istiod", self.binaries.istiod, f"{HOST}:{self.judge}", crt, key)
        self.until(self._judge_answers, "istiod's webhook")
        for plural, each in webhooks.configurations(hooks.server_address[1], self.judge, self.authority.certificate).items():
            if self.istio or plural.startswith("mutating"):
                self.post(f"/apis/admissionregistration.k8s.io/v1/{plural}", each)
        self.post("/api/v1/nodes", {"metadata": {"name": NODE}})
        self.post("/api/v1/namespaces/default/serviceaccounts", {"metadata": {"name": "sleep"}})

    def _ready(self) -> bool:
        try:
            return self.api("GET", "/readyz?verbose")[0] == 200
        except json.JSONDecodeError:
            return True
        except OSError:
            return False

    def _judge_answers(self) -> bool:
        try:
            return self.analyzed([]) == []
        except OSError:
            return False

    def _install_istio(self) -> None:
        self._define(self.binaries.definitions)
        self.until(lambda: self.api("GET", "/apis/networking.istio.io/v1/serviceentries")[0] == 200, "Istio's CRDs")

    def install_gateway_api(self) -> None:
        """Have it serve the Gateway API as well."""
        self._define(self.binaries.gateway_api)
        path = "/apis/gateway.networking.k8s.io/v1/httproutes"
        self.until(lambda: self.api("GET", path)[0] == 200, "the Gateway API's CRDs")

    def _define(self, definitions: Path) -> None:
        for each in yaml.load_all(definitions.read_text(), Loader=_LOADER):
            if each and each["kind"] == "CustomResourceDefinition":
                self.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", each)

    def start(self, name: str, *command: object, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a program that dies with this process; its words go to NAME.log."""
        log = self._undo.enter_context((self.folder / f"{name}.log").open("ab"))
        argv = [shutil.which("setpriv") or "setpriv", "--pdeathsig", "KILL", *map(str, command)]
        process = subprocess.Popen(argv, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=env)
        self._undo.callback(_end, process)
        return process

    def until(self, holds: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not holds():
            if time.monotonic() > deadline:
                logs = {log.name: log.read_text(errors="replace")[-2000:] for log in self.folder.glob("*.log")}
                raise TimeoutError(f"{what} did not come about: {json.dumps(logs, indent=1)}")
            time.sleep(_PAUSE_SECONDS)

    def write_kubeconfig(self, user: str, token: str, namespace: str = "default") -> Path:
        """Write a kubeconfig for the user of this token and return its path."""
        authority = base64.b64encode(self.authority.certificate.encode()).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "real",
            "clusters": [
                {"name": "real", "cluster": {"server": f"https://{HOST}:{self.port}", "certificate-authority-data": authority}}
            ],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "real", "context": {"cluster": "real", "user": user, "namespace": namespace}}],
        }
        path = self.folder / f"{user}.kubeconfig"
        write_private(path, yaml.safe_dump(config))
        return path

    def service_account(self, name: str, namespace: str = "default") -> Path:
        """Make a ServiceAccount with no rights, and return a kubeconfig that is its."""
        accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
        status, answer = self.api("POST", accounts, {"metadata": {"name": name}})
        assert status in (201, 409), answer
        granted = self.post(f"{accounts}/{name}/token", {"spec": {"expirationSeconds": 7200}})
        return self.write_kubeconfig(name, granted["status"]["token"], namespace)

    def api(self, method: str, path: str, body: object = None, media_type: str = "application/json") -> tuple[int, Any]:
        """Ask as an administrator; return status and JSON."""
        return self._ask(self.port, method, path, body, {"Authorization": f"Bearer {self.token}", "Content-Type": media_type})

    def analyzed(self, entries: Sequence[Mapping[str, Any]]) -> list[list[str]]:
        """Return the code and the NAMESPACE/NAME of what istioctl's analyzers say of these ServiceEntries, side by side."""
        status, answer = self._ask(self.judge, "POST", "/analyze", entries, {})
        assert status == 200, answer
        return list(answer)

    def _ask(self, port: int, method: str, path: str, body: object, headers: Mapping[str, str]) -> tuple[int, Any]:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"https://{HOST}:{port}{path}", data, dict(headers), method=method)
        tls = ssl.create_default_context(cadata=self.authority.certificate)
        try:
            with urllib.request.urlopen(request, context=tls, timeout=30) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                said = error.read()
                # Of a path that it does not serve, or not yet, it says so in plain text.
                return error.code, json.loads(said) if said.startswith(b"{") else said.decode()

    def post(self, path: str, body: object) -> Any:
        status, answer = self.api("POST", path, body)
        assert status in (200, 201), answer
        return answer

    def namespace(self, name: str, labels: Mapping[str, str]) -> None:
        """Make the namespace, or label the one that is there."""
        status, answer = self.api("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
        if status == 409 and labels:
            patch = {"metadata": {"labels": labels}}
            status, answer = self.api("PATCH", f"/api/v1/namespaces/{name}", patch, "application/merge-patch+json")
        assert status in (200, 201, 409), answer

    @contextlib.contextmanager
    def data_plane(
        self, name: str, istiod: Istiod | None = None, *, ipv6: bool = False, excluded: Exclusions | None = None
    ) -> Iterator[Lab]:
        """Run a lab on this API server: its sidecar is fed from there, or by the istiod; and exec leads into its pod."""
        folder = istiod.folder if istiod else None
        info = control.up(name, kubernetes=self.kubeconfig, istiod=folder, ipv6=ipv6, excluded=excluded)
        try:
            self._start_kubelet(name, info, istiod.container_log if istiod else None)
            pods = "/api/v1/namespaces/default/pods"
            container = {"name": "sleep", "image": "curlimages/curl", "command": ["/bin/sleep", "infinity"]}
            spec = {"containers": [container], "serviceAccountName": "sleep", "terminationGracePeriodSeconds": 0}
            sample = {"metadata": {"name": "sleep", "labels": {"app": "sleep"}}, "spec": spec}
            self.until(lambda: PROXY in json.dumps(self.api("POST", f"{pods}?dryRun=All", sample)), "the webhooks")
            self.post(pods, sample)
            self.until(lambda: self.api("GET", f"{pods}/sleep")[1]["status"].get("phase") == "Running", "the pod sleep")
            yield Lab(info, istiod)
        finally:
            control.down(name)

    def _start_kubelet(self, name: str, info: control.LabInfo, log: Path | None) -> None:
        programs, config, port = self.folder / "bin", self.folder / "kwok.yaml", free_port()
        programs.mkdir(exist_ok=True)
        _write_wrapper(programs, name, info)
        stages = (Path(__file__).parent / "stages.yaml").read_text()
        if info.ipv6:
            stages = stages.replace(f"podIPs: [{{ip: {POD_ADDRESS}}}]", f"podIPs: [{{ip: {POD_ADDRESS}}}, {{ip: '{POD_IPV6}'}}]")
        local = [_exec("no-sidecar", {"matchNames": [NO_SIDECAR]}, bare=None), _exec("pod", {}, sidecar=[PROXY], pod=None)]
        logs = [{"containers": [PROXY], "logsFile": str(log)}, {"logsFile": os.devnull}]
        local += [_rule("ClusterLogs", "pod", {"selector": {}, "logs": logs})] if log else []
        config.write_text(stages + "---\n" + yaml.safe_dump_all(local))
        kubelet = [
            *(self.binaries.kwok, "--kubeconfig", self.kubeconfig, "--config", config, "--manage-all-nodes", "--node-ip", HOST),
            *("--node-port", port, "--server-address", f"{HOST}:{port}", "--node-lease-duration-seconds", 0),
            *("--tls-cert-file", self.folder / "tls.pem", "--tls-private-key-file", self.folder / "tls.key"),
        ]
        env = {"PATH": str(programs), "HOME": str(self.folder)}
        process = self.start("kwok", *kubelet, env=env)

        def has_node() -> bool:
            nonlocal process
            if process.poll() is not None:  # two of KWOK 0.8.0's threads fill one map as it starts: "concurrent map writes"
                process = self.start("kwok", *kubelet, env=env)
            return bool(self.api("GET", f"/api/v1/nodes/{NODE}")[1].get("status", {}).get("addresses"))

        self.until(has_node, "the node")


def _exec(name: str, selector: Mapping[str, Any], **places: list[str] | None) -> dict[str, Any]:
    """Return the ClusterExec that gives $PLACE to commands in these containers; None is every other container."""
    targets = [
        {"local": {"envs": [{"name": "PLACE", "value": place}]}} | ({"containers": containers} if containers else {})
        for place, containers in places.items()
    ]
    return _rule("ClusterExec", name, {"selector": selector, "execs": targets})


def _rule(kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """Return an object by which KWOK answers as a kubelet does."""
    return {"apiVersion": "kwok.x-k8s.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _write_wrapper(programs: Path, name: str, info: control.LabInfo) -> None:
    """Write one script, under the name of each program, that enters the place that $PLACE names."""
    ways = []
    for place, pid, sidecar in (("sidecar", "init", True), ("pod", "init", False), ("bare", "bare", False)):
        way = entrance(locate(name), info.pids[pid], sidecar=sidecar)
        env = [f"{key}={value}" for key, value in way.env.items()]
        ways.append(f'{place}) exec {shlex.join(["/usr/bin/env", "-i", *env, *way.prefix])} "${{0##*/}}" "$@" ;;')
    script = "#!/bin/sh\ncase $PLACE in\n" + "\n".join(ways) + "\nesac\n"
    for program in PROGRAMS:
        path = programs / program
        path.write_text(script)
        path.chmod(0o755)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as one:
        one.bind((HOST, 0))
        return int(one.getsockname()[1])
