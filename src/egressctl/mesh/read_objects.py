"""Read the objects that can stand in a ServiceEntry's way, as far as the credentials reach, all at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from egressctl.errors import ApiFailure, CouldNotAsk, Forbidden, InvalidInput, NotFound
from egressctl.istio.mesh_objects import (
    DESTINATION_RULES,
    GATEWAY_API,
    GATEWAY_KINDS,
    KIND_OF_PLURAL,
    NAMESPACES,
    SERVICES,
    SIDECARS,
    VIRTUAL_SERVICES,
    MeshSettings,
    ObjectsOfKind,
    assemble_mesh_objects,
    parse_mesh_config,
)
from egressctl.kube.rest import resource_path
from egressctl.manifests.service_entry import PLURAL
from egressctl.manifests.yaml_reader import parse_yaml
from egressctl.mesh.client import Mesh
from egressctl.model.entry import ROOT_NAMESPACE, Manifest, MeshObjects
from egressctl.model.json_values import mappings_at, text_at
from egressctl.runtime.concurrency import gather, start_call

MESH_CONFIG = "istio"
"""The ConfigMap in which istiod keeps the mesh's configuration, for a control plane without a revision."""

_OTHER_KINDS = (SIDECARS, VIRTUAL_SERVICES, DESTINATION_RULES)


def read_mesh_objects(
    mesh: Mesh, namespace: str, *, services: bool, beside: bool = True, root: str = ROOT_NAMESPACE
) -> MeshObjects:
    """Read every kind in all namespaces, or, without the right to, in `namespace` and the mesh's root namespace.

    Without `beside` the ServiceEntries alone are read; `services` says whether the Services are among the other kinds.

    A kind that is not served has no objects. Raises NotFound where no kind of Istio's is served, and CouldNotAsk's other
    kinds where the API server does not answer at all; a right that is missing, or a failure at one kind, is reported in `unread`.
    """
    configured = start_call(partial(read_mesh_settings, mesh, root)) if beside else MeshSettings
    of_gateway_api = start_call(partial(_list_gateway_kinds, mesh, namespace, root)) if beside else dict[str, ObjectsOfKind]
    listed = list_every_kind(mesh, namespace, services=services, beside=beside, root=root)
    settings = configured()
    return assemble_mesh_objects(listed | of_gateway_api(), root, settings.default_export_to, settings.visibility)


def list_every_kind(
    mesh: Mesh, namespace: str, *, services: bool, beside: bool, root: str = ROOT_NAMESPACE
) -> dict[str, ObjectsOfKind]:
    """List every kind as `read_mesh_objects` reads it, by plural. Raises what it raises."""
    istio = mesh.api_version
    plurals = [PLURAL, *(_OTHER_KINDS if beside else ()), *([SERVICES] if beside and services else [])]
    places = list(dict.fromkeys((namespace, root)))
    calls = {plural: partial(_list_kind, mesh, "v1" if plural == SERVICES else istio, plural, places) for plural in plurals}
    if beside:
        calls[NAMESPACES] = partial(_list_namespaces, mesh, places)
    return dict(zip(calls, gather(list(calls.values()), at_most=len(calls)), strict=True))


def _list_gateway_kinds(mesh: Mesh, namespace: str, root: str) -> dict[str, ObjectsOfKind]:
    """List those kinds of the Gateway API that are served, each in its newest version, by plural, as `read_mesh_objects` does."""
    versions: dict[str, str] = {}
    try:
        for version in mesh.api.served_versions(GATEWAY_API):
            for resource in mappings_at(mesh.api.get(f"/apis/{GATEWAY_API}/{version}"), "resources"):
                versions.setdefault(text_at(resource, "name"), f"{GATEWAY_API}/{version}")
    except NotFound:
        return {}  # What is not served cannot be in the way.
    except (Forbidden, ApiFailure) as failure:
        return dict.fromkeys(GATEWAY_KINDS, ObjectsOfKind((), frozenset(), str(failure)))
    plurals = [plural for plural in GATEWAY_KINDS if plural in versions]
    places = list(dict.fromkeys((namespace, root)))
    calls = [partial(_list_kind, mesh, versions[plural], plural, places) for plural in plurals]
    return dict(zip(plurals, gather(calls, at_most=len(GATEWAY_KINDS)), strict=True))


def read_default_export_to(mesh: Mesh, root: str = ROOT_NAMESPACE) -> tuple[str, ...] | None:
    """Read defaultServiceExportTo of the mesh's configuration; None where that may not be read, or is not understood."""
    return read_mesh_settings(mesh, root).default_export_to


def read_mesh_settings(mesh: Mesh, root: str) -> MeshSettings:
    """Read the mesh's configuration; empty where that may not be read, or is not understood."""
    try:
        data = mesh.api.get(resource_path("v1", root, "configmaps", MESH_CONFIG)).get("data") or {}
        return parse_mesh_config(parse_yaml(str(data.get("mesh") or "{}"), f"ConfigMap {root}/{MESH_CONFIG}").documents[0].value)
    except (CouldNotAsk, InvalidInput):
        return MeshSettings()


def _list_kind(mesh: Mesh, api_version: str, plural: str, places: Sequence[str]) -> ObjectsOfKind:
    try:
        return ObjectsOfKind(_items(mesh, api_version, plural, None))
    except Forbidden:
        why = "no right to list them in all namespaces"
    except ApiFailure as failure:
        return ObjectsOfKind((), frozenset(), str(failure))
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
    return ObjectsOfKind(tuple(found), frozenset(reach), why)


def _items(mesh: Mesh, api_version: str, plural: str, namespace: str | None) -> tuple[Manifest, ...]:
    try:
        items = mesh.api.list(resource_path(api_version, namespace, plural))["items"]
    except NotFound:
        # Not every installation serves all of Istio's kinds; an object of a kind that is not served cannot be in the way.
        return ()
    return tuple({"apiVersion": api_version, "kind": KIND_OF_PLURAL[plural], **item} for item in items)


def _list_namespaces(mesh: Mesh, places: Sequence[str]) -> ObjectsOfKind:
    try:
        return ObjectsOfKind(_items(mesh, "v1", NAMESPACES, None))
    except Forbidden:
        why = "no right to list them"
    except ApiFailure as failure:
        return ObjectsOfKind((), frozenset(), str(failure))
    found: list[Manifest] = []
    for place in places:
        try:
            found.append(mesh.api.get(resource_path("v1", None, NAMESPACES, place)))
        except (ApiFailure, Forbidden, NotFound):
            continue
    return ObjectsOfKind(tuple(found), frozenset(each["metadata"]["name"] for each in found), why)
