"""What a person sees: results on stdout, progress and hints on stderr. The only importer of rich."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TextIO

from egressctl.errors import EgressctlError, InvalidInput
from egressctl.report.lines import HANG, Content, Line, hang_for, plain_text, wrap_lines
from egressctl.runtime.sanitize import neutralise

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.status import Status

_ASCII = str.maketrans({"✔": "+", "✘": "x", "├": "|", "╰": "`", "─": "-", "│": "|"})


def wants_colour(stream: TextIO) -> bool:
    """Say whether to colour a stream: NO_COLOR and TERM=dumb forbid it, FORCE_COLOR asks for it, a terminal wants it."""
    if os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return bool(os.environ.get("FORCE_COLOR")) or stream.isatty()


def text_for_stream(stream: TextIO, text: str) -> str:
    """Return the text with its signs replaced by ASCII where the stream cannot show them."""
    try:
        text.encode(stream.encoding or "ascii")
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode("ascii", "backslashreplace").decode("ascii")
    return text


def width_of(stream: TextIO) -> int | None:
    """Return how wide lines may be: what COLUMNS says, else a terminal's width; None where nothing limits them."""
    if (columns := os.environ.get("COLUMNS", "")).isdecimal() and int(columns) > 0:
        return int(columns)
    try:
        return (os.get_terminal_size(stream.fileno()).columns or None) if stream.isatty() else None
    except (OSError, ValueError):
        return None


def print_content(content: Content) -> None:
    """Print text, or a picture, on stdout: its lines as wide as the terminal is, coloured where that is wanted."""
    if isinstance(content, str):
        print(text_for_stream(sys.stdout, content), end="")
        return
    lines = wrap_lines(content, width_of(sys.stdout))
    if not wants_colour(sys.stdout):
        print(text_for_stream(sys.stdout, plain_text(lines)), end="")
        return
    from rich.console import Console  # imported late: 20 ms
    from rich.text import Text

    console = Console(force_terminal=True, soft_wrap=True, highlight=False)
    for line in lines:
        console.print(Text.assemble(*((text_for_stream(sys.stdout, text), style) for style, text in line)))


def say(text: str) -> None:
    """Print one line on stderr; that nobody reads it must not stop what is being done."""
    with contextlib.suppress(OSError):
        print(text_for_stream(sys.stderr, text), file=sys.stderr, flush=True)


def say_with_label(label: str, text: str) -> None:
    """Print text on stderr behind a label, wrapped at a terminal only; a command line stays one that can be copied."""
    line = (("", f"{label}: "), hang_for(text) if label == "hint" else HANG, ("", neutralise(text)))
    width = width_of(sys.stderr) if sys.stderr.isatty() else None
    say(plain_text(wrap_lines([line], width)).removesuffix("\n"))


def print_failure(failure: EgressctlError) -> None:
    """Print what went wrong, and the hint, on stderr: one sentence a problem."""
    problems = failure.problems if isinstance(failure, InvalidInput) else ()
    for text in [str(each) for each in problems] or [str(failure)]:
        say_with_label("error", text)
    if failure.hint:
        say_with_label("hint", failure.hint)


class TerminalProgress:
    """Show what is being done: one live line at a terminal, plain lines elsewhere, nothing when quiet."""

    def __init__(self, *, quiet: bool, results: bool = True) -> None:
        self._quiet = quiet
        self._results = results
        self._live = not quiet and sys.stderr.isatty() and wants_colour(sys.stderr)
        self._status: Status | None = None
        self._bar: Bar | None = None
        self._last = ""
        self.warnings: list[str] = []
        self.results: list[str] = []
        """The lines of results, whether they were shown or not."""
        self.holds = False
        self._unwritable: OSError | None = None

    def step(self, text: str) -> None:
        if self._quiet or text == self._last:
            return
        self._last = text
        if not self._live:
            say(neutralise(text))
            return
        if self._status is None:
            from rich.console import Console  # imported late: 25 ms
            from rich.status import Status

            self._status = Status("", console=Console(stderr=True))
            self._status.start()
        self._status.update(neutralise(text).replace("[", r"\["))

    def advance(self, done: int, total: int, text: str) -> None:
        if self._quiet or not total:
            return
        if not self._live:
            self.step(f"{done} of {total} done" + (f", {text}" if text else ""))
            return
        if self._status is not None:
            self.stop()
        if self._bar is None:
            from rich.console import Console  # imported late: 28 ms
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
            from rich.progress import Progress as Bar

            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
            self._bar = Bar(*columns, console=Console(stderr=True), transient=True)
            self._bar.add_task("", total=total)
            self._bar.start()
        self._bar.update(self._bar.task_ids[0], completed=done, total=total, description=neutralise(text))

    def done(self, text: str) -> None:
        if not self._quiet:
            self.stop()
            say(neutralise(text))

    def hold_results(self) -> None:
        """Hold the lines of results back: a verdict may stand for them."""
        self.holds, self._results = self._results, False

    @property
    def held(self) -> list[str]:
        """The lines of results that were held back."""
        return self.results if self.holds else []

    def result(self, text: str) -> None:
        self.results.append(neutralise(text))
        if self._results:
            self.lines([(("", neutralise(text)),)])

    def lines(self, lines: Iterable[Line]) -> None:
        """Print lines on stdout at once, which are part of the result and not of the progress."""
        self.stop()
        try:
            print_content(lines)
            sys.stdout.flush()
        except OSError as error:  # a full disk must not stop a cleanup half-way
            self._unwritable = error

    def print(self, content: Content) -> None:
        """Print the whole result, or the rest of it. A full disk is an OSError."""
        self.stop()
        if self._unwritable is not None:
            raise self._unwritable
        print_content(content)
        sys.stdout.flush()

    def warn(self, text: str) -> None:
        if text in self.warnings:
            return
        self.warnings.append(text)
        self.stop()
        say_with_label("warning", text)

    def stop(self) -> None:
        """Take the live line away, before something else is printed."""
        for shown in (self._status, self._bar):
            if shown is not None:
                shown.stop()
        self._status = self._bar = None
