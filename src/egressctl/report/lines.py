"""Output in lines: pictures, which a terminal may colour and a pipe need not, and tables as kubectl prints them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from egressctl.runtime.sanitize import neutralise

Span = tuple[str, str]
"""A style and a text."""
Line = tuple[Span, ...]
Content = str | Iterable[Line]
"""What an output says: text, or a picture."""


def plain_text(content: Content) -> str:
    """Return a picture as text without colours, each line with its end; text as it is."""
    if isinstance(content, str):
        return content
    return "".join("".join(text for _, text in line).rstrip() + "\n" for line in content)


def table_text(rows: Sequence[Sequence[str]]) -> str:
    """Return a line for each row, its cells harmless, three blanks between columns; every row has as many cells."""
    cells = [[neutralise(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n" for row in cells
    )
