"""The processes inside the lab's namespaces, seen from outside: started by `unshare`, ended by a closed pipe."""

from __future__ import annotations

import asyncio
import logging
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from egressctl.errors import LabFailed
from egressctl.lab.dataplane.exclusions import Exclusions
from egressctl.lab.dataplane.names import RESTART, RESTARTED
from egressctl.lab.dataplane.processes import child_pids, command_line
from egressctl.lab.state import Paths

log = logging.getLogger(__name__)

_PATIENCE_SECONDS = 10.0
_ROLES = {b"egressctl.lab.internet": "internet", b"egressctl.lab.dataplane.init": "bare", b"bootstrap.json\0--conc": "envoy"}
"""What the command line of a child of process 1 holds -> its role; `bare` stands for the pod without a sidecar."""


_SYSCTLS = (
    (
        "kernel.apparmor_restrict_unprivileged_userns",
        "AppArmor keeps ordinary users from making user namespaces (Ubuntu's default since 23.10)",
        "0",
    ),
    ("kernel.unprivileged_userns_clone", "the kernel keeps ordinary users from making user namespaces", "1"),
    ("user.max_user_namespaces", "the number of user namespaces is limited to none", "15000"),
    ("user.max_net_namespaces", "the number of network namespaces is limited to none", "15000"),
)
"""Settings of the kernel that forbid namespaces, why, and the value that allows them."""


class ProcessTree:
    """`unshare`, its process 1, Envoy and the internet. Closing the lifeline ends them all, and so does the death of any."""

    def __init__(self, paths: Paths, envoy: str, excluded: Exclusions, *, ipv6: bool = False) -> None:
        """Start them; nothing is known of their success yet."""
        # A user namespace also for root: one way for everybody, and less to break.
        command = [shutil.which("unshare") or "unshare", "--user", "--map-root-user", "--net", "--mount", "--pid", "--fork"]
        command += ["--kill-child=SIGKILL", sys.executable, "-P", "-m", "egressctl.lab.dataplane.init"]
        command += [str(paths.home), paths.name, envoy, str(excluded), "ipv6" if ipv6 else ""]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._lines = asyncio.StreamReader()
        self._seen: set[str] = set()
        self._said: list[str] = []
        self._restarted = asyncio.Event()

    async def listen(self) -> None:
        """Connect to what they say; once, before the other methods."""
        protocol = asyncio.StreamReaderProtocol(self._lines)
        await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, self._process.stdout)

    async def until(self, milestone: str) -> None:
        """Return once they said `milestone`. Raises LabFailed with the step that failed, or after ten seconds."""
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while milestone not in self._seen:
                    if not await self._read():
                        raise self._failure()
        except TimeoutError as error:
            raise LabFailed(f"the lab's {milestone} did not come up within 10 seconds") from error

    async def end(self) -> str:
        """Return, once they are gone, which of them went first."""
        while await self._read():
            pass
        ended = [line.removeprefix("ended ") for line in self._said if line.startswith("ended ")]
        return ended[0] if ended else "process 1 of the namespaces"

    async def _read(self) -> bool:
        line = (await self._lines.readline()).decode(errors="replace")
        if text := line.strip():
            log.info("namespaces: %s", text)
            self._seen.add(text)
            if text == RESTARTED:
                self._restarted.set()
            self._said = [*self._said[-20:], text]
        return bool(line)

    def _failure(self) -> LabFailed:
        for line in self._said:
            if line.startswith("failed "):
                return LabFailed(f"the lab's step {line.removeprefix('failed ')}")
        why = self._said[-1] if self._said else "unshare ended without a word"
        if "started" in self._seen:
            return LabFailed(f"a process of the lab ended while it started: {why.removeprefix('ended ')}")
        reason, remedy = reason_and_remedy(_read_sysctl)
        return LabFailed(f"the lab's step namespaces: {why}" + (f": {reason}" if reason else ""), hint=remedy)

    def processes(self) -> dict[str, int]:
        """Return the machine's pids of `unshare`, `init`, `bare`, `envoy` and `internet`, as far as they live."""
        return processes_below(self._process.pid)

    async def restart_envoy(self) -> None:
        """Have Envoy stopped and started again, while somebody awaits `end`. Raises LabFailed after ten seconds."""
        assert self._process.stdin
        self._restarted.clear()
        self._process.stdin.write(f"{RESTART}\n".encode())
        self._process.stdin.flush()
        try:
            # `end` reads what they say.
            await asyncio.wait_for(self._restarted.wait(), _PATIENCE_SECONDS)
        except TimeoutError as error:
            raise LabFailed("the lab's Envoy did not start again within 10 seconds") from error

    def close(self) -> None:
        """End them all and wait until they are gone."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def processes_below(unshare: int) -> dict[str, int]:
    """Return the machine's pids of a running `unshare` and of what it started, as far as they live, by their roles."""
    found = {"unshare": unshare}
    for init in child_pids(unshare):
        found["init"] = init
        for child in child_pids(init):
            arguments = command_line(child)
            # Children of another kind are orphans of commands in the pod.
            found |= {role: child for mark, role in _ROLES.items() if mark in arguments}
    return found


def reason_and_remedy(read: Callable[[str], str]) -> tuple[str, str]:
    """Return why namespaces cannot be made, and the command that allows them; empty texts where nothing is found.

    `read` returns the content of a file below /proc/sys, empty where there is none.
    """
    for name, reason, allowing in _SYSCTLS:
        file = name.replace(".", "/")
        said = read(file)
        # The first forbids by any number but 0, the others by 0.
        if said and (said == "0") is (allowing != "0"):
            return f"{reason} (/proc/sys/{file})", f"sudo sysctl {name}={allowing}"
    return "", ""


def _read_sysctl(name: str) -> str:
    try:
        return Path("/proc/sys", name).read_text().strip()
    except OSError:
        return ""
