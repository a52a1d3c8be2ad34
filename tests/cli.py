"""Run the real command line as a process, and read what it printed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import egressctl
from egressctl.catalog import lookup
from egressctl.kube.config import ConnectOptions, connect
from egressctl.lab.api.settings import Container, EnterPlan
from egressctl.lab.dataplane.nsenter import entrance
from egressctl.lab.state import locate
from egressctl.manifests.service_entry import MANAGER, render_entry
from egressctl.mesh.client import Mesh
from egressctl.model.probe import Target
from endpoint import TestEndpoint
from faults import Action, Call, FaultProxy
from forked import Forks
from labs import Lab, eventually

GUARD_SECONDS = 90
"""After this long a process is held to hang; no test waits for it otherwise."""

ENTRIES = "/apis/networking.istio.io/v1/namespaces/default/serviceentries"
PODS = "/api/v1/namespaces/default/pods"
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
OURS = "labelSelector=app.kubernetes.io%2Fmanaged-by%3Degressctl"
CREATED = "serviceentry.networking.istio.io/wikipedia-ext created\n"
DELETED = "serviceentry.networking.istio.io/wikipedia-ext deleted\n"


@dataclass(frozen=True)
class Ran:
    """A command line that has ended."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        """The JSON that it printed."""
        found: dict[str, Any] = json.loads(self.stdout)
        return found

    @property
    def probes(self) -> list[dict[str, Any]]:
        """The probes of the report's targets, in their order."""
        return [probe for target in self.report["targets"] for probe in target["probes"]]

    @property
    def judged(self) -> list[tuple[str, str | None]]:
        """Verdict and cause of every probe."""
        return [(probe["verdict"], (probe["cause"] or {}).get("code")) for probe in self.probes]

    def told(self, kind: str) -> list[str]:
        """The lines on stderr that begin with `error: `, `hint: ` or `warning: `, without that."""
        start = f"{kind}: "
        return [line.removeprefix(start) for line in self.stderr.splitlines() if line.startswith(start)]

    @property
    def error(self) -> str:
        """The one error that was told; fails where there is none, or more than one, or one without a hint."""
        [error] = self.told("error")
        assert len(self.told("hint")) == 1, self.stderr
        return error

    @property
    def hint(self) -> str:
        [hint] = self.told("hint")
        return hint


@dataclass(frozen=True)
class Running:
    """A command line that has not ended yet."""

    argv: tuple[str, ...]
    pid: int
    wait: Callable[[float], int]
    stdout: IO[bytes]
    stderr: IO[bytes]

    def end(self) -> Ran:
        """Wait for the end; whatever it was, there is no traceback."""
        try:
            code = self.wait(GUARD_SECONDS)
        except BaseException:
            os.kill(self.pid, signal.SIGKILL)
            raise
        ran = Ran(self.argv, code, *(_text(stream) for stream in (self.stdout, self.stderr)))
        assert "Traceback" not in ran.stdout + ran.stderr, ran
        return ran


def _text(stream: IO[bytes]) -> str:
    with stream:
        stream.seek(0)
        return stream.read().decode()


