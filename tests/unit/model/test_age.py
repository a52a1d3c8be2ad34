"""Ages as kubectl writes them, in one unit."""

from __future__ import annotations

import pytest

from egressctl.model.age import age_text


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0s"), (119.9, "119s"), (120, "2m"), (7199, "119m"), (7200, "2h"), (172799, "47h"), (172800, "2d"), (10**7, "115d")],
)
def test_an_age_is_told_in_the_largest_unit_of_which_there_are_two(seconds: float, told: str) -> None:
    assert age_text(seconds) == told
