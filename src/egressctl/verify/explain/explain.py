"""Explain the way of URLs from a pod, station by station, without sending anything."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache, partial

from egressctl.catalog import lookup
from egressctl.envoy.config import NOTHING, EnvoyCluster, ProxyConfig, Reading
from egressctl.envoy.counts import ClusterCounts
from egressctl.envoy.walk import led_to, route_names, walk
from egressctl.errors import ApiFailure, CouldNotAsk, Forbidden, InvalidInput, ProxyUnreadable
from egressctl.manifests.egress_target import probe_from_url
from egressctl.manifests.service_entry import KIND_NAMES, read
from egressctl.manifests.split_entries import holding
from egressctl.mesh.client import Mesh
from egressctl.mesh.dns import Resolved, given, resolve
from egressctl.mesh.read_objects import surroundings
from egressctl.mesh.sidecar import Place as Led
from egressctl.mesh.source_pod import SourceChoice
from egressctl.model.entry import Manifest, ServiceEntry, Surroundings
from egressctl.model.evidence import Source
from egressctl.runtime.concurrency import begin, gather
from egressctl.runtime.progress import Progress
from egressctl.verify.evidence import Question
from egressctl.verify.explain.approach import Place, Seen
from egressctl.verify.explain.path import Path, path, unresolved
from egressctl.verify.select import of_manifests, wanted_of_target

_TRIES = 3
_NAMES_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Explanation:
    """The ways of all that was asked for, the pod that they begin at, and one sentence for what was not looked at."""

    source: Source
    paths: tuple[Path, ...]
    not_looked_at: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether every way could be explained."""
        return not any(each.unknown for each in self.paths)


@dataclass(frozen=True, slots=True)
class Listed:
    """The ServiceEntries that may be read, None where none may be, and a sentence about those that were not."""

    manifests: tuple[Manifest, ...] | None
    unread: str = ""


def listed(mesh: Mesh, namespace: str) -> Listed:
    """List the ServiceEntries of all namespaces, or, without the right to, of this one.

    Raises NotFound where Istio's kinds are not served, and CouldNotAsk's other kinds where the API server does not answer.
    """
    what = "serviceentries.networking.istio.io"
    try:
        return Listed(tuple(mesh.entries(None)))
    except (Forbidden, ApiFailure):
        pass
    try:
        near = tuple(mesh.entries(namespace))
    except (Forbidden, ApiFailure) as failure:
        return Listed(None, f"{what} were not looked at: {failure}")
    return Listed(near, f"{what} of namespaces other than {namespace} were not looked at: no right to list them all")


def questions(words: Sequence[str], known: Listed, namespace: str, folders: Sequence[str] = ()) -> list[Question]:
    """Return what is asked for: a URL by itself, or the URLs of a target's probes and the ServiceEntry that should carry them.

    `folders` are those of the catalogue. Raises InvalidInput for what is neither, and for a target without probes.
    """
    found: list[Question] = []
    for word in words:
        if "://" in word:
            # Nothing is sent, so that there is no harm in names and addresses of the Kubernetes cluster's own.
            found.append(Question(probe_from_url(word, allow_internal=True)))
        else:
            found += _of_target(word, known, namespace, folders)
    return found


def _of_target(word: str, known: Listed, namespace: str, folders: Sequence[str]) -> list[Question]:
    kind, slash, name = word.rpartition("/")
    exact = bool(slash) and kind in KIND_NAMES
    called = lookup.entry_name(word)
    candidates = [name] if exact else [f"{called}-ext", called]
    near = {each["metadata"]["name"]: each for each in known.manifests or () if _namespace(each) == namespace}
    of_target = [each for each in near.values() if not exact and read(each).part_of == called]
    manifest = next((near[each] for each in candidates if each in near), None)
    if manifest is not None or of_target:
        [wanted, *_] = of_manifests(of_target or [near[name] for name in candidates if name in near][:1])
        manifest = wanted.manifest
    elif not exact and lookup.has(word, folders):
        wanted = wanted_of_target(lookup.get(word, folders), namespace, None)
    else:
        raise _unknown(word, candidates, known, namespace, folders)
    if not wanted.probes:
        raise InvalidInput(f"{word} has no probe, and so no URL to explain", hint="egressctl explain https://HOST")
    entry = read(manifest) if manifest is not None else None
    return [Question(probe, wanted.entry_name, entry) for probe in wanted.probes]


def _unknown(word: str, candidates: Sequence[str], known: Listed, namespace: str, folders: Sequence[str]) -> InvalidInput:
    unread = " that may be read" if known.manifests is None else ""
    near = get_close_matches(word, lookup.names(folders))
    guess = f": did you mean {' or '.join(near)}?" if near else ""
    return InvalidInput(
        f"{word} is no URL, and there is no ServiceEntry {' or '.join(candidates)}{unread} in namespace {namespace}{guess}",
        hint=f"write a URL with its scheme: egressctl explain https://{word.rpartition('/')[2]}",
    )


