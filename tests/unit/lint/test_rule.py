"""The rules of lint: each has one file, which says all of it, and finds its own example."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

from egressctl.catalog.targets import load_targets
from egressctl.errors import InvalidInput
from egressctl.istio.admission.mistakes import Mistake
from egressctl.istio.conflict import ConflictKind
from egressctl.lint.rule import RULES, Finding, Severity, rules_about_an_entry
from egressctl.lint.rule_page import ENTRY, page_of_rule
from lint_examples import SERVER_RULES, findings_in, findings_in_example

SOURCE = Path(__file__).parents[3] / "src" / "egressctl"


@pytest.mark.parametrize("name", RULES)
def test_a_rule_finds_its_own_example(name: str) -> None:
    found = [each for each in findings_in_example(name) if each.rule == name]
    assert found
    assert {each.severity for each in found} == {RULES[name].severity}
    assert all(each.message for each in found)


def test_no_rule_finds_anything_in_the_entry_that_examples_differ_from() -> None:
    text = ENTRY.replace("namespace: shop", "namespace: default").encode()
    for on_mesh in (False, True):
        assert findings_in({"entry.yaml": text}, on_mesh=on_mesh) == []
    assert findings_in({"snapshot.yaml": text, "entry.yaml": text}) == findings_in({"entry.yaml": text}, by_server=True) == []


@pytest.mark.parametrize("name", RULES)
def test_a_rule_says_what_it_means_why_and_what_to_do(name: str) -> None:
    rule, page = RULES[name], page_of_rule(RULES[name])
    assert (rule.id, type(rule.id)) == (name, str)
    assert page.meaning.endswith(".")
    assert page.why
    assert page.fix
    assert bool(rule.remedy) == (name in list(Mistake))


def test_every_rule_stands_in_one_file_of_the_source() -> None:
    """Its id as a text: in the file of the rule, or where the package below lint says what it finds. A cause is no rule."""
    homes = defaultdict(list)
    for path in SOURCE.rglob("*.py"):
        file = str(path.relative_to(SOURCE))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if file != "model/cause.py" else ():
            if isinstance(node, ast.Constant) and node.value in RULES:
                homes[node.value].append(file)
    below = {str(each): "istio/admission/mistakes.py" for each in Mistake} | {
        str(each): "istio/conflict.py" for each in ConflictKind
    }
    assert homes == {name: [below.get(name, f"lint/rules/{name.replace('-', '_')}.py")] for name in RULES}


def test_what_packages_below_find_has_a_rule_and_no_check() -> None:
    assert RULES.keys() >= {*Mistake, *ConflictKind}
    assert not [name for name in (*Mistake, *ConflictKind) if RULES[name].check]
    assert len(rules_about_an_entry()) > 15


def test_a_rule_that_does_not_exist_is_a_key_error() -> None:
    for name in ("xyzzy", "host_bits", "__init__", ""):
        assert name not in RULES
        with pytest.raises(KeyError):
            RULES[name]


def test_create_refuses_what_the_api_server_refuses() -> None:
    """Save annotations, which a target does not have."""
    for name in (each for each in Mistake if RULES[each].severity is Severity.ERROR and each is not Mistake.INVALID_ANNOTATION):
        with pytest.raises(InvalidInput):
            load_targets(page_of_rule(RULES[name]).examples[0].text, name)


def test_only_what_an_api_server_has_itself_is_of_its_origin() -> None:
    theirs = {name for name, rule in RULES.items() if rule.origin == "istio"}
    assert theirs == {*Mistake, *(rule.id for rule in SERVER_RULES)}
    assert Finding("host-bits", "", "").origin == "egressctl"


def test_the_example_of_a_rule_about_one_manifest_shows_nothing_else_that_istio_says() -> None:
    for name in (*Mistake, "addresses-advised", "protocols-differ"):
        found = {each.rule for each in findings_in_example(name)}
        assert found & {*Mistake, "addresses-advised", "protocols-differ"} == {name}
