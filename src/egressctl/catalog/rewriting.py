"""Put what a list holds now into a target's file, and leave every other line of the file as it is. Pure.

Of each source the text of `ranges` and of `checked` is written anew, comments within `ranges` go with it;
a source in flow style (`{url: ...}`) is written anew as a whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from egressctl.catalog.published import Source, as_data, grouped, read
from egressctl.documents import parse
from egressctl.errors import InvalidInput, Problem
from egressctl.findings import Findings

_WIDTH = 120
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_AT = ("spec", "published")
_Edit = tuple[int, int, str]
"""Where in the text, from and to, and what comes there."""


def sources_of(text: str, source: str) -> tuple[Source, ...]:
    """Read `spec.published` of a file that holds one target; raise InvalidInput with all its problems.

    `source` names the text in problems.
    """
    parsed = parse(text, source)
    if len(parsed.documents) != 1:
        raise InvalidInput(problems=[*parsed.problems, Problem("holds more than one document", "", "one file a target", source)])
    [document] = parsed.documents
    found = Findings(document.place)
    spec = document.value.get("spec")
    sources = read(found, spec["published"], _AT) if isinstance(spec, Mapping) and "published" in spec else ()
    if problems := [*parsed.problems, *found.problems]:
        raise InvalidInput(problems=problems)
    return sources


def writes_addresses(text: str, source: str) -> bool:
    """Say whether the file's ServiceEntry has addresses of its own, which what is published does not change."""
    spec = parse(text, source).documents[0].value.get("spec")
    entry = spec.get("serviceEntry") if isinstance(spec, Mapping) else None
    return isinstance(entry, Mapping) and "addresses" in entry


def rewritten(text: str, source: str, now: Sequence[Source]) -> str:
    """Return the file's text with these sources in place of its own, which are as many, in the same order.

    Raises InvalidInput where `spec.published` is written so that it cannot be changed in its place.
    """
    before = sources_of(text, source)
    root = yaml.compose(text, Loader=_LOADER)
    at = _child(_child(root, "spec"), "published")
    if at is None or at.flow_style or len(at.value) != len(now):
        raise _refusal(source)
    newline = "\r\n" if "\r\n" in text else "\n"
    # Marks count characters without the byte order mark, which the reader of files has taken off.
    edits = [edit for node, old, new in zip(at.value, before, now, strict=True) if new != old for edit in _edits(text, node, new)]
    whole = text
    for start, end, new_text in sorted(edits, reverse=True):
        whole = whole[:start] + new_text.replace("\n", newline) + whole[end:]
    if sources_of(whole, source) != tuple(_sorted(each) for each in now):
        raise _refusal(source)
    return whole


def _sorted(source: Source) -> Source:
    """Return a source as reading it from a file that this module has written gives it."""
    [again] = read(Findings(), [as_data(source)], ())
    return again


def _refusal(source: str) -> InvalidInput:
    problem = Problem("cannot be changed in its place", "spec.published", "write it in block style, one `- url:` a source", source)
    return InvalidInput(problems=[problem])


def _edits(text: str, node: Any, new: Source) -> list[_Edit]:
    column = node.start_mark.column
    start, end = node.start_mark.index, _end(node)
    if node.flow_style:
        return [(start, end, _block(as_data(new), column).lstrip())]
    checked, ranges = _child(node, "checked"), _child(node, "ranges")
    edits = [(checked.start_mark.index, checked.end_mark.index, new.checked)]
    written = _ranges(new, column)
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
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if key.value == name), None)


def _ranges(source: Source, column: int) -> str:
    return _block({"ranges": grouped(source.ranges)}, column)


def _block(data: Mapping[str, Any], column: int) -> str:
    """Write a mapping in block style, its keys in this column; lists that fit are on one line."""
    lines: list[str] = []
    for key, value in data.items():
        name = " " * column + _scalar(key) + ":"
        if isinstance(value, Mapping) and value:
            lines += [name, _block(value, column + 2)]
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            items = [_block(each, column + 4) for each in value]
            lines += [name, *(" " * (column + 2) + "- " + item.lstrip() for item in items)]
        elif isinstance(value, list):
            flow = f"{name} [{', '.join(map(_scalar, value))}]"
            lines += [flow] if len(flow) <= _WIDTH else [name, *(" " * (column + 2) + "- " + _scalar(each) for each in value)]
        else:
            lines.append(f"{name} {_scalar(value)}" if not isinstance(value, Mapping) else f"{name} {{}}")
    return "\n".join(lines)


def _scalar(value: Any) -> str:
    """Write a scalar so that it may stand in a flow list, and is read as what it is."""
    if isinstance(value, bool):
        return str(value).lower()
    dumped: str = yaml.safe_dump([str(value)], default_flow_style=True, allow_unicode=True, width=2**31 - 1)
    inner = dumped.strip()[1:-1]
    # Days are dates to readers of YAML 1.1, and text to this one.
    return str(value) if inner == f"'{value}'" and _is_day(str(value)) else inner


def _is_day(text: str) -> bool:
    return len(text) == 10 and text[4] == text[7] == "-" and text.replace("-", "").isdigit()
