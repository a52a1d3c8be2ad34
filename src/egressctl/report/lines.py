"""Output in lines: pictures, which a terminal may colour and a pipe need not, and tables as kubectl prints them. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from egressctl.runtime.sanitize import neutralise

Span = tuple[str, str]
"""A style and a text."""
Line = tuple[Span, ...]
Content = str | Iterable[Line]
"""What an output says: text, or a picture."""

HANG: Span = ("hang", "")
"""A span without text. A line that is too wide goes on beneath it; a line without one is never broken."""
HANG_COMMAND: Span = ("hang command", "")
"""Likewise, of a command line: each break is a backslash, so that it can be copied as it stands."""
_HANGS = (HANG, HANG_COMMAND)

_COMMANDS = ("egressctl ", "kubectl ", "istioctl ")
_CONTINUED = " \\"
_COLUMN_GAP = 3
"""So many blanks are between columns: what is in one stays together if it can."""
_PIECES = re.compile(r" +|[^ ]+")
_COMMAND_PIECES = re.compile(r" +|(?:'[^']*'|\"[^\"]*\"|[^ '\"]|['\"])+")


def hang_for(text: str) -> Span:
    """Return the span to put before a text that may be a command line."""
    return HANG_COMMAND if text.startswith(_COMMANDS) else HANG


def plain_text(content: Content) -> str:
    """Return a picture as text without colours, each line with its end; text as it is."""
    if isinstance(content, str):
        return content
    return "".join("".join(text for _, text in line).rstrip() + "\n" for line in content)


def wrap_lines(lines: Iterable[Line], width: int | None) -> Iterator[Line]:
    """Break lines at blanks so that they fit the width, where they say how to go on; a longer word goes over the edge.

    Without a width nothing is broken. The lines that come out have no more spans that say how to go on.
    """
    for line in lines:
        hang = next((index for index, span in enumerate(line) if span in _HANGS), None)
        bare = _without_end_blanks([span for span in line if span not in _HANGS])
        if width is None or hang is None or sum(text_width(text) for _, text in bare) <= width:
            yield bare
        else:
            yield from _wrap_line(line[:hang], line[hang + 1 :], width, command=line[hang] == HANG_COMMAND)


def _wrap_line(head: Line, body: Line, width: int, *, command: bool) -> Iterator[Line]:
    told = "".join(text for _, text in head)
    # A picture's edge goes on to its next step.
    edge = "".join("│" if sign in "├│" else " " for sign in told)
    if (indent := text_width(told)) > width // 2:
        edge = edge[: width // 2]
    room = width - (len(_CONTINUED) if command else 0)
    current, column = list(head), indent
    start, gap = True, ""
    for style, piece, field in _pieces(body, command=command):
        if not piece.strip():
            gap += piece
            continue
        size = text_width(piece)
        # A word may be of several colours, and a column of several words.
        word = max(size, text_width(field if len(gap) >= _COLUMN_GAP else field.split(" ", 1)[0]))
        if column + len(gap) + word > room and gap and not start:
            yield (*current, *((("", _CONTINUED),) if command else ()))
            current, column, gap = [("", edge)], text_width(edge), ""
        if not start and current[-1][0] == style:
            current[-1] = (style, current[-1][1] + gap + piece)
        else:
            current += [("", gap), (style, piece)] if gap else [(style, piece)]
        column += len(gap) + size
        start, gap = False, ""
    yield tuple(current)


def _without_end_blanks(spans: Sequence[Span]) -> Line:
    kept = list(spans)
    while kept and not kept[-1][1].rstrip(" "):
        kept.pop()
    if kept:
        kept[-1] = (kept[-1][0], kept[-1][1].rstrip(" "))
    return tuple(kept)


def _pieces(body: Line, *, command: bool) -> Iterator[tuple[str, str, str]]:
    """Yield each word and each run of blanks with its style, and of a word all that follows in its column."""
    text = "".join(text for _, text in body)
    at = 0
    for style, part in body:
        for found in (_COMMAND_PIECES if command else _PIECES).findall(part):
            yield style, found, text[at:].split(" " * _COLUMN_GAP, 1)[0]
            at += len(found)


def text_width(text: str) -> int:
    """Count the cells of a terminal that a text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(sign) else 2 if unicodedata.east_asian_width(sign) in "WF" else 1 for sign in text)


def table_text(rows: Sequence[Sequence[str]]) -> str:
    """Return a line for each row, its cells harmless, three blanks between columns; every row has as many cells."""
    cells = [[neutralise(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n" for row in cells
    )
