"""A block has host bits set, which count for nothing.

Istio takes it: `198.51.100.7/28` is `198.51.100.0/28`. Whoever reads it may take it for less, or more.

    addresses: [198.51.100.7/28]

Write the block without them, or `/32` where one address is meant.
"""

from collections.abc import Iterator

from egressctl.lint.rule import LintedEntry, Place, Rule, Severity, Told
from egressctl.model.blocks import parse_block


def check(case: LintedEntry) -> Iterator[Told]:
    for index, address in enumerate(case.entry.addresses):
        block = parse_block(address)
        if block and block.version == 4 and "/" in address and str(block) != address:
            yield f"{address} has host bits set, which count for nothing", f"write {block}", ("spec", "addresses", index)


RULE = Rule("host-bits", Severity.WARNING, __doc__, check, Place.FILE)
