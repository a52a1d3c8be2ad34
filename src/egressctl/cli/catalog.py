"""`egressctl catalog`: the targets that egressctl knows by name."""

from __future__ import annotations

import typer

_HELP = """Look at the catalogue of targets: what is built in, and the files in folders of your own.

\b
Examples:
  egressctl catalog list
  egressctl catalog show wikipedia
  egressctl catalog show aws
"""


def register(app: typer.Typer, name: str, short: str) -> None:
    """Add the group of commands to the application."""
    from egressctl.cli import catalog_list, catalog_show

    group = typer.Typer(add_completion=False, rich_markup_mode=None, help=_HELP, short_help=short)
    catalog_list.register(group)
    catalog_show.register(group)
    app.add_typer(group, name=name)
