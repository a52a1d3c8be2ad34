"""What the API server says when it refuses, as an exception of errors.py. Pure: bytes in, exception out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import unquote

from egressctl.errors import (
    ApiFailure,
    Conflict,
    EgressctlError,
    Forbidden,
    InvalidInput,
    Modified,
    NotFound,
    Problem,
    Refused,
    Replaced,
    Unauthorized,
)
from egressctl.kube.rbac import grant_command_for_right
from egressctl.model.entry import GROUP
from egressctl.model.json_values import mapping_at, mappings_at
from egressctl.runtime.sanitize import quote

ISTIO_HINT = "Istio's CRDs are missing: install Istio, or try `egressctl demo`, which needs no Kubernetes cluster"

_CANNOT = re.compile(
    r'User "(?P<user>[^"]*)" cannot (?P<verb>\S+) resource "(?P<resource>[^"]*)"'
    r'(?: in API group "(?P<group>[^"]*)")?(?: in the namespace "(?P<namespace>[^"]*)")?'
)
_OTHER_UID = "UID in the precondition"
_TYPED_PATCH = "failed to create typed patch object"


class ApiRequest(NamedTuple):
    """What a request was about, in RBAC's words. Empty strings stand for what does not apply.

    `resource` is the plural with its subresource (`pods/exec`) and without the group.
    """

    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""

    @property
    def qualified(self) -> str:
        """The resource as kubectl names it: `serviceentries.networking.istio.io`, `pods/exec`."""
        plural, slash, subresource = self.resource.partition("/")
        return f"{plural}.{self.group}{slash}{subresource}" if self.group else self.resource

    @property
    def place(self) -> str:
        """The end of a sentence that says where, with its leading blank; empty for what has no namespace."""
        return f" in namespace {self.namespace}" if self.namespace else ""

    @property
    def wish(self) -> str:
        """What was asked, after the word `asked`: `to list pods in namespace default`."""
        return f"to {self.verb} {_subject(self)}{self.place}" if self.resource else "what it serves"


def parse_request(method: str, path: str) -> ApiRequest:
    """Read a method and a path back into a verb and a resource; unknown paths give the verb alone."""
    segments = [unquote(segment) for segment in path.partition("?")[0].split("/") if segment]
    match segments:
        case ["api", _, *rest]:
            group = ""
        case ["apis", group, _, *rest]:
            pass
        case _:
            return ApiRequest(_verb(method, False))
    namespace = ""
    # `namespaces/NAME` alone is the Namespace itself; with more behind it, it says where.
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = (*rest, "", "", "")[:3]
    resource = f"{plural}/{subresource}" if subresource else plural
    return ApiRequest(_verb(method, bool(name)), group, resource, namespace, name)


def _verb(method: str, named: bool) -> str:
    if method == "GET":
        return "get" if named else "list"
    return {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}.get(method, method.lower())


def one_line(text: str, limit: int = 400) -> str:
    """Put a foreign text on one line, without control characters, of `limit` characters at most.

    Of a longer one the middle is left out: its end says what happened.
    """
    most = 8 * limit
    text = text if len(text) <= 2 * most else f"{text[:most]} {text[-most:]}"
    clean = "".join(char if char.isprintable() else " " for char in text)
    line = " ".join(clean.split())
    head = limit // 4
    return line if len(line) <= limit else f"{line[:head]}…{line[head + 1 - limit :]}"


def parse_status(body: bytes) -> Mapping[str, Any]:
    """Read a Status; empty where the body is none."""
    try:
        value = mapping_at(json.loads(body))
    except (ValueError, RecursionError):
        return {}
    return value if value.get("kind") == "Status" else {}


def is_input_mistake(code: int, body: bytes) -> bool:
    """Say whether a 500 is in truth a mistake of the applied object, which no retry cures."""
    return code == 500 and _TYPED_PATCH in str(parse_status(body).get("message"))


def error_for_answer(code: int, body: bytes, what: ApiRequest) -> EgressctlError:
    """Turn an answer of 300 and above into the exception that says it best."""
    status = parse_status(body)
    message = _message(status, body)
    if code == 401:
        return Unauthorized(
            "the API server refused the credentials: unknown or expired (401)",
            hint="log in again, or choose other credentials with --context, --user or --token",
        )
    if code == 403:
        return _forbidden_error(status, message, what)
    # A proxy's page says nothing of what is there; an API server says this of a path that it does not serve.
    if code == 404 and (status or body.startswith(b"404 page not found")):
        return _not_found_error(status, message, what)
    if code == 409:
        return _conflict_error(status, message, what)
    if code == 422 or (code == 400 and what.verb != "list") or is_input_mistake(code, body):
        return _refused_error(status, message, what)
    if code == 400:
        return InvalidInput(f"the API server does not understand the request: {message}")
    if code == 413:
        return Refused(f"the API server refused the object as too large: {message}")
    return _api_failure(code, message, what)


def _message(status: Mapping[str, Any], body: bytes) -> str:
    if status:
        return one_line(str(status.get("message") or status.get("reason") or "no reason given"))
    text = body.decode("utf-8", "replace").strip()
    # A page of HTML says nothing in one line, and comes from something that is not the API server.
    if text.startswith("<"):
        return "an HTML page, which is not an answer of a Kubernetes API server"
    return one_line(text, 200) or "no reason given"


def _subject(what: ApiRequest) -> str:
    return f'{what.qualified} "{one_line(what.name, 120)}"' if what.name else what.qualified or "the request"


def _forbidden_error(status: Mapping[str, Any], message: str, what: ApiRequest) -> EgressctlError:
    match = _CANNOT.search(message)
    denied_otherwise = re.search(r"admission webhook|violates|exceeded quota|being terminated|denied request", message)
    if not match and denied_otherwise and what.verb not in ("get", "list", "watch"):
        return Refused(f"the API server refused {_subject(what)}: {message}")
    verb, group, resource, namespace = what.verb, what.group, what.resource, what.namespace
    if match:
        verb, resource = match["verb"], match["resource"]
        group, namespace = match["group"] or "", match["namespace"] or ""
    denied = ApiRequest(verb, group, resource, namespace)
    command = one_line(
        f"kubectl auth can-i {quote(verb)} {quote(denied.qualified)}" + (f" -n {quote(namespace)}" if namespace else ""), 240
    )
    if match and match["user"] == "system:anonymous":
        return Forbidden(
            one_line(f"no credentials were sent, and the anonymous user may not {verb} {denied.qualified}{denied.place}"),
            verb=verb,
            resource=denied.qualified,
            namespace=namespace,
            hint="choose credentials with --context, --user or --token",
        )
    user = match["user"] if match else ""
    who = f"user {user}" if match else "these credentials"
    given = one_line(grant_command_for_right(verb, denied.qualified, namespace, user), 400)
    ask = f"an administrator grants it: {given}" if given else "ask for that right"
    told = "" if match or not status else f": {message}"
    return Forbidden(
        one_line(f"{who} may not {verb} {denied.qualified}{denied.place}{told}"),
        verb=verb,
        resource=denied.qualified,
        namespace=namespace,
        hint=f"{ask}; `{command}` shows whether it is there",
    )


def _not_found_error(status: Mapping[str, Any], message: str, what: ApiRequest) -> NotFound:
    details = mapping_at(status, "details")
    name, kind = str(details.get("name") or ""), str(details.get("kind") or "")
    if kind == "namespaces" and name and what.resource != "namespaces":
        return NotFound(f'there is no namespace "{one_line(name, 120)}"', name=name, hint="kubectl get namespaces")
    if name:
        singular = ApiRequest(what.verb, what.group, what.resource.partition("/")[0], what.namespace, what.name)
        return NotFound(f"{_subject(singular)} not found{what.place}", name=name)
    # Without a name in the details it is the path that is unknown: no such resource type here.
    hint = ISTIO_HINT if what.group == GROUP else "check --server and --context: is this a Kubernetes API server?"
    if what.resource:
        return NotFound(f"the API server does not serve {what.qualified} in this version", hint=hint)
    return NotFound(f"the API server does not know what was asked for: {message}", hint=hint)


def _conflict_error(status: Mapping[str, Any], message: str, what: ApiRequest) -> Conflict:
    causes = mappings_at(status, "details", "causes")
    conflicts = [cause for cause in causes if cause.get("reason") == "FieldManagerConflict"]
    if not conflicts:
        if _OTHER_UID in message:
            return Replaced(f"another object has the name of {_subject(what)} by now, and stays: {message}")
        return Modified(f"{_subject(what)} was changed or made by somebody else: {message}")
    told = "; ".join(f"{str(cause.get('field')).lstrip('.')} ({cause.get('message')})" for cause in conflicts)
    return Conflict(
        one_line(f"{_subject(what)} has fields that other field managers own: {told}", 800),
        hint="--force-conflicts takes these fields over",
    )


def _refused_error(status: Mapping[str, Any], message: str, what: ApiRequest) -> Refused:
    problems = [
        Problem(
            one_line(str(cause.get("message"))),
            field="" if cause.get("field") in (None, "<nil>") else one_line(str(cause["field"]), 120),
        )
        for cause in mappings_at(status, "details", "causes")
        if "some validation rules were not checked" not in str(cause.get("message"))
    ]
    raw = str(status.get("message") or "")
    if _TYPED_PATCH in raw:
        problems = [
            Problem(one_line(text), field=field.lstrip("."))
            for field, text in re.findall(r"(?:^|\): |\s)(\.[^\s:]+): (.+?)(?=\n|$)", raw)
        ]
    problems = problems or [Problem(message)]
    told = "; ".join(map(str, problems))
    return Refused(f"the API server refused {_subject(what)}: {one_line(told, 1200)}", problems=problems)


def _api_failure(code: int, message: str, what: ApiRequest) -> ApiFailure:
    if 300 <= code < 400:
        said = "answered with a redirect, which is not an answer of a Kubernetes API server"
        return ApiFailure(f"{said} ({code})", status=code, hint="check --server and the proxy settings")
    about = f" when asked {what.wish}" if what.resource else ""
    hint = "try again later" if code in (429, 500, 502, 503, 504) else ""
    return ApiFailure(f"the API server answered {code}{about}: {message}", status=code, hint=hint)
