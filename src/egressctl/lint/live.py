"""Compare ServiceEntries with what is around them on the Kubernetes cluster: what may keep each from doing what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from egressctl.errors import InvalidInput, NotFound
from egressctl.istio.conflict_index import ConflictIndex
from egressctl.istio.export_to import shown_as_in
from egressctl.istio.interference import find_interference, hosts_with_tls_origination
from egressctl.istio.mesh_objects import NAMESPACES
from egressctl.kube.rbac import grant_command
from egressctl.lint.entry import entry_findings
from egressctl.lint.known_targets import KnownTarget, known_targets_for
from egressctl.lint.rule import Finding, LintedEntry, LintResult, Place
from egressctl.lint.rules import crowded_port
from egressctl.manifests.egress_target import split_large_targets
from egressctl.manifests.service_entry import KIND_NAMES, OFFLINE_VERSION, export_of_target, read_entry, render_entry
from egressctl.mesh.client import MANAGED_SELECTOR, Mesh, look_up_entries
from egressctl.mesh.namespaces import require_namespace
from egressctl.mesh.read_objects import read_mesh_objects
from egressctl.model.entry import Manifest, MeshObjects, ServiceEntry
from egressctl.model.probe import Target
from egressctl.runtime.sanitize import quote

_MOST_PER_RULE = 10
"""So many findings of one rule are reported of an entry; of the others, how many there are."""


def lint_by_name(
    mesh: Mesh, wanted: Sequence[ServiceEntry], names: Sequence[str], namespace: str, folders: Sequence[str] = ()
) -> LintResult:
    """Find what stands in the way of entries for pods of `namespace`: of those that are wanted, and of those there by name.

    `folders` are the user's catalogues. Raises InvalidInput for a name that is not there. Changes nothing.
    """
    wanted = _with_ages_of_live(mesh, wanted)
    return _lint_beside_all(mesh, wanted, _manifests_by_name(mesh, names, namespace), namespace, folders)


def lint_all(
    mesh: Mesh, namespace: str, *, everywhere: bool = False, every_entry: bool = False, folders: Sequence[str] = ()
) -> LintResult:
    """Find what stands in the way of what egressctl made, or of every entry, no matter who made it, in a namespace or everywhere.

    Each entry of several namespaces is looked at for pods of its own. Raises NotFound where there is none. Changes nothing.
    """
    found = mesh.entries(None if everywhere else namespace, "" if every_entry else MANAGED_SELECTOR)
    if not found:
        if not everywhere:
            require_namespace(mesh.api, namespace)
        where = "in any namespace" if everywhere else f"in namespace {namespace}"
        if every_entry:
            raise NotFound(f"there is no ServiceEntry {where}", hint="kubectl get serviceentries.networking.istio.io -A")
        raise NotFound(f"egressctl made no ServiceEntry {where}", hint="egressctl lint wikipedia")
    return _lint_beside_all(mesh, (), found, namespace, folders, everywhere=everywhere)


def _lint_beside_all(
    mesh: Mesh,
    wanted: Sequence[ServiceEntry],
    manifests: Sequence[Manifest],
    namespace: str,
    folders: Sequence[str],
    *,
    everywhere: bool = False,
) -> LintResult:
    around = read_mesh_objects(mesh, namespace, services=True)
    if around.namespaces and namespace not in around.namespaces:
        require_namespace(mesh.api, namespace)
    there = [read_entry(manifest) for manifest in manifests]
    rivals, known = ConflictIndex(around.entries), known_targets_for([*wanted, *there], folders)
    found: list[Finding] = []
    for entry in (shown_as_in(around, each) for each in wanted):
        found += findings_beside(entry, around, namespace, rivals=rivals, known=known)
    for manifest, entry in zip(manifests, (shown_as_in(around, each) for each in there), strict=True):
        pods = entry.namespace if everywhere else namespace
        found += findings_beside(entry, around, pods, manifest=manifest, rivals=rivals, known=known)
    found += crowded_port_findings(around.entries, [*wanted, *there])
    hint = grant_command(["lint", "--causes"], "", "") if around.unread else ""
    return LintResult(tuple(found), around.unread, hint, entries=len(wanted) + len(there))


def findings_beside(
    entry: ServiceEntry,
    around: MeshObjects,
    namespace: str,
    *,
    manifest: Manifest | None = None,
    rivals: ConflictIndex | None = None,
    known: Sequence[KnownTarget] = (),
) -> list[Finding]:
    """Return everything that is found about one entry; `rivals` are the entries of `around`, filed once for many. Pure."""
    namespaces = None if NAMESPACES in around.reach else around.namespaces
    origins = hosts_with_tls_origination(around.destination_rules)
    case = LintedEntry(entry, Place.CLUSTER, manifest, origins, known, namespace, namespaces)
    compared = (rivals or ConflictIndex(around.entries)).conflicts_of(entry, namespace, _MOST_PER_RULE)
    return entry_findings(case, compared, find_interference(entry, around, namespace))


def lint_offline(entries: Sequence[ServiceEntry], folders: Sequence[str] = ()) -> LintResult:
    """Find what can be found without a Kubernetes cluster."""
    known = known_targets_for(entries, folders)
    found = [each for entry in entries for each in entry_findings(LintedEntry(entry, Place.TARGET, known=known))]
    return LintResult(tuple(found), entries=len(entries))


def entries_that_create_makes(targets: Sequence[Target], namespace: str, export_to: Sequence[str] = ()) -> list[ServiceEntry]:
    """Return the entries that `create` would make of targets, marked as its own: those of one target do not compete."""
    made = (
        render_entry(
            each, namespace=namespace, api_version=OFFLINE_VERSION, run_id="", export_to=export_of_target(each, export_to)
        )
        for each in split_large_targets(targets)
    )
    return [read_entry(each) for each in made]


def _with_ages_of_live(mesh: Mesh, entries: Sequence[ServiceEntry]) -> list[ServiceEntry]:
    """Give each entry the age of the one that is on the Kubernetes cluster under its name: who wins depends on it."""
    there = look_up_entries(mesh, [(entry.namespace, entry.name) for entry in entries])
    return [
        replace(entry, created=read_entry(live).created) if live else entry for entry, live in zip(entries, there, strict=True)
    ]


def _manifests_by_name(mesh: Mesh, names: Sequence[str], namespace: str) -> list[Manifest]:
    """Return ServiceEntries of the Kubernetes cluster, NAME-ext before NAME. Raises InvalidInput for one that is not there.

    `serviceentry/NAME` is exactly the one of that name.
    """
    found = []
    for name in names:
        kind, slash, last = name.rpartition("/")
        wanted = [last] if slash and kind in KIND_NAMES else [f"{name}-ext", name]
        there = [each for each in look_up_entries(mesh, [(namespace, each) for each in wanted]) if each is not None]
        if not there:
            require_namespace(mesh.api, namespace)
            raise InvalidInput(
                f"there is no ServiceEntry {' or '.join(wanted)} in namespace {namespace}, and the catalogue has no {name}",
                hint=f"kubectl get serviceentries.networking.istio.io -n {quote(namespace)}",
            )
        found.append(there[0])
    return found


def crowded_port_findings(entries: Sequence[ServiceEntry], linted: Sequence[ServiceEntry]) -> list[Finding]:
    """Find the ports of linted entries on which all entries together make too many filter chains. Pure."""
    ports = {port.number for entry in linted for port in entry.ports}
    return [crowd.finding(entries) for crowd in crowded_port.crowded_ports(entries) if crowd.port in ports]
