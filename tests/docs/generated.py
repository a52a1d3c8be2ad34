"""The parts of the pages that are made of the code: each is a function that returns its text."""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from unittest.mock import patch

from differences import DIFFERENCES
from docs import situations
from docs.pages import ROOT, read
from egressctl import catalog, curl, errors, oldcurl, resolving
from egressctl.catalog.parsers import PARSERS
from egressctl.catalog.sides import MEANINGS
from egressctl.catalog.upkeep import ALARMS
from egressctl.cli import main
from egressctl.model import CauseCode, Expectation, Probe
from egressctl.rules import RULES

GROUPS = ("lab", "catalog")
"""The commands that have commands of their own."""


def _fenced(text: str, language: str = "text") -> str:
    return f"```{language}\n{text.rstrip()}\n```\n"


def help_of(*words: str) -> str:
    """Return what `egressctl WORDS --help` prints in a terminal of 100 columns."""
    printed = io.StringIO()
    with patch.dict(os.environ, {"COLUMNS": "100"}), contextlib.redirect_stdout(printed):
        assert main.run([*words, "--help"]) == 0
    return printed.getvalue()


def subcommands(group: str) -> list[str]:
    """Return the commands of a command, in the order in which its help lists them."""
    return re.findall(r"^  ([\w-]+) ", help_of(group).partition("\nCommands:\n")[2], re.MULTILINE)


def commands() -> str:
    """Return the help of every command under a heading of its own."""
    lines: list[tuple[str, ...]] = [()]
    for name, _, _ in main.COMMANDS:
        lines.append((name,))
        lines += [(name, each) for each in subcommands(name)] if name in GROUPS else []
    return "\n".join(f"## {' '.join(('egressctl', *words))}\n\n{_fenced(help_of(*words))}" for words in lines)


def exceptions() -> str:
    """Return the tree of exceptions as errors.py draws it."""
    text = (errors.__doc__ or "").split("\n\n")
    return _fenced("\n\n".join(text[1:]))


def modules() -> str:
    """Return the tree of src/egressctl, each module with the first sentence of its docstring."""
    return _fenced("\n".join(_tree()))


def _tree() -> Iterator[str]:
    source = ROOT / "src" / "egressctl"
    folder = ""
    for path in sorted(source.rglob("*.py"), key=lambda each: (each.parent.parts, each.name)):
        inside = path.relative_to(source)
        if str(inside.parent) != folder and str(inside.parent) != ".":
            folder = str(inside.parent)
        told = " ".join((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0].split())
        if told:
            yield f"{inside!s:<34} {told}"


def cause_example(code: str) -> str:
    """Return the picture of one cause."""
    return _fenced(situations.drawn(CauseCode(code)))


def cause_table() -> str:
    """Return the table of all causes: code, what it means (the first sentence of its page)."""
    rows = ["| code | what it says |", "| --- | --- |"]
    for code in CauseCode:
        paragraphs = read(ROOT / "docs" / "causes" / f"{code}.md").text.split("\n\n")
        rows.append(f"| [`{code}`]({code}.md) | {' '.join(paragraphs[1].split())} |")
    return "\n".join(rows) + "\n"


def rules() -> str:
    """Return the table of lint's rules."""
    rows = ["| rule | severity | what it finds |", "| --- | --- | --- |"]
    return "\n".join([*rows, *(f"| `{name}` | {rule.severity} | {rule.meaning} |" for name, rule in RULES.items())]) + "\n"


def catalogue() -> str:
    """Return the table of the built-in targets: what of a list is called, what only calls in, the list and its day."""
    rows = ["| target | called | only calls in | from | of |", "| --- | --- | --- | --- | --- |"]
    for name in catalog.names():
        family = catalog.family(name)
        shown = "/".join((name, *(part.upper() for part in family.parts))) if family else name
        for source in catalog.sources(name):
            called = [f"{part} {', '.join(f'`{each}`' for each in names)}" for part, names in source.select]
            called = called or (
                ["all of the list"] if source.ranges else [f"`{host}`" for host in catalog.get(name).spec["hosts"]]
            )
            calls_in = ", ".join(f"`{each}`" for each in source.calls_in)
            rows.append(f"| `{shown}` | {', '.join(called)} | {calls_in} | <{source.url}> | {source.checked} |")
    return "\n".join(rows) + "\n"


