"""Read JSON of which nothing is promised: what is of another type than expected is read as empty, never an error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def as_mapping(value: object) -> Mapping[str, Any]:
    """Return an object of JSON, empty where the value is none."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: object) -> Sequence[Any]:
    """Return a list of JSON, empty where the value is none."""
    return value if isinstance(value, list | tuple) else ()


def as_mappings(value: object) -> tuple[Mapping[str, Any], ...]:
    """Return the objects of a list of JSON."""
    return tuple(item for item in as_list(value) if isinstance(item, Mapping))


def as_text(value: object) -> str:
    """Return a text of JSON, empty where the value is none."""
    return value if isinstance(value, str) else ""


def as_texts(value: object) -> tuple[str, ...]:
    """Return the texts of a list of JSON."""
    return tuple(item for item in as_list(value) if isinstance(item, str))


def spec_of(manifest: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the spec of an object of Kubernetes."""
    return as_mapping(manifest.get("spec"))
