"""What was read of a sidecar at one moment."""

from __future__ import annotations

from dataclasses import dataclass

from egressctl.envoy.config import ProxyConfig
from egressctl.envoy.counts import ClusterCounts


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read of a sidecar; None is what was not, or could not be."""

    config: ProxyConfig | None = None
    counts: ClusterCounts | None = None


NOTHING = Reading()
