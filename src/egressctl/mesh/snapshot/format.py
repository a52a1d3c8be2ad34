"""What stands around ServiceEntries as files for Git, without secrets and in a form that changes only with it. Pure.

Of each object only those fields are kept that are listed here: what may hold a secret (headers of an HTTP route, annotations,
certificates) never gets into a file. A field that lint is to look at has to be added.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from egressctl.errors import ApiFailure, InvalidInput, Problem
from egressctl.istio.export_to import SERVICE_EXPORT_TO
from egressctl.istio.mesh_objects import (
    DESTINATION_RULES,
    KIND_OF_PLURAL,
    NAMESPACES,
    SERVICES,
    SIDECARS,
    VIRTUAL_SERVICES,
    MeshSettings,
    ObjectsOfKind,
    assemble_mesh_objects,
)
from egressctl.manifests.formats import is_label
from egressctl.manifests.service_entry import PLURAL
from egressctl.manifests.yaml_reader import parse_yaml
from egressctl.manifests.yaml_writer import write_yaml
from egressctl.model.entry import ROOT_NAMESPACE, Manifest, MeshObjects
from egressctl.model.json_values import list_at, mapping_at, text_at, texts_at, value_at
from egressctl.model.result import KubernetesInfo
from egressctl.runtime.sanitize import quote

API_VERSION, KIND = "egressctl.dev/v1alpha1", "Snapshot"
INDEX = "snapshot.yaml"
"""The file that says what a folder is a snapshot of."""
MARK = "# Written by egressctl snapshot: changes are lost.\n"
"""The first line of every file of a snapshot: no other file of a folder is ever changed or removed."""

_SAVED = (PLURAL, SIDECARS, VIRTUAL_SERVICES, DESTINATION_RULES, SERVICES)
_FOLDERS = {KIND_OF_PLURAL[plural].lower(): plural for plural in _SAVED}
_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?")
_PATH = re.compile(rf"([^/]+)/({'|'.join(_FOLDERS)})/([^/]+)\.yaml")
_OWN_ANNOTATION = "egressctl.dev/"

Shape = Mapping[str, Any] | None
"""Which fields are kept: a shape for each, None for all that is below; of a list, the same for each of its items."""

_ROUTE: Shape = {
    "name": None,
    "match": {"sniHosts": None, "port": None, "destinationSubnets": None, "gateways": None, "sourceLabels": None}
    | {"sourceNamespace": None},
    "route": {"destination": None, "weight": None},
    "delegate": None,
}
_TLS: Mapping[str, Any] = {"tls": {"mode": None, "sni": None}}
_POLICY: Shape = {**_TLS, "portLevelSettings": {"port": None, **_TLS}}
_SPECS: Mapping[str, Shape] = {
    PLURAL: None,
    SIDECARS: {
        "workloadSelector": None,
        "egress": {"port": None, "bind": None, "captureMode": None, "hosts": None},
        "outboundTrafficPolicy": None,
    },
    VIRTUAL_SERVICES: {"hosts": None, "gateways": None, "exportTo": None, "http": _ROUTE, "tls": _ROUTE, "tcp": _ROUTE},
    DESTINATION_RULES: {
        "host": None,
        "exportTo": None,
        "workloadSelector": None,
        "trafficPolicy": _POLICY,
        "subsets": {"name": None, "labels": None, "trafficPolicy": _POLICY},
    },
    SERVICES: {
        "type": None,
        "clusterIP": None,
        "clusterIPs": None,
        "externalName": None,
        "ports": {"name": None, "port": None, "protocol": None, "appProtocol": None},
    },
}


class Snapshot(NamedTuple):
    """What a snapshot says: when and of what it was taken, the mesh's settings, and what stood there."""

    taken_at: str
    kubernetes: KubernetesInfo
    """Without the server's address, which is nobody's business who reads the repository."""
    settings: MeshSettings
    around: MeshObjects


