"""Both sides of a difference as text, and how KUBECTL_EXTERNAL_DIFF is split."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from egressctl.cli.external_diff import parse_program
from egressctl.errors import InvalidInput
from egressctl.manifests.diff_text import EntryDifference, sorted_yaml, unified_diff_lines
from egressctl.report.diff_formats import diff_lines
from examples import examples


def manifest(**spec: Any) -> dict[str, Any]:
    metadata = {"name": "wikipedia-ext", "namespace": "default"}
    return {"kind": "ServiceEntry", "apiVersion": "networking.istio.io/v1", "spec": spec, "metadata": metadata}


def text(difference: EntryDifference) -> list[str]:
    return ["".join(part for _, part in line) for line in diff_lines([difference])]


def test_both_sides_are_written_with_sorted_keys_and_named_as_kubectl_names_them() -> None:
    found = EntryDifference("wikipedia", manifest(hosts=["a.example"]), manifest(location="MESH_EXTERNAL", hosts=["a.example"]))
    assert unified_diff_lines(found) == [
        "--- LIVE/networking.istio.io.v1.ServiceEntry.default.wikipedia-ext",
        "+++ MERGED/networking.istio.io.v1.ServiceEntry.default.wikipedia-ext",
        "@@ -6,3 +6,4 @@",
        " spec:",
        "   hosts:",
        "   - a.example",
        "+  location: MESH_EXTERNAL",
    ]
    assert found.action == "configured"


def test_no_difference_has_no_lines() -> None:
    same = EntryDifference("wikipedia", manifest(a=1), manifest(a=1))
    assert (unified_diff_lines(same), same.action) == ([], "unchanged")
    nothing = EntryDifference("wikipedia", None, manifest(a=1))
    assert (sorted_yaml(nothing.live), nothing.action) == ("", "created")


def test_a_line_that_goes_is_none_of_the_names() -> None:
    found = EntryDifference("w", manifest(**{"-- a": 1}), manifest())
    styles = [style for line in diff_lines([found]) for style, told in line if "-- a" in told]
    assert styles == ["red"]


def test_a_long_line_is_shown_whole_and_what_it_holds_is_harmless() -> None:
    found = EntryDifference("w", manifest(a="x" * 5000 + "1"), manifest(a="x" * 5000 + "2\x1b"))
    shown = text(found)
    assert f"-  a: {'x' * 5000}1" in shown
    assert not any("\x1b" in line for line in shown)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=2), inner, max_size=3),
    max_leaves=10,
)


@examples(50)
@given(VALUES, VALUES)
def test_there_are_lines_where_and_only_where_the_two_differ(one: Any, other: Any) -> None:
    found = EntryDifference("w", manifest(a=one), manifest(a=other))
    assert yaml.safe_load(sorted_yaml(found.live)) == manifest(a=one)
    assert bool(unified_diff_lines(found)) is (sorted_yaml(found.live) != sorted_yaml(found.merged)) is found.changed


@pytest.mark.parametrize(
    ("value", "name", "arguments", "left_out"),
    [
        ("meld", "meld", (), ()),
        ("colordiff -N -u", "colordiff", ("-N", "-u"), ()),
        ("dyff between --omit-header", "dyff", ("between", "--omit-header"), ()),
        ("diff  --color=always", "diff", ("--color=always",), ()),
        ("sh -c 'rm -rf $HOME'", "sh", ("-c", "-rf"), ("'rm", "$HOME'")),
    ],
)
def test_the_variable_is_split_at_its_blanks_and_no_shell_reads_it(
    value: str, name: str, arguments: tuple[str, ...], left_out: tuple[str, ...]
) -> None:
    assert parse_program(value) == (name, arguments, left_out)


def test_a_variable_without_a_program_is_refused() -> None:
    with pytest.raises(InvalidInput):
        parse_program(" -u")
