"""Server-side apply and the bookkeeping of `metadata.managedFields`, as pure functions of objects.

After k8s.io/apimachinery/pkg/util/managedfields and sigs.k8s.io/structured-merge-diff, `merge/update.go`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from egressctl.istio.admission.schema import ANY, Schema
from egressctl.istio.admission.structural import json_type_of
from egressctl.lab.api import fields
from egressctl.lab.api.fields import FieldPath, FieldSet
from egressctl.lab.api.status import ApiError, Object, StatusCause, apply_conflict_error, error_without_reason

_FIELDS_OF_THE_SERVER = tuple(
    ("f:metadata", f"f:{name}")
    for name in (
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "managedFields",
        "selfLink",
        "generateName",
    )
)


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes: a field manager, the version it speaks, the subresource it writes to, and when (RFC 3339)."""

    manager: str
    api_version: str
    time: str
    subresource: str = ""


@dataclass(frozen=True, slots=True)
class _ManagedFieldsEntry:
    """One entry of managedFields. Applies of one manager are one entry, whatever version they speak."""

    manager: str
    operation: str
    api_version: str
    subresource: str
    time: str
    owned: FieldSet

    @property
    def identity(self) -> tuple[str, ...]:
        return (self.manager, self.operation, "" if self.operation == "Apply" else self.api_version, self.subresource)

    def __str__(self) -> str:
        text = json.dumps(self.manager)
        if self.subresource:
            text += f" with subresource {json.dumps(self.subresource)}"
        if self.operation == "Update":
            text += f" using {self.api_version} at {self.time}"
        return text

    def body(self) -> Object:
        entry: Object = {
            "manager": self.manager,
            "operation": self.operation,
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": fields.encode_fields(self.owned),
        }
        return {**entry, "subresource": self.subresource} if self.subresource else entry


def _entries(obj: Object) -> list[_ManagedFieldsEntry]:
    return [
        _ManagedFieldsEntry(
            manager=entry.get("manager", ""),
            operation=entry.get("operation", ""),
            api_version=entry.get("apiVersion", ""),
            subresource=entry.get("subresource", ""),
            time=entry.get("time", ""),
            owned=fields.decode_fields(entry.get("fieldsV1") or {}),
        )
        for entry in obj.get("metadata", {}).get("managedFields") or []
    ]


def _with_entries(obj: Object, entries: list[_ManagedFieldsEntry]) -> Object:
    written = [entry.body() for entry in entries if entry.owned]
    metadata = {name: value for name, value in obj.get("metadata", {}).items() if name != "managedFields"}
    return {**obj, "metadata": {**metadata, "managedFields": written} if written else metadata}


def _ownable_fields(paths: FieldSet, subresource: str) -> FieldSet:
    """Leave out what a writer cannot own: identity, what the server writes, and status but by its subresource."""
    if subresource == "status":
        return frozenset(path for path in paths if path[0] == "f:status")
    return frozenset(
        path
        for path in paths
        if path[0] not in ("f:apiVersion", "f:kind", "f:status")
        and path != ("f:metadata",)
        and path[:2] not in _FIELDS_OF_THE_SERVER
    )


def schema_errors(value: Any, schema: Schema, path: FieldPath = ()) -> Iterator[str]:
    """Return what keeps an applied configuration from being read by the schema, in the API server's words."""
    here = fields.path_text(path)
    got = json_type_of(value)
    if value is None:
        return
    if schema.type not in ("any", got):
        expected = {"object": "map", "array": "list", "integer": "numeric (int or float)"}.get(schema.type, schema.type)
        shown = {"object": "map", "array": "list", "integer": "int64"}.get(got, got)
        yield f"{here}: expected {expected}, got {shown}"
    elif isinstance(value, dict):
        for name, item in value.items():
            child = schema.child(name)
            inner = (*path, f"f:{name}")
            if child is None:
                yield f"{fields.path_text(inner)}: field not declared in schema"
            else:
                yield from schema_errors(item, child, inner)
    elif isinstance(value, list):
        yield from _schema_errors_of_items(value, schema, path)


def _schema_errors_of_items(value: list[Any], schema: Schema, path: FieldPath) -> Iterator[str]:
    here = fields.path_text(path)
    seen = set()
    for index, item in enumerate(value):
        if not schema.keys:
            # Items of an atomic list have no path of their own; messages count them.
            for problem in schema_errors(item, schema.items or ANY, ()):
                yield f"{here}[{index}]{problem}"
            continue
        missing = next((name for name in schema.keys if not isinstance(item, dict) or name not in item), None)
        if missing:
            keyed = (
                f'associative list with keys has an element that omits key field "{missing}" (and doesn\'t have default value)'
            )
            yield f"{here}: element {index}: {keyed}"
            continue
        key = fields.item_key(item, schema.keys)
        if key in seen:
            yield f"{here}: duplicate entries for key {fields.path_text((key,))}"
        seen.add(key)
        yield from schema_errors(item, schema.items or ANY, (*path, key))


