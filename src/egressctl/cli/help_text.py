"""The help of a command with its flags in groups, those that matter first. Plain text, which needs no rich."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typer.core import TyperCommand

_LONGEST_NAME = 30
"""A flag with a longer name has its help on the next line, as click has it."""

FIRST: Mapping[str, tuple[str, ...]] = {
    "create": ("--filename", "--namespace", "--export-to", "--with-source", "--dry-run"),
    "verify": ("--filename", "--probe", "--all", "--all-namespaces", "--expect", "--namespace"),
    "cleanup": ("--filename", "--all", "--all-namespaces", "--yes", "--dry-run", "--namespace"),
    "run": ("--filename", "--with-source", "--keep", "--output", "--namespace"),
    "render": ("--filename", "--export-to", "--probe", "--api-version", "--namespace"),
    "diff": ("--filename", "--export-to", "--force-conflicts", "--output", "--namespace"),
}
"""By the command: the flags that its help names before all groups, in this order."""

_HEADINGS = ("Options", "Target", "Source pod", "Apply", "Probes", "Wait", "Connection", "Output")
"""In the order of the help; "Options" are the flags of no group, and the first ones."""


class GroupedCommand(TyperCommand):
    """A command whose help shows its flags under the heading of their group (`rich_help_panel`), or under none."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments, the flags that matter, and each group of the others."""
        arguments: list[tuple[str, str]] = []
        sections: dict[str, list[tuple[str, str]]] = {heading: [] for heading in _HEADINGS}
        first = FIRST.get(self.name or "", ("--namespace",))
        shown = [(param, record) for param in self.get_params(ctx) if (record := param.get_help_record(ctx)) is not None]

        def rank(param: Any) -> int:
            return min((first.index(name) for name in param.opts if name in first), default=len(first))

        for param, record in sorted(shown, key=lambda each: rank(each[0])):
            heading = "Options" if rank(param) < len(first) else getattr(param, "rich_help_panel", None) or "Options"
            (arguments if param.param_type_name == "argument" else sections.setdefault(heading, [])).append(record)
        # One column for all of them.
        width = min(_LONGEST_NAME, max(len(name) for records in sections.values() for name, _ in records))
        aligned = {heading: [(name.ljust(width), text) for name, text in records] for heading, records in sections.items()}
        for heading, records in {"Arguments": arguments, **aligned}.items():
            if records:
                with formatter.section(heading):
                    formatter.write_dl(records)
