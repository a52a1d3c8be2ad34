"""`egressctl compare`: whether each probe is carried as it was, from one report to the next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from egressctl.cli.options import OutputFlags, spread_flags
from egressctl.errors import InvalidInput, Problem

if TYPE_CHECKING:
    from egressctl.report.reader import RecordedReport

_HELP = """Compare two reports by what carried each probe, not by status: the gate before and after an upgrade of Istio.

Reports are what verify and run print with -o json; - is stdin. Nothing is asked of a Kubernetes cluster. Exit code 0: every
probe is carried as it was, and none got worse; 1: something else carries one, one got worse, or is gone; 2: a file is no
report; 3: what carried a probe is not known; 4: no proof in either.

\b
Examples:
  egressctl verify -o json > before.json
  egressctl compare before.json after.json
  egressctl verify -o json | egressctl compare before.json -
  egressctl compare before.json after.json -o json
"""


def register(app: typer.Typer, name: str, short: str) -> None:
    """Add the command to the application."""
    app.command(name, help=_HELP, short_help=short)(compare)


@spread_flags
def compare(
    old: Annotated[str, typer.Argument(metavar="OLD", show_default=False)],
    new: Annotated[str, typer.Argument(metavar="NEW", show_default=False)],
    allow_unproven: Annotated[bool, typer.Option("--allow-unproven", help="Pass where neither report has a proof.")] = False,
    *,
    output: OutputFlags,
) -> int:
    """Translate flags into egressctl.report.compare.compare_reports."""
    from egressctl.cli.console import print_lines, say
    from egressctl.cli.session import print_data
    from egressctl.report import compare as use_case
    from egressctl.report import compare_formats
    from egressctl.runtime.sanitize import neutralise

    output.check()
    output.refuse_files("compare")
    before, after = _read_reports(old, new)
    found = use_case.compare_reports(before, after)
    code = use_case.exit_code(found, allow_unproven=allow_unproven)
    for report in (before, after):
        if report.error:
            say(f"warning: {neutralise(f'{report.source} is of a {report.command} that was not finished: {report.error}')}")
    if output.shown in ("json", "yaml"):
        print_data(compare_formats.comparison_document(before, after, found, code), output.shown)
    elif output.shown == "name":
        for each in found:
            if each.change is not use_case.ProbeChange.SAME:
                print(neutralise(str(each.key)))
    else:
        print_lines(compare_formats.comparison_lines(before, after, found, everything=output.verbosity > 0))
    return code


def _read_reports(old: str, new: str) -> tuple[RecordedReport, RecordedReport]:
    """Read both reports. Raises InvalidInput with the problems of both."""
    from egressctl.report.reader import load_report

    if old == new == "-":
        raise InvalidInput("compare - -: standard input holds one report", hint="name a file for the other")
    found: list[RecordedReport] = []
    problems: list[Problem] = []
    for path in (old, new):
        try:
            found.append(load_report(path))
        except InvalidInput as refused:
            problems += refused.problems
    if problems:
        raise InvalidInput(problems=problems)
    return found[0], found[1]
