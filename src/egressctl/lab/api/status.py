"""Failures in the words of kube-apiserver: `Status` bodies, as k8s.io/apimachinery/pkg/api/errors makes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Object = dict[str, Any]
"""A Kubernetes object as JSON, which the endpoint may change."""
Names = tuple[str, str, str]
"""An object's group (empty for the core's), plural and name."""
Cause = tuple[str, str, str]
"""One field's mistake: a `CauseType` such as FieldValueRequired, the message, and the field's path."""


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


def cause_bodies(causes: Iterable[Cause]) -> list[Object]:
    """Return the causes as the details of a Status have them."""
    return [{"reason": reason, "message": message, "field": field} for reason, message, field in causes]


def bad_request_error(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def object_error(code: int, reason: str, names: Names, what: str) -> ApiError:
    """Return an error about one object: `pods "sleep" not found`."""
    group, plural, name = names
    return ApiError(code, reason, f'{qualified_name(group, plural)} "{name}" {what}', object_details(*names))


def not_found_error(names: Names) -> ApiError:
    return object_error(404, "NotFound", names, "not found")


def not_served_error() -> ApiError:
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed_error() -> ApiError:
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def conflict_error(names: Names, why: str) -> ApiError:
    group, plural, name = names
    message = f'Operation cannot be fulfilled on {qualified_name(group, plural)} "{name}": {why}'
    return ApiError(409, "Conflict", message, object_details(*names))


def invalid_error(group: str, kind: str, name: str, causes: Sequence[Cause]) -> ApiError:
    """Return the 422 that lists what is wrong with an object, one message with brackets where it is several."""
    told = [f"{field}: {message}" for _, message, field in causes]
    listed = told[0] if len(told) == 1 else f"[{', '.join(told)}]"
    message = f'{qualified_name(group, kind)} "{name}" is invalid: {listed}'
    return ApiError(422, "Invalid", message, {**object_details(group, kind, name), "causes": cause_bodies(causes)})
