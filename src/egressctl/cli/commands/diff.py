"""`egressctl diff`: what `create` would change on the Kubernetes cluster."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from egressctl.cli.console import print_failure, say
from egressctl.cli.options import ConnectionFlags, OutputFlags, TargetFlags, TargetNames, spread_flags
from egressctl.cli.session import Session
from egressctl.errors import Conflict
from egressctl.runtime.sanitize import neutralise

if TYPE_CHECKING:
    from egressctl.manifests.diff_text import EntryDifference

_EXIT_REFUSED = 2
"""The exit code of a refusal for ownership or conflict, which is 1 elsewhere: here that says that there is a difference."""


@spread_flags
def command(
    names: TargetNames = None,
    field_manager: Annotated[str, typer.Option("--field-manager", metavar="NAME", help="[default: egressctl]")] = "",
    force_conflicts: Annotated[
        bool, typer.Option("--force-conflicts", help="As if fields of other managers were taken over.")
    ] = False,
    *,
    target: TargetFlags,
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """Show what create would change, as a unified diff, by server-side dry run.

    It takes the same targets as create, and changes nothing. The exit codes are kubectl's: 0, no difference; 1, a difference;
    above 1, an error. KUBECTL_EXTERNAL_DIFF names another program, which gets two folders, as kubectl gives them.

    \b
    Examples:
      egressctl diff wikipedia
      egressctl diff -f targets.yaml -n shop
      egressctl diff wikipedia --export-to . -o name
      KUBECTL_EXTERNAL_DIFF="colordiff -N -u" egressctl diff wikipedia
    """
    from egressctl.cli.targets import export_namespaces, requested_targets  # imported late: 52 ms
    from egressctl.lifecycle.diff import diff
    from egressctl.lifecycle.plan import CreateOptions
    from egressctl.report.diff_formats import diff_content

    session = Session("diff", connection, output)
    targets = requested_targets(names or [], target)
    options = CreateOptions(
        namespace=session.namespace,
        run_id=session.run_id,
        export_to=export_namespaces(target),
        field_manager=field_manager,
        force_conflicts=force_conflicts,
    )
    session.progress.step("asking the API server what would become of it")
    try:
        found = diff(session.mesh, targets, options)
    except Conflict as refused:
        session.progress.stop()
        print_failure(refused)
        return _EXIT_REFUSED
    code = int(any(each.changed for each in found))
    external = os.environ.get("KUBECTL_EXTERNAL_DIFF") if output.shown == "table" else None
    if not external:
        return session.end(partial(diff_content, found), code)
    session.warn()
    return session.publish(partial(diff_content, found), _run_external_diff(external, found))


def _run_external_diff(external: str, found: list[EntryDifference]) -> int:
    from egressctl.cli import external_diff  # imported late: 25 ms
    from egressctl.runtime.signals import Interrupts

    wanted = external_diff.parse_program(external)
    if wanted.left_out:
        told = neutralise(" ".join(wanted.left_out))
        say(f"warning: {external_diff.VARIABLE}: {told}: left out, as kubectl takes letters, digits, - and = only")
    with Interrupts() as interrupts:
        return external_diff.run_program(wanted, found, interrupts)
