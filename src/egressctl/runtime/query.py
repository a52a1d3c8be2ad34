"""The query of a URL, in as few characters as it may have: some servers take only so many."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import urlencode

_PLAIN = "/:?@,"
"""What a query holds as it is (RFC 3986), besides letters, digits and `-._~`."""


def encode_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Write names and values as a query."""
    return urlencode(list(pairs), safe=_PLAIN)
