"""Measure `verify --all -A` where it is large: two thousand entries in fifty namespaces, twenty of which have a source pod.

What it costs others is what counts: memory here, connections to the API server, and how soon it lets go at Ctrl-C.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from figures import EGRESSCTL, LONGEST, Failed, Figure, ended
from others import entry

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))

from cluster.cluster import RealCluster  # noqa: E402
from egressctl.lab.api.pods import NODE  # noqa: E402

NAMESPACES, PODS, ENTRIES = 50, 20, 2000
ENDS = 10
"""How often it is ended by Ctrl-C, each time at another moment."""
MEMORY, SOCKETS, LET_GO = 200.0, 24.0, 1.0
_ARGV = [EGRESSCTL, "verify", "--all", "-A", "-o", "table", "-o", "json="]
_HOST = r"giant-\d+\.example"


@dataclass(frozen=True)
class _Watched:
    """How a command ended, and what it had at most: memory in MB, sockets at once. `late` is how long after a signal it ended."""

    code: int
    seconds: float
    memory: float
    sockets: int
    late: float | None
    said: str


def a_giant(real: RealCluster, environment: Mapping[str, str], folder: Path, hosts: Callable[[str], int]) -> Iterator[Figure]:
    """(g) Every entry of a large mesh: what it takes at most, and how soon it ends when it is told to."""
    report = folder / "giant.json"
    for each in range(NAMESPACES):
        real.namespace(_namespace(each), {"istio-injection": "enabled"} if each < PODS else {})
    for each in range(ENTRIES):
        real.post(f"/apis/networking.istio.io/v1/namespaces/{_namespace(each % NAMESPACES)}/serviceentries", _entry(each))
    for each in range(PODS):
        pods = f"/api/v1/namespaces/{_namespace(each)}/pods"
        real.post(f"/api/v1/namespaces/{_namespace(each)}/serviceaccounts", {"metadata": {"name": "sleep"}})
        real.post(pods, _POD)
    real.until(lambda: all(_runs(real, each) for each in range(PODS)), "the source pods")
    real.until(lambda: hosts(_HOST) == ENTRIES, "the sidecar's configuration of them")
    try:
        whole = _watch([*_ARGV[:-1], f"json={report}"], environment)
        if whole.code:
            raise Failed(_ARGV, ended(whole.code, whole.seconds), whole.said)
        sources = {probe["source"]["namespace"] for each in json.loads(report.read_text())["targets"] for probe in each["probes"]}
        yield Figure(f"egressctl verify --all -A, {ENTRIES} entries from {len(sources)} source pods", [whole.seconds], None, "s")
        yield Figure("  the most memory", [whole.memory], MEMORY, "MB")
        yield Figure("  the most sockets at once", [whole.sockets], SOCKETS, "")
        lates = []
        for each in range(ENDS):
            report.unlink(missing_ok=True)
            moment = whole.seconds * (each + random.random()) / ENDS  # noqa: S311
            cut = _watch([*_ARGV[:-1], f"json={report}"], environment, moment)
            if cut.late is None:
                continue  # this time it was quicker
            # Before it knows its flags there is nothing to report.
            told = json.loads(report.read_text())["exitCode"] if report.exists() else 130
            if (cut.code, told) != (130, 130):
                raise Failed(_ARGV, ended(cut.code, cut.seconds), cut.said)
            lates.append(cut.late)
        yield Figure(f"  from Ctrl-C to its report and end, the longest of {len(lates)}", [max(lates)], LET_GO, "s")
    finally:
        for each in range(NAMESPACES):
            real.api("DELETE", f"/apis/networking.istio.io/v1/namespaces/{_namespace(each)}/serviceentries")
        for each in range(PODS):
            real.api("DELETE", f"/api/v1/namespaces/{_namespace(each)}/pods")
        real.until(lambda: hosts(_HOST) == 0, "the end of them")


def _runs(real: RealCluster, index: int) -> bool:
    pod = real.api("GET", f"/api/v1/namespaces/{_namespace(index)}/pods/sleep")[1]
    return bool(pod["status"].get("phase") == "Running")


def _namespace(index: int) -> str:
    return f"giant-{index:02}"


_POD = {
    "metadata": {"name": "sleep", "labels": {"app": "sleep"}},
    "spec": {
        "nodeName": NODE,
        "containers": [{"name": "sleep", "image": "curlimages/curl", "command": ["/bin/sleep", "infinity"]}],
        "serviceAccountName": "sleep",
        "terminationGracePeriodSeconds": 0,
    },
}


def _entry(index: int) -> dict[str, Any]:
    return entry(_namespace(index % NAMESPACES), f"giant-{index}", f"100.{80 + index // 250}.{index % 250}.10")


def _watch(argv: list[str], environment: Mapping[str, str], interrupt: float | None = None) -> _Watched:
    """Run a command, look at its sockets meanwhile, and send it Ctrl-C after so many seconds."""
    with tempfile.TemporaryFile("w+") as out:
        began = time.monotonic()
        process = subprocess.Popen(
            argv, env=dict(environment), stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
        sockets, told = 0, 0.0
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            now = time.monotonic()
            if pid:
                break
            if interrupt is not None and not told and now - began >= interrupt:
                os.kill(process.pid, signal.SIGINT)
                told = now
            if now - began > LONGEST * 3:
                os.killpg(process.pid, signal.SIGKILL)
            sockets = max(sockets, _sockets(process.pid))
            time.sleep(0.01)
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read()[-3000:]
    return _Watched(process.returncode, now - began, usage.ru_maxrss / 1000, sockets, now - told if told else None, said)


def _sockets(pid: int) -> int:
    """Count the sockets that a process has open; what closes or ends meanwhile is not counted."""
    found = 0
    for descriptor in Path(f"/proc/{pid}/fd").glob("*"):
        with suppress(OSError):
            found += os.readlink(descriptor).startswith("socket:")
    return found
