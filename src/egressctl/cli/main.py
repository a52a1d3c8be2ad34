"""The entry point: reads the command line, runs one command, and is the only place that exits."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from egressctl import __version__
from egressctl.cli.arguments import normalise

if TYPE_CHECKING:
    from typer import Typer

# Name, module, and the line of `egressctl --help`. A module is imported only when its command is asked for.
COMMANDS: tuple[tuple[str, str, str], ...] = (
    ("create", "create", "Apply a target's ServiceEntry and wait until the sidecar has it."),
    ("verify", "verify", "Prove which Envoy cluster carries a target's probes."),
    ("cleanup", "cleanup", "Remove what egressctl made, and prove it closed."),
    ("run", "run", "Create, verify and clean up as one, for CI."),
    ("render", "render", "Print a target's ServiceEntry, for GitOps."),
    ("list", "list", "List what egressctl made."),
    ("demo", "demo", "Show the whole task on a local lab with a real Envoy."),
    ("lab", "lab", "Start, inspect and stop the local lab."),
    ("version", "version", "Print the version."),
)

_EPILOG = """Examples: egressctl demo; egressctl create wikipedia; egressctl verify; egressctl cleanup; \
egressctl run wikipedia -o json. Exit codes: 0 as expected, 1 not, 2 wrong usage, 3 could not ask, 4 no proof, 5 left behind."""


def main() -> None:
    """Run the command line and exit with its code."""
    sys.exit(run(sys.argv[1:]))


def run(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code."""
    if list(argv) == ["--version"]:
        print(f"egressctl {__version__}")
        return 0
    words = normalise(argv)
    debug = words[:1] == ["--debug"]
    words = words[1:] if debug else words
    try:
        return _dispatch(words)
    except BrokenPipeError:
        from egressctl.cli.console import discard_stdout

        discard_stdout()
        return 0
    except OSError as error:
        print(f"error: the output could not be written: {error.strerror or error}", file=sys.stderr)
        return 3
    except Exception as bug:
        if debug:
            raise
        print(f"error: a bug in egressctl: {type(bug).__name__}: {bug}", file=sys.stderr)
        print("hint: run it again with --debug, and report what it prints", file=sys.stderr)
        return 70


def _dispatch(words: list[str]) -> int:
    import typer

    from egressctl.errors import EgressctlError, Interrupted

    usage_error: Any = typer.BadParameter.__mro__[1]  # click's UsageError, which typer carries along under a private name
    app = _app(words[0] if words else "")
    try:
        code = app(words or ["--help"], standalone_mode=False, prog_name="egressctl")
    except (typer.Exit, typer.Abort) as stop:
        return int(getattr(stop, "exit_code", 130))
    except usage_error as wrong:
        print(f"error: {wrong.format_message()}", file=sys.stderr)
        print(
            f"hint: egressctl {words[0]} --help" if words and not words[0].startswith("-") else "hint: egressctl --help",
            file=sys.stderr,
        )
        return 2
    except EgressctlError as failure:
        from egressctl.cli.console import tell_failure

        tell_failure(failure)
        return failure.exit_code
    except Interrupted as stop:
        return stop.exit_code
    except KeyboardInterrupt:
        return 130
    return int(code or 0)


def _app(wanted: str) -> Typer:
    """Build the application: the wanted command whole, the others as lines of the help."""
    import typer

    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        epilog=_EPILOG,
        help="Open an egress from an Istio mesh, prove which Envoy cluster carried it, close it again, and prove it closed.",
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    )

    @app.callback()
    def _top(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
        if version:
            print(f"egressctl {__version__}")
            raise typer.Exit

    for name, module, text in COMMANDS:
        if name == wanted:
            importlib.import_module(f"egressctl.cli.{module}").register(app, name, text)
        else:
            app.command(name, help=text)(_elsewhere)
    return app


def _elsewhere() -> None:
    """Stand for a command in the help; the command itself is registered when it is asked for."""
