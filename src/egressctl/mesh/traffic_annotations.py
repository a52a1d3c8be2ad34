"""Say from a pod's annotations whether its iptables leave a connection out of the sidecar's reach. Pure: a hint, never evidence.

Source: tools/istio-iptables/pkg/capture/run.go of istio/istio, whose rules stand in this order: excluded ports, loopback,
excluded ranges, included ports, included ranges. Annotations that came after the pod started changed nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import ip_address

from egressctl.model.blocks import Block, parse_block, parse_blocks

ANNOTATION_PREFIX = "traffic.sidecar.istio.io/"
DECIDING_ANNOTATIONS = ("excludeOutboundPorts", "excludeOutboundIPRanges", "includeOutboundPorts", "includeOutboundIPRanges")
"""The annotations, after PREFIX, that decide by address and port."""


def why_excluded(annotations: Mapping[str, str], ip: str, port: int) -> str:
    """Say in half a sentence what leaves a connection to this address and port out; "" where nothing does.

    `annotations` are those of JUDGED that the pod has, without PREFIX. Raises ValueError for an `ip` that is none.
    """
    address = ip_address(ip)
    for word, leaves in _rules(annotations, str(address), port):
        if leaves is not None:
            return word if leaves else ""
    return ""


def _rules(annotations: Mapping[str, str], ip: str, port: int) -> Iterator[tuple[str, bool | None]]:
    """Give the rules in their order: half a sentence, and whether it leaves out, takes in, or neither (None)."""
    ports, blocks, own, taken = (annotations.get(word) for word in DECIDING_ANNOTATIONS)
    if ports is not None:
        yield f"annotation {ANNOTATION_PREFIX}excludeOutboundPorts leaves out port {port}", str(port) in _split(ports) or None
    yield f"{ip} is loopback, which never goes to a sidecar", ip_address(ip).is_loopback or None
    if blocks is not None and (held := _block_containing(blocks, ip)):
        yield f"annotation {ANNOTATION_PREFIX}excludeOutboundIPRanges leaves out {held}", True
    if own is not None and str(port) in _split(own):
        yield "", False
    if taken is not None and taken.strip() != "*":
        what = f"only {', '.join(_split(taken))}" if _split(taken) else "no address"
        yield f"annotation {ANNOTATION_PREFIX}includeOutboundIPRanges takes in {what}", _block_containing(taken, ip) is None


def _block_containing(blocks: str, ip: str) -> Block | None:
    """Return the first of the blocks that holds the address; what is no block, Istio would have refused."""
    address = parse_block(ip)
    return next((block for block in parse_blocks(_split(blocks)) if address and block.holds(address)), None)


def _split(text: str) -> list[str]:
    return [each for part in text.split(",") if (each := part.strip())]
