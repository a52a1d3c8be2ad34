"""What lint found, in each of its output formats. Pure: findings in, text out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from egressctl.lint.rule import Finding, LintResult
from egressctl.report.data_text import data_text, document
from egressctl.runtime.sanitize import neutralise

FORMATS = ("table", "json", "yaml", "name", "sarif", "github")


def lint_text(linted: LintResult, form: str, code: int, folder: str, *, hints: bool = True) -> str:
    """Return the findings in one of FORMATS, with the line's end, and nothing where that is nothing.

    `code` is the exit code, `folder` the absolute path of the folder that files are named from, `hints` whether a table has
    what to do below each finding.
    """
    if form in ("json", "yaml"):
        return data_text(lint_document(linted, code), form)
    if form == "sarif":
        from egressctl.report.sarif import sarif  # imported late: 6 ms

        return data_text(sarif(linted.findings, folder), "json")
    if form == "github":
        from egressctl.report.github import lint_annotations  # imported late: 23 ms

        return lint_annotations(linted.findings)
    lines = dict.fromkeys(neutralise(each.where) for each in linted.findings) if form == "name" else _table_lines(linted, hints)
    return "".join(f"{line}\n" for line in lines)


def lint_document(linted: LintResult, code: int) -> dict[str, Any]:
    """Return the LintReport, schema version egressctl.dev/v1alpha1."""
    return document(
        "LintReport", exitCode=code, findings=[_finding(each) for each in linted.findings], notLookedAt=list(linted.not_looked_at)
    )


def _finding(finding: Finding) -> dict[str, Any]:
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


def _table_lines(linted: LintResult, hints: bool) -> Iterator[str]:
    for each in linted.findings:
        place = f"{each.file}:{each.line}" if each.file and each.line else each.file
        told = ": ".join(dict.fromkeys(part for part in (place, each.where, each.message) if part))
        yield neutralise(f"{each.severity:<7}  {each.rule}  {told}")
        if each.hint and hints:
            yield neutralise(f"         {each.hint}")
