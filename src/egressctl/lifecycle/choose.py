"""Which ServiceEntries of ours are to be removed: by every name that they, their targets, their hosts and files have."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import NamedTuple

from egressctl.catalog import lookup
from egressctl.catalog.targets import load_targets
from egressctl.errors import Conflict, CouldNotAsk, InvalidInput, NoSuchTarget
from egressctl.lifecycle.leftover import leftover_sources
from egressctl.manifests.egress_target import read_target_file
from egressctl.manifests.formats import is_label
from egressctl.manifests.service_entry import LABEL_TARGET, is_kind, read_entry, target_of
from egressctl.manifests.split_entries import group_by_target
from egressctl.manifests.typed_host import TypedHost, read_typed_host
from egressctl.mesh.client import MANAGED_SELECTOR, Mesh, look_up_entries
from egressctl.mesh.namespaces import require_namespace
from egressctl.model.entry import SUFFIX, Manifest
from egressctl.model.probe import Target
from egressctl.runtime.progress import Progress, SilentProgress
from egressctl.runtime.sanitize import quote


@dataclass(frozen=True, slots=True)
class RemovalChoice:
    """What is to be removed: by `words` and by the targets of `files`, else everything, else our only target there.

    `everything` takes all of ours in `namespace`, or in all namespaces where that is None. `folders` are the user's catalogues.
    `namespace_flag` is what a line to type needs to mean the same namespace, such as ` -n shop`.
    """

    namespace: str | None
    words: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    everything: bool = False
    ignore_not_found: bool = False
    folders: tuple[str, ...] = ()
    namespace_flag: str = ""


def choose_entries(mesh: Mesh, choice: RemovalChoice, progress: Progress) -> list[Manifest]:
    """Return the ServiceEntries to remove, and report what is not there.

    Raises InvalidInput where nothing is named and several are there, Conflict for one that is not ours, and NoSuchTarget for a
    word that means nothing: neither on the Kubernetes cluster nor in the catalogue nor a file.
    """
    ours = _Ours(mesh)
    if choice.words or choice.files:
        return _choose_by_name(ours, choice, progress)
    found = ours.of(choice.namespace)
    if not choice.everything and len(targets := target_names(found)) > 1:
        raise InvalidInput(
            f"egressctl made {len(found)} ServiceEntries in namespace {choice.namespace}: {', '.join(targets)}",
            hint=f"name the one to remove, or remove them all: egressctl cleanup --all{choice.namespace_flag}",
        )
    if not found:
        _require_namespace(mesh, choice)
        where = "any namespace" if choice.namespace is None else f"namespace {choice.namespace}"
        if not leftover_sources(mesh, choice.namespace, SilentProgress()):
            progress.result(f"egressctl made nothing in {where}")
    return found


def _require_namespace(mesh: Mesh, choice: RemovalChoice) -> None:
    if choice.namespace is not None and not choice.ignore_not_found:
        require_namespace(mesh.api, choice.namespace)


def target_names(manifests: Sequence[Manifest]) -> list[str]:
    """Name the targets of ServiceEntries: each by its entry, or, where it has several, by its own name and how many."""
    if len(manifests) < 2:
        return [str(each["metadata"]["name"]) for each in manifests]
    return [
        str(first["metadata"]["name"]) if not others else f"{read_entry(first).part_of} ({1 + len(others)} entries)"
        for first, *others in group_by_target(manifests)
    ]


def target_and_entry_name(manifest: Manifest) -> tuple[str, str]:
    """Return the two names that a person may use: the target's and the ServiceEntry's."""
    metadata = manifest["metadata"]
    return str((metadata.get("labels") or {}).get(LABEL_TARGET, "")), str(metadata["name"])


@dataclass
class _Ours:
    """The ServiceEntries that egressctl made, each namespace listed once."""

    mesh: Mesh
    listed: dict[str | None, list[Manifest]] = field(default_factory=dict)

    def of(self, namespace: str | None) -> list[Manifest]:
        """Those of a namespace, or of all (None)."""
        if namespace not in self.listed:
            self.listed[namespace] = self.mesh.entries(namespace, MANAGED_SELECTOR)
        return self.listed[namespace]

    def where_readable(self, namespace: str | None) -> list[Manifest]:
        """Those of a namespace that need not be one, or that may not be listed: none then."""
        try:
            return self.of(namespace)
        except CouldNotAsk:
            return []


def _choose_by_name(ours: _Ours, choice: RemovalChoice, progress: Progress) -> list[Manifest]:
    namespace = choice.namespace or "default"
    chosen: list[Manifest] = []
    for path in choice.files:
        chosen += [each for each in _entries_of_file(ours, namespace, path, progress) if each not in chosen]
    for word in _join_kinds(choice.words):
        chosen += [each for each in _entries_of_word(ours, namespace, word, choice, progress) if each not in chosen]
    return chosen


def _join_kinds(words: Sequence[str]) -> list[str]:
    """Return the words with a kind and the name behind it as one: `ServiceEntry shop/NAME`, as messages say, and kubectl's."""
    joined: list[str] = []
    for word in words:
        if joined and is_kind(joined[-1]):
            joined[-1] += f"/{word}"
        else:
            joined.append(word)
    return joined


