"""YAML text as values that know their lines, within limits that no file of honest use meets.

Read as events, never composed or constructed by the library: so depth and size are refused while
they grow, no tag can name a class, and aliases count as often as they are used. Scalars follow
YAML 1.2's core schema without infinities, which JSON does not have: `yes`, `on` and `2026-01-01` are strings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from egressctl.errors import InvalidInput, Problem

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 40
MAX_NODES = 20_000
_MAX_NUMBER = 32
"""Characters of a number; Python itself refuses to print one of more than 4,300 digits."""

ValuePath = tuple[str | int, ...]
"""The way to a value: keys and indexes from the document's root."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_CORE = "tag:yaml.org,2002:"
_NULL = re.compile(r"|~|null|Null|NULL")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_NUMBER = re.compile(rf"{_INT.pattern}|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_PLAIN_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_EXPECTED = "an EgressTarget or a ServiceEntry, which begins with `apiVersion:` and `kind:`"


class InputPlace(NamedTuple):
    """Where a value stands: the field as a user writes it, the input's name, and the line from 1."""

    field: str
    source: str = ""
    line: int | None = None


def field_name(path: ValuePath) -> str:
    """Write a path as Kubernetes does: `spec.addresses[2]`, `metadata.labels[a.b/c]`."""
    text = ""
    for step in path:
        if isinstance(step, int) or not _PLAIN_KEY.fullmatch(step):
            text += f"[{step if isinstance(step, int) else quote_text(step)[1:-1]}]"
        else:
            text += f".{step}" if text else step
    return text


class Document(NamedTuple):
    """One mapping of a YAML text; `root` is its place in the text where it is an item of a List."""

    value: Mapping[str, Any]
    source: str
    lines: Mapping[ValuePath, int]
    root: ValuePath = ()

    def place(self, path: ValuePath = ()) -> InputPlace:
        """Say where a path of this document stands; for what is not there, the line of what would hold it."""
        full = self.root + path
        known = next((full[:end] for end in range(len(full), -1, -1) if full[:end] in self.lines), ())
        return InputPlace(field_name(full), self.source, self.lines.get(known))

    @property
    def span(self) -> tuple[int, int]:
        """The lines on which its first and its last value begin, from 1."""
        size = len(self.root)
        lines = [line for path, line in self.lines.items() if path[:size] == self.root]
        return min(lines), max(lines)


class ParsedYaml(NamedTuple):
    """The documents of a text, and the problems that reading alone shows (a duplicate key, a tag)."""

    documents: tuple[Document, ...]
    problems: tuple[Problem, ...]


def parse_yaml(text: str, source: str, *, any_kind: bool = False) -> ParsedYaml:
    """Read every document of a YAML (or JSON) text; unpack Lists; skip empty documents.

    `source` names the text in problems. Raises InvalidInput where the text is no YAML, exceeds
    a limit, or holds no document. With `any_kind` documents that are no mappings are passed over, and there may be none.
    """
    if len(text) > MAX_BYTES or len(text.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        raise _refusal(source, None, "is larger than 1 MiB", "a target file is a few kilobytes")
    problems: list[Problem] = []
    documents: list[Document] = []
    for value, lines in _document_values(text, source, problems):
        if value is None:
            continue
        if isinstance(value, dict):
            documents += _unpack_list(Document(value, source, lines), problems)
        elif not any_kind:
            problems.append(Problem(f"the document is {kind_of(value)}", "", f"expected {_EXPECTED}", source, lines[()]))
    if not documents and not problems and not any_kind:
        raise _refusal(source, None, "holds no document", f"expected {_EXPECTED}")
    return ParsedYaml(tuple(documents), tuple(problems))


def parse_one(text: str, source: str) -> Document:
    """Return the one document of a text. Raises InvalidInput with all problems, of which one is that there are several."""
    parsed = parse_yaml(text, source)
    problems = list(parsed.problems)
    if len(parsed.documents) > 1:
        problems.append(Problem("holds more than one document", "", "one file a target", source))
    if problems:
        raise InvalidInput(problems=problems)
    return parsed.documents[0]


def kind_of(value: object) -> str:
    """Name a value's kind as a user of YAML would: `a list`, `the number 443`, `empty`."""
    match value:
        case None:
            return "empty"
        case bool():
            return f"the boolean {str(value).lower()}"
        case int() | float():
            return f"the number {value}"[:60]
        case str():
            return f"the text {quote_text(value)}"
        case list():
            return "a list"
        case _:
            return "a mapping"


def quote_text(text: str) -> str:
    """Quote a text from an input for a message: in one line, without control characters, not for ever."""
    short = text if len(text) <= 80 else text[:77] + "..."
    return '"' + "".join(c if c.isprintable() else repr(c)[1:-1] for c in short) + '"'


def _unpack_list(document: Document, problems: list[Problem]) -> list[Document]:
    kind, items = document.value.get("kind"), document.value.get("items")
    if not (isinstance(kind, str) and kind.endswith("List") and isinstance(items, list)):
        return [document]
    found = []
    for index, item in enumerate(items):
        root: ValuePath = ("items", index)
        if isinstance(item, dict):
            found.append(Document(item, document.source, document.lines, root))
        else:
            place = document.place(root)
            problems.append(
                Problem(f"the item is {kind_of(item)}", place.field, f"expected {_EXPECTED}", place.source, place.line)
            )
    return found


_TOO_DEEP = (f"the document is nested deeper than {MAX_DEPTH} levels", "a target needs six")


def _refusal(source: str, line: int | None, message: str, remedy: str = "") -> InvalidInput:
    return InvalidInput(problems=[Problem(message, "", remedy, source, line)])


class _FinishedValue(NamedTuple):
    """A finished value, with what it weighs once its aliases are written out."""

    value: Any
    nodes: int = 1
    characters: int = 0
    height: int = 1


@dataclass(slots=True)
class _OpenValue:
    """A mapping or list that is being read; `key` is the mapping's key that waits for its value."""

    value: dict[str, Any] | list[Any]
    path: ValuePath
    anchor: str | None
    key: str | None = None
    nodes: int = 1
    characters: int = 0
    height: int = 1


@dataclass(slots=True)
class _Reader:
    """What is known of the document that is being read."""

    source: str
    problems: list[Problem]
    lines: dict[ValuePath, int] = field(default_factory=dict)
    stack: list[_OpenValue] = field(default_factory=list)
    anchors: dict[str, _FinishedValue | None] = field(default_factory=dict)
    """None while the anchored value is not finished, so that one that holds itself is seen."""
    nodes: int = 0
    characters: int = 0
    root: Any = None

    def fail(self, line: int, message: str, remedy: str = "") -> InvalidInput:
        return _refusal(self.source, line, message, remedy)

    def problem(self, path: ValuePath, line: int, message: str, remedy: str) -> None:
        self.problems.append(Problem(message, field_name(path), remedy, self.source, line))

    def child_path(self) -> ValuePath:
        if not self.stack:
            return ()
        top = self.stack[-1]
        return (*top.path, len(top.value) if isinstance(top.value, list) else top.key or "")

    def awaits_key(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1].value, dict) and self.stack[-1].key is None

    def weigh(self, node: _FinishedValue, line: int) -> None:
        self.nodes += node.nodes
        self.characters += node.characters
        if self.nodes > MAX_NODES or self.characters > MAX_BYTES:
            limit = f"at most {MAX_NODES:,} values and 1 MiB of text, with aliases written out"
            raise self.fail(line, "the document grows too large", limit)
        if len(self.stack) + node.height > MAX_DEPTH:
            raise self.fail(line, *_TOO_DEEP)

    def open(self, value: dict[str, Any] | list[Any], anchor: str | None, line: int) -> None:
        if self.awaits_key():
            raise self.fail(line, f"a key is {kind_of(value)}", "keys are text")
        self.weigh(_FinishedValue(None), line)
        path = self.child_path()
        self.lines.setdefault(path, line)
        if anchor:
            self.anchors[anchor] = None
        self.stack.append(_OpenValue(value, path, anchor))

    def close(self) -> None:
        done = self.stack.pop()
        self.put(_FinishedValue(done.value, done.nodes, done.characters, done.height), done.anchor)

    def put(self, node: _FinishedValue, anchor: str | None) -> None:
        if anchor:
            self.anchors[anchor] = node
        if not self.stack:
            self.root = node.value
            return
        top = self.stack[-1]
        top.nodes += node.nodes
        top.characters += node.characters
        top.height = max(top.height, node.height + 1)
        if isinstance(top.value, list):
            top.value.append(node.value)
        else:
            # A duplicate's first value stays; the problem has been noted at the key.
            top.value.setdefault(str(top.key), node.value)
            top.key = None

    def leaf(self, node: _FinishedValue, anchor: str | None, line: int) -> None:
        self.weigh(node, line)
        if self.awaits_key():
            if anchor:
                self.anchors[anchor] = node
            self.take_key(node, line)
            return
        self.lines.setdefault(self.child_path(), line)
        self.put(node, anchor)

    def take_key(self, node: _FinishedValue, line: int) -> None:
        top, value = self.stack[-1], node.value
        top.nodes += node.nodes
        top.characters += node.characters
        if isinstance(value, dict | list):
            raise self.fail(line, f"a key is {kind_of(value)}", "keys are text")
        key = value if isinstance(value, str) else str(value)
        path = (*top.path, key)
        if not isinstance(value, str):
            self.problem(path, line, f"the key is {kind_of(value)}", "keys are text: put it in quotes")
        elif key in top.value:
            self.problem(path, line, f"the key is here twice, first on line {self.lines[path]}", "keep one of them")
        top.key = key
        self.lines.setdefault(path, line)

    def alias(self, name: str, line: int) -> None:
        if name not in self.anchors:
            raise self.fail(line, f"the alias *{name} has no anchor before it")
        node = self.anchors[name]
        if node is None:
            raise self.fail(line, f"the alias *{name} stands inside of what it names")
        self.leaf(node, None, line)

    def scalar(self, event: Any, line: int) -> None:
        tag = event.tag.removeprefix(_CORE) if event.tag and event.tag != "!" else None
        value = self.resolved(event.value, tag, event.implicit[0], line)
        if value == "<<" and event.implicit[0] and self.awaits_key():
            self.problem((*self.stack[-1].path, value), line, "merge keys are not read", "write the fields out")
        self.leaf(_FinishedValue(value, characters=len(event.value)), event.anchor, line)

    def resolved(self, text: str, tag: str | None, plain: bool, line: int) -> Any:
        if tag == "str" or (tag is None and not plain):
            return text
        if tag in (None, "null") and _NULL.fullmatch(text):
            return None
        if tag in (None, "bool") and _BOOL.fullmatch(text):
            return text.lower() == "true"
        if tag in (None, "int", "float") and _NUMBER.fullmatch(text):
            return self.number(text, line)
        if tag is not None:
            self.problem(self.child_path(), line, f"the tag {quote_text(tag)} does not fit, or is not read", "leave the tag out")
        return text

    def number(self, text: str, line: int) -> int | float:
        if len(text) > _MAX_NUMBER:
            raise self.fail(line, "a number has too many digits", "put it in quotes if it is text")
        if not _INT.fullmatch(text):
            return float(text)
        if text[0] == "0" and text.isdigit() and len(text) > 1:
            message = f"the number {text} begins with a zero, which YAML 1.1 and 1.2 read differently"
            self.problem(self.child_path(), line, message, "leave the zero out, or put it in quotes if it is text")
        return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _document_values(text: str, source: str, problems: list[Problem]) -> Iterator[tuple[Any, dict[ValuePath, int]]]:
    """Give each document's value and lines; None for an empty document."""
    line = 1
    reader = _Reader(source, problems)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            line = event.start_mark.line + 1 if event.start_mark else line
            match event:
                case yaml.DocumentStartEvent():
                    reader = _Reader(source, problems)
                case yaml.DocumentEndEvent():
                    yield reader.root, reader.lines
                case yaml.ScalarEvent():
                    reader.scalar(event, line)
                case yaml.AliasEvent():
                    reader.alias(str(event.anchor), line)
                case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                    mapping = isinstance(event, yaml.MappingStartEvent)
                    if event.tag not in (None, "!", _CORE + ("map" if mapping else "seq")):
                        reader.problem(
                            reader.child_path(), line, f"the tag {quote_text(event.tag)} is not read", "leave the tag out"
                        )
                    reader.open({} if mapping else [], event.anchor, line)
                case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                    reader.close()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        if "nesting depth" in str(error.problem):
            # Newer releases of PyYAML have a limit of their own, and read ahead to it.
            raise _refusal(source, line, *_TOO_DEEP) from None
        raise _refusal(source, mark.line + 1 if mark else line, f"is not YAML: {error.problem or error.context}") from None
    except (yaml.YAMLError, UnicodeError):
        raise _refusal(source, None, "is not text: it holds characters that YAML does not allow") from None
