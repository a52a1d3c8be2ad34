"""Ask the pod's Envoy from outside its namespaces, by the unix socket that leads to its admin interface."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path

import aiohttp

from egressctl.errors import LabFailed

START_SECONDS, POLL_SECONDS = 10.0, 0.001


class Admin:
    """Envoy's admin interface. `aclose` it in the end."""

    def __init__(self, socket: Path) -> None:
        # On a busy machine an Envoy that takes a thousand entries is silent for seconds.
        timeout = aiohttp.ClientTimeout(total=30)
        self._session = aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(socket)), timeout=timeout)

    async def get(self, path: str) -> str:
        """Return the answer's body. Raises aiohttp.ClientError or TimeoutError where there is none."""
        async with self._session.get(f"http://envoy/{path}", raise_for_status=True) as response:
            return await response.text()

    async def stats(self, pattern: str) -> Mapping[str, str]:
        """Return the statistics whose whole name matches, as text without quotes."""
        async with self._session.get("http://envoy/stats", params={"filter": pattern}, raise_for_status=True) as response:
            lines = (line.partition(": ") for line in (await response.text()).splitlines())
        return {name: value.strip('"') for name, _, value in lines}

    async def is_live(self) -> bool:
        """Return whether Envoy has taken its first configuration and accepts connections."""
        try:
            return (await self.get("ready")).strip() == "LIVE"
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def until_live(self) -> None:
        """Return once it `is_live`. Raises LabFailed after ten seconds."""
        deadline = time.monotonic() + START_SECONDS
        while not await self.is_live():
            if time.monotonic() > deadline:
                raise LabFailed("Envoy did not come up within 10 seconds")
            await asyncio.sleep(POLL_SECONDS)

    async def aclose(self) -> None:
        await self._session.close()
