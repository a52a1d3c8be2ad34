"""`egressctl catalog`: the targets that egressctl knows by name."""

from __future__ import annotations

import typer

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
    from egressctl.cli.commands import catalog_diff, catalog_list, catalog_refresh, catalog_show

    group = typer.Typer(add_completion=False, rich_markup_mode=None, help=_HELP, short_help=short)
    for command in (catalog_list, catalog_show, catalog_diff, catalog_refresh):
        command.register(group)
    app.add_typer(group, name=name)
