"""Which names a host stands for, as istio's `host.Name` has it."""

from __future__ import annotations

import pytest

from egressctl.istio.hosts import covers_host


@pytest.mark.parametrize(
    ("wide", "host", "expected"),
    [
        ("*.wikipedia.org", "en.wikipedia.org", True),
        ("*.wikipedia.org", "a.b.wikipedia.org", True),
        ("*.wikipedia.org", "*.en.wikipedia.org", True),
        ("*.wikipedia.org", "*.wikipedia.org", True),
        ("*.wikipedia.org", "wikipedia.org", False),
        ("*.wikipedia.org", "notwikipedia.org", False),
        ("*.en.wikipedia.org", "*.wikipedia.org", False),
        ("*", "wikipedia.org", True),
        ("Wikipedia.org", "wikipedia.ORG", True),
        ("wikipedia.org", "en.wikipedia.org", False),
        ("wikipedia.org", "*.wikipedia.org", False),
        ("", "wikipedia.org", False),
        ("*pedia.org", "wikipedia.org", True),
        ("*wikipedia.org", "wikipedia.org", True),
        ("*.wikipedia.org", "*pedia.org", False),
    ],
)
def test_which_names_a_wildcard_covers(wide: str, host: str, expected: bool) -> None:
    assert covers_host(wide, host) is expected