def formats() -> str:
    """Return the table of the formats: its parser's sentence, which says by what it may be selected."""
    rows = ["| format | what it reads |", "| --- | --- |"]
    return (
        "\n".join([*rows, *(f"| `{name}` | {(parser.__doc__ or '').rstrip('.')} |" for name, parser in PARSERS.items())]) + "\n"
    )


def states() -> str:
    """Return the table of what `catalog diff` says of a block."""
    rows = ["| state | what it means |", "| --- | --- |"]
    return "\n".join([*rows, *(f"| `{state}` | {meaning} |" for state, meaning in MEANINGS.items())]) + "\n"


def alarms() -> str:
    """Return the table of what stops `catalog refresh`."""
    rows = ["| alarm | what it means |", "| --- | --- |"]
    return "\n".join([*rows, *(f"| `{alarm}` | {meaning} |" for alarm, meaning in ALARMS.items())]) + "\n"


def exec_probe() -> str:
    """Return the command line that one exec with two probes is: one that reads a body, and one that does not."""
    extracting = Probe("articles", "URL-2", extract={"articles": "(.*)"})
    return _fenced(shlex.join(curl.probe_argv([Probe("portal", "URL-1"), extracting], curl.LIMITS)))


def exec_many() -> str:
    """Return the command line that one exec of many probes is, shown with six."""
    return _fenced(shlex.join(curl.probe_argv([Probe(f"p{n}", f"URL-{n}") for n in range(1, 7)], curl.LIMITS)))


def exec_derived() -> str:
    """Return the command line of a derived probe, for which any status will do."""
    return _fenced(shlex.join(curl.probe_argv([Probe("https", "URL-1", Expectation(status=None))], curl.LIMITS)))


def exec_around() -> str:
    """Return the command line of a probe of `--around`, which connects elsewhere than the URL's host resolves to."""
    probe = Probe("around", "URL-1", Expectation(status=None), connect_ip="ADDRESS")
    return _fenced(shlex.join(curl.probe_argv([probe], curl.LIMITS)))


def exec_again() -> str:
    """Return the command line of a probe that is sent once more, from local ports of its own."""
    limits = replace(curl.LIMITS, local_ports=curl.unusual_ports(lambda _: 0))
    return _fenced(shlex.join(curl.probe_argv([Probe("portal", "URL-1")], limits)))


def exec_companion() -> str:
    """Return the command line of a companion connection."""
    return _fenced(shlex.join(curl.companion_argv([("ADDRESS", 443)], curl.LIMITS)))


def exec_old() -> str:
    """Return the command line of a probe for a curl before 7.75."""
    return _fenced(shlex.join(oldcurl.argv(curl.probe_argv([Probe("portal", "URL-1")], curl.LIMITS))))


def exec_resolve() -> str:
    """Return the command line that resolves a name."""
    return _fenced(shlex.join(resolving.argv("HOST")))


def exec_version() -> str:
    """Return the command line that asks for curl's version."""
    return _fenced(shlex.join(curl.VERSION_ARGV))


def differences() -> str:
    """Return the table of what the tests of the commands hold to one of the two endpoints."""
    rows = ["| only on | what | why |", "| --- | --- | --- |"]
    names = {"lab": "the lab's endpoint", "kubernetes": "a real API server"}
    return "\n".join(rows + [f"| {names[each.only]} | {each.what} | {each.why} |" for each in DIFFERENCES.values()]) + "\n"


def exec_table() -> str:
    """Return the command line that reads the socket table while a companion connection is open."""
    return _fenced(shlex.join(curl.table_argv()))


GENERATORS: Mapping[str, Callable[..., str]] = {
    "commands": commands,
    "exceptions": exceptions,
    "modules": modules,
    "cause": cause_example,
    "causes": cause_table,
    "exec-probe": exec_probe,
    "exec-many": exec_many,
    "exec-derived": exec_derived,
    "exec-around": exec_around,
    "exec-again": exec_again,
    "exec-companion": exec_companion,
    "exec-table": exec_table,
    "exec-old": exec_old,
    "exec-resolve": exec_resolve,
    "exec-version": exec_version,
    "rules": rules,
    "catalogue": catalogue,
    "formats": formats,
    "states": states,
    "alarms": alarms,
    "differences": differences,
}


def text_of(name: str) -> str:
    """Return what belongs into a generated part: its name is a generator's, then what that is given."""
    generator, *given = name.split()
    return GENERATORS[generator](*given)
