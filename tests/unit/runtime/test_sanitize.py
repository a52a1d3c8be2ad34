"""Text from the network cannot rewrite what a person reads."""

from __future__ import annotations

import shlex
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from egressctl.runtime.sanitize import LONGEST_TEXT, neutralise, quote


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("7,012,345 articles", "7,012,345 articles"),
        ("Käse 百科 ✔", "Käse 百科 ✔"),
        ("\x1b[2J\x1b[31mopen", r"\x1b[2J\x1b[31mopen"),
        ("blocked\ropen", r"blocked\x0dopen"),
        ("one\ntwo\tthree", r"one\x0atwo\x09three"),
        ("bell\a del\x7f c1\x9b31m", r"bell\x07 del\x7f c1\x9b31m"),
        ("\u202egro.aidepikiw\u202c", r"\u202egro.aidepikiw\u202c"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("line\u2028paragraph\u2029", r"line\u2028paragraph\u2029"),
        ("no\u00a0break", r"no\xa0break"),
        ("tag\U000e0041", r"tag\U000e0041"),
        ("half\ud800", r"half\ud800"),
        ("::error::x", r"\x3a:error::x"),
        ("  ::stop-commands::token", r"  \x3a:stop-commands::token"),
        ("said ##[error]x", r"said #\x23[error]x"),
        ("::1", "::1"),
        ("fe80::1 and ::1", "fe80::1 and ::1"),
        ("", ""),
    ],
)
def test_what_would_steer_a_terminal_is_shown(text: str, shown: str) -> None:
    assert neutralise(text) == shown


def test_what_is_too_long_lacks_its_middle_and_says_so() -> None:
    assert neutralise("a" * LONGEST_TEXT) == "a" * LONGEST_TEXT
    shown = neutralise(f"began{'a' * LONGEST_TEXT}ended")
    assert (shown[:6], shown[-6:], " ... " in shown) == ("begana", "aended", True)
    assert len(shown) == LONGEST_TEXT


@given(st.text())
def test_nothing_that_is_shown_steers_anything(text: str) -> None:
    shown = neutralise(text)
    assert all(each == " " or unicodedata.category(each)[0] not in "CZ" for each in shown)
    assert "##[" not in shown
    assert neutralise(shown) == shown


@given(st.text(alphabet=st.characters(exclude_categories=("C", "Z")), max_size=LONGEST_TEXT))
def test_what_is_harmless_stays_as_it_is(text: str) -> None:
    assume("##[" not in text and not text.startswith("::"))
    assert neutralise(text) == text


@given(st.text(min_size=1))
def test_a_quoted_text_is_one_word_of_a_shell(text: str) -> None:
    assert shlex.split(f"kubectl delete pod {quote(text)}")[3:] == [text]
