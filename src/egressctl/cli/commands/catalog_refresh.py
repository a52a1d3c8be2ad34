"""`egressctl catalog refresh`: bring targets up to what is published now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

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
from egressctl.errors import InvalidInput
from egressctl.report.data_text import API_VERSION, data_text
from egressctl.runtime.sanitize import neutralise

if TYPE_CHECKING:
    from egressctl.catalog.refresh import FileToRefresh, RefreshResult

_DRY_RUN_MODES = ("none", "client")
_MOST_CHANGES = 20
"""How many changes of a target are lines of their own."""


@spread_flags
def command(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", show_default=False)] = None,
    folders: CatalogFolders = None,
    published: PublishedLists = None,
    checked: Annotated[str, typer.Option("--checked", metavar="DATE", help="The day of the lists. [default: today]")] = "",
    accept: Annotated[bool, typer.Option("--accept", help="Refresh although the new list alarms.")] = False,
    dry_run: Annotated[str, typer.Option("--dry-run", metavar="none|client", help="Write nothing, print the change.")] = "none",
    no_dns: NoDns = False,
    *,
    output: OutputFlags,
) -> int:
    """Bring targets up to what their providers publish now.

    A file of your own catalogue is rewritten, its `ranges` and its `checked` alone; for a built-in target, and with --dry-run,
    the change is printed as a unified diff. Without a name, every target that has a published list is refreshed: those of your
    own catalogue where you have one, else the built-in ones.

    A target is left as it is where its new list alarms: a range vanished, the list shrank by more than half, a range is shorter
    than /8, private or reserved, or a probe's host resolves to an address outside. Look at it, and give --accept.

    \b
    Examples:
      egressctl catalog refresh
      egressctl catalog refresh wikipedia --dry-run
      egressctl catalog refresh wikipedia --catalog ./egress --accept
      egressctl catalog refresh wikipedia --published geo-resources --checked 2026-08-21

    Exit codes: 0 up to date, refreshed or shown, 1 an alarm stopped a target, 3 a list could not be fetched or a file not
    written.
    """
    from egressctl.catalog.refresh import RefreshOptions, refresh  # imported late: 16 ms
    from egressctl.report import exit_codes

    if dry_run not in _DRY_RUN_MODES:
        raise InvalidInput(f"--dry-run {dry_run}: no such mode", hint="one of " + ", ".join(_DRY_RUN_MODES))
    session = Session("catalog refresh", ConnectionFlags(), output)
    day = _parse_day(checked) if checked else datetime.now(UTC).date().isoformat()
    items = _files_to_refresh(names or [], catalog_folders(folders))
    if published and len(items) > 1:
        hint = "egressctl catalog refresh NAME --published FILE"
        raise InvalidInput("--published needs the one target whose lists are recorded", hint=hint)
    wishes = RefreshOptions(day, published or (), accept, dry_run != "none", not no_dns)
    found = [each for each in refresh(items, wishes, session.progress) if names or each.state != "unlisted"]
    unresolved = dict.fromkeys(sentence for each in found for sentence in each.unresolved)
    code = session.end(
        partial(_text, found),
        exit_codes.exit_code_of_results((), also=[each.exit_code for each in found]),
        [f"{sentence}: whether its addresses are published was not looked at" for sentence in unresolved],
    )
    for each in found:
        if each.failure:
            print_failure(each.failure)
    if (stopped := [each.name for each in found if each.state == "stopped"]) and not output.quiet:
        say(f"hint: look at it, then the same for {' '.join(stopped)} with --accept")
    return code


def _parse_day(text: str) -> str:
    try:
        if date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise InvalidInput(f"--checked {text}: is no day", hint="write it as 2026-08-21")


def _files_to_refresh(names: Sequence[str], folders: Sequence[str]) -> list[FileToRefresh]:
    """Return the files of these targets; without names those of the user's folders, else those that are built in."""
    from egressctl.catalog.refresh import FileToRefresh  # imported late: 6 ms

    files = {file.name: file for file in lookup.catalog_files(folders)}
    if names:
        for name in names:
            lookup.has_name(name, folders) or lookup.get_target(name, folders)  # which says what there is
        wanted = [files[name.partition("/")[0]] for name in names]
    else:
        wanted = [file for file in files.values() if file.folder or not folders]
    return [
        FileToRefresh(file.name, file.source, lookup.file_text(file), file.path if file.folder else "")
        for file in dict.fromkeys(wanted)
    ]


def _text(found: Sequence[RefreshResult], form: str, code: int) -> str:
    """Return what became of the targets in a format."""
    if form in ("json", "yaml"):
        data = {
            "apiVersion": API_VERSION,
            "kind": "CatalogRefresh",
            "exitCode": code,
            "targets": [_document(each) for each in found],
        }
        return data_text(data, form)
    if form == "name":
        return "".join(f"{neutralise(each.name)}\n" for each in found if each.state in ("changed", "refreshed"))
    return "".join(f"{neutralise(line)}\n" for each in found for line in _lines(each))


def _lines(each: RefreshResult) -> list[str]:
    lines = [f"{each.name} {each.state}"]
    for change in each.changes[:_MOST_CHANGES]:
        lines.append(f"  {change.kind:<8} {change.name}  {f'{change.was} -> ' if change.was else ''}{change.block}")
    if len(each.changes) > _MOST_CHANGES:
        lines.append(f"  and {len(each.changes) - _MOST_CHANGES} more changes; -o json has them all")
    lines += [f"  alarm    {alarm.code}: {alarm.message}" for alarm in each.alarms]
    return lines + (each.difference.splitlines() if each.state == "changed" else [])


def _document(each: RefreshResult) -> dict[str, Any]:
    return {
        "name": each.name,
        "file": each.path or None,
        "state": each.state,
        "changes": [
            {"kind": str(one.kind), "name": one.name, "block": one.block, "was": one.was or None} for one in each.changes
        ],
        "alarms": [{"code": alarm.code, "message": alarm.message} for alarm in each.alarms],
        "diff": each.difference or None,
        "error": {"message": str(each.failure), "hint": each.failure.hint or None} if each.failure else None,
    }
