"""`egressctl catalog diff`: the catalogue, the entry, the published list and DNS, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from egressctl.catalog import lookup
from egressctl.cli.console import print_failure, say
from egressctl.cli.options import (
    CatalogFolders,
    ConnectionFlags,
    NoDns,
    OutputFlags,
    PublishedLists,
    catalog_folders,
    spread_flags,
)
from egressctl.cli.session import Session
from egressctl.errors import CouldNotAsk, InvalidInput
from egressctl.report.data_text import API_VERSION, data_text
from egressctl.report.lines import table_text
from egressctl.runtime.sanitize import neutralise

if TYPE_CHECKING:
    from egressctl.catalog.diff import Drift, TargetWithEntries
    from egressctl.catalog.diff_rows import Row
    from egressctl.manifests.published import PublishedSource
    from egressctl.model.entry import Manifest
    from egressctl.model.probe import Target

_MOST_ROWS = 20
"""How many rows of blocks that are the same everywhere are shown."""


@spread_flags
def command(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", show_default=False)] = None,
    folders: CatalogFolders = None,
    entry: Annotated[
        list[str] | None,
        typer.Option("--entry", "-f", "--filename", metavar="FILE", help="Take the entry from manifests; - is stdin."),
    ] = None,
    published: PublishedLists = None,
    no_entry: Annotated[bool, typer.Option("--no-entry", help="Ask no Kubernetes cluster.")] = False,
    no_dns: NoDns = False,
    offline: Annotated[bool, typer.Option("--offline", help="Use no network at all: --entry and --published only.")] = False,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Entries of every namespace.")] = False,
    *,
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """Show the catalogue, the entry on the Kubernetes cluster, the published list and DNS side by side.

    A row is a block: `missing` where it is published and a side does not have it, `moved` where a name has another block now,
    `extra` where a side has what is not published, `outside` where a probe's host resolves to an address that no side has;
    `retired` and `same` are no differences. Without a name, the targets of the catalogue are taken that have an entry in the
    namespace, whoever made it.

    \b
    Examples:
      egressctl catalog diff wikipedia
      egressctl catalog diff -A
      egressctl catalog diff wikipedia --entry wikipedia.yaml
      egressctl catalog diff wikipedia --no-entry --no-dns
      egressctl catalog diff wikipedia --entry wikipedia.yaml --published geo-resources --offline

    Exit codes: 0 no difference, 1 a difference, 3 none was seen and a side could not be asked.
    """
    from egressctl.catalog.diff import DiffOptions, find_drift  # imported late: 16 ms
    from egressctl.report import exit_codes

    session = Session("catalog diff", connection, output)
    if offline and not (entry or published):
        raise InvalidInput("--offline needs --entry or --published: else there is nothing to hold the catalogue against")
    if entry and no_entry:
        raise InvalidInput("--entry and --no-entry: an entry is held against the catalogue, or none is")
    if published and len(names or []) != 1:
        raise InvalidInput(
            "--published needs the one target whose lists are recorded", hint="egressctl catalog diff NAME --published FILE"
        )
    wanted = _DiffRequest(names or (), catalog_folders(folders), entry or (), no_entry or offline, all_namespaces, [])
    subjects = _find_targets_with_entries(session, wanted)
    found = find_drift(subjects, DiffOptions(published or (), not offline, not (no_dns or offline)), session.progress)
    code = exit_codes.exit_code_of_results(
        (), also=[*(each.exit_code for each in found), *(each.exit_code for each in wanted.broken)]
    )
    code = 1 if any(each.different for each in found) else code
    code = session.end(partial(_text, found), code, [f"not asked: {sentence}" for each in found for sentence in each.unasked])
    for each in found:
        _print_conclusion(session, each)
    for refused in wanted.broken:
        print_failure(refused)
    return code


class _DiffRequest(NamedTuple):
    """Of which targets, by name or all, and of which folders; and where their entries are: files, else the Kubernetes cluster."""

    names: Sequence[str]
    folders: Sequence[str]
    files: Sequence[str]
    no_entry: bool
    everywhere: bool
    broken: list[InvalidInput]
    """Filled with what is wrong with files that are not named, and stop no other."""


def _find_targets_with_entries(session: Session, wanted: _DiffRequest) -> list[TargetWithEntries]:
    """Find the targets and their entries; raise CouldNotAsk where there are none."""
    # Imported late: 6 ms
    from egressctl.catalog.diff import TargetWithEntries, read_manifests, targets_in_files, targets_in_namespaces
    from egressctl.catalog.fetch_all import fetchable_sources

    if wanted.files:
        manifests = [manifest for file in wanted.files for manifest in read_manifests(file)]
        files = ", ".join(wanted.files)
        found = targets_in_files(manifests, _find_targets(wanted, manifests), files, named=bool(wanted.names))
        if not found:
            raise CouldNotAsk(f"{files}: no ServiceEntry is of a target of the catalogue", hint="egressctl catalog list")
        return found
    if wanted.no_entry:
        return [TargetWithEntries(*each) for each in _find_targets(wanted, ()) if wanted.names or fetchable_sources(each[1])]
    try:
        namespace = None if wanted.everywhere else session.namespace
        manifests = session.mesh.entries(namespace)
    except CouldNotAsk as failure:
        if not wanted.names:
            raise
        return [TargetWithEntries(*each, unasked=(f"the Kubernetes cluster: {failure}",)) for each in _find_targets(wanted, ())]
    where = f"namespace {namespace}" if namespace else "any namespace"
    targets = _find_targets(wanted, manifests)
    found = targets_in_namespaces(manifests, targets)
    if not wanted.names and not found:
        hint = "egressctl catalog diff NAME --no-entry"
        raise CouldNotAsk(f"there is no ServiceEntry of a target of the catalogue in {where}", hint=hint)
    there = {each.target.name for each in found}
    absent = [each for each in targets if wanted.names and each[0].name not in there]
    sentence = "the Kubernetes cluster: there is no ServiceEntry of {} in {} (--no-entry asks for none)"
    return [*found, *(TargetWithEntries(*each, unasked=(sentence.format(each[0].name, where),)) for each in absent)]


def _find_targets(wanted: _DiffRequest, manifests: Sequence[Manifest]) -> list[tuple[Target, tuple[PublishedSource, ...]]]:
    """Return the targets that are named, else those of the catalogue; of a family, those that entries say they are of."""
    from egressctl.catalog.diff import target_names_of  # imported late: 7 ms

    if wanted.names:
        return [
            (lookup.get_target(name, wanted.folders), lookup.sources_of_target(name, wanted.folders)) for name in wanted.names
        ]
    claimed = {name for each in manifests for name in target_names_of(each)}
    found = []
    for file in lookup.catalog_files(wanted.folders):
        try:
            family = lookup.find_family(file.name, wanted.folders)
            members = [f"{file.name}/{each}" for each in family.members] if family else []
            names = [each for each in members if lookup.kubernetes_name(each) in claimed] if family else [file.name]
            found += [(lookup.get_target(name, wanted.folders), lookup.sources_of_target(name, wanted.folders)) for name in names]
        except InvalidInput as refused:
            wanted.broken.append(refused)
    return found


def _print_conclusion(session: Session, each: Drift) -> None:
    """Say in one line what came of a target."""
    if len(each.asked) < 2:
        say(f"warning: {neutralise(each.subject.target.name)}: there is nothing to hold the catalogue against")
        return
    told = f"{each.different or 'no'} difference{'s' if each.different > 1 else ''}"
    session.progress.done(f"{_title(each)}: {told} between {', '.join(each.asked[:-1])} and {each.asked[-1]}")


def _title(each: Drift) -> str:
    return each.subject.target.name + (f" ({each.subject.where})" if each.subject.where else "")


def _text(found: Sequence[Drift], form: str, code: int) -> str:
    """Return the sides of the targets in a format."""
    if form in ("json", "yaml"):
        data = {
            "apiVersion": API_VERSION,
            "kind": "CatalogDiff",
            "exitCode": code,
            "targets": [_document(each) for each in found],
        }
        return data_text(data, form)
    if form == "name":
        return "".join(f"{neutralise(each.subject.target.name)}\n" for each in found if each.different)
    return "\n".join((f"{neutralise(_title(each))}\n" if len(found) > 1 else "") + _table(each) for each in found)


def _table(each: Drift) -> str:
    """Lay the rows out, a column for each side that was asked; of those that are the same everywhere, not more than a screen."""
    if not each.rows or len(each.asked) < 2:
        return ""
    shown = [row for row in each.rows if row.state != "same"]
    same = [row for row in each.rows if row.state == "same"]
    shown += same[:_MOST_ROWS]
    sides = [name for name in ("catalogue", "entry", "published", "dns") if name in each.asked]
    table = [["NAME", "STATE", "BLOCK", *(name.upper() for name in sides)]]
    table += [[row.name or "-", row.state, row.text, *(_cell(row, name) for name in sides)] for row in shown]
    more = len(same) - _MOST_ROWS
    return table_text(table) + (f"and {more} more that are the same on every side; -o json has them all\n" if more > 0 else "")


def _cell(row: Row, side: str) -> str:
    value = getattr(row, side)
    if side == "dns":
        return ",".join(value or ()) or "-"
    return value or "-"


def _document(each: Drift) -> dict[str, Any]:
    return {
        "name": each.subject.target.name,
        "where": each.subject.where or None,
        "asked": list(each.asked),
        "notAsked": list(each.unasked),
        "different": bool(each.different),
        "rows": [
            {
                "name": row.name,
                "state": str(row.state),
                "block": row.what,
                "was": row.was or None,
                "catalogue": row.catalogue,
                "entry": row.entry,
                "published": row.published,
                "dns": None if row.dns is None else list(row.dns),
            }
            for row in each.rows
        ],
    }
