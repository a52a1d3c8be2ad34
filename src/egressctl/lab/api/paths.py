"""What a request's path names."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from egressctl.lab.api.status import not_served_error


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
