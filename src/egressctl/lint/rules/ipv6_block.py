"""The entry lists IPv6, which the sidecar of an IPv4-only pod never routes.

It costs a filter chain anyway, and does no harm.

    addresses: [198.51.100.0/28, "2001:db8::/48"]

Remove it, unless the pods have IPv6 (dual-stack or IPv6 alone).
"""

from collections.abc import Iterator

from egressctl.lint.rule import LintedEntry, Place, Rule, Severity, Told
from egressctl.model.blocks import parse_block


def check(case: LintedEntry) -> Iterator[Told]:
    for index, address in enumerate(case.entry.addresses):
        if (block := parse_block(address)) and block.version == 6 and not block.mapped_ipv4:
            told = f"{address} is IPv6: the sidecar of an IPv4-only pod does not route it"
            yield told, "leave it out, unless the pods have IPv6", ("spec", "addresses", index)
            return


RULE = Rule("ipv6-block", Severity.WARNING, __doc__, check, Place.FILE)
