"""From the command line's words and flags to targets, of the catalogue, files or flags, and to how they are created."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from egressctl.catalog import lookup
from egressctl.cli.options import ApplyFlags, SourceFlags, TargetFlags, WaitFlags, catalog_folders
from egressctl.errors import InvalidInput, Problem
from egressctl.manifests.egress_target import read_target_file
from egressctl.model.probe import Target

if TYPE_CHECKING:
    from egressctl.cli.session import Session
    from egressctl.lifecycle.plan import CreateOptions


def requested_targets(names: Sequence[str], flags: TargetFlags) -> list[Target]:
    """Return the targets that are meant. Raises InvalidInput with all problems of all files, or of the flags."""
    made_of = [flag for flag, value in (("--host", flags.host), ("--address", flags.address), ("--port", flags.port)) if value]
    if flags.filename:
        if made_of or names:
            raise InvalidInput(f"--filename and {(names or made_of)[0]}: name targets in one way only")
        return _targets_from_files(flags)
    if made_of:
        if len(names) != 1:
            raise InvalidInput(f"{made_of[0]} makes a new target and needs its one name", hint="egressctl create NAME --host ...")
        from egressctl.catalog.targets import target_from_flags  # imported late: 5 ms

        chosen = {key: value for key, value in (("resolution", flags.resolution), ("location", flags.location)) if value}
        target = target_from_flags(
            names[0],
            hosts=flags.host,
            addresses=flags.address,
            ports=flags.port,
            export_to=flags.export_to,
            probes=flags.probe,
            any_address=flags.any_address,
            allow_internal=flags.allow_internal,
            **chosen,
        )
        return [target]
    if not names:
        raise InvalidInput(
            "no target is named", hint="such as wikipedia, or another of egressctl catalog list; -f FILE; or NAME --host ..."
        )
    folders = catalog_folders(flags.catalog)
    return [lookup.get_target(name, folders) for name in names]


def _targets_from_files(flags: TargetFlags) -> list[Target]:
    from egressctl.catalog.targets import load_targets  # imported late: 5 ms

    targets: list[Target] = []
    problems: list[Problem] = []
    for name in flags.filename:
        try:
            targets += load_targets(
                read_target_file(name),
                "standard input" if name == "-" else name,
                any_address=flags.any_address,
                allow_internal=flags.allow_internal,
            )
        except InvalidInput as refused:
            if len(flags.filename) == 1:
                raise
            problems += refused.problems
    if problems:
        raise InvalidInput(problems=problems)
    return targets


def export_namespaces(flags: TargetFlags) -> tuple[str, ...]:
    """Return --export-to's namespaces, given repeatedly or with commas."""
    return tuple(part for text in flags.export_to for part in text.split(",") if part)


def create_options(
    session: Session, target: TargetFlags, apply: ApplyFlags, wait: WaitFlags, source: SourceFlags
) -> CreateOptions:
    """Return the flags of a command that creates as its use case takes them."""
    from egressctl.lifecycle.plan import CreateOptions  # imported late: 31 ms

    return CreateOptions(
        namespace=session.namespace,
        run_id=session.run_id,
        choice=source.choice,
        export_to=export_namespaces(target),
        field_manager=apply.field_manager,
        force_conflicts=apply.force_conflicts,
        wait=wait.wait,
        timeout=wait.timeout,
        with_source=apply.with_source,
    )
