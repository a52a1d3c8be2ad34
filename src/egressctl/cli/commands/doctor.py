"""`egressctl doctor`: what is missing on the way to a proof, line by line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from egressctl.cli.options import ConnectionFlags, OutputFlags, SourceFlags, spread_flags
from egressctl.cli.session import Session
from egressctl.errors import CouldNotAsk, InvalidInput
from egressctl.report.data_text import data_text, document
from egressctl.report.lines import Content, Line
from egressctl.runtime.sanitize import neutralise

if TYPE_CHECKING:
    from egressctl.verify.doctor import Check

_MARKS = {"ok": ("green", "✔"), "warning": ("yellow", "!"), "error": ("red", "✘")}
_WIDTH = len("outbound-policy")


@spread_flags
def command(*, source: SourceFlags, connection: ConnectionFlags, output: OutputFlags) -> int:
    """Find what is missing for a proof: API server, rights, Istio, namespace, source pod, sidecar, curl.

    It changes nothing. Each line says ok (✔), warning (!) or error (✘), why, and what to type. The exit code is 0 if there is
    no error, and 3 if there is one, as the other commands would end.

    \b
    Examples:
      egressctl doctor
      egressctl doctor -n shop --pod deploy/checkout
      egressctl doctor --context production -o json
    """
    from egressctl.verify.doctor import Status, examine  # imported late: 61 ms

    if "name" in output.wanted:
        raise InvalidInput("--output name: doctor prints table, json or yaml")
    session = Session("doctor", connection, output)
    found = []
    for check in examine(lambda: session.mesh, connection.namespace, source.choice):
        found.append(check)
        if output.shown == "table":
            session.progress.lines(_lines(check))
    code = CouldNotAsk.exit_code if any(each.status is Status.ERROR for each in found) else 0
    code = session.publish(partial(_content, found), code)
    session.progress.print(() if output.shown == "table" else _content(found, output.shown, code))
    return code


def _content(found: Sequence[Check], form: str, code: int) -> Content:
    if form == "table":
        return (line for check in found for line in _lines(check))
    checks = [
        {"name": each.name, "status": str(each.status), "message": each.message, "hint": each.hint or None} for each in found
    ]
    return data_text(document("DoctorReport", exitCode=code, checks=checks), form)


def _lines(check: Check) -> Iterator[Line]:
    style, mark = _MARKS[check.status]
    yield (style, mark), ("", f" {check.name:<{_WIDTH}}  {neutralise(check.message)}")
    if check.hint:
        yield (("", " " * (_WIDTH + 4)), ("dim", neutralise(check.hint)))
