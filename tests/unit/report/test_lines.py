"""Lines that are wrapped: at blanks, beneath where they began, at any width; and never where there is no width."""

from __future__ import annotations

from textwrap import dedent, indent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.report.lines import HANG, Line, hang_for, plain_text, text_width, wrap_lines

HEAD: Line = (
    ("bold green", "✔"),
    ("bold", " wikipedia"),
    ("", "  "),
    HANG,
    ("", "2 of 2 open: ServiceEntry default/x sent them"),
)
ROW: Line = (
    ("", "  ✔ articles  "), HANG, ("", "https://en.wikipedia.org/wiki/Main_Page   "), ("", "200  0.01 s  articles 7,012,345"),
)  # fmt: skip
STEP: Line = (
    ("", "  ├─ "),
    ("green", "✔"),
    ("", " sidecar       "),
    HANG,
    ("", "captured: a second connection went through istio-proxy"),
)
LAST: Line = (("", "  ╰─ "), ("green", "✔"), ("", " answer        "), HANG, ("", "none, curl exit 35 after 0.00 s: reset"))
TYPED = "kubectl get pod sleep -o jsonpath='{.metadata .annotations}' -n default"
NEXT: Line = (("", "    next   "), hang_for(TYPED), ("", TYPED))


def wrapped(line: Line, width: int | None) -> str:
    return "\n" + plain_text(wrap_lines([line], width))


def expected(text: str, spaces: int = 0) -> str:
    """Return what is written flush here behind so many spaces."""
    return indent(dedent(text), " " * spaces)


def test_a_sentence_goes_on_beneath_its_beginning() -> None:
    assert wrapped(HEAD, 40) == expected(
        """
        ✔ wikipedia  2 of 2 open: ServiceEntry
                     default/x sent them
        """
    )


def test_what_stands_in_a_column_stays_together() -> None:
    assert wrapped(ROW, 60) == expected(
        """
          ✔ articles  https://en.wikipedia.org/wiki/Main_Page
                      200  0.01 s  articles 7,012,345
        """,
        2,
    )


def test_the_edge_of_a_picture_goes_on_to_its_next_step() -> None:
    lines = (wrapped(STEP, 50) + wrapped(LAST, 40)).splitlines()
    assert lines[2] == "  │                  went through istio-proxy"
    assert lines[2][: len("  │")] == "  │"
    assert lines[-1].startswith("      ")
    assert "│" not in lines[-1]


def test_a_command_that_is_broken_is_still_one_command() -> None:
    assert wrapped(NEXT, 50) == expected(
        """
            next   kubectl get pod sleep -o \\
                   jsonpath='{.metadata .annotations}' \\
                   -n default
        """,
        4,
    )


def test_words_that_are_no_command_are_broken_as_words() -> None:
    assert hang_for("see whether anything listens on it") == HANG


@pytest.mark.parametrize("line", [HEAD, ROW, STEP, LAST, NEXT])
def test_without_a_width_nothing_is_broken(line: Line) -> None:
    assert wrapped(line, None).count("\n") == 2


def test_a_line_that_does_not_say_how_to_go_on_is_never_broken() -> None:
    assert wrapped((("", "NAME   HELD   VERDICT   CAUSE"),), 10).count("\n") == 2


def test_a_wide_letter_takes_two_cells() -> None:
    assert (text_width("维基"), text_width("é"), text_width("e\u0301")) == (4, 1, 1)


@given(st.lists(st.text("ab维 ", min_size=1, max_size=12), min_size=1, max_size=6), st.integers(8, 60))
def test_no_word_is_cut_none_is_lost_and_only_a_word_goes_over_the_edge(words: list[str], width: int) -> None:
    text = " ".join(words).strip() or "x"
    lines = list(wrap_lines([(("", "- "), HANG, ("bold", text))], width))
    told = plain_text(lines)
    assert told.split() == ["-", *text.split()]
    for line in told.splitlines():
        assert text_width(line) <= width or len(line.removeprefix("- ").split()) == 1


def test_a_word_of_two_colours_is_not_cut_where_they_meet() -> None:
    line: Line = (("", "- "), HANG, ("", "it is "), ("red", "open"), ("", ", not blocked"))
    assert plain_text(wrap_lines([line], 12)) == "- it is\n  open, not\n  blocked\n"


@pytest.mark.parametrize("width", [None, 10, 200])
def test_no_line_ends_in_blanks(width: int | None) -> None:
    [line] = wrap_lines([(("", "  ✔ "), HANG, ("red", "blocked"), ("", ""), ("", "  "))], width)
    assert line == (("", "  ✔ "), ("red", "blocked"))


def test_words_of_one_colour_stay_one_span() -> None:
    first, second = wrap_lines([(("", "- "), HANG, ("red", "0 of 2 open; 2 blocked"))], 14)
    assert first == (("", "- "), ("red", "0 of 2 open;"))
    assert second == (("", "  "), ("red", "2 blocked"))


@given(st.integers(20, 200))
def test_every_width_leaves_the_colours_on_the_same_words(width: int) -> None:
    spans = [span for line in wrap_lines([HEAD], width) for span in line]
    assert ("bold green", "✔") in spans
    assert HANG not in spans
