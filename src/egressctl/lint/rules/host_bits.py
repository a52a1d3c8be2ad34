"""A block has host bits set, which Istio ignores.

Istio reads `198.51.100.7/28` as `198.51.100.0/28`. A reader may think that it is less, or more.

    addresses: [198.51.100.7/28]

Write the block without them, or `/32` for one address.
"""

from collections.abc import Iterator

from egressctl.lint.rule import LintedEntry, Place, Rule, Severity, Told
from egressctl.model.blocks import parse_block


def check(case: LintedEntry) -> Iterator[Told]:
    for index, address in enumerate(case.entry.addresses):
        block = parse_block(address)
        if block and block.version == 4 and "/" in address and str(block) != address:
            yield f"{address} has host bits set, which Istio ignores", f"write {block}", ("spec", "addresses", index)


RULE = Rule("host-bits", Severity.WARNING, __doc__, check, Place.FILE)
