"""What a Kubernetes cluster with Istio refuses in the spec of a ServiceEntry, reported of all stages at once. Pure.

The API server reports the mistakes of one stage, and those of the next only when they are fixed. Here something that fits
stands in for what is misshapen or missing, and every stage is asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from egressctl.istio.admission import crd, structural, webhook
from egressctl.istio.admission.mistakes import Mistake
from egressctl.istio.admission.schema import Schema
from egressctl.istio.admission.webhook import WebhookMessage
from egressctl.manifests.yaml_reader import ValuePath


def spec_mistakes(spec: Mapping[str, Any]) -> list[WebhookMessage]:
    """Return every mistake, at its path within the spec. A field that is null is one: the API server would pass over it."""
    unknown = structural.paths_of_unknown_fields(spec, crd.SPEC)
    found = [WebhookMessage("unknown field", path, Mistake.UNKNOWN_FIELD) for path in unknown]
    stood_in: set[ValuePath] = set()
    for fault in structural.structure_faults(spec, crd.SPEC):
        if fault.path not in stood_in:
            found.append(WebhookMessage(fault.message, fault.path, fault.rule))
        if fault.reason not in (structural.MANY, structural.DUPLICATE):
            stood_in.add(fault.path)
    fitting = _fitting(spec, crd.SPEC)
    if ("resolution",) in stood_in:
        fitting.pop("endpoints", None)  # whether they go with it cannot be said
    for cel in structural.cel_rule_faults(fitting, crd.SPEC):
        if not _is_within(cel.path, stood_in):
            found.append(WebhookMessage(cel.message, cel.path, cel.rule))
    # Of one endpoint or host the webhook would say the same again; of the spec or a list as a whole it says something else.
    refused = stood_in | {each.path for each in found if len(each.path) > 1 and each.rule != Mistake.DUPLICATE_PORT}
    judged = (each._replace(path=each.path[1:]) for each in webhook.validate_service_entry({"spec": fitting}).errors)
    return found + [each for each in judged if not _is_within(each.path, refused)]


def _is_within(path: ValuePath, others: set[ValuePath]) -> bool:
    return any(path[: n + 1] in others for n in range(len(path)))


def _fitting(value: Any, schema: Schema, index: int = 0) -> Any:
    """Return the value with only what the schema knows, in its form; stand-ins in one list differ, and equal no number."""
    if schema.type not in ("any", structural.json_type_of(value)):
        value = {"object": {}, "array": [], "string": f"x{index}", "integer": index + 0.5}[schema.type]
    if schema.enum and value not in schema.enum:
        return schema.enum[0]
    if isinstance(value, dict):
        wanted = {**dict.fromkeys(schema.required), **value}
        return {name: _fitting(item, child, index) for name, item in wanted.items() if (child := schema.child(name))}
    if isinstance(value, list) and schema.items:
        return [_fitting(item, schema.items, position) for position, item in enumerate(value)]
    return value
