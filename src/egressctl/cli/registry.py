"""The commands, by name: each with its module and its line of `egressctl --help`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typer import Typer


# Name, module, and the line of `egressctl --help`. A module is imported only when its command is asked for.
COMMANDS: tuple[tuple[str, str, str], ...] = (
    ("create", "create", "Apply a target's ServiceEntry and wait until the sidecar has it."),
    ("verify", "verify", "Prove which Envoy cluster carries a target's probes."),
    ("cleanup", "cleanup", "Remove what egressctl made, and prove it closed."),
    ("run", "run", "Create, verify and clean up as one, for CI."),
    ("explain", "explain", "Tell the way of a URL station by station, without sending anything."),
    ("lint", "lint", "Say what may keep a ServiceEntry from carrying, before it is applied."),
    ("rule", "rule", "Say what a rule of lint means, and how to fix what it finds."),
    ("cause", "cause", "Say what the cause of a verdict means, and what to type next."),
    ("diff", "diff", "Show what create would change, with kubectl's exit codes."),
    ("snapshot", "snapshot", "Save what stands around ServiceEntries to a folder, for a gate."),
    ("compare", "compare", "Compare two reports by what carried each probe."),
    ("render", "render", "Print a target's ServiceEntry, for GitOps."),
    ("catalog", "catalog", "List the targets that egressctl knows, and keep them up to date."),
    ("list", "list", "List what egressctl made."),
    ("doctor", "doctor", "Say what is missing on the way to a proof, and what to type."),
    ("rbac", "rbac", "Print the least Role that the commands need."),
    ("demo", "demo", "Show the whole task on a local lab with a real Envoy."),
    ("lab", "lab", "Start, inspect and stop the local lab."),
    ("completion", "completion", "Print what a shell must load to complete the command line."),
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
