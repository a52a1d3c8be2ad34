"""`egressctl lint`: what may keep a ServiceEntry from carrying, before it is applied."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from egressctl.cli.console import say, text_for_stream
from egressctl.cli.options import ConnectionFlags, OutputFlags, TargetFlags, catalog_folders, spread_flags
from egressctl.cli.session import Session
from egressctl.errors import InvalidInput
from egressctl.runtime.sanitize import neutralise

if TYPE_CHECKING:
    from egressctl.lint.files import ComparisonBase
    from egressctl.lint.rules import LintResult
    from egressctl.model.probe import Target

_HELP = """Say what may keep a ServiceEntry from carrying: other entries, Sidecars, routes, Services, and its own spec.

FILES are manifests of any origin, and folders of them, held against each other without a Kubernetes cluster; - is stdin. A
TARGET is one as create takes it, or serviceentry/NAME for an entry that is on the Kubernetes cluster. Without either, every
entry that egressctl made in the namespace; with --cluster, followed by no name, every entry, whoever made it. It changes
nothing and sends nothing. -o also takes sarif, and github for annotations. Exit code 1: an error was found.

With --against FOLDER, a snapshot, FILES are held against what stands on a Kubernetes cluster: whose traffic they would take.
With --server, followed by no URL, a real API server says by dry run what it refuses of FILES, and what it warns of.

\b
Examples:
  egressctl lint manifests/
  egressctl lint a.yaml b.yaml --ignore exported-everywhere
  egressctl lint manifests/ -o table -o sarif=lint.sarif
  helm template chart | egressctl lint -
  egressctl lint manifests/ --against snapshot
  egressctl lint manifests/ --server
  egressctl lint wikipedia
  egressctl lint -f targets.yaml --offline
  egressctl lint serviceentry/wikipedia-ext -n shop
  egressctl lint --cluster -A -o json
