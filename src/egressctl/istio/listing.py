"""What a ServiceEntry lists: its ports, its blocks, and whether an address or a block is among them. Pure."""

from __future__ import annotations

from egressctl.manifests.formats import OPAQUE_PROTOCOLS, is_auto_allocated
from egressctl.model.blocks import parse_block, parse_blocks
from egressctl.model.entry import Port, ServiceEntry

ANY_ADDRESS = "any address"
"""What stands for the block of an entry without addresses."""
_EVERY_ADDRESS = "0.0.0.0/0"
UNBLOCKED = (ANY_ADDRESS, _EVERY_ADDRESS)
"""The blocks that istiod makes a filter chain without a block of."""


def tcp_ports(entry: ServiceEntry) -> list[Port]:
    """Return the ports of which a sidecar is given anything: it is given nothing of UDP."""
    return [port for port in entry.ports if port.protocol.upper() != "UDP"]


def lists_port(entry: ServiceEntry, number: int) -> bool:
    return any(port.number == number for port in tcp_ports(entry))


def protocols_on(entry: ServiceEntry, number: int) -> set[str]:
    """Return the protocols that an entry declares for a port, in capital letters."""
    return {port.protocol.upper() for port in entry.ports if port.number == number}


def is_opaque_on(entry: ServiceEntry, number: int) -> bool:
    """Say whether a sidecar looks at the address alone on a port of the entry."""
    return any(port.number == number and port.protocol.upper() in OPAQUE_PROTOCOLS for port in entry.ports)


def takes_whole_port(entry: ServiceEntry, number: int) -> bool:
    """Say whether the entry takes every address on a port."""
    return is_opaque_on(entry, number) and lists_block(entry, "")


def host_of_whole_port(entry: ServiceEntry, number: int) -> str:
    """Return the host to which the entry sends every connection on a port, to any address; "" where it does not."""
    # Only resolution NONE connects to the address that was asked for. All chains of a TCP port lead to the first host.
    return min(entry.hosts, default="") if entry.resolution != "NONE" and takes_whole_port(entry, number) else ""


def listed_blocks(entry: ServiceEntry) -> list[str]:
    """Return the entry's blocks without host bits, each once; what is no address is kept as it is."""
    return list(dict.fromkeys(str(parse_block(address) or address) for address in entry.addresses)) or [ANY_ADDRESS]


def lists_block(entry: ServiceEntry, block: str) -> bool:
    """Say whether the entry lists exactly this block; none is an entry without addresses, or with 0.0.0.0/0.

    An entry without addresses may have been given one by Istio: in `status.addresses`, or, by older releases, in nothing
    but the sidecar itself.
    """
    if not block or block in UNBLOCKED:
        return not entry.addresses or any(map(is_every_address, entry.addresses))
    parsed = parse_block(block)
    if parsed is None:
        return False
    if any(parse_block(address) == parsed for address in (*entry.addresses, *entry.allocated)):
        return True
    return not entry.addresses and not entry.allocated and entry.resolution != "NONE" and is_auto_allocated(parsed)


def lists_address(entry: ServiceEntry, ip: str) -> bool:
    """Say whether one of the entry's blocks holds the address; an entry without addresses holds every one."""
    listed, address = entry.addresses or entry.allocated, parse_block(single_address(ip))
    if not listed or address is None:
        return not listed
    if any(map(is_every_address, listed)):
        return True  # The filter chain of 0.0.0.0/0 asks for no block at all, and so takes IPv6 as well.
    return any(block.holds(address) for block in parse_blocks(listed))


def is_every_address(address: str) -> bool:
    """Say whether a block makes istiod's filter chain one without a block, which takes every address of either family."""
    return str(parse_block(address)) == _EVERY_ADDRESS


def every_address_of(address: str) -> str:
    """Return the block, without host bits, where it holds every address of its family; "" for any other."""
    block = parse_block(address)
    return str(block) if block and not block.length else ""


def single_address(block: str) -> str:
    """Return the address of a block of one address, which has a listener of its own; "" for any other."""
    parsed = parse_block(block)
    return parsed.address if parsed and parsed.is_one_address else ""
