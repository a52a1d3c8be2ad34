"""Failures in the words of kube-apiserver: `Status` bodies, as k8s.io/apimachinery/pkg/api/errors makes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

Object = dict[str, Any]
"""A Kubernetes object as JSON, which the endpoint may change."""


@dataclass(frozen=True, slots=True)
class StatusCause:
    """One field's mistake: `reason` is a `CauseType` such as FieldValueRequired, `field` a path."""

    reason: str
    message: str
    field: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"

    def body(self) -> Object:
        return {"reason": self.reason, "message": self.message, "field": self.field}


class ApiError(Exception):
    """A request's refusal; `body` is the Status to answer with, `code` its HTTP status."""

    def __init__(self, code: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.body: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message}
        if reason:
            self.body["reason"] = reason
        if details is not None:
            self.body["details"] = details
        self.body["code"] = code


def qualified_name(group: str, plural: str) -> str:
    """Return a resource's name as error messages write it: `pods`, `serviceentries.networking.istio.io`."""
    return f"{plural}.{group}" if group else plural


def object_details(group: str, plural: str, name: str) -> Object:
    """Return the details that name one object; the group of core objects is left out."""
    return {**({"name": name} if name else {}), **({"group": group} if group else {}), "kind": plural}


def unauthorized_error() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def bad_request_error(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def forbidden_error(group: str, plural: str, name: str, why: str) -> ApiError:
    message = f'{qualified_name(group, plural)} "{name}" is forbidden: {why}'
    return ApiError(403, "Forbidden", message, object_details(group, plural, name))


def not_found_error(group: str, plural: str, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{qualified_name(group, plural)} "{name}" not found', object_details(group, plural, name))


def not_served_error() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed_error() -> ApiError:
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def already_exists_error(group: str, plural: str, name: str) -> ApiError:
    message = f'{qualified_name(group, plural)} "{name}" already exists'
    return ApiError(409, "AlreadyExists", message, object_details(group, plural, name))


def conflict_error(group: str, plural: str, name: str, why: str) -> ApiError:
    message = f'Operation cannot be fulfilled on {qualified_name(group, plural)} "{name}": {why}'
    return ApiError(409, "Conflict", message, object_details(group, plural, name))


def modified_error(group: str, plural: str, name: str) -> ApiError:
    why = "the object has been modified; please apply your changes to the latest version and try again"
    return conflict_error(group, plural, name, why)


def apply_conflict_error(message: str, causes: Iterable[StatusCause]) -> ApiError:
    return ApiError(409, "Conflict", message, {"causes": [cause.body() for cause in causes]})


def expired_error(message: str) -> ApiError:
    return ApiError(410, "Expired", message)


def media_type_error(got: str, supported: Sequence[str]) -> ApiError:
    message = f"the body of the request was in an unknown format - accepted media types include: {', '.join(supported)}"
    return ApiError(415, "UnsupportedMediaType", f"{message} (got {got!r})" if got else message, {})


def invalid_error(group: str, kind: str, name: str, causes: Sequence[StatusCause]) -> ApiError:
    """Return the 422 that lists what is wrong with an object, one message with brackets where it is several."""
    qualified_kind = f"{kind}.{group}" if group else kind
    listed = str(causes[0]) if len(causes) == 1 else f"[{', '.join(map(str, causes))}]"
    message = f'{qualified_kind} "{name}" is invalid: {listed}'
    about = object_details(group, kind, name)
    return ApiError(422, "Invalid", message, {**about, "causes": [cause.body() for cause in causes]})


def internal_error(message: str) -> ApiError:
    """Return the error of a command or a backend: the message twice, as `NewInternalError` does."""
    return ApiError(500, "InternalError", f"Internal error occurred: {message}", {"causes": [{"message": message}]})


def error_without_reason(message: str) -> ApiError:
    """Return a 500 without reason or details, which is what the API server makes of a plain Go error."""
    return ApiError(500, "", message)


def success_status(group: str, plural: str, name: str, uid: str) -> Object:
    about = {**object_details(group, plural, name), "uid": uid}
    return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": about}
