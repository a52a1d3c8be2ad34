"""Hold manifests of files against the rules and against each other, without a Kubernetes cluster. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from egressctl.catalog.targets import read_target_document
from egressctl.istio import interference
from egressctl.istio.conflict import ConflictKind, EntryConflict, ObjectReference
from egressctl.istio.conflict_index import ConflictIndex, ManifestsByHost
from egressctl.istio.sidecar_scope import egress_hosts
from egressctl.lint.api_server import istio_findings
from egressctl.lint.entry import entry_findings
from egressctl.lint.ignore_comments import IgnoreComments
from egressctl.lint.known_targets import KnownTarget
from egressctl.lint.manifest_files import ManifestFile, Manifests, place_of
from egressctl.lint.rule import Finding, LintedEntry, LintResult, Place, finding_of_problem
from egressctl.lint.rules import crowded_port, duplicate_object, invalid_input
from egressctl.manifests.egress_target import TARGET_KIND
from egressctl.manifests.service_entry import OFFLINE_VERSION, export_of_target, read_entry, render_entry
from egressctl.manifests.yaml_reader import Document
from egressctl.model.entry import KIND, ROOT_NAMESPACE, Manifest, MeshObjects, ServiceEntry
from egressctl.model.json_values import mapping_at, texts_at, value_at

_MOST_PER_RULE = 3
"""So many findings of one rule about other objects are reported of an entry."""


class ComparisonBase(NamedTuple):
    """What files are compared with: what stands there, the name of the snapshot, and how to get one that has more."""

    around: MeshObjects
    name: str
    hint: str = ""


class EntryInFile(NamedTuple):
    """A ServiceEntry, or what an EgressTarget makes of one, with the document that says it."""

    entry: ServiceEntry
    manifest: Manifest
    document: Document

    def at(self, finding: Finding) -> Finding:
        """Give a finding its place in the file; its path is that of a ServiceEntry."""
        place = place_of(self.document, finding.path)
        return finding._replace(file=place.source, line=place.line)


def lint_files(
    manifests: Manifests,
    namespace: str,
    known_for: Callable[[Sequence[ServiceEntry]], Sequence[KnownTarget]],
    *,
    any_address: bool = False,
    allow_internal: bool = False,
    base: ComparisonBase | None = None,
    said: Sequence[Finding] | None = None,
) -> LintResult:
    """Find what is wrong in manifests and between them; `namespace` is that of those that do not say theirs.

    `known_for` gives the targets of the catalogue that entries may be for; `base` is what the files are compared with; `said` is
    what an API server said of them, in place of what is known of Istio's rules.
    """
    found = [*manifests.findings, *(said or ())]
    entries: list[EntryInFile] = []
    others: dict[str, list[Manifest]] = defaultdict(list)
    places: dict[ObjectReference, list[Document]] = defaultdict(list)
    for document in (document for file in manifests.files for document in file.documents):
        kind = str(document.value["kind"])
        if kind == KIND:
            entries.append(_entry_from_manifest(document, namespace))
        elif kind == TARGET_KIND:
            entry, problems = _entry_from_target(document, namespace, any_address, allow_internal)
            found += problems
            entries += [entry] if entry else []
        else:
            others[kind].append(_with_namespace(document.value, namespace))
            places[ObjectReference.of(others[kind][-1])].append(document)
    for each in entries:
        places[ObjectReference(KIND, each.entry.namespace, each.entry.name)].append(each.document)
    if said is None:
        found += istio_findings([each.document for each in entries if each.document.value.get("kind") == KIND], namespace)
    found += duplicate_object.check_documents(places)
    found += _entry_findings(entries, others, places, known_for([each.entry for each in entries]))
    if base is not None:
        found += _change_findings(entries, others, places, base)
    told = tuple(_sort_by_place(_without_ignored(found, manifests.files), manifests.files))
    unread, hint = (base.around.unread, base.hint) if base else ((), "")
    return LintResult(told, unread, hint, entries=len(entries), files=manifests.looked_at)


def _change_findings(
    entries: Sequence[EntryInFile],
    others: Mapping[str, Sequence[Manifest]],
    places: Mapping[ObjectReference, Sequence[Document]],
    base: ComparisonBase,
) -> Iterator[Finding]:
    """Yield what the files change around them, each at its place in a file."""
    from egressctl.lint.snapshot_changes import changes_by_files  # imported late: 3 ms

    by_name = {ObjectReference(KIND, each.entry.namespace, each.entry.name): each for each in entries}
    for about, finding in changes_by_files([each.entry for each in entries], others, base.around):
        if finding.about and finding.about not in places:
            finding = finding._replace(hint=f"it is in {base.name} as {finding.about.namespace}/{finding.about.name}")
        if about in by_name:
            yield _with_offline_hint(by_name[about].at(finding), places)
        else:
            place = places[about][-1].place(("metadata", "name"))
            yield _with_offline_hint(finding._replace(file=place.source, line=place.line), places)


def _with_namespace(value: Mapping[str, Any], namespace: str) -> Manifest:
    metadata = mapping_at(value, "metadata")
    return {**value, "metadata": {**metadata, "namespace": metadata.get("namespace") or namespace}}


def _entry_from_manifest(document: Document, namespace: str) -> EntryInFile:
    manifest = _with_namespace(document.value, namespace)
    return EntryInFile(read_entry(manifest), manifest, document)


def _entry_from_target(
    document: Document, namespace: str, any_address: bool, allow_internal: bool
) -> tuple[EntryInFile | None, list[Finding]]:
    """Read an EgressTarget as `create` would; one with a problem takes no part in what is said of entries."""
    target, problems = read_target_document(document, any_address=any_address, allow_internal=allow_internal)
    if target is None or problems:
        return None, [finding_of_problem(invalid_input.RULE.id, each) for each in problems]
    manifest = render_entry(
        target, namespace=namespace, api_version=OFFLINE_VERSION, run_id=None, export_to=export_of_target(target)
    )
    return EntryInFile(read_entry(manifest), manifest, document), []


def _entry_findings(
    entries: Sequence[EntryInFile],
    others: Mapping[str, Sequence[Manifest]],
    places: Mapping[ObjectReference, Sequence[Document]],
    known: Sequence[KnownTarget],
) -> Iterator[Finding]:
    neighbours = ConflictIndex([each.entry for each in entries])
    beside = _OtherObjects(others)
    for each in entries:
        place = Place.FILE if each.document.value.get("kind") == KIND else Place.TARGET
        case = LintedEntry(each.entry, place, each.manifest, beside.originating, known)
        rivals = neighbours.conflicts_of(each.entry, each.entry.namespace, _MOST_PER_RULE)
        for finding in entry_findings(case, rivals, beside.interference_with(each.entry)):
            yield _with_offline_hint(each.at(finding), places)
    read_entries = [each.entry for each in entries]
    for crowd in crowded_port.crowded_ports(read_entries):
        yield entries[crowd.biggest].at(crowd.finding(read_entries))


class _OtherObjects:
    """The other objects of the files, filed under the hosts that they name."""

    def __init__(self, others: Mapping[str, Sequence[Manifest]]) -> None:
        self.sidecars = others.get("Sidecar", ())
        self.originating = interference.hosts_with_tls_origination(others.get("DestinationRule", ()))
        self._routes = ManifestsByHost(others.get("VirtualService", ()), lambda each: texts_at(each, "spec", "hosts"))
        self._rules = ManifestsByHost(others.get("DestinationRule", ()), lambda each: texts_at([value_at(each, "spec", "host")]))
        self._exact = ManifestsByHost(self.sidecars, lambda each: [host.partition("/")[2] for host in egress_hosts(each)])

    def interference_with(self, entry: ServiceEntry) -> Iterator[EntryConflict]:
        """Yield what they do to an entry for pods of its own namespace; where one keeps one block of it, for any pods."""
        here = entry.namespace
        yield from interference.find_hiding_sidecars(entry, self.sidecars, here, ROOT_NAMESPACE)
        for namespace in sorted({ObjectReference.of(each).namespace for each in self._exact.of(entry)} - {here, ROOT_NAMESPACE}):
            found = interference.find_hiding_sidecars(entry, self.sidecars, namespace, ROOT_NAMESPACE)
            yield from (each for each in found if each.rule == ConflictKind.ONE_BLOCK_KEPT)
        yield from interference.find_rerouting_virtual_services(entry, self._routes.of(entry), here)
        yield from interference.find_wrapping_destination_rules(entry, self._rules.of(entry), here)


def _with_offline_hint(finding: Finding, places: Mapping[ObjectReference, Sequence[Document]]) -> Finding:
    """Say where in the files another object stands, in place of a command that shows it on a Kubernetes cluster."""
    hint = "" if finding.hint.startswith("kubectl ") else finding.hint
    if finding.about and (there := places.get(finding.about)):
        place = there[0].place(("metadata", "name"))
        hint = f"{hint}: " * bool(hint) + f"it is at {place.source}:{place.line}"
    return finding._replace(hint=hint)


def _without_ignored(found: Sequence[Finding], files: Sequence[ManifestFile]) -> Iterator[Finding]:
    """Yield what no comment of its file asks to pass over, and the comments that ask for nothing."""
    ignores = {file.name: IgnoreComments(file) for file in files}
    yield from (each for each in found if each.file not in ignores or not ignores[each.file].ignores_finding(each))
    for each in ignores.values():
        yield from each.findings


def _sort_by_place(found: Iterator[Finding], files: Sequence[ManifestFile]) -> list[Finding]:
    """Sort findings by file, in the order of the files, and line."""
    order = {file.name: index for index, file in enumerate(files)}
    return sorted(found, key=lambda each: (order.get(each.file, -1), each.file, each.line or 0))
