"""Distinguish what an API server answers to a request from what something else does in its place. Pure: bytes in, value out."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from egressctl.kube.status import ApiRequest, one_line
from egressctl.model.json_values import mapping_at

_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_WITHOUT_OBJECTS = ("APIGroup", "APIResourceList")
_JSON = {list: "list", str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}


def parse_answer(content: bytes, what: ApiRequest, uid: str = "") -> tuple[dict[str, Any], str]:
    """Return the JSON object of an answer of 2xx, and what came instead, "" where it answers what was asked.

    Of a deletion both a Status and the object of that `uid` do.
    """
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        return {}, describe_content(content)
    if not isinstance(value, dict):
        return {}, f"a JSON {_JSON[type(value)]}"
    return value, _what_came_instead(value, what, uid)


def describe_content(content: bytes) -> str:
    """Say in a few words what content is that is not JSON."""
    text = content.decode("utf-8", "replace").strip()
    if text.startswith("<"):
        title = _TITLE.search(text)
        return f'an HTML page, "{one_line(title[1], 80)}"' if title else "an HTML page"
    return f'what is not JSON, "{one_line(text, 80)}"' if text else "an empty body"


def _what_came_instead(value: Mapping[str, Any], what: ApiRequest, uid: str) -> str:
    kind, version = value.get("kind"), value.get("apiVersion")
    if kind == "Status":
        if value.get("status") == "Success" and what.verb == "delete":
            return ""
        return f'a Status of {str(value.get("status")).lower()}, "{one_line(str(value.get("message") or ""), 200)}"'
    if not what.resource and (kind in _WITHOUT_OBJECTS or "gitVersion" in value):
        return ""  # what it serves, and its version, which has not even a kind
    if not isinstance(kind, str) or not isinstance(version, str):
        return "a JSON object without kind and apiVersion"
    one = kind.removesuffix("List") if what.verb == "list" else kind
    if version.rpartition("/")[0] != what.group or what.resource not in _plurals(one) or (one == kind) == (what.verb == "list"):
        return f"a {one_line(kind, 80)} of {one_line(version, 80)}"
    if what.verb == "list":
        items = value.get("items") or []
        return "" if isinstance(items, list) and all(map(_is_object, items)) else "a list of what are no objects"
    if not what.name:
        return ""
    told = mapping_at(value, "metadata")
    same = (told.get("name"), told.get("namespace") or "") == (what.name, what.namespace)
    if same and _is_object(value) and uid in ("", told["uid"]):
        return ""
    called = f"{told.get('namespace') or ''}/{told.get('name')} of UID {told.get('uid')}"
    return f"another {kind}, {one_line(called, 240)}"


def _is_object(value: object) -> bool:
    told = mapping_at(value, "metadata")
    return all(isinstance(told.get(key), str) and told[key] for key in ("name", "uid"))


def _plurals(kind: str) -> tuple[str, ...]:
    """Return how a resource of this kind may be called, as Kubernetes' own rule has it."""
    low = kind.lower()
    return f"{low}s", f"{low}es", f"{low[:-1]}ies"
