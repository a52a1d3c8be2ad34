"""Data as YAML: every reader reads back what was written, and no line rewrites what a person sees."""

from __future__ import annotations

from types import MappingProxyType

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from egressctl.manifests.yaml_reader import parse_yaml
from egressctl.manifests.yaml_writer import write_yaml
from examples import examples
from reports import TEXTS


@examples(300)
@given(st.from_regex(r"[-+]?[0-9]{0,3}[._:xobe]?[0-9a-fA-F]{0,4}[eE]?[-+]?[0-9]{0,2}", fullmatch=True))
@example("12e4567")
@example("0E0")
@example("0o17")
@example("443")
@example("22:30")
@example("0b1")
def test_text_that_looks_like_a_number_stays_text(text: str) -> None:
    written = write_yaml({"a": text})
    assert yaml.safe_load(written) == {"a": text}
    assert parse_yaml(written, "f").documents[0].value == {"a": text}


@pytest.mark.parametrize(
    "text", ["12e4567", "1e3", "0x1f", "0o17", "0b11", "443", "1_000", "y", "n", "yes", "true", "null", "~", "2026-01-01"]
)
def test_what_go_takes_for_something_else_is_quoted(text: str) -> None:
    assert write_yaml({"a": text}) == f"a: '{text}'\n"


def test_lists_stand_as_kubectl_writes_them() -> None:
    assert write_yaml({"a": ["x", {"b": 1, "c": 2}]}) == "a:\n- x\n- b: 1\n  c: 2\n"


def test_what_stands_twice_is_written_twice() -> None:
    block = ["x"]
    assert write_yaml({"a": block, "b": block}) == "a:\n- x\nb:\n- x\n"


def test_long_text_stays_in_its_line() -> None:
    assert write_yaml({"a": "word " * 100 + "end"}).count("\n") == 1


def test_it_takes_any_mapping_and_sequence() -> None:
    assert write_yaml(MappingProxyType({"a": (1, MappingProxyType({"b": None}))})) == "a:\n- 1\n- b: null\n"


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("Käse 百科 ✔ 🧀", "Käse 百科 ✔ 🧀"),
        ("\u202egro.live\u202c", r'"\u202Egro.live\u202C"'),
        ("zero\u200bwidth\ufeff", r'"zero\u200Bwidth\uFEFF"'),
        ("soft\u00adhyphen, no\u00a0break", r'"soft\xADhyphen, no\xA0break"'),
        ("tag\U000e0041", r'"tag\U000E0041"'),
        ('two\nlines of "it"', r'"two\nlines of \"it\""'),
        ("\n::error::x", r'"\n::error::x"'),
        ("##[group]x", r'"#\x23[group]x"'),
    ],
)
def test_what_would_rewrite_a_line_stands_in_escapes(text: str, written: str) -> None:
    assert write_yaml({"a": text}) == f"a: {written}\n"
    assert yaml.safe_load(write_yaml({"a": text})) == {"a": text}


@examples(300)
@given(st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS, max_size=3), max_size=4))
def test_any_texts_are_read_back_and_every_line_can_be_read(data: dict[str, object]) -> None:
    text = write_yaml(data)
    assert all(line.isprintable() for line in text.split("\n"))
    assert "##[" not in text
    if "ud8" not in ascii(data):  # half a character is no text in YAML
        assert yaml.safe_load(text) == data
