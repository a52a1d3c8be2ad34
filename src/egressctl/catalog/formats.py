"""Parsers of the lists that providers publish: bytes in, the blocks that are called and those that only call in out. Pure.

Only what a source selects is called; every name that it selects must be in the list, since one that is gone is a change that
nobody should take over unseen. IPv6 is read, and kept apart. Each parser was held against a recorded list (tests/data/published).
"""

from __future__ import annotations

import csv
import ipaddress
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from egressctl.catalog.gdnsd import addresses_of
from egressctl.catalog.published import Range, Source
from egressctl.documents import field_name, kind_of, shown
from egressctl.errors import InvalidInput, Problem
from egressctl.names import network

MAX_BYTES = 16 * 1024 * 1024
MAX_RANGES = 100_000
_WIKIMEDIA_SITE = 27
"""The list has one address a site, the first of a /27 that is the site's (Wikipedia_Zero/IP_Addresses of mediawiki.org)."""

Path = tuple[str | int, ...]


class Listed(NamedTuple):
    """What a published list holds: the blocks that are called, those that only call in, and the IPv6 of what is called."""

    called: tuple[Range, ...]
    calls_in: tuple[Range, ...] = ()
    ipv6: tuple[Range, ...] = ()


class Item(NamedTuple):
    """One block as a list has it: where, the text, the parts of the list that it is in, and what to call it.

    `name` may hold parts, which their names fill in: `{tag}/{region}`.
    """

    path: Path
    text: object
    parts: Mapping[str, tuple[str, ...]]
    name: str


def parse(source: Source, data: bytes) -> Listed:
    """Read a published list as its source says. Blocks are collapsed name by name; one may stand under several names.

    Raises InvalidInput that says what is wrong with the list and where.
    """
    if len(data) > MAX_BYTES:
        raise _refusal((), f"it is larger than {MAX_BYTES // 1024 // 1024} MiB")
    try:
        parser = PARSERS[source.format]
    except KeyError:
        raise _refusal((), f"{shown(source.format)} is no format that is read") from None
    seen: dict[str, set[str]] = {}
    called: list[tuple[str, _Block]] = []
    calling: list[tuple[str, _Block]] = []
    for count, item in enumerate(parser(data, source), 1):
        if count > MAX_RANGES:
            raise _refusal((), f"it holds more than {MAX_RANGES} blocks")
        for part, names in item.parts.items():
            seen.setdefault(part, set()).update(names)
        block = _block(item)
        chosen = _chosen(source, item)
        if chosen:
            called += [(name, block) for name in chosen]
        elif any(name in source.calls_in for names in item.parts.values() for name in names):
            calling.append((_name(item, {part: names[0] for part, names in item.parts.items() if names}), block))
    _all_there(source, seen)
    listed = Listed(_collapsed(called, 4), _collapsed(calling, 4), _collapsed(called, 6))
    if not listed.called:
        raise _refusal((), "nothing in it is called" if source.select else "there is no block of IPv4 in it")
    return listed


_Block = ipaddress.IPv4Network | ipaddress.IPv6Network


def _chosen(source: Source, item: Item) -> list[str]:
    """Return the names under which an item is called; none where the source does not select it."""
    words: dict[str, tuple[str, ...]] = {part: names for part, names in item.parts.items() if names}
    for part, wanted in source.select:
        words[part] = tuple(name for name in item.parts.get(part, ()) if name in wanted)
        if not words[part]:
            return []
    if not source.select and any(name in source.calls_in for names in item.parts.values() for name in names):
        return []
    several = next((part for part, names in words.items() if len(names) > 1 and f"{{{part}}}" in item.name), None)
    alone = {part: names[0] for part, names in words.items()}
    return [_name(item, {**alone, several: each}) for each in words[several]] if several else [_name(item, alone)]


def _name(item: Item, words: Mapping[str, str]) -> str:
    name = item.name
    for part in item.parts:
        name = name.replace(f"{{{part}}}", _as_word(words.get(part, "")))
    return name


def _all_there(source: Source, seen: Mapping[str, set[str]]) -> None:
    problems = [
        Problem(f"there is no {part} {shown(name)} in it", remedy="it has " + _some(seen[part]) if seen.get(part) else "")
        for part, names in source.select
        for name in names
        if name not in seen.get(part, ())
    ]
    if problems:
        raise InvalidInput(problems=problems)


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    return ", ".join(shown(each)[1:-1] for each in ordered[:12]) + (f" and {len(ordered) - 12} more" if len(ordered) > 12 else "")


def _block(item: Item) -> _Block:
    if not isinstance(item.text, str):
        raise _refusal(item.path, f"is {kind_of(item.text)}", "expected a block, as text")
    found = network(item.text)
    if found is None:
        raise _refusal(item.path, f"{shown(item.text)} is no address and no block")
    if ipaddress.ip_interface(item.text).ip != found.network_address:
        raise _refusal(item.path, f"{shown(item.text)} has host bits set")
    return found


def _collapsed(blocks: Iterable[tuple[str, _Block]], version: int) -> tuple[Range, ...]:
    named: dict[str, list[Any]] = {}
    for name, block in blocks:
        if block.version == version:
            named.setdefault(name, []).append(block)
    return tuple(Range(name, str(block)) for name in sorted(named) for block in ipaddress.collapse_addresses(named[name]))


def _refusal(path: Path, message: str, remedy: str = "") -> InvalidInput:
    return InvalidInput(problems=[Problem(message, field_name(path), remedy)])


# What lists are made of


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except RecursionError:
        raise _refusal((), "it is nested too deeply") from None
    except ValueError as error:
        reason = f"{error.msg}, line {error.lineno}" if isinstance(error, json.JSONDecodeError) else "it is not text in UTF-8"
        raise _refusal((), f"it is not JSON: {reason}") from None


