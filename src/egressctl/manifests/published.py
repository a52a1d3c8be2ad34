"""Where the blocks of a target come from: published lists, what of them is called, and what has been retired. Pure.

In a file it is `spec.published`, a list of mappings; docs/reference/catalogue.md describes each field.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, NamedTuple

from egressctl.manifests.problems import ProblemCollector, nearest_name
from egressctl.manifests.yaml_reader import ValuePath, quote_text
from egressctl.model.blocks import Block, collapse_blocks, parse_block, parse_blocks

PAGE = "page"
"""The format of a source that people read, and that holds no list: it says which hosts are called."""

FORMATS = (
    *("aws", "google", "github", "stripe", "fastly", "lines", "atlassian", "okta", "datadog", "salesforce", "oracle"),
    *("geofeed", "wikimedia"),
)
"""The formats of published lists that `catalog.formats` parses."""

_SOURCE_FIELDS = ("url", "format", "checked", "select", "callsIn", "ipv6", "ranges", "retired", "note")
_RETIRED_FIELDS = ("name", "block", "since", "note", "kept")


class PublishedRange(NamedTuple):
    """A block of a published list, and what the list calls it: a site, a region, a list of its own."""

    name: str
    block: str


class RetiredBlock(NamedTuple):
    """A block that a list named once; `kept` says that the target opens it all the same."""

    name: str
    block: str
    since: str
    note: str = ""
    kept: bool = False


class PublishedSource(NamedTuple):
    """A published list: where it is, how it is read, when it was, and what it held then.

    `select` names the parts of it that are called (part, names); `calls_in` those that only call in, which
    no target opens. `checked` is the day of the list that `ranges` are from, as YYYY-MM-DD. `ipv6` says whether blocks of IPv6
    are called; None where the file does not say it.
    """

    url: str
    format: str
    checked: str
    select: tuple[tuple[str, tuple[str, ...]], ...] = ()
    calls_in: tuple[str, ...] = ()
    ranges: tuple[PublishedRange, ...] = ()
    retired: tuple[RetiredBlock, ...] = ()
    note: str = ""
    ipv6: bool | None = None

    @property
    def calls_ipv6(self) -> bool:
        """Whether the list's blocks of IPv6 are called: as the file says, else as its ranges show; all of a list without any."""
        if self.ipv6 is not None:
            return self.ipv6
        return not self.ranges or any(":" in each.block for each in self.ranges)

    def selected(self, part: str) -> tuple[str, ...]:
        """Return the names that are called of a part of the list, none where it is not selected by."""
        return dict(self.select).get(part, ())


def addresses_of_sources(sources: Iterable[PublishedSource]) -> list[str]:
    """Return what a target opens for these sources: their ranges and the retired blocks that are kept, collapsed and sorted."""
    blocks: list[str] = []
    for source in sources:
        blocks += [each.block for each in source.ranges]
        blocks += [each.block for each in source.retired if each.kept]
    return list(map(str, collapse_blocks(parse_blocks(blocks))))


def blocks_by_name(ranges: Iterable[PublishedRange]) -> dict[str, list[str]]:
    """Return the blocks under their names, as a file writes them: names and blocks sorted, each block once."""
    found: dict[str, set[Block]] = {}
    for each in ranges:
        found.setdefault(each.name, set()).update(parse_blocks([each.block]))
    return {name: list(map(str, sorted(found[name]))) for name in sorted(found)}


def source_as_data(source: PublishedSource) -> dict[str, Any]:
    """Return a source as the mapping that a file holds; `read_published` gives the same source for it."""
    data: dict[str, Any] = {"url": source.url, "format": source.format, "checked": source.checked}
    optional = {
        "note": source.note,
        "select": {part: list(names) for part, names in source.select},
        "callsIn": list(source.calls_in),
        "ipv6": source.ipv6,
        "ranges": blocks_by_name(source.ranges),
        "retired": [{name: value for name, value in each._asdict().items() if value} for each in source.retired],
    }
    return data | {name: value for name, value in optional.items() if value or value is False}


def read_published(found: ProblemCollector, value: object, path: ValuePath) -> tuple[PublishedSource, ...]:
    """Read `spec.published`; report every problem with its path, and give what can be read."""
    if not found.is_a(list, value, path, "a list of sources, each with url, format and checked"):
        return ()
    assert isinstance(value, list)
    return tuple(_read_source(found, item, (*path, index)) for index, item in enumerate(value))


