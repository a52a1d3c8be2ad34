"""`egressctl snapshot`: save what stands around the ServiceEntries of a Kubernetes cluster to a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from egressctl.cli.console import say
from egressctl.cli.options import ConnectionFlags, OutputFlags, spread_flags
from egressctl.cli.session import Session, print_data
from egressctl.runtime.sanitize import neutralise

if TYPE_CHECKING:
    from egressctl.mesh.snapshot.take import SavedSnapshot

_HELP = """Save the ServiceEntries, Sidecars, VirtualServices, DestinationRules and Services' addresses to a folder, for Git.

A gate in a pull request then needs no rights in the Kubernetes cluster: egressctl lint FILES --against FOLDER. Of each
object only the fields that decide where traffic goes are saved: no secret, no header of a route, no annotation of others.
A file changes only where its object does. The folder is to be empty, not there, or one of an earlier snapshot.

\b
Examples:
  egressctl snapshot snapshot
  egressctl snapshot snapshot --context production && git add snapshot
  egressctl lint manifests --against snapshot
"""


def register(app: typer.Typer, name: str, short: str) -> None:
    """Add the command to the application."""
    app.command(name, help=_HELP, short_help=short)(snapshot)


@spread_flags
def snapshot(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", show_default=False)],
    *,
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """Translate flags into egressctl.mesh.snapshot.take.take_snapshot."""
    from egressctl.mesh.snapshot.take import take_snapshot
    from egressctl.runtime.signals import Interrupts

    session = Session("snapshot", connection, output)
    output.refuse_files("snapshot")
    with Interrupts() as interrupts:
        taken = take_snapshot(session.mesh, folder, session.namespace, session.progress, interrupts)
    session.progress.stop()
    for warning in (*session.mesh.api.warnings, *taken.not_read):
        session.progress.warn(warning)
    if taken.hint and not session.output.quiet:
        say("hint: " + neutralise(taken.hint))
    _print(folder, taken, session.output)
    return 0


def _print(folder: str, taken: SavedSnapshot, output: OutputFlags) -> None:
    lists = (("added", taken.added), ("changed", taken.changed), ("removed", taken.removed))
    if output.shown in ("json", "yaml"):
        print_data({**_about(taken), **dict(lists)}, output.shown)
        return
    for word, paths in lists if output.shown == "name" or output.verbosity else ():
        for path in paths:
            print(neutralise(path if output.shown == "name" else f"{word:<7}  {path}"))
    if output.shown == "table":
        counts = ", ".join(f"{len(paths)} {word}" for word, paths in lists)
        print(neutralise(f"{folder}: {taken.objects} object{'s' * (taken.objects != 1)} ({counts})"))


def _about(taken: SavedSnapshot) -> dict[str, Any]:
    from egressctl.manifests.yaml_reader import parse_yaml

    return dict(parse_yaml(taken.about, "snapshot.yaml").documents[0].value)
