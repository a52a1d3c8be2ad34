"""Speak netlink with the standard library: link up, address, route; no iproute2 needed.

Formats: linux/netlink.h, linux/rtnetlink.h, linux/if_addr.h. Numbers are in the machine's byte order.
"""

from __future__ import annotations

import os
import socket
import struct

ROUTE, NETFILTER = 0, 12
REQUEST, ACK, EXCLUSIVE, CREATE, APPEND = 0x1, 0x4, 0x200, 0x400, 0x800
LOOPBACK = 1
"""Index of `lo`, the same in every network namespace."""

_NESTED = 0x8000
_ERROR = 2
_NEW_LINK, _NEW_ADDRESS, _NEW_ROUTE = 16, 20, 24
_MAIN_TABLE, _LOCAL_TABLE, _HOST_SCOPE, _LINK_SCOPE = 254, 255, 254, 253
_STATIC, _UNICAST, _LOCAL, _ON_LINK = 4, 1, 2, 4
_NO_DETECTION = 0x02
"""IFA_F_NODAD: no detection of duplicates, which takes a second."""


def attribute(kind: int, data: bytes | str) -> bytes:
    """Return one attribute: length, type, data, padded to 4 bytes (the length counts no padding). A text ends with a zero."""
    octets = data if isinstance(data, bytes) else data.encode() + b"\0"
    length = 4 + len(octets)
    return struct.pack("=HH", length, kind) + octets + bytes(-length % 4)


def nested_attribute(kind: int, *attributes: bytes) -> bytes:
    """Return an attribute that holds others."""
    return attribute(kind | _NESTED, b"".join(attributes))


def message(kind: int, flags: int, body: bytes, sequence: int = 1) -> bytes:
    """Return one request: header and body."""
    return struct.pack("=IHHII", 16 + len(body), kind, REQUEST | flags, sequence, 0) + body


def send_messages(protocol: int, *messages: bytes) -> None:
    """Send the messages in one packet and await an acknowledgement of each that asks for one.

    Raises OSError with the kernel's errno where it refuses one.
    """
    acknowledgements = sum(bool(struct.unpack_from("=H", item, 6)[0] & ACK) for item in messages)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, protocol) as kernel:
        kernel.bind((0, 0))
        kernel.settimeout(5)
        kernel.sendall(b"".join(messages))
        while acknowledgements > 0:
            answer = kernel.recv(65536)
            while answer:
                length, kind = struct.unpack_from("=IH", answer)
                if kind == _ERROR:
                    (code,) = struct.unpack_from("=i", answer, 16)
                    if code:
                        raise OSError(-code, os.strerror(-code))
                    acknowledgements -= 1
                answer = answer[(length + 3) & ~3 :]


def link_up(index: int = LOOPBACK) -> None:
    """Bring a network interface up."""
    send_messages(ROUTE, message(_NEW_LINK, ACK, struct.pack("=BxHiII", 0, 0, index, 1, 1)))


def add_address(address: str, index: int = LOOPBACK) -> None:
    """Give an interface an address (/32, of IPv6 /128), which can be used at once."""
    family, octets = _octets(address)
    # Of IPv6, nobody is asked first whether it is another's.
    flags = _NO_DETECTION if family == socket.AF_INET6 else 0
    body = struct.pack("=BBBBi", family, 8 * len(octets), flags, 0, index) + attribute(2, octets) + attribute(1, octets)
    send_messages(ROUTE, message(_NEW_ADDRESS, ACK | CREATE, body))


def make_all_addresses_local(source: str, index: int = LOOPBACK) -> None:
    """Make every address of a family local (`ip route add local 0.0.0.0/0 dev lo src SOURCE table local`), known as AnyIP."""
    _add_route(source, 0, _LOCAL_TABLE, _HOST_SCOPE, index, 7, kind=_LOCAL)


def add_veth(name: str, peer: str, namespace: int) -> None:
    """Make a pair of linked interfaces: `name` here, `peer` in the network namespace behind a file descriptor."""
    other = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + attribute(3, peer) + attribute(28, struct.pack("=i", namespace))
    kind = nested_attribute(18, attribute(1, "veth"), nested_attribute(2, attribute(1, other)))
    body = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + attribute(3, name) + kind
    send_messages(ROUTE, message(_NEW_LINK, ACK | CREATE | EXCLUSIVE, body))


def add_route(address: str, index: int) -> None:
    """Send what goes to one address out of an interface, although the rest is local here (table local)."""
    _add_route(address, 8 * len(_octets(address)[1]), _LOCAL_TABLE, _LINK_SCOPE, index, 1)


def add_default_route(gateway: str, index: int) -> None:
    """Send everything to a gateway that is on the link, whatever its address (`ip route add default via ... onlink`)."""
    _add_route(gateway, 0, _MAIN_TABLE, 0, index, 5, flags=_ON_LINK)


def _add_route(
    address: str, prefix: int, table: int, scope: int, index: int, role: int, *, kind: int = _UNICAST, flags: int = 0
) -> None:
    """Add a route, in which an address of its family has a role: destination (1), gateway (5), preferred source (7)."""
    family, octets = _octets(address)
    header = struct.pack("=BBBBBBBBI", family, prefix, 0, 0, table, _STATIC, scope, kind, flags)
    parts = attribute(role, octets) + attribute(4, struct.pack("=i", index))
    send_messages(ROUTE, message(_NEW_ROUTE, ACK | CREATE, header + parts))


def _octets(address: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.inet_pton(family, address)
