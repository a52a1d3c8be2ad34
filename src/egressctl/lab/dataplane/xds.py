"""Give Envoy its configuration by files, in an order that never leaves a filter chain without its Envoy cluster."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from egressctl.errors import LabFailed
from egressctl.lab.dataplane.envoy_config import Resource, Resources

if TYPE_CHECKING:
    # Envoy starts on files that are written before its client's library is loaded.
    from egressctl.lab.dataplane.admin import Admin

log = logging.getLogger(__name__)

POLL_SECONDS, PATIENCE_SECONDS = 0.001, 10.0
_STATS = r"^(cluster_manager\.cds|listener_manager\.lds)\.(version_text|update_rejected)$"
_REJECTIONS = "config_dump?resource=dynamic_listeners&mask=name,error_state.details"


CLUSTERS, LISTENERS = "cluster_manager.cds", "listener_manager.lds"
"""The two discovery services, by the prefix of their statistics."""


def write_first(clusters: Path, listeners: Path, resources: Resources) -> None:
    """Write the first version, before Envoy starts."""
    for file, held in ((clusters, resources.clusters), (listeners, resources.listeners)):
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(file, 1, held)


def _write(file: Path, version: int, resources: Mapping[str, Resource]) -> None:
    """Replace the file by renaming: Envoy watches the folder for that, and does not see a write in place."""
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps({"version_info": str(version), "resources": list(resources.values())}))
    beside.rename(file)


class Files:
    """The two files that Envoy watches, after `write_first`, and what they hold."""

    def __init__(self, clusters: Path, listeners: Path, first: Resources, admin: Admin) -> None:
        self._files = {CLUSTERS: clusters, LISTENERS: listeners}
        self._held = {CLUSTERS: first.clusters, LISTENERS: first.listeners}
        self._admin = admin
        self.version = 1

    async def first_acknowledged(self) -> None:
        """Return once Envoy is live and has taken the first version. Raises LabFailed after ten seconds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not await self._admin.is_live():
            if time.monotonic() > deadline:
                raise LabFailed("Envoy did not come up within 10 seconds")
            await asyncio.sleep(POLL_SECONDS)
        for manager in self._files:
            await self._acknowledged(manager, 0)

    async def replace(self, wanted: Resources) -> bool:
        """Make Envoy hold `wanted`, each step acknowledged before the next; return whether anything had to change.

        New Envoy clusters arrive before the filter chains that lead to them, and old ones go after theirs.
        """
        held = self._held[CLUSTERS]
        changed = await self._put(CLUSTERS, held | wanted.clusters)
        changed |= await self._put(LISTENERS, wanted.listeners)
        changed |= await self._put(CLUSTERS, wanted.clusters)
        return changed

    async def _put(self, manager: str, resources: dict[str, Resource]) -> bool:
        if resources == self._held[manager]:
            return False
        rejected = int((await self._admin.stats(_STATS)).get(f"{manager}.update_rejected", 0))
        self.version += 1
        _write(self._files[manager], self.version, resources)
        self._held[manager] = resources
        await self._acknowledged(manager, rejected)
        return True

    async def _acknowledged(self, manager: str, rejected: int) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            stats = await self._admin.stats(_STATS)
            if stats.get(f"{manager}.version_text") == str(self.version):
                return
            if int(stats.get(f"{manager}.update_rejected", 0)) > rejected:
                log.warning("Envoy rejected part of version %d (%s): %s", self.version, manager, await self._reasons())
                return
            await asyncio.sleep(POLL_SECONDS)
        raise LabFailed(f"Envoy did not take version {self.version} of its configuration ({manager}) within 10 seconds")

    async def _reasons(self) -> str:
        dump = json.loads(await self._admin.get(_REJECTIONS))
        states = {
            state.get("name", ""): state["error_state"].get("details", "")
            for state in dump.get("configs", ())
            if "error_state" in state
        }
        return "; ".join(f"{name or 'unnamed'}: {details}" for name, details in states.items()) or "see Envoy's own log"
