"""The parts of the pages that are made of the code: each is a function that returns its text."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shlex
import textwrap
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from unittest.mock import patch

from differences import DIFFERENCES, PLACES
from docs import situations
from docs.pages import ROOT, read
from egressctl import errors
from egressctl.catalog import formats as lists
from egressctl.catalog import lookup
from egressctl.catalog.diff_rows import MEANINGS
from egressctl.catalog.list_changes import ALARMS
from egressctl.catalog.parsers import PARSERS
from egressctl.catalog.validation import MOST_ADDRESSES
from egressctl.cli import main
from egressctl.cli.registry import COMMANDS
from egressctl.lint.rule import RULES, LintResult
from egressctl.lint.rule_page import page_of_rule
from egressctl.manifests import formats as words
from egressctl.manifests import probes, service_entry, yaml_reader
from egressctl.manifests.problems import MOST_PROBLEMS
from egressctl.mesh import curl, dns, old_curl
from egressctl.model.cause import CauseCode
from egressctl.model.probe import Expectation, Probe
from egressctl.report import lint_formats
from egressctl.runtime.sanitize import LONGEST_TEXT
from egressctl.runtime.text_search import DEFAULT_LIMITS, LONGEST_FOUND
from lint_examples import findings_in_example

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
    for name, _, _ in COMMANDS:
        lines.append((name,))
        lines += [(name, each) for each in subcommands(name)] if name in GROUPS else []
    return "\n".join(f"## {' '.join(('egressctl', *words))}\n\n{_fenced(help_of(*words))}" for words in lines)


def how_to() -> str:
    """Return a link to each page of how to do something: in the order of the site's menu, then those that it does not name."""
    menu = re.findall(r"how-to/(?!index)([\w-]+)\.md$", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"), re.MULTILINE)
    names = {path.stem for path in (ROOT / "docs" / "how-to").glob("*.md")} - {"index"}
    titles = {name: read(ROOT / "docs" / "how-to" / f"{name}.md").title for name in (*menu, *sorted(names - set(menu)))}
    return "".join(f"- [{title[:1].lower()}{title[1:]}]({name}.md)\n" for name, title in titles.items())


def exceptions() -> str:
    """Return the tree of exceptions as errors.py draws it."""
    text = (errors.__doc__ or "").split("\n\n")
    return _fenced("\n\n".join(text[1:]))


def cause_example(code: str) -> str:
    """Return the picture of one cause."""
    return _fenced(situations.drawn(CauseCode(code)))


def cause_meaning(code: str) -> str:
    """Return what one cause means."""
    return textwrap.fill(CauseCode(code).meaning, 120) + "\n"


def cause_table() -> str:
    """Return the table of all causes: code, and what it means."""
    rows = ["| code | what it says |", "| --- | --- |", *(f"| [`{code}`]({code}.md) | {code.meaning} |" for code in CauseCode)]
    return "\n".join(rows) + "\n"


def rules() -> str:
    """Return the table of lint's rules, each with its page."""
    rows = ["| rule | severity | what it finds |", "| --- | --- | --- |"]
    return (
        "\n".join([*rows, *(f"| [`{name}`]({name}.md) | {rule.severity} | {rule.meaning} |" for name, rule in RULES.items())])
        + "\n"
    )


def rule(name: str) -> str:
    """Return the page of a rule below its title: what its docstring says, and what lint says of the example, by that rule."""
    page = page_of_rule(RULES[name])
    parts = [*map(_wrapped, (page.meaning, *page.why)), "## An example"]
    for example in page.examples:
        lead = example.lead or (f"`{example.file}`:" if example.file != "entry.yaml" else "")
        parts += [_wrapped(lead)] * bool(lead)
        parts.append(f"<!-- test: lint {example.file} -->\n{_fenced(example.text, 'yaml').rstrip()}")
    found = tuple(finding for finding in findings_in_example(name) if finding.rule == name)
    parts += [_fenced(lint_formats.lint_text(LintResult(found), "table", 0, "/")).rstrip(), "## How to fix it"]
    return "\n\n".join([*parts, *map(_wrapped, page.fix)]) + "\n"


def _wrapped(paragraph: str) -> str:
    """Return a paragraph in lines that a page has, none of which ends within a piece of code."""
    kept = re.sub("`[^`]*`", lambda code: code[0].replace(" ", "\0"), paragraph)
    return textwrap.fill(kept, 120, break_long_words=False, break_on_hyphens=False).replace("\0", " ")


def schema_fields(name: str) -> str:
    """Return the table of every field of a JSON schema: its path, its kind, and what the schema says of it."""
    schema = json.loads((ROOT / "docs" / "reference" / f"{name}.schema.json").read_text(encoding="utf-8"))
    rows = ["| field | kind | what it holds |", "| --- | --- | --- |"]
    return "\n".join([*rows, *(f"| `{path}` | {kind} | {told} |" for path, kind, told in _fields(schema, schema, ""))]) + "\n"


def _fields(schema: Mapping[str, Any], node: Mapping[str, Any], path: str) -> Iterator[tuple[str, str, str]]:
    for name, given in node.get("properties", {}).items():
        told, kinds, inner = _kind(schema, given)
        here = f"{path}.{name}" if path else name
        if isinstance(inner.get("items"), dict):
            here += "[]"
            _, of_items, inner = _kind(schema, inner["items"])
            kinds = [*[f"list of {kind}" for kind in of_items[:1]], *kinds[1:]]
        yield here, " or ".join(kinds), told
        yield from _fields(schema, inner, here)


def _kind(schema: Mapping[str, Any], node: Mapping[str, Any]) -> tuple[str, list[str], Mapping[str, Any]]:
    """Follow a reference, or the one choice that is not null; return what is told on the way, the kinds, and where it ends."""
    told = str(node.get("description", ""))
    if "$ref" in node:
        more, kinds, inner = _kind(schema, schema["$defs"][node["$ref"].rpartition("/")[2]])
        return told or more, kinds, inner
    if "oneOf" in node and "properties" not in node:
        found = [_kind(schema, choice) for choice in node["oneOf"]]
        inner = next((each for _, kinds, each in found if kinds != ["null"]), node)
        more = next((each for each, kinds, _ in found if kinds != ["null"]), "")
        return told or more, sorted({kind for _, kinds, _ in found for kind in kinds}, key=lambda kind: kind == "null"), inner
    if "const" in node:
        return told, [f"`{json.dumps(node['const'])}`"], node
    if "enum" in node:
        return told, [", ".join(f"`{each}`" for each in node["enum"])], node
    kind = node.get("type", "anything")
    return told, list(kind) if isinstance(kind, list) else [kind], node


def states() -> str:
    """Return the table of what `catalog diff` says of a block."""
    rows = ["| state | what it means |", "| --- | --- |"]
    return "\n".join([*rows, *(f"| `{state}` | {meaning} |" for state, meaning in MEANINGS.items())]) + "\n"


def alarms() -> str:
    """Return the table of what stops `catalog refresh`."""
    rows = ["| alarm | what it means |", "| --- | --- |"]
    return "\n".join([*rows, *(f"| `{alarm}` | {meaning} |" for alarm, meaning in ALARMS.items())]) + "\n"


def catalogue() -> str:
    """Return the table of the built-in targets: what of a list is called, what only calls in, the list and its day."""
    rows = ["| target | called | only calls in | from | of |", "| --- | --- | --- | --- | --- |"]
    for name in lookup.catalog_names():
        family = lookup.find_family(name)
        shown = "/".join((name, *(part.upper() for part in family.parts))) if family else name
        for source in lookup.sources_of_target(name):
            called = [f"{part} {', '.join(f'`{each}`' for each in names)}" for part, names in source.select]
            called = called or (
                ["all of the list"] if source.ranges else [f"`{host}`" for host in lookup.get_target(name).spec["hosts"]]
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


def exec_probe() -> str:
    """Return the command line that one exec with two probes is: one that reads a body, and one that does not."""
    extracting = Probe("articles", "URL-2", extract={"articles": "(.*)"})
    return _fenced(shlex.join(curl.probe_argv([Probe("portal", "URL-1"), extracting], curl.DEFAULT_LIMITS)))


def exec_many() -> str:
    """Return the command line that one exec of many probes is, shown with six."""
    return _fenced(shlex.join(curl.probe_argv([Probe(f"p{n}", f"URL-{n}") for n in range(1, 7)], curl.DEFAULT_LIMITS)))


def exec_derived() -> str:
    """Return the command line of a derived probe, for which any status will do."""
    return _fenced(shlex.join(curl.probe_argv([Probe("https", "URL-1", Expectation(status=None))], curl.DEFAULT_LIMITS)))


def exec_around() -> str:
    """Return the command line of a probe of `--around`, which connects elsewhere than the URL's host resolves to."""
    probe = Probe("around", "URL-1", Expectation(status=None), connect_ip="ADDRESS")
    return _fenced(shlex.join(curl.probe_argv([probe], curl.DEFAULT_LIMITS)))


def exec_again() -> str:
    """Return the command line of a probe that is sent once more, from local ports of its own."""
    limits = curl.DEFAULT_LIMITS._replace(local_ports=curl.unusual_ports(lambda _: 0))
    return _fenced(shlex.join(curl.probe_argv([Probe("portal", "URL-1")], limits)))


def exec_companion() -> str:
    """Return the command line of a companion connection."""
    return _fenced(shlex.join(curl.companion_argv([("ADDRESS", 443)], curl.DEFAULT_LIMITS)))


def exec_old() -> str:
    """Return the command line of a probe for a curl before 7.75."""
    return _fenced(shlex.join(old_curl.probe_argv([Probe("portal", "URL-1")], curl.DEFAULT_LIMITS, curl.MARK)))


def exec_resolve() -> str:
    """Return the command line that resolves a name."""
    return _fenced(shlex.join(dns.getent_argv("HOST")))


def exec_version() -> str:
    """Return the command line that asks for curl's version."""
    return _fenced(shlex.join(curl.VERSION_ARGV))


def differences() -> str:
    """Return the table of what the tests of the commands hold to some of their places."""
    rows = ["| only with | what | why |", "| --- | --- | --- |"]
    for each in DIFFERENCES.values():
        rows.append(f"| {', '.join(PLACES[place] for place in each.only)} | {each.what} | {each.why} |")
    return "\n".join(rows) + "\n"


def exec_table() -> str:
    """Return the command line that reads the socket table while a companion connection is open."""
    return _fenced(shlex.join(curl.table_argv()))


def limits() -> str:
    """Return the table of what things may be at most, as the code has it."""
    mebi, search = 1 << 20, DEFAULT_LIMITS
    too_long = "the probe is `failed`, with the cause [`body-mismatch`](../causes/body-mismatch.md)"
    rows = [
        ("the annotation `egressctl.dev/probes`", f"{service_entry.MAX_ANNOTATION_BYTES:,} bytes", ""),
        ("probes of a target", f"{probes.MAX_PROBES:,}", ""),
        (
            "probes derived for an entry without any",
            f"{service_entry.MOST_DERIVED}",
            "further hosts are counted, not asked",
        ),
        ("a probe's URL", f"{probes.MAX_URL_LENGTH:,} characters", ""),
        ("a host, and `expect.via`", f"{words.MAX_HOST_LENGTH} characters", ""),
        ("hosts, and addresses, of a ServiceEntry", f"{words.MAX_ITEMS} each, as in Istio", ""),
        ("addresses of a target", f"{MOST_ADDRESSES:,}", "[several ServiceEntries](../how-to/many-addresses.md) beyond 256"),
        ("different expressions under `extract` of a target", f"{probes.MAX_PATTERNS}", ""),
        ("an expression", f"{probes.MAX_PATTERN_LENGTH} characters", ""),
        ("the body that is searched", f"{curl.BODY_LIMIT // mebi} MiB", too_long),
        ("the search of a body, by all expressions", f"{search.seconds:g} s, {search.megabytes} MB of memory", too_long),
        ("what an expression takes of a body", f"{LONGEST_FOUND:,} characters", too_long),
        ("a file of targets or manifests", f"{yaml_reader.MAX_BYTES // mebi} MiB, {yaml_reader.MAX_NODES:,} values", ""),
        ("nesting in such a file", f"{yaml_reader.MAX_DEPTH} levels", ""),
        ("a published list", f"{lists.MAX_BYTES // mebi} MiB, {lists.MAX_RANGES:,} blocks", ""),
        ("problems reported of one input", f"{MOST_PROBLEMS}", "a last line says that there are more"),
        (
            "a text from the network that is shown",
            f"{LONGEST_TEXT:,} characters",
            "its middle is left out, but not in JSON and YAML",
        ),
    ]
    head = ["| what | at most | beyond that |", "| --- | --- | --- |"]
    return "\n".join([*head, *(f"| {' | '.join(each)} |" for each in rows)]) + "\n"


GENERATORS: Mapping[str, Callable[..., str]] = {
    "commands": commands,
    "exceptions": exceptions,
    "how-to": how_to,
    "cause": cause_example,
    "causes": cause_table,
    "meaning": cause_meaning,
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
    "rule": rule,
    "states": states,
    "alarms": alarms,
    "catalogue": catalogue,
    "formats": formats,
    "limits": limits,
    "differences": differences,
    "schema-fields": schema_fields,
}


def text_of(name: str) -> str:
    """Return what belongs into a generated part: its name is a generator's, then what that is given."""
    generator, *given = name.split()
    return GENERATORS[generator](*given)
