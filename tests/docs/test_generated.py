"""What the pages say of the code is what the code says. EGRESSCTL_DOCS_REWRITE=1 brings them up to date."""

from __future__ import annotations

import re
import signal

import pytest

from docs.generated import GROUPS, subcommands, text_of
from docs.pages import REWRITE, ROOT, Page, pages, read
from docs.situations import RESULTS
from egressctl import errors
from egressctl.lint.rule import RULES
from egressctl.model.cause import CauseCode
from egressctl.model.evidence import Method
from egressctl.model.probe import Verdict
from egressctl.report import exit_codes

DOCS = ROOT / "docs"
WITH_GENERATED = [page for page in pages() if any(page.generated)]


def test_generated_parts_are_up_to_date() -> None:
    old = []
    for page in WITH_GENERATED:
        changes = [(start, end, text_of(name)) for name, body, start, end in page.generated if body != text_of(name)]
        if REWRITE and changes:
            page.rewrite(changes)
        elif changes:
            old.append((page.name, changes))
    assert not old, "bring them up to date with EGRESSCTL_DOCS_REWRITE=1"


@pytest.mark.parametrize("group", GROUPS)
def test_every_command_of_a_group_has_its_help_on_the_page(group: str) -> None:
    page = read(DOCS / "reference" / "commands.md").text
    headings = re.findall(rf"^## egressctl {group} ([\w-]+)$", page, re.MULTILINE)
    assert headings == subcommands(group)
    assert len(headings) > 1


def test_every_cause_has_a_page_with_an_example_and_the_next_command() -> None:
    for code in CauseCode:
        page = read(DOCS / "causes" / f"{code}.md")
        drawn, cause = RESULTS[code], RESULTS[code].cause
        assert cause is not None, code
        assert cause.code is code
        assert page.text.startswith(f"# {code}\n")
        assert [name for name, *_ in page.generated] == [f"meaning {code}", f"cause {code}"]
        assert f"cause  {code}: " in page.text
        assert f"next   {cause.hint}" in page.text
        assert {"## How egressctl knows", "## How to fix it"} <= set(re.findall(r"^## .*$", page.text, re.MULTILINE)), code
        assert f"`{drawn.verdict}`" in page.text


def test_there_is_no_page_of_a_cause_that_does_not_exist() -> None:
    assert {path.stem for path in (DOCS / "causes").glob("*.md")} == {*CauseCode, "index"}


def test_every_rule_of_lint_has_a_page_and_nothing_else_has() -> None:
    framed = {
        f"{name}.md": f"# {name}\n\n<!-- generated: rule {name} -->\n{text_of(f'rule {name}')}<!-- end -->\n" for name in RULES
    }
    found = {path.name: path.read_text(encoding="utf-8") for path in (DOCS / "rules").glob("*.md") if path.stem != "index"}
    for name in framed.keys() - found.keys() if REWRITE else ():
        found[name] = framed[name]
        (DOCS / "rules" / name).write_text(framed[name], encoding="utf-8")
    assert found == framed, "bring them up to date with EGRESSCTL_DOCS_REWRITE=1, and take out the page of a rule that is gone"


def _rows(page: Page, first: str) -> list[tuple[str, ...]]:
    """Return the table of a page whose head begins with `first`."""
    table = re.search(rf"^\| {first} \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", page.text, re.MULTILINE)
    assert table, f"{page.name} has no table of {first}"
    return [tuple(cell.strip() for cell in row.strip("|").split("|")) for row in table[1].splitlines()]


def _exit_codes() -> set[int]:
    own = {0, 70} | {128 + number for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)}
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.EgressctlError)]
    return own | {each.exit_code for each in classes} | {exit_codes.exit_code_of_probe(each, False) for each in RESULTS.values()}


def test_the_table_of_exit_codes_has_every_code_and_no_other() -> None:
    reference = _rows(read(DOCS / "reference" / "exit-codes.md"), "code")
    assert {int(code) for row in reference for code in re.findall(r"\d+", row[0])} == _exit_codes()


def test_several_exit_codes_at_once_are_ordered_as_the_reference_says() -> None:
    order = ", ".join(map(str, exit_codes.PRECEDENCE))
    assert f"in the order {order}" in read(DOCS / "reference" / "exit-codes.md").text


def test_the_tree_of_exceptions_names_every_class_below_its_parent_and_with_its_exit_code() -> None:
    tree = errors.__doc__ or ""
    parents: dict[int, str] = {}
    drawn: dict[str, tuple[str, int | None]] = {}
    for line in tree.splitlines():
        found = re.match(r"^([│├└─ ]*)([A-Z]\w+)(?: +(\d+)\b)?", line)
        if not found:
            continue
        depth = len(found[1]) // 4
        parents[depth] = found[2]
        drawn[found[2]] = (parents.get(depth - 1, ""), int(found[3]) if found[3] else None)
    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.EgressctlError)]
    for each in classes:
        parent, code = drawn[each.__name__]
        assert each is errors.EgressctlError or each.__mro__[1].__name__ == parent
        assert code in (None, each.exit_code)
        assert code is not None or each.exit_code == each.__mro__[1].__dict__.get("exit_code", each.exit_code)


def test_the_page_of_verdicts_names_verdicts_and_methods_in_the_order_of_the_code() -> None:
    page = read(DOCS / "reference" / "verdicts.md")
    assert [row[0].strip("`") for row in _rows(page, "verdict")] == list(Verdict)
    assert [row[0].strip("`") for row in _rows(page, "method")] == list(Method)
    assert {code for row in _rows(page, "cause") for code in re.findall(r"`([a-z-]+)`\]", row[0])} == set(CauseCode)


def test_the_page_of_verdicts_has_each_example_s_verdict_beside_its_cause() -> None:
    told = {row[0]: row[1] for row in _rows(read(DOCS / "reference" / "verdicts.md"), "cause")}
    for code, drawn in RESULTS.items():
        cell = next(verdicts for causes, verdicts in told.items() if f"`{code}`" in causes)
        assert f"`{drawn.verdict}`" in cell, code


def test_no_example_s_expectation_held() -> None:
    assert not [code for code, drawn in RESULTS.items() if drawn.held]
