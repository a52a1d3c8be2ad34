"""`egressctl catalog`: the targets that egressctl knows by name."""

from __future__ import annotations

import typer

_HELP = """Look at the catalogue of targets, and keep it up to date.

\b
Examples:
  egressctl catalog refresh wikipedia --dry-run
  egressctl catalog diff wikipedia
"""


def register(app: typer.Typer, name: str, short: str) -> None:
    """Add the group of commands to the application."""
    from egressctl.cli import catalog_diff, catalog_refresh

    group = typer.Typer(add_completion=False, rich_markup_mode=None, help=_HELP, short_help=short)
    catalog_refresh.register(group)
    catalog_diff.register(group)
    app.add_typer(group, name=name)
