"""`egressctl cleanup`: remove what egressctl made, and prove it closed."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from egressctl.cli.options import (
    CatalogFolders,
    ConnectionFlags,
    DryRun,
    OutputFlags,
    ProbeFlags,
    SourceFlags,
    TargetNames,
    WaitFlags,
    catalog_folders,
    spread_flags,
)
from egressctl.cli.report_session import ReportSession, say_how_to_repeat
from egressctl.errors import InvalidInput
from egressctl.runtime.sanitize import quote


@spread_flags
def command(
    names: TargetNames = None,
    all_of_them: Annotated[bool, typer.Option("--all", help="Delete every target of the namespace.")] = False,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="With --all: of every namespace.")] = False,
    verify: Annotated[bool, typer.Option("--verify/--no-verify", help="Prove that the egress is closed.")] = True,
    dry_run: DryRun = "none",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before several targets are deleted.")] = False,
    filename: Annotated[
        list[str] | None, typer.Option("--filename", "-f", metavar="FILE", help="Delete the targets of a file; - is stdin.")
    ] = None,
    folders: CatalogFolders = None,
    ignore_not_found: Annotated[
        bool, typer.Option("--ignore-not-found", help="Succeed also when a name does not exist.")
    ] = False,
    *,
    probing: ProbeFlags,
    wait: WaitFlags,
    source: SourceFlags,
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """Delete what egressctl made, wait until it is gone from the API and the sidecar, and prove that the egress is closed.

    Without a name, the only target of the namespace is deleted. If there are several, name one or give --all. A source pod of
    --with-source is deleted with the last entry of its namespace, and without a name also if it has none. A TARGET is
    anything that `egressctl list` and `egressctl verify` print: a target, an entry, serviceentry/NAMESPACE/NAME; or a host or a
    URL that was created; or a file.

    \b
    Examples:
      egressctl cleanup
      egressctl cleanup wikipedia
      egressctl cleanup serviceentry/shop/wikipedia-ext
      egressctl cleanup -f targets.yaml
      egressctl cleanup --all -n shop
      egressctl cleanup --all -A --yes
    """
    _refuse_contradictions(names or filename, all_of_them=all_of_them, all_namespaces=all_namespaces)
    if all_namespaces and dry_run == "none" and not yes and not sys.stdin.isatty():
        raise InvalidInput(
            "--all -A removes what egressctl made in every namespace, and there is no terminal to ask at; nothing was removed",
            hint="egressctl cleanup --all -A --yes",
        )
    session = ReportSession("cleanup", connection, output, allow_unproven=probing.allow_unproven)

    def work() -> None:
        from egressctl.lifecycle.choose import RemovalChoice, choose_entries, target_names  # imported late: 65 ms
        from egressctl.lifecycle.cleanup import CleanupOptions, clean_up
        from egressctl.lifecycle.leftover import remove_leftover_sources
        from egressctl.mesh.curl import TransferLimits

        choice = RemovalChoice(
            namespace=None if all_namespaces else session.namespace,
            words=tuple(names or ()),
            files=tuple(filename or ()),
            everything=all_of_them,
            ignore_not_found=ignore_not_found,
            folders=tuple(catalog_folders(folders)),
            namespace_flag=f" -n {quote(connection.namespace)}" if connection.namespace else "",
        )
        options = CleanupOptions(
            choice=source.choice,
            verify=verify and dry_run == "none",
            wait=wait.wait,
            timeout=wait.timeout,
            dry_run=dry_run,
            limits=TransferLimits(total=probing.probe_timeout),
        )
        manifests = choose_entries(session.mesh, choice, session.progress)
        if dry_run == "none" and not yes:
            _confirm(session, len(manifests), target_names(manifests))
        session.targets, unasked = clean_up(session.mesh, manifests, options, session.progress)
        if not (names or filename) and (all_namespaces or not manifests):
            remove_leftover_sources(session.mesh, choice.namespace, options, session.progress)
        say_how_to_repeat(session, session.targets, options.limits)
        if unasked is not None:
            raise unasked

    return session.run(work)


def _refuse_contradictions(named: list[str] | None, *, all_of_them: bool, all_namespaces: bool) -> None:
    if all_namespaces and (named or not all_of_them):
        raise InvalidInput("--all-namespaces goes with --all", hint="egressctl cleanup --all -A")
    if all_of_them and named:
        raise InvalidInput(
            f"--all and {named[0]} do not go together: --all removes every target of the namespace",
            hint=f"egressctl cleanup {quote(named[0])}",
        )


def _confirm(session: ReportSession, count: int, targets: list[str]) -> None:
    """Ask before several targets go, at a terminal only. Raises InvalidInput where the answer is no."""
    if len(targets) < 2 or not sys.stdin.isatty():
        return
    session.progress.stop()
    print(f"remove {count} ServiceEntries ({', '.join(targets)})? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InvalidInput("nothing was removed", hint="--yes removes without asking")
