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
from egressctl.istio.admission.webhook import Told
from egressctl.lint.api_server_rules import REFUSED, WARNED
from egressctl.lint.rules import ISTIO, Finding
from egressctl.manifests.yaml_reader import Document, Path, shown


def is_service_entry(document: Document) -> bool:
    """Say whether a document is meant as Istio's ServiceEntry, of whatever version."""
    group = str(document.value.get("apiVersion")).partition("/")[0]
    return document.value.get("kind") == crd.KIND and group == crd.GROUP


def refusals(document: Document, namespace: str = "") -> list[Finding]:
    """Return what a real API server with Istio's definition (fieldValidation=Strict) and webhook says of a ServiceEntry.

    What it refuses has the severity error, what it warns of warning; each finding is of origin `istio` and in its words. Where
    there is no error, it accepts. `namespace` is where the entry goes if it names none itself.
    """
    return [_finding(document, told) for told in _said(document.value, namespace)]


def _said(value: Mapping[str, Any], namespace: str) -> list[Told]:
    version = value.get("apiVersion")
    if version not in [f"{crd.GROUP}/{each}" for each in crd.VERSIONS]:
        told = shown(version) if isinstance(version, str) else "this"
        return [Told(f"{told} is no version that a ServiceEntry is served in", ("apiVersion",), "unserved-version")]
    about = object_meta.decoded(value.get("metadata"))
    if wrong := object_meta.undecodable(about):
        return _told(wrong, object_meta.RULE)
    if unknown := list(structural.unknown_fields(value, crd.SERVICE_ENTRY)):
        return [Told(f'unknown field "{structural.dotted(path)}"', path, "unknown-field") for path in unknown]
    # What a client sends as status is dropped, as the definition has a subresource for it.
    entry = structural.without_nulls({name: item for name, item in value.items() if name != "status"}, crd.SERVICE_ENTRY)
    owners = _told(object_meta.owner_warnings(about))
    found = object_meta.faults(about)
    found += structural.faults(entry, crd.SERVICE_ENTRY, blocked=structural.blocking(found))
    if found:
        return _told(found) + owners
    judged = webhook.judged({**entry, "metadata": about}, namespace)
    return [*(judged.errors or judged.warnings), *_told(object_meta.finalizer_warnings(about)), *owners]


def _told(faults: Iterable[structural.Fault], rule: str = "") -> list[Told]:
    return [Told(fault.message, fault.path, rule or fault.rule) for fault in faults]


def _finding(document: Document, told: Told) -> Finding:
    place = document.place(told.path)
    remedy = _remedy(told.path, told.rule)
    return Finding(told.rule, told.message, place.field, remedy, origin=ISTIO, file=place.source, line=place.line)


def _remedy(path: Path, rule: str) -> str:
    if rule == "unknown-field":
        return _nearest(path) or REFUSED[rule].remedy
    return (REFUSED.get(rule) or WARNED[rule]).remedy


def _nearest(path: Path) -> str:
    """Offer the known field that is spelt most like an unknown one."""
    schema: Schema | None = crd.SERVICE_ENTRY
    for step in path[:-1]:
        schema = schema and (schema.items if isinstance(step, int) else schema.child(step))
    known = {name.lower(): name for name in (schema.properties if schema else ())}
    near = difflib.get_close_matches(str(path[-1]).lower(), known, 1)
    return f"did you mean {known[near[0]]}?" if near else f"known here: {', '.join(known.values())}" if known else ""
