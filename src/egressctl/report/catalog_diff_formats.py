"""The sides of targets of the catalogue, side by side, in each output format. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from egressctl.catalog.diff import Drift
from egressctl.catalog.diff_rows import Row
from egressctl.report.data_text import data_text, document
from egressctl.report.lines import table_text
from egressctl.runtime.sanitize import neutralise

_MOST_ROWS = 20
"""How many rows of blocks that are the same everywhere are shown."""


def target_title(each: Drift) -> str:
    """Return a target's name, and where its entries are."""
    return each.subject.target.name + (f" ({each.subject.where})" if each.subject.where else "")


def drift_text(found: Sequence[Drift], form: str, code: int) -> str:
    """Return the sides of the targets in a format."""
    if form in ("json", "yaml"):
        data = document("CatalogDiff", exitCode=code, targets=[_document(each) for each in found])
        return data_text(data, form)
    if form == "name":
        return "".join(f"{neutralise(each.subject.target.name)}\n" for each in found if each.different)
    return "\n".join((f"{neutralise(target_title(each))}\n" if len(found) > 1 else "") + _table(each) for each in found)


def _table(each: Drift) -> str:
    """Lay the rows out, a column for each side that was asked; of those that are the same everywhere, not more than a screen."""
    if not each.rows or len(each.asked) < 2:
        return ""
    shown = [row for row in each.rows if row.state != "same"]
    same = [row for row in each.rows if row.state == "same"]
    shown += same[:_MOST_ROWS]
    sides = [name for name in ("catalogue", "entry", "published", "dns") if name in each.asked]
    table = [["NAME", "STATE", "BLOCK", *(name.upper() for name in sides)]]
    table += [[row.name or "-", row.state, row.text, *(_cell(row, name) for name in sides)] for row in shown]
    more = len(same) - _MOST_ROWS
    return table_text(table) + (f"and {more} more that are the same on every side; -o json has them all\n" if more > 0 else "")


def _cell(row: Row, side: str) -> str:
    value = getattr(row, side)
    if side == "dns":
        return ",".join(value or ()) or "-"
    return value or "-"


def _document(each: Drift) -> dict[str, Any]:
    return {
        "name": each.subject.target.name,
        "where": each.subject.where or None,
        "asked": list(each.asked),
        "notAsked": list(each.unasked),
        "different": bool(each.different),
        "rows": [
            {
                "name": row.name,
                "state": str(row.state),
                "block": row.what,
                "was": row.was or None,
                "catalogue": row.catalogue,
                "entry": row.entry,
                "published": row.published,
                "dns": None if row.dns is None else list(row.dns),
            }
            for row in each.rows
        ],
    }
