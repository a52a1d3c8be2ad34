"""What the API server refuses about an object, as causes of a Status: the core's faults, in the lab's shape."""

from __future__ import annotations

from typing import Any

from egressctl.istio.admission import object_meta, structural
from egressctl.istio.admission.schema import Schema
from egressctl.lab.api.status import Cause, Object

NOT_ASKED = Cause(
    "FieldValueInvalid",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
    "<nil>",
)


def unknown_fields(value: Any, schema: Schema) -> list[str]:
    """Return the paths of fields that the schema does not declare."""
    return [structural.dotted(path) for path in structural.unknown_fields(value, schema)]


def type_causes(value: Any, schema: Schema, path: str) -> list[Cause]:
    """Return what is of a wrong type, and nothing else."""
    return [_cause(fault) for fault in structural.type_faults(value, schema, path)]


def schema_causes(value: Object, schema: Schema) -> list[Cause]:
    """Return everything that is wrong by the schema, then by its rules, or a note that these were not asked."""
    found = structural.faults(value, schema)
    causes = [_cause(fault) for fault in found]
    return [*causes, NOT_ASKED] if structural.blocking(found) else causes


def metadata_causes(obj_metadata: Object) -> list[Cause]:
    """Return what is wrong with an object's name, labels and annotations."""
    return [_cause(fault) for fault in object_meta.faults(obj_metadata)]


def _cause(fault: structural.Fault) -> Cause:
    return Cause(fault.reason, fault.message, fault.field)
