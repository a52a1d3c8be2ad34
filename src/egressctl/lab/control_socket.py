"""What other processes of its user may ask of a running lab: another policy, a stall, a restart of the sidecar."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from egressctl.errors import LabFailed
from egressctl.lab.dataplane.names import POLICIES
from egressctl.lab.dataplane.process_tree import ProcessTree
from egressctl.lab.dataplane.processes import start_time
from egressctl.lab.state import Paths, read_running

if TYPE_CHECKING:
    # Its HTTP library is loaded while Envoy starts.
    from egressctl.lab.dataplane.feeder import Feeder


async def serve_order(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, paths: Paths, feeder: Feeder, tree: ProcessTree
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


async def _run_order(word: str, value: str, paths: Paths, feeder: Feeder, tree: ProcessTree) -> str:
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
        _update_marker(paths, processes={"supervisor": os.getpid(), **tree.processes()})
    else:
        return f"it does not know {word} {value}".strip()
    return ""


def _update_marker(paths: Paths, policy: str = "", processes: Mapping[str, int] | None = None) -> None:
    """Bring the lab's marker up to date."""
    if running := read_running(paths):
        replace(
            running, policy=policy or running.policy, processes=with_start_times(processes) if processes else running.processes
        ).write(paths)


def with_start_times(processes: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """Return each process with its start time, by which another of the same pid is told from it."""
    return {role: (pid, start_time(pid) or 0) for role, pid in processes.items()}
