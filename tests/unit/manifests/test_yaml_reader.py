"""YAML with lines, within limits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from egressctl.errors import InvalidInput
from egressctl.manifests import yaml_reader
from egressctl.manifests.yaml_reader import MAX_BYTES, MAX_DEPTH, MAX_NODES, field_name, parse_yaml
from examples import examples

TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Cn", "Zl", "Zp")), max_size=12)
"""Without U+2028 and U+2029, which break lines in YAML 1.1 and do not in JSON."""
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def only(text: str) -> yaml_reader.Document:
    parsed = parse_yaml(text, "f.yaml")
    assert parsed.problems == ()
    (document,) = parsed.documents
    return document


def refused(text: str) -> str:
    with pytest.raises(InvalidInput) as caught:
        parse_yaml(text, "f.yaml")
    assert len(caught.value.problems) == 1
    return str(caught.value)


def problems(text: str) -> list[str]:
    return [str(problem) for problem in parse_yaml(text, "f.yaml").problems]


@examples(100)
@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=4))
@example({"kind": "List", "items": 3})
def test_json_reads_as_json_does(value: dict[str, Any]) -> None:
    assert only(json.dumps(value, ensure_ascii=False)).value == value


@examples(200)
@given(st.text(st.sampled_from("ab: -[]{}&*!|>'\"#%@?,\n\t~0x\x00\ud800"), max_size=40))
def test_any_text_gives_documents_or_invalid_input(text: str) -> None:
    try:
        read = str(parse_yaml(text, "f.yaml").problems or "f.yaml")
    except InvalidInput as error:
        read = str(error)
    assert "f.yaml" in read


def test_scalars_follow_the_core_schema() -> None:
    text = "{a: 1, b: -2, c: 0x1f, d: 0o17, e: 1.5, f: 1e3, g: true, h: ~, i: null, j: '1', k: !!str 1, l: }"
    expected = {
        "a": 1,
        "b": -2,
        "c": 31,
        "d": 15,
        "e": 1.5,
        "f": 1000.0,
        "g": True,
        "h": None,
        "i": None,
        "j": "1",
        "k": "1",
        "l": None,
    }
    assert only(text).value == expected


@pytest.mark.parametrize("text", ["yes", "on", "No", "2026-01-01", "22:30", ".inf", "=", "1_000"])
def test_what_is_special_only_in_yaml_1_1_is_text(text: str) -> None:
    assert only(f"a: {text}").value == {"a": text}


def test_every_path_has_the_line_of_its_key_or_item() -> None:
    document = only("# note\nspec:\n  hosts:\n  - a.example\n\n  - b.example\n  ports:\n  - number: 443\n    name: x\n")
    lines = {
        ("spec",): 2,
        ("spec", "hosts"): 3,
        ("spec", "hosts", 0): 4,
        ("spec", "hosts", 1): 6,
        ("spec", "ports", 0): 8,
        ("spec", "ports", 0, "name"): 9,
    }
    assert {path: document.place(path).line for path in lines} == lines


def test_what_is_missing_has_the_line_of_what_would_hold_it() -> None:
    place = only("spec:\n  ports:\n  - number: 443\n").place(("spec", "ports", 0, "name"))
    assert place == ("spec.ports[0].name", "f.yaml", 3)


def test_a_second_document_keeps_the_lines_of_the_file() -> None:
    second = parse_yaml("a: 1\n---\n# note\nb: 2\n", "f.yaml").documents[1]
    assert (second.value, second.place(("b",)).line) == ({"b": 2}, 4)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        (("spec", "addresses", 2), "spec.addresses[2]"),
        (("metadata", "labels", "a.b/c"), "metadata.labels[a.b/c]"),
        (("items", 0, "kind"), "items[0].kind"),
        ((), ""),
        (("\x1b[31m",), "[\\x1b[31m]"),
    ],
)
def test_fields_are_named_as_kubernetes_names_them(path: yaml_reader.ValuePath, name: str) -> None:
    assert field_name(path) == name


def test_empty_documents_are_skipped() -> None:
    assert [d.value for d in parse_yaml("---\n# nothing\n---\na: 1\n---\n", "f.yaml").documents] == [{"a": 1}]


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n---\n", "kind: List\nitems: []\n"])
def test_a_text_without_a_document_is_refused(text: str) -> None:
    assert "f.yaml: holds no document (expected an EgressTarget or a ServiceEntry" in refused(text)


@pytest.mark.parametrize(("text", "what"), [("- a\n", "a list"), ("hello\n", 'the text "hello"'), ("443\n", "the number 443")])
def test_a_document_that_is_no_mapping_says_what_is_expected(text: str, what: str) -> None:
    (problem,) = problems("# note\n" + text)
    assert problem.startswith(f"f.yaml:2: the document is {what} (expected an EgressTarget")


@pytest.mark.parametrize("kind", ["List", "ServiceEntryList"])
def test_a_list_is_unpacked_into_its_items(kind: str) -> None:
    parsed = parse_yaml(f"kind: {kind}\nitems:\n- a: 1\n- just text\n- b: 2\n", "f.yaml")
    assert [d.value for d in parsed.documents] == [{"a": 1}, {"b": 2}]
    assert parsed.documents[1].place(("b",)) == ("items[2].b", "f.yaml", 5)
    assert [str(p)[:44] for p in parsed.problems] == ['f.yaml:4: items[1]: the item is the text "ju']


def test_a_duplicate_key_names_both_lines() -> None:
    assert problems("a: 1\nb:\n  c: 1\n  c: 2\n") == ["f.yaml:4: b.c: the key is here twice, first on line 3 (keep one of them)"]


def test_keys_that_are_no_text_are_problems() -> None:
    found = problems("1: a\ntrue: b\n~: c\n")
    assert [p.split(" (")[0] for p in found] == [
        "f.yaml:1: [1]: the key is the number 1",
        "f.yaml:2: True: the key is the boolean true",
        "f.yaml:3: None: the key is empty",
    ]


@pytest.mark.parametrize("text", ["? [a, b]\n: c\n", "? {a: b}\n: c\n", "x: &x [1]\n*x : c\n"])
def test_a_collection_as_key_is_refused(text: str) -> None:
    assert "a key is a" in refused(text)


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system", "!!binary", "!!set", "!custom", "!!timestamp"])
@pytest.mark.parametrize("value", ["x", "[x]", "{x: y}"])
def test_tags_beyond_the_core_schema_are_problems(tag: str, value: str) -> None:
    (problem,) = problems(f"a: {tag} {value}\n")
    assert problem.startswith("f.yaml:1: a: the tag ")


def test_a_core_tag_that_does_not_fit_is_a_problem() -> None:
    assert len(problems("a: !!int abc\nb: !!bool 3\n")) == 2


def test_merge_keys_are_named() -> None:
    assert "merge keys are not read" in problems("a: &a {x: 1}\nb:\n  <<: *a\n")[0]


def test_a_number_with_a_leading_zero_is_ambiguous() -> None:
    assert "begins with a zero" in problems("a: 0443\n")[0]


@pytest.mark.parametrize("digits", ["9" * 5000, "0x" + "f" * 5000, "!!int " + "9" * 5000, "1." + "0" * 5000])
def test_endless_numbers_are_refused(digits: str) -> None:
    assert "too many digits" in refused(f"a: {digits}\n")


def test_an_alias_is_its_value_and_has_the_line_where_it_stands() -> None:
    document = only("a: &a [x, y]\nb: *a\n")
    assert document.value == {"a": ["x", "y"], "b": ["x", "y"]}
    assert document.place(("b", 1)).line == 2


@pytest.mark.parametrize(("text", "what"), [("a: *x\n", "has no anchor"), ("a: &x [*x]\n", "stands inside of what it names")])
def test_aliases_that_lead_nowhere_or_into_themselves_are_refused(text: str, what: str) -> None:
    assert what in refused(text)


def test_an_anchor_of_one_document_is_unknown_in_the_next() -> None:
    assert "has no anchor" in refused("a: &x 1\n---\nb: *x\n")


def test_a_billion_laughs_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 9)]
    assert "grows too large" in refused("\n".join(lines))


def test_a_long_text_that_aliases_repeat_is_refused() -> None:
    assert "grows too large" in refused(f"a: &a {'x' * 1000}\nb: [{', '.join(['*a'] * 2000)}]\n")


def test_nodes_are_limited() -> None:
    # The mapping, its key, the list, and its items.
    assert len(only(f"a: [{', '.join('x' * (MAX_NODES - 3))}]").value["a"]) == MAX_NODES - 3
    assert "grows too large" in refused(f"a: [{', '.join('x' * (MAX_NODES - 2))}]")


def test_keys_weigh_as_much_when_an_alias_repeats_them() -> None:
    inner = ", ".join(f"k{n}: 1" for n in range(100))
    assert "grows too large" in refused(f"a: &a {{{inner}}}\nb: [{', '.join(['*a'] * 100)}]\n")


def test_depth_is_limited() -> None:
    def nested(lists: int) -> str:
        return "a: " + "[" * lists + "]" * lists

    assert only(nested(MAX_DEPTH - 1)).value
    assert "nested deeper" in refused(nested(MAX_DEPTH))
    assert "nested deeper" in refused("a: " + "[" * 200_000)


def test_depth_counts_what_an_alias_brings() -> None:
    half = "[" * 25 + "]" * 25
    deep = "[" * 20 + "*a" + "]" * 20
    assert "nested deeper" in refused(f"a: &a {half}\nb: {deep}\n")


def test_a_text_of_more_than_a_mebibyte_is_refused() -> None:
    assert "larger than 1 MiB" in refused("a: " + "x" * MAX_BYTES)
    assert "larger than 1 MiB" in refused("a: " + "ä" * (MAX_BYTES // 2))


@pytest.mark.parametrize(
    ("text", "line"), [("a: [1\n", 2), ("a:\n\t- b\n", 2), ("a: 'x\n", 2), ("a: b: c\n", 1), ("%YAML 9.9\n---\na: 1\n", 1)]
)
def test_what_is_no_yaml_names_the_line(text: str, line: int) -> None:
    assert refused(text).startswith(f"f.yaml:{line}: is not YAML: ")


def test_a_key_that_a_unicode_separator_breaks_is_refused_not_misread() -> None:
    assert "is not YAML" in refused('{"a\u2028": 1}')
    assert only(r'{"a\u2028": 1}').value == {"a\u2028": 1}


def test_control_characters_are_refused() -> None:
    assert "is not text" in refused("a: \x00\n")
