"""Find a ServiceEntry by its name in another namespace than the source pod's, from which it is exported to the pod's."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from egressctl.errors import ApiFailure, Forbidden, InvalidInput
from egressctl.istio.export_to import PUBLIC, is_exported_to_namespace
from egressctl.manifests.service_entry import KIND_NAMES, read_entry
from egressctl.mesh.client import Mesh
from egressctl.mesh.namespaces import require_namespace
from egressctl.mesh.read_objects import read_default_export_to
from egressctl.model.entry import ROOT_NAMESPACE, Manifest, ServiceEntry
from egressctl.runtime.sanitize import quote
from egressctl.runtime.sentence import first_names

_MOST_NAMED = 4


class EntriesElsewhere:
    """The ServiceEntries of namespaces other than the source pod's: listed at the first question, and once.

    `command` is what a person would type, for the hints. `listed` are those that were listed already.
    """

    def __init__(self, mesh: Mesh, pod_namespace: str, command: str, listed: Sequence[Manifest] | None = None) -> None:
        self._mesh, self.pod_namespace, self._command, self._given = mesh, pod_namespace, command, listed
        self.unread = ""
        """A sentence about the namespaces that may not be looked at; empty where nothing was asked, or all could be."""

    def in_namespace(self, namespace: str) -> list[Manifest]:
        """List the ServiceEntries of a namespace that was named: none where they may not be listed."""
        try:
            return self._mesh.entries(namespace)
        except (Forbidden, ApiFailure):
            return []

    def require_namespace(self, namespace: str) -> None:
        """Raise NotFound where there is no such namespace."""
        require_namespace(self._mesh.api, namespace)

    def find(self, word: str, names: Sequence[str], target: str = "") -> list[Manifest]:
        """Return the ServiceEntry of the first of these names, or those of a target: of the one namespace that exports it.

        Where none does, that of the one namespace that has it. Raises InvalidInput where several export it, and what listing
        raises.
        """
        by_namespace: dict[str, list[Manifest]] = {}
        for manifest in self._listed:
            entry = read_entry(manifest)
            if entry.namespace != self.pod_namespace and (entry.name in names or (target and entry.part_of == target)):
                by_namespace.setdefault(entry.namespace, []).append(manifest)
        found = [_entries_of_one(manifests, names) for manifests in by_namespace.values()]
        seen = [manifests for manifests in found if self._is_seen(read_entry(manifests[0]))]
        if len(seen) > 1:
            raise self._several_error(word, [read_entry(manifests[0]) for manifests in seen])
        chosen = seen or (found if len(found) == 1 else [])
        return chosen[0] if chosen else []

    def _is_seen(self, entry: ServiceEntry) -> bool:
        default = PUBLIC if entry.export_to else self._default_export_to
        return is_exported_to_namespace(entry, self.pod_namespace, default)

    def _several_error(self, word: str, entries: Sequence[ServiceEntry]) -> InvalidInput:
        entries = sorted(entries, key=str)
        told = first_names([str(each) for each in entries], _MOST_NAMED)
        lines = [
            f"egressctl {self._command} {quote(f'{KIND_NAMES[0]}/{each.namespace}/{each.name}')} -n {quote(self.pod_namespace)}"
            for each in entries[:_MOST_NAMED]
        ]
        return InvalidInput(
            f"{word} is the name of {len(entries)} ServiceEntries that namespace {self.pod_namespace} sees: {told}",
            hint=", or ".join(lines),
        )

    @cached_property
    def _default_export_to(self) -> Sequence[str]:
        return read_default_export_to(self._mesh) or PUBLIC

    @cached_property
    def _listed(self) -> Sequence[Manifest]:
        if self._given is not None:
            return self._given
        try:
            return self._mesh.entries(None)
        except (Forbidden, ApiFailure):
            pass
        seen, found = [self.pod_namespace], list[Manifest]()
        if self.pod_namespace != ROOT_NAMESPACE:
            try:
                found = self._mesh.entries(ROOT_NAMESPACE)
                seen.append(ROOT_NAMESPACE)
            except (Forbidden, ApiFailure):
                pass
        self.unread = (
            f"the ServiceEntries of namespaces other than {' and '.join(seen)} were not looked at: no right to list them all; "
            "--entry-namespace says where the entry is"
        )
        return found


def _entries_of_one(manifests: Sequence[Manifest], names: Sequence[str]) -> list[Manifest]:
    """Return what a name means among the entries of one namespace: the first name that is there, with all of its target."""
    by_name = {str(each["metadata"]["name"]): each for each in manifests}
    first = next((by_name[name] for name in names if name in by_name), manifests[0])
    return [each for each in manifests if read_entry(each).is_same_target_as(read_entry(first))]
