"""Bytes for the kernel, read back as the kernel reads them."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from egressctl.lab.dataplane import nftables
from egressctl.lab.dataplane.exclusions import Exclusions, parse_exclusions
from egressctl.lab.dataplane.netlink import ACK, attribute, message, nested_attribute
from examples import examples


def attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        length, kind = struct.unpack_from("=HH", data)
        assert length >= 4
        yield kind, data[4:length]
        data = data[(length + 3) & ~3 :]


@examples(50)
@given(st.lists(st.tuples(st.integers(1, 0x3FFF), st.binary(max_size=40)), max_size=8))
def test_attributes_read_back(items: list[tuple[int, bytes]]) -> None:
    assert list(attributes(b"".join(attribute(kind, data) for kind, data in items))) == items


def test_nested_attributes_are_marked() -> None:
    [(kind, inner)] = attributes(nested_attribute(4, attribute(1, b"a"), attribute(2, b"bb")))
    assert kind == 0x8000 | 4
    assert list(attributes(inner)) == [(1, b"a"), (2, b"bb")]


def test_a_message_says_its_own_length() -> None:
    length, kind, flags, sequence, port = struct.unpack("=IHHII", message(16, ACK, b"body", 7)[:16])
    assert (length, kind, flags, sequence, port) == (20, 16, 5, 7, 0)


def expressions(rule: bytes) -> list[tuple[str, dict[int, bytes]]]:
    found = []
    for _, expression in attributes(rule):
        parts = dict(attributes(expression))
        found.append((parts[1].rstrip(b"\0").decode(), dict(attributes(parts[0x8000 | 2]))))
    return found


def test_the_redirect_spares_loopback_and_takes_all_other_tcp() -> None:
    begin, table, chain, rule, end = nftables.redirect_messages(15001, Exclusions())
    assert [struct.unpack_from("=H", item, 4)[0] for item in (begin, table, chain, rule, end)] == [
        0x10,
        0xA00,
        0xA03,
        0xA06,
        0x11,
    ]
    parts = dict(attributes(rule[20:]))
    assert (parts[1], parts[2]) == (b"istio\0", b"output\0")
    names = [name for name, _ in expressions(parts[0x8000 | 4])]
    assert names == ["meta", "cmp", "payload", "cmp", "immediate", "redir"]
    _, protocol, payload, network, port, _ = (values for _, values in expressions(parts[0x8000 | 4]))
    assert dict(attributes(protocol[0x8000 | 3])) == {1: bytes([6])}
    assert struct.unpack(">i", protocol[2]) == (0,)
    # One byte at offset 16 of the IPv4 header: the first octet of the destination.
    assert [struct.unpack(">i", payload[kind])[0] for kind in (2, 3, 4)] == [1, 16, 1]
    assert struct.unpack(">i", network[2]) == (1,)
    assert dict(attributes(network[0x8000 | 3])) == {1: bytes([127])}
    assert dict(attributes(port[0x8000 | 2])) == {1: (15001).to_bytes(2, "big")}


def test_what_is_excluded_is_accepted_before_the_redirect() -> None:
    _, _, _, block, port, redirect, end = nftables.redirect_messages(15001, parse_exclusions("203.0.113.77/24", "8443"))
    assert [struct.unpack_from("=I", item, 8)[0] for item in (block, port, redirect, end)] == [4, 5, 6, 7]
    rules = [expressions(dict(attributes(rule[20:]))[0x8000 | 4]) for rule in (block, port, redirect)]
    assert [[name for name, _ in rule] for rule in rules] == [
        ["meta", "cmp", "payload", "bitwise", "cmp", "immediate"],
        ["meta", "cmp", "payload", "cmp", "immediate"],
        ["meta", "cmp", "payload", "cmp", "immediate", "redir"],
    ]
    compared = [dict(attributes(values[0x8000 | 3])) for rule in rules[:2] for name, values in rule[-2:-1] if name == "cmp"]
    assert compared == [{1: bytes([203, 0, 113, 0])}, {1: (8443).to_bytes(2, "big")}]
    assert dict(attributes(rules[0][3][1][0x8000 | 4])) == {1: bytes([255, 255, 255, 0])}
    for rule in rules[:2]:
        # Into the verdict register, the verdict to accept.
        immediate = rule[-1][1]
        verdict = dict(attributes(dict(attributes(immediate[0x8000 | 2]))[0x8000 | 2]))
        assert (struct.unpack(">i", immediate[1]), struct.unpack(">i", verdict[1])) == ((0,), (1,))


def test_ipv6_has_a_redirect_of_its_own_with_what_is_excluded_of_it() -> None:
    excluded = parse_exclusions("203.0.113.0/24,2001:db8::/33", "8443")
    _, table, _, block, port, redirect, end = nftables.redirect_messages(15001, excluded, 6)
    assert table[16] == 10
    assert [struct.unpack_from("=I", item, 8)[0] for item in (block, port, redirect, end)] == [4, 5, 6, 7]
    (_, _, payload, mask, compared, _) = (values for _, values in expressions(dict(attributes(block[20:]))[0x8000 | 4]))
    # The destination is 24 bytes into the header, and has 16.
    assert [struct.unpack(">i", payload[kind])[0] for kind in (2, 3, 4)] == [1, 24, 16]
    assert struct.unpack(">i", mask[3]) == (16,)
    assert dict(attributes(mask[0x8000 | 4])) == {1: bytes([255] * 4 + [128] + [0] * 11)}
    assert dict(attributes(compared[0x8000 | 3])) == {1: bytes.fromhex("20010db8") + bytes(12)}
    (_, _, spared, loopback, *_) = (values for _, values in expressions(dict(attributes(redirect[20:]))[0x8000 | 4]))
    assert [struct.unpack(">i", spared[kind])[0] for kind in (2, 3, 4)] == [1, 24, 16]
    assert dict(attributes(loopback[0x8000 | 3])) == {1: bytes(15) + b"\1"}
    assert len(nftables.redirect_messages(15001, excluded)) == len(nftables.redirect_messages(15001, excluded, 6))


def test_the_chain_hangs_on_locally_made_packets_before_they_leave() -> None:
    chain = dict(attributes(nftables.redirect_messages(15001, Exclusions())[2][20:]))
    hook = {kind: struct.unpack(">i", value)[0] for kind, value in attributes(chain[0x8000 | 4])}
    assert hook == {1: 3, 2: -100}
    assert chain[7] == b"nat\0"
