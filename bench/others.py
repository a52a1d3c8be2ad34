"""Measure `verify --all` on two hundred entries that kubectl applied, against a loop of kubectl exec ... curl without a proof."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from figures import EGRESSCTL, Figure, interleaved, quiet, ratio

ENTRIES = 200
LIMIT = 0.1
_LOOP = f"for i in $(seq 0 {ENTRIES - 1}); do kubectl exec sleep -c sleep -- curl -s -o /dev/null http://100.80.$i.10:8080; done"
_CLUSTERS = ["kubectl", "exec", "sleep", "-c", "istio-proxy", "--", "pilot-agent", "request", "GET", "clusters?format=json"]


def every_entry(environment: dict[str, str], folder: Path, where: str, limit: float | None) -> list[Figure]:
    """Apply the entries to a mesh that has none, wait until its sidecar has them, and compare."""
    path = folder / "entries.yaml"
    path.write_text(yaml.safe_dump_all(map(_entry, range(ENTRIES)), sort_keys=False))
    quiet(["kubectl", "apply", "-f", str(path)], environment)
    while _followed(environment) < ENTRIES:
        pass
    calls = {
        "verify": lambda: quiet([EGRESSCTL, "verify", "--all", "-o", "table", "-o", f"junit={folder / 'r.xml'}"], environment),
        "loop": lambda: quiet(["sh", "-c", _LOOP], environment),
    }
    interleaved(calls, 1)
    found = interleaved(calls, 3)
    quiet(["kubectl", "delete", "-f", str(path)], environment)
    return [
        Figure(f"egressctl verify --all, {ENTRIES} entries with their proof, {where}", median(found["verify"]), None, "s"),
        Figure("  / a loop of kubectl exec ... curl", ratio(found["verify"], found["loop"]), limit, "x"),
    ]


def _entry(index: int) -> dict[str, Any]:
    name, address = f"entry-{index:03}", f"100.80.{index}.10"
    probes = json.dumps([{"name": "x", "url": f"http://{address}:8080"}])
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": name, "namespace": "default", "annotations": {"egressctl.dev/probes": probes}},
        "spec": {
            "hosts": [f"{name}.example"],
            "addresses": [f"{address}/24"],
            "ports": [{"number": 8080, "name": "tcp-port", "protocol": "TCP"}],
            "location": "MESH_EXTERNAL",
            "resolution": "NONE",
        },
    }


def _followed(environment: dict[str, str]) -> int:
    """Return for how many of the entries' hosts the sidecar has an Envoy cluster."""
    said = subprocess.run(_CLUSTERS, env=environment, capture_output=True, text=True, check=False).stdout
    return len(set(re.findall(r"entry-\d+\.example", said)))
