"""Explain the way of URLs from a pod, step by step, without sending anything."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial

from egressctl.catalog import lookup
from egressctl.envoy.config import NOTHING_READ, Reading
from egressctl.errors import ApiFailure, CouldNotAsk, Forbidden, InvalidInput, ProxyUnreadable
from egressctl.manifests.formats import is_label
from egressctl.manifests.service_entry import exact_place, read_entry
from egressctl.manifests.split_entries import entry_that_lists
from egressctl.manifests.typed_host import read_typed_host
from egressctl.mesh.client import Mesh
from egressctl.mesh.dns import ResolvedHost, addresses_without_lookup, resolve_in_pod
from egressctl.mesh.read_objects import read_mesh_objects
from egressctl.mesh.sidecar import Sidecar
from egressctl.mesh.source_pod import SourceChoice, find_source
from egressctl.model.entry import SUFFIX, Manifest, MeshObjects, ServiceEntry
from egressctl.model.evidence import Source
from egressctl.model.probe import Probe, ProbeDestination
from egressctl.runtime.concurrency import gather
from egressctl.runtime.progress import Progress
from egressctl.runtime.sanitize import quote
from egressctl.verify.entries_elsewhere import EntriesElsewhere
from egressctl.verify.evidence import Question
from egressctl.verify.explain.steps import ExplainedPath, explain_path, needs_mesh_objects, path_without_address
from egressctl.verify.explain.steps_before_sidecar import BY_ENTRY, ExplainFacts, ResolvedProbe
from egressctl.verify.select import verify_target_for, verify_targets_from_manifests
from egressctl.verify.targets_by_name import probe_of_host

_NAMES_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Explanation:
    """The ways of all that was asked for, the pod that they begin at, and one sentence for what was not looked at."""

    source: Source
    paths: tuple[ExplainedPath, ...]
    not_looked_at: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every way could be explained."""
        return not any(each.unknown for each in self.paths)


@dataclass(frozen=True, slots=True)
class ReadableEntries:
    """The ServiceEntries that may be read, None where none may be, and a sentence about those that were not."""

    manifests: tuple[Manifest, ...] | None
    unread: str = ""


def list_readable_entries(mesh: Mesh, namespace: str) -> ReadableEntries:
    """List the ServiceEntries of all namespaces, or, without the right to, of this one.

    Raises NotFound where Istio's kinds are not served, and CouldNotAsk's other kinds where the API server does not answer.
    """
    what = "serviceentries.networking.istio.io"
    try:
        return ReadableEntries(tuple(mesh.entries(None)))
    except (Forbidden, ApiFailure):
        pass
    try:
        near = tuple(mesh.entries(namespace))
    except (Forbidden, ApiFailure) as failure:
        return ReadableEntries(None, f"{what} were not looked at: {failure}")
    return ReadableEntries(near, f"{what} of namespaces other than {namespace} were not looked at: no right to list them all")


def questions(
    words: Sequence[str],
    known: ReadableEntries,
    namespace: str,
    folders: Sequence[str] = (),
    elsewhere: EntriesElsewhere | None = None,
) -> list[Question]:
    """Return what is asked for: a URL by itself, or the URLs of a target's probes and the ServiceEntry that should send them.

    That is one of the namespace, else one of those `elsewhere`. `folders` are those of the catalogue. Raises InvalidInput for
    what is neither, for a target without probes, and for a name of several namespaces.
    """
    found: list[Question] = []
    for word in words:
        if "://" in word:
            # Nothing is sent, so that there is no harm in names and addresses of the Kubernetes cluster's own.
            found.append(Question(probe_of_host(word, allow_internal=True)))
        else:
            found += _questions_of_target(word, known, namespace, folders, elsewhere)
    return found


def _questions_of_target(
    word: str, known: ReadableEntries, namespace: str, folders: Sequence[str], elsewhere: EntriesElsewhere | None
) -> list[Question]:
    exact = exact_place(word)
    called = lookup.kubernetes_name(word)
    typed = None if exact else read_typed_host(word)
    made = [typed.target_name + SUFFIX] if typed else []
    candidates = [exact[1]] if exact else [f"{called}-ext", called, *made]
    if exact and exact[0]:
        namespace = exact[0]
    there = _entries_in_namespace(known, namespace, candidates, "" if exact else called, elsewhere)
    place, slash, name = word.partition("/")
    if not there and not exact and slash and is_label(place):
        there = _entries_in_namespace(known, place, [f"{name}-ext", name], name, elsewhere)
    if not there and elsewhere and namespace == elsewhere.pod_namespace:
        there = elsewhere.find(word, candidates, "" if exact else called)
    if typed:  # the name that the host gives may be another host's as well
        there = [each for each in there if each["metadata"]["name"] not in made or typed.host in read_entry(each).hosts]
    if there:
        [wanted, *_] = verify_targets_from_manifests(there)
    elif not exact and lookup.has_name(word, folders):
        wanted = verify_target_for(lookup.get_target(word, folders), namespace, None)
    elif typed:
        return [Question(probe_of_host(word, allow_internal=True))]
    else:
        if elsewhere:
            elsewhere.require_namespace(namespace)
        raise _unknown_word_error(word, candidates, known, namespace, folders)
    if not wanted.probes:
        raise InvalidInput(f"{word} has no probe, and so no URL to explain", hint="egressctl explain https://HOST")
    entry = read_entry(wanted.manifest) if wanted.manifest is not None else None
    return [Question(probe, wanted.entry_name, entry, wanted.namespace) for probe in wanted.probes]


