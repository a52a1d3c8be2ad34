"""Read a published list: bytes in, the blocks that are called and those that only call in out. Pure.

Only what a source selects is called; every name that it selects must be in the list, since one that is gone is a change that
nobody should take over unseen. IPv6 is called where the source says so, or has it already (`PublishedSource.calls_ipv6`).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping

from egressctl.catalog.parsers import PARSERS, ListedBlock, as_word, invalid_list
from egressctl.errors import InvalidInput, Problem
from egressctl.manifests.published import PublishedRange, PublishedSource
from egressctl.manifests.yaml_reader import kind_of, quote_text
from egressctl.model.blocks import Block, collapse_blocks, parse_block
from egressctl.runtime.sentence import first_names

MAX_BYTES = 16 * 1024 * 1024
MAX_RANGES = 100_000


def parse_published_list(source: PublishedSource, data: bytes) -> tuple[PublishedRange, ...]:
    """Read the blocks that are called, as a list's source says, collapsed name by name; one may stand under several.

    Raises InvalidInput that says what is wrong with the list and where.
    """
    if len(data) > MAX_BYTES:
        raise invalid_list((), f"it is larger than {MAX_BYTES // 1024 // 1024} MiB")
    try:
        parser = PARSERS[source.format]
    except KeyError:
        raise invalid_list((), f"{quote_text(source.format)} is no format that is read") from None
    seen: dict[str, set[str]] = {}
    called: list[tuple[str, Block]] = []
    for count, item in enumerate(parser(data, source), 1):
        if count > MAX_RANGES:
            raise invalid_list((), f"it holds more than {MAX_RANGES} blocks")
        for part, names in item.parts.items():
            seen.setdefault(part, set()).update(names)
        block = _parse_block(item)
        called += [(name, block) for name in _selected_names(source, item)]
    _require_selected_names(source, seen)
    listed = _collapse_by_name(called, {4, 6} if source.calls_ipv6 else {4})
    if not listed and called:
        raise invalid_list((), "there is no block of IPv4 in it", "ipv6: true in the source calls those of IPv6")
    if not listed:
        raise invalid_list((), "nothing in it is called" if source.select else "there is no block in it")
    return listed


def _selected_names(source: PublishedSource, item: ListedBlock) -> list[str]:
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
    return [_range_name(item, {**alone, several: each}) for each in words[several]] if several else [_range_name(item, alone)]


def _range_name(item: ListedBlock, words: Mapping[str, str]) -> str:
    name = item.name
    for part in item.parts:
        name = name.replace(f"{{{part}}}", as_word(words.get(part, "")))
    return name


def _require_selected_names(source: PublishedSource, seen: Mapping[str, set[str]]) -> None:
    problems = [
        Problem(
            f"there is no {part} {quote_text(name)} in it",
            remedy="it has " + first_names([quote_text(each)[1:-1] for each in sorted(seen[part])], 12) if seen.get(part) else "",
        )
        for part, names in source.select
        for name in names
        if name not in seen.get(part, ())
    ]
    if problems:
        raise InvalidInput(problems=problems)


def _parse_block(item: ListedBlock) -> Block:
    if not isinstance(item.text, str):
        raise invalid_list(item.path, f"is {kind_of(item.text)}", "expected a block, as text")
    found = parse_block(item.text)
    if found is None:
        raise invalid_list(item.path, f"{quote_text(item.text)} is no address and no block")
    if parse_block(item.text.partition("/")[0]) != parse_block(found.address):
        raise invalid_list(item.path, f"{quote_text(item.text)} has host bits set")
    return found


def _collapse_by_name(blocks: Iterable[tuple[str, Block]], versions: Container[int]) -> tuple[PublishedRange, ...]:
    named: dict[str, list[Block]] = {}
    for name, block in blocks:
        if block.version in versions:
            named.setdefault(name, []).append(block)
    return tuple(PublishedRange(name, str(block)) for name in sorted(named) for block in collapse_blocks(named[name]))
