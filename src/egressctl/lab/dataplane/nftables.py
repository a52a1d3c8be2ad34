"""Send the pod's TCP to the sidecar, as istio-iptables does in REDIRECT mode; no nft needed.

Formats: linux/netfilter/nf_tables.h. Numbers inside are in network byte order.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from egressctl.lab.dataplane.exclusions import Exclusions
from egressctl.lab.dataplane.netlink import ACK, APPEND, CREATE, NETFILTER, attribute, message, nested_attribute, send_messages
from egressctl.model.blocks import Block

_SUBSYSTEM = 10 << 8
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEW_TABLE, _NEW_CHAIN, _NEW_RULE = _SUBSYSTEM | 0, _SUBSYSTEM | 3, _SUBSYSTEM | 6
_OUTPUT_HOOK, _DNAT_PRIORITY = 3, -100
_REGISTER, _EQUAL, _NOT_EQUAL = 1, 0, 1
_TCP = 6
_NETWORK_HEADER, _TRANSPORT_HEADER = 1, 2
_VERDICT_REGISTER, _ACCEPT = 0, 1
TABLE, CHAIN = "istio", "output"


class _Family(NamedTuple):
    """What nf_tables calls an IP version, where in a packet's header the destination is, how long, and how loopback begins."""

    number: int
    destination: int
    length: int
    loopback: bytes


_FAMILIES = {4: _Family(2, 16, 4, bytes([127])), 6: _Family(10, 24, 16, bytes(15) + b"\1")}


def redirect_messages(port: int, excluded: Exclusions, version: int = 4) -> tuple[bytes, ...]:
    """Return a transaction on locally made connections of an IP version.

    `meta l4proto tcp ip daddr != 127.0.0.0/8 redirect to :port` (`ip6 daddr != ::1`), and before it a rule that accepts for each
    block and port that is excluded.
    """
    of = _FAMILIES[version]
    hook = nested_attribute(4, attribute(1, _number(_OUTPUT_HOOK)), attribute(2, _number(_DNAT_PRIORITY)))
    names = attribute(1, TABLE)
    rules = [_accept_rule(*_destination_match(of, block)) for block in excluded.networks if block.version == version]
    rules += [
        _accept_rule(_payload(_TRANSPORT_HEADER, 2, 2), _compare(_EQUAL, struct.pack(">H", each))) for each in excluded.ports
    ]
    rules.append(_redirect_rule(of, port))
    return (
        message(_BATCH_BEGIN, 0, _family(0, 10), 1),
        message(_NEW_TABLE, ACK | CREATE, _family(of.number) + names + attribute(2, _number(0)), 2),
        message(
            _NEW_CHAIN,
            ACK | CREATE,
            _family(of.number) + names + attribute(3, CHAIN) + hook + attribute(5, _number(1)) + attribute(7, "nat"),
            3,
        ),
        *(
            message(_NEW_RULE, ACK | CREATE | APPEND, _family(of.number) + names + attribute(2, CHAIN) + rule, 4 + number)
            for number, rule in enumerate(rules)
        ),
        message(_BATCH_END, 0, _family(0, 10), 4 + len(rules)),
    )


def install_redirect(port: int, excluded: Exclusions, version: int = 4) -> None:
    """Redirect this network namespace's outgoing TCP of an IP version to `port`, loopback and what is excluded aside.

    Raises OSError without nf_tables.
    """
    send_messages(NETFILTER, *redirect_messages(port, excluded, version))


def _redirect_rule(of: _Family, port: int) -> bytes:
    return nested_attribute(
        4,
        *_tcp_match(),
        # Of IPv4 the first octet of the destination, of IPv6 the whole of it.
        _payload(_NETWORK_HEADER, of.destination, len(of.loopback)),
        _compare(_NOT_EQUAL, of.loopback),
        _expression("immediate", attribute(1, _number(_REGISTER)), nested_attribute(2, attribute(1, struct.pack(">H", port)))),
        _expression("redir", attribute(1, _number(_REGISTER))),
    )


def _accept_rule(*conditions: bytes) -> bytes:
    """Let TCP that meets the conditions pass as it is: the chain's end for it."""
    verdict = nested_attribute(2, nested_attribute(2, attribute(1, _number(_ACCEPT))))
    return nested_attribute(
        4, *_tcp_match(), *conditions, _expression("immediate", attribute(1, _number(_VERDICT_REGISTER)), verdict)
    )


def _destination_match(of: _Family, block: Block) -> tuple[bytes, ...]:
    whole = (1 << 8 * of.length) - 1
    mask = _expression(
        "bitwise",
        attribute(1, _number(_REGISTER)),
        attribute(2, _number(_REGISTER)),
        attribute(3, _number(of.length)),
        nested_attribute(4, attribute(1, (block.network ^ block.last ^ whole).to_bytes(of.length))),
        nested_attribute(5, attribute(1, bytes(of.length))),
    )
    destination = _payload(_NETWORK_HEADER, of.destination, of.length)
    return destination, mask, _compare(_EQUAL, block.network.to_bytes(of.length))


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
