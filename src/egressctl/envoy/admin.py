"""Envoy's admin interface answers 200 whatever happens: what is a usable answer, and what is not.

The shapes are those of Envoy's protobuf messages as JSON: an absent field is its type's zero value, and
a field of another type than expected means that this is no such message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from egressctl.errors import ProxyUnreadable
from egressctl.model.blocks import IPAddress, parse_address, parse_block

_TYPED_STRUCTS = {"type.googleapis.com/udpa.type.v1.TypedStruct", "type.googleapis.com/xds.type.v3.TypedStruct"}

_IPV4 = re.compile(r"(?:0|[1-9][0-9]{0,2})(?:\.(?:0|[1-9][0-9]{0,2})){3}")


def read_json(text: str, path: str) -> Mapping[str, Any]:
    """Parse the answer to `GET path`; raise ProxyUnreadable where it is empty, no JSON, or no object."""
    if not text.strip():
        raise ProxyUnreadable(f"the sidecar answered {path} with nothing")
    try:
        root = json.loads(text)
    except (ValueError, RecursionError):
        start = text.strip().splitlines()[0][:160]
        raise ProxyUnreadable(f"the sidecar answered {path} with something that is no JSON: {start!r}") from None
    return as_object(root, path)


def as_object(value: object, what: str) -> Mapping[str, Any]:
    """Return a JSON object, an empty one for an absent field; raise ProxyUnreadable for anything else."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _unexpected_answer(what, "an object")
    return value


def as_list(value: object, what: str) -> Sequence[Any]:
    """Return a JSON array, an empty one for an absent field; raise ProxyUnreadable for anything else."""
    if value is None:
        return ()
    if not isinstance(value, list):
        raise _unexpected_answer(what, "a list")
    return value


def as_text(value: object, what: str) -> str:
    """Return a JSON string, an empty one for an absent field; raise ProxyUnreadable for anything else."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise _unexpected_answer(what, "a text")
    return value


def as_flag(value: object, what: str, *, default: bool = False) -> bool:
    """Return a JSON boolean, the default for an absent field; raise ProxyUnreadable for anything else."""
    if value is None:
        return default
    if not isinstance(value, bool):
        raise _unexpected_answer(what, "true or false")
    return value


def as_number(value: object, what: str) -> int:
    """Return a whole number from 0, 0 for an absent field; raise ProxyUnreadable for anything else.

    Protobuf writes 64-bit numbers as strings.
    """
    if value is None:
        return 0
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 20:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise _unexpected_answer(what, "a number")


def as_address(value: object, what: str) -> IPAddress:
    """Return an IP address; raise ProxyUnreadable for anything else."""
    address = parse_address(as_text(value, what))
    if address is None:
        raise _unexpected_answer(what, "an IP address")
    return address


def as_address_number(value: object, what: str) -> tuple[int, int]:
    """Return an IP address of a listener or filter chain as its version and its number; raise ProxyUnreadable for anything else.

    Envoy compares it as it is written: `::ffff:192.0.2.1` is IPv6 here, and no connection is made to that.
    """
    # IPv4 in a quarter of the time: there may be thousands.
    if isinstance(value, str) and _IPV4.fullmatch(value):
        first, second, third, fourth = map(int, value.split("."))
        if max(first, second, third, fourth) < 256:
            return 4, first << 24 | second << 16 | third << 8 | fourth
    text = as_text(value, what)
    block = None if "/" in text else parse_block(text)
    if block is None:
        raise _unexpected_answer(what, "an IP address")
    return block.version, block.network


def extension_type(raw: Mapping[str, Any], what: str) -> str:
    """Return the type of an extension's configuration, its name where it has none."""
    typed = as_object(raw.get("typed_config"), what)
    kind = as_text(typed.get("@type"), what)
    if kind in _TYPED_STRUCTS:
        kind = as_text(typed.get("type_url"), what)
    return kind or as_text(raw.get("name"), what)


def short_type_name(kind: str) -> str:
    """Return the last part of the name of a type."""
    return kind.rpartition("/")[2].rpartition(".")[2] or "a filter without a type"


def read_istio_metadata(raw: Mapping[str, Any], what: str) -> Mapping[str, Any]:
    """Return what istiod noted on a message: which objects it was made from."""
    if "metadata" not in raw:
        return {}
    metadata = as_object(as_object(raw.get("metadata"), what).get("filter_metadata"), what)
    return as_object(metadata.get("istio"), what)


def istio_object_name(raw: Mapping[str, Any], kind: str, what: str) -> str:
    """Name the object of that kind (`virtual-service`) that shaped a message, as `namespace/name`; "" for none."""
    # /apis/networking.istio.io/v1/namespaces/NAMESPACE/KIND/NAME
    path = as_text(read_istio_metadata(raw, what).get("config"), what).split("/")
    return f"{path[-3]}/{path[-1]}" if len(path) > 3 and path[-2] == kind else ""


def _unexpected_answer(what: str, wanted: str) -> ProxyUnreadable:
    return ProxyUnreadable(f"the sidecar's answer is not understood: {what} is not {wanted}")
