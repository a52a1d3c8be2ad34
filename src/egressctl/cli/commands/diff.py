"""`egressctl diff`: what `create` would change on the Kubernetes cluster."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from egressctl.cli import session as sessions
from egressctl.cli.console import print_lines, tell_failure
from egressctl.cli.options import Connection, Output, TargetFlags, flat
from egressctl.errors import Conflict
from egressctl.runtime.sanitize import neutralise

if TYPE_CHECKING:
    from egressctl.manifests.diff_text import Difference

_HELP = """Show what create would change, by server-side dry run: a unified diff of what is there and what would be there.

Takes targets as create does, and changes nothing. The exit codes are kubectl's: 0, there is no difference; 1, there is one;
above 1, it could not be told. KUBECTL_EXTERNAL_DIFF names another program, which is given two folders as kubectl gives them.

\b
Examples:
  egressctl diff wikipedia
  egressctl diff -f targets.yaml -n shop
  egressctl diff wikipedia --export-to . -o name
  KUBECTL_EXTERNAL_DIFF="colordiff -N -u" egressctl diff wikipedia
"""

_REFUSED = 2
"""The exit code of a refusal for ownership or conflict, which is 1 elsewhere: here that says that there is a difference."""


def register(app: typer.Typer, name: str, short: str) -> None:
    """Add the command to the application."""
    app.command(name, help=_HELP, short_help=short)(diff)


@flat
def diff(
    names: Annotated[list[str] | None, typer.Argument(metavar="TARGET", show_default=False)] = None,
    field_manager: Annotated[str, typer.Option("--field-manager", metavar="NAME", help="[default: egressctl]")] = "",
    force_conflicts: Annotated[
        bool, typer.Option("--force-conflicts", help="As if fields were taken over from other managers.")
    ] = False,
    *,
    target: TargetFlags,
    connection: Connection,
    output: Output,
) -> int:
    """Translate flags into egressctl.lifecycle.diff.diff."""
    from egressctl.cli.targets import scopes, wanted_targets
    from egressctl.lifecycle.diff import diff as use_case
    from egressctl.lifecycle.plan import How

    session = sessions.Session("diff", connection, output)
    output.to_stdout("diff")
    targets = wanted_targets(names or [], target)
    how = How(
        namespace=session.namespace,
        run_id=session.run_id,
        export_to=scopes(target),
        field_manager=field_manager,
        force_conflicts=force_conflicts,
    )
    session.progress.step("asking the API server what would become of it")
    try:
        found = use_case(session.mesh, targets, how)
    except Conflict as refused:
        session.progress.stop()
        tell_failure(refused)
        return _REFUSED
    session.progress.stop()
    for warning in session.mesh.api.warnings:
        session.progress.warn(warning)
    return _show(found, session.output)


def _show(found: list[Difference], output: Output) -> int:
    from egressctl.report.differences import document, lines

    code = int(any(each.changed for each in found))
    if output.shown in ("json", "yaml"):
        sessions.print_data(document(found, code), output.shown)
    elif output.shown == "name":
        for each in found:
            if each.changed:
                print(f"serviceentry.networking.istio.io/{neutralise(each.either['metadata']['name'])}")
    elif external := os.environ.get("KUBECTL_EXTERNAL_DIFF"):
        return _run(external, found)
    else:
        print_lines(lines(found))
    return code


def _run(external: str, found: list[Difference]) -> int:
    from egressctl.cli import external_diff
    from egressctl.cli.console import say
    from egressctl.runtime.signals import Interrupts

    wanted = external_diff.program(external)
    if wanted.left_out:
        told = neutralise(" ".join(wanted.left_out))
        say(f"warning: {external_diff.VARIABLE}: {told}: left out, as kubectl takes letters, digits, - and = only")
    sys.stdout.flush()
    with Interrupts() as interrupts:
        return external_diff.run(wanted, found, interrupts)
