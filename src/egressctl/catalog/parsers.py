"""One parser for each format of published lists: bytes in, blocks with the parts of the list that they are in out. Pure.

Each was compared with a recorded list, in tests/data/published. All raise InvalidInput where a list is not of their format.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from egressctl.catalog.gdnsd import addresses_of
from egressctl.errors import InvalidInput, Problem
from egressctl.manifests.published import PublishedSource
from egressctl.manifests.yaml_reader import ValuePath, field_name, kind_of
from egressctl.model.blocks import parse_block

_WIKIMEDIA_SITE = {4: 27, 6: 64}
"""By IP version: the list has one address a site, of a block that is its own (Wikipedia_Zero/IP_Addresses of mediawiki.org)."""


class ListedBlock(NamedTuple):
    """One block as a list has it: where, the text, the parts of the list that it is in, and what to call it.

    `name` may hold parts, which their names fill in: `{tag}/{region}`.
    """

    path: ValuePath
    text: object
    parts: Mapping[str, tuple[str, ...]]
    name: str


def invalid_list(path: ValuePath, message: str, remedy: str = "") -> InvalidInput:
    """Make the refusal of a list: what is wrong, and where in it."""
    return InvalidInput(problems=[Problem(message, field_name(path), remedy)])


def as_word(name: str) -> str:
    """Write a provider's constant as a word of a target's name: API_GATEWAY is api-gateway."""
    return name.lower().replace("_", "-")


# What lists are made of


def _parse_json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except RecursionError:
        raise invalid_list((), "it is nested too deeply") from None
    except ValueError as error:
        reasons = {json.JSONDecodeError: "", UnicodeDecodeError: "it is not text in UTF-8"}
        reason = reasons.get(type(error), "a number in it has too many digits")
        raise invalid_list((), f"it is not JSON: {reason or str(error).partition(' (char')[0]}") from None


def _require_object(value: object, path: ValuePath = ()) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise invalid_list(path, f"{'is' if path else 'it is'} {kind_of(value)}", "expected an object")
    return value


def _items_of_list(
    value: Mapping[str, Any], name: str, path: ValuePath = (), *, needed: bool = True
) -> Iterator[tuple[ValuePath, Any]]:
    if name not in value and not needed:
        return
    if name not in value:
        raise invalid_list(path, f'there is no list "{name}"')
    items = value[name]
    if not isinstance(items, list):
        raise invalid_list((*path, name), f"is {kind_of(items)}", "expected a list")
    yield from (((*path, name, index), item) for index, item in enumerate(items))


def _objects_of_list(
    value: Mapping[str, Any], name: str, path: ValuePath = (), *, needed: bool = True
) -> Iterator[tuple[ValuePath, Mapping[str, Any]]]:
    for at, item in _items_of_list(value, name, path, needed=needed):
        yield at, _require_object(item, at)


def _texts_of_field(value: Mapping[str, Any], name: str, path: ValuePath) -> tuple[str, ...]:
    """Return the words of a field that is text or a list of texts; none where it is not there."""
    found = value.get(name, [])
    words = found if isinstance(found, list) else [found]
    for word in words:
        if not isinstance(word, str):
            raise invalid_list((*path, name), f"is {kind_of(word)}", "expected text")
    return tuple(words)


def _require_field(value: Mapping[str, Any], name: str, path: ValuePath) -> object:
    if name not in value:
        raise invalid_list((*path, name), "is not there")
    return value[name]


def _decode_text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise invalid_list((), "it is not text in UTF-8") from None


# One parser a format


def _aws(data: bytes, _: PublishedSource) -> Iterator[ListedBlock]:
    """Read AWS's ip-ranges.json, by `service` and `region` (docs.aws.amazon.com, VPC, AWS IP address ranges)."""
    root = _require_object(_parse_json(data))
    for name, field in (("prefixes", "ip_prefix"), ("ipv6_prefixes", "ipv6_prefix")):
        for path, item in _objects_of_list(root, name, needed=name == "prefixes"):
            service, region = _texts_of_field(item, "service", path), _texts_of_field(item, "region", path)
            called = "/".join(as_word(word) for word in (*service[:1], *region[:1]))
            yield ListedBlock((*path, field), _require_field(item, field, path), {"service": service, "region": region}, called)


def _google(data: bytes, _: PublishedSource) -> Iterator[ListedBlock]:
    """Read Google's goog.json, or cloud.json by `scope` (support.google.com/a/answer/10026322)."""
    for path, item in _objects_of_list(_require_object(_parse_json(data)), "prefixes"):
        field = "ipv6Prefix" if "ipv6Prefix" in item else "ipv4Prefix"
        scope = _texts_of_field(item, "scope", path)
        yield ListedBlock((*path, field), _require_field(item, field, path), {"scope": scope}, scope[0] if scope else "google")


def _lists(data: bytes, source: PublishedSource) -> Iterator[ListedBlock]:
    """Read an object of lists, by `list`: those of GitHub, of Stripe, and of Fastly, whose IPv6 is in a list of its own."""
    root = _require_object(_parse_json(data))
    wanted = source.selected("list") or ("addresses", "ipv6_addresses")
    for name in (*wanted, *source.calls_in):
        for path, item in _items_of_list(root, name, needed=name in source.selected("list") or name == "addresses"):
            yield ListedBlock(path, item, {"list": (name,)}, name)