@dataclass(frozen=True)
class Cli:
    """egressctl with a kubeconfig, an empty home, and nothing else of this process's environment but the PATH.

    Each command line is a process: `python -m egressctl`, or one of `forks` where that is given.
    """

    kubeconfig: Path | None
    home: Path
    forks: Forks | None = None
    environment: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, *argv: str, stdin: str = "") -> Ran:
        return self.start(*argv, stdin=stdin).end()

    def start(self, *argv: str, stdin: str = "") -> Running:
        stdout, stderr = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115  (read and closed at the end)
        with tempfile.TemporaryFile() as file:
            file.write(stdin.encode())
            file.seek(0)
            if self.forks is not None:
                streams = [file.fileno(), stdout.fileno(), stderr.fileno()]
                pid = self.forks.start(argv, self.env, self.home, streams)
                return Running(argv, pid, self.forks.wait, stdout, stderr)
            command = [sys.executable, "-m", "egressctl", *argv]
            process = subprocess.Popen(
                command, env=self.env, cwd=self.home, stdin=file, stdout=stdout, stderr=stderr, preexec_fn=hears_signals
            )
            return Running(argv, process.pid, process.wait, stdout, stderr)

    def fresh(self) -> Cli:
        """Start from the interpreter's very start, as people do."""
        return replace(self, forks=None)

    def at(self, kubeconfig: Path | None) -> Cli:
        return replace(self, kubeconfig=kubeconfig)

    def having(self, **environment: str) -> Cli:
        return replace(self, environment={**self.environment, **environment})

    def file(self, text: str, name: str = "targets.yaml") -> str:
        """Write a file and return its path."""
        path = self.home / name
        path.write_text(text)
        return str(path)

    @property
    def env(self) -> dict[str, str]:
        kubeconfig = {"KUBECONFIG": str(self.kubeconfig)} if self.kubeconfig else {}
        source = str(Path(egressctl.__file__).parent.parent)
        home = {"HOME": str(self.home), "EGRESSCTL_LAB_HOME": os.environ.get("EGRESSCTL_LAB_HOME", "")}
        return {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONPATH": source, **home, **kubeconfig, **self.environment}


def hears_signals() -> None:
    """Hear a hang-up in a process that is being started, although these tests may run under `nohup`."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def interrupted(
    cli: Cli, proxy: FaultProxy, *argv: str, signum: int, when: Callable[[Call], bool], action: Callable[[Future[int]], Action]
) -> Ran:
    """Run a command line through the proxy; do `action`, which is given its pid, to the first call for which `when` holds."""
    pid: Future[int] = Future()
    done: list[Call] = []

    def rules(call: Call) -> Action | None:
        if done or not when(call):
            return None
        done.append(call)
        return action(pid)

    proxy.rules = rules
    running = cli.at(proxy.kubeconfig).start(*argv)
    pid.set_result(running.pid)
    return running.end()


# What is in the lab, and what should be


def owned(lab: Lab) -> list[str]:
    """Return kind and name of everything that carries egressctl's label, in every namespace."""
    found = []
    for kind, path in (
        ("serviceentry", "/apis/networking.istio.io/v1/serviceentries"),
        ("pod", "/api/v1/pods"),
        ("serviceaccount", "/api/v1/serviceaccounts"),
    ):
        status, answer = lab.api("GET", f"{path}?{OURS}")
        assert status == 200, answer
        found += [f"{kind}/{each['metadata']['name']}" for each in answer["items"]]
    return found


def sidecar_has(lab: Lab, host: str = "wikipedia.org", port: int = 443) -> bool:
    """Say whether the sidecar has an Envoy cluster of a ServiceEntry's host, or a listener or a route in use that leads there."""
    return sidecar_leads_to(lab, host, port) or _envoy_cluster(host, port) in lab.admin_text("clusters")


def sidecar_leads_to(lab: Lab, host: str = "wikipedia.org", port: int = 443) -> bool:
    """Say whether the sidecar has a listener or a route in use that leads to a ServiceEntry's host: they come last.

    Listeners that drain are on their way out: Envoy shows them for 45 seconds more, and nothing reaches them.
    """
    listeners = lab.admin("config_dump?resource=dynamic_listeners").get("configs", [])
    if any(_envoy_cluster(host, port) in json.dumps(each.get("active_state")) for each in listeners):
        return True
    return _envoy_cluster(host, port) in lab.admin_text("config_dump?resource=dynamic_route_configs")


def _envoy_cluster(host: str, port: int) -> str:
    return f"outbound|{port}||{host}"


def nothing_is_left(lab: Lab, host: str = "wikipedia.org") -> bool:
    """Say whether no object of ours is in the API, and soon nothing in the sidecar."""
    return not owned(lab) and eventually(lambda: not sidecar_has(lab, host))


def entry(name: str = "wikipedia-ext", **spec: Any) -> dict[str, Any]:
    """A ServiceEntry that is not egressctl's."""
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "hosts": ["wikipedia.org"],
            "addresses": ["208.80.154.224/27"],
            "ports": [{"number": 443, "name": "tcp-port", "protocol": "TCP"}],
            "location": "MESH_EXTERNAL",
            "resolution": "NONE",
            **spec,
        },
    }


def made(lab: Lab, target: Target | None = None, run_id: str = "0badcafe") -> dict[str, Any]:
    """Apply a target as `create` does, in this process, and return it once the lab's sidecar has it."""
    target = target or lookup.get_target("wikipedia")
    mesh = Mesh(connect(ConnectOptions(kubeconfig=str(lab.kubeconfig))))
    manifest = render_entry(target, namespace="default", api_version=mesh.api_version, run_id=run_id)
    _, applied = mesh.apply(manifest, manager=MANAGER)
    assert eventually(lambda: sidecar_leads_to(lab, target.spec["hosts"][0], target.spec["ports"][0]["number"]))
    return dict(applied)


