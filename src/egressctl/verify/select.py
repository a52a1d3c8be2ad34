"""Say what is to be verified: from names, targets and ServiceEntries to the probes and the entries that belong to them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from egressctl.errors import Forbidden, NotFound
from egressctl.manifests.egress_target import split_large_targets
from egressctl.manifests.formats import is_label
from egressctl.manifests.service_entry import LABEL_TARGET, derived_probes, probes_of, read_entry, target_of
from egressctl.manifests.split_entries import group_by_target, names_of_split_entries
from egressctl.mesh.client import MANAGED_SELECTOR, Mesh, look_up_entries
from egressctl.mesh.namespaces import require_namespace
from egressctl.model.entry import SUFFIX, Manifest, ServiceEntry
from egressctl.model.probe import Probe, Target
from egressctl.runtime.concurrency import start_call
from egressctl.runtime.sanitize import quote
from egressctl.verify.entries_elsewhere import EntriesElsewhere


class VerifyTarget(NamedTuple):
    """What is to be verified: a target by its name, with the probes and the entry that belong to it.

    `entry_name` is empty for a bare URL; `manifest` is the ServiceEntry as it is on the Kubernetes cluster. Of a target of
    several entries it is the first, `others` are the rest, and `absent` are the names of those that are not there. `names` are
    those of all entries, where there are or were several. `written` are the entries as a file or the catalogue writes them, or as
    they were before they were removed.
    """

    name: str
    namespace: str
    entry_name: str
    manifest: Manifest | None
    probes: tuple[Probe, ...]
    others: tuple[Manifest, ...] = ()
    absent: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    written: tuple[ServiceEntry, ...] = ()

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """All of the target's entries that are there."""
        return (self.manifest, *self.others) if self.manifest else ()

    @property
    def entries(self) -> tuple[ServiceEntry, ...]:
        """What its entries say: those that are there, else those that are written."""
        there = tuple(map(read_entry, self.manifests))
        return there or self.written

    @property
    def split(self) -> bool:
        """Whether the target has, or should have, several entries."""
        return bool(self.others or self.absent)

    @property
    def entry_names(self) -> tuple[str, ...]:
        """The names of all the target's entries that are, or were, there."""
        return self.names or ((self.entry_name,) if self.entry_name else ())


def verify_targets_on_server(mesh: Mesh, namespace: str) -> list[VerifyTarget]:
    """Return every target that egressctl made in a namespace. Raises NotFound where there is none."""
    found = verify_targets_from_manifests(mesh.entries(namespace, MANAGED_SELECTOR))
    if not found:
        require_namespace(mesh.api, namespace)
        raise NotFound(
            f"egressctl made no ServiceEntry in namespace {namespace}",
            hint=f"egressctl create HOST -n {quote(namespace)}, or verify a URL",
        )
    return found


def verify_target_from_manifest(manifest: Manifest, asked: tuple[Probe, ...] = ()) -> VerifyTarget:
    """Return what a ServiceEntry on the Kubernetes cluster asks to be verified: its annotation's probes, else derived ones.

    Raises InvalidInput for probes that cannot be read.
    """
    metadata = manifest["metadata"]
    probes = asked or probes_of(manifest)
    if probes is None:
        probes = derived_probes(read_entry(manifest))
    return VerifyTarget(
        name=target_of(manifest),
        namespace=str(metadata.get("namespace", "default")),
        entry_name=str(metadata["name"]),
        manifest=manifest,
        probes=probes,
    )


def verify_targets_from_manifests(manifests: Sequence[Manifest], asked: tuple[Probe, ...] = ()) -> list[VerifyTarget]:
    """Return what ServiceEntries ask to be verified, those of one target as one: its first entry has its probes."""
    if len(manifests) == 1 and not read_entry(manifests[0]).is_part:
        return [verify_target_from_manifest(manifests[0], asked)]
    groups = group_by_target(manifests)
    return [
        _verify_target_of_several(each, asked)
        if len(each) > 1 or read_entry(each[0]).is_part
        else verify_target_from_manifest(each[0], asked)
        for each in groups
    ]


