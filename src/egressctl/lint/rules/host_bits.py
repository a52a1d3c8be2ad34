"""A block has host bits set, which Istio ignores.

Istio reads `198.51.100.7/28` as `198.51.100.0/28`. A reader may think that it is less, or more.

    addresses: [198.51.100.7/28]

Write the block without them, or `/32` (IPv6: `/128`) for one address.
"""

from collections.abc import Iterator

from egressctl.lint.rule import LintedEntry, Place, Rule, Severity, Told
from egressctl.model.blocks import has_host_bits, parse_block


def check(case: LintedEntry) -> Iterator[Told]:
    for index, address in enumerate(case.entry.addresses):
        if has_host_bits(address):
            right = f"write {parse_block(address)}"
            yield f"{address} has host bits set, which Istio ignores", right, ("spec", "addresses", index)


RULE = Rule("host-bits", Severity.WARNING, __doc__, check, Place.FILE)
