"""Ask istiod's own generator for the configuration of sidecars, in a mesh of nothing but the objects given (tests/istiod)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from egressctl.envoy.config import ProxyConfig
from egressctl.envoy.dump import parse_config

Manifest = Mapping[str, Any]


def generate(
    istiod: Path,
    objects: Sequence[Manifest],
    namespaces: Sequence[str],
    *,
    services: Sequence[Manifest] = (),
    default_export_to: Sequence[str] = (),
    times: int = 1,
) -> list[dict[str, ProxyConfig]]:
    """Return what a sidecar of each namespace is given under REGISTRY_ONLY, `times` over.

    Each second time the objects are made in the opposite order: one that does not say when it was made is made then.
    """
    asked = {
        "Objects": objects,
        "Services": services,
        "Namespaces": namespaces,
        "DefaultExportTo": default_export_to or None,
        "Times": times,
    }
    done = subprocess.run([istiod], input=json.dumps(asked).encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return [{name: parse_config(json.dumps(dump)) for name, dump in answer.items()} for answer in json.loads(done.stdout)]