def snapshot_files(
    listed: Mapping[str, ObjectsOfKind], settings: MeshSettings, kubernetes: KubernetesInfo, taken_at: str
) -> dict[str, str]:
    """Return a snapshot's files, by path within its folder: NAMESPACE/KIND/NAME.yaml, and last the index.

    Raises ApiFailure for an object whose name Kubernetes would not take.
    """
    found: dict[str, str] = {}
    for plural in _SAVED:
        for item in listed.get(plural, ObjectsOfKind()).items:
            kept = without_secrets(plural, item)
            found[_object_path(plural, kept["metadata"])] = MARK + write_yaml(kept)
    ordered = {path: found[path] for path in sorted(found)}
    namespaces = sorted(str(each["metadata"]["name"]) for each in listed.get(NAMESPACES, ObjectsOfKind()).items)
    index = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "takenAt": taken_at,
        "kubernetes": {"context": kubernetes.context, "version": kubernetes.version},
        "mesh": {
            "rootNamespace": settings.root,
            "outboundTrafficPolicy": settings.outbound_policy,
            "defaultServiceExportTo": None if settings.default_export_to is None else list(settings.default_export_to),
        },
        "read": {plural: _where_read(listed[plural]) for plural in (*_SAVED, NAMESPACES) if plural in listed},
        "namespaces": namespaces,
        "digest": digest(ordered),
    }
    return {**ordered, INDEX: MARK + write_yaml(index)}


