"""Which targets of the catalogue are compared with what is published, and which of their entries, of files or of a mesh."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from egressctl.catalog import lookup
from egressctl.catalog.diff import (
    TargetWithEntries,
    read_manifests,
    target_names_of,
    targets_in_files,
    targets_in_namespaces,
)
from egressctl.catalog.fetch_all import fetchable_sources
from egressctl.errors import CouldNotAsk, InvalidInput
from egressctl.manifests.published import PublishedSource
from egressctl.model.entry import Manifest
from egressctl.model.probe import Target


class DiffRequest(NamedTuple):
    """Of which targets, by name or all, and of which folders; and where their entries are: files, else the Kubernetes cluster."""

    names: Sequence[str]
    folders: Sequence[str]
    files: Sequence[str]
    no_entry: bool
    list_entries: Callable[[], tuple[str | None, list[Manifest]]]
    """Asks the Kubernetes cluster for the entries of one namespace, which it names, or of all (None)."""
    broken: list[InvalidInput]
    """Filled with what is wrong with files that are not named, and stop no other."""


def find_targets_with_entries(wanted: DiffRequest) -> list[TargetWithEntries]:
    """Find the targets and their entries; raise CouldNotAsk where there are none."""
    if wanted.files:
        manifests = [manifest for file in wanted.files for manifest in read_manifests(file)]
        files = ", ".join(wanted.files)
        found = targets_in_files(manifests, _find_targets(wanted, manifests), files, named=bool(wanted.names))
        if not found:
            raise CouldNotAsk(f"{files}: no ServiceEntry is of a target of the catalogue", hint="egressctl catalog list")
        return found
    if wanted.no_entry:
        return [TargetWithEntries(*each) for each in _find_targets(wanted, ()) if wanted.names or fetchable_sources(each[1])]
    try:
        namespace, manifests = wanted.list_entries()
    except CouldNotAsk as failure:
        if not wanted.names:
            raise
        return [TargetWithEntries(*each, unasked=(f"the Kubernetes cluster: {failure}",)) for each in _find_targets(wanted, ())]
    where = f"namespace {namespace}" if namespace else "any namespace"
    targets = _find_targets(wanted, manifests)
    found = targets_in_namespaces(manifests, targets)
    if not wanted.names and not found:
        hint = "egressctl catalog diff NAME --no-entry"
        raise CouldNotAsk(f"there is no ServiceEntry of a target of the catalogue in {where}", hint=hint)
    there = {each.target.name for each in found}
    absent = [each for each in targets if wanted.names and each[0].name not in there]
    sentence = "the Kubernetes cluster: there is no ServiceEntry of {} in {} (--no-entry asks for none)"
    return [*found, *(TargetWithEntries(*each, unasked=(sentence.format(each[0].name, where),)) for each in absent)]


def _find_targets(wanted: DiffRequest, manifests: Sequence[Manifest]) -> list[tuple[Target, tuple[PublishedSource, ...]]]:
    """Return the targets that are named, else those of the catalogue; of a family, those that entries say they are of."""
    if wanted.names:
        return [
            (lookup.get_target(name, wanted.folders), lookup.sources_of_target(name, wanted.folders)) for name in wanted.names
        ]
    claimed = {name for each in manifests for name in target_names_of(each)}
    found = []
    for file in lookup.catalog_files(wanted.folders):
        try:
            family = lookup.find_family(file.name, wanted.folders)
            members = [f"{file.name}/{each}" for each in family.members] if family else []
            names = [each for each in members if lookup.kubernetes_name(each) in claimed] if family else [file.name]
            found += [(lookup.get_target(name, wanted.folders), lookup.sources_of_target(name, wanted.folders)) for name in names]
        except InvalidInput as refused:
            wanted.broken.append(refused)
    return found
