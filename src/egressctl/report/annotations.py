"""Findings as GitHub's workflow commands, which show each at its line of a pull request. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from egressctl.lint.rules import Finding
from egressctl.report.github import command


def lines(findings: Iterable[Finding]) -> str:
    """Return a line for each finding; one that stands in no file has its entry before the message."""
    found = []
    for each in findings:
        about_file = each.where.partition(":")[0] == each.file
        message = each.message if about_file or not each.where else f"{each.where}: {each.message}"
        message += f"\n{each.hint}" if each.hint else ""
        found.append(command(each.severity.value, message, each.rule, (each.file, each.line) if each.file else None))
    return "".join(f"{line}\n" for line in found)
