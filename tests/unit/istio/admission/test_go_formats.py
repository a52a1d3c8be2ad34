"""What Istio takes for a host, an address and a label. The answers are those of Go's net/netip and of Istio's expressions."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.istio.admission import go_formats


@pytest.mark.parametrize(
    "address",
    [
        "192.0.2.1",
        "::",
        "2001:db8::1",
        "::ffff:192.0.2.1",
        "fe80::1%eth0",
        "fe80::1%a%b",
        "1:2:3:4:5:6:7::",
        "1:2:3:4:5:6:1.2.3.4",
    ],
)
def test_an_address_is_what_go_parses(address: str) -> None:
    assert go_formats.is_address(address)
    assert not go_formats.address_fault(address)


@pytest.mark.parametrize(
    "address",
    [
        "",
        " 192.0.2.1",
        "192.0.2",
        "192.0.2.01",
        "192.0.2.256",
        "192.0.2.1%eth0",
        "fe80::1%",
        "%eth0",
        "1::2::3",
        ":",
        "::1.2.3",
        "a.b",
    ],
)
def test_other_texts_are_none(address: str) -> None:
    assert not go_formats.is_address(address)
    assert go_formats.address_fault(address) == f"{address} is not a valid IP"


@pytest.mark.parametrize("block", ["192.0.2.7/24", "192.0.2.0/0", "::/128", "::ffff:192.0.2.1/96"])
def test_a_block_may_have_host_bits(block: str) -> None:
    assert not go_formats.address_fault(block)


@pytest.mark.parametrize(
    "block", ["192.0.2.0/33", "::/129", "192.0.2.0/", "192.0.2.0/024", "192.0.2.0/+1", "fe80::%eth0/64", "/24"]
)
def test_other_texts_with_a_slash_are_none(block: str) -> None:
    assert go_formats.address_fault(block) == f"{block} is not a valid CIDR block"


def test_two_slashes_make_no_block() -> None:
    assert go_formats.address_fault("1/2/3") == "1/2/3 is not a valid IP"


@given(st.ip_addresses())
def test_every_address_is_one_and_a_block_of_its_own(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    assert go_formats.is_address(str(address))
    assert not go_formats.address_fault(f"{address}/{address.max_prefixlen}")
    assert go_formats.address_fault(f"{address}/{address.max_prefixlen + 1}")


@pytest.mark.parametrize(
    ("host", "wildcard", "plain"),
    [
        ("wikipedia.org", True, True),
        ("wikipedia.org.", True, True),
        ("UPPER.com", True, True),
        ("one", True, True),
        ("123", True, False),
        ("a.123", False, False),
        ("a.99999999999999999999", True, True),
        ("*.wikipedia.org", True, False),
        ("*pedia.org", True, False),
        ("*-a.org", True, False),
        ("*-.org", False, False),
        ("w*.org", False, False),
        ("a.*.org", False, False),
        ("a..org", False, False),
        ("a\n", False, False),
        ("é.org", False, False),
        ("x" * 63 + ".org", True, True),
        ("x" * 64 + ".org", False, False),
        ("a." * 127 + "a", True, True),
        ("a." * 127 + "ab", False, False),
    ],
)
def test_a_host(host: str, wildcard: bool, plain: bool) -> None:
    assert (go_formats.wildcard_host_fault(host) == "") is wildcard
    assert (go_formats.exact_host_fault(host) == "") is plain


@pytest.mark.parametrize(
    ("key", "value", "faults"),
    [
        ("app", "", 0),
        ("a.b/c_d", "x" * 70, 0),
        ("A.b/c", "v", 0),
        ("a b", "v", 1),
        ("/a", "-", 2),
        ("a" * 64, "v", 1),
        ("a." * 127 + "a/b", "v", 1),
    ],
)
def test_a_label_of_an_endpoint(key: str, value: str, faults: int) -> None:
    assert len(go_formats.label_faults(key, value)) == faults
