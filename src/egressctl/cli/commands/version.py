"""`egressctl version`: which egressctl this is."""

from __future__ import annotations

import typer

from egressctl import __version__


def register(app: typer.Typer, name: str, short: str) -> None:
    """Add the command to the application."""
    app.command(name, help=short)(version)


def version() -> int:
    """Print the version."""
    print(f"egressctl {__version__}")
    return 0
