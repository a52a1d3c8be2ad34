"""Measure `lint` of a thousand manifests: absolutely, and against a bare reader of YAML in C on the same files."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from figures import EGRESSCTL, Figure, interleaved, ratios, run

COUNT = 1000

_MANIFEST = """apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata:
  name: service-{n}
  namespace: team-{team}
  labels:
    app.kubernetes.io/part-of: team-{team}
spec:
  hosts:
  - service-{n}.example
  addresses:
  - 10.{a}.{b}.0/26
  - 10.{a}.{b}.64/26
  - 198.51.100.{c}/28
  ports:
  - number: 443
    name: tcp-443
    protocol: TCP
  location: MESH_EXTERNAL
  resolution: NONE
"""
"""Public, so that each has to be compared with all others; every sixteenth has a block that others have too."""

_READER = """
import sys, pathlib, yaml
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    list(yaml.load_all(path.read_text(), Loader=yaml.CSafeLoader))
"""


def linted(rounds: int) -> Iterator[Figure]:
    """Measure files that only some teams' entries compete in."""
    with tempfile.TemporaryDirectory(prefix="eb-files-") as folder:
        for n in range(COUNT):
            text = _MANIFEST.format(n=n, team=n % 40, a=n // 250, b=n % 250, c=n % 16 * 16)
            (Path(folder) / f"service-{n}.yaml").write_text(text)
        calls = {
            "lint": lambda: run([EGRESSCTL, "lint", folder, "--ignore", "exported-everywhere"]),
            "read": lambda: run([sys.executable, "-c", _READER, folder]),
        }
        found = interleaved(calls, rounds)
    yield Figure(f"egressctl lint, {COUNT:,} files", found["lint"], 3.0, "s")
    compared = ratios(found["lint"], found["read"])
    yield Figure(f"egressctl lint / reading them with yaml.CSafeLoader, {COUNT:,} files", compared, 8.0, "x")
