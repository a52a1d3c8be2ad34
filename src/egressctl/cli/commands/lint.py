"""`egressctl lint`: what may stop a ServiceEntry from working, before it is applied."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from egressctl.cli.console import say
from egressctl.cli.options import ConnectionFlags, OutputFlags, TargetFlags, catalog_folders, spread_flags
from egressctl.cli.session import Session
from egressctl.errors import InvalidInput
from egressctl.runtime.sanitize import neutralise, quote
from egressctl.runtime.sentence import count_of

if TYPE_CHECKING:
    from egressctl.lint.files import ComparisonBase
    from egressctl.lint.rule import LintResult
    from egressctl.model.entry import ServiceEntry
    from egressctl.model.probe import Target


@dataclass(frozen=True, kw_only=True)
class LintFlags:
    """Which rules, and against what: other files, a snapshot, a real API server or what is on the Kubernetes cluster."""

    select: Annotated[list[str] | None, typer.Option("--select", metavar="RULE,...", help="Report these rules only.")] = None
    ignore: Annotated[list[str] | None, typer.Option("--ignore", metavar="RULE,...", help="Do not report these rules.")] = None
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of every namespace.")] = False
    all_of_them: Annotated[
        bool, typer.Option("--all", help="Every ServiceEntry of the namespace, not only egressctl's; -A: of every namespace.")
    ] = False
    against: Annotated[
        str, typer.Option("--against", metavar="FOLDER", help="Compare FILES with a snapshot: whose traffic would they take?")
    ] = ""
    ask_server: Annotated[
        bool,
        typer.Option("--ask-server", help="Ask the API server, by dry run, which of FILES it refuses, and for its warnings."),
    ] = False
    offline: Annotated[bool, typer.Option("--offline", help="Check the input only; do not use a Kubernetes cluster.")] = False


@spread_flags
def command(
    names: Annotated[list[str] | None, typer.Argument(metavar="TARGETS|FILES", show_default=False)] = None,
    *,
    flags: LintFlags,
    target: TargetFlags,
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """Find what may stop a ServiceEntry from working: its own spec, other entries, Sidecars, routes, Services.

    FILES are manifests, or folders of manifests, from any source. They are compared with each other, without a Kubernetes
    cluster; - is stdin. A TARGET is the same as for create, or serviceentry/NAME for an entry on the Kubernetes cluster. Without
    either, lint checks every entry that egressctl made in the namespace; with --all every entry. It changes nothing and sends no
    request. -o also takes sarif, and github for annotations. Exit code 1: an error was found.

    With --against FOLDER, FILES are compared with a snapshot of a Kubernetes cluster: whose traffic would they take?
    With --ask-server the API server reports, by dry run, which of FILES it refuses, and its warnings.

    \b
    Examples:
      egressctl lint manifests/
      egressctl lint a.yaml b.yaml --ignore exported-everywhere
      egressctl lint manifests/ -o table -o sarif=lint.sarif
      helm template chart | egressctl lint -
      egressctl lint manifests/ --against snapshot
      egressctl lint manifests/ --ask-server
      egressctl lint wikipedia
      egressctl lint -f targets.yaml --offline
      egressctl lint serviceentry/wikipedia-ext -n shop
      egressctl lint --all -A -o json
    """
    from egressctl.lint.rule import LintResult, finding_of_problem, parse_rule_names, select_findings  # imported late: 24 ms
    from egressctl.lint.rules import invalid_input
    from egressctl.report.lint_formats import FORMATS, lint_text

    session = Session("lint", connection, output, formats=FORMATS)
    selected, ignored = parse_rule_names(flags.select or [], "--select"), parse_rule_names(flags.ignore or [], "--ignore")
    folders = catalog_folders(target.catalog)
    paths = [name for name in names or () if _is_path(name, folders)]
    asked = _Asked(names or [], paths, folders, target, flags)
    code = None
    try:
        linted = _use_case(asked)(session, asked)
    except InvalidInput as refused:
        if not refused.problems or asked.paths:
            raise
        linted = LintResult(tuple(finding_of_problem(invalid_input.RULE.id, each) for each in refused.problems))
        code = refused.exit_code
    linted = linted._replace(findings=select_findings(linted.findings, selected, ignored))
    if code is None:
        code = int(any(each.severity == "error" for each in linted.findings))
    session.progress.stop()
    _say_what_was_looked_at(session, linted)
    folder = os.getcwd()
    code = session.publish(lambda form, code: lint_text(linted, form, code, folder), code)
    session.progress.print(lint_text(linted, output.shown, code, folder, hints=not output.quiet))
    return code


class _Asked(NamedTuple):
    """The words and flags of a command line; `paths` are those of the words that name files, `folders` the user's catalogues."""

    names: list[str]
    paths: list[str]
    folders: list[str]
    target: TargetFlags
    flags: LintFlags

    @property
    def makes_targets(self) -> bool:
        """Whether flags say what the targets are, in place of names."""
        return bool(self.target.filename or self.target.host or self.target.address or self.target.port)

    def split_names(self) -> tuple[list[str], list[str]]:
        """Return the names of targets, and those of entries on the Kubernetes cluster."""
        from egressctl.catalog import lookup  # imported late: 27 ms

        given = [name for name in self.names if self.makes_targets or lookup.has_name(name, self.folders)]
        return given, [name for name in self.names if name not in given]

    def targets(self, given: list[str]) -> list[Target]:
        """Return the targets of names, or of the flags that say them. Raises InvalidInput."""
        from egressctl.cli.targets import requested_targets  # imported late: 27 ms

        return requested_targets(given, self.target) if given or self.makes_targets else []


