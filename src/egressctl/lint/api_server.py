"""What a real API server with Istio refuses or warns of, reported of one ServiceEntry manifest without asking it. Pure.

The stages are the API server's own, and each is asked only where the one before found nothing, as it does: the version,
strict decoding, the CustomResourceDefinition with its CEL rules, and istiod's webhook. What is refused is not warned of.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from egressctl.istio.admission import crd, object_meta, structural, webhook
from egressctl.istio.admission.mistakes import Mistake
from egressctl.istio.admission.webhook import WebhookMessage
from egressctl.lint.rule import RULES, Finding
from egressctl.lint.rules import addresses_advised, protocols_differ
from egressctl.manifests.yaml_reader import Document, quote_text
from egressctl.model.entry import API_VERSIONS, GROUP, KIND


def is_service_entry(document: Document) -> bool:
    """Say whether a document is meant as Istio's ServiceEntry, of whatever version."""
    group = str(document.value.get("apiVersion")).partition("/")[0]
    return document.value.get("kind") == KIND and group == GROUP


def istio_findings(documents: Sequence[Document], namespace: str = "") -> list[Finding]:
    """Return what a real API server with Istio refuses or warns of, and what only istioctl's analyzers say.

    The analyzers are those of `pkg/config/analysis/analyzers/serviceentry` of istio/istio (August 2026). `namespace` is where
    those go that name none.
    """
    found = [finding for document in documents for finding in api_server_findings(document, namespace)]
    return found + istioctl_findings(documents, namespace)


def istioctl_findings(documents: Sequence[Document], namespace: str = "") -> list[Finding]:
    """Return the findings of both analyzers for documents that lie side by side; what the API server warns of is left to it."""
    entries = [each for each in documents if is_service_entry(each)]
    found = [finding for each in entries for finding in addresses_advised.check_document(each)]
    return found + protocols_differ.check_documents(entries, namespace)


def api_server_findings(document: Document, namespace: str = "") -> list[Finding]:
    """Return what a real API server with Istio's definition (fieldValidation=Strict) and webhook says of a ServiceEntry.

    What it refuses has the severity error, what it warns of warning; each finding is of origin `istio` and in its words. Where
    there is no error, it accepts. `namespace` is where the entry goes if it names none itself.
    """
    return [_finding(document, told) for told in _api_server_messages(document.value, namespace)]


def _api_server_messages(value: Mapping[str, Any], namespace: str) -> list[WebhookMessage]:
    version = value.get("apiVersion")
    if version not in API_VERSIONS:
        told = quote_text(version) if isinstance(version, str) else "this"
        return [
            WebhookMessage(f"{told} is no version that a ServiceEntry is served in", ("apiVersion",), Mistake.UNSERVED_VERSION)
        ]
    about = object_meta.decode_metadata(value.get("metadata"))
    if wrong := object_meta.decode_faults(about):
        return _fault_messages(wrong, object_meta.INVALID_METADATA)
    if unknown := list(structural.paths_of_unknown_fields(value, crd.SERVICE_ENTRY)):
        return [
            WebhookMessage(f'unknown field "{structural.dotted_path(path)}"', path, Mistake.UNKNOWN_FIELD) for path in unknown
        ]
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
    rule = RULES[told.rule]
    hint = rule.remedy if isinstance(rule.remedy, str) else rule.remedy(told.path)
    return Finding(rule.id, told.message, place.field, hint, file=place.source, line=place.line)
