"""Process 1 of the lab's namespaces: makes pod and internet, starts what lives in them, and ends when any of it does.

Run by `unshare` as `python -m egressctl.lab.dataplane.init HOME NAME ENVOY EXCLUDED IPV6`, where IPV6 is empty for a lab without
it. Standard input is the lifeline: its
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
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from egressctl.lab.dataplane import netlink, nftables, syscalls
from egressctl.lab.dataplane.exclusions import Exclusions
from egressctl.lab.dataplane.names import OUTBOUND_PORT, POD_ADDRESS, POD_IPV6, RESTART, RESTARTED
from egressctl.lab.state import Paths

BARE_POD, INTERNET = "10.244.0.6", "10.244.0.1"
"""Addresses of the pod without a sidecar, and what the internet's own connections come from."""
BARE_POD_IPV6, INTERNET_IPV6 = "fd00:10:244::6", "fd00:10:244::1"
_GATEWAY, _GATEWAY_IPV6, _INTERFACE = "169.254.1.1", "fe80::1", "eth0"
_OWN_NETWORK = "/proc/self/ns/net"
_LIFELINE = 0
_STOP_SECONDS = 5.0
Result = TypeVar("Result")


def main(home: str, name: str, envoy: str, excluded: str, ipv6: str) -> int:
    """Return when the lab is over; the kernel then ends every process of the namespaces."""
    paths = Paths(Path(home), name)
    around = Exclusions.parse(excluded)
    try:
        _run_step("files of the pod", lambda: _mount_pod_files(paths))
        bare, internet = _run_step("networks (veth)", lambda: _make_networks(paths, with_ipv6=bool(ipv6)))
        for version in (4, 6) if ipv6 else (4,):
            _run_step("interception (nf_tables)", partial(nftables.install_redirect, OUTBOUND_PORT, around, version))
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


def _make_networks(paths: Paths, *, with_ipv6: bool) -> tuple[int, int]:
    """Make the network namespaces of a pod without a sidecar and of the internet, and links from both pods to that.

    Return what is readable once the process that stands for the first has ended, and once the internet has; this process
    stays in the sidecar's pod.
    """
    pod = os.open(_OWN_NETWORK, os.O_RDONLY | os.O_CLOEXEC)
    syscalls.unshare_network()
    bare = os.open(_OWN_NETWORK, os.O_RDONLY | os.O_CLOEXEC)
    keeper = _fork_namespace_keeper()
    syscalls.unshare_network()
    places = [
        (bare, (BARE_POD, BARE_POD_IPV6) if with_ipv6 else (BARE_POD,)),
        (pod, (POD_ADDRESS, POD_IPV6) if with_ipv6 else (POD_ADDRESS,)),
    ]
    _set_up_internet(places, (INTERNET, INTERNET_IPV6) if with_ipv6 else (INTERNET,))
    paths.internet_namespace.touch()
    syscalls.bind_mount(_OWN_NETWORK, str(paths.internet_namespace))
    command = [sys.executable, "-P", "-m", "egressctl.lab.internet", str(paths.folder), *(["ipv6"] if with_ipv6 else [])]
    internet = _end_of(subprocess.Popen(command, stdin=subprocess.DEVNULL))
    for namespace, addresses in places:
        syscalls.enter_network(namespace)
        _set_up_pod(addresses)
        os.close(namespace)
    return keeper, internet


def _set_up_internet(pods: Sequence[tuple[int, Sequence[str]]], own: Sequence[str]) -> None:
    """Make this network namespace the internet, where every address is local, linked to pods: their namespace and addresses."""
    netlink.link_up()
    for address in own:
        netlink.add_address(address)
        netlink.make_all_addresses_local(address)
    for number, (namespace, addresses) in enumerate(pods):
        name = f"pod{number}"
        netlink.add_veth(name, _INTERFACE, namespace)
        index = socket.if_nametoindex(name)
        netlink.link_up(index)
        for address in addresses:
            # More precise than the route by which every address is local here.
            netlink.add_route(address, index)
            if ":" in address:
                # Of IPv6, an interface answers for its own addresses alone.
                netlink.add_address(_GATEWAY_IPV6, index)


def _set_up_pod(addresses: Sequence[str]) -> None:
    """Make this network namespace, which has its link already, a pod of these addresses, one a family."""
    netlink.link_up()
    index = socket.if_nametoindex(_INTERFACE)
    for address in addresses:
        netlink.add_address(address, index)
    netlink.link_up(index)
    for address in addresses:
        netlink.add_default_route(_GATEWAY_IPV6 if ":" in address else _GATEWAY, index)


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
