"""A request for an object, and what every way of writing checks about it before anything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from egressctl.istio.admission.schema import METADATA
from egressctl.istio.admission.structural import prune_unknown_fields
from egressctl.lab.api.apply import Writer
from egressctl.lab.api.paths import Location
from egressctl.lab.api.resources import Resource
from egressctl.lab.api.status import ApiError, Object, StatusCause, bad_request_error, invalid_error, modified_error
from egressctl.lab.api.validation import type_causes, unknown_field_paths


@dataclass(frozen=True, slots=True)
class Call:
    """What a request is about, its query, who asks, and the body's media type."""

    resource: Resource
    at: Location
    query: Mapping[str, str]
    user_agent: str = ""
    media_type: str = "application/json"

    @property
    def names(self) -> tuple[str, str, str]:
        return self.resource.group, self.resource.plural, self.at.name

    @property
    def api_version(self) -> str:
        return self.resource.api_version(self.at.version)

    def writer(self, now: str) -> Writer:
        manager = self.query.get("fieldManager") or self.user_agent.partition("/")[0] or "unknown"
        return Writer(manager, self.api_version, now, self.at.subresource)

    def invalid(self, *causes: StatusCause) -> ApiError:
        return invalid_error(self.resource.group, self.resource.kind, self.at.name, causes)


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """What to answer with: HTTP status, object, and the texts of its Warning headers."""

    code: int
    body: Object
    warnings: tuple[str, ...] = ()


def invalid_option(kind: str, field: str, reason: str, message: str) -> ApiError:
    """Return the 422 about a query parameter; `kind` is PatchOptions or the like."""
    return invalid_error("meta.k8s.io", kind, "", [StatusCause(reason, message, field)])


def is_dry_run(call: Call, options: Object | None = None, *, kind: str = "PatchOptions") -> bool:
    """Say whether nothing is to be kept; raise ApiError 422 for a value that is not known.

    The API server reads the query only where a DELETE has no body.
    """
    said = next(iter(options.get("dryRun") or []), "") if options else call.query.get("dryRun", "")
    if said not in ("", "All"):
        raise invalid_option(kind, "dryRun", "FieldValueNotSupported", f'Unsupported value: "{said}": supported values: "All"')
    return said == "All"


def check_type(call: Call, body: Any) -> None:
    """Raise ApiError 400 where a body is not of the kind and version that the path names, or has no proper metadata."""
    kind, version = call.resource.kind, call.api_version
    check_object(call, body)
    check_metadata(call, body)
    # Core clients leave both out, and the path says what is meant.
    if not call.resource.group:
        body.setdefault("apiVersion", version)
        body.setdefault("kind", kind)
    said = body.get("apiVersion", "")
    if said != version:
        raise bad_request_error(f"the API version in the data ({said}) does not match the expected API version ({version})")
    if body.get("kind") != kind:
        wrong = f'no kind "{body.get("kind")}" is registered for version "{version}"'
        raise bad_request_error(f'{body.get("kind")} in version "{call.at.version}" cannot be handled as a {kind}: {wrong}')


def check_object(call: Call, body: Any) -> None:
    """Raise ApiError 400 where a body is no object at all."""
    if not isinstance(body, dict):
        raise bad_request_error(f"the object provided is unrecognized (must be of type {call.resource.kind})")


def check_metadata(call: Call, body: Object) -> None:
    """Leave out what is null in the metadata; raise ApiError 400 where a field of it is of a wrong type."""
    metadata = body.get("metadata")
    if isinstance(metadata, dict):
        metadata = {name: value for name, value in metadata.items() if value is not None}
    body["metadata"] = {} if metadata is None else metadata
    wrong = type_causes(body["metadata"], METADATA, "metadata")
    if wrong:
        kind = call.resource.kind
        raise bad_request_error(f'{kind} in version "{call.at.version}" cannot be handled as a {kind}: {wrong[0]}')


def check_name(call: Call, body: Object) -> None:
    """Raise ApiError 400 where a body names another object or namespace than the path."""
    metadata = body["metadata"]
    if metadata.get("name", call.at.name) != call.at.name:
        raise bad_request_error(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({call.at.name})"
        )
    if call.resource.namespaced and metadata.get("namespace", call.at.namespace) != call.at.namespace:
        raise bad_request_error("the namespace of the provided object does not match the namespace sent on the request")


def check_version(call: Call, live: Object, metadata: Object) -> None:
    """Raise ApiError 409 where a body was made from another state of the object."""
    if metadata.get("resourceVersion") not in (None, "", live["metadata"]["resourceVersion"]):
        raise modified_error(*call.names)


def drop_unknown_fields(call: Call, body: Object) -> tuple[Object, list[str]]:
    """Drop fields that the schema does not know, with a warning each, or refuse them, as `fieldValidation` says."""
    unknown = [f'unknown field "{path}"' for path in unknown_field_paths(body, call.resource.schema)]
    said = call.query.get("fieldValidation") or "Warn"
    if unknown and said == "Strict":
        kind, listed = call.resource.kind, ", ".join(unknown)
        where = f'{kind} in version "{call.at.version}" cannot be handled as a {kind}'
        raise bad_request_error(f"{where}: strict decoding error: {listed}")
    return prune_unknown_fields(body, call.resource.schema), unknown if said == "Warn" else []
