"""`egressctl cleanup`: remove what egressctl made, and prove it closed."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from egressctl.cli.options import ConnectionFlags, OutputFlags, ProbeFlags, SourceFlags, WaitFlags, spread_flags
from egressctl.cli.session import Session, run_session, source_choice
from egressctl.errors import InvalidInput

_HELP = """Remove what egressctl made, wait until the API and the sidecar have let it go, and prove the egress closed.

Without a name, the only target of the namespace is removed; where there are several, name one or say --all.

\b
Examples:
  egressctl cleanup
  egressctl cleanup wikipedia
  egressctl cleanup --all -n shop
  egressctl cleanup --all -A --yes
"""


def register(app: typer.Typer, name: str, short: str) -> None:
    """Add the command to the application."""
    app.command(name, help=_HELP, short_help=short)(cleanup)


@spread_flags
def cleanup(
    names: Annotated[list[str] | None, typer.Argument(metavar="TARGET", show_default=False)] = None,
    all_of_them: Annotated[bool, typer.Option("--all", help="Remove every target of the namespace.")] = False,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="With --all: of every namespace.")] = False,
    verify: Annotated[bool, typer.Option("--verify/--no-verify", help="Prove that the egress is closed.")] = True,
    dry_run: Annotated[
        str, typer.Option("--dry-run", metavar="none|client|server", help="Only say what would be done.")
    ] = "none",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before several are removed.")] = False,
    *,
    probing: ProbeFlags,
    wait: WaitFlags,
    source: SourceFlags,
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """Translate flags into egressctl.lifecycle.cleanup."""
    from egressctl.cli.commands.create import DRY_RUN_MODES

    if dry_run not in DRY_RUN_MODES:
        raise InvalidInput(f"--dry-run {dry_run}: no such mode", hint="one of " + ", ".join(DRY_RUN_MODES))
    if all_namespaces and (names or not all_of_them):
        raise InvalidInput("--all-namespaces goes with --all", hint="egressctl cleanup --all -A")
    session = Session("cleanup", connection, output, formats=output.REPORTS, allow_unproven=probing.allow_unproven)

    def work(_: Any) -> list[int]:
        from egressctl.catalog.lookup import kubernetes_name
        from egressctl.lifecycle.cleanup import CleanupOptions, choose_entries, clean_up, target_names
        from egressctl.mesh import curl

        how = CleanupOptions(
            namespace=None if all_namespaces else session.namespace,
            names=tuple(map(kubernetes_name, names or ())),
            everything=all_of_them,
            choice=source_choice(source),
            verify=verify and dry_run == "none",
            wait=wait.wait,
            timeout=wait.timeout,
            dry_run=dry_run,
            limits=curl.TransferLimits(total=probing.probe_timeout),
        )
        manifests, absent = choose_entries(session.mesh, how)
        for name in absent:
            session.progress.result(f"target {name}: nothing of it is there")
        if not manifests and not absent:
            session.progress.result(
                f"egressctl made nothing in {'any namespace' if all_namespaces else 'namespace ' + session.namespace}"
            )
        _confirm(session, len(manifests), target_names(manifests), yes or dry_run != "none")
        done = clean_up(session.mesh, manifests, how, session.progress)
        session.targets = done.targets
        session.print_repeat_commands(done.targets, how.limits)
        for warning in done.warnings:
            session.progress.warn(warning)
        if done.unasked is not None:
            raise done.unasked
        return []

    return run_session(session, work)


def _confirm(session: Session, count: int, targets: list[str], agreed: bool) -> None:
    """Ask before several targets go, at a terminal only. Raises InvalidInput where the answer is no."""
    if len(targets) < 2 or agreed or not sys.stdin.isatty():
        return
    session.progress.stop()
    print(f"remove {count} ServiceEntries ({', '.join(targets)})? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InvalidInput("nothing was removed", hint="--yes removes without asking")
