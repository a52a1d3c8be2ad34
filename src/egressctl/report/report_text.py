"""A Report in each output format. Pure: a value in, text out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from egressctl.model.result import Report, TargetResult
from egressctl.report.data_text import data_text, entry_names_text
from egressctl.report.lines import Line, plain_text
from egressctl.report.target_lines import draw_targets, is_drawn
from egressctl.runtime.sanitize import neutralise


def report_text(report: Report, form: str, told: Iterable[str] = (), *, show_paths: bool = False, quiet: bool = False) -> str:
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
    lines = report_lines(report, show_paths=show_paths, quiet=quiet)
    return "".join(f"{line}\n" for line in told) + plain_text(lines) + failed


def report_lines(report: Report, *, show_paths: bool = False, quiet: bool = False, told: int = 0) -> Iterator[Line]:
    """Draw what is to be said of a report's targets below the lines that were printed while it came about.

    That is every target and probe but the `told` first, of which it was said. Where each target had a row of a table, those not
    as expected are drawn, and the sum. `show_paths` draws the path of every probe; `quiet` leaves a line a target.
    """
    drawn = [target for target in report.targets[told:] if _is_drawn(target, report, show_paths=show_paths, quiet=quiet)]
    yield from draw_targets(drawn, allow_unproven=report.allow_unproven, show_paths=show_paths, quiet=quiet)
    if report.planned is not None:
        from egressctl.report.summary import total_line  # imported late: 1 ms

        if drawn and not quiet:
            yield ()
        yield total_line(report.targets, report.planned)


def _is_drawn(target: TargetResult, report: Report, *, show_paths: bool, quiet: bool) -> bool:
    if report.planned is None:
        return is_drawn(target)
    return bool(target.probes) and not quiet and (show_paths or not all(probe.held for probe in target.probes))
