"""Process 1 of the lab's namespaces: makes pod and internet, starts what lives in them, and ends when any of it does.

Run by `unshare` as `python -m egressctl.lab.dataplane.init HOME NAME ENVOY`. Standard input is the lifeline: its
end is the supervisor's. Standard output is a line a milestone, `failed STEP: WHY` among them.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from egressctl.lab.dataplane import netlink, nftables, syscalls
from egressctl.lab.dataplane.names import OUTBOUND_PORT, POD_ADDRESS
from egressctl.lab.state import Paths

_OWN_NETWORK = "/proc/self/ns/net"
Result = TypeVar("Result")


def main(home: str, name: str, envoy: str) -> int:
    """Return when the lab is over; the kernel then ends every process of the namespaces."""
    paths = Paths(Path(home), name)
    try:
        _step("files of the pod", lambda: _files(paths))
        _step("network of the pod", _pod)
        _step("interception (nf_tables)", lambda: nftables.install_redirect(OUTBOUND_PORT))
        internet = _step("internet", lambda: _internet(paths))
        sidecar = _step("envoy", lambda: _envoy(paths, envoy))
    except _Failed as failed:
        print(f"failed {failed}", flush=True)
        return 1
    print("started", flush=True)
    # Orphans of finished execs land here; nobody asks how they ended.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    ended = _first_end({0: "the supervisor", internet: "the internet", sidecar: "Envoy"})
    print(f"ended {ended}", flush=True)
    return 0


class _Failed(Exception):
    """A step that did not work: its name and why."""


def _step(name: str, do: Callable[[], Result]) -> Result:
    try:
        return do()
    except OSError as error:
        raise _Failed(f"{name}: {error}") from error


def _files(paths: Paths) -> None:
    for name in ("hosts", "resolv.conf", "nsswitch.conf"):
        target = Path("/etc", name).resolve()
        if target.exists():
            syscalls.bind_mount(str(paths.etc / name), str(target))
    # A name service cache daemon would answer from the machine's own /etc/hosts.
    for folder in {Path("/run/nscd").resolve(), Path("/var/run/nscd").resolve()}:
        if folder.is_dir():
            syscalls.mount_tmpfs(str(folder))


def _pod() -> None:
    netlink.link_up()
    netlink.add_address(POD_ADDRESS)
    netlink.any_address(POD_ADDRESS)


def _internet(paths: Paths) -> int:
    """Start the internet in a network namespace of its own, come back to the pod's, and return its pidfd."""
    pod = os.open(_OWN_NETWORK, os.O_RDONLY | os.O_CLOEXEC)
    syscalls.unshare_network()
    netlink.link_up()
    netlink.add_address(POD_ADDRESS)
    netlink.any_address(POD_ADDRESS)
    paths.internet_namespace.touch()
    syscalls.bind_mount(_OWN_NETWORK, str(paths.internet_namespace))
    command = [sys.executable, "-P", "-m", "egressctl.lab.internet", str(paths.folder)]
    internet = _watched(subprocess.Popen(command, stdin=subprocess.DEVNULL))
    syscalls.enter_network(pod)
    os.close(pod)
    return internet


def _envoy(paths: Paths, envoy: str) -> int:
    command = [envoy, "-c", str(paths.folder / "bootstrap.json"), "--concurrency", "1", "--disable-hot-restart"]
    command += ["--drain-time-s", "45", "--drain-strategy", "immediate", "--file-flush-interval-msec", "20"]
    command += ["--log-path", str(paths.envoy_log), "-l", "warning"]
    with open(paths.envoy_log, "ab") as log:
        return _watched(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))


def _watched(process: subprocess.Popen[bytes]) -> int:
    """Return a descriptor that is readable once the process has ended; asked for before anybody may have reaped it."""
    return os.pidfd_open(process.pid)


def _first_end(watched: dict[int, str]) -> str:
    poller = select.poll()
    for descriptor in watched:
        poller.register(descriptor, select.POLLIN | select.POLLHUP)
    return watched[poller.poll()[0][0]]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
