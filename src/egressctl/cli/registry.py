"""The commands, by name: each with its module and its line of `egressctl --help`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typer import Typer


# Name, module, and the line of `egressctl --help`. A module is imported only when its command is asked for.
COMMANDS: tuple[tuple[str, str, str], ...] = (
    ("create", "create", "Create a target's ServiceEntry, and wait until the sidecar has it."),
    ("verify", "verify", "Send test requests, and prove which Envoy cluster sent them on."),
    ("cleanup", "cleanup", "Delete what egressctl made, and prove that the egress is closed."),
    ("run", "run", "Create, verify and clean up in one command, for CI."),
    ("explain", "explain", "Show the path of a URL step by step, without sending a request."),
    ("lint", "lint", "Find mistakes and conflicts in ServiceEntries before you apply them."),
    ("rule", "rule", "Explain a rule of lint, and how to fix what it finds."),
    ("cause", "cause", "Explain the cause of a verdict, and what to type next."),
    ("diff", "diff", "Show what create would change, with kubectl's exit codes."),
    ("snapshot", "snapshot", "Save ServiceEntries and related objects to a folder, for checks in CI."),
    ("compare", "compare", "Compare two reports by the path of each probe."),
    ("render", "render", "Print a target's ServiceEntry, for GitOps."),
    ("catalog", "catalog", "List the targets that egressctl knows, and keep them up to date."),
    ("list", "list", "List the ServiceEntries that egressctl made."),
    ("doctor", "doctor", "Find what is missing for a proof, and show what to type."),
    ("rbac", "rbac", "Print the smallest Role that the commands need."),
    ("demo", "demo", "Show the whole task on a local lab with a real Envoy."),
    ("lab", "lab", "Start, inspect and stop the local lab."),
    ("completion", "completion", "Print the script that completes commands in your shell."),
    ("version", "version", "Print the version."),
)


def build_app(name: str, module: str, text: str) -> Typer:
    """Build an application of the one command that is asked for."""
    import typer  # imported late: 32 ms

    from egressctl.cli.help_text import GroupedCommand

    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    )
    app.callback()(_group)
    found = importlib.import_module(f"egressctl.cli.commands.{module}")
    if hasattr(found, "register"):  # a group of commands
        found.register(app, name, text)
    else:
        app.command(name, short_help=text, cls=GroupedCommand)(found.command)
    return app


def _group() -> None:
    """Make typer keep the command's name although it is the only one."""
