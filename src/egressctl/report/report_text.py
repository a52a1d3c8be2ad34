"""A Report in each output format. Pure: a value in, text out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from egressctl.model.result import Report, TargetResult
from egressctl.report.data_text import data_text, entry_names_text
from egressctl.report.lines import Line, plain_text
from egressctl.report.tree import draw_target
from egressctl.runtime.sanitize import neutralise


def report_text(report: Report, form: str, told: Iterable[str] = (), *, whole: bool = False) -> str:
    """Return the report in a format; a table begins with `told`, the lines that were printed while it came about."""
    if form in ("json", "yaml"):
        from egressctl.report.json_report import report_document  # imported late: 1 ms

        return data_text(report_document(report), form)
    if form == "name":
        return entry_names_text(name for target in report.targets for name in target.service_entries)
    if form == "junit":
        from egressctl.report.junit import junit  # imported late: 5 ms

        return junit(report)
    if form == "tap":
        from egressctl.report.tap import tap  # imported late: 2 ms

        return tap(report)
    failed = f"error: {neutralise(report.error.message)}\n" if report.error else ""
    return "".join(f"{line}\n" for line in told) + plain_text(report_lines(report, whole=whole)) + failed


def report_lines(report: Report, *, whole: bool = False) -> Iterator[Line]:
    """Draw what is to be said of a report's targets below the lines that were printed while it came about.

    That is every probe; where each target had a row of a table, those that did not hold, all with `whole`, and the sum.
    """
    for target in report.targets:
        if _is_drawn(target, report, whole):
            yield from draw_target(target)
    if report.planned is not None:
        from egressctl.report.summary import total_line  # imported late: 1 ms

        yield total_line(report.targets, report.planned)


def _is_drawn(target: TargetResult, report: Report, whole: bool) -> bool:
    if report.planned is None:
        return bool(target.probes or target.closure or target.parts_not_in_force)
    return bool(target.probes) and (whole or not all(probe.held for probe in target.probes))
