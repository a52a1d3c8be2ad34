"""The entry point: reads the command line, runs one command, and is the only place that exits."""

from __future__ import annotations

import errno
import gc
import os
import sys
from collections.abc import Sequence
from typing import Any

from egressctl import __version__
from egressctl.cli.kubectl_flags import normalise_arguments
from egressctl.cli.registry import COMMANDS, build_app

_HELP = """Usage: egressctl COMMAND [ARGUMENTS] [OPTIONS]

  Open an egress from an Istio mesh, prove which Envoy cluster carried it, close it again, and prove it closed.

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

_DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})


def main() -> None:
    """Run the command line and exit with its code."""
    # A process of one command line ends before cycles would matter; looking for them is a tenth of its start.
    gc.disable()
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, AttributeError):
        sys.exit(code)  # which says what went wrong
    # Taking every module apart would be another tenth.
    os._exit(code)


def run(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    if "--version" in argv[:1]:
        print(f"egressctl {__version__}")
        return 0
    if argv[:1] == ["__complete"]:
        return _complete(argv[1:])
    words = normalise_arguments(argv)
    debug = words[:1] == ["--debug"]
    words = words[1:] if debug else words
    try:
        return _dispatch(words)
    except BrokenPipeError:
        from egressctl.cli.console import discard_stdout  # imported late: 10 ms

        discard_stdout()
        return 0
    except Exception as bug:
        if isinstance(bug, OSError) and bug.errno in _DISK_ERRORS:
            print(f"error: the output could not be written: {bug.strerror}", file=sys.stderr)
            return 3
        if debug:
            raise
        from egressctl.runtime.sanitize import neutralise  # imported late: 2 ms

        print(f"error: a bug in egressctl: {type(bug).__name__}: {neutralise(str(bug))}", file=sys.stderr)
        print("hint: run it again with --debug, and report what it prints", file=sys.stderr)
        return 70


def _complete(words: Sequence[str]) -> int:
    from egressctl.cli.completion_engine import complete, split_line  # imported late: 4 ms

    print(complete(split_line(words[1]) if words[:1] == ["--line"] and len(words) == 2 else words))
    return 0


def complete_for_kubectl() -> None:
    """Answer kubectl, which runs `kubectl_complete-egressctl` for what follows `kubectl egressctl`."""
    sys.argv[1:1] = ["__complete"]
    main()


def _dispatch(words: list[str]) -> int:
    # The list of commands is printed without typer, whose import is most of the time that this takes.
    if not words or words[0] in ("-h", "--help"):
        print(_HELP.format(commands="\n".join(f"  {name:<10} {text}" for name, _, text in COMMANDS)), end="")
        return 0
    command = next((each for each in COMMANDS if each[0] == words[0]), None)
    if command is None:
        return _refuse_unknown_command(words[0])
    return _run_command(command, words)


def _refuse_unknown_command(word: str) -> int:
    import difflib  # imported late: 2 ms

    near = difflib.get_close_matches(word, [name for name, _, _ in COMMANDS])
    kind = "option" if word.startswith("-") else "command"
    print(f"error: there is no {kind} {word!r}" + (f": did you mean {' or '.join(near)}?" if near else ""), file=sys.stderr)
    print("hint: egressctl --help", file=sys.stderr)
    return 2


def _run_command(command: tuple[str, str, str], words: list[str]) -> int:
    import typer  # imported late: 33 ms

    from egressctl.errors import EgressctlError, Interrupted

    usage_error: Any = typer.BadParameter.__mro__[1]  # click's UsageError, which typer carries along under a private name
    try:
        code = build_app(*command)(words, standalone_mode=False, prog_name="egressctl")
    except (typer.Exit, typer.Abort) as stop:
        return int(getattr(stop, "exit_code", 130))
    except usage_error as wrong:
        print(f"error: {wrong.format_message()}", file=sys.stderr)
        print(f"hint: egressctl {command[0]} --help", file=sys.stderr)
        return 2
    except EgressctlError as failure:
        from egressctl.cli.console import print_failure  # imported late: 11 ms

        print_failure(failure)
        return failure.exit_code
    except Interrupted as stop:
        return stop.exit_code
    except KeyboardInterrupt:
        return 130
    return int(code or 0)