def pod(name: str, *, app: str = "sleep", inject: bool = True, namespace: str = "default") -> dict[str, Any]:
    labels = {"app": app} | ({} if inject else {"sidecar.istio.io/inject": "false"})
    container = {"name": "sleep", "image": "curlimages/curl", "command": ["/bin/sleep", "infinity"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }


def start_pod(lab: Lab, manifest: dict[str, Any]) -> None:
    path = f"/api/v1/namespaces/{manifest['metadata']['namespace']}/pods"
    status, answer = lab.api("POST", path, manifest)
    assert status == 201, answer


def without_sleep(lab: Lab) -> None:
    """Take the sample's pod and ServiceAccount away; `put_right` brings them back."""
    for path in (f"{PODS}/sleep", f"{ACCOUNTS}/sleep"):
        status, answer = lab.api("DELETE", path, {"gracePeriodSeconds": 0})
        assert status in (200, 202, 404), answer
    assert eventually(lambda: lab.api("GET", f"{PODS}/sleep")[0] == 404)


def start_object(lab: Lab, kind: str, name: str, spec: object, namespace: str = "default") -> None:
    """Make an object of Istio's that is no ServiceEntry, or a Service."""
    plural = f"{kind.lower()}s"
    version = "v1" if kind == "Service" else "networking.istio.io/v1"
    path = f"/{'api' if kind == 'Service' else 'apis'}/{version}/namespaces/{namespace}/{plural}"
    body = {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}
    status, answer = lab.api("POST", path, body)
    assert status == 201, answer


def put_right(lab: Lab) -> None:
    """Leave the lab as it was: REGISTRY_ONLY has to be seen to by who changed it; no entries, and the one sample pod."""
    for plural in ("sidecars", "virtualservices", "destinationrules"):
        _, found = lab.api("GET", f"/apis/networking.istio.io/v1/{plural}")
        for each in found.get("items", ()):
            where = each["metadata"]
            lab.api("DELETE", f"/apis/networking.istio.io/v1/namespaces/{where['namespace']}/{plural}/{where['name']}")
    _, entries = lab.api("GET", "/apis/networking.istio.io/v1/serviceentries")
    for each in entries["items"]:
        lab.delete(each)
    _, pods = lab.api("GET", "/api/v1/pods")
    for each in pods["items"]:
        if each["metadata"]["name"] != "sleep" or each["metadata"]["namespace"] != "default":
            lab.api("DELETE", f"/api/v1/namespaces/{each['metadata']['namespace']}/pods/{each['metadata']['name']}")
    if {"pod/sleep", "serviceaccount/sleep"} & set(owned(lab)):
        without_sleep(lab)
    if lab.api("GET", f"{ACCOUNTS}/sleep")[0] == 404:
        lab.api("POST", ACCOUNTS, {"metadata": {"name": "sleep", "namespace": "default"}})
    if lab.api("GET", f"{PODS}/sleep")[0] == 404:
        start_pod(lab, pod("sleep"))
    if entries["items"]:
        await_no_entries(lab)


def await_no_entries(lab: Lab) -> None:
    """Wait until the sidecar has nothing of ServiceEntries that are deleted."""
    if lab.fed_by:
        assert eventually(lambda: not listens_for_entries(lab))
        if has_entries(lab):
            # Where istiod pushes one deletion as the next arrives, it finds that no sidecar depends on the latter
            # (proxyDependentOnConfig compares what was there before and after the first), and leaves its Envoy cluster.
            lab.fed_by.push_everything()
    assert eventually(lambda: not has_entries(lab))


def has_entries(lab: Lab) -> bool:
    """Say whether the sidecar has an Envoy cluster of any ServiceEntry: istiod makes some of Kubernetes Services as well."""
    lines = lab.admin_text("clusters").splitlines()
    return any(line.startswith("outbound|") and ".svc.cluster.local::" not in line for line in lines)


def listens_for_entries(lab: Lab) -> bool:
    """Say whether a listener of the sidecar leads to an Envoy cluster of any ServiceEntry, by itself."""
    listeners = lab.admin("config_dump?resource=dynamic_listeners").get("configs", ())
    names = re.findall(r'"(outbound\|[^"]*)"', json.dumps([each.get("active_state") for each in listeners]))
    return any(not name.endswith(".svc.cluster.local") for name in names)


# Pods that are not as they should be: the lab's own, entered in another way

Way = Callable[[Container, EnterPlan], EnterPlan]
Odd = Callable[[Way], Path]
"""Makes a kubeconfig for an API whose pod is the lab's, entered as the test says."""


@contextmanager
def odd_pods(lab: Lab, folder: Path) -> Iterator[Odd]:
    """Serve such APIs until the block ends; the wikipedia entry is in them and in the lab."""
    with ExitStack() as running:

        def start(way: Way) -> Path:
            def enter(container: Container) -> EnterPlan:
                plan = entrance(locate(lab.name), lab.info.pids["init"], sidecar=container.sidecar)
                return way(container, EnterPlan(plan.prefix, plan.env))

            def log(container: Container) -> Path | None:
                return locate(lab.name).access_log if container.sidecar else None

            folder.mkdir()
            endpoint = running.enter_context(TestEndpoint(folder, enter=enter, log=log))
            # The lab's sidecar is fed from the lab's own API; this one has to know the same entry.
            made(replace(lab, info=replace(lab.info, kubeconfig=endpoint.kubeconfig)))
            return endpoint.kubeconfig

        made(lab)
        yield start


def instead(folder: Path, program: str, script: str, *, sidecar: bool) -> Way:
    """Put a script in a program's place, in the sidecar's container or in the application's."""
    folder.mkdir(exist_ok=True)
    file = folder / program
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)

    def way(container: Container, plan: EnterPlan) -> EnterPlan:
        path = {"PATH": f"{folder}:{plan.env['PATH']}"} if container.sidecar is sidecar else {}
        return EnterPlan(plan.prefix, {**plan.env, **path})

    return way


def with_environment(**variables: str) -> Way:
    """Give the application's container these variables."""

    def way(container: Container, plan: EnterPlan) -> EnterPlan:
        return EnterPlan(plan.prefix, {**plan.env, **({} if container.sidecar else variables)})

    return way


SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""Those that are tried everywhere; the others go the same way."""
EXITS = {signal.SIGHUP: 129, signal.SIGINT: 130, signal.SIGQUIT: 131, signal.SIGTERM: 143}