class _Name(NamedTuple):
    """What a word may be the name of: an entry in a namespace by its name, or, where it is not `exact`, a target as well."""

    namespace: str
    name: str
    exact: bool = False

    def means(self, manifest: Manifest) -> bool:
        target, entry = target_and_entry_name(manifest)
        return self.name == entry or (self.name == target != "" and not self.exact)


def _read_names(namespace: str, word: str, folders: Sequence[str]) -> list[_Name]:
    """Return what a word may name: `serviceentry/NAME`, `serviceentry/NAMESPACE/NAME`, NAME, or NAMESPACE/NAME."""
    first, slash, rest = word.partition("/")
    if slash and is_kind(first):
        where, _, name = rest.rpartition("/")
        return [_Name(where or namespace, name, exact=True)]
    names = [_Name(namespace, lookup.kubernetes_name(word))]
    if is_label(first) and rest and "/" not in rest and not lookup.has_name(word, folders):
        names.append(_Name(first, rest))
    return names


def _entries_of_word(ours: _Ours, namespace: str, word: str, choice: RemovalChoice, progress: Progress) -> list[Manifest]:
    """Return what a word means, in the order in which `create` and `verify` look: Kubernetes cluster, catalogue, host, file."""
    names = _read_names(namespace, word, choice.folders)
    for name in names:
        # Another namespace is only a guess, unless it is said in so many words.
        listed = ours.of(name.namespace) if name == names[0] else ours.where_readable(name.namespace)
        if found := [each for each in listed if name.means(each)]:
            return found
    for name in names:
        _refuse_what_others_made(ours.mesh, name, guessed=name != names[0])
    known = _is_in_catalog(word, choice.folders)
    typed = None if known or names[0].exact else read_typed_host(word)
    if typed:
        if found := _entries_of_host(ours, namespace, word, typed, choice, progress):
            return found
    elif not known and os.path.exists(word):
        return _entries_of_file(ours, namespace, word, progress)
    if names[0].namespace == choice.namespace:
        _require_namespace(ours.mesh, choice)
    elsewhere = _elsewhere(ours, {*(name.name for name in names), *([typed.target_name] if typed else [])}, names[0].namespace)
    if not known and not choice.ignore_not_found:
        raise _no_such_target(ours, names[0], word, elsewhere, choice)
    progress.result(f"target {lookup.kubernetes_name(word)}: there is nothing to delete")
    if elsewhere:
        progress.warn(f"{word} is in namespace {elsewhere}: egressctl cleanup {quote(word)} -n {quote(elsewhere)}")
    return []


def _refuse_what_others_made(mesh: Mesh, name: _Name, *, guessed: bool = False) -> None:
    """Raise Conflict where a name is that of an entry that is there and that egressctl did not make."""
    places = [(name.namespace, each) for each in ((name.name,) if name.exact else (name.name + SUFFIX, name.name))]
    try:
        there = next((each for each in look_up_entries(mesh, places) if each is not None), None)
    except CouldNotAsk:
        if guessed:
            return
        raise
    if there is not None:
        where, called = there["metadata"]["namespace"], there["metadata"]["name"]
        raise Conflict(
            f"ServiceEntry {where}/{called} was not made by egressctl, which does not delete it",
            hint=f"see who made it: kubectl get serviceentry -n {quote(where)} {quote(called)} -o yaml",
        )


def _is_in_catalog(word: str, folders: Sequence[str]) -> bool:
    try:
        lookup.get_target(word, folders)
    except InvalidInput:
        return False
    return True


