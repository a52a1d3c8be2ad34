"""One ServiceEntry as it is and as it would be, and both as the text that kubectl shows. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, NamedTuple

from egressctl.manifests.yaml_writer import write_yaml
from egressctl.model.entry import Manifest

LIVE, MERGED = "LIVE", "MERGED"
"""The two sides, in kubectl's words: what is there, and what would be there."""


class EntryDifference(NamedTuple):
    """One ServiceEntry: what is there and what would be, None for nothing, both without their managed fields."""

    target: str
    live: Manifest | None
    merged: Manifest | None

    @property
    def changed(self) -> bool:
        return sorted_yaml(self.live) != sorted_yaml(self.merged)

    @property
    def action(self) -> str:
        """What `create` would do, in kubectl's word."""
        if self.merged is None:
            return "deleted"
        return "created" if self.live is None else "configured" if self.changed else "unchanged"

    @property
    def either(self) -> Manifest:
        """What would be there, else what is."""
        return self.merged or self.live or {}

    @property
    def name(self) -> str:
        """Group, version, kind, namespace and name, joined by dots: kubectl's name of the file."""
        manifest, metadata = self.either, self.either["metadata"]
        parts = (*str(manifest["apiVersion"]).split("/"), manifest["kind"], metadata["namespace"], metadata["name"])
        return ".".join(map(str, parts))


def sorted_yaml(manifest: Manifest | None) -> str:
    """Write one side as YAML with sorted keys, as kubectl does; empty where there is nothing."""
    return "" if manifest is None else write_yaml(_sort_keys(manifest))


def unified_diff_lines(difference: EntryDifference) -> list[str]:
    """Return the lines of a unified diff with three lines of context; none where there is no difference."""
    if not difference.changed:
        return []
    live, merged = (sorted_yaml(each).splitlines() for each in (difference.live, difference.merged))
    before, after = (f"{side}/{difference.name}" for side in (LIVE, MERGED))
    return list(difflib.unified_diff(live, merged, before, after, lineterm=""))


def _sort_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _sort_keys(value[key]) for key in sorted(value)}
    return [_sort_keys(each) for each in value] if isinstance(value, list) else value
