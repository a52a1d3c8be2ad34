"""`egressctl lint`: what may keep a ServiceEntry from carrying, before it is applied."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egressctl.cli import session as sessions
from egressctl.cli.console import drawable, say
from egressctl.cli.options import Connection, Output, TargetFlags, flat, folders_of
from egressctl.errors import InvalidInput
from egressctl.neutral import neutralise

if TYPE_CHECKING:
    from egressctl.lint import Linted
    from egressctl.model import Target
    from egressctl.rules import Finding

_HELP = """Say what may keep a ServiceEntry from carrying: other entries, Sidecars, routes, Services, and its own spec.

Takes targets as create does, and serviceentry/NAME for one that is on the Kubernetes cluster, whoever made it. Without a
name, every entry that egressctl made in the namespace. It changes nothing and sends nothing. Exit code 1: an error was found.

\b
Examples:
  egressctl lint wikipedia
  egressctl lint -f targets.yaml
  egressctl lint -f targets.yaml --offline
  egressctl lint serviceentry/wikipedia-ext -n shop
  egressctl lint -A -o json
"""


def register(app: typer.Typer, name: str, short: str) -> None:
    """Add the command to the application."""
    app.command(name, help=_HELP, short_help=short)(lint)


@flat
def lint(
    names: Annotated[list[str] | None, typer.Argument(metavar="TARGET", show_default=False)] = None,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="What egressctl made in every namespace.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Look at the input alone, and ask no Kubernetes cluster.")] = False,
    *,
    target: TargetFlags,
    connection: Connection,
    output: Output,
) -> int:
    """Translate flags into egressctl.lint.lint."""
    from egressctl import catalog
    from egressctl.cli.targets import wanted_targets

    session = sessions.Session("lint", connection, output)
    named = list(names or [])
    made = bool(target.filename or target.host or target.address or target.port)
    folders = folders_of(target.catalog)
    given = named if made else [name for name in named if catalog.has(name, folders)]
    live = [name for name in named if name not in given]
    if all_namespaces and (named or made or offline):
        raise InvalidInput("-A looks at what egressctl made in all namespaces: name no target beside it")
    if offline and live:
        catalog.get(live[0], folders)  # which refuses it, and says what there is
    if offline and not (given or made):
        raise InvalidInput("--offline needs a target or a file", hint="egressctl lint wikipedia --offline, or -f FILE")
    try:
        targets = wanted_targets(given, target) if given or made else []
        linted = _offline(targets, target, connection) if offline else _on_server(session, targets, live, target, all_namespaces)
    except InvalidInput as refused:
        if not refused.problems:
            raise
        linted, code = _refused(refused), refused.exit_code
    else:
        code = int(any(each.severity == "error" for each in linted.findings))
    session.progress.stop()
    _print(session, linted, code)
    return code


def _offline(targets: list[Target], flags: TargetFlags, connection: Connection) -> Linted:
    from egressctl import lint as use_case
    from egressctl.cli.targets import scopes

    return use_case.offline(use_case.planned(targets, connection.namespace or "default", scopes(flags)))


def _on_server(session: sessions.Session, targets: list[Target], live: list[str], flags: TargetFlags, everywhere: bool) -> Linted:
    from egressctl import lint as use_case
    from egressctl.cli.targets import scopes

    mesh, namespace = session.mesh, session.namespace
    session.progress.step(f"looking at what is around, in {'all namespaces' if everywhere else 'namespace ' + namespace}")
    entries = use_case.aged(mesh, use_case.planned(targets, namespace, scopes(flags)))
    manifests = (
        use_case.named(mesh, live, namespace) if live or targets else use_case.ours(mesh, None if everywhere else namespace)
    )
    linted = use_case.lint(mesh, entries, manifests, namespace, everywhere=everywhere)
    for warning in mesh.api.warnings:
        session.progress.warn(warning)
    if not linted.findings:
        count = len(entries) + len(manifests)
        session.progress.done(f"{count} ServiceEntr{'y' if count == 1 else 'ies'} looked at, and nothing found")
    return linted


def _refused(refused: InvalidInput) -> Linted:
    """Return the problems of an input as findings, each with its place in the file."""
    from egressctl.lint import Linted
    from egressctl.rules import Finding

    found = []
    for each in refused.problems:
        place = ":".join(str(part) for part in (each.source, each.line) if part)
        message = f"{each.field}: {each.message}" if each.field else each.message
        found.append(Finding("invalid-input", message, place, each.remedy, file=each.source, line=each.line))
    return Linted(tuple(found))


def _print(session: sessions.Session, linted: Linted, code: int) -> None:
    for sentence in linted.not_looked_at:
        session.progress.warn(sentence)
    if linted.not_looked_at and not session.output.quiet:
        say("hint: " + neutralise(linted.hint))
    if session.output.shown in ("json", "yaml"):
        data = {
            "apiVersion": "egressctl.dev/v1alpha1",
            "kind": "LintReport",
            "exitCode": code,
            "findings": [_document(each) for each in linted.findings],
            "notLookedAt": list(linted.not_looked_at),
        }
        sessions.print_data(data, session.output.shown)
    elif session.output.shown == "name":
        for where in dict.fromkeys(each.where for each in linted.findings):
            print(neutralise(where))
    else:
        for each in linted.findings:
            print(drawable(sys.stdout, neutralise(f"{each.severity:<7}  {each.rule}  {_told(each)}")))
            if each.hint and not session.output.quiet:
                print(drawable(sys.stdout, neutralise(f"         {each.hint}")))


def _told(finding: Finding) -> str:
    return f"{finding.where}: {finding.message}" if finding.where else finding.message


def _document(finding: Finding) -> dict[str, Any]:
    about = finding.about
    return {
        "file": finding.file or None,
        "line": finding.line,
        "rule": finding.rule,
        "severity": finding.severity.value,
        "origin": finding.origin,
        "where": finding.where,
        "about": {"kind": about.kind, "namespace": about.namespace, "name": about.name} if about else None,
        "message": finding.message,
        "hint": finding.hint or None,
    }
