"""What the API server refuses about an object: unknown fields, schema, rules, names and labels.

Messages and their order follow k8s.io/apiextensions-apiserver; the rules are not asked where the
schema already failed, and the last cause then says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from egressctl.lab.api.schema import Schema
from egressctl.lab.api.status import Cause, Object

_BLOCKING = ("FieldValueRequired", "FieldValueNotSupported", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid")
NOT_ASKED = Cause(
    "FieldValueInvalid",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
    "<nil>",
)
_SUBDOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_NAME_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end "
    f"with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_LABEL_VALUE = r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_LABEL_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    f"with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '{_LABEL_VALUE}')"
)
_LABEL_KEY = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_KEY_RULE = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
    f"(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_LABEL_KEY}')"
)


def type_of(value: Any) -> str:
    """Return JSON Schema's name for a value's type."""
    names: dict[type, str] = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number"}
    return names.get(type(value), "null")


def join(path: str, name: str) -> str:
    """Return the path of a field; names with a dot or slash go into brackets, as map keys do."""
    if not path:
        return name
    return f"{path}.{name}" if re.fullmatch(r"[A-Za-z_][\w-]*", name) else f"{path}[{name}]"


def unknown_fields(value: Any, schema: Schema, path: str = "") -> list[str]:
    """Return the paths of fields that the schema does not declare."""
    found: list[str] = []
    if isinstance(value, dict):
        for name, item in value.items():
            child = schema.child(name)
            here = f"{path}.{name}" if path else name
            found += [here] if child is None else unknown_fields(item, child, here)
    elif isinstance(value, list) and schema.items:
        for index, item in enumerate(value):
            found += unknown_fields(item, schema.items, f"{path}[{index}]")
    return found


def pruned(value: Any, schema: Schema) -> Any:
    """Return the value without the fields that the schema does not declare."""
    if isinstance(value, dict):
        declared = {name: child for name in value if (child := schema.child(name)) is not None}
        return {name: pruned(value[name], child) for name, child in declared.items()}
    if isinstance(value, list) and schema.items:
        return [pruned(item, schema.items) for item in value]
    return value


def _structure(value: Any, schema: Schema, path: str) -> Iterator[Cause]:
    got = type_of(value)
    fits = schema.type in ("any", got)
    if not fits:
        shown = f'Invalid value: "{got}": {path} in body must be of type {schema.type}: "{got}"'
        yield Cause("FieldValueTypeInvalid", shown, path)
    if schema.enum and value not in schema.enum:
        supported = ", ".join(json.dumps(word) for word in schema.enum)
        yield Cause("FieldValueNotSupported", f"Unsupported value: {json.dumps(value)}: supported values: {supported}", path)
    if not fits:
        return
    if isinstance(value, dict):
        yield from _object(value, schema, path)
    elif isinstance(value, list):
        yield from _array(value, schema, path)
    elif isinstance(value, str) and schema.max_length is not None and len(value) > schema.max_length:
        yield Cause("FieldValueTooLong", f"Too long: may not be more than {schema.max_length} bytes", path)
    elif isinstance(value, int) and schema.minimum is not None and value < schema.minimum:
        shown = f"Invalid value: {value}: {path} in body should be greater than or equal to {schema.minimum}"
        yield Cause("FieldValueInvalid", shown, path)
    elif isinstance(value, int) and schema.maximum is not None and value > schema.maximum:
        shown = f"Invalid value: {value}: {path} in body should be less than or equal to {schema.maximum}"
        yield Cause("FieldValueInvalid", shown, path)


def _object(value: Object, schema: Schema, path: str) -> Iterator[Cause]:
    if schema.max_properties is not None and len(value) > schema.max_properties:
        yield Cause("FieldValueTooMany", f"Too many: {len(value)}: must have at most {schema.max_properties} items", path)
    for name in sorted(value):
        child = schema.child(name)
        if child is not None:
            yield from _structure(value[name], child, join(path, name))
    for name in schema.required:
        if name not in value:
            yield Cause("FieldValueRequired", "Required value", join(path, name))


def _array(value: list[Any], schema: Schema, path: str) -> Iterator[Cause]:
    if schema.min_items is not None and len(value) < schema.min_items:
        shown = f"Invalid value: {len(value)}: {path} in body should have at least {schema.min_items} items"
        yield Cause("FieldValueInvalid", shown, path)
    if schema.max_items is not None and len(value) > schema.max_items:
        yield Cause("FieldValueTooMany", f"Too many: {len(value)}: must have at most {schema.max_items} items", path)
    for index, item in enumerate(value):
        if schema.items:
            yield from _structure(item, schema.items, f"{path}[{index}]")
    if schema.keys:
        seen: list[Object] = []
        for index, item in enumerate(value):
            key = {name: item[name] for name in schema.keys if name in item} if isinstance(item, dict) else {}
            if len(key) < len(schema.keys):
                continue
            if key in seen:
                shown = json.dumps(key, separators=(",", ":"))
                yield Cause("FieldValueDuplicate", f"Duplicate value: {shown}", f"{path}[{index}]")
            seen.append(key)


def _rules(value: Any, schema: Schema, path: str) -> Iterator[Cause]:
    for rule in schema.rules:
        if not rule.holds(value):
            shown = "" if isinstance(value, dict | list) else f"{json.dumps(value)}: "
            yield Cause("FieldValueInvalid", f"Invalid value: {shown}{rule.message}", path)
    if isinstance(value, dict):
        for name in sorted(value):
            child = schema.child(name)
            if child is not None:
                yield from _rules(value[name], child, f"{path}[{name}]" if name not in schema.properties else join(path, name))
    elif isinstance(value, list) and schema.items:
        for index, item in enumerate(value):
            yield from _rules(item, schema.items, f"{path}[{index}]")


def type_causes(value: Any, schema: Schema, path: str) -> list[Cause]:
    """Return what is of a wrong type, and nothing else."""
    return [cause for cause in _structure(value, schema, path) if cause.reason == "FieldValueTypeInvalid"]


def schema_causes(value: Object, schema: Schema) -> list[Cause]:
    """Return everything that is wrong by the schema, then by its rules."""
    # The metadata of any object has checks of its own, with words of their own.
    body = {name: item for name, item in value.items() if name != "metadata"}
    found = list(_structure(body, schema, ""))
    if any(cause.reason in _BLOCKING for cause in found):
        return [*found, NOT_ASKED]
    return found + list(_rules(body, schema, ""))


def metadata_causes(metadata: Object) -> list[Cause]:
    """Return what is wrong with an object's name and labels."""
    found = []
    name = metadata.get("name", "")
    if len(name) > 253:
        shown = f"Invalid value: {json.dumps(name)}: must be no more than 253 bytes"
        found.append(Cause("FieldValueInvalid", shown, "metadata.name"))
    if not re.fullmatch(_SUBDOMAIN, name):
        found.append(Cause("FieldValueInvalid", f"Invalid value: {json.dumps(name)}: {_NAME_RULE}", "metadata.name"))
    for field in ("labels", "annotations"):
        for key in metadata.get(field) or {}:
            if not re.fullmatch(_LABEL_KEY, key.rpartition("/")[2]) or len(key.rpartition("/")[2]) > 63:
                found.append(Cause("FieldValueInvalid", f"Invalid value: {json.dumps(key)}: {_KEY_RULE}", f"metadata.{field}"))
    for value in (metadata.get("labels") or {}).values():
        if len(value) > 63:
            shown = f"Invalid value: {json.dumps(value)}: must be no more than 63 bytes"
            found.append(Cause("FieldValueInvalid", shown, "metadata.labels"))
        if not re.fullmatch(_LABEL_VALUE, value):
            found.append(Cause("FieldValueInvalid", f"Invalid value: {json.dumps(value)}: {_LABEL_RULE}", "metadata.labels"))
    return found
