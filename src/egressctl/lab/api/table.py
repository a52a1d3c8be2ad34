"""Objects as answers show them: with the version asked for, in lists, and as the tables that kubectl prints."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from egressctl.lab.api.request import Call
from egressctl.lab.api.resources import field_text
from egressctl.lab.api.status import Object, bad_request_error
from egressctl.model.age import age_text


def with_type(call: Call, obj: Object) -> Object:
    """Return an object as a client of the version that it asked for sees it."""
    if obj.get("kind") == "Status":
        return obj
    return {"apiVersion": call.api_version, "kind": call.resource.kind, **obj}


def object_table(call: Call, objects: Sequence[Object], metadata: Object) -> Object:
    """Return objects as a Table, each with as much of itself as the query's `includeObject` says."""
    now, include, columns = datetime.now(UTC), call.query.get("includeObject", ""), call.resource.columns
    names = ["Name", *columns, "Age"]
    definitions = [
        {"name": name, "type": "string", "format": "name" if name == "Name" else "", "description": "", "priority": 0}
        for name in names
    ]
    rows = []
    for obj in objects:
        partial = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
        cells = [shown(obj) if callable(shown) else field_text(obj, shown) for shown in columns.values()]
        age = max(0, (now - datetime.fromisoformat(obj["metadata"]["creationTimestamp"])).total_seconds())
        row: Object = {"cells": [obj["metadata"]["name"], *cells, age_text(age)]}
        if include != "None":
            row["object"] = with_type(call, obj) if include == "Object" else partial
        rows.append(row)
    about = {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata}
    return {**about, "columnDefinitions": definitions, "rows": rows}


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
    said = query.get("limit") or "0"
    if not said.isdigit():
        raise bad_request_error(f'unable to decode limit: strconv.ParseInt: parsing "{said}": invalid syntax')
    limit = int(said)
    if 0 < limit < len(rest):
        metadata |= {"continue": _continue_token(place(rest[limit - 1])), "remainingItemCount": len(rest) - limit}
        rest = rest[:limit]
    return rest, metadata


def object_list(call: Call, objects: Sequence[Object], metadata: Object) -> Object:
    """Return objects as a List of their kind."""
    about = {"kind": f"{call.resource.kind}List", "apiVersion": call.api_version, "metadata": metadata}
    return {**about, "items": [with_type(call, obj) for obj in objects]}
