"""Hold ServiceEntries against what is around them on the Kubernetes cluster: what may keep each from doing what it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from egressctl.errors import InvalidInput, NotFound
from egressctl.istio import interference
from egressctl.istio.conflict_index import ConflictIndex
from egressctl.istio.interference import find_interference
from egressctl.istio.mesh_objects import NAMESPACES
from egressctl.kube.rbac import grant_command
from egressctl.lint.checks.entry import check_entry, check_export_to
from egressctl.lint.checks.filter_chain_count import crowded_ports
from egressctl.lint.checks.stale_blocks import KnownTarget, check_stale_blocks, known_targets_for
from egressctl.lint.rules import Finding, LintResult, finding_of_conflict
from egressctl.manifests.egress_target import split_large_targets
from egressctl.manifests.service_entry import KIND_NAMES, OFFLINE_VERSION, probes_of, read_entry, render_entry
from egressctl.manifests.validation import check_spec
from egressctl.mesh.client import MANAGED_SELECTOR, Mesh, look_up_entries
from egressctl.mesh.read_objects import read_mesh_objects
from egressctl.model.entry import Manifest, MeshObjects, ServiceEntry
from egressctl.model.probe import Target

_MOST_PER_RULE = 10
"""So many findings of one rule are told of an entry; of the others, how many there are."""


def lint_live(
    mesh: Mesh,
    entries: Sequence[ServiceEntry],
    manifests: Sequence[Manifest],
    namespace: str,
    *,
    everywhere: bool = False,
    folders: Sequence[str] = (),
) -> LintResult:
    """Find what stands in the way of entries, for pods of `namespace`, or each for pods of its own. Changes nothing.

    `entries` are those that are wanted, `manifests` those that are on the Kubernetes cluster; `folders`: the user's catalogues.
    """
    around = read_mesh_objects(mesh, namespace, services=True)
    there = [read_entry(manifest) for manifest in manifests]
    neighbours, known = ConflictIndex(around.entries), known_targets_for([*entries, *there], folders)
    found: list[Finding] = []
    for entry in entries:
        found += entry_findings(entry, around, namespace, neighbours=neighbours, known=known)
    for manifest, entry in zip(manifests, there, strict=True):
        where, spec = entry.namespace if everywhere else namespace, manifest.get("spec")
        found += questionable_spec_findings(manifest) + entry_findings(
            entry, around, where, spec=spec, neighbours=neighbours, known=known
        )
    found += crowded_port_findings(around.entries, [*entries, *there])
    hint = grant_command(["lint", "--causes"], "", "") if around.unread else ""
    return LintResult(tuple(found), around.unread, hint, entries=len(entries) + len(there))


def lint_offline(entries: Sequence[ServiceEntry], folders: Sequence[str] = ()) -> LintResult:
    """Find what can be found without a Kubernetes cluster."""
    known = known_targets_for(entries, folders)
    found = [finding for entry in entries for finding in (*check_entry(entry, None), *check_stale_blocks(entry, known))]
    return LintResult(tuple(found), entries=len(entries))


def entries_that_create_makes(targets: Sequence[Target], namespace: str, export_to: Sequence[str] = ()) -> list[ServiceEntry]:
    """Return the entries that `create` would make of targets, marked as its own: those of one target do not compete."""
    made = (
        render_entry(each, namespace=namespace, api_version=OFFLINE_VERSION, run_id="", export_to=export_to or None)
        for each in split_large_targets(targets)
    )
    return [read_entry(each) for each in made]


def with_ages_of_live(mesh: Mesh, entries: Sequence[ServiceEntry]) -> list[ServiceEntry]:
    """Give each entry the age of the one that is on the Kubernetes cluster under its name: who wins depends on it."""
    there = look_up_entries(mesh, [(entry.namespace, entry.name) for entry in entries])
    return [
        replace(entry, created=read_entry(live).created) if live else entry for entry, live in zip(entries, there, strict=True)
    ]


def manifests_by_name(mesh: Mesh, names: Sequence[str], namespace: str) -> list[Manifest]:
    """Return ServiceEntries of the Kubernetes cluster, NAME-ext before NAME. Raises InvalidInput for one that is not there.

    `serviceentry/NAME` is exactly the one of that name.
    """
    found = []
    for name in names:
        kind, slash, last = name.rpartition("/")
        wanted = [last] if slash and kind in KIND_NAMES else [f"{name}-ext", name]
        there = [each for each in look_up_entries(mesh, [(namespace, each) for each in wanted]) if each is not None]
        if not there:
            raise InvalidInput(
                f"there is no ServiceEntry {' or '.join(wanted)} in namespace {namespace}, and the catalogue has no {name}",
                hint=f"kubectl get serviceentries.networking.istio.io -n {namespace}",
            )
        found.append(there[0])
    return found


def manifests_of_egressctl(mesh: Mesh, namespace: str | None) -> list[Manifest]:
    """Return what egressctl made in a namespace, or in all (None). Raises NotFound where that is nothing."""
    found = mesh.entries(namespace, MANAGED_SELECTOR)
    if not found:
        where = f"in namespace {namespace}" if namespace else "in any namespace"
        raise NotFound(f"egressctl made no ServiceEntry {where}", hint="egressctl lint wikipedia")
    return found


def manifests_of_everyone(mesh: Mesh, namespace: str | None) -> list[Manifest]:
    """Return the ServiceEntries of a namespace, or of all (None), whoever made them. Raises NotFound where there is none."""
    found = mesh.entries(namespace)
    if not found:
        where = f"in namespace {namespace}" if namespace else "in any namespace"
        raise NotFound(f"there is no ServiceEntry {where}", hint="kubectl get serviceentries.networking.istio.io -A")
    return found


def entry_findings(
    entry: ServiceEntry,
    around: MeshObjects,
    namespace: str,
    *,
    spec: Mapping[str, Any] | None = None,
    neighbours: ConflictIndex | None = None,
    known: Sequence[KnownTarget] = (),
) -> tuple[Finding, ...]:
    """Return everything that is found about one entry; `neighbours` are those of `around`, made once for many. Pure."""
    compared = (neighbours or ConflictIndex(around.entries)).conflicts_of(entry, namespace, _MOST_PER_RULE)
    found = [
        *check_entry(entry, spec, interference.hosts_with_tls_origination(around.destination_rules)),
        *check_stale_blocks(entry, known),
        *check_export_to(entry, namespace, around.namespaces, all_known=NAMESPACES not in around.reach),
    ]
    found += [
        finding_of_conflict(clash, str(entry)) for clash in (*compared.conflicts, *find_interference(entry, around, namespace))
    ]
    if compared.more:
        told = f"{compared.more} more entries compete with it, and are not told here"
        found.append(Finding(compared.conflicts[0].rule, told, str(entry)))
    return tuple(found)


def crowded_port_findings(entries: Sequence[ServiceEntry], linted: Sequence[ServiceEntry]) -> list[Finding]:
    """Find the ports of linted entries on which all entries together make too many filter chains. Pure."""
    ports = {port.number for entry in linted for port in entry.ports}
    return [crowd.finding(entries) for crowd in crowded_ports(entries) if crowd.port in ports]


def questionable_spec_findings(manifest: Manifest) -> tuple[Finding, ...]:
    """Find what a ServiceEntry of the Kubernetes cluster says that would be refused in a file, save what has its own rule."""
    where = str(read_entry(manifest))
    problems = [
        each
        for each in check_spec(manifest.get("spec"), any_address=True)
        if not each.message.startswith("the sidecar uses port")
    ]
    found = [Finding("questionable-spec", f"spec.{each}", where) for each in problems]
    try:
        probes_of(manifest)
    except InvalidInput as refused:
        found += [Finding("questionable-spec", str(replace(each, source="")), where) for each in refused.problems]
    return tuple(found)
