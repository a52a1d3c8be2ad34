"""Which Envoy a sidecar is, from its admin interface's `server_info`. Pure."""

from __future__ import annotations

import json
from typing import NamedTuple

from egressctl.errors import ProxyUnreadable


class ProxyInfo(NamedTuple):
    """A sidecar's versions, each "" where it does not say, and Envoy's `state`: LIVE, DRAINING, INITIALIZING and others."""

    envoy: str
    istio: str
    state: str


def parse_info(text: str) -> ProxyInfo:
    """Read `server_info` (envoy.admin.v3.ServerInfo; Istio's version is in the node's metadata). Raises ProxyUnreadable."""
    try:
        info = json.loads(text)
        metadata = (info.get("node") or {}).get("metadata") or {}
        # COMMIT/1.34.1/Clean/RELEASE/BoringSSL
        version = [*str(info.get("version") or "").split("/"), "", ""][1]
        return ProxyInfo(version, str(metadata.get("ISTIO_VERSION") or ""), str(info.get("state") or ""))
    except (ValueError, AttributeError, RecursionError):
        raise ProxyUnreadable("the sidecar's server_info is not what Envoy writes") from None
