"""Read JSON that may be anything: what is not there, or is of another shape than asked for, is empty. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def value_at(value: object, *path: str) -> Any:
    """Return what stands at a path of names within objects; None where one of them is not there or no object."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def mapping_at(value: object, *path: str) -> Mapping[str, Any]:
    """Return the object at a path."""
    found = value_at(value, *path)
    return found if isinstance(found, dict) else {}


def list_at(value: object, *path: str) -> Sequence[Any]:
    """Return the list at a path."""
    found = value_at(value, *path)
    return found if isinstance(found, list | tuple) else ()


def text_at(value: object, *path: str) -> str:
    """Return the text at a path."""
    found = value_at(value, *path)
    return found if isinstance(found, str) else ""


def mappings_at(value: object, *path: str) -> tuple[Mapping[str, Any], ...]:
    """Return the objects in the list at a path."""
    return tuple(each for each in list_at(value, *path) if isinstance(each, dict))


def texts_at(value: object, *path: str) -> tuple[str, ...]:
    """Return the texts in the list at a path."""
    return tuple(each for each in list_at(value, *path) if isinstance(each, str))


def plain_copy(value: Any) -> Any:
    """Copy data into dictionaries and lists of its own, whatever mappings and sequences it is made of."""
    if isinstance(value, Mapping):
        return {key: plain_copy(item) for key, item in value.items()}
    return [plain_copy(item) for item in value] if isinstance(value, list | tuple) else value
