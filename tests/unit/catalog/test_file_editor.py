"""A target's file is changed where its lists are, and nowhere else."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.catalog.file_editor import has_own_addresses, read_sources, replace_sources
from egressctl.errors import InvalidInput
from egressctl.manifests.published import PublishedRange, PublishedSource
from examples import examples

FILE = """\
# Ours, and written by hand: é
apiVersion: egressctl.dev/v1alpha1
kind: EgressTarget
metadata: {name: outside}   # a name
spec:
  published:
  - url: https://outside.example/one  # the first
    checked: 2026-08-21
    # in use
    ranges:
      # gone with the ranges
      front:
      - 203.0.113.0/27   # as well
      - 203.0.113.64/27
      api: [203.0.113.128/27]
    # stays
    format: lines
  - format: lines
    url: https://outside.example/two
    checked: "2026-08-20" # stays too

  # before the entry
  serviceEntry:
    hosts: [outside.example]
"""

REWRITTEN = """\
# Ours, and written by hand: é
apiVersion: egressctl.dev/v1alpha1
kind: EgressTarget
metadata: {name: outside}   # a name
spec:
  published:
  - url: https://outside.example/one  # the first
    checked: 2026-11-26
    # in use
    ranges:
      api: [203.0.113.160/27]
      front: [203.0.113.0/27, 203.0.113.64/26]
    # stays
    format: lines
  - format: lines
    url: https://outside.example/two
    checked: 2026-11-26 # stays too
    ranges:
      "": [198.51.100.0/24]

  # before the entry
  serviceEntry:
    hosts: [outside.example]
"""

NOW = (
    (
        PublishedRange("front", "203.0.113.64/26"),
        PublishedRange("front", "203.0.113.0/27"),
        PublishedRange("api", "203.0.113.160/27"),
    ),
    (PublishedRange("", "198.51.100.0/24"),),
)


def updated(text: str, *lists: tuple[PublishedRange, ...], day: str = "2026-11-26") -> list[PublishedSource]:
    return [source._replace(ranges=now, checked=day) for source, now in zip(read_sources(text, "file"), lists, strict=True)]


def test_ranges_and_days_are_written_anew_and_every_other_line_stays() -> None:
    assert replace_sources(FILE, "file", updated(FILE, *NOW)) == REWRITTEN


def test_writing_again_changes_nothing() -> None:
    assert replace_sources(REWRITTEN, "file", updated(REWRITTEN, *NOW)) == REWRITTEN
    same = read_sources(FILE, "file")
    assert len(same) == 2
    assert replace_sources(FILE, "file", same) == FILE


def test_a_list_that_is_the_same_keeps_its_comments() -> None:
    first, second = read_sources(FILE, "file")
    text = replace_sources(FILE, "file", [first._replace(checked="2026-11-26", ranges=first.ranges[::-1]), second])
    assert text == FILE.replace("2026-08-21", "2026-11-26")


def test_lines_end_as_they_did() -> None:
    windows = FILE.replace("\n", "\r\n")
    assert replace_sources(windows, "file", updated(windows, *NOW)) == REWRITTEN.replace("\n", "\r\n")


def test_many_blocks_are_a_line_each_so_that_changes_are_small() -> None:
    many = tuple(PublishedRange("front", f"203.0.113.{number}/32") for number in range(0, 80, 2))
    text = replace_sources(FILE, "file", updated(FILE, many, ()))
    assert "      front:\n        - 203.0.113.0/32\n        - 203.0.113.2/32\n" in text
    assert read_sources(text, "file")[0].ranges == many


def test_a_source_in_flow_style_is_written_anew_as_a_whole() -> None:
    text = (
        "spec:\n  published:\n  - {url: 'https://x.example/', format: lines, checked: 2026-08-21, select: {list: [a]}}  # stays\n"
    )
    now = updated(text, (PublishedRange("x", "203.0.113.0/27"),))
    assert replace_sources(text, "file", now) == (
        "spec:\n  published:\n  - url: https://x.example/\n    format: lines\n    checked: 2026-11-26\n"
        "    select:\n      list: [a]\n    ranges:\n      x: [203.0.113.0/27]  # stays\n"
    )


def test_a_file_that_ends_without_a_line_end() -> None:
    text = "spec:\n  published:\n  - url: https://x.example/\n    format: lines\n    checked: 2026-08-21"
    now = updated(text, (PublishedRange("x", "203.0.113.0/27"),))
    assert replace_sources(text, "file", now) == text.replace("2026-08-21", "2026-11-26") + (
        "\n    ranges:\n      x: [203.0.113.0/27]\n"
    )


SOURCE = "{url: 'https://x.example/', format: lines, checked: 2026-08-21}"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(f"spec:\n  published: [{SOURCE}]\n", id="a list in flow style"),
        pytest.param(f"spec: {{published: [{SOURCE}]}}\n", id="all in flow style"),
        pytest.param(f"x: &one\n- {SOURCE}\nspec:\n  published: *one\n", id="an alias of the list"),
        pytest.param(f"x: &one {SOURCE}\nspec:\n  published:\n  - *one\n", id="an alias of a source"),
        pytest.param(
            "x: &day 2026-08-21\nspec:\n  published:\n  - url: https://x.example/\n    format: lines\n    checked: *day\n",
            id="an alias of the day",
        ),
    ],
)
def test_what_cannot_be_changed_in_its_place_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match=r"spec\.published: cannot be changed in its place"):
        replace_sources(text, "file", updated(text, (PublishedRange("x", "203.0.113.0/27"),)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\n---\nb: 1\n", "file: holds more than one document"),
        ("spec:\n  published:\n  - url: http://x.example/\n", "file:3: spec.published[0].format: the source has no format"),
    ],
)
def test_files_that_cannot_be_read_say_where(text: str, said: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_sources(text, "file")
    assert said in str(caught.value)


def test_whether_a_file_has_addresses_of_its_own() -> None:
    assert not has_own_addresses(FILE, "file")
    assert has_own_addresses(FILE.replace("hosts: [outside.example]", "addresses: [203.0.113.0/27]"), "file")


NAMES = st.text(st.sampled_from(string.printable + "é☃\U0001d538\u2028\x85"), max_size=12) | st.sampled_from(
    ["no", "1", "~", "2026-08-21", "a: b", "#"]
)
LISTS = st.lists(
    st.builds(lambda name, number: PublishedRange(name, f"203.0.{number}.0/24"), NAMES, st.integers(0, 255)),
    max_size=12,
    unique_by=lambda r: r.block,
)


@examples(40)
@given(LISTS, LISTS)
def test_whatever_a_list_holds_comes_back_and_the_rest_stays(one: list[PublishedRange], two: list[PublishedRange]) -> None:
    text = replace_sources(FILE, "file", updated(FILE, tuple(one), tuple(two)))
    first, second = read_sources(text, "file")
    assert (set(first.ranges), set(second.ranges)) == (set(one), set(two))
    for line in FILE.split("\n"):
        assert line in text.split("\n") or any(word in line for word in ("checked", "203.0.113", "front", "gone", "ranges"))
