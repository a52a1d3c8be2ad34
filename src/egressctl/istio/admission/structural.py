"""What an API server refuses of an object by its kind's schema: unknown fields, types, limits, and then the CEL rules. Pure.

Words, order and what stops what follow k8s.io/apiextensions-apiserver: the rules are not asked where the schema has
already failed. Paths are reported twice: as steps, and as the API server writes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from egressctl.istio.admission.mistakes import Mistake
from egressctl.istio.admission.schema import ANY, Schema
from egressctl.manifests.yaml_reader import ValuePath

TYPE, ENUM, REQUIRED = "FieldValueTypeInvalid", "FieldValueNotSupported", "FieldValueRequired"
LONG, MANY, DUPLICATE, INVALID = "FieldValueTooLong", "FieldValueTooMany", "FieldValueDuplicate", "FieldValueInvalid"
_BLOCKING = (REQUIRED, ENUM, LONG, MANY, TYPE)

_RULE_OF_REASON = {
    TYPE: Mistake.WRONG_TYPE,
    ENUM: Mistake.UNKNOWN_VALUE,
    REQUIRED: Mistake.REQUIRED_FIELD,
    LONG: Mistake.TOO_MUCH,
    MANY: Mistake.TOO_MUCH,
    DUPLICATE: Mistake.DUPLICATE_PORT,
    INVALID: Mistake.OUT_OF_RANGE,
}
_TYPE_NAMES: Mapping[type, str] = {dict: "object", list: "array", bool: "boolean"}
_NO_FIELDS = Schema("object")
_INT64_LIMIT = 2**63


class Fault(NamedTuple):
    """One thing that the API server refuses: `reason` is its own, `rule` lint's, `field` the path as it writes it."""

    reason: str
    message: str
    field: str
    path: ValuePath
    rule: str


def json_type_of(value: Any) -> str:
    """Return JSON Schema's name for a value's type; a number without a fraction is an integer, however it is written."""
    if isinstance(value, str):
        return "string"
    if isinstance(value, float):
        return "integer" if value.is_integer() and abs(value) < _INT64_LIMIT else "number"
    if isinstance(value, int) and not isinstance(value, bool):
        return "integer" if -_INT64_LIMIT <= value < _INT64_LIMIT else "number"
    return _TYPE_NAMES.get(type(value), "null")


def quote_value(value: Any) -> str:
    """Show a value about as Go's %q and JSON do."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def paths_of_unknown_fields(value: Any, schema: Schema, path: ValuePath = ()) -> Iterator[ValuePath]:
    """Yield the paths of fields that the schema does not declare. What is of a wrong type has no declared fields."""
    if isinstance(value, dict):
        for name, item in value.items():
            child = schema.child(name)
            if child is None:
                yield (*path, name)
            else:
                yield from paths_of_unknown_fields(item, child, (*path, name))
    elif isinstance(value, list) and schema.type != "any":
        for index, item in enumerate(value):
            yield from paths_of_unknown_fields(item, schema.items or (ANY if schema.open else _NO_FIELDS), (*path, index))


def dotted_path(path: ValuePath) -> str:
    """Write a path as the API server does where it speaks of structure: `spec.ports[0].foo`, without any quoting."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).removeprefix(".")


def prune_unknown_fields(value: Any, schema: Schema) -> Any:
    """Return the value without the fields that the schema does not declare."""
    if isinstance(value, dict):
        declared = {name: child for name in value if (child := schema.child(name)) is not None}
        return {name: prune_unknown_fields(value[name], child) for name, child in declared.items()}
    if isinstance(value, list) and schema.items:
        return [prune_unknown_fields(item, schema.items) for item in value]
    return value


def without_nulls(value: Any, schema: Schema) -> Any:
    """Return the value without declared fields that are null: the API server takes them as not there. Items of lists stay."""
    if isinstance(value, dict):
        return {
            name: without_nulls(item, child)
            for name, item in value.items()
            if (child := schema.child(name) or ANY).type == "any" or item is not None
        }
    if isinstance(value, list) and schema.items:
        return [without_nulls(item, schema.items) for item in value]
    return value


def type_faults(value: Any, schema: Schema, field: str) -> list[Fault]:
    """Return what is of a wrong type, and nothing else."""
    return [fault for fault in structure_faults(value, schema, (field,)) if fault.reason == TYPE]


def has_blocking_fault(found: Iterable[Fault]) -> bool:
    """Say whether faults keep the API server from asking the rules."""
    return any(fault.reason in _BLOCKING for fault in found)


def schema_faults(value: Mapping[str, Any], schema: Schema, *, blocked: bool = False) -> list[Fault]:
    """Return everything that is wrong by the schema; where nothing of it is blocking, also by the rules.

    The metadata of an object is left out: it has checks of its own, and `blocked` says that these had blocking ones.
    """
    body = {name: item for name, item in value.items() if name != "metadata"}
    found = list(structure_faults(body, schema))
    return found if blocked or has_blocking_fault(found) else found + list(cel_rule_faults(body, schema))


