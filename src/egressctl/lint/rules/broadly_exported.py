"""An entry that every namespace sees opens 65,536 addresses or more.

What one team needs is then open to all teams. An entry without `exportTo` is public.

    addresses: [198.18.0.0/15]
    exportTo: ["*"]

Limit it: `exportTo: ["."]` for its own namespace, or a list of the namespaces that need it.
"""

from collections.abc import Iterator

from egressctl.istio.export_to import is_public
from egressctl.lint.rule import LintedEntry, Rule, Severity, Told
from egressctl.model.blocks import BlockSet

BROAD_ADDRESS_COUNT = 65_536
"""So many addresses make an entry a broad one: a /16."""


def check(case: LintedEntry) -> Iterator[Told]:
    entry = case.entry
    if not is_public(entry):
        return
    count = BlockSet(address for address in entry.addresses if ":" not in address).size
    if count >= BROAD_ADDRESS_COUNT:
        told = f"it opens {count:,} addresses for every namespace" + ("" if entry.export_to else ", since it has no exportTo")
        yield told, 'exportTo: ["."] limits it to its own namespace', ("spec",)


RULE = Rule("broadly-exported", Severity.WARNING, __doc__, check)
