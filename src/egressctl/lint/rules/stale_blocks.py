"""The entry is for a target of the catalogue, but does not list the blocks that are published.

lint compares an entry that has a host of the target and some of its blocks, or at least two of its blocks that are half of the
entry's own. It reports the blocks that are missing, that have moved, and that are gone.

This is Istio's task of 2018:

    metadata: {name: wikipedia-ext}
    hosts: [wikipedia.org]
    addresses:
    - 91.198.174.192/27
    - 103.102.166.224/27
    - 198.35.26.96/27
    - 208.80.153.224/27
    - 208.80.154.224/27

Add what is missing, and remove what is gone: `egressctl render wikipedia` prints the present list. If the entry opens only a
part on purpose, say so: `# egressctl: ignore=stale-blocks`.
"""

from collections.abc import Iterator, Sequence

from egressctl.lint.known_targets import PublishedBlock
from egressctl.lint.rule import LintedEntry, Rule, Severity, Told
from egressctl.manifests.yaml_reader import ValuePath
from egressctl.model.blocks import BlockSet, parse_block, parse_blocks
from egressctl.runtime.sanitize import quote

_SAME_NETWORK_PREFIX = {4: 24, 6: 48}
"""By IP version: a block that moved stays within a network of that prefix length; what is elsewhere is a new one."""

_MOST_MISSING_BLOCKS = 10
"""So many blocks that an entry misses are reported, and of the others how many there are."""


def check(case: LintedEntry) -> Iterator[Told]:
    """Find what an entry lists otherwise than is published of the target that it is for.

    It is for the one whose host it names and of whose blocks it lists some, or of whose blocks it lists two or more that are
    at least half of its own.
    """
    entry = case.entry
    own = [(index, address, block) for index, address in enumerate(entry.addresses) if (block := parse_block(address))]
    hosts = {host.lower() for host in entry.hosts}
    meant = [(sum(each.past_and_present.holds(address) for _, address, _ in own), each) for each in case.known if each.published]
    meant = [(count, each) for count, each in meant if count and (hosts & each.hosts or 2 <= count >= len(own) / 2)]
    if not meant:
        return
    _, target = max(meant, key=lambda each: each[0])
    # A target that lists nothing of IPv6 says nothing of it.
    families = {block.version for block in parse_blocks(each.address for each in (*target.published, *target.retired))}
    own = [each for each in own if each[2].version in families]
    blocks = BlockSet(entry.addresses)
    listed = f"the catalogue's {target.name}" + (f" (list of {target.checked})" if target.checked else "")
    show = f"egressctl render {quote(target.name)} prints the blocks that are published"
    missing = [each for each in target.published if not blocks.holds(each.address)]
    for each in missing[:_MOST_MISSING_BLOCKS]:
        before = [
            (index, old)
            for index, _, block in own
            for old in target.retired
            if old.name == each.name and parse_block(old.address) == block
        ]
        path: ValuePath = ("spec", "addresses", before[0][0]) if before else ("spec", "addresses")
        yield _missing_block_message(each, [old for _, old in before], listed), show, path
    if len(missing) > _MOST_MISSING_BLOCKS:
        told = f"it misses {len(missing) - _MOST_MISSING_BLOCKS} more blocks of {listed}"
        yield told, show, ("spec", "addresses")
    for index, address, block in own:
        old = next((each for each in target.retired if (was := parse_block(each.address)) and was.holds(block)), None)
        if target.present.holds(address) or not (old or hosts <= target.hosts):
            continue
        told = f"{address} is none of the blocks of {listed}"
        if old:
            told = f"{address} is {old.name}'s of {listed} no more" + (f", since {old.since}" if old.since else "")
        yield told, f"take it out; {show}", ("spec", "addresses", index)


def _missing_block_message(each: PublishedBlock, before: Sequence[PublishedBlock], listed: str) -> str:
    """Say that a block is missing; one that moved within its own network has moved, and one that left it is another."""
    if not before:
        return f"it misses {each} of {listed}"
    old, new = parse_block(before[0].address), parse_block(each.address)
    if old and new and old.cut(_SAME_NETWORK_PREFIX[old.version]).overlaps(new.cut(_SAME_NETWORK_PREFIX[new.version])):
        return f"{each.name} of {listed} has moved from {before[0].address} to {each.address}, which it does not list"
    return f"it misses {each} of {listed}: {before[0].address}, which it lists, is the old {each.name}"


RULE = Rule("stale-blocks", Severity.WARNING, __doc__, check)
