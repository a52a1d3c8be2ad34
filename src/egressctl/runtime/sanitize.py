"""Make text from the network harmless before a terminal or the log of a CI server sees it."""

from __future__ import annotations

import re
import shlex
import unicodedata

LONGEST_TEXT = 2000
"""Characters of one piece of text that are shown at most."""
_HEAD = 500
"""So many of them are from its beginning where it is longer, the others from its end, which says what happened."""

_CI_COMMAND = re.compile(r"\A( *)::(?=.*::)")


def neutralise(text: str) -> str:
    """Replace every control, format and line character by a visible escape, and leave out the middle of what is too long.

    Escape sequences, carriage returns and bidirectional overrides could rewrite what a person reads. What GitHub's runner
    would take for a command to itself is broken up as well.
    """
    if len(text) <= LONGEST_TEXT and text.isprintable():
        return _without_ci_commands(text)
    if len(text) > LONGEST_TEXT:
        text = f"{text[:_HEAD]} ... {text[_HEAD + 5 - LONGEST_TEXT :]}"
    shown = "".join(each if unicodedata.category(each)[0] not in "CZ" or each == " " else _escape(each) for each in text)
    return _without_ci_commands(shown)


def quote(text: str) -> str:
    """Write a text as one word of a command line that is printed to be typed: what a server calls its objects may be anything."""
    return shlex.quote(text)


def _without_ci_commands(text: str) -> str:
    """Break up `##[command]` anywhere and `::command::` at the beginning, as actions/runner's ActionCommand.cs finds them.

    An address such as `::1` is no command, and stays.
    """
    if "##[" in text:
        text = text.replace("##[", "#\\x23[")
    if "::" in text:
        text = _CI_COMMAND.sub(r"\1\\x3a:", text)
    return text


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
