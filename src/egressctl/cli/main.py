"""The entry point: reads the command line, runs one command, and is the only place that exits."""

from __future__ import annotations

import contextlib
import errno
import gc
import io
import os
import re
import signal
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from egressctl import __version__
from egressctl.cli.kubectl_flags import goes_with_a_command, name_as_typed, normalise_arguments
from egressctl.cli.registry import COMMANDS, build_app

_HELP = """Usage: egressctl COMMAND [ARGUMENTS] [OPTIONS]

  Open an egress from an Istio mesh, prove that its ServiceEntry opened it, close it again, and prove it closed.

Commands:
{commands}

Options:
  --version   Print the version and exit.
  -h, --help  Show this message, or a command's, and exit.

Examples:
  egressctl demo
  egressctl create wikipedia
  egressctl verify
  egressctl cleanup
  egressctl run wikipedia -o json

Exit codes: 0 as expected, 1 not as expected, 2 wrong usage, 3 could not ask, 4 no proof, 5 something is left behind.
"""

_EXPLAINED = ("lint", "lab", "catalog")
"""Commands whose old forms, and other tools' words, are answered with the right line."""

_SURROGATES = re.compile("[\ud800-\udfff]")
"""What the interpreter makes of bytes that are not UTF-8."""

_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


class _OutlivingItsReader(io.FileIO):
    """Standard output or error: a command ends as it would have, also when the reader or the terminal has gone.

    Nor does a full disk end it that takes no errors: there is nowhere to say so.
    """

    def __init__(self, stream: TextIO, errors: frozenset[int]) -> None:
        super().__init__(stream.fileno(), "w", closefd=False)
        self._gone = {errno.EPIPE, *errors, *({errno.EIO} if self.isatty() else ())}

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if error.errno not in self._gone:
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            return len(data)


def _outliving_its_reader(stream: TextIO, errors: frozenset[int] = frozenset()) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):  # not the interpreter's own
        return stream
    raw, at_once = _OutlivingItsReader(stream, errors), stream.write_through
    return io.TextIOWrapper(
        raw if at_once else io.BufferedWriter(raw),  # as the interpreter has it with -u
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
        write_through=at_once,
    )


