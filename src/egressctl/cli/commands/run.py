"""`egressctl run`: create, verify and clean up as one."""

from __future__ import annotations

from typing import Annotated

import typer

from egressctl.cli.options import (
    ApplyFlags,
    ConnectionFlags,
    Expect,
    OutputFlags,
    ProbeFlags,
    Retries,
    SourceFlags,
    TargetFlags,
    TargetNames,
    WaitFlags,
    parse_expected_verdict,
    spread_flags,
)
from egressctl.cli.report_session import ReportSession, say_how_to_repeat

OWN_NAMESPACE = (".",)
"""exportTo of a test on a living mesh: nobody else's traffic is to change."""


@spread_flags
def command(
    names: TargetNames = None,
    keep: Annotated[bool, typer.Option("--keep", help="Do not delete the entries.")] = False,
    expect: Expect = "",
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
    """Create a target's ServiceEntry, verify it, and delete it: the whole task as one step of CI.

    The entry is exported to its own namespace only. It is also deleted on failure, Ctrl-C and SIGTERM.

    \b
    Examples:
      egressctl run wikipedia
      egressctl run wikipedia -o json
      egressctl run -f targets.yaml --with-source
      egressctl run wikipedia --keep
    """
    expected = parse_expected_verdict(expect)
    session = ReportSession("run", connection, output, allow_unproven=probing.allow_unproven)

    def work() -> None:
        from egressctl.cli.targets import create_options, requested_targets  # imported late: 20 ms

        targets = requested_targets(names or [], target)
        session.remember_origins(targets)
        from egressctl.lifecycle.ahead import ask_ahead  # imported late: 33 ms

        may_undo = ask_ahead(session.mesh, targets, session.namespace)
        from egressctl.lifecycle.cleanup import CleanupOptions  # imported late: 58 ms
        from egressctl.lifecycle.run import run
        from egressctl.mesh.curl import TransferLimits
        from egressctl.verify.verify import ProbeOptions

        limits = TransferLimits(total=probing.probe_timeout)
        creation = create_options(session, target, apply, wait, source)
        session.targets, unasked = run(
            session.mesh,
            targets,
            creation._replace(export_to=creation.export_to or OWN_NAMESPACE),
            ProbeOptions(limits, retries, expected),
            CleanupOptions(wait=wait.wait, timeout=wait.timeout, limits=limits),
            may_undo=may_undo,
            keep=keep,
            progress=session.progress,
            interrupts=session.interrupts,
        )
        if keep:
            session.interrupts.commit()
        say_how_to_repeat(session, session.targets, limits)
        if unasked is not None:
            raise unasked

    return session.run(work)
