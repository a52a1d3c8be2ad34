"""What the API server refuses about an object, as causes of a Status: the core's faults, in the lab's shape."""

from __future__ import annotations

from typing import Any

from egressctl.istio.admission import object_meta, structural
from egressctl.istio.admission.schema import Schema
from egressctl.lab.api.status import Object, StatusCause

RULES_NOT_CHECKED = StatusCause(
    "FieldValueInvalid",
    "Invalid value: null: some validation rules were not checked because the object was invalid; "
    "correct the existing errors to complete validation",
    "<nil>",
)


def unknown_field_paths(value: Any, schema: Schema) -> list[str]:
    """Return the paths of fields that the schema does not declare."""
    return [structural.dotted_path(path) for path in structural.paths_of_unknown_fields(value, schema)]


def type_causes(value: Any, schema: Schema, path: str) -> list[StatusCause]:
    """Return what is of a wrong type, and nothing else."""
    return [_status_cause(fault) for fault in structural.type_faults(value, schema, path)]


def schema_causes(value: Object, schema: Schema) -> list[StatusCause]:
    """Return everything that is wrong by the schema, then by its rules, or a note that these were not asked."""
    found = structural.schema_faults(value, schema)
    causes = [_status_cause(fault) for fault in found]
    return [*causes, RULES_NOT_CHECKED] if structural.has_blocking_fault(found) else causes


def metadata_causes(obj_metadata: Object) -> list[StatusCause]:
    """Return what is wrong with an object's name, labels and annotations."""
    return [_status_cause(fault) for fault in object_meta.metadata_faults(obj_metadata)]


def _status_cause(fault: structural.Fault) -> StatusCause:
    return StatusCause(fault.reason, fault.message, fault.field)
