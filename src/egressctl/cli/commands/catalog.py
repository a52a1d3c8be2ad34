"""`egressctl catalog`: the targets that egressctl knows by name."""

from __future__ import annotations

import typer

from egressctl.cli.help_text import GroupedCommand

_HELP = """Show the catalogue of targets, and keep it up to date: what is built in, and the files in your own folders.

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
        ("show", catalog_show, "Show what a target opens, and the source of each block."),
        ("diff", catalog_diff, "Compare catalogue, entry, published list and DNS."),
        ("refresh", catalog_refresh, "Update targets to what is published now."),
    ):
        group.command(word, short_help=text, cls=GroupedCommand)(module.command)
    app.add_typer(group, name=name)
