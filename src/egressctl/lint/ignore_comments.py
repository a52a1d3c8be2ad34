"""Comments in a file that ask lint to pass over a rule: `# egressctl: ignore=RULE[,RULE]`. Pure.

One that stands on a line of a finding, or alone on the line before it, is about that line. One above the first line of a
document, or among the lines of its `metadata`, is about the whole document.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import yaml

from egressctl.lint.manifest_files import ManifestFile
from egressctl.lint.rule import RULES, Finding
from egressctl.lint.rules import unknown_ignore
from egressctl.manifests.yaml_reader import Document, quote_text

_COMMENT = re.compile(r"#[ \t]*egressctl:[ \t]*(?P<text>[^\r\n]*)")
_IGNORE_REQUEST = re.compile(r"ignore[ \t]*=[ \t]*(?P<rules>[A-Za-z0-9-]+(?:[ \t]*,[ \t]*[A-Za-z0-9-]+)*)[ \t]*(?:#.*)?")

Position = tuple[int, int]
"""Line and column, both from 0, as YAML's marks count."""


class _IgnoredLines(NamedTuple):
    first: int
    last: int
    rules: frozenset[str]


class IgnoreComments:
    """What the comments of one file ask for."""

    def __init__(self, file: ManifestFile) -> None:
        self.findings: list[Finding] = []
        """Comments that ask for no rule that there is."""
        self._scopes: list[_IgnoredLines] = []
        if "egressctl:" not in file.text or file.name.endswith(".json"):
            return
        spans = [document.span for document in file.documents]
        for line, alone, text in _comments(file.text):
            asked = self._asked(text, file.name, line)
            if asked:
                self._scopes += _lines_that_comment_ignores(line, alone, asked, file, spans)

    def ignores_finding(self, finding: Finding) -> bool:
        """Say whether a finding of this file is to be passed over."""
        line = finding.line or 0
        return finding.rule != unknown_ignore.RULE.id and any(
            each.first <= line <= each.last and finding.rule in each.rules for each in self._scopes
        )

    def _asked(self, text: str, name: str, line: int) -> frozenset[str]:
        found = _IGNORE_REQUEST.fullmatch(text.strip())
        if not found:
            self._tell(name, line, f"{quote_text(text.strip())} is not understood", "write # egressctl: ignore=RULE[,RULE]")
            return frozenset()
        asked = [each.strip() for each in found["rules"].split(",")]
        for each in asked:
            if each not in RULES:
                near = difflib.get_close_matches(each, RULES, 1)
                self._tell(name, line, f"there is no rule {quote_text(each)}", f"did you mean {near[0]}?" if near else "")
        return frozenset(asked) & RULES.keys()

    def _tell(self, name: str, line: int, message: str, hint: str) -> None:
        self.findings.append(Finding(unknown_ignore.RULE.id, message, f"{name}:{line}", hint, file=name, line=line))


def _lines_that_comment_ignores(
    line: int, alone: bool, asked: frozenset[str], file: ManifestFile, spans: Sequence[tuple[int, int]]
) -> Iterator[_IgnoredLines]:
    """Yield the lines, from 1, that a comment is about."""
    yield _IgnoredLines(line, line, asked)
    if alone:
        yield _IgnoredLines(line, _next_line(file.text, line), asked)
    lines = file.text.splitlines()
    for document, (first, last) in zip(file.documents, spans, strict=True):
        head = alone and line < first and all(_is_blank(each) for each in lines[line - 1 : first - 1])
        if head or _is_in_metadata(document, line, last):
            yield _IgnoredLines(first, last, asked)


def _is_blank(line: str) -> bool:
    return not line.strip() or line.lstrip().startswith("#")


def _next_line(text: str, line: int) -> int:
    """Return the first line after `line` that is more than a comment."""
    lines = text.splitlines()
    return next((at + 1 for at in range(line, len(lines)) if not _is_blank(lines[at])), line)


def _is_in_metadata(document: Document, line: int, last: int) -> bool:
    root = document.root
    start = document.lines.get((*root, "metadata"))
    if start is None:
        return False
    siblings = [at for path, at in document.lines.items() if path[:-1] == root and len(path) == len(root) + 1]
    end = min((at for at in siblings if at > start), default=last + 1)
    return start <= line < end


def _comments(text: str) -> Iterator[tuple[int, bool, str]]:
    """Yield the line from 1 of each comment to egressctl, whether it stands alone on it, and what it says."""
    scalars = sorted(_scalar_positions(text))
    for number, line in enumerate(text.splitlines()):
        found = _COMMENT.search(line)
        if not found or (found.start() and line[found.start() - 1] not in " \t"):
            continue
        at = (number, found.start())
        if not any(start <= at < end for start, end in scalars):
            yield number + 1, not line[: found.start()].strip(), found["text"]


def _scalar_positions(text: str) -> Iterator[tuple[Position, Position]]:
    """Yield where each text of a YAML document begins and ends: a `#` in there begins no comment."""
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    for event in yaml.parse(text, Loader=loader):
        if isinstance(event, yaml.ScalarEvent) and event.start_mark and event.end_mark:
            yield (event.start_mark.line, event.start_mark.column), (event.end_mark.line, event.end_mark.column)
