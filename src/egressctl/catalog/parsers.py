"""One parser for each format of published lists: bytes in, blocks with the parts of the list that they are in out. Pure.

Each was held against a recorded list, in tests/data/published. All raise InvalidInput where a list is not of their format.
"""

from __future__ import annotations

import csv
import ipaddress
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from egressctl.catalog.gdnsd import addresses_of
from egressctl.errors import InvalidInput, Problem
from egressctl.manifests.formats import network
from egressctl.manifests.published import Source
from egressctl.manifests.yaml_reader import Path, field_name, kind_of

_WIKIMEDIA_SITE = 27
"""The list has one address a site, the first of a /27 that is the site's (Wikipedia_Zero/IP_Addresses of mediawiki.org)."""


class Item(NamedTuple):
    """One block as a list has it: where, the text, the parts of the list that it is in, and what to call it.

    `name` may hold parts, which their names fill in: `{tag}/{region}`.
    """

    path: Path
    text: object
    parts: Mapping[str, tuple[str, ...]]
    name: str


def refusal(path: Path, message: str, remedy: str = "") -> InvalidInput:
    """Make the refusal of a list: what is wrong, and where in it."""
    return InvalidInput(problems=[Problem(message, field_name(path), remedy)])


def as_word(name: str) -> str:
    """Write a provider's constant as a word of a target's name: API_GATEWAY is api-gateway."""
    return name.lower().replace("_", "-")


# What lists are made of


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except RecursionError:
        raise refusal((), "it is nested too deeply") from None
    except ValueError as error:
        reasons = {json.JSONDecodeError: "", UnicodeDecodeError: "it is not text in UTF-8"}
        reason = reasons.get(type(error), "a number in it has too many digits")
        raise refusal((), f"it is not JSON: {reason or str(error).partition(' (char')[0]}") from None


def _object(value: object, path: Path = ()) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise refusal(path, f"{'is' if path else 'it is'} {kind_of(value)}", "expected an object")
    return value


def _array(value: Mapping[str, Any], name: str, path: Path = (), *, needed: bool = True) -> Iterator[tuple[Path, Any]]:
    if name not in value and not needed:
        return
    if name not in value:
        raise refusal(path, f'there is no list "{name}"')
    items = value[name]
    if not isinstance(items, list):
        raise refusal((*path, name), f"is {kind_of(items)}", "expected a list")
    yield from (((*path, name, index), item) for index, item in enumerate(items))


def _objects(
    value: Mapping[str, Any], name: str, path: Path = (), *, needed: bool = True
) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    for at, item in _array(value, name, path, needed=needed):
        yield at, _object(item, at)


def _words(value: Mapping[str, Any], name: str, path: Path) -> tuple[str, ...]:
    """Return the words of a field that is text or a list of texts; none where it is not there."""
    found = value.get(name, [])
    words = found if isinstance(found, list) else [found]
    for word in words:
        if not isinstance(word, str):
            raise refusal((*path, name), f"is {kind_of(word)}", "expected text")
    return tuple(words)


def _needed(value: Mapping[str, Any], name: str, path: Path) -> object:
    if name not in value:
        raise refusal((*path, name), "is not there")
    return value[name]


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise refusal((), "it is not text in UTF-8") from None


# One parser a format


def _aws(data: bytes, _: Source) -> Iterator[Item]:
    """Read AWS's ip-ranges.json, by `service` and `region` (docs.aws.amazon.com, VPC, AWS IP address ranges)."""
    root = _object(_json(data))
    for name, field in (("prefixes", "ip_prefix"), ("ipv6_prefixes", "ipv6_prefix")):
        for path, item in _objects(root, name, needed=name == "prefixes"):
            service, region = _words(item, "service", path), _words(item, "region", path)
            called = "/".join(as_word(word) for word in (*service[:1], *region[:1]))
            yield Item((*path, field), _needed(item, field, path), {"service": service, "region": region}, called)


def _google(data: bytes, _: Source) -> Iterator[Item]:
    """Read Google's goog.json, or cloud.json by `scope` (support.google.com/a/answer/10026322)."""
    for path, item in _objects(_object(_json(data)), "prefixes"):
        field = "ipv6Prefix" if "ipv6Prefix" in item else "ipv4Prefix"
        scope = _words(item, "scope", path)
        yield Item((*path, field), _needed(item, field, path), {"scope": scope}, scope[0] if scope else "google")


