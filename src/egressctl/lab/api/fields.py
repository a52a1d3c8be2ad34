"""Sets of fields, as `managedFields` keeps them, and what merging and comparing objects means field by field.

A field's path is a tuple of FieldsV1's own words: `f:spec`, and `k:{"name":"a"}` for an item of a list
that is a map. Rules after sigs.k8s.io/structured-merge-diff.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from egressctl.istio.admission.schema import ANY, Schema
from egressctl.lab.api.status import Object

FieldPath = tuple[str, ...]
FieldSet = frozenset[FieldPath]


_PARENT = object()
"""Marks a path that holds others: it can be owned, but has no value of its own to differ in."""


def item_key(item: Object, keys: tuple[str, ...]) -> str:
    """Return the path element of an item: `k:{"name":"a"}`."""
    return "k:" + json.dumps({name: item[name] for name in keys}, separators=(",", ":"), sort_keys=True)


def path_text(path: FieldPath) -> str:
    """Return a path as messages write it: `.spec.ports[name="a"].number`."""
    text = ""
    for element in path:
        if element.startswith("k:"):
            pairs = ",".join(f"{name}={json.dumps(value)}" for name, value in json.loads(element[2:]).items())
            text += f"[{pairs}]"
        else:
            text += "." + element[2:]
    return text


def _is_keyed(value: Any, schema: Schema) -> bool:
    return bool(schema.keys) and isinstance(value, list)


def _walk(value: Any, schema: Schema, path: FieldPath, every_node: bool) -> Iterator[tuple[FieldPath, Any]]:
    if _is_keyed(value, schema):
        for item in value:
            here = (*path, item_key(item, schema.keys))
            yield from _walk(item, schema.items or ANY, here, every_node)
            yield here, _PARENT
        if every_node:
            yield path, _PARENT
    elif isinstance(value, dict):
        for name, item in value.items():
            here = (*path, "f:" + name)
            yield from _walk(item, schema.child(name) or ANY, here, every_node)
            if isinstance(item, dict) and (not item or name not in schema.properties):
                yield here, _PARENT
        if every_node:
            yield path, _PARENT
    else:
        yield path, value


def field_values(value: Any, schema: Schema, *, every_node: bool = False) -> dict[FieldPath, Any]:
    """Return every field that an object sets, with its value.

    `every_node` adds objects and lists that the schema declares, which an update owns when it
    makes them and an apply does not.
    """
    return {path: item for path, item in _walk(value, schema, (), every_node) if path}


def compare_fields(old: Object, new: Object, schema: Schema) -> tuple[FieldSet, FieldSet]:
    """Return the fields that are added or changed, and those that are gone."""
    before, after = field_values(old, schema, every_node=True), field_values(new, schema, every_node=True)
    written = (path for path, value in after.items() if path not in before or before[path] != value)
    return frozenset(written), frozenset(before.keys() - after.keys())


def merge_values(live: Any, config: Any, schema: Schema) -> Any:
    """Return the live value with everything that `config` sets put into it."""
    if _is_keyed(config, schema) and isinstance(live, list):
        result = {item_key(item, schema.keys): item for item in live}
        for item in config:
            key = item_key(item, schema.keys)
            result[key] = merge_values(result.get(key), item, schema.items or ANY)
        return list(result.values())
    if isinstance(config, dict) and isinstance(live, dict):
        return {**live, **{name: merge_values(live.get(name), item, schema.child(name) or ANY) for name, item in config.items()}}
    return copy.deepcopy(config)


def without_field(value: Any, path: FieldPath, schema: Schema) -> Any:
    """Return the value without the field at `path`; objects and lists that are left empty go as well."""
    head, rest = path[0], path[1:]
    if head.startswith("k:") and _is_keyed(value, schema):
        items = []
        for item in value:
            if item_key(item, schema.keys) != head:
                items.append(item)
            elif rest:
                # An item that stays keeps its key: without it, it would be no item of this list.
                is_key = len(rest) == 1 and rest[0][2:] in schema.keys
                items.append(item if is_key else without_field(item, rest, schema.items or ANY))
        return items
    name = head[2:]
    if not isinstance(value, dict) or name not in value:
        return value
    if not rest:
        return {other: item for other, item in value.items() if other != name}
    left = without_field(value[name], rest, schema.child(name) or ANY)
    if left in ({}, []):
        return {other: item for other, item in value.items() if other != name}
    return {**value, name: left}


def encode_fields(fields: Iterable[FieldPath]) -> Object:
    """Return a set of fields as FieldsV1; a path that holds others and is itself owned gets a `.`."""
    root: Object = {}
    for path in sorted(fields):
        node = root
        for depth, element in enumerate(path):
            # Sorted, so whatever holds a field comes before it: an empty node on the way is owned itself.
            if element in node and not node[element] and depth < len(path) - 1:
                node[element]["."] = {}
            node = node.setdefault(element, {})
    return root


def decode_fields(fields: Mapping[str, Any], path: FieldPath = ()) -> FieldSet:
    """Return the set that FieldsV1 spells."""
    found: set[FieldPath] = set()
    for element, inner in fields.items():
        if element == ".":
            found.add(path)
        elif inner:
            found |= decode_fields(inner, (*path, element))
        else:
            found.add((*path, element))
    return frozenset(found)
