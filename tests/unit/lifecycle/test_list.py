"""How old an entry is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from egressctl.lifecycle.list import _age_in_seconds

NOW = datetime(2026, 11, 23, 4, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("created", "age"),
    [
        ("2026-11-23T03:59:00Z", 60),
        ("2026-11-23T03:59:00.5Z", 59.5),
        ("2026-11-23T05:59:00+02:00", 60),
        ("2026-11-22T04:00:00Z", 86_400),
        ("2026-11-23T04:00:05Z", 0),  # the API server's clock is ahead of ours
        ("", 0),
        ("yesterday", 0),
    ],
)
def test_an_age_is_in_seconds_and_never_negative(created: str, age: float) -> None:
    assert _age_in_seconds(created, NOW) == age


def test_it_does_not_matter_where_one_looks_from() -> None:
    assert _age_in_seconds("2026-11-23T03:59:00Z", NOW.astimezone(timezone(timedelta(hours=9)))) == 60
