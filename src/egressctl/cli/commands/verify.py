"""`egressctl verify`: prove which Envoy cluster carries a target's probes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from egressctl.cli.options import (
    CatalogFolders,
    ConnectionFlags,
    OutputFlags,
    ProbeFlags,
    Retries,
    SourceFlags,
    catalog_folders,
    parse_expected_verdict,
    spread_flags,
)
from egressctl.cli.session import Session, run_session, source_choice
from egressctl.errors import InvalidInput
from egressctl.model.probe import Probe

if TYPE_CHECKING:
    from egressctl.mesh.source_pod import SourceChoice
    from egressctl.model.result import TargetResult
    from egressctl.verify.select import VerifyTarget
    from egressctl.verify.verify import ProbeOptions

MOST_AT_ONCE = 100
"""Probes at the same time that any API server bears."""

_HELP = """Send a target's probes from the source pod and prove which Envoy cluster carried them.

Without a name, every target that egressctl made in the namespace is verified; with --all every ServiceEntry, whoever made
it, each by the probes of its annotation, else by derived ones.

\b
Examples:
  egressctl verify
  egressctl verify wikipedia
  egressctl verify serviceentry/NAME
  egressctl verify --all -n shop
  egressctl verify --all -A -o table -o json=report.json
  egressctl verify wikipedia --expect blocked
  egressctl verify --probe https://www.wikipedia.org
  egressctl verify -f targets.yaml -o json
  egressctl verify wikipedia --around
