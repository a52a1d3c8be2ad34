"""Findings as GitHub's workflow commands, which show each at its line of a pull request. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from egressctl.neutral import neutralise
from egressctl.rules import Finding

_DATA = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_PROPERTY = {**_DATA, ":": "%3A", ",": "%2C"}


def annotation(level: str, message: str, properties: Mapping[str, object]) -> str:
    """Return one workflow command, `::error file=...,line=...::message`; properties that are empty or None are left out.

    Escaped as `command.ts` of actions/toolkit does; control characters are made visible, since the log shows the text.
    """
    told = ",".join(f"{key}={_escaped(str(value), _PROPERTY)}" for key, value in properties.items() if value not in ("", None))
    return f"::{level}{' ' + told if told else ''}::{_escaped(message, _DATA)}"


def lines(findings: Iterable[Finding]) -> str:
    """Return a line for each finding; one that stands in no file has its entry before the message."""
    found = []
    for each in findings:
        about_file = each.where.partition(":")[0] == each.file
        message = each.message if about_file or not each.where else f"{each.where}: {each.message}"
        message += f"\n{each.hint}" if each.hint else ""
        found.append(annotation(each.severity.value, message, {"file": each.file, "line": each.line, "title": each.rule}))
    return "".join(f"{line}\n" for line in found)


def _escaped(text: str, table: Mapping[str, str]) -> str:
    shown = "\n".join(neutralise(line) for line in text.split("\n"))
    return "".join(table.get(letter, letter) for letter in shown)
