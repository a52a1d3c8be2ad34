"""The few objects that kubectl sends as protobuf, whatever a server accepts, read into JSON's shape.

Field numbers are those of generated.proto in k8s.io/api and k8s.io/apimachinery.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from egressctl.lab.api.status import ApiError, Object, bad_request_error

MAGIC = b"k8s\0"


class _FieldFormat(NamedTuple):
    """How to read a field: as text, as a map of texts, or as a message with fields of its own."""

    name: str
    fields: Mapping[int, _FieldFormat] | None = None
    is_map: bool = False


def _text_fields(*names: str) -> dict[int, _FieldFormat]:
    return {number: _FieldFormat(name) for number, name in enumerate(names, 1)}


_METADATA = _FieldFormat(
    "metadata",
    {
        **_text_fields("name", "generateName", "namespace"),
        11: _FieldFormat("labels", is_map=True),
        12: _FieldFormat("annotations", is_map=True),
    },
)
_ACCESS_SPEC = {
    1: _FieldFormat(
        "resourceAttributes", _text_fields("namespace", "verb", "group", "version", "resource", "subresource", "name")
    ),
    2: _FieldFormat("nonResourceAttributes", _text_fields("path", "verb")),
}
_KINDS: dict[str, dict[int, _FieldFormat]] = {
    "Namespace": {1: _METADATA},
    "ServiceAccount": {1: _METADATA},
    "SelfSubjectReview": {1: _METADATA},
    "SelfSubjectAccessReview": {1: _METADATA, 2: _FieldFormat("spec", _ACCESS_SPEC)},
    "SelfSubjectRulesReview": {1: _METADATA, 2: _FieldFormat("spec", _text_fields("namespace"))},
}


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        shift, at = shift + 7, at + 1
        if not byte & 128:
            return value, at


def _read_fields(data: bytes) -> Iterator[tuple[int, bytes]]:
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


def _read_message(data: bytes, fields: Mapping[int, _FieldFormat]) -> Object:
    found: Object = {}
    for number, raw in _read_fields(data):
        known = fields.get(number)
        if known is None:
            continue
        if known.is_map:
            pair = dict(_read_fields(raw))
            found.setdefault(known.name, {})[pair.get(1, b"").decode()] = pair.get(2, b"").decode()
        elif known.fields is not None:
            found[known.name] = _read_message(raw, known.fields)
        elif raw:
            # Go writes empty texts too; in JSON they are left out.
            found[known.name] = raw.decode()
    return found


def decode_object(data: bytes) -> dict[str, Any]:
    """Return the object; raise ApiError 415 for a kind that is not known here, 400 for broken data."""
    try:
        envelope = dict(_read_fields(data.removeprefix(MAGIC)))
        type_meta = dict(_read_fields(envelope.get(1, b"")))
        api_version, kind = type_meta.get(1, b"").decode(), type_meta.get(2, b"").decode()
        if kind not in _KINDS:
            message = f"the lab reads {kind or 'this'} as JSON only, not as protobuf: send application/json"
            raise ApiError(415, "UnsupportedMediaType", message)
        return {"apiVersion": api_version, "kind": kind, **_read_message(envelope.get(2, b""), _KINDS[kind])}
    except (IndexError, UnicodeDecodeError) as error:
        raise bad_request_error("the body is not the protobuf of a Kubernetes object") from error
