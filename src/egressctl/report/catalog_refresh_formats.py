"""What became of targets of the catalogue that were refreshed, in each output format. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from egressctl.catalog.refresh import RefreshResult
from egressctl.report.data_text import data_text, document
from egressctl.runtime.sanitize import neutralise

_MOST_CHANGES = 20
"""How many changes of a target are lines of their own."""


def refresh_text(found: Sequence[RefreshResult], form: str, code: int) -> str:
    """Return what became of the targets in a format."""
    if form in ("json", "yaml"):
        data = document("CatalogRefresh", exitCode=code, targets=[_document(each) for each in found])
        return data_text(data, form)
    if form == "name":
        return "".join(f"{neutralise(each.name)}\n" for each in found if each.state in ("changed", "refreshed"))
    return "".join(f"{neutralise(line)}\n" for each in found for line in _lines(each))


def _lines(each: RefreshResult) -> list[str]:
    lines = [f"{each.name} {each.state}"]
    for change in each.changes[:_MOST_CHANGES]:
        lines.append(f"  {change.kind:<8} {change.name}  {f'{change.was} -> ' if change.was else ''}{change.block}")
    if len(each.changes) > _MOST_CHANGES:
        lines.append(f"  and {len(each.changes) - _MOST_CHANGES} more changes; -o json has them all")
    lines += [f"  alarm    {alarm.code}: {alarm.message}" for alarm in each.alarms]
    return lines + (each.difference.splitlines() if each.state == "changed" else [])


def _document(each: RefreshResult) -> dict[str, Any]:
    return {
        "name": each.name,
        "file": each.path or None,
        "state": each.state,
        "changes": [
            {"kind": str(one.kind), "name": one.name, "block": one.block, "was": one.was or None} for one in each.changes
        ],
        "alarms": [{"code": alarm.code, "message": alarm.message} for alarm in each.alarms],
        "diff": each.difference or None,
        "error": {"message": str(each.failure), "hint": each.failure.hint or None} if each.failure else None,
    }
