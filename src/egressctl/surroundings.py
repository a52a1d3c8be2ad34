"""Read the objects that can stand in a ServiceEntry's way, as far as the credentials reach, all at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from egressctl.documents import parse
from egressctl.errors import ApiFailure, CouldNotAsk, Forbidden, InvalidInput, NotFound
from egressctl.kube.rest import namespaced
from egressctl.mesh import Mesh
from egressctl.model import Manifest, Surroundings
from egressctl.parallel import begin, gather
from egressctl.scope import ROOT_NAMESPACE
from egressctl.serviceentry import GROUP, PLURAL, read

MESH_CONFIG = "istio"
"""The ConfigMap in which istiod keeps the mesh's configuration, for a control plane without a revision."""

SIDECARS, VIRTUAL_SERVICES, DESTINATION_RULES = "sidecars", "virtualservices", "destinationrules"
SERVICES, NAMESPACES = "services", "namespaces"
_BESIDE = (SIDECARS, VIRTUAL_SERVICES, DESTINATION_RULES)
_KINDS = {
    PLURAL: "ServiceEntry",
    SIDECARS: "Sidecar",
    VIRTUAL_SERVICES: "VirtualService",
    DESTINATION_RULES: "DestinationRule",
    SERVICES: "Service",
    NAMESPACES: "Namespace",
}


@dataclass(frozen=True, slots=True)
class _Listed:
    items: tuple[Manifest, ...]
    reach: frozenset[str] | None = None
    """The namespaces that were read, None for all."""
    why: str = ""


def surroundings(mesh: Mesh, namespace: str, *, services: bool, beside: bool = True, root: str = ROOT_NAMESPACE) -> Surroundings:
    """Read every kind in all namespaces, or, without the right to, in `namespace` and the mesh's root namespace.

    Without `beside` the ServiceEntries alone are read; `services` says whether the Services are among the other kinds.

    A kind that is not served has no objects. Raises NotFound where no kind of Istio's is served, and CouldNotAsk's other
    kinds where the API server does not answer at all; a right that is missing, or a failure at one kind, is told in `unread`.
    """
    istio, empty = mesh.api_version, _Listed(())
    plurals = [PLURAL, *(_BESIDE if beside else ()), *([SERVICES] if beside and services else [])]
    places = list(dict.fromkeys((namespace, root)))
    calls = {plural: partial(_list, mesh, "v1" if plural == SERVICES else istio, plural, places) for plural in plurals}
    if beside:
        calls[NAMESPACES] = partial(_namespaces, mesh, places)
    configured = begin(partial(default_export_to, mesh, root)) if beside else lambda: None
    listed = dict(zip(calls, gather(list(calls.values()), at_most=len(calls)), strict=True))
    namespaces = listed.get(NAMESPACES, empty).items
    return Surroundings(
        entries=tuple(map(read, listed[PLURAL].items)),
        sidecars=listed.get(SIDECARS, empty).items,
        virtual_services=listed.get(VIRTUAL_SERVICES, empty).items,
        destination_rules=listed.get(DESTINATION_RULES, empty).items,
        services=listed.get(SERVICES, empty).items,
        namespaces={each["metadata"]["name"]: each["metadata"].get("labels") or {} for each in namespaces},
        root=root,
        default_export_to=configured(),
        unread=tuple(_unread(plural, each) for plural, each in listed.items() if each.reach is not None),
        reach={plural: each.reach for plural, each in listed.items() if each.reach is not None},
    )


def default_export_to(mesh: Mesh, root: str = ROOT_NAMESPACE) -> tuple[str, ...] | None:
    """Read defaultServiceExportTo of the mesh's configuration; None where that may not be read, or is not understood."""
    try:
        data = mesh.api.get(namespaced("v1", root, "configmaps", MESH_CONFIG)).get("data") or {}
        said = parse(str(data.get("mesh") or "{}"), f"ConfigMap {root}/{MESH_CONFIG}").documents[0].value
    except (CouldNotAsk, InvalidInput):
        return None
    scopes = said.get("defaultServiceExportTo") or ["*"]
    return tuple(map(str, scopes)) if isinstance(scopes, list) else None


def _list(mesh: Mesh, api_version: str, plural: str, places: Sequence[str]) -> _Listed:
    try:
        return _Listed(_items(mesh, api_version, plural, None))
    except Forbidden:
        why = "no right to list them in all namespaces"
    except ApiFailure as failure:
        return _Listed((), frozenset(), str(failure))
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
    return _Listed(tuple(found), frozenset(reach), why)


def _items(mesh: Mesh, api_version: str, plural: str, namespace: str | None) -> tuple[Manifest, ...]:
    try:
        items = mesh.api.list(namespaced(api_version, namespace, plural))["items"]
    except NotFound:
        # Not every installation serves all of Istio's kinds; an object of a kind that is not served cannot be in the way.
        return ()
    return tuple({"apiVersion": api_version, "kind": _KINDS[plural], **item} for item in items)


def _namespaces(mesh: Mesh, places: Sequence[str]) -> _Listed:
    try:
        return _Listed(_items(mesh, "v1", NAMESPACES, None))
    except Forbidden:
        why = "no right to list them"
    except ApiFailure as failure:
        return _Listed((), frozenset(), str(failure))
    found: list[Manifest] = []
    for place in places:
        try:
            found.append(mesh.namespace(place))
        except (ApiFailure, Forbidden, NotFound):
            continue
    return _Listed(tuple(found), frozenset(each["metadata"]["name"] for each in found), why)


def _unread(plural: str, listed: _Listed) -> str:
    group = f".{GROUP}" if plural not in (SERVICES, NAMESPACES) else ""
    where = f"other than {' and '.join(sorted(listed.reach))} " if listed.reach else ""
    what = (
        f"namespaces {where}"
        if plural == NAMESPACES
        else f"{plural}{group} of namespaces {where}"
        if where
        else f"{plural}{group} "
    )
    return f"{what}were not looked at: {listed.why}"
