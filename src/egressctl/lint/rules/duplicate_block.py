"""The entry lists one block twice.

Istio accepts it, and uses one of the two. Often one of them should have been another block.

    addresses: [198.51.100.0/28, 198.51.100.0/28]

Remove one of them.
"""

from collections.abc import Iterator

from egressctl.lint.rule import LintedEntry, Place, Rule, Severity, Told
from egressctl.model.blocks import Block, parse_block


def check(case: LintedEntry) -> Iterator[Told]:
    first: dict[Block, str] = {}
    for index, address in enumerate(case.entry.addresses):
        block = parse_block(address)
        if block in first:
            told = f"{address} is here twice, first as {first[block]}"
            yield told, "keep one of them", ("spec", "addresses", index)
        elif block:
            first[block] = address


RULE = Rule("duplicate-block", Severity.WARNING, __doc__, check, Place.FILE)
