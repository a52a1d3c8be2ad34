"""Measure `verify --all` on two hundred entries that kubectl applied, against a loop of kubectl exec ... curl without a proof."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from figures import EGRESSCTL, Figure, interleaved, output, ratios, run, until

ENTRIES = 200
LIMIT = 0.1
_CURL = "kubectl exec sleep -c sleep -- curl -s -o /dev/null"
_LOOP = f"for i in $(seq 0 {ENTRIES - 1}); do {_CURL} http://100.80.$i.10:8080; done"
_CLUSTERS = ["kubectl", "exec", "sleep", "-c", "istio-proxy", "--", "pilot-agent", "request", "GET", "clusters?format=json"]


def every_entry(environment: dict[str, str], folder: Path, where: str, limit: float | None) -> Iterator[Figure]:
    """Apply the entries to a mesh that has none, wait until its sidecar has them, and compare."""
    path = folder / "entries.yaml"
    path.write_text(yaml.safe_dump_all(map(_entry, range(ENTRIES)), sort_keys=False))
    run(["kubectl", "apply", "-f", str(path)], environment)
    until(lambda: _followed(environment) == ENTRIES, f"the sidecar's configuration of {ENTRIES} entries")
    calls = {
        "verify": lambda: run([EGRESSCTL, "verify", "--all", "-o", "table", "-o", f"junit={folder / 'r.xml'}"], environment),
        "loop": lambda: run(["sh", "-c", _LOOP], environment),
    }
    found = interleaved(calls, 3)
    run(["kubectl", "delete", "-f", str(path)], environment)
    yield Figure(f"egressctl verify --all, {ENTRIES} entries with their proof, {where}", found["verify"], None, "s")
    yield Figure("  / a loop of kubectl exec ... curl", ratios(found["verify"], found["loop"]), limit, "x")


def _entry(index: int) -> dict[str, Any]:
    return entry("default", f"entry-{index:03}", f"100.80.{index}.10")


def entry(namespace: str, name: str, address: str) -> dict[str, Any]:
    """Return a ServiceEntry that opens the block of an address, and a probe that asks there."""
    probes = json.dumps([{"name": "x", "url": f"http://{address}:8080"}])
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": name, "namespace": namespace, "annotations": {"egressctl.dev/probes": probes}},
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
    return len(set(re.findall(r"entry-\d+\.example", output(_CLUSTERS, environment))))
