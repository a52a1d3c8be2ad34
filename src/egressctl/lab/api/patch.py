"""The kinds of patch that are not server-side apply, as pure functions: the body in, the new object out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from egressctl.lab.api.status import ApiError, Object, bad_request_error

APPLY = "application/apply-patch+yaml"
JSON = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"


def merge_patch(target: Any, change: Any, merge: Callable[[Any, Any], Any] | None = None) -> Any:
    """Return the target changed as RFC 7396 says: null removes, objects merge (what is in them by `merge`), all else replaces."""
    if not isinstance(change, dict):
        return copy.deepcopy(change)
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in change.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = (merge or merge_patch)(result.get(name), value)
    return result


def strategic_merge_patch(target: Any, change: Any) -> Any:
    """Return the target changed as Kubernetes' own merge patch says, for lists that merge by `name`.

    That is what kubectl sends for core kinds. Lists of objects with a name merge by it; an item
    with `$patch: delete` is removed. The order that `$setElementOrder` wants is not kept.
    """
    if isinstance(change, dict):
        plain = {name: value for name, value in change.items() if not name.startswith("$")}
        return merge_patch(None if change.get("$patch") == "replace" else target, plain, strategic_merge_patch)
    lists = isinstance(change, list) and isinstance(target, list)
    if not lists or not all(isinstance(item, dict) and "name" in item for item in change):
        return copy.deepcopy(change)
    items = {item.get("name"): item for item in target}
    for item in change:
        if item.get("$patch") == "delete":
            items.pop(item["name"], None)
        else:
            items[item["name"]] = strategic_merge_patch(items.get(item["name"]), item)
    return list(items.values())


def _patch_error(why: str) -> ApiError:
    return ApiError(422, "Invalid", f"the server rejected our request due to an error in our request: {why}", {})


def _index(at: list[Any], token: str, *, adding: bool) -> int:
    if adding and token == "-":  # noqa: S105 (RFC 6901's word for "after the last")
        return len(at)
    if not token.isdigit() or int(token) >= len(at) + adding:
        raise _patch_error(f"index {token} is out of bounds")
    return int(token)


def _step(at: Any, token: str) -> Any:
    if isinstance(at, list):
        return at[_index(at, token, adding=False)]
    if not isinstance(at, dict) or token not in at:
        raise _patch_error(f"path segment {token!r} does not exist")
    return at[token]


def _tokens(pointer: str) -> list[str]:
    return [token.replace("~1", "/").replace("~0", "~") for token in pointer.split("/")[1:]]


def _find(document: Any, tokens: list[str]) -> Any:
    for token in tokens:
        document = _step(document, token)
    return document


def _remove(document: Any, tokens: list[str]) -> Any:
    parent = _find(document, tokens[:-1])
    value = _step(parent, tokens[-1])
    if isinstance(parent, list):
        parent.pop(int(tokens[-1]))
    else:
        del parent[tokens[-1]]
    return value


def _add(document: Any, tokens: list[str], value: Any) -> None:
    parent = _find(document, tokens[:-1])
    if isinstance(parent, list):
        parent.insert(_index(parent, tokens[-1], adding=True), value)
    elif isinstance(parent, dict):
        parent[tokens[-1]] = value
    else:
        raise _patch_error(f"{tokens[-1]!r} is inside a plain value")


def json_patch(target: Object, operations: Any) -> Object:
    """Return the target changed by a list of operations of RFC 6902; raise ApiError 422 where one does not apply."""
    if not isinstance(operations, list) or not all(isinstance(operation, dict) for operation in operations):
        raise bad_request_error("json: cannot unmarshal the patch into Go value of type jsonpatch.Patch")
    document = copy.deepcopy(target)
    for operation in operations:
        op, tokens = operation.get("op"), _tokens(str(operation.get("path", "")))
        if not tokens:
            raise _patch_error("the whole document cannot be replaced")
        source, value = _tokens(str(operation.get("from", ""))), copy.deepcopy(operation.get("value"))
        match op:
            case "test":
                if _find(document, tokens) != value:
                    raise _patch_error(f"testing path {operation['path']} failed")
            case "add":
                _add(document, tokens, value)
            case "remove":
                _remove(document, tokens)
            case "replace":
                _remove(document, tokens)
                _add(document, tokens, value)
            case "move":
                _add(document, tokens, _remove(document, source))
            case "copy":
                _add(document, tokens, copy.deepcopy(_find(document, source)))
            case _:
                raise _patch_error(f"unexpected kind: {op}")
    return document
