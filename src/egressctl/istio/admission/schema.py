"""Structural schemas, as CustomResourceDefinitions have them: which fields there are, and how lists merge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from egressctl.manifests.yaml_reader import ValuePath

SchemaType = Literal["object", "array", "string", "integer", "boolean", "any"]


class CelRule(NamedTuple):
    """A rule of `x-kubernetes-validations`, its CEL expression also written as a function of a value of the right type.

    `name` is lint's rule that a breach is reported under; schemas that lint does not know have none.
    """

    message: str
    holds: Callable[[Any], bool]
    cel: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True)
class Schema:
    """What a value may be.

    `additional` is the schema of a map's values, `items` that of a list's. `keys` makes a list a
    map by these fields (`x-kubernetes-list-type: map`); other lists are atomic. `open` objects keep
    fields that are not declared.
    """

    type: SchemaType
    properties: Mapping[str, Schema] = field(default_factory=dict)
    additional: Schema | None = None
    items: Schema | None = None
    keys: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    enum: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    min_items: int | None = None
    max_items: int | None = None
    max_length: int | None = None
    max_properties: int | None = None
    rules: tuple[CelRule, ...] = ()
    open: bool = False

    def child(self, name: str) -> Schema | None:
        """Return the schema of a field or map value; None where the field is not declared."""
        if name in self.properties:
            return self.properties[name]
        if self.additional is not None:
            return self.additional
        return ANY if self.open or self.type == "any" else None

    def at(self, path: ValuePath) -> Schema | None:
        """Return the schema of what stands at a path."""
        schema: Schema | None = self
        for step in path:
            schema = schema and (schema.items if isinstance(step, int) else schema.child(step))
        return schema


ANY = Schema("any")
STRING = Schema("string")
INTEGER = Schema("integer")
BOOLEAN = Schema("boolean")
STRINGS = Schema("array", items=STRING)
STRING_MAP = Schema("object", additional=STRING)
OPEN = Schema("object", open=True)


def object_schema(properties: Mapping[str, Schema], *, required: tuple[str, ...] = (), rules: tuple[CelRule, ...] = ()) -> Schema:
    """Return the schema of an object with just these fields."""
    return Schema("object", properties=properties, required=required, rules=rules)


_OWNER_REFERENCE = object_schema(
    {
        **dict.fromkeys(("apiVersion", "kind", "name", "uid"), STRING),
        **dict.fromkeys(("controller", "blockOwnerDeletion"), BOOLEAN),
    }
)
_MANAGED_FIELDS_ENTRY = object_schema(
    {**dict.fromkeys(("manager", "operation", "apiVersion", "time", "fieldsType", "subresource"), STRING), "fieldsV1": ANY}
)
_TEXT_FIELDS = (
    "name",
    "namespace",
    "generateName",
    "selfLink",
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "deletionTimestamp",
)

METADATA = object_schema(
    {
        **dict.fromkeys(_TEXT_FIELDS, STRING),
        "labels": STRING_MAP,
        "annotations": STRING_MAP,
        "ownerReferences": Schema("array", items=_OWNER_REFERENCE, keys=("uid",)),
        "finalizers": STRINGS,
        "managedFields": Schema("array", items=_MANAGED_FIELDS_ENTRY),
        "deletionGracePeriodSeconds": INTEGER,
        "generation": INTEGER,
    }
)
"""`ObjectMeta` of k8s.io/apimachinery."""


def kind_schema(spec: Schema | None = None, *, status: Schema = OPEN, spec_required: bool = False) -> Schema:
    """Return the schema of a whole object; without `spec` anything goes outside its metadata."""
    properties = {"apiVersion": STRING, "kind": STRING, "metadata": METADATA}
    if spec is None:
        return Schema("object", properties=properties, open=True)
    return object_schema({**properties, "spec": spec, "status": status}, required=("spec",) if spec_required else ())