"""


def register(app: typer.Typer, name: str, short: str) -> None:
    """Add the command to the application."""
    app.command(name, help=_HELP, short_help=short)(verify)


@spread_flags
def verify(
    names: Annotated[list[str] | None, typer.Argument(metavar="TARGET", show_default=False)] = None,
    filename: Annotated[
        list[str] | None, typer.Option("--filename", "-f", metavar="FILE", help="Targets with their probes; - is stdin.")
    ] = None,
    folders: CatalogFolders = None,
    probe: Annotated[
        list[str] | None, typer.Option("--probe", metavar="URL", help="URL to send instead of the target's probes.")
    ] = None,
    expect: Annotated[
        str, typer.Option("--expect", metavar="VERDICT", help="Verdict that every probe should have. [default: the probe's own]")
    ] = "",
    allow_internal: Annotated[
        bool, typer.Option("--allow-internal", help="Accept probes of the Kubernetes cluster's own names and addresses.")
    ] = False,
    around: Annotated[
        bool, typer.Option("--around", help="Show too that what the entry does not list is refused: an address, a TLS name.")
    ] = False,
    around_address: Annotated[
        str, typer.Option("--around-address", metavar="IP", help="Address that --around asks. [default: the next one outside]")
    ] = "",
    retries: Retries = 0,
    all_of_them: Annotated[
        bool, typer.Option("--all", help="Every ServiceEntry of the namespace, whoever made it, as a table.")
    ] = False,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="With --all: of every namespace.")] = False,
    parallel: Annotated[
        int | None,
        typer.Option(
            "--parallel",
            min=1,
            max=MOST_AT_ONCE,
            metavar="N",
            show_default=False,
            help="Probes under way at the same time. [default: 16, with --all 10]",
        ),
    ] = None,
    *,
    probing: ProbeFlags,
    source: SourceFlags,
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """Translate flags into egressctl.verify.verify.verify."""
    expected = parse_expected_verdict(expect)
    if all_namespaces and not all_of_them:
        raise InvalidInput("--all-namespaces goes with --all", hint="egressctl verify --all -A")
    beside = {"a target": names, "--filename": filename, "--probe": probe, "--around": around or around_address}
    if all_of_them and (given := next((name for name, value in beside.items() if value), None)):
        raise InvalidInput(f"--all and {given} do not go together: --all asks every ServiceEntry by its own probes")
    address = _parse_around_address(around_address, allow_internal=allow_internal)
    session = Session("verify", connection, output, formats=output.REPORTS, allow_unproven=probing.allow_unproven)

    def work(_: Any) -> None:
        from egressctl.manifests.egress_target import probe_from_url
        from egressctl.mesh import curl
        from egressctl.mesh.sidecar import find_sidecar
        from egressctl.verify import boundary
        from egressctl.verify.verify import ProbeOptions
        from egressctl.verify.verify import verify as use_case

        limits, choice = curl.TransferLimits(total=probing.probe_timeout), source_choice(source)
        if all_of_them:
            from egressctl.verify.all_entries import PROBES_AT_ONCE

            _verify_all(
                session,
                choice,
                ProbeOptions(limits, retries, expected, parallel or PROBES_AT_ONCE),
                all_namespaces,
                allow_internal,
            )
            return
        asked = tuple(probe_from_url(url, allow_internal=allow_internal) for url in probe or ())
        wanted = _select_targets(session, names or [], filename or [], asked, allow_internal, catalog_folders(folders))
        asking = ProbeOptions(limits, retries, expected, parallel or curl.EXECS_AT_ONCE)
        if address:
            boundary.refuse_listed_address(wanted, address)
        sidecar = find_sidecar(session.mesh.api, session.namespace, choice)
        session.targets = use_case(session.mesh, sidecar, wanted, asking, session.progress)
        if around or address:
            session.targets = boundary.verify_boundary(
                session.mesh, sidecar, wanted, session.targets, asking, session.progress, address
            )
        session.print_repeat_commands(session.targets, limits)

    return run_session(session, work)


def _verify_all(session: Session, choice: SourceChoice, options: ProbeOptions, everywhere: bool, allow_internal: bool) -> None:
    from egressctl.report import summary
    from egressctl.verify import all_entries

    where = "all namespaces" if everywhere else f"namespace {session.namespace}"
    session.progress.step(f"listing the ServiceEntries of {where}")
    planned = all_entries.plan_verification(
        session.mesh, session.namespace, choice, everywhere=everywhere, allow_internal=allow_internal
    )
    session.planned = len(planned.places)
    widths = summary.column_widths(planned.places, everywhere=everywhere)
    shown = session.output.shown == "table"

    def told(result: TargetResult) -> None:
        session.targets.append(result)
        if shown:
            first = [summary.heading_line(widths)] if len(session.targets) == 1 else []
            session.progress.lines([*first, summary.target_line(result, widths)])
        session.print_repeat_commands([result], options.limits)

    all_entries.verify_planned(session.mesh, planned, options, session.progress, told)


def _parse_around_address(text: str, *, allow_internal: bool) -> str:
    """Read --around-address. Raises InvalidInput."""
    from egressctl.manifests.formats import network
    from egressctl.manifests.probes import url_fault

    block = network(text) if text and "/" not in text else None
    if text and block is None:
        raise InvalidInput(f"--around-address {text}: no address", hint="such as 192.0.2.1")
    host = f"[{text}]" if ":" in text else text
    if text and (fault := url_fault(f"https://{host}", allow_internal=allow_internal)):
        raise InvalidInput(f"--around-address: {fault[0]}", hint=fault[1])
    return text


def _select_targets(
    session: Session,
    names: list[str],
    filenames: list[str],
    asked: tuple[Probe, ...],
    allow_internal: bool,
    folders: list[str],
) -> list[VerifyTarget]:
    from difflib import get_close_matches

    from egressctl.catalog import lookup
    from egressctl.cli.options import TargetFlags
    from egressctl.cli.targets import requested_targets
    from egressctl.manifests.service_entry import exact_name
    from egressctl.mesh.client import look_up_entries
    from egressctl.verify.select import (
        entries_by_name,
        verify_target_for,
        verify_target_from_urls,
        verify_targets_for,
        verify_targets_from_manifests,
        verify_targets_on_server,
    )

    namespace = session.namespace
    if filenames:
        targets = requested_targets(names, TargetFlags(filename=filenames, allow_internal=allow_internal))
        session.remember_origins(targets)
        return verify_targets_for(session.mesh, targets, namespace, asked)
    if not names:
        return [verify_target_from_urls(asked, namespace)] if asked else verify_targets_on_server(session.mesh, namespace)
    found = []
    for name in names:
        exact, called = exact_name(name), lookup.kubernetes_name(name)
        if exact:
            there = [each for each in look_up_entries(session.mesh, [(namespace, exact)]) if each is not None]
        else:
            there = entries_by_name(session.mesh, namespace, called)
        if there:
            found += verify_targets_from_manifests(there, asked, bare=True)
        elif not exact and lookup.has_name(name, folders):
            found.append(verify_target_for(lookup.get_target(name, folders), namespace, None, asked))
        elif asked:
            found.append(verify_target_from_urls(asked, namespace, exact or f"{called}-ext", exact or name))
        elif exact:
            raise InvalidInput(
                f"there is no ServiceEntry {exact} in namespace {namespace}",
                hint=f"kubectl get serviceentries.networking.istio.io -n {namespace}",
            )
        else:
            near = get_close_matches(name, lookup.catalog_names())
            raise InvalidInput(
                f"there is no ServiceEntry {name}-ext or {name} in namespace {namespace}, and the catalogue has no {name}"
                + (f": did you mean {' or '.join(near)}?" if near else ""),
                hint=f"egressctl list shows what egressctl made; or say what to send: egressctl verify {name} --probe URL",
            )
    return found
