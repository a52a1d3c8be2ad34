"""Give Envoy its configuration by files, in an order that never leaves a filter chain without its Envoy cluster or routes."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from egressctl.errors import LabFailed
from egressctl.lab.dataplane.envoy_config import SidecarConfig
from egressctl.lab.dataplane.istiod_layout import EnvoyResource
from egressctl.lab.state import Paths

if TYPE_CHECKING:
    # Envoy starts on files that are written before its client's library is loaded.
    from egressctl.lab.dataplane.admin import Admin

log = logging.getLogger(__name__)

POLL_SECONDS, PATIENCE_SECONDS = 0.001, 10.0
_STATS = (
    r"^((cluster_manager\.cds|listener_manager\.lds)\.(version_text|update_rejected)|listener_manager\.total_listeners_warming)$"
)
_REJECTIONS = "config_dump?resource=dynamic_listeners&mask=name,error_state.details"
_ROUTES = "config_dump?resource=dynamic_route_configs&mask=version_info,route_config.name"


CLUSTERS, LISTENERS = "cluster_manager.cds", "listener_manager.lds"
"""The two discovery services whose answers hold everything, by the prefix of their statistics."""


def write_first_version(paths: Paths, resources: SidecarConfig) -> None:
    """Write the first version, before Envoy starts."""
    paths.routes.mkdir(parents=True, exist_ok=True)
    for file, held in ((paths.clusters, resources.clusters), (paths.listeners, resources.listeners)):
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(file, 1, held)
    for name, route in resources.routes.items():
        _write(paths.routes / f"{name}.json", _hash(route), {name: route})


def _hash(route: EnvoyResource) -> str:
    """Name a route configuration's version by its content: Envoy keeps the old version's name where nothing has changed."""
    return hashlib.sha256(json.dumps(route).encode()).hexdigest()[:16]


def _write(file: Path, version: int | str, resources: Mapping[str, EnvoyResource]) -> None:
    """Replace the file by renaming: Envoy watches the folder for that, and does not see a write in place."""
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps({"version_info": str(version), "resources": list(resources.values())}))
    beside.rename(file)


class ConfigFiles:
    """The files that Envoy watches, after `write_first_version`, and what they hold."""

    def __init__(self, paths: Paths, first: SidecarConfig, admin: Admin) -> None:
        self._files = {CLUSTERS: paths.clusters, LISTENERS: paths.listeners}
        self._held = {CLUSTERS: first.clusters, LISTENERS: first.listeners}
        self._versions = dict.fromkeys(self._files, 1)
        self._folder, self._routes = paths.routes, dict(first.routes)
        self._admin = admin
        self.version = 1

    async def wait_for_start(self) -> None:
        """Return once an Envoy that has just started is live and has taken what the files hold.

        Raises LabFailed after ten seconds.
        """
        await self._admin.until_live()
        for manager in self._files:
            await self._wait_for_version(manager, 0)
        await self._wait_for_routes()

    async def replace(self, wanted: SidecarConfig) -> bool:
        """Make Envoy hold `wanted`, each step acknowledged before the next; return whether anything had to change.

        New Envoy clusters and routes arrive before the filter chains that lead to them, and old ones go after theirs.
        """
        held = self._held[CLUSTERS]
        changed = await self._put(CLUSTERS, held | wanted.clusters)
        new = {name: route for name, route in wanted.routes.items() if self._routes.get(name) != route}
        known = new.keys() & self._routes.keys()
        for name, route in new.items():
            self.version += 1
            _write(self._folder / f"{name}.json", _hash(route), {name: route})
            self._routes[name] = route
        if known:
            await self._wait_for_routes()
        changed |= bool(new) | await self._put(LISTENERS, wanted.listeners)
        for name in self._routes.keys() - wanted.routes.keys():
            del self._routes[name]
            (self._folder / f"{name}.json").unlink()
        if new:
            await self._wait_for_routes()
        changed |= await self._put(CLUSTERS, wanted.clusters)
        return changed

    async def _put(self, manager: str, resources: dict[str, EnvoyResource]) -> bool:
        if resources == self._held[manager]:
            return False
        rejected = int((await self._admin.stats(_STATS)).get(f"{manager}.update_rejected", 0))
        self.version += 1
        _write(self._files[manager], self.version, resources)
        self._held[manager], self._versions[manager] = resources, self.version
        await self._wait_for_version(manager, rejected)
        return True

    async def _wait_for_version(self, manager: str, rejected: int) -> None:
        deadline, version = time.monotonic() + PATIENCE_SECONDS, str(self._versions[manager])
        while time.monotonic() < deadline:
            stats = await self._admin.stats(_STATS)
            if stats.get(f"{manager}.version_text") == version and stats.get("listener_manager.total_listeners_warming") == "0":
                return
            if int(stats.get(f"{manager}.update_rejected", 0)) > rejected:
                log.warning("Envoy rejected part of version %s (%s): %s", version, manager, await self._reasons())
                return
            await asyncio.sleep(POLL_SECONDS)
        raise LabFailed(f"Envoy did not take version {version} of its configuration ({manager}) within 10 seconds")

    async def _wait_for_routes(self) -> None:
        """Return once Envoy has the routes of every listener that asks for some. It says nothing of those that it refuses."""
        deadline, versions = time.monotonic() + PATIENCE_SECONDS, {name: _hash(route) for name, route in self._routes.items()}
        while versions and time.monotonic() < deadline:
            dump = json.loads(await self._admin.get(_ROUTES))
            taken = {each.get("route_config", {}).get("name"): each.get("version_info") for each in dump.get("configs", ())}
            if all(taken.get(name, version) == version for name, version in versions.items()):
                return
            await asyncio.sleep(POLL_SECONDS)
        if versions:
            log.warning("Envoy did not take the routes of version %d; see its own log", self.version)

    async def _reasons(self) -> str:
        dump = json.loads(await self._admin.get(_REJECTIONS))
        states = {
            state.get("name", ""): state["error_state"].get("details", "")
            for state in dump.get("configs", ())
            if "error_state" in state
        }
        return "; ".join(f"{name or 'unnamed'}: {details}" for name, details in states.items()) or "see Envoy's own log"
