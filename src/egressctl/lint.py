"""Hold ServiceEntries against what is around them on the Kubernetes cluster: what may keep each from doing what it says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from egressctl import obstacles
from egressctl.clashes import clashes
from egressctl.errors import InvalidInput, NotFound
from egressctl.listing import NAMESPACES
from egressctl.mesh import OURS, Mesh
from egressctl.model import Manifest, ServiceEntry, Surroundings, Target
from egressctl.rights import grants
from egressctl.rules import Clash, Finding
from egressctl.serviceentry import KIND_NAMES, OFFLINE_VERSION, probes_of, read, render
from egressctl.surroundings import ROOT_NAMESPACE, surroundings
from egressctl.validate import check
from egressctl.verify import look_up

_AT_MOST = 10
"""So many findings of one rule are told of an entry; of the others, how many there are."""


@dataclass(frozen=True, slots=True)
class Linted:
    """What was found, by entry, and one sentence for each kind of object that was not looked at everywhere.

    `hint` is the command that grants the rights to look.
    """

    findings: tuple[Finding, ...]
    not_looked_at: tuple[str, ...] = ()
    hint: str = ""


def lint(
    mesh: Mesh, entries: Sequence[ServiceEntry], manifests: Sequence[Manifest], namespace: str, *, everywhere: bool = False
) -> Linted:
    """Find what stands in the way of entries, for pods of `namespace`, or each for pods of its own. Changes nothing.

    `entries` are those that are wanted, `manifests` those that are on the Kubernetes cluster.
    """
    around = surroundings(mesh, namespace, services=True)
    found: list[Finding] = []
    for entry in entries:
        found += findings(entry, around, namespace)
    for manifest in manifests:
        entry = read(manifest)
        found += on_server(manifest) + findings(entry, around, entry.namespace if everywhere else namespace)
    return Linted(tuple(found), around.unread, grants(["lint", "--causes"], "", "") if around.unread else "")


def offline(entries: Sequence[ServiceEntry]) -> Linted:
    """Find what can be found without a Kubernetes cluster."""
    return Linted(tuple(finding for entry in entries for finding in obstacles.own(entry)))


def planned(targets: Sequence[Target], namespace: str, export_to: Sequence[str] = ()) -> list[ServiceEntry]:
    """Return the entries that `create` would make of targets."""
    made = (
        render(each, namespace=namespace, api_version=OFFLINE_VERSION, run_id=None, export_to=export_to or None)
        for each in targets
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


def findings(entry: ServiceEntry, around: Surroundings, namespace: str) -> tuple[Finding, ...]:
    """Return everything that is found about one entry. Pure."""
    found = [
        *obstacles.own(entry),
        *obstacles.not_exported(entry, namespace, around.namespaces, all_known=NAMESPACES not in around.reach),
    ]
    where = str(entry)
    counts: dict[str, int] = {}
    for clash in in_the_way(entry, around, namespace):
        counts[clash.rule] = counts.get(clash.rule, 0) + 1
        if counts[clash.rule] <= _AT_MOST:
            found.append(clash.finding(where))
    for rule, count in counts.items():
        if count > _AT_MOST:
            found.append(Finding(rule, f"{count - _AT_MOST} more of this kind are not told here", where))
    return tuple(found)


def in_the_way(entry: ServiceEntry, around: Surroundings, namespace: str) -> tuple[Clash, ...]:
    """Return what other objects do to an entry. Pure."""
    return (
        *clashes(entry, around.entries, namespace),
        *obstacles.services_inside(entry, around.services),
        *obstacles.hidden(entry, around.sidecars, namespace, ROOT_NAMESPACE),
        *obstacles.rerouted(entry, around.virtual_services, namespace),
        *obstacles.wrapped(entry, around.destination_rules, namespace),
    )


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