def check_against_schema(config: Object, schema: Schema) -> None:
    """Raise the API server's 500 where the schema does not know what is applied."""
    problems = list(schema_errors(config, schema))
    if not problems:
        return
    about = config.get("metadata", {})
    group, _, version = config.get("apiVersion", "").rpartition("/")
    kind = f"{group}/{version}, Kind={config.get('kind')}"
    listed = problems[0] if len(problems) == 1 else "errors:\n" + "\n".join(f"  {problem}" for problem in problems)
    where = f"{about.get('namespace', '')}/{about.get('name', '')}; {kind}"
    raise error_without_reason(f"failed to create typed patch object ({where}): {listed}")


def _conflict_error(conflicts: list[tuple[_ManagedFieldsEntry, FieldPath]]) -> ApiError:
    causes = [StatusCause("FieldManagerConflict", f"conflict with {entry}", fields.path_text(path)) for entry, path in conflicts]
    if len(causes) == 1:
        return apply_conflict_error(f"Apply failed with 1 conflict: {causes[0].message}: {causes[0].field}", causes)
    lines = []
    for manager in sorted({str(entry) for entry, _ in conflicts}):
        lines.append(f"conflicts with {manager}:")
        lines += [f"- {fields.path_text(path)}" for entry, path in conflicts if str(entry) == manager]
    return apply_conflict_error(f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines), causes)


def _remove_unapplied(obj: Object, dropped: FieldSet, kept: FieldSet, schema: Schema) -> Object:
    """Remove what the manager no longer applies, save what others own, whole or in part."""
    # What holds others first: with an item of a list goes all that is in it, its key included.
    for path in sorted(dropped, key=len):
        if not any(other[: len(path)] == path for other in kept):
            obj = fields.without_field(obj, path, schema)
    return obj


def apply(live: Object, config: Object, schema: Schema, writer: Writer, *, force: bool = False) -> Object:
    """Return the live object with `config` applied by the writer, and managedFields after it.

    `live` is `{}` where there is none yet. Raises ApiError 500 where the schema does not know the
    configuration, and 409 where other managers own what it changes and `force` is not set; with
    `force` they lose those fields.
    """
    check_against_schema(config, schema)
    applied = _ownable_fields(frozenset(fields.field_values(config, schema)), writer.subresource)
    entries = _entries(live)
    mine = _ManagedFieldsEntry(writer.manager, "Apply", writer.api_version, writer.subresource, writer.time, applied)
    others = [entry for entry in entries if entry.identity != mine.identity]
    last = next((entry for entry in entries if entry.identity == mine.identity), None)

    result = fields.merge_values(live, config, schema)
    if last:
        kept = frozenset[FieldPath]().union(applied, *(entry.owned for entry in others))
        result = _remove_unapplied(result, last.owned - applied, kept, schema)
    difference = fields.compare_fields(live, result, schema)
    conflicts = [(entry, path) for entry in others for path in sorted(entry.owned & difference.written)]
    if conflicts and not force:
        raise _conflict_error(conflicts)
    taken = difference.written | difference.removed
    others = [replace(entry, owned=entry.owned - taken) if entry.owned & taken else entry for entry in others]
    if last and (last.owned, last.api_version) == (mine.owned, mine.api_version):
        mine = replace(mine, time=last.time)
    return _with_entries(result, [*others, mine])


def with_managed_fields(live: Object, new: Object, schema: Schema, writer: Writer) -> Object:
    """Return `new` with managedFields after a create, replace or patch by the writer, which takes what it changes.

    managedFields that `new` itself changes are believed, as the API server does: this is how
    clients hand fields over. `live` is `{}` for a create.
    """
    entries = _entries(new if "managedFields" in new.get("metadata", {}) else live)
    difference = fields.compare_fields(live, new, schema)
    written = _ownable_fields(difference.written, writer.subresource)
    taken = difference.written | difference.removed
    mine = _ManagedFieldsEntry(writer.manager, "Update", writer.api_version, writer.subresource, writer.time, written)
    others, before = [], frozenset[FieldPath]()
    for entry in entries:
        if entry.identity == mine.identity:
            before = entry.owned - difference.removed
            if not written:
                mine = replace(mine, time=entry.time)
        else:
            others.append(replace(entry, owned=entry.owned - taken) if entry.owned & taken else entry)
    return copy.deepcopy(_with_entries(new, [*others, replace(mine, owned=before | written)]))
