"""What a real API server with Istio refuses or warns of, told of one ServiceEntry manifest without asking it. Pure.

The stages are the API server's own, and each is asked only where the one before found nothing, as it does: the version,
strict decoding, the CustomResourceDefinition with its CEL rules, and istiod's webhook. What is refused is not warned of.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from egressctl.istio.admission import crd, object_meta, structural, webhook
from egressctl.istio.admission.schema import Schema
from egressctl.istio.admission.webhook import WebhookMessage
from egressctl.lint.api_server_rules import REFUSAL_RULES, WARNING_RULES
from egressctl.lint.rules import ORIGIN_ISTIO, Finding
from egressctl.manifests.yaml_reader import Document, ValuePath, quote_text


def is_service_entry(document: Document) -> bool:
    """Say whether a document is meant as Istio's ServiceEntry, of whatever version."""
    group = str(document.value.get("apiVersion")).partition("/")[0]
    return document.value.get("kind") == crd.KIND and group == crd.GROUP


def api_server_findings(document: Document, namespace: str = "") -> list[Finding]:
    """Return what a real API server with Istio's definition (fieldValidation=Strict) and webhook says of a ServiceEntry.

    What it refuses has the severity error, what it warns of warning; each finding is of origin `istio` and in its words. Where
    there is no error, it accepts. `namespace` is where the entry goes if it names none itself.
    """
    return [_finding(document, told) for told in _api_server_messages(document.value, namespace)]


def _api_server_messages(value: Mapping[str, Any], namespace: str) -> list[WebhookMessage]:
    version = value.get("apiVersion")
    if version not in [f"{crd.GROUP}/{each}" for each in crd.VERSIONS]:
        told = quote_text(version) if isinstance(version, str) else "this"
        return [WebhookMessage(f"{told} is no version that a ServiceEntry is served in", ("apiVersion",), "unserved-version")]
    about = object_meta.decode_metadata(value.get("metadata"))
    if wrong := object_meta.decode_faults(about):
        return _fault_messages(wrong, object_meta.INVALID_METADATA)
    if unknown := list(structural.paths_of_unknown_fields(value, crd.SERVICE_ENTRY)):
        return [WebhookMessage(f'unknown field "{structural.dotted_path(path)}"', path, "unknown-field") for path in unknown]
    # What a client sends as status is dropped, as the definition has a subresource for it.
    entry = structural.without_nulls({name: item for name, item in value.items() if name != "status"}, crd.SERVICE_ENTRY)
    owners = _fault_messages(object_meta.owner_warnings(about))
    found = object_meta.metadata_faults(about)
    found += structural.schema_faults(entry, crd.SERVICE_ENTRY, blocked=structural.has_blocking_fault(found))
    if found:
        return _fault_messages(found) + owners
    judged = webhook.validate_service_entry({**entry, "metadata": about}, namespace)
    return [*(judged.errors or judged.warnings), *_fault_messages(object_meta.finalizer_warnings(about)), *owners]


def _fault_messages(faults: Iterable[structural.Fault], rule: str = "") -> list[WebhookMessage]:
    return [WebhookMessage(fault.message, fault.path, rule or fault.rule) for fault in faults]


def _finding(document: Document, told: WebhookMessage) -> Finding:
    place = document.place(told.path)
    remedy = _remedy(told.path, told.rule)
    return Finding(told.rule, told.message, place.field, remedy, origin=ORIGIN_ISTIO, file=place.source, line=place.line)


def _remedy(path: ValuePath, rule: str) -> str:
    if rule == "unknown-field":
        return _nearest_field(path) or REFUSAL_RULES[rule].remedy
    return (REFUSAL_RULES.get(rule) or WARNING_RULES[rule]).remedy


def _nearest_field(path: ValuePath) -> str:
    """Offer the known field that is spelt most like an unknown one."""
    schema: Schema | None = crd.SERVICE_ENTRY
    for step in path[:-1]:
        schema = schema and (schema.items if isinstance(step, int) else schema.child(step))
    known = {name.lower(): name for name in (schema.properties if schema else ())}
    near = difflib.get_close_matches(str(path[-1]).lower(), known, 1)
    return f"did you mean {known[near[0]]}?" if near else f"known here: {', '.join(known.values())}" if known else ""
