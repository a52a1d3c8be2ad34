"""The few objects that kubectl sends as protobuf, whatever a server accepts, read into JSON's shape.

Field numbers are those of generated.proto in k8s.io/api and k8s.io/apimachinery.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from egressctl.lab.api.status import ApiError, Object, bad_request

MAGIC = b"k8s\0"


@dataclass(frozen=True, slots=True)
class _Message:
    """How to read a field: as text, as a map of texts, or as a message with fields of its own."""

    name: str
    fields: Mapping[int, _Message] | None = None
    is_map: bool = False


def _texts(*names: str) -> dict[int, _Message]:
    return {number: _Message(name) for number, name in enumerate(names, 1)}


_METADATA = _Message(
    "metadata",
    {
        1: _Message("name"),
        2: _Message("generateName"),
        3: _Message("namespace"),
        11: _Message("labels", is_map=True),
        12: _Message("annotations", is_map=True),
    },
)
_RESOURCE_ATTRIBUTES = _texts("namespace", "verb", "group", "version", "resource", "subresource", "name")
_ACCESS_SPEC = {
    1: _Message("resourceAttributes", _RESOURCE_ATTRIBUTES),
    2: _Message("nonResourceAttributes", _texts("path", "verb")),
}
_KINDS: dict[str, dict[int, _Message]] = {
    "Namespace": {1: _METADATA},
    "ServiceAccount": {1: _METADATA},
    "SelfSubjectReview": {1: _METADATA},
    "SelfSubjectAccessReview": {1: _METADATA, 2: _Message("spec", _ACCESS_SPEC)},
    "SelfSubjectRulesReview": {1: _METADATA, 2: _Message("spec", _texts("namespace"))},
}


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        shift, at = shift + 7, at + 1
        if not byte & 128:
            return value, at


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the length-delimited fields, which are all that is of interest here; skip the others."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        wire = tag & 7
        if wire == 2:
            length, at = _varint(data, at)
            if at + length > len(data):
                raise IndexError
            yield tag >> 3, data[at : at + length]
            at += length
        elif wire == 0:
            _, at = _varint(data, at)
        else:
            at += 8 if wire == 1 else 4


def _message(data: bytes, fields: Mapping[int, _Message]) -> Object:
    found: Object = {}
    for number, raw in _fields(data):
        known = fields.get(number)
        if known is None:
            continue
        if known.is_map:
            pair = dict(_fields(raw))
            found.setdefault(known.name, {})[pair.get(1, b"").decode()] = pair.get(2, b"").decode()
        elif known.fields is not None:
            found[known.name] = _message(raw, known.fields)
        elif raw:
            # Go writes empty texts too; in JSON they are left out.
            found[known.name] = raw.decode()
    return found


def decode(data: bytes) -> dict[str, Any]:
    """Return the object; raise ApiError 415 for a kind that is not known here, 400 for broken data."""
    try:
        envelope = dict(_fields(data.removeprefix(MAGIC)))
        type_meta = dict(_fields(envelope.get(1, b"")))
        api_version, kind = type_meta.get(1, b"").decode(), type_meta.get(2, b"").decode()
        if kind not in _KINDS:
            message = f"the lab reads {kind or 'this'} as JSON only, not as protobuf: send application/json"
            raise ApiError(415, "UnsupportedMediaType", message)
        return {"apiVersion": api_version, "kind": kind, **_message(envelope.get(2, b""), _KINDS[kind])}
    except (IndexError, UnicodeDecodeError) as error:
        raise bad_request("the body is not the protobuf of a Kubernetes object") from error
