"""What a request's path names, and what every way of writing an object checks before anything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from egressctl.istio.admission.schema import METADATA
from egressctl.istio.admission.structural import dotted_path, paths_of_unknown_fields, prune_unknown_fields, type_faults
from egressctl.lab.api.apply import Writer
from egressctl.lab.api.resources import Resource
from egressctl.lab.api.status import ApiError, Names, Object, bad_request_error, conflict_error, invalid_error, not_served_error


@dataclass(frozen=True, slots=True)
class Location:
    """A resource, or an object of one, or a subresource of it; what the path does not name is empty.

    `namespace` is empty for all namespaces and for what has none.
    """

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def parse_location(path: str) -> Location:
    """Return what a path below `/api/` or `/apis/` names; raise ApiError 404 where it can name nothing."""
    parts = [unquote(part) for part in path.strip("/").split("/")]
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise not_served_error()
    namespace = ""
    # `namespaces/a` and `namespaces/a/status` are a namespace itself, `namespaces/a/pods` what is in it.
    if rest[0] == "namespaces" and len(rest) >= 3 and rest[2] != "status":
        namespace, rest = rest[1], rest[2:]
    if len(rest) > 3 or not all(rest):
        raise not_served_error()
    plural, name, subresource = (*rest, "", "")[:3]
    return Location(group, version, plural, namespace, name, subresource)


@dataclass(frozen=True, slots=True)
class Call:
    """What a request is about, its query, who asks, and the body's media type."""

    resource: Resource
    at: Location
    query: Mapping[str, str]
    user_agent: str = ""
    media_type: str = "application/json"

    @property
    def names(self) -> Names:
        return self.resource.group, self.resource.plural, self.at.name

    @property
    def api_version(self) -> str:
        return self.resource.api_version(self.at.version)

    @property
    def not_handled(self) -> str:
        """The beginning of the API server's words for a body that cannot be read."""
        kind = self.resource.kind
        return f'{kind} in version "{self.at.version}" cannot be handled as a {kind}'

    def writer(self, now: str) -> Writer:
        manager = self.query.get("fieldManager") or self.user_agent.partition("/")[0] or "unknown"
        return Writer(manager, self.api_version, now, self.at.subresource)

    def invalid(self, reason: str, message: str, field: str) -> ApiError:
        return invalid_error(self.resource.group, self.resource.kind, self.at.name, [(reason, message, field)])

    def is_dry_run(self, options: Object | None = None, *, kind: str = "PatchOptions") -> bool:
        """Say whether nothing is to be kept; raise ApiError 422 for a value that is not known.

        The API server reads the query only where a DELETE has no body.
        """
        said = next(iter(options.get("dryRun") or []), "") if options else self.query.get("dryRun", "")
        if said not in ("", "All"):
            message = f'Unsupported value: "{said}": supported values: "All"'
            raise invalid_option(kind, "dryRun", "FieldValueNotSupported", message)
        return said == "All"

    def check_type(self, body: Any) -> None:
        """Raise ApiError 400 where a body is not of the kind and version that the path names, or has no proper metadata."""
        kind, version = self.resource.kind, self.api_version
        self.check_object(body)
        self.check_metadata(body)
        # Core clients leave both out, and the path says what is meant.
        if not self.resource.group:
            body.setdefault("apiVersion", version)
            body.setdefault("kind", kind)
        said = body.get("apiVersion", "")
        if said != version:
            raise bad_request_error(f"the API version in the data ({said}) does not match the expected API version ({version})")
        if body.get("kind") != kind:
            wrong = f'no kind "{body.get("kind")}" is registered for version "{version}"'
            raise bad_request_error(f'{body.get("kind")} in version "{self.at.version}" cannot be handled as a {kind}: {wrong}')

    def check_object(self, body: Any) -> None:
        """Raise ApiError 400 where a body is no object at all."""
        if not isinstance(body, dict):
            raise bad_request_error(f"the object provided is unrecognized (must be of type {self.resource.kind})")

    def check_metadata(self, body: Object) -> None:
        """Leave out what is null in the metadata; raise ApiError 400 where a field of it is of a wrong type."""
        metadata = body.get("metadata")
        if isinstance(metadata, dict):
            metadata = {name: value for name, value in metadata.items() if value is not None}
        body["metadata"] = {} if metadata is None else metadata
        if wrong := type_faults(body["metadata"], METADATA, "metadata"):
            raise bad_request_error(f"{self.not_handled}: {wrong[0].field}: {wrong[0].message}")

    def check_name(self, body: Object) -> None:
        """Raise ApiError 400 where a body names another object or namespace than the path."""
        metadata = body["metadata"]
        if metadata.get("name", self.at.name) != self.at.name:
            raise bad_request_error(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({self.at.name})"
            )
        if self.resource.namespaced and metadata.get("namespace", self.at.namespace) != self.at.namespace:
            raise bad_request_error("the namespace of the provided object does not match the namespace sent on the request")

    def check_version(self, live: Object, metadata: Object) -> None:
        """Raise ApiError 409 where a body was made from another state of the object."""
        if metadata.get("resourceVersion") not in (None, "", live["metadata"]["resourceVersion"]):
            why = "the object has been modified; please apply your changes to the latest version and try again"
            raise conflict_error(self.names, why)

    def drop_unknown_fields(self, body: Object) -> tuple[Object, list[str]]:
        """Drop fields that the schema does not know, with a warning each, or refuse them, as `fieldValidation` says."""
        unknown = [f'unknown field "{dotted_path(path)}"' for path in paths_of_unknown_fields(body, self.resource.schema)]
        said = self.query.get("fieldValidation") or "Warn"
        if unknown and said == "Strict":
            raise bad_request_error(f"{self.not_handled}: strict decoding error: {', '.join(unknown)}")
        return prune_unknown_fields(body, self.resource.schema), unknown if said == "Warn" else []


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """What to answer with: HTTP status, object, and the texts of its Warning headers."""

    code: int
    body: Object
    warnings: tuple[str, ...] = ()


def invalid_option(kind: str, field: str, reason: str, message: str) -> ApiError:
    """Return the 422 about a query parameter; `kind` is PatchOptions or the like."""
    return invalid_error("meta.k8s.io", kind, "", [(reason, message, field)])


def is_set(query: Mapping[str, str], name: str) -> bool:
    """Return whether a flag of the query is on."""
    return query.get(name, "").lower() in ("true", "1")
