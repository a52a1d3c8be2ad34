"""Report to GitHub Actions, where it runs the command: annotations as lines on stderr, and the step's summary in its file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from egressctl.cli.console import say
from egressctl.errors import Problem

if TYPE_CHECKING:
    from egressctl.model.probe import Origin
    from egressctl.model.result import ProbeResult, Report, TargetResult
    from egressctl.report.github import FilePosition


def report_to_github(report: Report, origins: Mapping[tuple[str | None, str], Origin], problems: Sequence[Problem] = ()) -> None:
    """Print annotations and append to the summary. That GitHub's file cannot be written to changes nothing.

    `origins` says where targets stand, by namespace (None where the file leaves it open) and name.
    """
    from egressctl.report.github import LONGEST_SUMMARY, report_annotations, step_summary  # imported late: 46 ms

    def find(target: TargetResult, probe: ProbeResult | None) -> FilePosition | None:
        origin = origins.get((target.namespace, target.name)) or origins.get((None, target.name))
        if origin is None or not _is_file(origin.file):
            return None
        line = origin.probes.get(probe.probe.name) if probe else None
        return path_in_repository(origin.file), line or origin.line

    placed = [replace(each, source=path_in_repository(each.source) if _is_file(each.source) else "") for each in problems]
    for line in report_annotations(report, find, placed):
        say(line)
    if path := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            with open(path, "ab") as file:
                file.write(step_summary(report, LONGEST_SUMMARY - file.tell()).encode("utf-8", "backslashreplace"))
        except OSError as error:
            say(f"warning: the step's summary could not be written: {(error.strerror or str(error)).lower()}")


def _is_file(source: str) -> bool:
    return source not in ("", "stdin", "standard input")


def path_in_repository(path: str) -> str:
    """Return a file's path from the root of what GitHub checked out, by which it finds the file; else the path as it is."""
    root, place = os.path.realpath(os.environ.get("GITHUB_WORKSPACE") or "."), os.path.realpath(path)
    return os.path.relpath(place, root) if os.path.commonpath([place, root]) == root else path