def _verify_target_of_several(manifests: Sequence[Manifest], asked: tuple[Probe, ...]) -> VerifyTarget:
    """Return the wish to verify a target of several entries, in the order in which the first of them names all."""
    by_name = {str(each["metadata"]["name"]): each for each in manifests}
    first = next((each for each in manifests if names_of_split_entries(each)), manifests[0])
    wanted = verify_target_from_manifest(first, asked)
    listed = names_of_split_entries(first)
    if not listed:  # the first is gone: it had the probes, and without it nobody knows which others there were
        listed = (wanted.name + SUFFIX,)
        wanted = wanted._replace(probes=wanted.probes or derived_probes(read_entry(first)))
    names = tuple(sorted(by_name, key=lambda name: (name != wanted.entry_name, listed.index(name) if name in listed else -1)))
    return wanted._replace(
        others=tuple(by_name[name] for name in names[1:]),
        absent=tuple(name for name in listed if name not in by_name),
        names=names,
    )


def verify_target_for(target: Target, namespace: str, manifest: Manifest | None, asked: tuple[Probe, ...] = ()) -> VerifyTarget:
    """Return the wish to verify a target of the catalogue or of a file against what is on the Kubernetes cluster."""
    where, written = target.namespace or namespace, (read_entry({"spec": target.spec}),)
    return VerifyTarget(target.name, where, target.entry_name, manifest, asked or target.probes, written=written)


def verify_targets_for(
    mesh: Mesh,
    targets: Sequence[Target],
    namespace: str,
    asked: tuple[Probe, ...] = (),
    elsewhere: EntriesElsewhere | None = None,
) -> list[VerifyTarget]:
    """Return the wish to verify targets against what is on the Kubernetes cluster, which is looked up.

    A target that names no namespace is looked for in `namespace`, and then `elsewhere`.
    """
    parts = [[each.entry_name for each in split_large_targets([target])] for target in targets]
    # A target of several entries may still have the one that it was before.
    sought = [list(dict.fromkeys((*names, target.entry_name))) for names, target in zip(parts, targets, strict=True)]
    where = [target.namespace or namespace for target in targets]
    live = iter(look_up_entries(mesh, [(place, name) for place, names in zip(where, sought, strict=True) for name in names]))
    found = []
    for target, names, each in zip(targets, parts, sought, strict=True):
        there = [manifest for manifest in (next(live) for _ in each) if manifest is not None]
        if not there and not target.namespace and elsewhere is not None:
            there = elsewhere.find(target.name, names)
        place = str(there[0]["metadata"]["namespace"]) if there else namespace
        wanted = verify_target_for(target, place, there[0] if there else None, asked)
        if there and len(names) > 1:
            present = tuple(str(manifest["metadata"]["name"]) for manifest in there)
            absent = tuple(name for name in names if name not in present)
            wanted = wanted._replace(entry_name=present[0], others=tuple(there[1:]), absent=absent, names=present)
        found.append(wanted)
    return found


def entries_by_name(mesh: Mesh, namespace: str, name: str) -> list[Manifest]:
    """Return the ServiceEntries that a name means, NAME-ext before NAME, and with one of a target's several all of them."""
    finding = start_call(partial(_entries_of_target, mesh, namespace, name))
    there = [each for each in look_up_entries(mesh, [(namespace, name + SUFFIX), (namespace, name)]) if each is not None]
    of_target = finding()
    if not there:
        return of_target
    if (entry := read_entry(there[0])).is_part and entry.part_of != name:
        of_target = _entries_of_target(mesh, namespace, entry.part_of)
    return [each for each in of_target if read_entry(each).is_same_target_as(read_entry(there[0]))] or there[:1]


def _entries_of_target(mesh: Mesh, namespace: str, name: str) -> list[Manifest]:
    """List the entries of a target by its label: none where they may not be listed, since one may be read by its name."""
    if not is_label(name):
        return []
    try:
        return [each for each in mesh.entries(namespace, f"{LABEL_TARGET}={name}") if read_entry(each).part_of]
    except (Forbidden, NotFound):
        return []


def verify_target_from_urls(probes: tuple[Probe, ...], namespace: str, entry_name: str = "", name: str = "") -> VerifyTarget:
    """Return the wish to verify URLs: with no entry's name, any one ServiceEntry may send them."""
    return VerifyTarget(name or "url", namespace, entry_name, None, probes)
