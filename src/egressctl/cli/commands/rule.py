"""`egressctl rule`: what a rule of lint means, an example of what it finds, and how to mend it."""

from __future__ import annotations

import sys
import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egressctl.cli.console import text_for_stream
from egressctl.cli.options import OutputFlags, spread_flags
from egressctl.errors import InvalidInput

if TYPE_CHECKING:
    from egressctl.lint.rule import Rule

_HELP = """Say what a rule of lint means, with an example of what it finds, and how to mend it; without a name, list the rules.

Nothing is asked of a Kubernetes cluster.

\b
Examples:
  egressctl rule host-bits
  egressctl rule
  egressctl rule -o name
  egressctl rule host-bits -o json
"""


def register(app: typer.Typer, name: str, short: str) -> None:
    """Add the command to the application."""
    app.command(name, help=_HELP, short_help=short)(rule)


@spread_flags
def rule(name: Annotated[str | None, typer.Argument(metavar="[RULE]", show_default=False)] = None, *, output: OutputFlags) -> int:
    """Print one rule of egressctl.lint.rule.RULES, or the list of them. Raises InvalidInput for one that there is not."""
    from egressctl.lint.rule import RULES, parse_rule_names

    output.check()
    output.refuse_files("rule")
    if name is not None and name not in parse_rule_names([name], "rule"):
        raise InvalidInput("rule takes one name", hint="egressctl rule lists them")
    chosen = [RULES[each] for each in RULES if name in (None, each)]
    if output.shown in ("json", "yaml"):
        from egressctl.cli.session import print_data  # imported late: 30 ms

        items = [_data(each) for each in chosen]
        print_data(
            items[0] if name else {"apiVersion": "egressctl.dev/v1alpha1", "kind": "RuleList", "items": items}, output.shown
        )
    elif output.shown == "name":
        print("\n".join(each.id for each in chosen))
    else:
        print(text_for_stream(sys.stdout, _page(chosen[0]) if name else _list(chosen)), end="")
    return 0


def _data(rule: Rule) -> dict[str, Any]:
    from egressctl.lint.rule_page import page_of_rule

    page = page_of_rule(rule)
    return {
        "apiVersion": "egressctl.dev/v1alpha1",
        "kind": "Rule",
        "name": rule.id,
        "severity": rule.severity.value,
        "origin": rule.origin,
        "meaning": page.meaning,
        "why": list(page.why),
        "example": [{"file": each.file, "text": each.text} for each in page.examples],
        "fix": list(page.mend),
    }


def _page(rule: Rule) -> str:
    from egressctl.lint.rule_page import page_of_rule

    page = page_of_rule(rule)
    parts = [f"{rule.id} ({rule.severity})", *map(_wrapped, (page.meaning, *page.why)), "An example:"]
    for each in page.examples:
        parts += [_wrapped(each.lead)] * bool(each.lead) + [textwrap.indent(f"# {each.file}\n{each.text}".rstrip(), "  ")]
    return "\n\n".join([*parts, "How to fix it:", *map(_wrapped, page.mend)]) + "\n"


def _wrapped(paragraph: str) -> str:
    return textwrap.fill(paragraph, 100, break_long_words=False, break_on_hyphens=False)


def _list(rules: list[Rule]) -> str:
    from egressctl.report.columns import align_columns

    rows = [("RULE", "SEVERITY", "MEANING"), *((each.id, each.severity.value, each.meaning) for each in rules)]
    return "".join(f"{line}\n" for line in align_columns(rows))
