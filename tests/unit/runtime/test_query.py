"""Queries of URLs."""

from __future__ import annotations

from urllib.parse import parse_qsl

from hypothesis import given
from hypothesis import strategies as st

from egressctl.runtime.query import encode_query


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.text(st.characters(exclude_categories=["Cs"]))
        )
    )
)
def test_a_query_is_read_as_it_was_meant(pairs: list[tuple[str, str]]) -> None:
    written = encode_query(pairs)
    assert parse_qsl(written, keep_blank_values=True) == pairs
    assert written.isascii()
    assert not set(written) & set(' "#<>;[]^`{|}')


def test_what_a_query_may_hold_is_not_written_longer() -> None:
    assert encode_query([("command", "https://a.example:8443/b?c")]) == "command=https://a.example:8443/b?c"