def _object(value: object, path: Path = ()) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise _refusal(path, f"{'is' if path else 'it is'} {kind_of(value)}", "expected an object")
    return value


def _array(value: Mapping[str, Any], name: str, path: Path = (), *, needed: bool = True) -> Iterator[tuple[Path, Any]]:
    if name not in value and not needed:
        return
    if name not in value:
        raise _refusal(path, f'there is no list "{name}"')
    items = value[name]
    if not isinstance(items, list):
        raise _refusal((*path, name), f"is {kind_of(items)}", "expected a list")
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
            raise _refusal((*path, name), f"is {kind_of(word)}", "expected text")
    return tuple(words)


def _needed(value: Mapping[str, Any], name: str, path: Path) -> object:
    if name not in value:
        raise _refusal((*path, name), "is not there")
    return value[name]


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _refusal((), "it is not text in UTF-8") from None


def _as_word(name: str) -> str:
    """Write a provider's constant as a word of a target's name: API_GATEWAY is api-gateway."""
    return name.lower().replace("_", "-")


# One parser a format


def _aws(data: bytes, source: Source) -> Iterator[Item]:
    """Read ip-ranges.json, by `service` and `region` (docs.aws.amazon.com, VPC, AWS IP address ranges)."""
    root = _object(_json(data))
    for name, field in (("prefixes", "ip_prefix"), ("ipv6_prefixes", "ipv6_prefix")):
        for path, item in _objects(root, name, needed=name == "prefixes"):
            service, region = _words(item, "service", path), _words(item, "region", path)
            called = "/".join(_as_word(word) for word in (*service[:1], *region[:1]))
            yield Item((*path, field), _needed(item, field, path), {"service": service, "region": region}, called)


def _google(data: bytes, source: Source) -> Iterator[Item]:
    """Read goog.json, or cloud.json by `scope` (support.google.com/a/answer/10026322)."""
    for path, item in _objects(_object(_json(data)), "prefixes"):
        field = "ipv6Prefix" if "ipv6Prefix" in item else "ipv4Prefix"
        scope = _words(item, "scope", path)
        yield Item((*path, field), _needed(item, field, path), {"scope": scope}, scope[0] if scope else "google")


def _lists(data: bytes, source: Source) -> Iterator[Item]:
    """Read an object of lists, by `list`: api.github.com/meta, Stripe's, and Fastly's, which has IPv6 in a list of its own."""
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


def _atlassian(data: bytes, source: Source) -> Iterator[Item]:
    """Read ip-ranges.atlassian.com, by `direction` as Atlassian sees it, `product`, `region` and `perimeter`."""
    for path, item in _objects(_object(_json(data)), "items"):
        parts = {part: _words(item, part, path) for part in ("direction", "product", "region", "perimeter")}
        region = parts["region"]
        name = "global" if "global" in region else ", ".join(region)
        yield Item((*path, "cidr"), _needed(item, "cidr", path), parts, name)


def _okta(data: bytes, source: Source) -> Iterator[Item]:
    """Read ip_ranges.json, by `cell`."""
    root = _object(_json(data))
    for cell in root:
        for path, item in _array(_object(root[cell], (cell,)), "ip_ranges", (cell,)):
            yield Item(path, item, {"cell": (cell,)}, _as_word(cell))


def _datadog(data: bytes, source: Source) -> Iterator[Item]:
    """Read ip-ranges.datadoghq.com, by `section` (docs.datadoghq.com/agent/configuration/network)."""
    root = _object(_json(data))
    for section in root:
        if isinstance(root[section], dict):
            for name in ("prefixes_ipv4", "prefixes_ipv6"):
                for path, item in _array(root[section], name, (section,), needed=False):
                    yield Item(path, item, {"section": (section,)}, section)


def _salesforce(data: bytes, source: Source) -> Iterator[Item]:
    """Read ip-ranges.json, by `region` and `provider`."""
    root = _object(_json(data))
    for name, field in (("prefixes", "ip_prefix"), ("ipv6_prefixes", "ipv6_prefix")):
        for path, item in _objects(root, name, needed=name == "prefixes"):
            parts = {part: _words(item, part, path) for part in ("region", "provider")}
            for at, block in _array(item, field, path):
                yield Item(at, block, parts, "".join(parts["region"][:1]))


def _oracle(data: bytes, source: Source) -> Iterator[Item]:
    """Read public_ip_ranges.json, by `tag` and `region` (docs.oracle.com, IP Address Ranges)."""
    for at, region in _objects(_object(_json(data)), "regions"):
        [name] = _words(region, "region", at) or ("",)
        for path, item in _objects(region, "cidrs", at):
            tags = _words(item, "tags", path)
            yield Item((*path, "cidr"), _needed(item, "cidr", path), {"tag": tags, "region": (name,)}, "{tag}/{region}")


def _geofeed(data: bytes, source: Source) -> Iterator[Item]:
    """Read a geofeed (RFC 8805), by `country`, `region` and `city`."""
    try:
        for number, row in enumerate(csv.reader(_text(data).splitlines(), strict=True), 1):
            if row and row[0].strip() and not row[0].startswith("#"):
                country, region, city = (*(each.strip() for each in row[1:4]), "", "", "")[:3]
                parts = {"country": (country,), "region": (region,), "city": (city,)}
                yield Item(("line", number), row[0].strip(), parts, city or country)
    except csv.Error as error:
        raise _refusal((), f"it is not CSV: {error}") from None


def _wikimedia(data: bytes, source: Source) -> Iterator[Item]:
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
