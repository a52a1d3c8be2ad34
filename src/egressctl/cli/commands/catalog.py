"""`egressctl catalog`: the targets that egressctl knows by name."""

from __future__ import annotations

import typer

from egressctl.cli.help_text import GroupedCommand

_HELP = """Look at the catalogue of targets, what is built in and the files in folders of your own, and keep it up to date.

\b
Examples:
  egressctl catalog list
  egressctl catalog show wikipedia
  egressctl catalog show aws
  egressctl catalog diff wikipedia
  egressctl catalog refresh wikipedia --dry-run
"""


def register(app: typer.Typer, name: str, short: str) -> None:
    """Add the group of commands to the application."""
    from egressctl.cli.commands import catalog_diff, catalog_list, catalog_refresh, catalog_show  # imported late: 43 ms

    group = typer.Typer(add_completion=False, rich_markup_mode=None, help=_HELP, short_help=short)
    for word, module, text in (
        ("list", catalog_list, "List the targets."),
        ("show", catalog_show, "Say what a target opens, and where that is from."),
        ("diff", catalog_diff, "Show catalogue, entry, published list and DNS side by side."),
        ("refresh", catalog_refresh, "Bring targets up to what is published now."),
    ):
        group.command(word, short_help=text, cls=GroupedCommand)(module.command)
    app.add_typer(group, name=name)
