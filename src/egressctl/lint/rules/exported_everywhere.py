"""The entry has no `exportTo` and opens the egress for every namespace.

That is Istio's default, unless the mesh's `defaultServiceExportTo` says something else. Often nobody wants it.

    exportTo:

Write `exportTo: ["."]` for the entry's own namespace, or `["*"]` for all namespaces.
"""

from collections.abc import Iterator

from egressctl.istio.export_to import is_public
from egressctl.lint.rule import LintedEntry, Rule, Severity, Told
from egressctl.lint.rules import broadly_exported


def check(case: LintedEntry) -> Iterator[Told]:
    if not case.entry.export_to and is_public(case.entry) and not any(broadly_exported.check(case)):
        right = 'exportTo: ["."] or --export-to . limits it to its own namespace'
        yield "it has no exportTo and opens the egress for every namespace", right, ("spec",)


RULE = Rule("exported-everywhere", Severity.WARNING, __doc__, check)
