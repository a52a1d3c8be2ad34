"""`egressctl create`: apply ServiceEntries and wait until the sidecar has them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from egressctl.cli.options import ApplyFlags, ConnectionFlags, OutputFlags, SourceFlags, TargetFlags, WaitFlags, spread_flags
from egressctl.cli.session import Session, run_session, source_choice
from egressctl.errors import InvalidInput

DRY_RUN_MODES = ("none", "client", "server")

_HELP = """Apply a target's ServiceEntry and wait until the source pod's sidecar has every filter chain of it.

\b
Examples:
  egressctl create wikipedia
  egressctl create wikipedia --export-to . -n shop
  egressctl create mirror --host mirror.example --address 192.0.2.0/24 --port 443
  egressctl create -f targets.yaml --dry-run=server
  egressctl create wikipedia --with-source
"""


def register(app: typer.Typer, name: str, short: str) -> None:
    """Add the command to the application."""
    app.command(name, help=_HELP, short_help=short)(create)


@spread_flags
def create(
    names: Annotated[list[str] | None, typer.Argument(metavar="TARGET", show_default=False)] = None,
    dry_run: Annotated[
        str, typer.Option("--dry-run", metavar="none|client|server", help="Only say what would be done.")
    ] = "none",
    api_version: Annotated[str, typer.Option("--api-version", metavar="GROUP/VERSION", help="[default: newest served]")] = "",
    *,
    target: TargetFlags,
    apply: ApplyFlags,
    wait: WaitFlags,
    source: SourceFlags,
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """Translate flags into egressctl.lifecycle.create.create."""
    from egressctl.cli.targets import export_namespaces, requested_targets

    if dry_run not in DRY_RUN_MODES:
        raise InvalidInput(f"--dry-run {dry_run}: no such mode", hint="one of " + ", ".join(DRY_RUN_MODES))
    session = Session("create", connection, output, formats=output.REPORTS)

    def work(interrupts: Any) -> None:
        targets = requested_targets(names or [], target)
        session.remember_origins(targets)
        from egressctl.lifecycle.create import create as use_case
        from egressctl.lifecycle.plan import CreateOptions

        how = CreateOptions(
            namespace=session.namespace,
            run_id=session.run_id,
            choice=source_choice(source),
            export_to=export_namespaces(target),
            api_version=api_version,
            field_manager=apply.field_manager,
            force_conflicts=apply.force_conflicts,
            dry_run=dry_run,
            wait=wait.wait,
            timeout=wait.timeout,
            with_source=apply.with_source,
        )
        done = use_case(session.mesh, targets, how, session.progress, interrupts)
        session.targets = done.results()
        if dry_run != "none":
            # kubectl's idiom: --dry-run=client -o yaml prints what would be applied.
            session.print_instead([created.manifest for created in done.created])

    return run_session(session, work)
