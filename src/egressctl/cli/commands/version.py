"""`egressctl version`: which egressctl this is."""

from __future__ import annotations

from egressctl import __version__


def command() -> int:
    """Print the version."""
    print(f"egressctl {__version__}")
    return 0
