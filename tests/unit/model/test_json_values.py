"""What is read of JSON that may be anything: what fits, and nothing of another type."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.model.json_values import as_list, as_mapping, as_mappings, as_text, as_texts, spec_of

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(ANYTHING)
def test_anything_is_read_without_an_error_and_as_what_it_is(value: Any) -> None:
    assert as_mapping(value) == (value if isinstance(value, dict) else {})
    assert list(as_list(value)) == (value if isinstance(value, list) else [])
    assert as_text(value) == (value if isinstance(value, str) else "")
    assert as_mapping(spec_of({"spec": value})) == as_mapping(value)


@pytest.mark.parametrize(
    ("value", "mappings", "texts"),
    [([{"a": 1}, "b", None, ["c"], 5], ({"a": 1},), ("b",)), ("text", (), ()), ({"a": {}}, (), ()), (None, (), ())],
)
def test_of_a_list_only_the_items_of_the_type_are_read(value: object, mappings: object, texts: object) -> None:
    assert (as_mappings(value), as_texts(value)) == (mappings, texts)
