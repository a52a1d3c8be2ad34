"""`egressctl rule`: what a rule of lint means, an example of what it finds, and how to fix it."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from egressctl.cli.options import ConnectionFlags, OutputFlags, spread_flags
from egressctl.cli.session import Session
from egressctl.errors import InvalidInput
from egressctl.report.data_text import data_text, document
from egressctl.report.lines import table_text

if TYPE_CHECKING:
    from egressctl.lint.rule import Rule


@spread_flags
def command(
    name: Annotated[str | None, typer.Argument(metavar="[RULE]", show_default=False)] = None, *, output: OutputFlags
) -> int:
    """Explain a rule of lint: its meaning, an example of what it finds, and how to fix it. Without a name, list the rules.

    It does not use a Kubernetes cluster.

    \b
    Examples:
      egressctl rule host-bits
      egressctl rule
      egressctl rule -o name
      egressctl rule host-bits -o json
    """
    from egressctl.lint.rule import RULES, parse_rule_names  # imported late: 22 ms

    session = Session("rule", ConnectionFlags(), output)
    if name is not None and name not in parse_rule_names([name], "rule"):
        raise InvalidInput("rule takes one name", hint="egressctl rule lists them")
    chosen = [RULES[each] for each in RULES if name in (None, each)]

    def content(form: str, _: int) -> str:
        if form in ("json", "yaml"):
            items = [_data(each) for each in chosen]
            return data_text(items[0] if name else document("RuleList", items=items), form)
        if form == "name":
            return "".join(f"{each.id}\n" for each in chosen)
        return _page(chosen[0]) if name else _list(chosen)

    return session.end(content)


def _data(rule: Rule) -> dict[str, Any]:
    from egressctl.lint.rule_page import page_of_rule  # imported late: 23 ms

    page = page_of_rule(rule)
    return document(
        "Rule",
        name=rule.id,
        severity=rule.severity.value,
        origin=rule.origin,
        meaning=page.meaning,
        why=list(page.why),
        example=[{"file": each.file, "text": each.text} for each in page.examples],
        fix=list(page.fix),
    )


def _page(rule: Rule) -> str:
    from egressctl.lint.rule_page import page_of_rule  # imported late: 23 ms

    page = page_of_rule(rule)
    parts = [f"{rule.id} ({rule.severity})", *map(_wrapped, (page.meaning, *page.why)), "An example:"]
    for each in page.examples:
        parts += [_wrapped(each.lead)] * bool(each.lead) + [textwrap.indent(f"# {each.file}\n{each.text}".rstrip(), "  ")]
    return "\n\n".join([*parts, "How to fix it:", *map(_wrapped, page.fix)]) + "\n"


def _wrapped(paragraph: str) -> str:
    return textwrap.fill(paragraph, 100, break_long_words=False, break_on_hyphens=False)


def _list(rules: list[Rule]) -> str:
    return table_text([("RULE", "SEVERITY", "MEANING"), *((each.id, each.severity.value, each.meaning) for each in rules)])