def _lines(data: bytes, source: PublishedSource) -> Iterator[ListedBlock]:
    """Read a block a line; what follows a # is a comment."""
    name = source.url.rstrip("/").rpartition("/")[2]
    for number, line in enumerate(_decode_text(data).splitlines(), 1):
        if text := line.partition("#")[0].strip():
            yield ListedBlock(("line", number), text, {}, name)


def _atlassian(data: bytes, _: PublishedSource) -> Iterator[ListedBlock]:
    """Read ip-ranges.atlassian.com, by `direction` as Atlassian sees it, `product`, `region` and `perimeter`."""
    for path, item in _objects_of_list(_require_object(_parse_json(data)), "items"):
        parts = {part: _texts_of_field(item, part, path) for part in ("direction", "product", "region", "perimeter")}
        region = parts["region"]
        name = "global" if "global" in region else ", ".join(region)
        yield ListedBlock((*path, "cidr"), _require_field(item, "cidr", path), parts, name)


def _okta(data: bytes, _: PublishedSource) -> Iterator[ListedBlock]:
    """Read Okta's ip_ranges.json, by `cell`."""
    root = _require_object(_parse_json(data))
    for cell in root:
        for path, item in _items_of_list(_require_object(root[cell], (cell,)), "ip_ranges", (cell,)):
            yield ListedBlock(path, item, {"cell": (cell,)}, as_word(cell))


def _datadog(data: bytes, _: PublishedSource) -> Iterator[ListedBlock]:
    """Read ip-ranges.datadoghq.com, by `section` (docs.datadoghq.com/agent/configuration/network)."""
    root = _require_object(_parse_json(data))
    for section in root:
        if isinstance(root[section], dict):
            for name in ("prefixes_ipv4", "prefixes_ipv6"):
                for path, item in _items_of_list(root[section], name, (section,), needed=False):
                    yield ListedBlock(path, item, {"section": (section,)}, section)


def _salesforce(data: bytes, _: PublishedSource) -> Iterator[ListedBlock]:
    """Read Salesforce Hyperforce's ip-ranges.json, by `region` and `provider`."""
    root = _require_object(_parse_json(data))
    for name, field in (("prefixes", "ip_prefix"), ("ipv6_prefixes", "ipv6_prefix")):
        for path, item in _objects_of_list(root, name, needed=name == "prefixes"):
            parts = {part: _texts_of_field(item, part, path) for part in ("region", "provider")}
            for at, block in _items_of_list(item, field, path):
                yield ListedBlock(at, block, parts, "".join(parts["region"][:1]))


def _oracle(data: bytes, _: PublishedSource) -> Iterator[ListedBlock]:
    """Read Oracle Cloud's public_ip_ranges.json, by `tag` and `region` (docs.oracle.com, IP Address Ranges)."""
    for at, region in _objects_of_list(_require_object(_parse_json(data)), "regions"):
        where = _texts_of_field(region, "region", at)[:1]
        for path, item in _objects_of_list(region, "cidrs", at):
            parts = {"tag": _texts_of_field(item, "tags", path), "region": where}
            yield ListedBlock((*path, "cidr"), _require_field(item, "cidr", path), parts, "{tag}/{region}")


def _geofeed(data: bytes, _: PublishedSource) -> Iterator[ListedBlock]:
    """Read a geofeed (RFC 8805), by `country`, `region` and `city`."""
    try:
        for number, row in enumerate(csv.reader(_decode_text(data).splitlines(), strict=True), 1):
            if row and row[0].strip() and not row[0].startswith("#"):
                country, region, city = (*(each.strip() for each in row[1:4]), "", "", "")[:3]
                parts = {"country": (country,), "region": (region,), "city": (city,)}
                yield ListedBlock(("line", number), row[0].strip(), parts, city or country)
    except csv.Error as error:
        raise invalid_list((), f"it is not CSV: {error}") from None


def _wikimedia(data: bytes, _: PublishedSource) -> Iterator[ListedBlock]:
    """Read geo-resources of Wikimedia's DNS, by `resource`: each site's addresses as the blocks that these are in."""
    for resource, site, text in addresses_of(_decode_text(data)):
        found = parse_block(text)
        block = str(found.cut(_WIKIMEDIA_SITE[found.version])) if found and found.is_one_address else text
        yield ListedBlock((resource, site), block, {"resource": (resource,)}, site)


PARSERS: Mapping[str, Callable[[bytes, PublishedSource], Iterator[ListedBlock]]] = {
    "aws": _aws,
    "google": _google,
    "github": _lists,
    "stripe": _lists,
    "fastly": _lists,
    "lines": _lines,
    "atlassian": _atlassian,
    "okta": _okta,
    "datadog": _datadog,
    "salesforce": _salesforce,
    "oracle": _oracle,
    "geofeed": _geofeed,
    "wikimedia": _wikimedia,
}
"""The parser of each of published.FORMATS."""
