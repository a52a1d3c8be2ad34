"""What `create` would change, as the lines of a unified diff and as the JSON document of docs/how-to/diff.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from egressctl.manifests.diff_text import EntryDifference, unified_diff_lines
from egressctl.report.data_text import data_text, document, entry_names_text
from egressctl.report.lines import Content, Line
from egressctl.runtime.sanitize import LONGEST_TEXT, neutralise

_STYLES = (("---", "bold"), ("+++", "bold"), ("@@", "cyan"), ("-", "red"), ("+", "green"))


def diff_content(differences: Sequence[EntryDifference], form: str, code: int) -> Content:
    """Return the differences in a format."""
    if form in ("json", "yaml"):
        return data_text(diff_document(differences, code), form)
    if form == "name":
        return entry_names_text(each.either["metadata"]["name"] for each in differences if each.changed)
    return diff_lines(differences)


def diff_lines(differences: Sequence[EntryDifference]) -> Iterator[Line]:
    """Return the unified diff of every entry that would be changed."""
    for difference in differences:
        for number, text in enumerate(unified_diff_lines(difference)):
            # Below its two lines of names, a line that begins with --- is one that goes.
            styles = _STYLES if number < 2 else _STYLES[2:]
            style = next((style for start, style in styles if text.startswith(start)), "")
            yield ((style, _neutralise_long(text)),)


def _neutralise_long(text: str) -> str:
    """Make a line harmless however long it is: what is cut could be the difference."""
    return "".join(neutralise(text[start : start + LONGEST_TEXT]) for start in range(0, len(text), LONGEST_TEXT))


def diff_document(differences: Sequence[EntryDifference], code: int) -> dict[str, Any]:
    """Return every entry with both sides, as plain data."""
    return document(
        "Diff",
        exitCode=code,
        entries=[
            {
                "target": each.target,
                "namespace": each.either["metadata"]["namespace"],
                "serviceEntry": each.either["metadata"]["name"],
                "action": each.action,
                "live": each.live,
                "merged": each.merged,
            }
            for each in differences
        ],
    )