def _entries_in_namespace(
    known: ReadableEntries, namespace: str, names: Sequence[str], target: str, elsewhere: EntriesElsewhere | None
) -> list[Manifest]:
    """Return the entries of a target, else that of the first of these names, among those of a namespace."""
    manifests: Sequence[Manifest] = known.manifests or ()
    if known.unread and elsewhere and namespace != elsewhere.pod_namespace:
        manifests = elsewhere.in_namespace(namespace)
    near = {each["metadata"]["name"]: each for each in manifests if _namespace(each) == namespace}
    of_target = [each for each in near.values() if target and read_entry(each).part_of == target]
    return of_target or [near[name] for name in names if name in near][:1]


def _unknown_word_error(
    word: str, candidates: Sequence[str], known: ReadableEntries, namespace: str, folders: Sequence[str]
) -> InvalidInput:
    unread = " that may be read" if known.manifests is None else ""
    near = get_close_matches(word, lookup.catalog_names(folders))
    guess = f": did you mean {' or '.join(near)}?" if near else ""
    return InvalidInput(
        f"{word} is no URL, and there is no ServiceEntry {' or '.join(candidates)}{unread} in namespace {namespace}{guess}",
        hint=f"write a URL with its scheme: egressctl explain https://{quote(word.rpartition('/')[2])}",
    )


def _namespace(manifest: Manifest) -> str:
    return str(manifest["metadata"].get("namespace", "default"))


def explain(
    mesh: Mesh,
    namespace: str,
    choice: SourceChoice,
    asked: Sequence[Question],
    addresses: Sequence[str],
    known: ReadableEntries,
    progress: Progress,
) -> Explanation:
    """Show the path of every question from the source pod, one for each address of its host, or for each of `addresses`.

    Raises NoSourcePod, InvalidInput for a container that is not there, and CouldNotAsk where the API server does not answer.
    What cannot be read of the sidecar is in the ways.
    """
    sidecar = Sidecar(mesh.api, find_source(mesh.api, namespace, choice))
    source = sidecar.source
    progress.step(f"looking at the path from pod {source.namespace}/{source.pod}; nothing is sent")
    resolved = _resolve_hosts(mesh, source, asked, addresses)
    entries = None if known.manifests is None else tuple(map(read_entry, known.manifests))
    places = [
        _resolved_probe(question, ip, name, entries or ())
        for question, name in zip(asked, resolved, strict=True)
        for ip in name.addresses
    ]
    destinations = {ProbeDestination(each.ip, each.probe.port, each.probe.speech) for each in places}
    reading, unreadable = _read_sidecar(sidecar, destinations)
    looked: list[str] = [known.unread] if known.unread else []
    seen = ExplainFacts(source, reading.config, reading.counts, entries, None, unreadable)
    paths = [explain_path(place, seen) for place in places]
    if any(map(needs_mesh_objects, paths)):
        seen = replace(seen, around=_mesh_objects_or_none(mesh, source.namespace, looked))
        paths = [explain_path(place, seen) for place in places]
    ways = iter(paths)
    found: list[ExplainedPath] = []
    for question, name in zip(asked, resolved, strict=True):
        found += [next(ways) for _ in name.addresses]
        if not name.addresses:
            found.append(_explain_without_address(question, name, source))
    return Explanation(source, tuple(found), tuple(dict.fromkeys(looked)))


def _resolved_probe(question: Question, ip: str, name: ResolvedHost, entries: Sequence[ServiceEntry]) -> ResolvedProbe:
    entry = question.entry
    if entry is not None and entry.part_of:
        entry = entry_that_lists(entry, entries, ip)
    entry_name = entry.name if entry is not None else question.entry_name
    return ResolvedProbe(question.probe, ip, name.by, name.note, entry_name, entry, question.namespace)


def _resolve_hosts(mesh: Mesh, source: Source, asked: Sequence[Question], addresses: Sequence[str]) -> list[ResolvedHost]:
    hosts = dict.fromkeys(question.probe.host for question in asked)
    known = {host: addresses_without_lookup(host, addresses) for host in hosts}
    names = [host for host, found in known.items() if found is None]
    answers = gather([partial(resolve_in_pod, mesh.api, source, name) for name in names], at_most=_NAMES_AT_ONCE)
    found = {**known, **dict(zip(names, answers, strict=True))}
    return [_address_of_entry(question.probe, each) for question in asked if (each := found[question.probe.host]) is not None]


def _address_of_entry(probe: Probe, name: ResolvedHost) -> ResolvedHost:
    """Take the address that `verify` would ask at in place of a name that resolves to none."""
    return ResolvedHost((probe.else_ip,), BY_ENTRY) if probe.else_ip and name.certain and not name.addresses else name


def _explain_without_address(question: Question, name: ResolvedHost, source: Source) -> ExplainedPath:
    why = f"{name.missing} ({name.note})" if name.note else name.missing
    entry = question.entry
    missing = f"{question.namespace or source.namespace}/{question.entry_name}" if question.entry_name else ""
    target = str(entry) if entry else missing
    return path_without_address(question.probe, source, name.by, why, certain=name.certain, target=target)


def _mesh_objects_or_none(mesh: Mesh, namespace: str, unread: list[str]) -> MeshObjects | None:
    try:
        found = read_mesh_objects(mesh, namespace, services=False)
    except CouldNotAsk as failure:
        unread.append(f"the other objects on the Kubernetes cluster were not looked at: {failure}")
        return None
    unread += [each for each in found.unread if not unread or not each.startswith("serviceentries")]
    return found


def _read_sidecar(sidecar: Sidecar, places: Collection[ProbeDestination]) -> tuple[Reading, str]:
    """Read what the sidecar has in force for these places, or say why it could not be read."""
    if sidecar.source.proxy is None or not places:
        return NOTHING_READ, ""
    try:
        return sidecar.read_for(places), ""
    except (ProxyUnreadable, Forbidden, ApiFailure) as failure:
        return NOTHING_READ, str(failure)
