"""Answers of an API that are not what an API gives: a change of chance to their JSON, or to their bytes."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator
from typing import Any

WRONG: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    7,
    1.5,
    10**30,
    1e300,
    "",
    "x",
    "\ud800",
    "\x1b[2J\u202e",
    "0" * 100_000,
    [],
    {},
    [None],
    [[]],
    [{}],
    [1, "a", None, {}],
    {"": None},
    {"a": {"b": {}}},
    {"name": 5},
    list(range(2000)),
)
"""Values that stand in the place of others."""


def mutate(content: bytes, chance: random.Random) -> bytes:
    """Return an answer's body with one change, or with two."""
    try:
        value = json.loads(content)
    except ValueError:
        return _other_bytes(content, chance)
    if chance.random() < 0.12:
        return _other_bytes(content, chance)
    try:
        for _ in range(chance.choice((1, 1, 1, 2))):
            value = _mutate_value(value, chance)
        text = json.dumps(value)
    except RecursionError:
        return b"[" * 5000
    if chance.random() < 0.02:
        text = text.replace(": 1", ": " + "9" * 5000, 1)
    return text.encode()


def _mutate_value(value: Any, chance: random.Random) -> Any:
    # Half of an object is who owns which of its fields.
    places = list(_places(value, () if chance.random() < 0.1 else ("managedFields",)))
    if not places or chance.random() < 0.05:
        return copy.deepcopy(chance.choice((*WRONG, {"items": value}, [value])))
    holder, key = _any_place(places, chance)
    _CHANGES[chance.randrange(len(_CHANGES))](holder, key, chance)
    return value


def _any_place(places: list[tuple[Any, Any, int]], chance: random.Random) -> tuple[Any, Any]:
    """Choose by depth first: of one list's many leaves there are more than of what stands above them."""
    depth = chance.choice(sorted({depth for _, _, depth in places}))
    holder, key, _ = chance.choice([each for each in places if each[2] == depth])
    return holder, key


def _places(value: Any, without: tuple[str, ...], depth: int = 0) -> Iterator[tuple[Any, Any, int]]:
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key, depth
            if key not in without:
                yield from _places(value[key], without, depth + 1)


def _remove(holder: Any, key: Any, _: random.Random) -> None:
    del holder[key]


def _nothing(holder: Any, key: Any, _: random.Random) -> None:
    holder[key] = None


def _wrong(holder: Any, key: Any, chance: random.Random) -> None:
    holder[key] = copy.deepcopy(chance.choice(WRONG))


def _in_list(holder: Any, key: Any, _: random.Random) -> None:
    holder[key] = [holder[key]]


def _in_object(holder: Any, key: Any, _: random.Random) -> None:
    holder[key] = {"value": holder[key]}


def _as_text(holder: Any, key: Any, _: random.Random) -> None:
    holder[key] = str(holder[key])


def _doubled(holder: Any, key: Any, _: random.Random) -> None:
    holder[key] = [holder[key], holder[key]] if not isinstance(holder[key], list) else holder[key] * 2


def _deep(holder: Any, key: Any, chance: random.Random) -> None:
    for _ in range(chance.choice((20, 300, 900))):
        holder[key] = {"a": holder[key]} if chance.random() < 0.5 else [holder[key]]


_CHANGES: tuple[Callable[[Any, Any, random.Random], None], ...] = (
    _remove,
    _nothing,
    _nothing,
    _wrong,
    _wrong,
    _wrong,
    _in_list,
    _in_object,
    _as_text,
    _doubled,
    _deep,
)


def _other_bytes(content: bytes, chance: random.Random) -> bytes:
    cut = chance.randrange(len(content) + 1)
    other: tuple[bytes, ...] = (
        b"",
        b"null",
        b"[]",
        b"{}",
        b'"text"',
        b"<html><title>Log in</title></html>",
        b"\xff\xfe\x00",
        content[:cut],
        content[:cut] + b"\xff" + content[cut:],
        b"[" * 5000,
        b'{"a":' * 5000,
        content + content,
        b'{"kind": "Status", "apiVersion": "v1", "status": "Success"}',
        b'{"kind": "Status", "apiVersion": "v1", "status": 5, "details": [], "message": {}, "code": "x"}',
    )
    return chance.choice(other)
