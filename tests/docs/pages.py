"""The pages of the documentation, cut into what a test can hold: blocks, links, pieces of code in the prose."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
REWRITE = bool(os.environ.get("EGRESSCTL_DOCS_REWRITE"))
"""Whether pages are to be brought up to date rather than held against the product."""

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\S*)\n(?P<body>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
_REMARK = re.compile(r"<!-- test: (?P<text>[^>]*?) -->\n\Z")
_GENERATED = re.compile(r"^<!-- generated: (?P<name>[^>]*?) -->\n(?P<body>.*?)^<!-- end -->$", re.MULTILINE | re.DOTALL)
_HEAD = re.compile(r"\A---\n(?P<body>.*?)^---\n", re.MULTILINE | re.DOTALL)
_PAGE_REMARK = re.compile(r"\A<!-- test: (?P<text>lab[^>]*?) -->$", re.MULTILINE)


@dataclass(frozen=True)
class Command:
    """A line that a reader types, and what comes of it by the page; `start` and `end` are the output's place in the page."""

    line: str
    output: str
    start: int
    end: int


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the remark on how a test is to take it."""

    language: str
    body: str
    remark: str
    start: int

    @property
    def commands(self) -> list[Command]:
        """The commands of a console block, with their outputs."""
        found: list[Command] = []
        place = self.start
        for line in self.body.splitlines(keepends=True):
            end = place + len(line)
            if line.startswith("$ "):
                found.append(Command(line[2:].rstrip("\n"), "", end, end))
            elif found:
                found[-1] = Command(found[-1].line, found[-1].output + line, found[-1].start, end)
            else:
                raise AssertionError(f"a console block starts with an output: {line!r}")
            place = end
        return found


@dataclass(frozen=True)
class Page:
    """One Markdown file. `setting` is what its first line below the head says for the tests: `lab` or `lab ALLOW_ANY`."""

    path: Path
    text: str = field(repr=False)

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def title(self) -> str:
        return str(re.findall(r"^# (.*)$", self.prose_with_code, re.MULTILINE)[0])

    @property
    def setting(self) -> str:
        found = _PAGE_REMARK.search(_HEAD.sub("", self.text))
        return found["text"] if found else ""

    @property
    def tags(self) -> list[str]:
        """The words that its head gives the search of the site."""
        head = _HEAD.match(self.text)
        return [str(tag) for tag in yaml.safe_load(head["body"])["tags"]] if head else []

    @property
    def blocks(self) -> list[Block]:
        found = []
        for fence in _FENCE.finditer(self.text):
            remark = _REMARK.search(self.text, 0, fence.start())
            text = remark["text"] if remark and not remark["text"].startswith("lab") else ""
            found.append(Block(fence["language"], fence["body"], text, fence.start("body")))
        return found

    @property
    def commands(self) -> list[Command]:
        return [command for block in self.blocks if block.language == "console" for command in block.commands]

    @property
    def prose(self) -> str:
        """The text without blocks, remarks and code."""
        return re.sub(r"`[^`]*`|\]\([^)]*\)", "", self.prose_with_code)

    @property
    def prose_with_code(self) -> str:
        return re.sub(r"<!--.*?-->", "", _FENCE.sub("", _HEAD.sub("", self.text)), flags=re.DOTALL)

    @property
    def code(self) -> list[str]:
        """The pieces of code in the prose, line ends taken as blanks."""
        return [" ".join(piece.split()) for piece in re.findall(r"`([^`]+)`", self.prose_with_code)]

    @property
    def links(self) -> list[str]:
        return re.findall(r"\]\(([^)\s]+)\)", self.prose_with_code)

    @property
    def anchors(self) -> set[str]:
        """The names of the headings, as forges make them."""
        titles = re.findall(r"^#+ (.*)$", self.prose_with_code, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}

    @property
    def generated(self) -> Iterator[tuple[str, str, int, int]]:
        """Yield each generated part: its name, its text, and the text's place in the page."""
        for found in _GENERATED.finditer(self.text):
            yield found["name"], found["body"], found.start("body"), found.end("body")

    def rewrite(self, changes: list[tuple[int, int, str]]) -> None:
        """Put new texts in the places given."""
        text = self.text
        for start, end, new in sorted(changes, reverse=True):
            text = text[:start] + new + text[end:]
        self.path.write_text(text, encoding="utf-8")


def read(path: Path) -> Page:
    """Read one page."""
    return Page(path, path.read_text(encoding="utf-8"))


def pages() -> list[Page]:
    """Read every page of the project."""
    return [read(path) for path in sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])]
