"""From the command line's words and flags to targets, of the catalogue, files or flags, and to how they are created."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from egressctl.catalog import lookup
from egressctl.cli.options import ApplyFlags, SourceFlags, TargetFlags, WaitFlags, catalog_folders
from egressctl.errors import InvalidInput, Problem
from egressctl.manifests.egress_target import read_target_file
from egressctl.manifests.typed_host import is_file_word, read_typed_host
from egressctl.model.probe import Target
from egressctl.runtime.sanitize import quote

if TYPE_CHECKING:
    from egressctl.cli.session import Session
    from egressctl.lifecycle.plan import CreateOptions


def requested_targets(names: Sequence[str], flags: TargetFlags, *, only_read: bool = False) -> list[Target]:
    """Return the targets that are meant: those of the catalogue, of hosts that are typed, of files, or of flags.

    `only_read` takes of files whatever can be read.

    Raises InvalidInput with all problems of all files, or of the flags.
    """
    made_of = [flag for flag, value in (("--host", flags.host), ("--address", flags.address), ("--port", flags.port)) if value]
    if flags.filename:
        if made_of or names:
            raise InvalidInput(f"--filename and {(names or made_of)[0]}: name targets in one way only")
        return _targets_from_files(flags, only_read=only_read)
    if made_of:
        if len(names) != 1:
            raise InvalidInput(f"{made_of[0]} makes a new target and needs its one name", hint="egressctl create NAME --host ...")
        from egressctl.catalog.targets import target_from_flags  # imported late: 5 ms

        name, hosts, chosen = names[0], flags.host, _chosen(flags)
        if typed := None if hosts else read_typed_host(names[0]):
            name, hosts = typed.target_name, [typed.host]
            chosen = {"resolution": "NONE" if flags.address or typed.host.startswith("*") else "DNS", **chosen}
        target = target_from_flags(
            name,
            hosts=hosts,
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
            "no target is named",
            hint="a host, such as api.example.com:443; a name of egressctl catalog list (wikipedia); -f FILE",
        )
    return [target for name in dict.fromkeys(names) for target in _targets_of_word(name, flags)]


def _chosen(flags: TargetFlags) -> dict[str, str]:
    return {key: value for key, value in (("resolution", flags.resolution), ("location", flags.location)) if value}


def _targets_of_word(word: str, flags: TargetFlags) -> list[Target]:
    """Return what a word means: a target of the catalogue, else a host, else a file. Raises InvalidInput."""
    folders = catalog_folders(flags.catalog)
    if lookup.has_name(word, folders):
        return [lookup.get_target(word, folders)]
    if typed := read_typed_host(word):
        from egressctl.catalog.targets import target_from_host  # imported late: 5 ms

        if chosen := _chosen(flags):
            flag, value = next(iter(chosen.items()))
            raise InvalidInput(
                f"--{flag} goes with the flags that make a target",
                hint=f"egressctl create {quote(typed.target_name)} --host {quote(typed.host)} --port {typed.known_port}/PROTOCOL "
                f"--{flag} {quote(value)}",
            )
        return [
            target_from_host(
                typed,
                export_to=flags.export_to,
                probes=flags.probe,
                any_address=flags.any_address,
                allow_internal=flags.allow_internal,
            )
        ]
    if is_file_word(word):
        return _targets_from_files(replace(flags, filename=[word]), only_read=False)
    return [lookup.get_target(word, folders)]


def known_in_catalog(names: Sequence[str], flags: TargetFlags) -> list[str]:
    """Say of each host that was typed in which targets the catalogue has it, in a sentence with the line to type."""
    told = []
    folders = catalog_folders(flags.catalog)
    for word in () if flags.filename else names:
        if not lookup.has_name(word, folders) and (typed := read_typed_host(word)):
            told += [
                f"the catalogue has {typed.host} in its target {name}: egressctl create {quote(name)}"
                for name in lookup.targets_with_host(typed.host, folders)
            ]
    return told


def _targets_from_files(flags: TargetFlags, *, only_read: bool) -> list[Target]:
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
                only_read=only_read,
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
        accept_dangers=apply.yes,
    )
