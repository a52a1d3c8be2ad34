"""Hold ServiceEntries against what is around them on the Kubernetes cluster: what may keep each from doing what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from egressctl.errors import InvalidInput, NotFound
from egressctl.istio import interference
from egressctl.istio.conflict_index import Neighbours
from egressctl.istio.interference import beside
from egressctl.istio.mesh_objects import NAMESPACES
from egressctl.kube.rbac import grants
from egressctl.lint.checks.entry import not_exported, of_any
from egressctl.lint.checks.filter_chain_count import crowds
from egressctl.lint.checks.stale_blocks import Known, known_for, stale
from egressctl.lint.rules import Finding, Linted, of_clash
from egressctl.manifests.egress_target import entries_of
from egressctl.manifests.service_entry import KIND_NAMES, OFFLINE_VERSION, probes_of, read, render
from egressctl.manifests.validation import check
from egressctl.mesh.client import OURS, Mesh, look_up
from egressctl.mesh.read_objects import surroundings
from egressctl.model.entry import Manifest, ServiceEntry, Surroundings
from egressctl.model.probe import Target

_AT_MOST = 10
"""So many findings of one rule are told of an entry; of the others, how many there are."""


def lint(
    mesh: Mesh,
    entries: Sequence[ServiceEntry],
    manifests: Sequence[Manifest],
    namespace: str,
    *,
    everywhere: bool = False,
    folders: Sequence[str] = (),
) -> Linted:
    """Find what stands in the way of entries, for pods of `namespace`, or each for pods of its own. Changes nothing.

    `entries` are those that are wanted, `manifests` those that are on the Kubernetes cluster; `folders`: the user's catalogues.
    """
    around = surroundings(mesh, namespace, services=True)
    there = [read(manifest) for manifest in manifests]
    neighbours, known = Neighbours(around.entries), known_for([*entries, *there], folders)
    found: list[Finding] = []
    for entry in entries:
        found += findings(entry, around, namespace, neighbours=neighbours, known=known)
    for manifest, entry in zip(manifests, there, strict=True):
        where, spec = entry.namespace if everywhere else namespace, manifest.get("spec")
        found += on_server(manifest) + findings(entry, around, where, spec=spec, neighbours=neighbours, known=known)
    found += crowded(around.entries, [*entries, *there])
    hint = grants(["lint", "--causes"], "", "") if around.unread else ""
    return Linted(tuple(found), around.unread, hint, entries=len(entries) + len(there))


def offline(entries: Sequence[ServiceEntry], folders: Sequence[str] = ()) -> Linted:
    """Find what can be found without a Kubernetes cluster."""
    known = known_for(entries, folders)
    found = [finding for entry in entries for finding in (*of_any(entry, None), *stale(entry, known))]
    return Linted(tuple(found), entries=len(entries))


def planned(targets: Sequence[Target], namespace: str, export_to: Sequence[str] = ()) -> list[ServiceEntry]:
    """Return the entries that `create` would make of targets, marked as its own: those of one target do not compete."""
    made = (
        render(each, namespace=namespace, api_version=OFFLINE_VERSION, run_id="", export_to=export_to or None)
        for each in entries_of(targets)
    )
    return [read(each) for each in made]


def aged(mesh: Mesh, entries: Sequence[ServiceEntry]) -> list[ServiceEntry]:
    """Give each entry the age of the one that is on the Kubernetes cluster under its name: who wins depends on it."""
    there = look_up(mesh, [(entry.namespace, entry.name) for entry in entries])
    return [replace(entry, created=read(live).created) if live else entry for entry, live in zip(entries, there, strict=True)]


def named(mesh: Mesh, names: Sequence[str], namespace: str) -> list[Manifest]:
    """Return ServiceEntries of the Kubernetes cluster, NAME-ext before NAME. Raises InvalidInput for one that is not there.

    `serviceentry/NAME` is exactly the one of that name.
    """
    found = []
    for name in names:
        kind, slash, last = name.rpartition("/")
        wanted = [last] if slash and kind in KIND_NAMES else [f"{name}-ext", name]
        there = [each for each in look_up(mesh, [(namespace, each) for each in wanted]) if each is not None]
        if not there:
            raise InvalidInput(
                f"there is no ServiceEntry {' or '.join(wanted)} in namespace {namespace}, and the catalogue has no {name}",
                hint=f"kubectl get serviceentries.networking.istio.io -n {namespace}",
            )
        found.append(there[0])
    return found


def ours(mesh: Mesh, namespace: str | None) -> list[Manifest]:
    """Return what egressctl made in a namespace, or in all (None). Raises NotFound where that is nothing."""
    found = mesh.entries(namespace, OURS)
    if not found:
        where = f"in namespace {namespace}" if namespace else "in any namespace"
        raise NotFound(f"egressctl made no ServiceEntry {where}", hint="egressctl lint wikipedia")
    return found


def everyones(mesh: Mesh, namespace: str | None) -> list[Manifest]:
    """Return the ServiceEntries of a namespace, or of all (None), whoever made them. Raises NotFound where there is none."""
    found = mesh.entries(namespace)
    if not found:
        where = f"in namespace {namespace}" if namespace else "in any namespace"
        raise NotFound(f"there is no ServiceEntry {where}", hint="kubectl get serviceentries.networking.istio.io -A")
    return found


def findings(
    entry: ServiceEntry,
    around: Surroundings,
    namespace: str,
    *,
    spec: Mapping[str, Any] | None = None,
    neighbours: Neighbours | None = None,
    known: Sequence[Known] = (),
) -> tuple[Finding, ...]:
    """Return everything that is found about one entry; `neighbours` are those of `around`, made once for many. Pure."""
    compared = (neighbours or Neighbours(around.entries)).compared(entry, namespace, _AT_MOST)
    found = [
        *of_any(entry, spec, interference.originating(around.destination_rules)),
        *stale(entry, known),
        *not_exported(entry, namespace, around.namespaces, all_known=NAMESPACES not in around.reach),
    ]
    found += [of_clash(clash, str(entry)) for clash in (*compared.clashes, *beside(entry, around, namespace))]
    if compared.more:
        told = f"{compared.more} more entries compete with it, and are not told here"
        found.append(Finding(compared.clashes[0].rule, told, str(entry)))
    return tuple(found)


def crowded(entries: Sequence[ServiceEntry], linted: Sequence[ServiceEntry]) -> list[Finding]:
    """Find the ports of linted entries on which all entries together make too many filter chains. Pure."""
    ports = {port.number for entry in linted for port in entry.ports}
    return [crowd.finding(entries) for crowd in crowds(entries) if crowd.port in ports]


def on_server(manifest: Manifest) -> tuple[Finding, ...]:
    """Find what a ServiceEntry of the Kubernetes cluster says that would be refused in a file, save what has its own rule."""
    where = str(read(manifest))
    problems = [
        each for each in check(manifest.get("spec"), any_address=True) if not each.message.startswith("the sidecar uses port")
    ]
    found = [Finding("questionable-spec", f"spec.{each}", where) for each in problems]
    try:
        probes_of(manifest)
    except InvalidInput as refused:
        found += [Finding("questionable-spec", str(replace(each, source="")), where) for each in refused.problems]
    return tuple(found)
