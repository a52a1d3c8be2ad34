"""Parts of sentences."""

from __future__ import annotations

from collections.abc import Sequence


def first_names(names: Sequence[str], most: int) -> str:
    """List names: all of a few, and of many the first, with how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def count_of(count: int, one: str, several: str) -> str:
    """Count things: `1 address`, `2 addresses`."""
    return f"{count} {one if count == 1 else several}"