"""


def register(app: typer.Typer, name: str, short: str) -> None:
    """Add the command to the application."""
    app.command(name, help=_HELP, short_help=short)(lint)


@spread_flags
def lint(
    names: Annotated[list[str] | None, typer.Argument(metavar="TARGETS|FILES", show_default=False)] = None,
    select: Annotated[list[str] | None, typer.Option("--select", metavar="RULE,...", help="Tell of these rules only.")] = None,
    ignore: Annotated[list[str] | None, typer.Option("--ignore", metavar="RULE,...", help="Do not tell of these rules.")] = None,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="The entries of every namespace.")] = False,
    every_entry: Annotated[bool, typer.Option("--every-entry", hidden=True)] = False,
    against: Annotated[
        str, typer.Option("--against", metavar="FOLDER", help="Hold FILES against a snapshot: whose traffic would they take?")
    ] = "",
    ask_server: Annotated[bool, typer.Option("--ask-server", hidden=True)] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Look at the input alone, and ask no Kubernetes cluster.")] = False,
    *,
    target: TargetFlags,
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """Translate flags into egressctl.lint.live.lint_live, or egressctl.lint.files.lint_files for files."""
    from egressctl.lint.rules import parse_rule_names, select_findings
    from egressctl.report.lint_formats import FORMATS

    session = Session("lint", connection, output, formats=FORMATS)
    selected, ignored = parse_rule_names(select or [], "--select"), parse_rule_names(ignore or [], "--ignore")
    named = list(names or [])
    folders = catalog_folders(target.catalog)
    paths = [name for name in named if _is_path(name, folders)]
    code = None
    try:
        if paths:
            others = [name for name in named if name not in paths]
            linted = _lint_files(session, paths, others, target, all_namespaces or every_entry, against, ask_server)
        elif against or ask_server:
            flag = "--against FOLDER" if against else "--server, followed by no URL,"
            raise InvalidInput(f"{flag} is about FILES, and none is named", hint="egressctl lint manifests/ --against snapshot")
        else:
            linted = _lint_targets(session, named, target, all_namespaces, every_entry, offline)
    except InvalidInput as refused:
        if not refused.problems or paths:
            raise
        linted, code = _problems_as_findings(refused), refused.exit_code
    linted = linted._replace(findings=select_findings(linted.findings, selected, ignored))
    if code is None:
        code = int(any(each.severity == "error" for each in linted.findings))
    session.progress.stop()
    _say_what_was_looked_at(session, linted)
    return _print_findings(session, linted, code)


def _is_path(word: str, folders: Sequence[str] = ()) -> bool:
    """Tell a file or folder from a name: `-`, what holds a slash or a dot, and what is there and no name of the catalogue."""
    from egressctl.catalog import lookup
    from egressctl.manifests.service_entry import KIND_NAMES

    first = word.partition("/")[0]
    named = word in lookup.catalog_names(folders) or ("/" in word and (first in KIND_NAMES or lookup.has_name(word, folders)))
    if named and ("/" not in word or not os.path.exists(word)):
        return False
    return word == "-" or "/" in word or "." in word or os.path.exists(word)


def _lint_files(
    session: Session,
    paths: list[str],
    others: list[str],
    flags: TargetFlags,
    on_server: bool,
    against: str,
    ask_server: bool,
) -> LintResult:
    from egressctl.lint.checks.stale_blocks import known_targets_for
    from egressctl.lint.files import lint_files
    from egressctl.lint.manifest_files import read_manifest_files

    made_of = [flags.filename, flags.host, flags.address, flags.port]
    if others or on_server or any(made_of):
        beside = others[0] if others else "-A and --cluster" if on_server else "--filename, --host, --address and --port"
        raise InvalidInput(f"{paths[0]} is a file, and is linted without {beside}", hint=f"egressctl lint {paths[0]}")
    base = _read_snapshot(session, against) if against else None
    read = read_manifest_files(paths)
    namespace, said = session.connection.namespace or "default", None
    if ask_server:
        from egressctl.lint.dry_run import ask_api_server

        namespace = session.namespace
        session.progress.step("asking the API server about each manifest, by dry run")
        said = ask_api_server(session.mesh, read, namespace)
    return lint_files(
        read,
        namespace,
        partial(known_targets_for, folders=catalog_folders(flags.catalog)),
        any_address=flags.any_address,
        allow_internal=flags.allow_internal,
        base=base,
        said=said,
    )


def _read_snapshot(session: Session, folder: str) -> ComparisonBase:
    """Read the snapshot that files are held against. Raises InvalidInput."""
    from egressctl.lint.files import ComparisonBase
    from egressctl.mesh.snapshot.folder import load_snapshot

    snapshot = load_snapshot(folder)
    about = f"{snapshot.kubernetes.context or 'an unnamed context'}, taken {snapshot.taken_at or 'at a time not told'}"
    session.progress.step(f"holding it against {folder}: {about}")
    hint = f"take it with more rights: egressctl snapshot {folder}" if snapshot.around.unread else ""
    return ComparisonBase(snapshot.around, folder, hint)


def _lint_targets(
    session: Session, named: list[str], flags: TargetFlags, everywhere: bool, every_entry: bool, offline: bool
) -> LintResult:
    from egressctl.catalog import lookup
    from egressctl.cli.targets import export_namespaces, requested_targets
    from egressctl.lint.live import entries_that_create_makes, lint_offline

    made = bool(flags.filename or flags.host or flags.address or flags.port)
    folders = catalog_folders(flags.catalog)
    given = named if made else [name for name in named if lookup.has_name(name, folders)]
    live = [name for name in named if name not in given]
    if (everywhere or every_entry) and (named or made or offline):
        flag = "-A" if everywhere else "--cluster without a name"
        raise InvalidInput(f"{flag} looks at what is on the Kubernetes cluster: name no target beside it")
    if offline and live:
        lookup.get_target(live[0], folders)  # which refuses it, and says what there is
    if offline and not (given or made):
        raise InvalidInput(
            "--offline needs a target or a file", hint="egressctl lint wikipedia --offline, or egressctl lint FILE"
        )
    targets = requested_targets(given, flags) if given or made else []
    if offline:
        return lint_offline(
            entries_that_create_makes(targets, session.connection.namespace or "default", export_namespaces(flags)),
            folders,
        )
    return _lint_on_server(session, targets, live, flags, everywhere, every_entry)


def _lint_on_server(
    session: Session, targets: list[Target], live: list[str], flags: TargetFlags, everywhere: bool, every_entry: bool
) -> LintResult:
    from egressctl.cli.targets import export_namespaces
    from egressctl.lint.live import (
        entries_that_create_makes,
        lint_live,
        manifests_by_name,
        manifests_of_egressctl,
        manifests_of_everyone,
        with_ages_of_live,
    )

    mesh, namespace = session.mesh, session.namespace
    session.progress.step(f"looking at what is around, in {'all namespaces' if everywhere else 'namespace ' + namespace}")
    entries = with_ages_of_live(mesh, entries_that_create_makes(targets, namespace, export_namespaces(flags)))
    if live or targets:
        manifests = manifests_by_name(mesh, live, namespace)
    else:
        manifests = (manifests_of_everyone if every_entry else manifests_of_egressctl)(mesh, None if everywhere else namespace)
    linted = lint_live(mesh, entries, manifests, namespace, everywhere=everywhere, folders=catalog_folders(flags.catalog))
    for warning in mesh.api.warnings:
        session.progress.warn(warning)
    return linted


def _problems_as_findings(refused: InvalidInput) -> LintResult:
    """Return the problems of an input as findings, each with its place in the file."""
    from egressctl.lint.rules import Finding, LintResult

    found = []
    for each in refused.problems:
        place = ":".join(str(part) for part in (each.source, each.line) if part)
        message = f"{each.field}: {each.message}" if each.field else each.message
        found.append(Finding("invalid-input", message, place, each.remedy, file=each.source, line=each.line))
    return LintResult(tuple(found))


def _say_what_was_looked_at(session: Session, linted: LintResult) -> None:
    for sentence in linted.not_looked_at:
        session.progress.warn(sentence)
    if linted.not_looked_at and not session.output.quiet:
        say("hint: " + neutralise(linted.hint))
    if linted.findings:
        return
    files = f" in {linted.files} file{'' if linted.files == 1 else 's'}" if linted.files else ""
    if linted.entries:
        session.progress.done(
            f"{linted.entries} ServiceEntr{'y' if linted.entries == 1 else 'ies'} looked at{files}, and nothing found"
        )
    else:
        session.progress.warn(f"there is no ServiceEntry and no EgressTarget{files or ' in what was named'}")


def _print_findings(session: Session, linted: LintResult, code: int) -> int:
    """Print the findings, write those outputs that go to files, and return the exit code."""
    from egressctl.report.lint_formats import lint_text

    folder, output = os.getcwd(), session.output
    code = session.publish(lambda form, code: lint_text(linted, form, code, folder), code)
    sys.stdout.write(text_for_stream(sys.stdout, lint_text(linted, output.shown, code, folder, hints=not output.quiet)))
    return code
