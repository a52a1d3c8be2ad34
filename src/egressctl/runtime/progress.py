"""What a use case says to its observer while it works; silent unless someone listens."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receive what happens. Texts are whole sentences without a full stop, safe to print after neutralising."""

    def step(self, text: str) -> None:
        """Say what is being done or waited for now; the next step replaces it."""

    def advance(self, done: int, total: int, text: str) -> None:
        """Say how many of something long are done, and what is being done now; `done` is `total` at the end."""

    def done(self, text: str) -> None:
        """Say what was achieved."""

    def result(self, text: str) -> None:
        """Say what became of an object, in kubectl's words: `serviceentry.networking.istio.io/NAME created`."""

    def warn(self, text: str) -> None:
        """Say what the person should know although it stops nothing."""


class SilentProgress:
    """Listen to nothing."""

    def step(self, text: str) -> None:
        pass

    def advance(self, done: int, total: int, text: str) -> None:
        pass

    def done(self, text: str) -> None:
        pass

    def result(self, text: str) -> None:
        pass

    def warn(self, text: str) -> None:
        pass
