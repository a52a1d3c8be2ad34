"""A block of a TCP port belongs to a content delivery network: every site behind it is open.

On a TCP port only the address decides. Countless sites share the blocks (/24 or more, of IPv6 /48 or more) of Cloudflare,
Fastly, Amazon CloudFront, Akamai or Google's front ends; one of them may be an attacker's. lint skips ports of protocol TLS and
HTTP: there the name decides.

    hosts: [cdn.example.com]
    addresses: [104.16.0.0/13]

Name the host on a port of protocol TLS, without addresses: `ports: [{number: 443, name: tls, protocol: TLS}]`.
"""

from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from egressctl.lint.rule import LintedEntry, Rule, Severity, Told
from egressctl.manifests.formats import OPAQUE_PROTOCOLS
from egressctl.model.blocks import Block, parse_block, parse_blocks

LONGEST_PREFIX = {4: 24, 6: 48}
"""By IP version, the prefix length from which on a block is a service's own rather than a piece of a network."""

_CDN_LISTS = {
    # https://www.cloudflare.com/ips-v4, as fetched on 2026-09-29, and ips-v6
    "Cloudflare": """
        173.245.48.0/20 103.21.244.0/22 103.22.200.0/22 103.31.4.0/22 141.101.64.0/18 108.162.192.0/18 190.93.240.0/20
        188.114.96.0/20 197.234.240.0/22 198.41.128.0/17 162.158.0.0/15 104.16.0.0/13 104.24.0.0/14 172.64.0.0/13 131.0.72.0/22
        2400:cb00::/32 2606:4700::/32 2803:f800::/32 2405:b500::/32 2405:8100::/32 2a06:98c0::/29 2c0f:f248::/32
    """,
    # https://api.fastly.com/public-ip-list, as disposable/cloud-ip-ranges has it in csv/fastly.csv (26d5b6e, 2026)
    "Fastly": """
        23.235.32.0/20 43.249.72.0/22 103.244.50.0/24 103.245.222.0/23 103.245.224.0/24 104.156.80.0/20 140.248.64.0/18
        140.248.128.0/17 146.75.0.0/17 151.101.0.0/16 157.52.64.0/18 167.82.0.0/17 167.82.128.0/20 167.82.160.0/20
        167.82.224.0/20 172.111.64.0/18 185.31.16.0/22 199.27.72.0/21 199.232.0.0/16 2a04:4e40::/32 2a04:4e42::/32
    """,
    # https://d7uri8nf7uskq.cloudfront.net/tools/list-cloudfront-ips (CLOUDFRONT_GLOBAL_IP_LIST), a copy of 2025 in a public
    # repository, without the blocks of partners in China; neighbouring blocks joined
    "Amazon CloudFront": """
        3.160.0.0/14 3.164.0.0/15 3.166.0.0/15 3.168.0.0/14 3.172.0.0/17 3.173.0.0/16 3.174.0.0/15 13.32.0.0/15 13.35.0.0/16
        13.224.0.0/14 13.249.0.0/16 15.158.0.0/16 18.64.0.0/14 18.68.0.0/16 18.154.0.0/15 18.160.0.0/15 18.164.0.0/15
        18.172.0.0/15 18.238.0.0/15 18.244.0.0/15 23.91.0.0/19 24.110.32.0/19 52.46.0.0/18 52.84.0.0/15 52.124.128.0/17
        52.222.128.0/17 54.182.0.0/16 54.192.0.0/16 54.230.0.0/16 54.239.128.0/18 54.239.192.0/19 54.240.128.0/18
        64.252.64.0/18 64.252.128.0/18 65.8.0.0/16 65.9.0.0/17 65.9.128.0/18 70.132.0.0/18 71.152.0.0/17 99.84.0.0/16
        99.86.0.0/16 108.138.0.0/15 108.156.0.0/14 130.176.0.0/16 143.204.0.0/16 144.220.0.0/16 204.246.164.0/22
        204.246.168.0/22 204.246.172.0/22 204.246.176.0/20 205.251.200.0/21 205.251.208.0/20 205.251.249.0/24 205.251.250.0/23
        205.251.252.0/23 205.251.254.0/24 216.137.32.0/19
    """,
    # Akamai publishes no list; disposable/cloud-ip-ranges, csv/akamai.csv (26d5b6e, 2026)
    "Akamai": "2.16.0.0/13 23.0.0.0/12 23.32.0.0/11 23.192.0.0/11 95.100.0.0/15 184.24.0.0/13",
    # https://www.gstatic.com/ipranges/goog.json less cloud.json, without resolvers and crawlers; a copy of 2026 in a public
    # repository
    "Google's front ends": """
        64.233.160.0/19 66.102.0.0/20 72.14.192.0/18 74.125.0.0/16 108.170.192.0/18 108.177.0.0/17 142.250.0.0/15
        172.217.0.0/16 172.253.0.0/16 173.194.0.0/16 192.178.0.0/15 209.85.128.0/17 216.58.192.0/19 216.239.32.0/19
    """,
}


class CdnBlock(NamedTuple):
    """A block, and whose it is."""

    whose: str
    address: str


def cdn_block_of(address: str) -> CdnBlock | None:
    """Return a block that an address block lies in, or holds; None where it is too small to be a piece of a network."""
    block = parse_block(address)
    if block is None or not 0 < block.length <= LONGEST_PREFIX[block.version]:
        return None
    around = (_cdn_blocks().get(block.cut(length)) for length in _prefix_lengths() if length <= block.length)
    return next(filter(None, around), None) or _blocks_cut_to(block.version, block.length).get(block)


@cache
def _cdn_blocks() -> dict[Block, CdnBlock]:
    return {block: CdnBlock(whose, str(block)) for whose, text in _CDN_LISTS.items() for block in parse_blocks(text.split())}


@cache
def _prefix_lengths() -> tuple[int, ...]:
    return tuple(sorted({each.length for each in _cdn_blocks()}))


@cache
def _blocks_cut_to(version: int, length: int) -> dict[Block, CdnBlock]:
    """Return the blocks of that length or longer, the first of several, each under the block of that length that holds it."""
    return {block.cut(length): front for block, front in _last_first(version) if block.length >= length}


def _last_first(version: int) -> Iterator[tuple[Block, CdnBlock]]:
    return ((block, front) for block, front in reversed(_cdn_blocks().items()) if block.version == version)


def check(case: LintedEntry) -> Iterator[Told]:
    ports = [port.number for port in case.entry.ports if port.protocol.upper() in OPAQUE_PROTOCOLS]
    told_of: set[str] = set()
    for index, address in enumerate(case.entry.addresses if ports else ()):
        front = cdn_block_of(address)
        if front is None or front.whose in told_of:
            continue
        told_of.add(front.whose)
        inner, outer = parse_block(address), parse_block(front.address)
        how = "is in" if inner and outer and inner.length > outer.length else "holds"
        said = f"is a block of {front.whose}" if address == front.address else f"{how} {front.address} of {front.whose}"
        right = "name the hosts on a port of protocol TLS: its server name then decides, not the address"
        yield f"{address} {said}: every site behind it is open on port {ports[0]}", right, ("spec", "addresses", index)


RULE = Rule("opens-cdn", Severity.WARNING, __doc__, check)
