"""`egressctl compare`: whether each probe takes the same path in two reports."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from egressctl.cli.console import say
from egressctl.cli.options import ConnectionFlags, OutputFlags, spread_flags
from egressctl.cli.session import Session
from egressctl.runtime.sanitize import neutralise


@spread_flags
def command(
    old: Annotated[str, typer.Argument(metavar="OLD", show_default=False)],
    new: Annotated[str, typer.Argument(metavar="NEW", show_default=False)],
    allow_unproven: Annotated[bool, typer.Option("--allow-unproven", help="Pass also when neither report has a proof.")] = False,
    *,
    output: OutputFlags,
) -> int:
    """Compare two reports by the path of each probe, not by its HTTP status: a check before and after an upgrade of Istio.

    A report is what verify and run print with -o json; - is stdin. It does not use a Kubernetes cluster. Exit code 0: every
    probe takes the path that it took, and none got worse. 1: a probe takes another path, got worse, or is gone. 2: a file is
    not a report. 3: the path of a probe is not known. 4: neither report has a proof.

    \b
    Examples:
      egressctl verify -o json > before.json
      egressctl compare before.json after.json
      egressctl verify -o json | egressctl compare before.json -
      egressctl compare before.json after.json -o json
    """
    from egressctl.report.compare import compare_reports, exit_code  # imported late: 33 ms
    from egressctl.report.compare_formats import comparison_content
    from egressctl.report.reader import load_reports

    session = Session("compare", ConnectionFlags(), output)
    before, after = load_reports(old, new)
    found = compare_reports(before, after)
    for report in (before, after):
        if report.error:
            say(f"warning: {neutralise(f'{report.source} is of a {report.command} that was not finished: {report.error}')}")
    content = partial(comparison_content, before, after, found, whole=output.verbosity > 0)
    return session.end(content, exit_code(found, allow_unproven=allow_unproven))
