"""Reading JSON of any shape, and that nothing else of the house does it by itself."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import egressctl
from egressctl.model.json_values import list_at, mapping_at, mappings_at, text_at, texts_at, value_at

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=12,
)

ENTRY: dict[str, Any] = {"spec": {"hosts": ["a.example", 1, "b.example"], "ports": [{"number": 443}, None, "x"], "name": "n"}}


@given(JSON, st.lists(st.sampled_from("abc"), max_size=3))
def test_whatever_stands_there_each_reader_returns_its_own_shape(value: object, path: list[str]) -> None:
    found = value_at(value, *path)
    assert mapping_at(value, *path) == (found if isinstance(found, dict) else {})
    assert list(list_at(value, *path)) == (found if isinstance(found, list) else [])
    assert text_at(value, *path) == (found if isinstance(found, str) else "")
    assert list(mappings_at(value, *path)) == [each for each in list_at(value, *path) if isinstance(each, dict)]
    assert list(texts_at(value, *path)) == [each for each in list_at(value, *path) if isinstance(each, str)]


def test_a_path_leads_through_objects() -> None:
    assert value_at(ENTRY, "spec", "name") == "n"
    assert value_at(ENTRY) is ENTRY
    assert texts_at(ENTRY, "spec", "hosts") == ("a.example", "b.example")
    assert mappings_at(ENTRY, "spec", "ports") == ({"number": 443},)


@pytest.mark.parametrize("path", [("metadata", "name"), ("spec", "name", "first"), ("spec", "hosts", "0")])
def test_a_path_that_leads_nowhere_finds_nothing(path: tuple[str, ...]) -> None:
    assert value_at(ENTRY, *path) is None


def test_no_other_module_has_an_empty_value_for_one_of_another_shape() -> None:
    root = Path(egressctl.__file__).parent
    copies = [
        f"{path.relative_to(root)}:{node.lineno}"
        for path in sorted(root.rglob("*.py"))
        if path.name != "json_values.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.IfExp) and is_shape_or_empty(node)
    ]
    assert copies == []


def is_shape_or_empty(node: ast.IfExp) -> bool:
    """Tell `value if isinstance(value, dict) else {}`, and the same of a list or a text."""
    empty = ast.unparse(node.orelse) in ("{}", "[]", "()", "''")
    return empty and ast.unparse(node.test).startswith(f"isinstance({ast.unparse(node.body)}, ")


def test_the_look_for_copies_finds_one() -> None:
    [statement] = ast.parse("value if isinstance(value, Mapping) else {}").body
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.IfExp)
    assert is_shape_or_empty(statement.value)
