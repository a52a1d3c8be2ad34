"""The words that people read are plain: what was retired in favour of an everyday word does not come back.

Engineers read them whose first language is often not English. Codes, JSON keys and names of files are no words.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from egressctl.cli.registry import COMMANDS
from egressctl.lint.rule import RULES
from egressctl.model.cause import CauseCode

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "egressctl"

RETIRED = {
    r"carr(?:y|ies|ied|ying|iers?)": "send, sent, route",
    r"rivals?": "conflicting entry",
    r"stations?": "step",
    r"mend(?:s|ed|ing)?": "fix",
    r"beside": "next to, with, and",
    r"thereby": "so",
    r"lack(?:s|ed|ing)?": "does not have",
    r"tells?|told": "show, report, say",
    r"who(?:m|so)?ever": "name who it is",
    r"(?:held|holds?|holding) (?:it |them |each other |\S+ )?against": "compare with",
    r"gone into": "explained",
    r"anew": "again",
    r"led": "sent, routed",
    r"comes? about|came about": "is made",
    r"hence|thus|whence": "so",
}
"""By the pattern of a word: what to write instead."""

NO_WORDS = re.compile(
    r"""
    ```.*?``` | ~~~.*?~~~      # blocks, which are run or generated
    | <!--.*?-->
    | `[^`\n]*`                # code, keys and names
    | \]\([^)]*\)              # where a link goes
    | rival-entry | rival\.ya?ml | a-rival | /rival | "rival"
    """,
    re.VERBOSE | re.DOTALL,
)

FIELDS = re.compile(r"\{\w+\}")
"""What a template is filled in with."""

KEYS = frozenset({"held", "stations", "carried by"})
"""Values of a report's JSON, which stay as they are."""


def retired(text: str) -> list[str]:
    """Return each retired word in a text, with what to write instead."""
    plain = NO_WORDS.sub(" ", text)
    found = ((match[0], better) for word, better in RETIRED.items() for match in re.finditer(rf"\b(?:{word})\b", plain, re.I))
    return [f"{word}: write {better}" for word, better in found]


def docstrings_of(tree: ast.Module) -> set[int]:
    """Return the strings that are statements: comments, which nobody is shown."""
    bodies = (getattr(node, "body", ()) for node in ast.walk(tree))
    statements = (each for body in bodies if isinstance(body, list) for each in body)
    return {id(each.value) for each in statements if isinstance(each, ast.Expr)}


def shown_strings(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the strings of a module that may be shown: those of several words, a whole f-string as one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    passed = docstrings_of(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            passed.update(map(id, node.values))
            text = "".join(str(each.value) if isinstance(each, ast.Constant) else "…" for each in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passed:
            text = node.value
        else:
            continue
        if " " in text.strip() and text not in KEYS and not text.startswith("kubectl "):
            yield node.lineno, text


def command_docstrings() -> Iterator[tuple[str, str]]:
    for path in sorted((SOURCE / "cli" / "commands").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                yield f"{path.stem}:{node.name}", ast.get_docstring(node) or ""


@pytest.mark.parametrize(("name", "line"), [(name, line) for name, _, line in COMMANDS], ids=[name for name, _, _ in COMMANDS])
def test_the_list_of_commands(name: str, line: str) -> None:
    assert retired(line) == [], name


def test_the_help_of_commands() -> None:
    assert {where: words for where, text in command_docstrings() if (words := retired(text))} == {}


def test_the_causes() -> None:
    texts = {code: [code.meaning, *(text for each in code.wordings for text in (each.sentence, each.step))] for code in CauseCode}
    assert {code: words for code, said in texts.items() if (words := retired(FIELDS.sub(" ", " | ".join(said))))} == {}


def test_the_rules_of_lint() -> None:
    assert {rule.id: words for rule in RULES.values() if (words := retired(rule.doc or ""))} == {}


def test_messages() -> None:
    found = {
        f"{path.relative_to(SOURCE)}:{line}": words
        for path in sorted(SOURCE.rglob("*.py"))
        for line, text in shown_strings(path)
        if (words := retired(FIELDS.sub(" ", text)))
    }
    assert found == {}


def test_pages() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    assert len(pages) > 1
    found = {str(path.relative_to(ROOT)): words for path in pages if (words := retired(path.read_text(encoding="utf-8")))}
    assert found == {}


def test_a_retired_word_is_found_and_a_code_is_not() -> None:
    assert retired("what carries it") == ["carries: write send, sent, route"]
    assert retired("the cause rival-entry, and the key `held`") == []