def _read_source(found: ProblemCollector, value: object, path: ValuePath) -> PublishedSource:
    source = found.mapping(value, path, _SOURCE_FIELDS, "a source, with url, format and checked")
    for name, example in (("url", "https://..."), ("format", "lines"), ("checked", "2026-08-21")):
        if isinstance(value, dict) and name not in source:
            found.add((*path, name), f"the source has no {name}", f"such as {name}: {example}")
    url = _read_text(found, source, path, "url")
    if url and not re.fullmatch(r"https://[^\s/@]+(/\S*)?", url):
        found.add((*path, "url"), f"{quote_text(url)} is no address of a published list", "https, without user or password")
    known = (*FORMATS, PAGE)
    if isinstance(source.get("format"), str) and source["format"] not in known:
        remedy = nearest_name(source["format"], known, "one of")
        found.add((*path, "format"), f"{quote_text(source['format'])} is no format that is read", remedy)
    return PublishedSource(
        url=url,
        format=_read_text(found, source, path, "format"),
        checked=_read_day(found, source, path, "checked"),
        select=_read_select(found, source, path),
        calls_in=_read_names(found, source, path, "callsIn"),
        ranges=_read_ranges(found, source, path),
        retired=_read_retired_blocks(found, source, path),
        note=_read_text(found, source, path, "note"),
        ipv6=_read_flag(found, source, path, "ipv6"),
    )


def _read_text(found: ProblemCollector, value: Mapping[str, Any], path: ValuePath, name: str) -> str:
    text = value.get(name, "")
    return text if found.is_a(str, text, (*path, name), "text") else ""


def _read_flag(found: ProblemCollector, value: Mapping[str, Any], path: ValuePath, name: str) -> bool | None:
    flag = value.get(name)
    return flag if name in value and found.is_a(bool, flag, (*path, name), "true or false") else None


def _read_day(found: ProblemCollector, value: Mapping[str, Any], path: ValuePath, name: str) -> str:
    text = _read_text(found, value, path, name)
    if text and not _is_day(text):
        found.add((*path, name), f"{quote_text(text)} is no day", "write it as 2026-08-21")
    return text


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


def _read_names(found: ProblemCollector, value: Mapping[str, Any], path: ValuePath, name: str) -> tuple[str, ...]:
    return tuple(item for _, item in found.listed(value, path, name, str, "names, as text"))


def _read_select(found: ProblemCollector, source: Mapping[str, Any], path: ValuePath) -> tuple[tuple[str, tuple[str, ...]], ...]:
    at = (*path, "select")
    if "select" not in source or not found.is_a(dict, source["select"], at, "such as {direction: [ingress]}"):
        return ()
    parts: Mapping[str, Any] = source["select"]
    return tuple((part, _read_names(found, parts, at, part)) for part in parts)


def _read_ranges(found: ProblemCollector, source: Mapping[str, Any], path: ValuePath) -> tuple[PublishedRange, ...]:
    at = (*path, "ranges")
    if "ranges" not in source or not found.is_a(dict, source["ranges"], at, "a mapping of names to lists of blocks"):
        return ()
    names: Mapping[str, Any] = source["ranges"]
    ranges = []
    for name in names:
        seen: set[str] = set()
        for place, block in found.listed(names, at, name, str, "blocks, as text"):
            if _check_block(found, block, place, seen):
                ranges.append(PublishedRange(name, block))
    return tuple(ranges)


def _read_retired_blocks(found: ProblemCollector, source: Mapping[str, Any], path: ValuePath) -> tuple[RetiredBlock, ...]:
    retired = []
    seen: set[str] = set()
    for place, item in found.listed(source, path, "retired", dict, "blocks that the list named once"):
        found.fields(item, place, _RETIRED_FIELDS)
        block = _read_text(found, item, place, "block")
        kept = item.get("kept", False)
        found.is_a(bool, kept, (*place, "kept"), "true or false")
        if _check_block(found, block, (*place, "block"), seen):
            since, note = _read_day(found, item, place, "since"), _read_text(found, item, place, "note")
            retired.append(RetiredBlock(_read_text(found, item, place, "name"), block, since, note, kept is True))
    return tuple(retired)


def _check_block(found: ProblemCollector, text: str, path: ValuePath, seen: set[str]) -> bool:
    """Report what is no block, written as blocks are, or has been seen already."""
    block = parse_block(text)
    if block is None:
        found.add(path, f"{quote_text(text)} is no block", "such as 208.80.154.224/27 or 2001:db8::/32")
    elif block.mapped_ipv4:
        found.add(path, f"{text} is a block of IPv4 written as IPv6", f"write {block.mapped_ipv4}")
    elif str(block) != text:
        found.add(path, f"{text} is not written as a block", f"write {block}")
    elif text in seen:
        found.add(path, f"{text} is here twice", "keep one of them")
    else:
        seen.add(text)
        return True
    return False
