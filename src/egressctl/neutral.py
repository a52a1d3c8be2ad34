"""Make text from the network harmless before a terminal sees it."""

from __future__ import annotations

import unicodedata

LONGEST = 2000
"""Characters of one piece of text that are shown at most."""


def neutralise(text: str) -> str:
    """Replace every control, format and line character by a visible escape, and cut what is too long.

    Escape sequences, carriage returns and bidirectional overrides could rewrite what a person reads.
    """
    if len(text) <= LONGEST and text.isprintable():
        return text
    shown = "".join(
        each if unicodedata.category(each)[0] not in "CZ" or each == " " else _escape(each) for each in text[:LONGEST]
    )
    return shown + ("..." if len(text) > LONGEST else "")


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
