"""Server-side apply and the bookkeeping of `metadata.managedFields`, as pure functions of objects.

After k8s.io/apimachinery/pkg/util/managedfields and sigs.k8s.io/structured-merge-diff, `merge/update.go`.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from egressctl.istio.admission.schema import ANY, Schema
from egressctl.istio.admission.structural import json_type_of
from egressctl.lab.api import fields
from egressctl.lab.api.fields import FieldPath, FieldSet
from egressctl.lab.api.status import ApiError, Object, cause_bodies

_FIELDS_OF_THE_SERVER = {
    "f:name", "f:namespace", "f:uid", "f:resourceVersion", "f:generation", "f:creationTimestamp", "f:deletionTimestamp",
    "f:deletionGracePeriodSeconds", "f:managedFields", "f:selfLink", "f:generateName",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Writer:
    """Who writes: a field manager, the version it speaks, when (RFC 3339), and the subresource it writes to."""

    manager: str
    api_version: str
    time: str
    subresource: str = ""


class _Entry(NamedTuple):
    """One entry of managedFields: what it says, and the fields that it spells."""

    about: Object
    owned: FieldSet

    @property
    def identity(self) -> tuple[str, ...]:
        """Applies of one manager are one entry, whatever version they speak."""
        names = ("manager", "operation", "subresource", "" if self.about.get("operation") == "Apply" else "apiVersion")
        return tuple(self.about.get(name, "") for name in names)

    def __str__(self) -> str:
        about = self.about
        text = json.dumps(about.get("manager", ""))
        if about.get("subresource"):
            text += f" with subresource {json.dumps(about['subresource'])}"
        if about.get("operation") == "Update":
            text += f" using {about.get('apiVersion')} at {about.get('time')}"
        return text


def _entry_of(writer: Writer, operation: str, owned: FieldSet) -> _Entry:
    about = {"manager": writer.manager, "operation": operation, "apiVersion": writer.api_version, "time": writer.time}
    return _Entry({**about, **({"subresource": writer.subresource} if writer.subresource else {})}, owned)


def _entries(obj: Object) -> list[_Entry]:
    said = obj.get("metadata", {}).get("managedFields") or []
    return [_Entry(entry, fields.decode_fields(entry.get("fieldsV1") or {})) for entry in said]


def _with_entries(obj: Object, entries: list[_Entry]) -> Object:
    written = [{**about, "fieldsType": "FieldsV1", "fieldsV1": fields.encode_fields(owned)} for about, owned in entries if owned]
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
        and not (path[0] == "f:metadata" and path[1] in _FIELDS_OF_THE_SERVER)
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
    # Without reason or details, as the API server answers a plain Go error.
    raise ApiError(500, "", f"failed to create typed patch object ({where}): {listed}")


def _conflict_error(conflicts: list[tuple[str, str]]) -> ApiError:
    """Return the 409 about managers and the paths of the fields that they own."""
    if len(conflicts) == 1:
        message = "Apply failed with 1 conflict: conflict with {}: {}".format(*conflicts[0])
    else:
        lines: list[str] = []
        for manager in sorted({manager for manager, _ in conflicts}):
            lines += [f"conflicts with {manager}:", *(f"- {path}" for owner, path in conflicts if owner == manager)]
        message = f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)
    causes = cause_bodies(("FieldManagerConflict", f"conflict with {manager}", path) for manager, path in conflicts)
    return ApiError(409, "Conflict", message, {"causes": causes})


def apply(live: Object, config: Object, schema: Schema, writer: Writer, *, force: bool = False) -> Object:
    """Return the live object with `config` applied by the writer, and managedFields after it.

    `live` is `{}` where there is none yet. Raises ApiError 500 where the schema does not know the
    configuration, and 409 where other managers own what it changes and `force` is not set; with
    `force` they lose those fields.
    """
    check_against_schema(config, schema)
    applied = _ownable_fields(frozenset(fields.field_values(config, schema)), writer.subresource)
    entries = _entries(live)
    mine = _entry_of(writer, "Apply", applied)
    others = [entry for entry in entries if entry.identity != mine.identity]
    last = next((entry for entry in entries if entry.identity == mine.identity), None)

    result = fields.merge_values(live, config, schema)
    if last:
        # What is no longer applied goes, save what others own, whole or in part. What holds others goes first: with an item
        # of a list all that is in it, its key included.
        kept = frozenset[FieldPath]().union(applied, *(entry.owned for entry in others))
        for path in sorted(last.owned - applied, key=len):
            if not any(other[: len(path)] == path for other in kept):
                result = fields.without_field(result, path, schema)
    written, removed = fields.compare_fields(live, result, schema)
    conflicts = [(str(entry), fields.path_text(path)) for entry in others for path in sorted(entry.owned & written)]
    if conflicts and not force:
        raise _conflict_error(conflicts)
    others = [_Entry(about, owned - written - removed) for about, owned in others]
    if last and (last.owned, last.about.get("apiVersion")) == (applied, writer.api_version):
        mine.about["time"] = last.about.get("time", "")
    return _with_entries(result, [*others, mine])


def with_managed_fields(live: Object, new: Object, schema: Schema, writer: Writer) -> Object:
    """Return `new` with managedFields after a create, replace or patch by the writer, which takes what it changes.

    managedFields that `new` itself changes are believed, as the API server does: this is how
    clients hand fields over. `live` is `{}` for a create.
    """
    entries = _entries(new if "managedFields" in new.get("metadata", {}) else live)
    changed, removed = fields.compare_fields(live, new, schema)
    written = _ownable_fields(changed, writer.subresource)
    mine = _entry_of(writer, "Update", written)
    others, before = [], frozenset[FieldPath]()
    for entry in entries:
        if entry.identity == mine.identity:
            before = entry.owned - removed
            if not written:
                mine.about["time"] = entry.about.get("time", "")
        else:
            others.append(_Entry(entry.about, entry.owned - changed - removed))
    return copy.deepcopy(_with_entries(new, [*others, _Entry(mine.about, before | written)]))
