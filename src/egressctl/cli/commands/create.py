"""`egressctl create`: apply ServiceEntries and wait until the sidecar has them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from egressctl.cli.options import (
    ApplyFlags,
    ConnectionFlags,
    DryRun,
    OutputFlags,
    SourceFlags,
    TargetFlags,
    TargetNames,
    WaitFlags,
    spread_flags,
)
from egressctl.cli.report_session import ReportSession
from egressctl.report.data_text import one_or_list


@spread_flags
def command(
    names: TargetNames = None,
    dry_run: DryRun = "none",
    api_version: Annotated[
        str,
        typer.Option("--api-version", metavar="GROUP/VERSION", help="[default: newest served]", rich_help_panel="Apply"),
    ] = "",
    *,
    target: TargetFlags,
    apply: ApplyFlags,
    wait: WaitFlags,
    source: SourceFlags,
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """Create a target's ServiceEntry, and wait until the source pod's sidecar has all its filter chains.

    \b
    Examples:
      egressctl create wikipedia
      egressctl create api.example.com -n shop
      egressctl create db.example.com:5432/TCP
      egressctl create wikipedia --export-to '*'
      egressctl create mirror --host mirror.example --address 192.0.2.0/24 --port 443
      egressctl create -f targets.yaml --dry-run=server
      egressctl create wikipedia --with-source
    """
    session = ReportSession("create", connection, output)

    def work() -> Any:
        from egressctl.cli.targets import create_options, known_in_catalog, requested_targets  # imported late: 19 ms

        targets = requested_targets(names or [], target)
        session.remember_origins(targets)
        for told in known_in_catalog(names or [], target):
            session.progress.step(told)
        from egressctl.lifecycle.create import create  # imported late: 45 ms

        options = create_options(session, target, apply, wait, source)
        options = options._replace(api_version=api_version, dry_run=dry_run)
        done = create(session.mesh, targets, options, session.progress, session.interrupts)
        session.interrupts.commit()
        session.targets = done.results()
        # kubectl's idiom: --dry-run=client -o yaml prints what would be applied.
        return one_or_list([created.manifest for created in done.created]) if dry_run != "none" else None

    return session.run(work)
