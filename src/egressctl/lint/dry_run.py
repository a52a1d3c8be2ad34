"""Ask a real API server by dry run what it says of manifests: what it refuses, and what it warns of."""

from __future__ import annotations

from functools import partial
from typing import Any

from egressctl.catalog.targets import read_target_document
from egressctl.errors import Problem, Refused
from egressctl.istio.mesh_objects import KIND_OF_PLURAL
from egressctl.kube.rest import resource_path
from egressctl.lint.manifest_files import Manifests
from egressctl.lint.rule import Finding
from egressctl.lint.rules import refused_by_server, warned_by_server
from egressctl.manifests.egress_target import TARGET_KIND
from egressctl.manifests.service_entry import OFFLINE_VERSION, export_of_target, render_entry
from egressctl.manifests.yaml_reader import Document
from egressctl.mesh.client import Mesh
from egressctl.model.entry import GROUP
from egressctl.model.json_values import mapping_at
from egressctl.runtime.concurrency import gather

_FIELD_MANAGER = "egressctl-lint"
"""The field manager of the dry runs, which no object ever has."""
_PLURAL_OF_KIND = {kind: plural for plural, kind in KIND_OF_PLURAL.items()}


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
        return list(refused_by_server.findings(document, [told], namespace))
    collection = resource_path(str(version or mesh.api_version), str(metadata["namespace"]), _PLURAL_OF_KIND[manifest["kind"]])
    try:
        warnings = mesh.api.try_out(collection, str(metadata.get("name") or ""), manifest, field_manager=_FIELD_MANAGER)
    except Refused as said:
        return list(refused_by_server.findings(document, said.problems, namespace))
    return list(warned_by_server.findings(document, warnings, namespace))


def _manifest_to_try(document: Document, namespace: str) -> dict[str, Any] | None:
    value = dict(document.value)
    if value.get("kind") == TARGET_KIND:
        target, problems = read_target_document(document)
        if target is None or problems:
            return None
        return render_entry(
            target, namespace=namespace, api_version=OFFLINE_VERSION, run_id=None, export_to=export_of_target(target)
        )
    metadata = mapping_at(value, "metadata")
    return {**value, "metadata": {**metadata, "namespace": metadata.get("namespace") or namespace}}
