"""Read the page of a rule from its docstring: what it means, why, an example, and how to fix it. Pure.

Paragraphs come first, then the example in indented blocks, then how to fix it. A paragraph right before a block that ends
with a colon leads to it. A block is a file of the example, `entry.yaml` unless a comment in its first line names another.
A document of it without a `kind` says in which fields it differs from ENTRY; a field without a value is left out there.
"""

from __future__ import annotations

import re
import textwrap
from typing import NamedTuple

from egressctl.lint.rule import Rule

_ROOT = {
    "apiVersion": "apiVersion: networking.istio.io/v1\n",
    "kind": "kind: ServiceEntry\n",
    "metadata": "metadata: {name: shop-db, namespace: shop}\n",
}
_SPEC = {
    "hosts": "hosts: [db.example.com]\n",
    "addresses": "addresses: [198.51.100.0/28]\n",
    "ports": "ports: [{number: 443, name: port, protocol: TCP}]\n",
    "location": "location: MESH_EXTERNAL\n",
    "resolution": "resolution: NONE\n",
    "exportTo": 'exportTo: ["."]\n',
}
_FIELD = re.compile(r"(\w+):(?: |$)", re.MULTILINE)
_FILE = re.compile(r"# (\S+\.yaml)\n")


class Example(NamedTuple):
    """One file of an example, and the sentence that leads to it, if any."""

    lead: str
    file: str
    text: str


class RulePage(NamedTuple):
    """What a page says. A paragraph is one line."""

    meaning: str
    why: tuple[str, ...]
    examples: tuple[Example, ...]
    fix: tuple[str, ...]


def page_of_rule(rule: Rule) -> RulePage:
    """Return what a rule's docstring says, its example written out."""
    meaning, *parts = rule.doc.rstrip().split("\n\n")
    why, prose, examples = list[str](), list[str](), list[Example]()
    for part in parts:
        if not part.startswith("    "):
            prose.append(" ".join(part.split()))
            continue
        lead = prose.pop() if prose and prose[-1].endswith(":") else ""
        why += prose
        prose = []
        text = textwrap.dedent(part) + "\n"
        name = _FILE.match(text)
        documents = text[name.end() if name else 0 :].split("---\n")
        examples.append(Example(lead, name[1] if name else "entry.yaml", "---\n".join(map(_write_out, documents))))
    if rule.why:
        why[:1] = [" ".join([rule.why, *why[:1]])]
    return RulePage(meaning, tuple(why), tuple(examples), tuple(prose))


def _write_out(document: str) -> str:
    given = _fields(document)
    if "kind" in given:
        return document if "apiVersion" in given else _ROOT["apiVersion"] + document
    root = _ROOT | {name: text for name, text in given.items() if name in _ROOT}
    spec = _SPEC | {name: text for name, text in given.items() if name not in _ROOT}
    body = "".join(text for name, text in spec.items() if text != f"{name}:\n")
    return "".join(root.values()) + "spec:\n" + textwrap.indent(body, "  ")


def _fields(document: str) -> dict[str, str]:
    """Return the lines of each field of a document, with those of what is in it and with comments above it."""
    found: dict[str, str] = {}
    name = comments = ""
    for line in document.splitlines(keepends=True):
        if line.startswith("#"):
            comments += line
            continue
        field = _FIELD.match(line)
        name = field[1] if field else name
        found[name] = found.get(name, "") + comments + line
        comments = ""
    return found


ENTRY = _write_out("")
"""The entry that every rule is content with."""
