"""`egressctl verify`: prove which Envoy cluster sends a target's probes."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from egressctl.cli.options import (
    CatalogFolders,
    ConnectionFlags,
    EntryNamespace,
    Expect,
    OutputFlags,
    ProbeFlags,
    Retries,
    SourceFlags,
    TargetFlags,
    TargetNames,
    catalog_folders,
    parse_expected_verdict,
    spread_flags,
)
from egressctl.cli.report_session import ReportSession, say_how_to_repeat
from egressctl.errors import InvalidInput
from egressctl.runtime.sanitize import quote

if TYPE_CHECKING:
    from egressctl.mesh.source_pod import SourceChoice
    from egressctl.model.probe import Probe
    from egressctl.model.result import TargetResult
    from egressctl.verify.select import VerifyTarget
    from egressctl.verify.verify import ProbeOptions

MOST_AT_ONCE = 100
"""How many probes at the same time any API server can serve."""


@dataclass(frozen=True, kw_only=True)
class VerifyFlags:
    """What is verified, and what is expected of it."""

    HEADING = "Probes"

    filename: Annotated[
        list[str] | None, typer.Option("--filename", "-f", metavar="FILE", help="Targets with their probes; - is stdin.")
    ] = None
    folders: CatalogFolders = None
    entry_namespace: EntryNamespace = ""
    probe: Annotated[
        list[str] | None, typer.Option("--probe", metavar="URL", help="URL to send instead of the target's probes.")
    ] = None
    expect: Expect = ""
    allow_internal: Annotated[
        bool, typer.Option("--allow-internal", help="Allow probes to the Kubernetes cluster's own names and addresses.")
    ] = False
    around: Annotated[
        bool,
        typer.Option("--around", help="Test also what the entry does not list, an address or a TLS name: it must be refused."),
    ] = False
    around_address: Annotated[
        str, typer.Option("--around-address", metavar="IP", help="Address that --around tests. [default: the next one outside]")
    ] = ""
    retries: Retries = 0
    all_of_them: Annotated[
        bool, typer.Option("--all", help="Every ServiceEntry of the namespace, not only egressctl's, as a table.")
    ] = False
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="With --all: of every namespace.")] = False
    parallel: Annotated[
        int | None,
        typer.Option(
            "--parallel",
            min=1,
            max=MOST_AT_ONCE,
            metavar="N",
            show_default=False,
            help="How many probes to send at the same time. [default: 16, with --all 10]",
        ),
    ] = None


@spread_flags
def command(
    names: TargetNames = None,
    *,
    flags: VerifyFlags,
    probing: ProbeFlags,
    source: SourceFlags,
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """Send test requests (probes) from the source pod, and prove which Envoy cluster sent them on.

    Without a name, every target that egressctl made in the namespace is verified; with --all every ServiceEntry. The probes are
    those of the entry's annotation. If it has none, every host of its TLS and HTTP ports gets one, 20 at most. -n is the source
    pod's namespace; entries that another namespace exports to it are found too.

    \b
    Examples:
      egressctl verify
      egressctl verify wikipedia
      egressctl verify serviceentry/NAMESPACE/NAME -n shop
      egressctl verify --all -n shop
      egressctl verify --all -A -o table -o json=report.json
      egressctl verify wikipedia --expect blocked
      egressctl verify https://www.wikipedia.org
      egressctl verify -f targets.yaml -o json
      egressctl verify wikipedia --around
    """
    from egressctl.verify.boundary import parse_boundary_address  # imported late: 49 ms

    expected = parse_expected_verdict(flags.expect)
    _refuse_contradictions(names, flags)
    address = parse_boundary_address(flags.around_address, allow_internal=flags.allow_internal)
    session = ReportSession("verify", connection, output, allow_unproven=probing.allow_unproven)

    def work() -> None:
        from egressctl.mesh.curl import EXECS_AT_ONCE, TransferLimits  # imported late: 50 ms
        from egressctl.verify.all_entries import PROBES_AT_ONCE
        from egressctl.verify.verify import ProbeOptions

        at_once = flags.parallel or (PROBES_AT_ONCE if flags.all_of_them else EXECS_AT_ONCE)
        options = ProbeOptions(TransferLimits(total=probing.probe_timeout), flags.retries, expected, at_once)
        if flags.all_of_them:
            _verify_all(session, flags, source.choice, options)
        else:
            _verify_targets(session, names or [], flags, address, source.choice, options)

    return session.run(work)


def _refuse_contradictions(names: list[str] | None, flags: VerifyFlags) -> None:
    if flags.all_namespaces and not flags.all_of_them:
        raise InvalidInput("--all-namespaces goes with --all", hint="egressctl verify --all -A")
    if flags.entry_namespace and flags.probe and not (names or flags.filename):
        raise InvalidInput(
            "--entry-namespace goes with a target: a URL names no ServiceEntry",
            hint=f"egressctl verify NAME --entry-namespace {quote(flags.entry_namespace)} --probe {quote(flags.probe[0])}",
        )
    beside = {
        "a target": names,
        "--filename": flags.filename,
        "--probe": flags.probe,
        "--around": flags.around or flags.around_address,
        "--entry-namespace": flags.entry_namespace,
    }
    if flags.all_of_them and (given := next((name for name, value in beside.items() if value), None)):
        raise InvalidInput(f"--all and {given} do not go together: --all asks every ServiceEntry by its own probes")


def _verify_targets(
    session: ReportSession, names: list[str], flags: VerifyFlags, address: str, choice: SourceChoice, options: ProbeOptions
) -> None:
    from egressctl.manifests.egress_target import probe_from_url  # imported late: 48 ms
    from egressctl.mesh.sidecar import find_sidecar
    from egressctl.verify import boundary
    from egressctl.verify.verify import verify

    asked = tuple(probe_from_url(url, allow_internal=flags.allow_internal) for url in flags.probe or ())
    targets = _select_targets(session, names, flags, asked)
    if address:
        boundary.refuse_listed_address(targets, address)
    mesh, progress = session.mesh, session.progress
    sidecar = find_sidecar(mesh.api, session.namespace, choice)
    session.targets = verify(mesh, sidecar, targets, options, progress)
    if flags.around or address:
        session.targets = boundary.verify_boundary(mesh, sidecar, targets, session.targets, options, progress, address)
    say_how_to_repeat(session, session.targets, options.limits)


def _select_targets(session: ReportSession, names: list[str], flags: VerifyFlags, asked: tuple[Probe, ...]) -> list[VerifyTarget]:
    from egressctl.cli.targets import requested_targets  # imported late: 34 ms
    from egressctl.verify import select
    from egressctl.verify.entries_elsewhere import EntriesElsewhere
    from egressctl.verify.targets_by_name import verify_targets_by_name

    mesh, namespace = session.mesh, flags.entry_namespace or session.namespace
    elsewhere = None if flags.entry_namespace else EntriesElsewhere(mesh, session.namespace, "verify")
    if flags.filename:
        of_files = TargetFlags(filename=flags.filename, allow_internal=flags.allow_internal)
        targets = requested_targets(names, of_files, only_read=True)
        session.remember_origins(targets)
        found = select.verify_targets_for(mesh, targets, namespace, asked, elsewhere)
    elif names:
        found = verify_targets_by_name(
            mesh, namespace, names, asked, catalog_folders(flags.folders), elsewhere, allow_internal=flags.allow_internal
        )
    else:
        found = [select.verify_target_from_urls(asked, namespace)] if asked else select.verify_targets_on_server(mesh, namespace)
    if elsewhere and elsewhere.unread:
        session.progress.warn(elsewhere.unread)
    return found


def _verify_all(session: ReportSession, flags: VerifyFlags, choice: SourceChoice, options: ProbeOptions) -> None:
    from egressctl.report import summary  # imported late: 50 ms
    from egressctl.verify import all_entries

    gc.freeze()
    gc.enable()  # thousands of entries make cycles that matter
    everywhere = flags.all_namespaces
    session.progress.step(f"listing the ServiceEntries of {'all namespaces' if everywhere else f'namespace {session.namespace}'}")
    planned = all_entries.plan_verification(
        session.mesh, session.namespace, choice, everywhere=everywhere, allow_internal=flags.allow_internal
    )
    session.places, session.planned = planned.places, len(planned.places)
    widths = summary.column_widths(planned.places, everywhere=everywhere)

    def told(result: TargetResult) -> None:
        session.targets.append(result)
        if session.output.shown == "table":
            first = [summary.heading_line(widths)] if len(session.targets) == 1 else []
            session.progress.lines([*first, summary.target_line(result, widths)])
        say_how_to_repeat(session, [result], options.limits)

    all_entries.verify_planned(session.mesh, planned, options, session.progress, told)
