"""Keep the sidecar's configuration what Istio's objects and the outbound traffic policy say: istiod's job in the lab."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from egressctl.lab.dataplane.envoy_config import build_sidecar_config
from egressctl.lab.dataplane.objects import PLURALS, SLEEP
from egressctl.lab.dataplane.watcher import watch
from egressctl.lab.dataplane.xds import ConfigFiles
from egressctl.lab.state import Paths
from egressctl.model.entry import Manifest

log = logging.getLogger(__name__)


class Feeder:
    """Feeds one Envoy. Changes that come while an update is under way, or while it is stalled, become one further update."""

    def __init__(self, files: ConfigFiles, outside: Paths, policy: str) -> None:
        self._files, self._outside, self.policy = files, outside, policy
        self._objects: dict[str, tuple[Manifest, ...]] = {}
        self._notes: tuple[str, ...] = ()
        self._wanted = self._fed = 0
        self._wake, self._progress = asyncio.Event(), asyncio.Condition()
        self._running, self._idle = asyncio.Event(), asyncio.Lock()
        self._running.set()

    async def run(self, kubeconfig: Path) -> None:
        """Feed until cancelled; raises what stops it."""
        tasks = [asyncio.create_task(self._feed()), asyncio.create_task(watch(kubeconfig, self._changed))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()

    async def first_feed(self) -> None:
        """Return once all objects were listed and Envoy has what they say."""
        await self._settled(1)

    @property
    def is_stalled(self) -> bool:
        """Whether nothing is fed at the moment, as with a control plane that hangs."""
        return not self._running.is_set()

    async def stall(self) -> None:
        """Feed nothing from now on; return once an update under way is over."""
        self._running.clear()
        async with self._idle:
            pass

    async def resume(self) -> None:
        """Feed again; return once Envoy has what was held back."""
        self._running.set()
        await self._settled(self._want())

    async def restart(self, envoy: Callable[[], Awaitable[None]]) -> None:
        """Have Envoy restarted by `envoy`, with no update meanwhile; return once the new one has what the old one had."""
        async with self._idle:
            await envoy()
            await self._files.wait_for_start()

    async def set_policy(self, policy: str) -> None:
        """Change the outbound traffic policy; return once Envoy has acknowledged it."""
        self.policy = policy
        await self._settled(self._want())

    def _changed(self, plural: str, items: Iterable[Manifest]) -> None:
        self._objects[plural] = tuple(items)
        if self._objects.keys() >= set(PLURALS):
            self._want()

    def _want(self) -> int:
        self._wanted += 1
        self._wake.set()
        return self._wanted

    async def _settled(self, number: int) -> None:
        async with self._progress:
            await self._progress.wait_for(lambda: self._fed >= number)

    async def _feed(self) -> None:
        while True:
            await self._wake.wait()
            await self._running.wait()
            async with self._idle:
                self._wake.clear()
                number = self._wanted
                await self._feed_once()
            async with self._progress:
                self._fed = number
                self._progress.notify_all()

    async def _feed_once(self) -> None:
        started = time.monotonic()
        wanted = build_sidecar_config(self._objects, self.policy, SLEEP, self._outside)
        for note in wanted.notes:
            if note not in self._notes:
                log.warning("%s", note)
        self._notes = wanted.notes
        if await self._files.replace(wanted):
            count, milliseconds = len(self._objects["serviceentries"]), (time.monotonic() - started) * 1000
            log.info("version %d: %d ServiceEntries, %s, in %.1f ms", self._files.version, count, self.policy, milliseconds)
