"""What an entry lists, and whether an address or a block is among it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from egressctl.istio.listing import (
    ANY_ADDRESS,
    listed_blocks,
    lists_address,
    lists_block,
    lists_port,
    single_address,
    takes_whole_port,
)
from egressctl.model.entry import Port, ServiceEntry

BARE = ServiceEntry("wikipedia-ext", "default", ("wikipedia.org",), (), (Port(443, "tcp", "a"),), "NONE", "MESH_EXTERNAL", ())
ENTRY = replace(BARE, addresses=("208.80.154.230/27", "192.0.2.1", "192.0.2.1/32", "2001:db8::/32", "nonsense"))
ALL = replace(BARE, addresses=("0.0.0.0/0", "192.0.2.1"))
GIVEN = replace(BARE, resolution="DNS", allocated=("240.240.0.1",))


@pytest.mark.parametrize(
    ("entry", "block", "exactly", "holds"),
    [
        (ENTRY, "208.80.154.224/27", True, None),
        (ENTRY, "208.80.154.224/28", False, None),
        (ENTRY, "208.80.154.225", False, True),
        (ENTRY, "208.80.154.223", False, False),
        (ENTRY, "192.0.2.1/32", True, True),
        (ENTRY, "2001:db8::5", False, True),
        (ENTRY, "nonsense", False, False),
        (ENTRY, "", False, False),
        (ENTRY, ANY_ADDRESS, False, False),
        (ALL, "0.0.0.0/0", True, None),
        (ALL, ANY_ADDRESS, True, None),
        (ALL, "", True, None),
        (ALL, "2001:db8::5", False, True),
        (replace(BARE, addresses=("::/0",)), "", False, False),
        (replace(BARE, addresses=("::/0",)), "2001:db8::5", False, True),
        (replace(BARE, addresses=("::/0",)), "192.0.2.1", False, False),
        (BARE, "", True, True),
        (BARE, "0.0.0.0/0", True, None),
        (BARE, "192.0.2.1", False, True),
        (BARE, "240.240.0.1", False, True),
        (GIVEN, "240.240.0.1", True, True),
        (GIVEN, "240.240.0.2", False, False),
        (replace(BARE, resolution="DNS"), "240.240.0.2", True, True),
    ],
)
def test_what_an_entry_lists(entry: ServiceEntry, block: str, exactly: bool, holds: bool | None) -> None:
    assert lists_block(entry, block) is exactly
    if holds is not None:
        assert lists_address(entry, block) is holds


def test_an_entry_s_blocks_are_named_once_and_without_host_bits() -> None:
    assert listed_blocks(ENTRY) == ["208.80.154.224/27", "192.0.2.1/32", "2001:db8::/32", "nonsense"]
    assert listed_blocks(BARE) == [ANY_ADDRESS]
    assert [single_address(each) for each in listed_blocks(ENTRY)] == ["", "192.0.2.1", "", ""]


@pytest.mark.parametrize(
    ("protocol", "whole", "listed"), [("tcp", True, True), ("", True, True), ("TLS", False, True), ("UDP", False, False)]
)
def test_which_protocols_take_a_whole_port(protocol: str, whole: bool, listed: bool) -> None:
    for entry in (BARE, ALL):
        given = replace(entry, ports=(Port(443, protocol, "a"),))
        assert (takes_whole_port(given, 443), lists_port(given, 443)) == (whole, listed)
        assert not takes_whole_port(given, 80)
        assert not lists_port(given, 80)
    assert not takes_whole_port(ENTRY, 443)
