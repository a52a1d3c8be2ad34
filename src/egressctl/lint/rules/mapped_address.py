"""An IPv4 address is written as IPv6, and no connection is made to that.

Istio takes `::ffff:198.51.100.7`, and makes a listener or a filter chain of IPv6 of it. A client that connects to it connects to
198.51.100.7, and Envoy looks for that.

    addresses: ["::ffff:198.51.100.7"]

Write it as IPv4.
"""

from collections.abc import Iterator

from egressctl.lint.rule import LintedEntry, Rule, Severity, Told
from egressctl.model.blocks import parse_block


def check(case: LintedEntry) -> Iterator[Told]:
    for index, address in enumerate(case.entry.addresses):
        if (block := parse_block(address)) and (plain := block.mapped_ipv4):
            told = f"{address} is an IPv4 address written as IPv6, and no connection is made to that"
            yield told, f"write {plain.address if plain.is_one_address else plain}", ("spec", "addresses", index)


RULE = Rule("mapped-address", Severity.WARNING, __doc__, check)
