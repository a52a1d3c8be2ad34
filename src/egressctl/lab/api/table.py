"""Objects as answers show them: with the version asked for, in lists, and as the tables that kubectl prints."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from egressctl.lab.api.resources import Resource
from egressctl.lab.api.status import ApiError, Object, bad_request_error


def with_type(resource: Resource, version: str, obj: Object) -> Object:
    """Return an object as a client of one version sees it."""
    if obj.get("kind") == "Status":
        return obj
    return {"apiVersion": resource.api_version(version), "kind": resource.kind, **obj}


def wants_table(accept: str) -> bool:
    """Say whether a client asks for a table, as `kubectl get` does."""
    return any("as=Table" in choice and "g=meta.k8s.io" in choice for choice in accept.split(","))


def age_text(created: str, now: datetime) -> str:
    """Return how long ago a time was, as kubectl writes it: `5s`, `3m`, `4h`, `2d`."""
    seconds = max(0, int((now - datetime.fromisoformat(created)).total_seconds()))
    for limit, length, unit in ((120, 1, "s"), (7200, 60, "m"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{seconds // length}{unit}"
    return f"{seconds // 86400}d"


def object_table(resource: Resource, version: str, objects: Sequence[Object], metadata: Object, include: str = "") -> Object:
    """Return objects as a Table; `include` is the query's `includeObject`."""
    now = datetime.now(UTC)
    names = ["Name", *(column.name for column in resource.columns), "Age"]
    definitions = [
        {"name": name, "type": "string", "format": "name" if name == "Name" else "", "description": "", "priority": 0}
        for name in names
    ]
    rows = []
    for obj in objects:
        partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
        cells = [column.cell(obj) for column in resource.columns]
        row: Object = {"cells": [obj["metadata"]["name"], *cells, age_text(obj["metadata"]["creationTimestamp"], now)]}
        if include != "None":
            row["object"] = with_type(resource, version, obj) if include == "Object" else partial
        rows.append(row)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": definitions,
        "rows": rows,
    }


def _continue_token(name: str) -> str:
    return base64.urlsafe_b64encode(json.dumps({"v": "meta.k8s.io/v1", "start": name}).encode()).decode().rstrip("=")


def _name_in_token(token: str) -> str:
    try:
        return str(json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))["start"])
    except (ValueError, KeyError, TypeError) as error:
        raise bad_request_error("continue key is not valid: illegal base64 data") from error


def list_page(objects: Sequence[Object], query: Mapping[str, str], version: int) -> tuple[list[Object], Object]:
    """Return one page of a list and the list's metadata, by the query's `limit` and `continue`.

    Pages show the objects as they are when each is asked for, not as they were for the first.
    """

    def place(obj: Object) -> str:
        return f"{obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"

    rest = list(objects)
    if query.get("continue"):
        start = _name_in_token(query["continue"])
        rest = [obj for obj in rest if place(obj) > start]
    metadata: Object = {"resourceVersion": str(version)}
    limit = _parse_limit(query.get("limit") or "0")
    if 0 < limit < len(rest):
        metadata |= {"continue": _continue_token(place(rest[limit - 1])), "remainingItemCount": len(rest) - limit}
        rest = rest[:limit]
    return rest, metadata


def _parse_limit(text: str) -> int:
    if not text.isdigit():
        raise ApiError(400, "BadRequest", f'unable to decode limit: strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def object_list(resource: Resource, version: str, objects: Sequence[Object], metadata: Object) -> Object:
    """Return objects as a List of their kind."""
    return {
        "kind": f"{resource.kind}List",
        "apiVersion": resource.api_version(version),
        "metadata": metadata,
        "items": [with_type(resource, version, obj) for obj in objects],
    }
