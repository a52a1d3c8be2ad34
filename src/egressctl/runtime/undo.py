"""Register the undo before the do; undo in reverse, whatever happened; say what could not be undone."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import NamedTuple

from egressctl.errors import CleanupIncomplete, Conflict, Interrupted
from egressctl.runtime.signals import Interrupts


class _UndoStep(NamedTuple):
    what: str
    command: str
    action: Callable[[], None]


class Undo:
    """Run registered actions in reverse when the block ends, unless `keep` was called.

    An action treats "not found" as success. Where actions fail, or a second signal stops them, the block
    ends with CleanupIncomplete, which names what is left and the commands that remove it. What an action finds to be somebody
    else's (Conflict) stays, and is no failure of the others.
    """

    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts
        self._steps: list[_UndoStep] = []

    def register(self, what: str, command: str, action: Callable[[], None]) -> None:
        """Remember how to take back what is about to be done: `what` for people, `command` to type by hand."""
        self._steps.append(_UndoStep(what, command, action))

    def forget(self) -> None:
        """Forget what was registered last: it is certain that it was not done."""
        self._steps.pop()

    def keep(self) -> None:
        """Forget everything registered: what was done is meant to stay."""
        self._interrupts.kept = True
        self._steps.clear()

    def __enter__(self) -> Undo:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if not self._steps or (self._interrupts.gave_up and isinstance(error, CleanupIncomplete)):
            return  # the inner undoing that was stopped has said what is left
        with self._interrupts.undoing():
            self._interrupts.kept = False
            if failures := self._undo():
                said = "; ".join(f"{step.what} ({why})" for step, why in failures)
                left = [step for step, why in failures if not isinstance(why, Conflict)]
                if not left:
                    hint = next(why.hint for _, why in failures if isinstance(why, Conflict))
                    raise Conflict(f"not taken back, since it is somebody else's by now: {said}", hint=hint) from error
                raise CleanupIncomplete(
                    f"not cleaned up: {said}",
                    left=[step.what for step in left],
                    hint="remove it with: " + " && ".join(dict.fromkeys(step.command for step in left)),
                ) from error

    def _undo(self) -> list[tuple[_UndoStep, Exception | str]]:
        failures: list[tuple[_UndoStep, Exception | str]] = []
        try:
            while self._steps:
                try:
                    self._steps[-1].action()
                except Conflict as stays:
                    failures.append((self._steps[-1], stays))
                except Exception as failure:  # a bug in one action must not keep the others from being taken back
                    failures.append((self._steps[-1], str(failure) or type(failure).__name__))
                self._steps.pop()
        except Interrupted:
            failures += [(step, "interrupted") for step in reversed(self._steps)]
        return failures
