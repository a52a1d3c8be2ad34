"""Put what a list holds now into a target's file, and leave every other line of the file as it is. Pure.

Of each source the day in `checked` is written again, and `ranges` where it holds something else, without the comments that
were in it. A source in flow style (`{url: ...}`) is written again as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from egressctl.errors import InvalidInput, Problem
from egressctl.manifests.problems import ProblemCollector
from egressctl.manifests.published import PublishedSource, blocks_by_name, read_published, source_as_data
from egressctl.manifests.yaml_reader import parse_one
from egressctl.model.json_values import mapping_at

SELECT_LESS = "select a part of the list, or make several targets of it"
_WIDTH = 120
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./-]*|https://[A-Za-z0-9_./-]+|[0-9]+(?:\.[0-9]+){3}/[0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2}")
"""What needs no quotes. A day is a date to readers of YAML 1.1, and text to this one."""
_WORDS = frozenset({"null", "true", "false", "yes", "no", "on", "off", "y", "n"})
_Edit = tuple[int, int, str]
"""Where in the text, from and to, and what comes there."""


def read_sources(text: str, source: str) -> tuple[PublishedSource, ...]:
    """Read `spec.published` of a file that holds one target; raise InvalidInput with all its problems.

    `source` names the text in problems.
    """
    document = parse_one(text, source)
    found = ProblemCollector(document.place)
    spec = mapping_at(document.value, "spec")
    if "published" not in spec:
        return ()
    sources = read_published(found, spec["published"], ("spec", "published"))
    if found.problems:
        raise InvalidInput(problems=found.problems)
    return sources


def has_own_addresses(text: str, source: str) -> bool:
    """Say whether the file's ServiceEntry has addresses of its own, which what is published does not change."""
    return "addresses" in mapping_at(parse_one(text, source).value, "spec", "serviceEntry")


def replace_sources(text: str, source: str, now: Sequence[PublishedSource]) -> str:
    """Return the file's text with these sources in place of its own, which are as many, in the same order.

    Raises InvalidInput where `spec.published` is written so that it cannot be changed in its place, and where the file would be
    too large to be read.
    """
    before = read_sources(text, source)
    root = yaml.compose(text, Loader=_LOADER)
    at = _child(_child(root, "spec"), "published")
    if at is None or at.flow_style or any(each.start_mark.index < at.start_mark.index for each in at.value):
        raise _refusal(source)
    newline = "\r\n" if "\r\n" in text else "\n"
    edits = [
        edit for node, old, new in zip(at.value, before, now, strict=True) if new != old for edit in _edits(text, node, old, new)
    ]
    whole = text
    for start, end, new_text in sorted(edits, reverse=True):
        whole = whole[:start] + new_text.replace("\n", newline) + whole[end:]
    try:
        parse_one(whole, source)
    except InvalidInput as refused:
        reason = "; ".join(f"{each.message} ({each.remedy})" for each in refused.problems)
        raise InvalidInput(f"{source}: what is published now does not fit into the file: {reason}", hint=SELECT_LESS) from None
    try:
        good = [*map(_in_file_order, read_sources(whole, source))] == [*map(_in_file_order, now)]
    except InvalidInput:
        good = False
    if not good:
        raise _refusal(source)
    return whole


def _in_file_order(source: PublishedSource) -> PublishedSource:
    """Return a source with its ranges in the order in which a file has them."""
    [again] = read_published(ProblemCollector(), [source_as_data(source)], ())
    return again


def _refusal(source: str) -> InvalidInput:
    problem = Problem(
        "cannot be changed in its place", "spec.published", "write it in block style, one `- url:` a source", source
    )
    return InvalidInput(problems=[problem])


def _edits(text: str, node: Any, old: PublishedSource, new: PublishedSource) -> list[_Edit]:
    column = node.start_mark.column
    start, end = node.start_mark.index, _end(node)
    if node.flow_style:
        return [(start, end, _block_style(source_as_data(new), column).lstrip())]
    checked, ranges = _child(node, "checked"), _child(node, "ranges")
    if checked is None:
        return []  # which is seen once the whole is read again
    edits = [(checked.start_mark.index, checked.end_mark.index, new.checked)]
    if blocks_by_name(old.ranges) == blocks_by_name(new.ranges):
        return edits
    written = _block_style({"ranges": blocks_by_name(new.ranges)}, column)
    if ranges is not None:
        key = next(key for key, value in node.value if value is ranges)
        edits.append((key.start_mark.index, _end(ranges), written.lstrip()))
    else:
        line_end = text.find("\n", checked.end_mark.index)
        place = len(text) if line_end < 0 else line_end + 1
        edits.append((place, place, ("" if line_end >= 0 else "\n") + written + "\n"))
    return edits


def _end(node: Any) -> int:
    """Return where the last character of a node is; a block's own mark is behind the comments that follow it."""
    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _child(node: Any, name: str) -> Any:
    """Return the value of a key, None where there is none in its place: an alias has the place of its anchor."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for key, value in pairs if key.value == name and value.start_mark.index > key.start_mark.index), None)


def _block_style(data: Mapping[str, Any], column: int) -> str:
    """Write a mapping in block style, its keys in this column; lists that fit are on one line."""
    lines: list[str] = []
    for key, value in data.items():
        name = " " * column + _scalar(key) + ":"
        if isinstance(value, Mapping) and value:
            lines += [name, _block_style(value, column + 2)]
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            items = [_block_style(each, column + 4) for each in value]
            lines += [name, *(" " * (column + 2) + "- " + item.lstrip() for item in items)]
        elif isinstance(value, list):
            flow = f"{name} [{', '.join(_scalar(each) for each in value)}]"
            lines += [flow] if len(flow) <= _WIDTH else [name, *(" " * (column + 2) + "- " + _scalar(each) for each in value)]
        else:
            lines.append(f"{name} {_scalar(value)}" if not isinstance(value, Mapping) else f"{name} {{}}")
    return "\n".join(lines)


def _scalar(value: Any) -> str:
    """Write a scalar on one line so that every reader takes it for what it is, also in a flow list."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, bool) or (_PLAIN.fullmatch(text) and text.lower() not in _WORDS):
        return text
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(each if each.isprintable() else f"\\U{ord(each):08x}" for each in plain) + '"'