def _namespace(manifest: Manifest) -> str:
    return str(manifest["metadata"].get("namespace", "default"))


def explain(
    mesh: Mesh,
    namespace: str,
    choice: SourceChoice,
    asked: Sequence[Question],
    addresses: Sequence[str],
    known: Listed,
    progress: Progress,
) -> Explanation:
    """Tell the way of every question from the source pod, one for each address of its host, or for each of `addresses`.

    Raises NoSourcePod, InvalidInput for a container that is not there, and CouldNotAsk where the API server does not answer.
    What cannot be read of the sidecar is in the ways.
    """
    source = mesh.source(namespace, choice)
    progress.step(f"looking at the way from pod {source.namespace}/{source.pod}; nothing is sent")
    resolved = _resolved(mesh, source, asked, addresses)
    entries = None if known.manifests is None else tuple(map(read, known.manifests))
    places = [
        _place(question, ip, name, entries or ()) for question, name in zip(asked, resolved, strict=True) for ip in name.addresses
    ]
    reading, unreadable = _read(mesh, source, {(each.ip, each.probe.port, each.probe.speech) for each in places})
    looked: list[str] = [known.unread] if known.unread else []
    around = cache(partial(_around, mesh, source.namespace, looked))
    seen = Seen(source, reading.config, reading.counts, entries, around, unreadable)
    ways = iter([path(each, seen) for each in places])
    found: list[Path] = []
    for question, name in zip(asked, resolved, strict=True):
        found += [next(ways) for _ in name.addresses]
        if not name.addresses:
            found.append(_without_address(question, name, source))
    return Explanation(source, tuple(found), tuple(dict.fromkeys(looked)))


def _place(question: Question, ip: str, name: Resolved, entries: Sequence[ServiceEntry]) -> Place:
    entry = question.entry
    if entry is not None and entry.part_of:
        entry = holding(entry, entries, ip)
    entry_name = entry.name if entry is not None else question.entry_name
    return Place(question.probe, ip, name.by, name.note, entry_name, entry)


def _resolved(mesh: Mesh, source: Source, asked: Sequence[Question], addresses: Sequence[str]) -> list[Resolved]:
    hosts = dict.fromkeys(question.probe.host for question in asked)
    known = {host: given(host, addresses) for host in hosts}
    names = [host for host, found in known.items() if found is None]
    answers = gather([partial(resolve, mesh.api, source, name) for name in names], at_most=_NAMES_AT_ONCE)
    found = {**known, **dict(zip(names, answers, strict=True))}
    return [each for question in asked if (each := found[question.probe.host]) is not None]


def _without_address(question: Question, name: Resolved, source: Source) -> Path:
    why = f"{name.missing} ({name.note})" if name.note else name.missing
    entry = question.entry
    target = str(entry) if entry else f"{source.namespace}/{question.entry_name}" if question.entry_name else ""
    return unresolved(question.probe, source, name.by, why, certain=name.certain, target=target)


def _around(mesh: Mesh, namespace: str, unread: list[str]) -> Surroundings | None:
    try:
        found = surroundings(mesh, namespace, services=False)
    except CouldNotAsk as failure:
        unread.append(f"what else is around was not looked at: {failure}")
        return None
    unread += [each for each in found.unread if not unread or not each.startswith("serviceentries")]
    return found


# The sidecar


def _read(mesh: Mesh, source: Source, places: Collection[Led]) -> tuple[Reading, str]:
    """Read what the sidecar has in force for these places, all of one moment, or say why it could not be read."""
    if source.proxy is None or not places:
        return NOTHING, ""
    try:
        for _ in range(_TRIES):
            counted = begin(_or_none(partial(mesh.proxy_counts, source)))
            config = _config(mesh, source, places)
            reading = Reading(config, counted())
            if config.versions == mesh.listener_versions(source):
                return reading, ""
    except (ProxyUnreadable, Forbidden, ApiFailure) as failure:
        return NOTHING, str(failure)
    return NOTHING, f"the configuration of the sidecar of {source.pod} changes while it is read"


def _config(mesh: Mesh, source: Source, places: Collection[Led]) -> ProxyConfig:
    config = mesh.proxy_config(source)
    if names := {name for place in places for name in route_names(config, *place)}:
        config = replace(config, routes=mesh.routes(source, names))
    led = {name for place in places for name in led_to(walk(config, *place))}
    found: Mapping[str, EnvoyCluster] = mesh.envoy_clusters(source, led) if led else {}
    return replace(config, envoy_clusters=found)


def _or_none(call: Callable[[], ClusterCounts]) -> Callable[[], ClusterCounts | None]:
    def ask() -> ClusterCounts | None:
        try:
            return call()
        except CouldNotAsk:
            return None

    return ask
