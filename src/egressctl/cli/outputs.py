"""Outputs that go to files: refused before anything is done where they cannot be written, and written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

from egressctl.cli.console import print_failure
from egressctl.errors import CouldNotAsk, InvalidInput
from egressctl.report.lines import Content, plain_text

_STREAMS = ("/dev/", "/proc/")


def refuse_unwritable(files: Sequence[tuple[str, str]]) -> None:
    """Raise InvalidInput for a path that cannot be written to, or that two outputs name. Nothing is created."""
    named: dict[str, str] = {}
    for form, path in files:
        if fault := _why_unwritable(path):
            raise InvalidInput(f"--output {form}={path}: {fault}", hint="make the folder first, or name another file")
        place = os.path.realpath(path)
        if place in named and not _is_written_in_place(path):
            raise InvalidInput(f"--output {named[place]} and {form} both go to {path}", hint=f"-o {form}=ANOTHER-FILE")
        named[place] = form


def _why_unwritable(path: str) -> str:
    """Say in half a sentence why a path cannot be written to; empty where it can, as far as can be known without writing."""
    place = os.path.realpath(path)
    folder = os.path.dirname(place)
    try:
        mode = os.stat(place).st_mode
    except FileNotFoundError:
        if not os.path.isdir(folder):
            return f"there is no folder {folder}"
        return "" if os.access(folder, os.W_OK | os.X_OK) else f"no file can be made in {folder}"
    except OSError as error:
        return (error.strerror or str(error)).lower()
    if stat.S_ISDIR(mode):
        return "is a folder"
    return "" if os.access(place, os.W_OK) else "may not be written to"


def _is_written_in_place(path: str) -> bool:
    """Say whether a file is written as it lies there: a device or a pipe, or one whose folder takes no other file."""
    place = os.path.realpath(path)
    if path.startswith(_STREAMS):
        return True
    return os.path.exists(place) and not (os.path.isfile(place) and os.access(os.path.dirname(place), os.W_OK | os.X_OK))


def write_output(path: str, text: str) -> None:
    """Write a file whole: its readers see the old one or the new one. Raises OSError, and leaves nothing half-written then."""
    data = text.encode("utf-8", "backslashreplace")
    if _is_written_in_place(path):
        # A pipe that nobody reads is an error, where a plain open would wait for ever.
        descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NONBLOCK)
        os.set_blocking(descriptor, True)
        # A reader that goes away has what it wants, as with standard output.
        with contextlib.suppress(BrokenPipeError), open(descriptor, "wb") as stream:
            stream.write(data)
        return
    from egressctl.runtime.atomic_write import replace_file  # imported late: 6 ms

    replace_file(Path(path), data)


def write_outputs(files: Sequence[tuple[str, str]], text_of: Callable[[str], str]) -> dict[str, OSError]:
    """Write each output's text to its file; return what could not be written, by path. One that fails stops no other."""
    unwritten = {}
    for form, path in files:
        try:
            write_output(path, text_of(form))
        except OSError as error:
            unwritten[path] = error
    return unwritten


def publish(files: Sequence[tuple[str, str]], content: Callable[[str, int], Content], code: int) -> int:
    """Write each output that goes to a file, given its content by format and exit code; say which could not be written.

    Return the exit code of the command: 3 where it was 0 and a file could not be written, which never hides another.
    """
    unwritten = write_outputs(files, lambda form: plain_text(content(form, code)))
    for path, error in unwritten.items():
        print_failure(CouldNotAsk(f"the output could not be written to {path}: {(error.strerror or str(error)).lower()}"))
    if unwritten and code == 0:
        code = CouldNotAsk.exit_code
        write_outputs([each for each in files if each[1] not in unwritten], lambda form: plain_text(content(form, code)))
    return code