def _use_case(asked: _Asked) -> Callable[[Session, _Asked], LintResult]:
    """Return what a command line asks for. Raises InvalidInput for flags that do not go together."""
    if asked.paths:
        return _lint_files
    if asked.flags.against or asked.flags.ask_server:
        flag = "--against FOLDER" if asked.flags.against else "--ask-server"
        raise InvalidInput(f"{flag} is about FILES, and none is named", hint="egressctl lint manifests/ --against snapshot")
    by_name = asked.names or asked.makes_targets
    if (asked.flags.all_namespaces or asked.flags.all_of_them) and (by_name or asked.flags.offline):
        flag = "-A" if asked.flags.all_namespaces else "--all"
        raise InvalidInput(f"{flag} looks at what is on the Kubernetes cluster: name no target with it")
    return _lint_offline if asked.flags.offline else _lint_by_name if by_name else _lint_all


def _is_path(word: str, folders: Sequence[str] = ()) -> bool:
    """Say which word is a file or folder: `-`, one with a slash or a dot, or one that is there and not in the catalogue."""
    from egressctl.catalog import lookup  # imported late: 27 ms
    from egressctl.manifests.service_entry import KIND_NAMES

    first = word.partition("/")[0]
    named = word in lookup.catalog_names(folders) or ("/" in word and (first in KIND_NAMES or lookup.has_name(word, folders)))
    if named and ("/" not in word or not os.path.exists(word)):
        return False
    return word == "-" or "/" in word or "." in word or os.path.exists(word)


