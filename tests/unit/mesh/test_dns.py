"""What `getent ahosts` prints, and which names need no question."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given as draw
from hypothesis import strategies as st

from egressctl.mesh.dns import ResolvedHost, addresses_in, addresses_without_lookup, getent_argv

GLIBC = """\
2620:0:861:ed1a::1 STREAM www.wikipedia.org
2620:0:861:ed1a::1 DGRAM
2620:0:861:ed1a::1 RAW
208.80.154.224  STREAM
208.80.154.224  DGRAM
208.80.154.224  RAW
"""
MUSL = "208.80.154.224 STREAM dyna.wikimedia.org\n"


@pytest.mark.parametrize(
    ("text", "addresses"),
    [
        (GLIBC, ("2620:0:861:ed1a::1", "208.80.154.224")),
        (MUSL, ("208.80.154.224",)),
        ("::ffff:208.80.154.224 STREAM x\n", ("208.80.154.224",)),
        ("getent: unknown option\nUsage: getent database\n", ()),
        ("", ()),
    ],
)
def test_each_address_is_read_once_in_the_order_of_the_answer(text: str, addresses: tuple[str, ...]) -> None:
    assert addresses_in(text) == addresses


@draw(st.text())
def test_whatever_is_printed_gives_addresses_or_none(text: str) -> None:
    assert all(ip_address(each) for each in addresses_in(text))


@draw(st.lists(st.ip_addresses(v=4), unique=True))
def test_no_address_is_lost(ips: list[object]) -> None:
    assert addresses_in("".join(f"{ip} STREAM name\n" for ip in ips)) == tuple(map(str, ips))


def test_the_command_line_is_fixed() -> None:
    assert getent_argv("www.wikipedia.org") == ("getent", "ahosts", "www.wikipedia.org")


def test_what_was_given_is_not_asked_for() -> None:
    assert addresses_without_lookup("www.wikipedia.org", ["192.0.2.1", "192.0.2.2"]) == ResolvedHost(
        ("192.0.2.1", "192.0.2.2"), "--address"
    )
    assert addresses_without_lookup("208.80.154.224", []) == ResolvedHost(("208.80.154.224",), "the URL")
    assert addresses_without_lookup("2620:0:861:ed1a:0::1", []) == ResolvedHost(("2620:0:861:ed1a::1",), "the URL")
    assert addresses_without_lookup("www.wikipedia.org", []) is None
