"""Distinguish what an API server answers to a request from what something else does in its place. Pure: bytes in, value out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from egressctl.kube.shapes import DEEPEST, fault_in_answer, fault_in_object, is_too_deep
from egressctl.kube.status import ApiRequest, one_line
from egressctl.model.json_values import text_at

_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_WITHOUT_OBJECTS = ("APIGroup", "APIResourceList")
_WITHOUT_NAMES = ("SelfSubjectReview", "SelfSubjectAccessReview")
_OF_NO_NAMESPACE = ("namespaces", "validatingwebhookconfigurations")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_JSON = {list: "list", str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}


def parse_answer(content: bytes, what: ApiRequest, uid: str = "") -> tuple[dict[str, Any], str]:
    """Return the JSON object of an answer of 2xx, and what came instead, "" where it answers what was asked.

    Of a deletion both a Status and the object of that `uid` do. The fields that are read are what they must be; what is null
    is not there.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return {}, describe_content(content)
    if not isinstance(value, dict):
        return {}, f"a JSON {_JSON[type(value)]}"
    if is_too_deep(value):
        return {}, f"JSON of more than {DEEPEST} levels"
    if _SURROGATE.search(content) and not _is_unicode(value):
        return {}, "JSON with text that is no Unicode"
    return value, _what_came_instead(value, what, uid)


def _is_unicode(value: object) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def describe_content(content: bytes) -> str:
    """Say in a few words what content is that is not JSON."""
    text = content.decode("utf-8", "replace").strip()
    if text.startswith("<"):
        title = _TITLE.search(text)
        return f'an HTML page, "{one_line(title[1], 80)}"' if title else "an HTML page"
    return f'what is not JSON, "{one_line(text, 80)}"' if text else "an empty body"


def _what_came_instead(value: dict[str, Any], what: ApiRequest, uid: str) -> str:
    kind, version = value.get("kind"), value.get("apiVersion")
    if kind == "Status":
        if value.get("status") == "Success" and what.verb == "delete":
            return ""
        return f'a Status of {one_line(str(value.get("status")).lower(), 40)}, "{one_line(str(value.get("message") or ""), 200)}"'
    if not what.resource and (kind in _WITHOUT_OBJECTS or "gitVersion" in value):
        # What it serves, and its version, which has not even a kind.
        return _of_shape(f"the {kind or 'version'}", fault_in_answer(value))
    if not isinstance(kind, str) or not isinstance(version, str):
        return "a JSON object without kind and apiVersion"
    one = kind.removesuffix("List") if what.verb == "list" else kind
    if version.rpartition("/")[0] != what.group or what.resource not in _plurals(one) or (one == kind) == (what.verb == "list"):
        return f"a {one_line(kind, 80)} of {one_line(version, 80)}"
    if what.verb == "list":
        return _fault_in_list(value, one, version, what)
    if kind in _WITHOUT_NAMES:
        return _of_shape(f"the {kind}", fault_in_answer(value))
    if fault := fault_in_object(value, kind):
        return _of_shape(_called(value, kind), fault)
    told = value["metadata"]
    if told.get("namespace", "") == what.namespace and what.name in ("", told["name"]) and uid in ("", told["uid"]):
        return ""
    called = f"{told.get('namespace', '')}/{told['name']} of UID {told['uid']}"
    return f"another {kind}, {one_line(called, 240)}"


def _fault_in_list(value: dict[str, Any], kind: str, version: str, what: ApiRequest) -> str:
    items = value.get("items") or []
    if fault := fault_in_answer(value):
        return _of_shape(f"the {kind}List", fault)
    if not isinstance(items, list) or not all(isinstance(each, dict) for each in items):
        return "a list of what are no objects"
    for item in items:
        if fault := fault_in_object(item, kind):
            return _of_shape(_called(item, kind), fault)
        # Kubernetes' own kinds leave out what the list says for all.
        if item.setdefault("kind", kind) != kind or item.setdefault("apiVersion", version) != version:
            return f"a list of {kind} with an object of another kind in it, {_called(item, kind)}"
        place = item["metadata"].get("namespace", "")
        if bool(place) is (what.resource in _OF_NO_NAMESPACE) or what.namespace not in ("", place):
            return f"a list with an object of another namespace in it, {_called(item, kind)}"
    return ""


def _of_shape(what: str, fault: str) -> str:
    return f"{what} in which {one_line(fault, 200)}" if fault else ""


def _called(value: Mapping[str, Any], kind: str) -> str:
    """Name an object, as far as it says how it is called."""
    name = "/".join(filter(None, (text_at(value, "metadata", key) for key in ("namespace", "name"))))
    return one_line(f"{kind} {name}", 240)


def _plurals(kind: str) -> tuple[str, ...]:
    """Return how a resource of this kind may be called, as Kubernetes' own rule has it."""
    low = kind.lower()
    return f"{low}s", f"{low}es", f"{low[:-1]}ies"