def _fault(reason: str, message: str, path: ValuePath, rule: str = "") -> Fault:
    return Fault(reason, message, dotted_path(path), path, rule or _RULE_OF_REASON[reason])


def structure_faults(value: Any, schema: Schema, path: ValuePath = ()) -> Iterator[Fault]:
    """Yield what is wrong by the schema, but for its rules."""
    got = json_type_of(value)
    fits = schema.type in ("any", got)
    if not fits:
        yield _fault(TYPE, f'Invalid value: "{got}": {dotted_path(path)} in body must be of type {schema.type}: "{got}"', path)
    if schema.enum and value not in schema.enum:
        supported = ", ".join(quote_value(word) for word in schema.enum)
        yield _fault(ENUM, f"Unsupported value: {quote_value(value)}: supported values: {supported}", path)
    if not fits:
        return
    if isinstance(value, str):
        if schema.max_length is not None and len(value) > schema.max_length:
            yield _fault(LONG, f"Too long: may not be more than {schema.max_length} bytes", path)
    elif isinstance(value, dict):
        yield from _object_faults(value, schema, path)
    elif isinstance(value, list):
        yield from _array_faults(value, schema, path)
    elif isinstance(value, int | float):
        if schema.minimum is not None and value < schema.minimum:
            shown = f"Invalid value: {value}: {dotted_path(path)} in body should be greater than or equal to {schema.minimum}"
            yield _fault(INVALID, shown, path)
        elif schema.maximum is not None and value > schema.maximum:
            shown = f"Invalid value: {value}: {dotted_path(path)} in body should be less than or equal to {schema.maximum}"
            yield _fault(INVALID, shown, path)


def _object_faults(value: Mapping[str, Any], schema: Schema, path: ValuePath) -> Iterator[Fault]:
    if schema.max_properties is not None and len(value) > schema.max_properties:
        yield _fault(MANY, f"Too many: {len(value)}: must have at most {schema.max_properties} items", path)
    for name in sorted(value):
        child = schema.child(name)
        if child is not None:
            yield from structure_faults(value[name], child, (*path, name))
    for name in schema.required:
        if name not in value:
            yield _fault(REQUIRED, "Required value", (*path, name))


def _array_faults(value: list[Any], schema: Schema, path: ValuePath) -> Iterator[Fault]:
    if schema.min_items is not None and len(value) < schema.min_items:
        shown = f"Invalid value: {len(value)}: {dotted_path(path)} in body should have at least {schema.min_items} items"
        yield _fault(INVALID, shown, path, _RULE_OF_REASON[REQUIRED])
    if schema.max_items is not None and len(value) > schema.max_items:
        yield _fault(MANY, f"Too many: {len(value)}: must have at most {schema.max_items} items", path)
    if schema.items:
        for index, item in enumerate(value):
            yield from structure_faults(item, schema.items, (*path, index))
    if schema.keys:
        yield from _duplicate_faults(value, schema.keys, path)


def _duplicate_faults(value: list[Any], keys: tuple[str, ...], path: ValuePath) -> Iterator[Fault]:
    seen: list[dict[str, Any]] = []
    for index, item in enumerate(value):
        key = {name: item[name] for name in keys if name in item} if isinstance(item, dict) else {}
        if len(key) < len(keys):
            continue
        if key in seen:
            yield _fault(DUPLICATE, f"Duplicate value: {quote_value(key)}", (*path, index))
        seen.append(key)


def cel_rule_faults(value: Any, schema: Schema, path: ValuePath = (), field: str = "") -> Iterator[Fault]:
    """Yield the breaches of rules; `field` is the path as the rules' evaluator writes it, with keys of maps in brackets."""
    if schema.rules:
        if isinstance(value, float):
            # 443.0 is an integer to the schema, and none to CEL.
            wrong = f"invalid data, expected int, got float64 evaluating rule: {schema.rules[0].message}"
            yield Fault(INVALID, f'Invalid value: "integer": {wrong}', field, path, _RULE_OF_REASON[TYPE])
            return
        for rule in schema.rules:
            if not rule.holds(value):
                shown = "" if isinstance(value, dict | list) else f"{quote_value(value)}: "
                yield Fault(INVALID, f"Invalid value: {shown}{rule.message}", field, path, rule.name)
    if isinstance(value, dict):
        for name in sorted(value):
            child = schema.child(name)
            if child is not None:
                here = (f"{field}.{name}" if field else name) if name in schema.properties else f"{field}[{name}]"
                yield from cel_rule_faults(value[name], child, (*path, name), here)
    elif isinstance(value, list) and schema.items and (schema.items.rules or schema.items.type in ("object", "array")):
        for index, item in enumerate(value):
            yield from cel_rule_faults(item, schema.items, (*path, index), f"{field}[{index}]")
