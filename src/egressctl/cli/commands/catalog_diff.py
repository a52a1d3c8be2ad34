"""`egressctl catalog diff`: the catalogue, the entry, the published list and DNS, side by side."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

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
from egressctl.errors import InvalidInput
from egressctl.runtime.sanitize import neutralise

if TYPE_CHECKING:
    from egressctl.catalog.diff import Drift
    from egressctl.model.entry import Manifest


@spread_flags
def command(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", show_default=False)] = None,
    folders: CatalogFolders = None,
    entry: Annotated[
        list[str] | None,
        typer.Option("--entry", "-f", "--filename", metavar="FILE", help="Take the entry from manifests; - is stdin."),
    ] = None,
    published: PublishedLists = None,
    no_entry: Annotated[bool, typer.Option("--no-entry", help="Do not use a Kubernetes cluster.")] = False,
    no_dns: NoDns = False,
    offline: Annotated[bool, typer.Option("--offline", help="Use no network at all: --entry and --published only.")] = False,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Entries of every namespace.")] = False,
    *,
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """Compare the catalogue, the entry on the Kubernetes cluster, the published list and DNS, side by side.

    Each row is a block. `missing`: it is published, and a side does not have it. `moved`: a name has another block now.
    `extra`: a side has it, and it is not published. `outside`: a probe's host resolves to an address that no side has.
    `retired` and `same` are no differences. Without a name, the command takes the targets of the catalogue that have an entry
    in the namespace, also an entry that egressctl did not make.

    \b
    Examples:
      egressctl catalog diff wikipedia
      egressctl catalog diff -A
      egressctl catalog diff wikipedia --entry wikipedia.yaml
      egressctl catalog diff wikipedia --no-entry --no-dns
      egressctl catalog diff wikipedia --entry wikipedia.yaml --published geo-resources --offline

    Exit codes: 0 no difference, 1 a difference, 3 no difference was seen and a side could not be read.
    """
    from egressctl.catalog.diff import DiffOptions, find_drift  # imported late: 40 ms
    from egressctl.catalog.diff_subjects import DiffRequest, find_targets_with_entries
    from egressctl.report.catalog_diff_formats import drift_text
    from egressctl.report.exit_codes import exit_code_of_results

    session = Session("catalog diff", connection, output)
    _refuse_contradictions(names, entry, published, no_entry=no_entry, offline=offline)

    def list_entries() -> tuple[str | None, list[Manifest]]:
        namespace = None if all_namespaces else session.namespace
        return namespace, session.mesh.entries(namespace)

    wanted = DiffRequest(names or (), catalog_folders(folders), entry or (), no_entry or offline, list_entries, [])
    subjects = find_targets_with_entries(wanted)
    found = find_drift(subjects, DiffOptions(published or (), not offline, not (no_dns or offline)), session.progress)
    code = exit_code_of_results((), also=[*(each.exit_code for each in found), *(each.exit_code for each in wanted.broken)])
    code = 1 if any(each.different for each in found) else code
    code = session.end(
        partial(drift_text, found), code, [f"not asked: {sentence}" for each in found for sentence in each.unasked]
    )
    for each in found:
        _print_conclusion(session, each)
    for refused in wanted.broken:
        print_failure(refused)
    return code


def _refuse_contradictions(
    names: list[str] | None, entry: list[str] | None, published: list[str] | None, *, no_entry: bool, offline: bool
) -> None:
    if offline and not (entry or published):
        raise InvalidInput("--offline needs --entry or --published: without one there is nothing to compare the catalogue with")
    if entry and no_entry:
        raise InvalidInput("--entry and --no-entry: give only one of them")
    if published and len(names or []) != 1:
        raise InvalidInput(
            "--published needs one target, the one whose lists were saved", hint="egressctl catalog diff NAME --published FILE"
        )


def _print_conclusion(session: Session, each: Drift) -> None:
    """Print the result of a target in one line."""
    from egressctl.report.catalog_diff_formats import target_title  # imported late: 29 ms

    if len(each.asked) < 2:
        say(f"warning: {neutralise(each.subject.target.name)}: there is nothing to compare the catalogue with")
        return
    told = f"{each.different or 'no'} difference{'s' if each.different > 1 else ''}"
    session.progress.done(f"{target_title(each)}: {told} between {', '.join(each.asked[:-1])} and {each.asked[-1]}")