def _open_what_is_closed() -> None:
    """Put nothing in the place of standard streams that were closed before the start: else the next file would take it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)
            os.set_inheritable(number, True)
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115  # for as long as it runs


def main() -> None:
    """Run the command line and exit with its code."""
    _end_at_signals()
    # A process of one command line ends before cycles would matter; looking for them is a tenth of its start.
    gc.disable()
    _open_what_is_closed()
    sys.stdout, sys.stderr = _outliving_its_reader(sys.stdout), _outliving_its_reader(sys.stderr, _DISK_ERRORS)
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError as error:
        code = code or _say_unwritten(error)
    # Taking every module apart would be another tenth.
    os._exit(code)


def _end_at_signals() -> None:
    """End at once by a signal, with its exit code: of what comes before a command nothing can be left."""

    def end(signum: int, _frame: object) -> None:
        os._exit(128 + signum)

    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        if signum != signal.SIGHUP or signal.getsignal(signum) != signal.SIG_IGN:
            signal.signal(signum, end)


def run(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    if number := _word_of_no_text(argv):
        return _refuse(f"word {number} of the command line is not text in UTF-8, and no file has that name", "egressctl --help")
    completing = argv[:1] == ["__complete"]
    words = list(argv[1:]) if completing else normalise_arguments(argv)
    debug = words[:1] == ["--debug"]
    words = words[1:] if debug else words
    try:
        return _complete(words) if completing else _dispatch(words, argv)
    except Exception as bug:
        if isinstance(bug, OSError) and bug.errno in _DISK_ERRORS:
            return _say_unwritten(bug)
        if debug:
            raise
        from egressctl.runtime.sanitize import neutralise  # imported late: 2 ms

        if isinstance(bug, OSError | MemoryError):  # what this machine does not have or give, wherever it was wanted
            where = f": {bug.filename}" if isinstance(bug, OSError) and bug.filename else ""
            print(f"error: {neutralise(f'{_reason(bug)}{where}')}", file=sys.stderr)
            return 3
        print(f"error: a bug in egressctl: {type(bug).__name__}: {neutralise(str(bug))}", file=sys.stderr)
        print("hint: run it again with --debug, and report what it prints", file=sys.stderr)
        return 70


def _reason(error: OSError | MemoryError) -> str:
    return "there is not enough memory" if isinstance(error, MemoryError) else (error.strerror or str(error) or "failed").lower()


def _word_of_no_text(argv: Sequence[str]) -> int:
    """Return which word, from 1, is not text and names no file, 0 for none: names go to the API server, and into reports."""
    for number, word in enumerate(argv, 1):
        if word == "--":
            break
        named = (word, word.partition("=")[2])
        if not word.isascii() and _SURROGATES.search(word) and not any(map(os.path.exists, named)):
            return number
    return 0


def _say_unwritten(error: OSError) -> int:
    with contextlib.suppress(OSError):
        print(f"error: the output could not be written: {error.strerror}", file=sys.stderr)
    return 3


def _complete(words: Sequence[str]) -> int:
    from egressctl.cli.completion_engine import complete, split_line  # imported late: 6 ms

    print(complete(split_line(words[1]) if words[:1] == ["--line"] and len(words) == 2 else words))
    return 0


def complete_for_kubectl() -> None:
    """Answer kubectl, which runs `kubectl_complete-egressctl` for what follows `kubectl egressctl`."""
    sys.argv[1:1] = ["__complete"]
    main()


def _dispatch(words: list[str], argv: Sequence[str]) -> int:
    if "--version" in words[:1]:
        print(f"egressctl {__version__}")
        return 0
    if not words:
        from egressctl.cli.ways_to_begin import ways_to_begin  # imported late: 2 ms

        print(ways_to_begin(), end="")
        return 0
    if words[0] == "help":
        names = [word for word in words[1:] if not word.startswith("-")]
        return _dispatch([*names, "--help"], names)
    # The list of commands is printed without typer, whose import is most of the time that this takes.
    if words[0] in ("-h", "--help"):
        print(_HELP.format(commands="\n".join(f"  {name:<10} {text}" for name, _, text in COMMANDS)), end="")
        return 0
    command = next((each for each in COMMANDS if each[0] == words[0]), None)
    if command is None:
        return _refuse(*_unknown_command(words[0], argv))
    if command[0] in _EXPLAINED:
        from egressctl.cli.first_words import line_for_target, meant_instead, old_form  # imported late: 4 ms

        if meant := meant_instead(argv):
            return _refuse(f"there is no command {meant[0]!r}", meant[1])
        if old := old_form(words):
            return _refuse(*old)
        if words[0] == "catalog" and _is_target("".join(words[1:2])):
            return _refuse(f"there is no command 'catalog {words[1]}'", line_for_target("catalog show", words[1:]))
    return _run_command(command, words, argv)


def _refuse(error: str, hint: str) -> int:
    from egressctl.runtime.sanitize import neutralise  # imported late: 2 ms

    print(f"error: {neutralise(error)}", file=sys.stderr)
    print(f"hint: {neutralise(hint)}", file=sys.stderr)
    return 2


def _unknown_command(word: str, argv: Sequence[str]) -> tuple[str, str]:
    """Return what is wrong with the first word, and what to type."""
    import difflib  # imported late: 5 ms

    from egressctl.cli.first_words import WORDS, line_for_target, meant_instead

    if word.startswith("-"):
        typed = argv[0]
        if goes_with_a_command(typed):
            version = "egressctl --version; or " if typed == "-v" else ""
            return (
                f"there is no command, only {typed}",
                f"{version}{line_for_target('verify', argv)}, or another of egressctl --help",
            )
        near = difflib.get_close_matches(typed, ["--help", "--version"]) or ["--version"] * (typed in ("-V", "-version"))
        return f"there is no option {typed!r}" + (f": did you mean {near[0]}?" if near else ""), "egressctl --help"
    if meant := meant_instead(argv):
        return f"there is no command {meant[0]!r}", meant[1]
    if any(sign in word for sign in ".:/") or _is_target(word):
        hint = f"{line_for_target('create', argv)} opens it, {line_for_target('verify', argv)} asks for it"
        return f"there is no command {word!r}", hint
    known = {name: name for name, _, _ in COMMANDS} | {each: meant.command for each, meant in WORDS.items()}
    near = list(dict.fromkeys(known[each] for each in difflib.get_close_matches(word, known)))
    return f"there is no command {word!r}" + (f": did you mean {' or '.join(near)}?" if near else ""), "egressctl --help"


def _is_target(word: str) -> bool:
    from egressctl.catalog.lookup import has_name  # imported late: 44 ms

    return has_name(word)


def _run_command(command: tuple[str, str, str], words: list[str], argv: Sequence[str]) -> int:
    import typer  # imported late: 31 ms

    from egressctl.errors import EgressctlError, Interrupted
    from egressctl.runtime.signals import Interrupts

    usage_error: Any = typer.BadParameter.__mro__[1]  # click's UsageError, which typer keeps under a private name
    try:
        with Interrupts():
            code = build_app(*command)(words, standalone_mode=False, prog_name="egressctl")
    except (typer.Exit, typer.Abort) as stop:
        return int(getattr(stop, "exit_code", 130))
    except usage_error as wrong:
        return _refuse(name_as_typed(wrong.format_message(), argv), f"egressctl {command[0]} --help")
    except EgressctlError as failure:
        from egressctl.cli.console import print_failure  # imported late: 11 ms

        print_failure(failure)
        return failure.exit_code
    except Interrupted as stop:
        return stop.exit_code
    return int(code or 0)
