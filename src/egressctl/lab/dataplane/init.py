"""Process 1 of the lab's namespaces: makes pod and internet, starts what lives in them, and ends when any of it does.

Run by `unshare` as `python -m egressctl.lab.dataplane.init HOME NAME ENVOY EXCLUDED`. Standard input is the lifeline: its
end is the supervisor's, and the line RESTART on it starts Envoy again. Standard output is a line a milestone, `failed STEP:
WHY` among them.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from egressctl.lab.dataplane import netlink, nftables, syscalls
from egressctl.lab.dataplane.exclusions import Exclusions
from egressctl.lab.dataplane.names import OUTBOUND_PORT, POD_ADDRESS, RESTART, RESTARTED
from egressctl.lab.state import Paths

BARE_POD, INTERNET = "10.244.0.6", "10.244.0.1"
"""Addresses of the pod without a sidecar, and what the internet's own connections come from."""
_GATEWAY, _INTERFACE = "169.254.1.1", "eth0"
_OWN_NETWORK = "/proc/self/ns/net"
_LIFELINE = 0
_STOP_SECONDS = 5.0
Result = TypeVar("Result")


def main(home: str, name: str, envoy: str, excluded: str) -> int:
    """Return when the lab is over; the kernel then ends every process of the namespaces."""
    paths = Paths(Path(home), name)
    try:
        _run_step("files of the pod", lambda: _mount_pod_files(paths))
        bare, internet = _run_step("networks (veth)", lambda: _make_networks(paths))
        _run_step("interception (nf_tables)", lambda: nftables.install_redirect(OUTBOUND_PORT, Exclusions.parse(excluded)))
        sidecar = _run_step("envoy", lambda: _start_envoy(paths, envoy))
    except _StepFailed as failed:
        print(f"failed {failed}", flush=True)
        return 1
    print("started", flush=True)
    # Orphans of finished execs land here; nobody asks how they ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    names = {_LIFELINE: "the supervisor", internet: "the internet", bare: "the pod without a sidecar"}
    while True:
        event = _first_event([*names, sidecar])
        if event != _LIFELINE or os.read(_LIFELINE, 64).decode().strip() != RESTART:
            break
        sidecar = _restart_envoy(sidecar, paths, envoy)
        print(RESTARTED, flush=True)
    print(f"ended {names.get(event, 'Envoy')}", flush=True)
    return 0


class _StepFailed(Exception):
    """A step that did not work: its name and why."""


def _run_step(name: str, do: Callable[[], Result]) -> Result:
    try:
        return do()
    except OSError as error:
        raise _StepFailed(f"{name}: {error}") from error


def _mount_pod_files(paths: Paths) -> None:
    for name in ("hosts", "resolv.conf", "nsswitch.conf"):
        target = Path("/etc", name).resolve()
        if target.exists():
            syscalls.bind_mount(str(paths.etc / name), str(target))
    # A name service cache daemon would answer from the machine's own /etc/hosts.
    for folder in {Path("/run/nscd").resolve(), Path("/var/run/nscd").resolve()}:
        if folder.is_dir():
            syscalls.mount_tmpfs(str(folder))


def _make_networks(paths: Paths) -> tuple[int, int]:
    """Make the network namespaces of a pod without a sidecar and of the internet, and links from both pods to that.

    Return what is readable once the process that stands for the first has ended, and once the internet has; this process
    stays in the sidecar's pod.
    """
    pod = os.open(_OWN_NETWORK, os.O_RDONLY | os.O_CLOEXEC)
    syscalls.unshare_network()
    bare = os.open(_OWN_NETWORK, os.O_RDONLY | os.O_CLOEXEC)
    keeper = _fork_namespace_keeper()
    syscalls.unshare_network()
    _set_up_internet({POD_ADDRESS: pod, BARE_POD: bare})
    paths.internet_namespace.touch()
    syscalls.bind_mount(_OWN_NETWORK, str(paths.internet_namespace))
    command = [sys.executable, "-P", "-m", "egressctl.lab.internet", str(paths.folder)]
    internet = _end_of(subprocess.Popen(command, stdin=subprocess.DEVNULL))
    for namespace, address in ((bare, BARE_POD), (pod, POD_ADDRESS)):
        syscalls.enter_network(namespace)
        _set_up_pod(address)
        os.close(namespace)
    return keeper, internet


def _set_up_internet(pods: Mapping[str, int]) -> None:
    """Make this network namespace the internet, where every address is local, linked to pods: address -> their namespace."""
    netlink.link_up()
    netlink.add_address(INTERNET)
    netlink.make_all_addresses_local(INTERNET)
    for number, (address, namespace) in enumerate(pods.items()):
        name = f"pod{number}"
        netlink.add_veth(name, _INTERFACE, namespace)
        index = socket.if_nametoindex(name)
        netlink.link_up(index)
        # More precise than the route by which every address is local here.
        netlink.add_route(address, index)


def _set_up_pod(address: str) -> None:
    """Make this network namespace, which has its link already, a pod of that address."""
    netlink.link_up()
    index = socket.if_nametoindex(_INTERFACE)
    netlink.add_address(address, index)
    netlink.link_up(index)
    netlink.add_default_route(_GATEWAY, index)


def _fork_namespace_keeper() -> int:
    """Fork a process that only stands for a namespace; return what is readable once it has ended."""
    if pid := os.fork():
        return os.pidfd_open(pid)
    os.close(_LIFELINE)
    while True:
        signal.pause()


def _start_envoy(paths: Paths, envoy: str) -> int:
    """Start Envoy; return what is readable once it has ended."""
    command = [envoy, "-c", str(paths.folder / "bootstrap.json"), "--concurrency", "1", "--disable-hot-restart"]
    command += ["--drain-time-s", "45", "--drain-strategy", "immediate", "--file-flush-interval-msec", "20"]
    command += ["--log-path", str(paths.envoy_log), "-l", "warning"]
    with open(paths.envoy_log, "ab") as log:
        return _end_of(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))


def _restart_envoy(sidecar: int, paths: Paths, envoy: str) -> int:
    """Stop an Envoy and start another in its place."""
    ended = select.poll()
    ended.register(sidecar, select.POLLIN)
    for number in (signal.SIGTERM, signal.SIGKILL):
        signal.pidfd_send_signal(sidecar, number)
        if ended.poll(_STOP_SECONDS * 1000):
            break
    os.close(sidecar)
    return _start_envoy(paths, envoy)


def _end_of(process: subprocess.Popen[bytes]) -> int:
    """Return what is readable once a process has ended."""
    # Its Popen is still held here: one that is forgotten reaps what has ended, and there is no descriptor of that.
    return os.pidfd_open(process.pid)


def _first_event(watched: list[int]) -> int:
    poller = select.poll()
    for descriptor in watched:
        poller.register(descriptor, select.POLLIN | select.POLLHUP)
    return poller.poll()[0][0]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
