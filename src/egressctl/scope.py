"""What a Sidecar resource leaves a pod of the mesh. Pure: manifests in, answers out.

Source: pilot/pkg/model/sidecar.go of istio/istio, and measurements with it (August 2026): an exact host in one namespace
(`./wikipedia.org`, `default/wikipedia.org`) keeps one of an entry's blocks; `*/wikipedia.org` and wildcards keep them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Any

from egressctl.model import Manifest, ServiceEntry


class Sight(StrEnum):
    """How much of a ServiceEntry's host and port a Sidecar resource lets a pod have."""

    WHOLE = "whole"
    ONE_BLOCK = "one block"
    NOTHING = "nothing"


def governing(sidecars: Iterable[Manifest], namespace: str, labels: Mapping[str, str], root: str) -> Manifest | None:
    """Return the Sidecar resource that holds for a pod, None where there is none.

    One of the pod's namespace whose workloadSelector fits goes before one without a selector, and that before one without a
    selector in the mesh's root namespace; of several the oldest.
    """
    ordered = sorted(sidecars, key=lambda each: (_meta(each, "creationTimestamp"), _meta(each, "name")))
    here = [each for each in ordered if _meta(each, "namespace") == namespace]
    selecting = [each for each in here if (wanted := _selector(each)) and wanted.items() <= dict(labels).items()]
    plain = [each for each in here if not _selector(each)]
    whole_mesh = [each for each in ordered if _meta(each, "namespace") == root and not _selector(each)]
    return next(iter((*selecting, *plain, *whole_mesh)), None)


def sight(sidecar: Manifest, entry: ServiceEntry, port: int, namespace: str) -> Sight:
    """Say how much of an entry, on one of its ports, a Sidecar resource lets a pod in `namespace` have."""
    listeners = _mapping(sidecar.get("spec")).get("egress")
    if not isinstance(listeners, list) or not listeners:
        return Sight.WHOLE  # Without `egress` it imports everything.
    seen = [_imported(pattern, entry, namespace) for listener in listeners for pattern in _patterns(listener, port)]
    return max(seen, key=[Sight.NOTHING, Sight.ONE_BLOCK, Sight.WHOLE].index, default=Sight.NOTHING)


def _patterns(listener: object, port: int) -> Iterator[str]:
    of = _mapping(listener)
    number = _mapping(of.get("port")).get("number")
    if number in (None, port):
        yield from (each for each in of.get("hosts") or () if isinstance(each, str))


def _imported(pattern: str, entry: ServiceEntry, namespace: str) -> Sight:
    where, _, name = pattern.partition("/")
    if where not in ("*", entry.namespace) and not (where == "." and entry.namespace == namespace):
        return Sight.NOTHING
    if name in entry.hosts:
        return Sight.WHOLE if where == "*" else Sight.ONE_BLOCK
    suffix = name.removeprefix("*")
    wild = name == "*" or (name.startswith("*.") and any(host.lower().endswith(suffix.lower()) for host in entry.hosts))
    return Sight.WHOLE if wild else Sight.NOTHING


def _selector(sidecar: Manifest) -> Mapping[str, str]:
    return _mapping(_mapping(_mapping(sidecar.get("spec")).get("workloadSelector")).get("labels"))


def _meta(manifest: Manifest, key: str) -> str:
    return str(_mapping(manifest.get("metadata")).get(key) or "")


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