def _lists(data: bytes, source: Source) -> Iterator[Item]:
    """Read an object of lists, by `list`: those of GitHub, of Stripe, and of Fastly, whose IPv6 is in a list of its own."""
    root = _object(_json(data))
    wanted = source.selected("list") or ("addresses", "ipv6_addresses")
    for name in (*wanted, *source.calls_in):
        for path, item in _array(root, name, needed=name in source.selected("list") or name == "addresses"):
            yield Item(path, item, {"list": (name,)}, name)


def _lines(data: bytes, source: Source) -> Iterator[Item]:
    """Read a block a line; what follows a # is a comment."""
    name = source.url.rstrip("/").rpartition("/")[2]
    for number, line in enumerate(_text(data).splitlines(), 1):
        if text := line.partition("#")[0].strip():
            yield Item(("line", number), text, {}, name)


def _atlassian(data: bytes, _: Source) -> Iterator[Item]:
    """Read ip-ranges.atlassian.com, by `direction` as Atlassian sees it, `product`, `region` and `perimeter`."""
    for path, item in _objects(_object(_json(data)), "items"):
        parts = {part: _words(item, part, path) for part in ("direction", "product", "region", "perimeter")}
        region = parts["region"]
        name = "global" if "global" in region else ", ".join(region)
        yield Item((*path, "cidr"), _needed(item, "cidr", path), parts, name)


def _okta(data: bytes, _: Source) -> Iterator[Item]:
    """Read Okta's ip_ranges.json, by `cell`."""
    root = _object(_json(data))
    for cell in root:
        for path, item in _array(_object(root[cell], (cell,)), "ip_ranges", (cell,)):
            yield Item(path, item, {"cell": (cell,)}, as_word(cell))


def _datadog(data: bytes, _: Source) -> Iterator[Item]:
    """Read ip-ranges.datadoghq.com, by `section` (docs.datadoghq.com/agent/configuration/network)."""
    root = _object(_json(data))
    for section in root:
        if isinstance(root[section], dict):
            for name in ("prefixes_ipv4", "prefixes_ipv6"):
                for path, item in _array(root[section], name, (section,), needed=False):
                    yield Item(path, item, {"section": (section,)}, section)


def _salesforce(data: bytes, _: Source) -> Iterator[Item]:
    """Read Salesforce Hyperforce's ip-ranges.json, by `region` and `provider`."""
    root = _object(_json(data))
    for name, field in (("prefixes", "ip_prefix"), ("ipv6_prefixes", "ipv6_prefix")):
        for path, item in _objects(root, name, needed=name == "prefixes"):
            parts = {part: _words(item, part, path) for part in ("region", "provider")}
            for at, block in _array(item, field, path):
                yield Item(at, block, parts, "".join(parts["region"][:1]))


def _oracle(data: bytes, _: Source) -> Iterator[Item]:
    """Read Oracle Cloud's public_ip_ranges.json, by `tag` and `region` (docs.oracle.com, IP Address Ranges)."""
    for at, region in _objects(_object(_json(data)), "regions"):
        where = _words(region, "region", at)[:1]
        for path, item in _objects(region, "cidrs", at):
            parts = {"tag": _words(item, "tags", path), "region": where}
            yield Item((*path, "cidr"), _needed(item, "cidr", path), parts, "{tag}/{region}")


def _geofeed(data: bytes, _: Source) -> Iterator[Item]:
    """Read a geofeed (RFC 8805), by `country`, `region` and `city`."""
    try:
        for number, row in enumerate(csv.reader(_text(data).splitlines(), strict=True), 1):
            if row and row[0].strip() and not row[0].startswith("#"):
                country, region, city = (*(each.strip() for each in row[1:4]), "", "", "")[:3]
                parts = {"country": (country,), "region": (region,), "city": (city,)}
                yield Item(("line", number), row[0].strip(), parts, city or country)
    except csv.Error as error:
        raise refusal((), f"it is not CSV: {error}") from None


def _wikimedia(data: bytes, _: Source) -> Iterator[Item]:
    """Read geo-resources of Wikimedia's DNS, by `resource`: each site's addresses as the blocks that these begin."""
    for resource, site, text in addresses_of(_text(data)):
        found = network(text)
        block = text
        if isinstance(found, ipaddress.IPv4Network) and found.prefixlen == found.max_prefixlen:
            block = str(found.supernet(new_prefix=_WIKIMEDIA_SITE))
        yield Item((resource, site), block, {"resource": (resource,)}, site)


PARSERS: Mapping[str, Callable[[bytes, Source], Iterator[Item]]] = {
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
