"""Keep the sidecar's configuration what the ServiceEntries and the outbound traffic policy say: istiod's job in the lab."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from pathlib import Path

from egressctl.lab.dataplane.envoy_config import Outside, resources
from egressctl.lab.dataplane.names import NAMESPACE
from egressctl.lab.dataplane.watcher import watch
from egressctl.lab.dataplane.xds import Files
from egressctl.model import Manifest

log = logging.getLogger(__name__)


class Feeder:
    """Feeds one Envoy. Changes that come while an update is under way become one further update."""

    def __init__(self, files: Files, outside: Outside, policy: str) -> None:
        self._files, self._outside, self.policy = files, outside, policy
        self._entries: tuple[Manifest, ...] = ()
        self._notes: tuple[str, ...] = ()
        self._wanted = self._fed = 0
        self._wake, self._progress = asyncio.Event(), asyncio.Condition()

    async def run(self, kubeconfig: Path) -> None:
        """Feed until cancelled; raises what stops it."""
        tasks = [asyncio.create_task(self._feed()), asyncio.create_task(watch(kubeconfig, self._entries_changed))]
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()

    async def first_feed(self) -> None:
        """Return once the ServiceEntries were listed and Envoy has what they say."""
        await self._settled(1)

    async def set_policy(self, policy: str) -> None:
        """Change the outbound traffic policy; return once Envoy has acknowledged it."""
        self.policy = policy
        await self._settled(self._want())

    def _entries_changed(self, entries: Iterable[Manifest]) -> None:
        self._entries = tuple(entries)
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
            self._wake.clear()
            number, started = self._wanted, time.monotonic()
            wanted = resources(self._entries, self.policy, NAMESPACE, self._outside)
            for note in wanted.notes:
                if note not in self._notes:
                    log.warning("%s", note)
            self._notes = wanted.notes
            if await self._files.replace(wanted):
                milliseconds = (time.monotonic() - started) * 1000
                log.info(
                    "version %d: %d ServiceEntries, %s, in %.1f ms",
                    self._files.version,
                    len(self._entries),
                    self.policy,
                    milliseconds,
                )
            async with self._progress:
                self._fed = number
                self._progress.notify_all()
