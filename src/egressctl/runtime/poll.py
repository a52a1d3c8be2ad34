"""Ask until something comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from egressctl.errors import TimedOut

T = TypeVar("T")

_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 1.0


def poll(ask: Callable[[], T | None], timeout: float, told: Callable[[], str], hint: str = "") -> T:
    """Ask until an answer that is not None comes, with growing pauses, for `timeout` seconds at most.

    Raises TimedOut with the sentence that `told` gives at the end.
    """
    end, pause = time.monotonic() + timeout, _FIRST_PAUSE
    while True:
        answer = ask()
        if answer is not None:
            return answer
        if time.monotonic() + pause > end:
            raise TimedOut(told(), hint=hint)
        time.sleep(pause)
        pause = min(pause * 1.6, _LONGEST_PAUSE)
