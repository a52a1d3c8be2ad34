"""What a Sidecar resource leaves a pod of the mesh. Pure: manifests in, answers out.

Source: pilot/pkg/model/sidecar.go of istio/istio, and measurements with it (August 2026): an exact host in one namespace
(`./wikipedia.org`, `default/wikipedia.org`) keeps one of an entry's blocks; `*/wikipedia.org` and wildcards keep them all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from egressctl.model.entry import Manifest, ServiceEntry

ROOT_NAMESPACE = "istio-system"
"""Where Istio keeps what holds for the whole mesh (MeshConfig.rootNamespace), unless an installation says otherwise."""


class ImportScope(StrEnum):
    """How much of a ServiceEntry's host and port a Sidecar resource lets a pod have."""

    WHOLE = "whole"
    ONE_BLOCK = "one block"
    NOTHING = "nothing"


def sidecar_for_pod(sidecars: Iterable[Manifest], namespace: str, labels: Mapping[str, str], root: str) -> Manifest | None:
    """Return the Sidecar resource that holds for a pod, None where there is none.

    One of the pod's namespace whose workloadSelector fits goes before one without a selector, and that before one without a
    selector in the mesh's root namespace; of several the oldest.
    """
    ordered = sorted(sidecars, key=lambda each: (_metadata_text(each, "creationTimestamp"), _metadata_text(each, "name")))
    here = [each for each in ordered if _metadata_text(each, "namespace") == namespace]
    selecting = [each for each in here if (wanted := _selector(each)) and wanted.items() <= dict(labels).items()]
    plain = [each for each in here if not _selector(each)]
    whole_mesh = [each for each in ordered if _metadata_text(each, "namespace") == root and not _selector(each)]
    return next(iter((*selecting, *plain, *whole_mesh)), None)


def import_scope(sidecar: Manifest, entry: ServiceEntry, port: int, namespace: str) -> ImportScope:
    """Say how much of an entry, on one of its ports, a Sidecar resource lets a pod in `namespace` have.

    One that is not understood is held to hide nothing.
    """
    listeners = _egress_listeners(sidecar)
    if not listeners:
        return ImportScope.WHOLE  # Without `egress` it imports everything.
    hosts = [host for number, imported in listeners if number in (None, port) for host in imported]
    understood = [host for host in hosts if isinstance(host, str) and "/" in host]
    if len(understood) < len(hosts):
        return ImportScope.WHOLE
    seen = [_scope_of_pattern(host, entry, namespace) for host in understood]
    return max(seen, key=[ImportScope.NOTHING, ImportScope.ONE_BLOCK, ImportScope.WHOLE].index, default=ImportScope.NOTHING)


def egress_hosts(sidecar: Manifest) -> tuple[str, ...]:
    """Return what a Sidecar resource imports, on any port, as it writes it: `./*`, `other/wikipedia.org`."""
    return tuple(host for _, hosts in _egress_listeners(sidecar) for host in hosts if isinstance(host, str))


def _egress_listeners(sidecar: Manifest) -> list[tuple[object, list[object]]]:
    """Return each egress listener's port and hosts; none where one of them is of another shape."""
    listeners = _as_mapping(sidecar.get("spec")).get("egress")
    found = []
    for each in listeners if isinstance(listeners, list) else []:
        hosts = _as_mapping(each).get("hosts")
        if not isinstance(hosts, list):
            return []
        found.append((_as_mapping(_as_mapping(each).get("port")).get("number"), hosts))
    return found


def _scope_of_pattern(pattern: str, entry: ServiceEntry, namespace: str) -> ImportScope:
    where, _, name = pattern.lower().partition("/")
    if where not in ("*", entry.namespace) and not (where == "." and entry.namespace == namespace):
        return ImportScope.NOTHING
    if name in map(str.lower, entry.hosts):
        return ImportScope.WHOLE if where == "*" else ImportScope.ONE_BLOCK
    wild = name == "*" or (name.startswith("*.") and any(host.lower().endswith(name[1:]) for host in entry.hosts))
    return ImportScope.WHOLE if wild else ImportScope.NOTHING


def _selector(sidecar: Manifest) -> Mapping[str, str]:
    return _as_mapping(_as_mapping(_as_mapping(sidecar.get("spec")).get("workloadSelector")).get("labels"))


def _metadata_text(manifest: Manifest, key: str) -> str:
    return str(_as_mapping(manifest.get("metadata")).get(key) or "")


def _as_mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
