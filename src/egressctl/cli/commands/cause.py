"""`egressctl cause`: what the cause of a verdict means, how it is reported, and what to type next."""

from __future__ import annotations

import re
import textwrap
from typing import Annotated, Any

import typer

from egressctl.cli.options import ConnectionFlags, OutputFlags, spread_flags
from egressctl.cli.session import Session
from egressctl.errors import InvalidInput
from egressctl.model.cause import CauseCode
from egressctl.report.data_text import data_text, document
from egressctl.report.lines import table_text


@spread_flags
def command(
    code: Annotated[str | None, typer.Argument(metavar="[CODE]", show_default=False)] = None, *, output: OutputFlags
) -> int:
    """Explain the cause of a verdict: its meaning, its sentence, and what to type next. Without a code, list the causes.

    It does not use a Kubernetes cluster.

    \b
    Examples:
      egressctl cause rival-entry
      egressctl cause
      egressctl cause -o name
      egressctl cause rival-entry -o json
    """
    session = Session("cause", ConnectionFlags(), output)
    if code is not None and code not in list(CauseCode):
        import difflib  # imported late: 2 ms

        near = difflib.get_close_matches(code.lower(), list(CauseCode), 3)
        offer = f"did you mean {' or '.join(near)}?" if near else "egressctl cause lists them"
        raise InvalidInput(f'cause: there is no cause "{code}"', hint=offer)
    chosen = [each for each in CauseCode if code in (None, each)]

    def content(form: str, _: int) -> str:
        if form in ("json", "yaml"):
            items = [_data(each) for each in chosen]
            return data_text(items[0] if code else document("CauseList", items=items), form)
        if form == "name":
            return "".join(f"{each}\n" for each in chosen)
        return _page(chosen[0]) if code else table_text([("CAUSE", "MEANING"), *((str(each), each.meaning) for each in chosen)])

    return session.end(content)


def _data(cause: CauseCode) -> dict[str, Any]:
    told = [{"sentence": _placeholders(each.sentence), "next": _placeholders(each.step)} for each in cause.wordings]
    return document("Cause", name=str(cause), meaning=cause.meaning, wordings=told)


def _page(cause: CauseCode) -> str:
    parts = [str(cause), textwrap.fill(cause.meaning, 100)]
    for each in cause.wordings:
        # A command is not wrapped: it is to be copied.
        parts += [textwrap.fill(_placeholders(each.sentence), 100, initial_indent="cause  ", subsequent_indent="       ")]
        parts[-1] += f"\nnext   {_placeholders(each.step)}"
    return "\n\n".join(parts) + "\n"


def _placeholders(template: str) -> str:
    """Write what is filled in as the help of a command does: `{pod_namespace}` as POD_NAMESPACE."""
    return re.sub(r"\{(\w+)\}", lambda found: found[1].upper(), template).replace("{{", "{").replace("}}", "}")
