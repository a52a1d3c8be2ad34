"""Send the pod's TCP to the sidecar, as istio-iptables does in REDIRECT mode; no nft needed.

Formats: linux/netfilter/nf_tables.h. Numbers inside are in network byte order.
"""

from __future__ import annotations

import struct

from egressctl.lab.dataplane.netlink import ACK, APPEND, CREATE, NETFILTER, attribute, message, nested, request

_SUBSYSTEM = 10 << 8
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEW_TABLE, _NEW_CHAIN, _NEW_RULE = _SUBSYSTEM | 0, _SUBSYSTEM | 3, _SUBSYSTEM | 6
_IPV4, _OUTPUT_HOOK, _DNAT_PRIORITY = 2, 3, -100
_REGISTER, _EQUAL, _NOT_EQUAL = 1, 0, 1
_TCP, _LOOPBACK_NETWORK = 6, 127
TABLE, CHAIN = "istio", "output"


def redirect(port: int) -> tuple[bytes, ...]:
    """Return the transaction `meta l4proto tcp ip daddr != 127.0.0.0/8 redirect to :port` on locally made connections."""
    rule = nested(
        4,
        _expression("meta", attribute(2, _number(16)), attribute(1, _number(_REGISTER))),
        _compare(_EQUAL, bytes([_TCP])),
        # The first octet of the destination: 16 bytes into the IPv4 header.
        _expression(
            "payload",
            attribute(1, _number(_REGISTER)),
            attribute(2, _number(1)),
            attribute(3, _number(16)),
            attribute(4, _number(1)),
        ),
        _compare(_NOT_EQUAL, bytes([_LOOPBACK_NETWORK])),
        _expression("immediate", attribute(1, _number(_REGISTER)), nested(2, attribute(1, struct.pack(">H", port)))),
        _expression("redir", attribute(1, _number(_REGISTER))),
    )
    hook = nested(4, attribute(1, _number(_OUTPUT_HOOK)), attribute(2, _number(_DNAT_PRIORITY)))
    names = attribute(1, _text(TABLE))
    return (
        message(_BATCH_BEGIN, 0, _family(0, 10), 1),
        message(_NEW_TABLE, ACK | CREATE, _family(_IPV4) + names + attribute(2, _number(0)), 2),
        message(
            _NEW_CHAIN,
            ACK | CREATE,
            _family(_IPV4) + names + attribute(3, _text(CHAIN)) + hook + attribute(5, _number(1)) + attribute(7, _text("nat")),
            3,
        ),
        message(_NEW_RULE, ACK | CREATE | APPEND, _family(_IPV4) + names + attribute(2, _text(CHAIN)) + rule, 4),
        message(_BATCH_END, 0, _family(0, 10), 5),
    )


def install_redirect(port: int) -> None:
    """Redirect this network namespace's outgoing TCP, loopback aside, to `port`. Raises OSError without nf_tables."""
    request(NETFILTER, *redirect(port))


def _compare(operator: int, value: bytes) -> bytes:
    return _expression("cmp", attribute(1, _number(_REGISTER)), attribute(2, _number(operator)), nested(3, attribute(1, value)))


def _expression(name: str, *attributes: bytes) -> bytes:
    return nested(1, attribute(1, _text(name)), nested(2, *attributes))


def _family(family: int, resource: int = 0) -> bytes:
    return struct.pack(">BBH", family, 0, resource)


def _text(value: str) -> bytes:
    return value.encode() + b"\0"


def _number(value: int) -> bytes:
    return struct.pack(">i", value)
