"""Turn SIGINT, SIGTERM, SIGHUP and SIGQUIT into an exception that strikes only where nothing is lost by it.

A mutating call to the API server is deferred over: the signal waits until its answer is in, which is
bounded by the request timeout. The first signal never stops the undoing of what was done; a second one
does, and the undoing then says what is left. Once what was done is to stay, a signal comes too late.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from egressctl.errors import Interrupted

_STRIKE_AGAIN_SECONDS = 0.001
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class Interrupts:
    """Install the handlers for the time of a `with` block; to be used in the main thread.

    Without the block (as a library), nothing is installed and the context managers do nothing. A SIGHUP that is ignored
    already, as `nohup` has it, stays so.
    """

    def __init__(self) -> None:
        self._heard = 0
        self._pending: int | None = None
        self._late: int | None = None
        """The signal that is to strike when an import has ended."""
        self._deferring = 0
        self._undoing = False
        self.gave_up = False
        """Whether a second signal has stopped the undoing: then nothing more is to be undone."""
        self.kept = False
        """Whether what was done is meant to stay."""
        self._committed = False
        self._previous: dict[int, Any] = {}
        self._hook = sys.unraisablehook

    def __enter__(self) -> Interrupts:
        for signum in _SIGNALS:
            if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:
                self._previous[signum] = signal.signal(signum, self._handle)
        self._hook, sys.unraisablehook = sys.unraisablehook, self._strike_again
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for signum, handler in self._previous.items() if not self._committed else ():
            if signal.getsignal(signum) == self._handle:  # else an inner block has committed itself
                signal.signal(signum, handler)
        if sys.unraisablehook == self._strike_again:
            sys.unraisablehook = self._hook
        if self._late is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            if error is None and not self._committed:
                raise Interrupted(self._late)

    def commit(self) -> None:
        """Let signals pass from now on, also after the block: all is done, and the exit code is to say so.

        A second one of them is heard as before: it may be that nobody reads what is being printed.
        """
        self._committed, self._heard, self._pending = True, 0, None

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        self._heard += 1
        if self._committed and self._heard == 1:
            return
        if _is_importing(frame):
            self._strike_later(signum)
            return
        if self._deferring or (self._undoing and self._heard == 1):
            self._pending = signum
            return
        self.gave_up = self._undoing
        raise Interrupted(signum)

    def _strike_again(self, lost: Any) -> None:
        """Raise an interruption once more that was lost: the interpreter drops what is raised within a weak reference's callback.

        An import has such callbacks, and so does whatever has a `__del__`.
        """
        if not isinstance(lost.exc_value, Interrupted):
            self._hook(lost)
            return
        self._strike_later(lost.exc_value.signum)

    def _strike_later(self, signum: int) -> None:
        self._late = signum

        def raise_again(_signum: int, frame: FrameType | None) -> None:
            self._late = None
            self._heard -= 1  # it is the same one still
            self._handle(signum, frame)

        signal.signal(signal.SIGALRM, raise_again)
        signal.setitimer(signal.ITIMER_REAL, _STRIKE_AGAIN_SECONDS)

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Hold any signal back until the block has ended."""
        self._deferring += 1
        try:
            yield
        finally:
            self._deferring -= 1
        self._raise_pending()

    @contextmanager
    def undoing(self) -> Iterator[None]:
        """Hold the first signal of this process back until the block has ended; let a second one through."""
        self._undoing = True
        try:
            yield
        finally:
            self._undoing = False
        self._raise_pending()

    def _raise_pending(self) -> None:
        if self._pending is not None and not self._deferring and not self._undoing:
            signum, self._pending = self._pending, None
            raise Interrupted(signum)


def _is_importing(frame: FrameType | None) -> bool:
    """Say whether a module is being imported: what is raised there may be wrapped into another exception."""
    while frame is not None and not frame.f_code.co_filename.startswith("<frozen importlib."):
        frame = frame.f_back
    return frame is not None
