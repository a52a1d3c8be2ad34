"""Read the objects that can stand in a ServiceEntry's way, as far as the credentials reach, all at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from egressctl.errors import ApiFailure, CouldNotAsk, Forbidden, InvalidInput, NotFound
from egressctl.istio.mesh_objects import (
    DESTINATION_RULES,
    KINDS,
    NAMESPACES,
    SERVICES,
    SIDECARS,
    VIRTUAL_SERVICES,
    Listed,
    MeshSettings,
    assembled,
    settings,
)
from egressctl.istio.sidecar_scope import ROOT_NAMESPACE
from egressctl.kube.rest import namespaced
from egressctl.manifests.service_entry import PLURAL
from egressctl.manifests.yaml_reader import parse
from egressctl.mesh.client import Mesh
from egressctl.model.entry import Manifest, Surroundings
from egressctl.runtime.concurrency import begin, gather

MESH_CONFIG = "istio"
"""The ConfigMap in which istiod keeps the mesh's configuration, for a control plane without a revision."""

_BESIDE = (SIDECARS, VIRTUAL_SERVICES, DESTINATION_RULES)


def surroundings(mesh: Mesh, namespace: str, *, services: bool, beside: bool = True, root: str = ROOT_NAMESPACE) -> Surroundings:
    """Read every kind in all namespaces, or, without the right to, in `namespace` and the mesh's root namespace.

    Without `beside` the ServiceEntries alone are read; `services` says whether the Services are among the other kinds.

    A kind that is not served has no objects. Raises NotFound where no kind of Istio's is served, and CouldNotAsk's other
    kinds where the API server does not answer at all; a right that is missing, or a failure at one kind, is told in `unread`.
    """
    configured = begin(partial(default_export_to, mesh, root)) if beside else lambda: None
    listed = listings(mesh, namespace, services=services, beside=beside, root=root)
    return assembled(listed, root, configured())


def listings(mesh: Mesh, namespace: str, *, services: bool, beside: bool, root: str = ROOT_NAMESPACE) -> dict[str, Listed]:
    """List every kind as `surroundings` reads it, by plural. Raises what it raises."""
    istio = mesh.api_version
    plurals = [PLURAL, *(_BESIDE if beside else ()), *([SERVICES] if beside and services else [])]
    places = list(dict.fromkeys((namespace, root)))
    calls = {plural: partial(_list, mesh, "v1" if plural == SERVICES else istio, plural, places) for plural in plurals}
    if beside:
        calls[NAMESPACES] = partial(_namespaces, mesh, places)
    return dict(zip(calls, gather(list(calls.values()), at_most=len(calls)), strict=True))


def default_export_to(mesh: Mesh, root: str = ROOT_NAMESPACE) -> tuple[str, ...] | None:
    """Read defaultServiceExportTo of the mesh's configuration; None where that may not be read, or is not understood."""
    return mesh_settings(mesh, root).default_export_to


def mesh_settings(mesh: Mesh, root: str) -> MeshSettings:
    """Read the mesh's configuration; empty where that may not be read, or is not understood."""
    try:
        data = mesh.api.get(namespaced("v1", root, "configmaps", MESH_CONFIG)).get("data") or {}
        return settings(parse(str(data.get("mesh") or "{}"), f"ConfigMap {root}/{MESH_CONFIG}").documents[0].value)
    except (CouldNotAsk, InvalidInput):
        return MeshSettings()


def _list(mesh: Mesh, api_version: str, plural: str, places: Sequence[str]) -> Listed:
    try:
        return Listed(_items(mesh, api_version, plural, None))
    except Forbidden:
        why = "no right to list them in all namespaces"
    except ApiFailure as failure:
        return Listed((), frozenset(), str(failure))
    found: list[Manifest] = []
    reach: set[str] = set()
    for place in places:
        try:
            found += _items(mesh, api_version, plural, place)
        except Forbidden:
            continue
        except ApiFailure as failure:
            why = str(failure)
            continue
        reach.add(place)
    return Listed(tuple(found), frozenset(reach), why)


def _items(mesh: Mesh, api_version: str, plural: str, namespace: str | None) -> tuple[Manifest, ...]:
    try:
        items = mesh.api.list(namespaced(api_version, namespace, plural))["items"]
    except NotFound:
        # Not every installation serves all of Istio's kinds; an object of a kind that is not served cannot be in the way.
        return ()
    return tuple({"apiVersion": api_version, "kind": KINDS[plural], **item} for item in items)


def _namespaces(mesh: Mesh, places: Sequence[str]) -> Listed:
    try:
        return Listed(_items(mesh, "v1", NAMESPACES, None))
    except Forbidden:
        why = "no right to list them"
    except ApiFailure as failure:
        return Listed((), frozenset(), str(failure))
    found: list[Manifest] = []
    for place in places:
        try:
            found.append(mesh.namespace(place))
        except (ApiFailure, Forbidden, NotFound):
            continue
    return Listed(tuple(found), frozenset(each["metadata"]["name"] for each in found), why)
