"""`egressctl snapshot`: save the ServiceEntries of a Kubernetes cluster, and related objects, to a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from egressctl.cli.console import say
from egressctl.cli.options import ConnectionFlags, OutputFlags, spread_flags
from egressctl.cli.session import Session
from egressctl.report.data_text import data_text
from egressctl.runtime.sanitize import neutralise

if TYPE_CHECKING:
    from egressctl.mesh.snapshot.take import SavedSnapshot


@spread_flags
def command(
    folder: Annotated[str, typer.Argument(metavar="FOLDER", show_default=False)],
    *,
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """Save the ServiceEntries, Sidecars, VirtualServices, DestinationRules and Services' addresses to a folder, for Git.

    A check in a pull request then needs no rights on the Kubernetes cluster: egressctl lint FILES --against FOLDER. Only the
    fields that decide where traffic goes are saved: no secret, no header of a route, no annotation of other tools. A file
    changes only if its object does. The folder must be empty, new, or an earlier snapshot.

    \b
    Examples:
      egressctl snapshot snapshot
      egressctl snapshot snapshot --context production && git add snapshot
      egressctl lint manifests --against snapshot
    """
    from egressctl.mesh.snapshot.take import take_snapshot  # imported late: 48 ms
    from egressctl.runtime.signals import Interrupts

    session = Session("snapshot", connection, output)
    with Interrupts() as interrupts:
        taken = take_snapshot(session.mesh, folder, session.namespace, session.progress, interrupts)
    session.warn(taken.not_read)
    if taken.hint and not output.quiet:
        say("hint: " + neutralise(taken.hint))
    return session.end(lambda form, _: _text(folder, taken, form, whole=output.verbosity > 0))


def _text(folder: str, taken: SavedSnapshot, form: str, *, whole: bool) -> str:
    lists = (("added", taken.added), ("changed", taken.changed), ("removed", taken.removed))
    if form in ("json", "yaml"):
        from egressctl.manifests.yaml_reader import parse_yaml  # imported late: 16 ms

        about = parse_yaml(taken.about, "snapshot.yaml").documents[0].value
        return data_text({**about, **dict(lists)}, form)
    if form == "name":
        return "".join(f"{neutralise(path)}\n" for _, paths in lists for path in paths)
    lines = [f"{word:<7}  {path}" for word, paths in lists for path in paths if whole]
    counts = ", ".join(f"{len(paths)} {word}" for word, paths in lists)
    lines.append(f"{folder}: {taken.objects} object{'s' * (taken.objects != 1)} ({counts})")
    return "".join(f"{neutralise(line)}\n" for line in lines)
