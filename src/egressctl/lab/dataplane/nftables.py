"""Send the pod's TCP to the sidecar, as istio-iptables does in REDIRECT mode; no nft needed.

Formats: linux/netfilter/nf_tables.h. Numbers inside are in network byte order.
"""

from __future__ import annotations

import struct

from egressctl.lab.dataplane.exclusions import Exclusions
from egressctl.lab.dataplane.netlink import ACK, APPEND, CREATE, NETFILTER, attribute, message, nested_attribute, send_messages
from egressctl.model.blocks import Block

_SUBSYSTEM = 10 << 8
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEW_TABLE, _NEW_CHAIN, _NEW_RULE = _SUBSYSTEM | 0, _SUBSYSTEM | 3, _SUBSYSTEM | 6
_IPV4, _OUTPUT_HOOK, _DNAT_PRIORITY = 2, 3, -100
_REGISTER, _EQUAL, _NOT_EQUAL = 1, 0, 1
_TCP, _LOOPBACK_NETWORK = 6, 127
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_VERDICT_REGISTER, _ACCEPT = 0, 1
TABLE, CHAIN = "istio", "output"


def redirect_messages(port: int, excluded: Exclusions) -> tuple[bytes, ...]:
    """Return a transaction on locally made connections.

    `meta l4proto tcp ip daddr != 127.0.0.0/8 redirect to :port`, and before it a rule that accepts for each block and
    port that is excluded.
    """
    hook = nested_attribute(4, attribute(1, _number(_OUTPUT_HOOK)), attribute(2, _number(_DNAT_PRIORITY)))
    names = attribute(1, TABLE)
    rules = [_accept_rule(*_destination_match(block)) for block in excluded.networks]
    rules += [
        _accept_rule(_payload(_TRANSPORT_HEADER, 2, 2), _compare(_EQUAL, struct.pack(">H", each))) for each in excluded.ports
    ]
    rules.append(_redirect_rule(port))
    return (
        message(_BATCH_BEGIN, 0, _family(0, 10), 1),
        message(_NEW_TABLE, ACK | CREATE, _family(_IPV4) + names + attribute(2, _number(0)), 2),
        message(
            _NEW_CHAIN,
            ACK | CREATE,
            _family(_IPV4) + names + attribute(3, CHAIN) + hook + attribute(5, _number(1)) + attribute(7, "nat"),
            3,
        ),
        *(
            message(_NEW_RULE, ACK | CREATE | APPEND, _family(_IPV4) + names + attribute(2, CHAIN) + rule, 4 + number)
            for number, rule in enumerate(rules)
        ),
        message(_BATCH_END, 0, _family(0, 10), 4 + len(rules)),
    )


def install_redirect(port: int, excluded: Exclusions) -> None:
    """Redirect this network namespace's outgoing TCP to `port`, loopback and what is excluded aside.

    Raises OSError without nf_tables.
    """
    send_messages(NETFILTER, *redirect_messages(port, excluded))


def _redirect_rule(port: int) -> bytes:
    return nested_attribute(
        4,
        *_tcp_match(),
        # The first octet of the destination: 16 bytes into the IPv4 header.
        _payload(_NETWORK_HEADER, 16, 1),
        _compare(_NOT_EQUAL, bytes([_LOOPBACK_NETWORK])),
        _expression("immediate", attribute(1, _number(_REGISTER)), nested_attribute(2, attribute(1, struct.pack(">H", port)))),
        _expression("redir", attribute(1, _number(_REGISTER))),
    )


def _accept_rule(*conditions: bytes) -> bytes:
    """Let TCP that meets the conditions pass as it is: the chain's end for it."""
    verdict = nested_attribute(2, nested_attribute(2, attribute(1, _number(_ACCEPT))))
    return nested_attribute(
        4, *_tcp_match(), *conditions, _expression("immediate", attribute(1, _number(_VERDICT_REGISTER)), verdict)
    )


def _destination_match(block: Block) -> tuple[bytes, ...]:
    mask = _expression(
        "bitwise",
        attribute(1, _number(_REGISTER)),
        attribute(2, _number(_REGISTER)),
        attribute(3, _number(4)),
        nested_attribute(4, attribute(1, (block.network ^ block.last ^ 0xFFFFFFFF).to_bytes(4))),
        nested_attribute(5, attribute(1, bytes(4))),
    )
    return _payload(_NETWORK_HEADER, 16, 4), mask, _compare(_EQUAL, block.network.to_bytes(4))


def _tcp_match() -> tuple[bytes, bytes]:
    return _expression("meta", attribute(2, _number(16)), attribute(1, _number(_REGISTER))), _compare(_EQUAL, bytes([_TCP]))


def _payload(base: int, offset: int, length: int) -> bytes:
    parts = ((1, _REGISTER), (2, base), (3, offset), (4, length))
    return _expression("payload", *(attribute(kind, _number(value)) for kind, value in parts))


def _compare(operator: int, value: bytes) -> bytes:
    return _expression(
        "cmp", attribute(1, _number(_REGISTER)), attribute(2, _number(operator)), nested_attribute(3, attribute(1, value))
    )


def _expression(name: str, *attributes: bytes) -> bytes:
    return nested_attribute(1, attribute(1, name), nested_attribute(2, *attributes))


def _family(family: int, resource: int = 0) -> bytes:
    return struct.pack(">BBH", family, 0, resource)


def _number(value: int) -> bytes:
    return struct.pack(">i", value)
