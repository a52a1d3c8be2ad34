"""What a real sidecar, a real pod, a real API server and istiod's generator said, read from tests/data."""

from __future__ import annotations

import json
import lzma
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ARCHIVE = Path(__file__).parent / "data" / "recordings.tar.xz"


@dataclass(frozen=True)
class Recording:
    """One situation: what was applied, what the sidecar said, what curl saw, and what carried the probe.

    `config_dump` is None where Envoy could not give one; `config_dump_error` is then what it answered.
    `partial_dump` and `error_states` are what narrower questions still gave there, else None.
    `access_log` is None where Envoy never saw the connection. `truth` is read from the access log.
    """

    case: str
    config_dump: str | None
    config_dump_error: str | None
    partial_dump: str | None
    error_states: str | None
    clusters_before: str
    clusters: str
    listeners: str
    objects: str
    manifests: list[dict[str, Any]]
    policy: str
    probe: dict[str, Any]
    truth: dict[str, Any]
    access_log: str | None


def by_plural(manifests: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Sort manifests as the API server's paths do: `ServiceEntry` -> `serviceentries`."""
    found: dict[str, list[dict[str, Any]]] = {}
    for manifest in manifests:
        kind = str(manifest.get("kind")).lower()
        found.setdefault(f"{kind[:-1]}ies" if kind.endswith("y") else f"{kind}s", []).append(manifest)
    return found


@cache
def _files() -> dict[str, str]:
    with tarfile.open(ARCHIVE, "r:xz") as archive:
        return {
            member.name: content.read().decode()
            for member in archive
            if member.isfile() and (content := archive.extractfile(member)) is not None
        }


@cache
def cases() -> tuple[str, ...]:
    """Name every situation, in alphabetical order."""
    return tuple(sorted(name.removesuffix("/truth.json") for name in _files() if name.endswith("/truth.json")))


@cache
def load(case: str) -> Recording:
    """Return one situation; KeyError where there is none of that name."""
    files = _files()

    def optional(name: str) -> str | None:
        return files.get(f"{case}/{name}")

    truth = json.loads(files[f"{case}/truth.json"])
    objects = files[f"{case}/objects.yaml"]
    return Recording(
        case=case,
        config_dump=optional("config_dump.json"),
        config_dump_error=optional("config_dump.not-json.txt"),
        partial_dump=optional("config_dump.clusters-only.json"),
        error_states=optional("config_dump.error-states.json"),
        clusters_before=files[f"{case}/clusters_before.json"],
        clusters=files[f"{case}/clusters.json"],
        listeners=files[f"{case}/listeners.txt"],
        objects=objects,
        manifests=[document for document in yaml.safe_load_all(objects) if document],
        policy=truth["mesh_policy"],
        probe=json.loads(files[f"{case}/probe.json"]),
        truth=truth,
        access_log=optional("access_log.txt"),
    )


def socket_table(name: str) -> str:
    """Return /proc/net/tcp and tcp6 as one curl run printed them.

    The first line of every one but `blocked-companion` is curl's own, separated by tabs: urlnum, exitcode,
    http_code, remote_ip, remote_port, local_ip, local_port, time_total, errormsg.
    """
    return _files()[f"socket-tables/{name}.txt"]


@cache
def verdicts() -> list[dict[str, Any]]:
    """Return what the API server said of 400 ServiceEntries: `manifest`, `status`, `message` (or None), `warnings`."""
    return [json.loads(line) for line in _files()["verdicts/serviceentries.jsonl"].splitlines()]


def carriers() -> list[dict[str, Any]]:
    """Return 400 pairs of ServiceEntries, `old` and `new`, and whether `new` takes traffic of `old` (tests/data/README.md)."""
    return [json.loads(line) for line in lzma.decompress((ARCHIVE.parent / "carriers.jsonl.xz").read_bytes()).splitlines()]
