"""Say what is to be verified: from names, targets and ServiceEntries to the probes and the entries that belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from egressctl.errors import Forbidden, NotFound
from egressctl.manifests.egress_target import entries_of
from egressctl.manifests.formats import is_label
from egressctl.manifests.service_entry import LABEL_TARGET, bare_probes, derived_probes, probes_of, read
from egressctl.mesh.client import OURS, Mesh, look_up
from egressctl.model.entry import SUFFIX, Manifest
from egressctl.model.probe import Probe, Target
from egressctl.runtime.concurrency import begin


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be verified: a target by its name, with the probes and the entry that belong to it.

    `entry_name` is empty for a bare URL; `manifest` is the ServiceEntry as it is on the Kubernetes cluster. Of a target of
    several entries it is the first, `others` are the rest, and `absent` are the names of those that are not there. `names` are
    those of all entries, where there are or were several.
    """

    name: str
    namespace: str
    entry_name: str
    manifest: Manifest | None
    probes: tuple[Probe, ...]
    others: tuple[Manifest, ...] = ()
    absent: tuple[str, ...] = ()
    names: tuple[str, ...] = ()

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """All of the target's entries that are there."""
        return (self.manifest, *self.others) if self.manifest else ()

    @property
    def split(self) -> bool:
        """Whether the target has, or should have, several entries."""
        return bool(self.others or self.absent)

    @property
    def entry_names(self) -> tuple[str, ...]:
        """The names of all the target's entries that are, or were, there."""
        return self.names or ((self.entry_name,) if self.entry_name else ())


def wanted_on_server(mesh: Mesh, namespace: str) -> list[Wanted]:
    """Return every target that egressctl made in a namespace. Raises NotFound where there is none."""
    found = of_manifests(mesh.entries(namespace, OURS), bare=True)
    if not found:
        raise NotFound(f"egressctl made no ServiceEntry in namespace {namespace}", hint="egressctl create wikipedia")
    return found


def of_manifest(manifest: Manifest, asked: tuple[Probe, ...] = (), *, bare: bool = False) -> Wanted:
    """Return what a ServiceEntry on the Kubernetes cluster asks to be verified: its annotation's probes, else derived ones.

    With `bare`, an entry that gives no URL is asked by bare connections. Raises InvalidInput for probes that cannot be read.
    """
    metadata = manifest["metadata"]
    name = str((metadata.get("labels") or {}).get(LABEL_TARGET) or metadata["name"])
    probes = asked or probes_of(manifest)
    if probes is None:
        entry = read(manifest)
        probes = derived_probes(entry) or (bare_probes(entry) if bare else ())
    return Wanted(
        name=name,
        namespace=str(metadata.get("namespace", "default")),
        entry_name=str(metadata["name"]),
        manifest=manifest,
        probes=probes,
    )


def of_manifests(manifests: Sequence[Manifest], asked: tuple[Probe, ...] = (), *, bare: bool = False) -> list[Wanted]:
    """Return what ServiceEntries ask to be verified, those of one target as one: its first entry has its probes."""
    if len(manifests) == 1 and not read(manifests[0]).is_part:
        return [of_manifest(manifests[0], asked, bare=bare)]
    # Few targets have several entries.
    from egressctl.manifests import split_entries as parts

    groups = parts.grouped(manifests)
    return [
        _together(each, asked) if len(each) > 1 or read(each[0]).is_part else of_manifest(each[0], asked, bare=bare)
        for each in groups
    ]


def _together(manifests: Sequence[Manifest], asked: tuple[Probe, ...]) -> Wanted:
    """Return the wish to verify a target of several entries, in the order in which the first of them names all."""
    from egressctl.manifests import split_entries as parts

    by_name = {str(each["metadata"]["name"]): each for each in manifests}
    first = next((each for each in manifests if parts.listed(each)), manifests[0])
    wanted = of_manifest(first, asked)
    listed = parts.listed(first)
    if not listed:  # the first is gone: it had the probes, and without it nobody knows which others there were
        listed = (wanted.name + SUFFIX,)
        wanted = replace(wanted, probes=wanted.probes or derived_probes(read(first)))
    names = tuple(sorted(by_name, key=lambda name: (name != wanted.entry_name, listed.index(name) if name in listed else -1)))
    return replace(
        wanted,
        others=tuple(by_name[name] for name in names[1:]),
        absent=tuple(name for name in listed if name not in by_name),
        names=names,
    )


def wanted_of_target(target: Target, namespace: str, manifest: Manifest | None, asked: tuple[Probe, ...] = ()) -> Wanted:
    """Return the wish to verify a target of the catalogue or of a file against what is on the Kubernetes cluster."""
    return Wanted(target.name, target.namespace or namespace, target.entry_name, manifest, asked or target.probes)


def wanted_of_targets(mesh: Mesh, targets: Sequence[Target], namespace: str, asked: tuple[Probe, ...] = ()) -> list[Wanted]:
    """Return the wish to verify targets against what is on the Kubernetes cluster, which is looked up."""
    parts = [[each.entry_name for each in entries_of([target])] for target in targets]
    # A target of several entries may still have the one that it was before.
    sought = [list(dict.fromkeys((*names, target.entry_name))) for names, target in zip(parts, targets, strict=True)]
    where = [target.namespace or namespace for target in targets]
    live = iter(look_up(mesh, [(place, name) for place, names in zip(where, sought, strict=True) for name in names]))
    found = []
    for target, names, each in zip(targets, parts, sought, strict=True):
        there = [manifest for manifest in (next(live) for _ in each) if manifest is not None]
        wanted = wanted_of_target(target, namespace, there[0] if there else None, asked)
        if there and len(names) > 1:
            present = tuple(str(manifest["metadata"]["name"]) for manifest in there)
            absent = tuple(name for name in names if name not in present)
            wanted = replace(wanted, entry_name=present[0], others=tuple(there[1:]), absent=absent, names=present)
        found.append(wanted)
    return found


def named(mesh: Mesh, namespace: str, name: str) -> list[Manifest]:
    """Return the ServiceEntries that a name means, NAME-ext before NAME, and with one of a target's several all of them."""
    finding = begin(partial(_of_target, mesh, namespace, name))
    there = [each for each in look_up(mesh, [(namespace, name + SUFFIX), (namespace, name)]) if each is not None]
    of_target = finding()
    if not there:
        return of_target
    if (entry := read(there[0])).is_part and entry.part_of != name:
        of_target = _of_target(mesh, namespace, entry.part_of)
    return [each for each in of_target if read(each).beside(read(there[0]))] or there[:1]


def _of_target(mesh: Mesh, namespace: str, name: str) -> list[Manifest]:
    """List the entries of a target by its label: none where they may not be listed, since one may be read by its name."""
    if not is_label(name):
        return []
    try:
        return [each for each in mesh.entries(namespace, f"{LABEL_TARGET}={name}") if read(each).part_of]
    except (Forbidden, NotFound):
        return []


def bare(probes: tuple[Probe, ...], namespace: str, entry_name: str = "", name: str = "") -> Wanted:
    """Return the wish to verify URLs: with no entry's name, any one ServiceEntry may carry them."""
    return Wanted(name or "url", namespace, entry_name, None, probes)
