"""A sidecar that an istiod feeds: what stands where the lab's own feeder does. The istiod is somebody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from egressctl.errors import LabFailed
from egressctl.lab.dataplane.admin import Admin

_NOT_OURS = "its control plane is an istiod that the lab does not run"


class FedByIstiod:
    """Waits for Envoy, which asks by itself, and refuses what only the one who runs the istiod can do."""

    is_stalled = False

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    async def run(self, _: Path) -> None:
        """Do nothing until cancelled."""
        await asyncio.Event().wait()

    async def first_feed(self) -> None:
        """Return once Envoy has its first configuration."""
        await self._admin.until_live()

    async def restart(self, envoy: Callable[[], Awaitable[None]]) -> None:
        """Have Envoy restarted by `envoy`; return once the new one has its configuration."""
        await envoy()
        await self._admin.until_live()

    async def set_policy(self, _: str) -> None:
        """Raise LabFailed: the policy is in the istiod's mesh configuration."""
        raise LabFailed(_NOT_OURS)

    async def stall(self) -> None:
        """Raise LabFailed."""
        raise LabFailed(_NOT_OURS)

    async def resume(self) -> None:
        """Raise LabFailed."""
        raise LabFailed(_NOT_OURS)
