"""`egressctl run`: create, verify and clean up as one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from egressctl.cli.options import (
    ApplyFlags,
    ConnectionFlags,
    OutputFlags,
    ProbeFlags,
    Retries,
    SourceFlags,
    TargetFlags,
    WaitFlags,
    parse_expected_verdict,
    spread_flags,
)
from egressctl.cli.session import Session, run_session, source_choice

_HELP = """Create a target's ServiceEntry, verify it, and clean it up: the whole task as one step of CI.

The entry is exported to its own namespace only, and removed on failure, Ctrl-C and SIGTERM as well.

\b
Examples:
  egressctl run wikipedia
  egressctl run wikipedia -o json
  egressctl run -f targets.yaml --with-source
  egressctl run wikipedia --keep
"""

OWN_NAMESPACE = (".",)
"""exportTo of a test on a living mesh: nobody else's traffic is to change."""


def register(app: typer.Typer, name: str, short: str) -> None:
    """Add the command to the application."""
    app.command(name, help=_HELP, short_help=short)(run)


@spread_flags
def run(
    names: Annotated[list[str] | None, typer.Argument(metavar="TARGET", show_default=False)] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the entries where they are.")] = False,
    expect: Annotated[
        str, typer.Option("--expect", metavar="VERDICT", help="Verdict that every probe should have. [default: the probe's own]")
    ] = "",
    retries: Retries = 0,
    *,
    target: TargetFlags,
    apply: ApplyFlags,
    probing: ProbeFlags,
    wait: WaitFlags,
    source: SourceFlags,
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """Translate flags into egressctl.lifecycle.run.run."""
    from egressctl.cli.targets import export_namespaces, requested_targets

    expected = parse_expected_verdict(expect)
    session = Session("run", connection, output, formats=output.REPORTS, allow_unproven=probing.allow_unproven)

    def work(interrupts: Any) -> list[int]:
        targets = requested_targets(names or [], target)
        session.remember_origins(targets)
        from egressctl.lifecycle.cleanup import CleanupOptions
        from egressctl.lifecycle.plan import CreateOptions
        from egressctl.lifecycle.run import run as use_case
        from egressctl.mesh import curl
        from egressctl.verify.verify import ProbeOptions

        limits = curl.TransferLimits(total=probing.probe_timeout)
        choice = source_choice(source)
        how = CreateOptions(
            namespace=session.namespace,
            run_id=session.run_id,
            choice=choice,
            export_to=export_namespaces(target) or OWN_NAMESPACE,
            field_manager=apply.field_manager,
            force_conflicts=apply.force_conflicts,
            wait=wait.wait,
            timeout=wait.timeout,
            with_source=apply.with_source,
        )
        removal = CleanupOptions(namespace=session.namespace, choice=choice, wait=wait.wait, timeout=wait.timeout, limits=limits)
        done = use_case(
            session.mesh,
            targets,
            how,
            ProbeOptions(limits, retries, expected),
            removal,
            keep=keep,
            progress=session.progress,
            interrupts=interrupts,
        )
        session.targets = done.targets
        session.print_repeat_commands(done.targets, limits)
        if done.removed is not None:
            for warning in done.removed.warnings:
                session.progress.warn(warning)
            if done.removed.unasked is not None:
                raise done.removed.unasked
        return []

    return run_session(session, work)
