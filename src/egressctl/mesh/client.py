"""The ServiceEntries of a mesh, through its Kubernetes API."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

from egressctl.errors import Forbidden, NotFound
from egressctl.kube.rest import Api, resource_path
from egressctl.manifests.service_entry import LABEL_MANAGED_BY, MANAGER, PLURAL, read_entry
from egressctl.mesh.namespaces import require_namespace
from egressctl.model.entry import GROUP, Manifest, ServiceEntry
from egressctl.model.json_values import mapping_at
from egressctl.runtime.concurrency import gather
from egressctl.runtime.sanitize import quote

MANAGED_SELECTOR = f"{LABEL_MANAGED_BY}={MANAGER}"


class Mesh:
    """Read and change the ServiceEntries of a mesh. Thread-safe; errors are those of errors.py."""

    def __init__(self, api: Api) -> None:
        self.api = api

    @cached_property
    def api_version(self) -> str:
        """The newest served version of Istio's networking API, such as `networking.istio.io/v1`."""
        return f"{GROUP}/{self.api.served_versions(GROUP)[0]}"

    def entry(self, namespace: str, name: str) -> Manifest | None:
        """Return the ServiceEntry of that name, None where there is none."""
        return self.api.find(self._path(namespace, name))

    def entries(self, namespace: str | None, selector: str = "") -> list[Manifest]:
        """List the ServiceEntries of one namespace, or of all (None), that have the labels `selector` names (`key=value,...`)."""
        found = self.api.list(self._path(namespace), label_selector=selector or None)["items"]
        return [{"apiVersion": self.api_version, "kind": "ServiceEntry", **item} for item in found if has_labels(item, selector)]

    def readable_entries(self, namespace: str) -> tuple[tuple[ServiceEntry, ...], bool]:
        """Return every ServiceEntry that may be read, and whether those are all of the mesh.

        Without the right to list all namespaces, those of the one namespace suffice to prove `open`.
        """
        try:
            return tuple(map(read_entry, self.entries(None))), True
        except Forbidden:
            return tuple(map(read_entry, self.entries(namespace))), False

    def apply(self, manifest: Manifest, *, manager: str, force: bool = False, dry_run: bool = False) -> tuple[int, Manifest]:
        """Apply a ServiceEntry server-side; return the HTTP status (201 made, 200 was there) and the object.

        Raises NotFound where there is no such namespace, and what `Api.apply` raises.
        """
        try:
            return self.api.apply(self._path_of(manifest), dict(manifest), field_manager=manager, force=force, dry_run=dry_run)
        except NotFound:
            require_namespace(self.api, manifest["metadata"]["namespace"])
            raise

    def delete(self, manifest: Manifest, *, dry_run: bool = False) -> bool:
        """Delete exactly this ServiceEntry, by its UID and as it was read; say whether it was still there.

        Raises Modified where somebody has changed it, or another has its name. A dry run goes by the UID alone.
        """
        metadata = manifest["metadata"]
        version = "" if dry_run else str(metadata.get("resourceVersion") or "")
        return self.api.delete(self._path_of(manifest), uid=metadata["uid"], version=version, dry_run=dry_run)

    def _path(self, namespace: str | None, name: str | None = None) -> str:
        return resource_path(self.api_version, namespace, PLURAL, name)

    def _path_of(self, manifest: Manifest) -> str:
        return self._path(manifest["metadata"]["namespace"], manifest["metadata"]["name"])


def has_labels(manifest: Manifest, selector: str) -> bool:
    """Say whether an object has every label of a selector of equalities: what is deleted is not left to the answer alone."""
    labels = mapping_at(manifest, "metadata", "labels")
    wanted = (each.partition("=") for each in selector.split(",") if each)
    return all(labels.get(name) == value for name, _, value in wanted)


def kubectl_delete(manifest: Manifest | dict[str, Any]) -> str:
    """Return the command that removes an object by hand."""
    metadata = manifest["metadata"]
    kind = str(manifest.get("kind") or "serviceentry").lower()
    return f"kubectl delete {quote(kind)} -n {quote(metadata.get('namespace', 'default'))} {quote(metadata['name'])}"


def look_up_entries(mesh: Mesh, places: Sequence[tuple[str, str]]) -> list[Manifest | None]:
    """Read several ServiceEntries, by namespace and name, at the same time."""
    return gather([partial(mesh.entry, *place) for place in places], at_most=8)