def _lint_files(session: Session, asked: _Asked) -> LintResult:
    from egressctl.lint.files import lint_files  # imported late: 38 ms
    from egressctl.lint.known_targets import known_targets_for
    from egressctl.lint.manifest_files import read_manifest_files

    paths, on_server = asked.paths, asked.flags.all_namespaces or asked.flags.all_of_them
    others = [name for name in asked.names if name not in paths]
    if others or on_server or asked.makes_targets:
        beside = others[0] if others else "-A and --all" if on_server else "--filename, --host, --address and --port"
        raise InvalidInput(f"{paths[0]} is a file, and is linted without {beside}", hint=f"egressctl lint {quote(paths[0])}")
    base = _read_snapshot(session, asked.flags.against) if asked.flags.against else None
    read = read_manifest_files(paths)
    namespace, said = session.connection.namespace or "default", None
    if asked.flags.ask_server:
        from egressctl.lint.dry_run import ask_api_server  # imported late: 43 ms

        namespace = session.namespace
        session.progress.step("asking the API server about each manifest, by dry run")
        said = ask_api_server(session.mesh, read, namespace)
    return lint_files(
        read,
        namespace,
        partial(known_targets_for, folders=asked.folders),
        any_address=asked.target.any_address,
        allow_internal=asked.target.allow_internal,
        base=base,
        said=said,
    )


def _read_snapshot(session: Session, folder: str) -> ComparisonBase:
    """Read the snapshot that files are compared with. Raises InvalidInput."""
    from egressctl.lint.files import ComparisonBase  # imported late: 49 ms
    from egressctl.mesh.snapshot.folder import load_snapshot

    snapshot = load_snapshot(folder)
    about = f"{snapshot.kubernetes.context or 'an unnamed context'}, taken {snapshot.taken_at or 'at an unknown time'}"
    session.progress.step(f"comparing it with {folder}: {about}")
    hint = f"take it with more rights: egressctl snapshot {quote(folder)}" if snapshot.around.unread else ""
    return ComparisonBase(snapshot.around, folder, hint)


def _lint_offline(session: Session, asked: _Asked) -> LintResult:
    from egressctl.catalog import lookup  # imported late: 27 ms
    from egressctl.lint.live import lint_offline

    given, live = asked.split_names()
    if live:
        lookup.get_target(live[0], asked.folders)  # which refuses it, and says what there is
    if not (given or asked.makes_targets):
        raise InvalidInput(
            "--offline needs a target or a file", hint="egressctl lint wikipedia --offline, or egressctl lint FILE"
        )
    return lint_offline(_entries(asked, asked.targets(given), session.connection.namespace or "default"), asked.folders)


def _lint_by_name(session: Session, asked: _Asked) -> LintResult:
    from egressctl.lint.live import lint_by_name  # imported late: 45 ms

    given, live = asked.split_names()
    targets, namespace = asked.targets(given), session.namespace
    session.progress.step(f"looking at the other objects, in namespace {namespace}")
    linted = lint_by_name(session.mesh, _entries(asked, targets, namespace), live, namespace, asked.folders)
    session.warn()
    return linted


def _entries(asked: _Asked, targets: list[Target], namespace: str) -> list[ServiceEntry]:
    from egressctl.cli.targets import export_namespaces  # imported late: 48 ms
    from egressctl.lint.live import entries_that_create_makes

    return entries_that_create_makes(targets, namespace, export_namespaces(asked.target))


def _lint_all(session: Session, asked: _Asked) -> LintResult:
    from egressctl.lint.live import lint_all  # imported late: 45 ms

    namespace, everywhere = session.namespace, asked.flags.all_namespaces
    session.progress.step(f"looking at the other objects, in {'all namespaces' if everywhere else 'namespace ' + namespace}")
    linted = lint_all(session.mesh, namespace, everywhere=everywhere, every_entry=asked.flags.all_of_them, folders=asked.folders)
    session.warn()
    return linted


def _say_what_was_looked_at(session: Session, linted: LintResult) -> None:
    for sentence in linted.not_looked_at:
        session.progress.warn(sentence)
    if linted.not_looked_at and not session.output.quiet:
        say("hint: " + neutralise(linted.hint))
    if linted.findings:
        return
    files = f" in {count_of(linted.files, 'file', 'files')}" if linted.files else ""
    if linted.entries:
        session.progress.done(f"{count_of(linted.entries, 'ServiceEntry', 'ServiceEntries')} looked at{files}, and nothing found")
    else:
        session.progress.warn(f"there is no ServiceEntry and no EgressTarget{files or ' in what was named'}")
