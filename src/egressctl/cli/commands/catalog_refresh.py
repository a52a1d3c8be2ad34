"""`egressctl catalog refresh`: bring targets up to what is published now."""

from __future__ import annotations

from datetime import UTC, date, datetime
from functools import partial
from typing import Annotated

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

_DRY_RUN_MODES = ("none", "client")


@spread_flags
def command(
    names: Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", show_default=False)] = None,
    folders: CatalogFolders = None,
    published: PublishedLists = None,
    checked: Annotated[str, typer.Option("--checked", metavar="DATE", help="The date of the lists. [default: today]")] = "",
    accept: Annotated[bool, typer.Option("--accept", help="Update in spite of alarms.")] = False,
    dry_run: Annotated[str, typer.Option("--dry-run", metavar="none|client", help="Write nothing; print the change.")] = "none",
    no_dns: NoDns = False,
    *,
    output: OutputFlags,
) -> int:
    """Update targets to what their providers publish now.

    In a file of your own catalogue only `ranges` and `checked` are rewritten. For a built-in target, and with --dry-run, the
    change is printed as a unified diff. Without a name, every target with a published list is updated: the targets of your own
    catalogue if you have one, else the built-in ones.

    A target is not changed if its new list raises an alarm: a range vanished, the list shrank by more than half, a range is
    shorter than /8, private or reserved, or a probe's host resolves to an address outside. Check it, then give --accept.

    \b
    Examples:
      egressctl catalog refresh
      egressctl catalog refresh wikipedia --dry-run
      egressctl catalog refresh wikipedia --catalog ./egress --accept
      egressctl catalog refresh wikipedia --published geo-resources --checked 2026-08-21

    Exit codes: 0 up to date, refreshed or shown, 1 an alarm stopped a target, 3 a list could not be fetched or a file not
    written.
    """
    from egressctl.catalog.refresh import RefreshOptions, files_to_refresh, refresh  # imported late: 40 ms
    from egressctl.report.catalog_refresh_formats import refresh_text
    from egressctl.report.exit_codes import exit_code_of_results

    if dry_run not in _DRY_RUN_MODES:
        raise InvalidInput(f"--dry-run {dry_run}: no such mode", hint="one of " + ", ".join(_DRY_RUN_MODES))
    session = Session("catalog refresh", ConnectionFlags(), output)
    day = _parse_day(checked) if checked else datetime.now(UTC).date().isoformat()
    items = files_to_refresh(names or [], catalog_folders(folders))
    if published and len(items) > 1:
        hint = "egressctl catalog refresh NAME --published FILE"
        raise InvalidInput("--published needs one target, the one whose lists were saved", hint=hint)
    wishes = RefreshOptions(day, published or (), accept, dry_run != "none", not no_dns)
    found = [each for each in refresh(items, wishes, session.progress) if names or each.state != "unlisted"]
    unresolved = dict.fromkeys(sentence for each in found for sentence in each.unresolved)
    code = session.end(
        partial(refresh_text, found),
        exit_code_of_results((), also=[each.exit_code for each in found]),
        [f"{sentence}: whether its addresses are published was not checked" for sentence in unresolved],
    )
    for each in found:
        if each.failure:
            print_failure(each.failure)
    if (stopped := [each.name for each in found if each.state == "stopped"]) and not output.quiet:
        say(f"hint: check the change, then run it again for {' '.join(stopped)} with --accept")
    return code


def _parse_day(text: str) -> str:
    try:
        if date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise InvalidInput(f"--checked {text}: is not a date", hint="write it as 2026-08-21")
