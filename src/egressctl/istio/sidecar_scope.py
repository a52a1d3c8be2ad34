"""What a Sidecar resource leaves a pod of the mesh, as istiod's `pilot/pkg/model/sidecar.go` reads it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from egressctl.istio.export_to import EVERYWHERE, NOWHERE, OWN
from egressctl.istio.hosts import covers_host
from egressctl.istio.precedence import created_seconds
from egressctl.model.entry import Manifest, ServiceEntry
from egressctl.model.json_values import list_at, mapping_at, value_at


class ImportScope(StrEnum):
    """How much of a host's entries a Sidecar resource lets a pod have, from none on."""

    NOTHING = "nothing"
    ONE_BLOCK = "one block"
    WHOLE = "whole"


class Imports(NamedTuple):
    """What one egress listener imports: namespaces and hosts, of which `*` is every one; and what it leaves out of that."""

    hosts: tuple[tuple[str, str], ...]
    excluded: tuple[tuple[str, str], ...] = ()

    def scope_of(self, host: str, namespace: str) -> ImportScope:
        """Say how much it imports of a host of a namespace's entries.

        Where a listener names no wildcard at all, istiod looks its hosts up one by one, and finds one block of each.
        """
        if _names(self.excluded, host, namespace) or not _names(self.hosts, host, namespace):
            return ImportScope.NOTHING
        wild = any(where == EVERYWHERE or pattern.startswith("*") for where, pattern in self.hosts)
        return ImportScope.WHOLE if wild else ImportScope.ONE_BLOCK


def _names(patterns: Iterable[tuple[str, str]], host: str, namespace: str) -> bool:
    return any(where in (EVERYWHERE, namespace) and covers_host(pattern, host, case=True) for where, pattern in patterns)


def read_imports(hosts: Iterable[str], namespace: str) -> Imports:
    """Read the hosts of an egress listener, such as `./*`, for pods of a namespace; what is no such host names nothing."""
    imported: list[tuple[str, str]] = []
    excluded: list[tuple[str, str]] = []
    for where, slash, pattern in (host.partition("/") for host in hosts):
        place = where.removeprefix(NOWHERE) or EVERYWHERE
        if slash:
            (excluded if where.startswith(NOWHERE) else imported).append((namespace if place == OWN else place, pattern))
    return Imports(tuple(imported), tuple(excluded))


def most(scopes: Iterable[ImportScope]) -> ImportScope:
    """Return the widest of several scopes."""
    return max(scopes, key=list(ImportScope).index, default=ImportScope.NOTHING)


def sidecars_of_namespace(sidecars: Iterable[Manifest], namespace: str, root: str) -> tuple[list[Manifest], Manifest | None]:
    """Return the Sidecar resources that select pods of a namespace, the first first, and the one for all its other pods.

    The namespace's own goes before the mesh's, in its root namespace; of several the oldest.
    """
    ordered = sorted(sidecars, key=_rank)
    here = [each for each in ordered if _metadata_text(each, "namespace") == namespace]
    plain = [each for each in here if _selector(each) is None]
    plain += [each for each in ordered if _metadata_text(each, "namespace") == root and _selector(each) is None]
    return [each for each in here if _selector(each) is not None], next(iter(plain), None)


def _rank(sidecar: Manifest) -> tuple[float, str, str]:
    name, namespace = _metadata_text(sidecar, "name"), _metadata_text(sidecar, "namespace")
    return created_seconds(_metadata_text(sidecar, "creationTimestamp")), name, namespace


def sidecar_for_pod(sidecars: Iterable[Manifest], namespace: str, labels: Mapping[str, str], root: str) -> Manifest | None:
    """Return the Sidecar resource that holds for a pod, None where there is none: one that selects it before any other."""
    selecting, plain = sidecars_of_namespace(sidecars, namespace, root)
    fitting = (each for each in selecting if (_selector(each) or {}).items() <= dict(labels).items())
    return next(fitting, plain)


def import_scope(sidecar: Manifest, entry: ServiceEntry, port: int, namespace: str) -> ImportScope:
    """Say how much of an entry, on one of its ports, a Sidecar resource lets a pod in `namespace` have.

    One that is not understood is held to hide nothing.
    """
    listeners = _egress_listeners(sidecar)
    if not listeners:
        return ImportScope.WHOLE  # Without `egress` it imports everything.
    found = []
    for number, hosts in listeners:
        if number in (None, port):
            texts = [host for host in hosts if isinstance(host, str) and "/" in host]
            if len(texts) < len(hosts):
                return ImportScope.WHOLE
            imports = read_imports(texts, namespace)
            found += [imports.scope_of(host, entry.namespace) for host in entry.hosts]
    return most(found)


def excluding_host(sidecar: Manifest, entry: ServiceEntry, namespace: str) -> str:
    """Return the host of a Sidecar resource that keeps an entry out, as it writes it (`~other/*`), "" where none does."""
    for each in egress_hosts(sidecar):
        excluded = read_imports([each], namespace).excluded
        if any(_names(excluded, host, entry.namespace) for host in entry.hosts):
            return each
    return ""


def egress_hosts(sidecar: Manifest) -> tuple[str, ...]:
    """Return what a Sidecar resource imports, on any port, as it writes it: `./*`, `other/wikipedia.org`."""
    return tuple(host for _, hosts in _egress_listeners(sidecar) for host in hosts if isinstance(host, str))


def _egress_listeners(sidecar: Manifest) -> list[tuple[object, list[object]]]:
    """Return each egress listener's port and hosts; none where one of them is of another shape."""
    found = []
    for each in list_at(sidecar, "spec", "egress"):
        hosts = value_at(each, "hosts")
        if not isinstance(hosts, list):
            return []
        found.append((value_at(each, "port", "number"), hosts))
    return found


def _selector(sidecar: Manifest) -> Mapping[str, str] | None:
    """Return the labels that a pod must have, None where none are asked for: a selector without labels selects every pod."""
    selector = value_at(sidecar, "spec", "workloadSelector")
    return None if selector is None else mapping_at(selector, "labels")


def _metadata_text(manifest: Manifest, key: str) -> str:
    return str(value_at(manifest, "metadata", key) or "")
