"""Which part of a container's log the lab's endpoint gives."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from egressctl.lab.api.logs import select_log_lines
from egressctl.lab.api.status import ApiError

NOW = datetime(2026, 11, 23, 4, 0, 30, tzinfo=UTC)
OLD, PLAIN, NEW = b"[2026-11-23T04:00:00.000Z] old\n", b"no time\n", b"[2026-11-23T04:00:29.500Z] new\n"
LOG = OLD + PLAIN + NEW


@pytest.mark.parametrize(
    ("query", "given"),
    [
        ({}, LOG),
        ({"tailLines": "1"}, NEW),
        ({"tailLines": "0"}, b""),
        ({"tailLines": "9"}, LOG),
        ({"sinceSeconds": "30"}, LOG),
        ({"sinceSeconds": "29"}, PLAIN + NEW),
        ({"sinceSeconds": "9" * 18}, LOG),
        ({"limitBytes": "5"}, OLD[:5]),
        ({"tailLines": "2", "sinceSeconds": "1", "limitBytes": "1000"}, PLAIN + NEW),
        ({"follow": "false"}, LOG),
    ],
)
def test_what_is_asked_for_is_given(query: dict[str, str], given: bytes) -> None:
    assert select_log_lines(LOG, query, NOW) == given


@pytest.mark.parametrize("name", ["tailLines", "sinceSeconds", "limitBytes"])
@pytest.mark.parametrize("said", ["", "-1", "x", "1.5", "9" * 30])
def test_a_number_that_is_none_is_refused(name: str, said: str) -> None:
    with pytest.raises(ApiError) as refused:
        select_log_lines(LOG, {name: said}, NOW)
    assert refused.value.code == 400


def test_a_time_that_there_is_not_is_now() -> None:
    line = b"[2026-13-45T04:00:00.000Z] odd\n"
    assert select_log_lines(line, {"sinceSeconds": "1"}, NOW) == line