def _entries_of_host(
    ours: _Ours, namespace: str, word: str, typed: TypedHost, choice: RemovalChoice, progress: Progress
) -> list[Manifest]:
    """Return what `create` makes of a host, else the entries that open it and nothing else. Raises InvalidInput for others."""
    there = ours.of(namespace)
    opens = [each for each in there if _opens(each, typed)]
    if found := [each for each in there if typed.target_name in target_and_entry_name(each)]:
        for name in dict.fromkeys(target_of(each) for each in opens if each not in found):
            line = f"egressctl cleanup {quote(name)}{choice.namespace_flag}"
            progress.warn(f"{typed.host} is in another ServiceEntry of egressctl's as well: {line}")
        return found
    for each in opens:
        entry = read_entry(each)
        more = [host for host in entry.hosts if host.lower() != typed.host]
        more += [f"port {port.number}" for port in entry.ports if typed.port and port.number != typed.port]
        if more:
            raise InvalidInput(
                f"ServiceEntry {entry.namespace}/{entry.name} opens more than {word}: {', '.join(more[:3])}",
                hint=f"to remove all of it: egressctl cleanup {quote(target_of(each))}{choice.namespace_flag}",
            )
    return opens


def _opens(manifest: Manifest, typed: TypedHost) -> bool:
    entry = read_entry(manifest)
    port = typed.port or (typed.known_port if typed.url else 0)
    return typed.host in map(str.lower, entry.hosts) and (not port or port in {each.number for each in entry.ports})


def _entries_of_file(ours: _Ours, namespace: str, path: str, progress: Progress) -> list[Manifest]:
    """Return the entries of a file's targets, each where its own namespace says. Raises InvalidInput."""
    # What is to be removed need not be what may be created.
    text = read_target_file(path)
    targets = load_targets(text, "standard input" if path == "-" else path, allow_internal=True, only_read=True)
    chosen: list[Manifest] = []
    for target in targets:
        where = target.namespace or namespace
        found = [each for each in ours.of(where) if _is_of_target(each, target)]
        if not found:
            _refuse_what_others_made(ours.mesh, _Name(where, target.entry_name, exact=True))
            progress.result(f"target {target.name}: there is nothing to delete")
        chosen += [each for each in found if each not in chosen]
    return chosen


def _is_of_target(manifest: Manifest, target: Target) -> bool:
    label, name = target_and_entry_name(manifest)
    return name == target.entry_name or label == target.name


def _elsewhere(ours: _Ours, names: Container[str], namespace: str) -> str:
    """Return another namespace with an entry of ours of one of the names; empty where there is none, or none may be listed."""
    for each in ours.where_readable(None):
        if each["metadata"]["namespace"] != namespace and any(name in names for name in target_and_entry_name(each)):
            return str(each["metadata"]["namespace"])
    return ""


def _no_such_target(ours: _Ours, name: _Name, word: str, elsewhere: str, choice: RemovalChoice) -> NoSuchTarget:
    shown = name.name if name.exact else word
    if elsewhere:
        line = f"egressctl cleanup {quote(shown)} -n {quote(elsewhere)}"
        return NoSuchTarget(f"egressctl made no {shown} in namespace {name.namespace}: it is in namespace {elsewhere}", hint=line)
    if lookup.has_name(word, choice.folders):  # a family, and none of its targets
        try:
            lookup.get_target(word, choice.folders)
        except InvalidInput as refused:
            return NoSuchTarget(str(refused), hint=refused.hint)
    there = ours.of(name.namespace)
    near = _nearest(name.name, map(target_of, there)) or _nearest(name.name, (str(each["metadata"]["name"]) for each in there))
    known = near or _nearest(shown, lookup.catalog_names(choice.folders))
    meant = f": did you mean {' or '.join(known)}?" if known else ""
    flag = choice.namespace_flag
    line = f"egressctl cleanup {quote(near[0])}{flag}" if near else f"egressctl list{flag} shows what egressctl made"
    return NoSuchTarget(
        f"egressctl made no {shown} in namespace {name.namespace}, and neither the catalogue nor a file has that name{meant}",
        hint=f"{line}; --ignore-not-found makes this a success",
    )


def _nearest(word: str, known: Iterable[str]) -> list[str]:
    return get_close_matches(word.lower(), list(dict.fromkeys(known)), 2, 0.6)
