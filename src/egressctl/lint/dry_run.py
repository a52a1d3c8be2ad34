"""Ask a real API server by dry run what it says of manifests: what it refuses, and what it warns of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from egressctl.errors import Problem, Refused
from egressctl.istio.mesh_objects import KIND_OF_PLURAL
from egressctl.kube.rest import resource_path
from egressctl.lint.manifest_files import Manifests
from egressctl.lint.rules import Finding
from egressctl.manifests.egress_target import TARGET_KIND, read_target_document
from egressctl.manifests.service_entry import GROUP, OFFLINE_VERSION, render_entry
from egressctl.manifests.yaml_reader import Document, ValuePath
from egressctl.mesh.client import Mesh
from egressctl.runtime.concurrency import gather

DRY_RUN_ORIGIN = "istio"
_FIELD_MANAGER = "egressctl-lint"
"""The field manager of the dry runs, which no object ever has."""
_PLURAL_OF_KIND = {kind: plural for plural, kind in KIND_OF_PLURAL.items()}
_FIELD_PART = re.compile(r"\[(\d+)\]|\[([^\]]+)\]|([^.\[\]]+)")


def ask_api_server(mesh: Mesh, manifests: Manifests, namespace: str) -> list[Finding]:
    """Return what the API server says of each manifest; `namespace` is that of those that do not say theirs.

    An EgressTarget is asked about as the entry that it makes; one that cannot be read makes none. Nothing is changed. Raises
    CouldNotAsk where one of them could not be asked about.
    """
    documents = [document for file in manifests.files for document in file.documents]
    served = frozenset(f"{GROUP}/{version}" for version in mesh.api.served_versions(GROUP))
    said = gather([partial(_ask_about_document, mesh, each, namespace, served) for each in documents], at_most=8)
    return [finding for each in said for finding in each]


def _ask_about_document(mesh: Mesh, document: Document, namespace: str, served: frozenset[str]) -> list[Finding]:
    manifest = _manifest_to_try(document, namespace)
    if manifest is None:
        return []
    metadata, version = manifest["metadata"], manifest.get("apiVersion")
    if isinstance(version, str) and version not in served:
        told = Problem(f"this API server does not serve {version}, but {', '.join(sorted(served))}", "apiVersion")
        return list(refusal_findings(document, [told], namespace))
    collection = resource_path(str(version or mesh.api_version), str(metadata["namespace"]), _PLURAL_OF_KIND[manifest["kind"]])
    try:
        warnings = mesh.api.try_out(collection, str(metadata.get("name") or ""), manifest, field_manager=_FIELD_MANAGER)
    except Refused as said:
        return list(refusal_findings(document, said.problems, namespace))
    return list(warning_findings(document, warnings, namespace))


def _manifest_to_try(document: Document, namespace: str) -> dict[str, Any] | None:
    value = dict(document.value)
    if value.get("kind") == TARGET_KIND:
        target, problems = read_target_document(document)
        if target is None or problems:
            return None
        return render_entry(target, namespace=namespace, api_version=OFFLINE_VERSION, run_id=None)
    metadata = value.get("metadata")
    metadata = dict(metadata) if isinstance(metadata, dict) else {}
    return {**value, "metadata": {**metadata, "namespace": metadata.get("namespace") or namespace}}


def refusal_findings(document: Document, problems: Sequence[Problem], namespace: str) -> Iterator[Finding]:
    """Yield what the API server refuses in a document, at its place. Pure."""
    for each in problems:
        message = f"{each.field}: {each.message}" if each.field else each.message
        yield _finding("refused-by-server", message, document, _parse_field(each.field), namespace)


def warning_findings(document: Document, warnings: Sequence[str], namespace: str) -> Iterator[Finding]:
    """Yield what the API server warns of in a document. Pure."""
    for each in warnings:
        yield _finding("warned-by-server", each, document, (), namespace)


def _finding(rule: str, message: str, document: Document, path: ValuePath, namespace: str) -> Finding:
    metadata = document.value.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    if document.value.get("kind") == TARGET_KIND and path[:1] == ("spec",):
        path = ("spec", "serviceEntry", *path[1:])
    place = document.place(path or ("metadata", "name"))
    where = f"{metadata.get('namespace') or namespace}/{metadata.get('name') or '?'}"
    return Finding(rule, message, where, origin=DRY_RUN_ORIGIN, file=place.source, line=place.line)


def _parse_field(field: str) -> ValuePath:
    """Read a field as the API server writes it: `spec.ports[0].number`, `metadata.labels[a.b/c]`."""
    return tuple(int(number) if number else key or name for number, key, name in _FIELD_PART.findall(field))
