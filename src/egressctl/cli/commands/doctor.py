"""`egressctl doctor`: what is missing on the way to a proof, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from egressctl.cli.console import plain_text, print_lines
from egressctl.cli.options import ConnectionFlags, OutputFlags, SourceFlags, spread_flags
from egressctl.cli.session import Session, data_text, print_data, source_choice
from egressctl.errors import CouldNotAsk, InvalidInput
from egressctl.runtime.sanitize import neutralise

if TYPE_CHECKING:
    from egressctl.report.tree import Line
    from egressctl.verify.doctor import Check

_HELP = """Say what is missing on the way to a proof: API server, rights, Istio, namespace, source pod, sidecar, curl.

Nothing is changed. Each line says ok (✔), warning (!) or error (✘), why, and what to type. The exit code is 0 where
there is no error, and 3 where there is one: a command would end so.

\b
Examples:
  egressctl doctor
  egressctl doctor -n shop --pod deploy/checkout
  egressctl doctor --context production -o json
"""

_MARKS = {"ok": ("green", "✔"), "warning": ("yellow", "!"), "error": ("red", "✘")}
_WIDTH = len("outbound-policy")


def register(app: typer.Typer, name: str, short: str) -> None:
    """Add the command to the application."""
    app.command(name, help=_HELP, short_help=short)(doctor)


@spread_flags
def doctor(*, source: SourceFlags, connection: ConnectionFlags, output: OutputFlags) -> int:
    """Translate flags into egressctl.verify.doctor.examine."""
    from egressctl.verify.doctor import Status, examine

    if "name" in output.wanted:
        raise InvalidInput("--output name: doctor prints table, json or yaml")
    session = Session("doctor", connection, output)
    found = []
    for check in examine(lambda: session.mesh, connection.namespace, source_choice(source)):
        session.progress.stop()
        found.append(check)
        if output.shown == "table":
            print_lines(_lines(check))
    code = CouldNotAsk.exit_code if any(each.status is Status.ERROR for each in found) else 0
    if output.shown != "table":
        print_data(_document(found, code), output.shown)
    return session.publish(lambda form, code: _text(found, form, code), code)


def _text(found: list[Check], form: str, code: int) -> str:
    if form == "table":
        return plain_text(line for check in found for line in _lines(check))
    return data_text(_document(found, code), form)


def _lines(check: Check) -> Iterator[Line]:
    style, mark = _MARKS[check.status]
    yield (style, mark), ("", f" {check.name:<{_WIDTH}}  {neutralise(check.message)}")
    if check.hint:
        yield (("", " " * (_WIDTH + 4)), ("dim", neutralise(check.hint)))


def _document(found: list[Check], code: int) -> dict[str, Any]:
    return {
        "apiVersion": "egressctl.dev/v1alpha1",
        "kind": "DoctorReport",
        "exitCode": code,
        "checks": [
            {"name": each.name, "status": str(each.status), "message": each.message, "hint": each.hint or None} for each in found
        ],
    }