def without_secrets(plural: str, item: Manifest) -> dict[str, Any]:
    """Return an object with those fields only that say what it does, and nothing that may be a secret."""
    metadata = mapping_at(item, "metadata")
    kept: dict[str, Any] = {key: metadata[key] for key in ("name", "namespace", "creationTimestamp") if metadata.get(key)}
    if plural != SERVICES and (labels := mapping_at(metadata, "labels")):
        kept["labels"] = _sort_keys(labels)
    annotations = {
        key: value
        for key, value in sorted(mapping_at(metadata, "annotations").items())
        if (key == SERVICE_EXPORT_TO if plural == SERVICES else str(key).startswith(_OWN_ANNOTATION))
    }
    if annotations:
        kept["annotations"] = annotations
    found = {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": kept}
    found["spec"] = _sort_keys(_keep_fields(mapping_at(item, "spec"), _SPECS[plural]))
    if plural == PLURAL and (addresses := value_at(item, "status", "addresses")):
        found["status"] = {"addresses": _sort_keys(addresses)}
    return found


def digest(contents: Mapping[str, str]) -> str:
    """Return what the index says of the other files, by which one that is missing, old or edited is noticed."""
    told = hashlib.sha256()
    for path in sorted(contents):
        text = contents[path].replace("\r\n", "\n")  # Git may have written the ends of lines again
        told.update(f"{path}\n{len(text)}\n{text}".encode())
    return f"sha256:{told.hexdigest()}"


def is_object(path: str) -> bool:
    """Say whether a path within a folder is one that a snapshot gives to an object."""
    found = _PATH.fullmatch(path)
    return bool(found and is_label(found[1]) and _NAME.fullmatch(found[3]))


def is_index(text: str, source: str) -> bool:
    """Say whether a text is the index of a snapshot, of whatever schema version."""
    try:
        [document] = parse_yaml(text, source).documents
    except (InvalidInput, ValueError):
        return False
    return document.value.get("kind") == KIND and str(document.value.get("apiVersion")).startswith("egressctl.dev/")


def parse_snapshot(contents: Mapping[str, str], folder: str) -> Snapshot:
    """Read a snapshot's files back, by path within `folder`, which names it in problems. Raises InvalidInput."""
    index = _parse_index(contents.get(INDEX), f"{folder}/{INDEX}")
    objects = {path: text for path, text in contents.items() if path != INDEX}
    if index.get("digest") != digest(objects):
        told = "is not as it was taken: files of it are missing, or were changed"
        raise InvalidInput(problems=[Problem(told, "", f"take it again: egressctl snapshot {quote(folder)}", folder)])
    items: dict[str, list[Manifest]] = {plural: [] for plural in _SAVED}
    for path, text in sorted(objects.items()):
        for document in parse_yaml(text, f"{folder}/{path}").documents:
            items[_FOLDERS[path.split("/")[1]]].append(document.value)
    was_read = mapping_at(index, "read")
    listed = {
        plural: ObjectsOfKind(tuple(items[plural]), *_parse_where_read(was_read.get(plural)))
        for plural in _SAVED
        if plural in was_read
    }
    names = texts_at(index, "namespaces")
    if NAMESPACES in was_read:
        listed[NAMESPACES] = ObjectsOfKind(
            tuple({"metadata": {"name": name}} for name in names), *_parse_where_read(was_read[NAMESPACES])
        )
    kubernetes, mesh = mapping_at(index, "kubernetes"), mapping_at(index, "mesh")
    scopes = mesh.get("defaultServiceExportTo")
    settings = MeshSettings(
        text_at(mesh, "rootNamespace") or None,
        tuple(map(str, scopes)) if isinstance(scopes, list) else None,
        text_at(mesh, "outboundTrafficPolicy") or None,
    )
    return Snapshot(
        text_at(index, "takenAt"),
        KubernetesInfo(text_at(kubernetes, "context"), "", text_at(kubernetes, "version")),
        settings,
        assemble_mesh_objects(listed, settings.root or ROOT_NAMESPACE, settings.default_export_to),
    )


def _parse_index(text: str | None, source: str) -> Mapping[str, Any]:
    take_one = "take one with: egressctl snapshot FOLDER"
    if text is None:
        raise InvalidInput(problems=[Problem("is not there, or no index of a snapshot", "", take_one, source)])
    documents = parse_yaml(text, source).documents
    value = documents[0].value if len(documents) == 1 else {}
    if value.get("kind") != KIND:
        raise InvalidInput(problems=[Problem("is not the index of a snapshot", "", take_one, source)])
    if value.get("apiVersion") != API_VERSION:
        remedy = f"this egressctl reads {API_VERSION}"
        raise InvalidInput(problems=[Problem("is of another schema version", "apiVersion", remedy, source)])
    return value


def _object_path(plural: str, metadata: Mapping[str, Any]) -> str:
    namespace, name = str(metadata.get("namespace") or ""), str(metadata.get("name") or "")
    path = f"{namespace}/{KIND_OF_PLURAL[plural].lower()}/{name}.yaml"
    if not is_object(path):
        raise ApiFailure(f"the API server has {KIND_OF_PLURAL[plural]} {namespace}/{name}, whose name Kubernetes would not take")
    return path


def _where_read(listed: ObjectsOfKind) -> Any:
    if listed.reach is None:
        return "everywhere"
    return {"namespaces": sorted(listed.reach), "why": listed.why}


def _parse_where_read(value: object) -> tuple[frozenset[str] | None, str]:
    """Read back what `_where_read` writes; what is not understood was read nowhere."""
    if value == "everywhere":
        return None, ""
    told = mapping_at(value)
    return frozenset(map(str, list_at(told, "namespaces"))), text_at(told, "why") or "the snapshot does not say why"


def _keep_fields(value: Any, shape: Shape) -> Any:
    if shape is None:
        return value
    if isinstance(value, list):
        return [_keep_fields(each, shape) for each in value]
    if not isinstance(value, Mapping):
        return value if isinstance(value, str | int | float | bool) else None
    return {key: _keep_fields(value[key], below) for key, below in shape.items() if key in value}


def _sort_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sort_keys(value[key]) for key in sorted(value)}
    return [_sort_keys(each) for each in value] if isinstance(value, Sequence) and not isinstance(value, str) else value


def changed_paths(old: Mapping[str, str], new: Mapping[str, str]) -> tuple[list[str], list[str], list[str]]:
    """Return the objects' paths that are new, that are changed, and that are gone, each sorted."""
    before, after = ({path for path in each if path != INDEX} for each in (old, new))
    both: Iterable[str] = before & after
    return sorted(after - before), sorted(path for path in both if old[path] != new[path]), sorted(before - after)
