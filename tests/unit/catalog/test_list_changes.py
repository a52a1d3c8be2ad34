"""What has become of a published list, and what of that should alarm."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.catalog.list_changes import ALARMS, Alarm, ChangeKind, ListChange, alarms, changes_between, dns_alarms
from egressctl.manifests.published import PublishedRange, PublishedSource, RetiredBlock

SITES = [
    PublishedRange("codfw", "208.80.153.224/27"),
    PublishedRange("eqiad", "208.80.154.224/27"),
    PublishedRange("ulsfo", "198.35.26.96/27"),
]
BLOCKS = st.builds(
    lambda offset, length: str(IPv4Network((0x08080000 + offset, length), strict=False)), st.integers(0, 63), st.integers(26, 32)
)


def ranges(*blocks: str) -> list[PublishedRange]:
    return [PublishedRange("", block) for block in blocks]


def numbers(blocks: list[str]) -> set[int]:
    return {int(address) for block in blocks for address in IPv4Network(block)}


# What has changed


def test_a_list_that_is_the_same_has_no_changes() -> None:
    assert changes_between(SITES, [*reversed(SITES)]) == []
    assert alarms(SITES, SITES) == []


def test_another_cut_of_the_same_addresses_is_no_change() -> None:
    assert changes_between(ranges("8.8.8.0/25", "8.8.8.128/25"), ranges("8.8.8.0/24")) == []
    assert changes_between(ranges("8.8.8.0/24"), ranges("8.8.8.0/25", "8.8.8.128/26", "8.8.8.192/26")) == []


def test_what_is_new_what_is_gone_and_what_has_moved() -> None:
    now = [SITES[0], PublishedRange("drmrs", "185.15.58.224/27"), PublishedRange("ulsfo", "198.35.26.224/27")]
    assert changes_between(SITES, now) == [
        ListChange(ChangeKind.MOVED, "ulsfo", "198.35.26.224/27", "198.35.26.96/27"),
        ListChange(ChangeKind.ADDED, "drmrs", "185.15.58.224/27"),
        ListChange(ChangeKind.REMOVED, "eqiad", "208.80.154.224/27"),
    ]


@pytest.mark.parametrize(
    "now",
    [
        pytest.param([PublishedRange("ulsfo", "185.15.59.224/27")], id="another network is another place"),
        pytest.param(
            [PublishedRange("ulsfo", "198.35.26.0/27"), PublishedRange("ulsfo", "198.35.26.224/27")],
            id="which of the two is not known",
        ),
        pytest.param([PublishedRange("other", "198.35.26.224/27")], id="another name"),
    ],
)
def test_what_has_not_moved_is_gone_and_new(now: list[PublishedRange]) -> None:
    kinds = [each.kind for each in changes_between([SITES[2]], now)]
    assert kinds == [ChangeKind.ADDED] * len(now) + [ChangeKind.REMOVED]


def test_blocks_without_a_name_never_move() -> None:
    assert [each.kind for each in changes_between(ranges("8.8.8.0/27"), ranges("8.8.8.64/27"))] == [
        ChangeKind.ADDED,
        ChangeKind.REMOVED,
    ]


@given(st.lists(BLOCKS), st.lists(BLOCKS))
def test_changes_account_for_every_address(before: list[str], now: list[str]) -> None:
    found = changes_between(ranges(*before), ranges(*now))
    added = numbers([each.block for each in found if each.kind is ChangeKind.ADDED])
    removed = numbers([each.block for each in found if each.kind is ChangeKind.REMOVED])
    assert numbers(now) - numbers(before) <= added <= numbers(now)
    assert numbers(before) - numbers(now) <= removed <= numbers(before)
    assert bool(found) is (numbers(before) != numbers(now))


# What alarms


def codes(before: list[PublishedRange], now: list[PublishedRange]) -> list[str]:
    return [each.code for each in alarms(before, now)]


def test_what_is_added_alone_does_not_alarm() -> None:
    assert alarms(SITES, [*SITES, PublishedRange("drmrs", "185.15.58.224/27")]) == []


def test_a_range_that_vanished_or_moved_or_shrank_alarms() -> None:
    assert alarms(SITES, [*SITES[:2], PublishedRange("ulsfo", "198.35.26.224/27")]) == [
        Alarm("vanished", "no longer published: ulsfo 198.35.26.96/27")
    ]
    assert alarms(SITES, SITES[:2]) == [Alarm("vanished", "no longer published: ulsfo 198.35.26.96/27")]
    assert alarms(ranges("8.8.8.0/24"), ranges("8.8.8.0/25")) == [Alarm("vanished", "no longer published: 8.8.8.0/24")]


def test_many_that_vanished_are_counted() -> None:
    gone = [f"8.8.{number}.0/24" for number in range(1, 6)]
    [alarm] = alarms(ranges("9.9.0.0/16", *gone), ranges("9.9.0.0/16"))
    assert alarm.message == "no longer published: 8.8.1.0/24, 8.8.2.0/24, 8.8.3.0/24 and 2 more"


def test_a_list_that_shrinks_by_more_than_half_alarms() -> None:
    assert codes(ranges("8.8.8.0/24"), ranges("8.8.8.0/25")) == ["vanished"]
    assert alarms(ranges("8.8.8.0/24", "9.9.9.9/32"), ranges("8.8.8.0/25"))[1:] == [
        Alarm("halved", "the list shrinks from 257 addresses to 128")
    ]


@pytest.mark.parametrize(("block", "broad"), [("8.0.0.0/8", False), ("8.0.0.0/7", True), ("0.0.0.0/0", True)])
def test_a_range_shorter_than_8_alarms(block: str, broad: bool) -> None:
    assert ("broad" in codes([], ranges(block))) is broad


@pytest.mark.parametrize(
    "block",
    ["10.1.0.0/16", "127.0.0.1/32", "169.254.169.254/32", "172.16.0.0/12", "192.168.1.0/24", "192.0.0.0/8", "224.0.0.1/32"],
)
def test_private_and_reserved_addresses_alarm(block: str) -> None:
    assert codes([], ranges(block)) == ["reserved"]


def test_an_answer_outside_of_what_is_published_alarms() -> None:
    source = PublishedSource("https://x.example/", "lines", "2026-08-21", ranges=tuple(SITES))
    kept = source._replace(retired=(RetiredBlock("esams", "91.198.174.192/27", "2026-08-21", kept=True),))
    answers = [
        ("www.wikipedia.org", "91.198.174.192"),
        ("www.wikipedia.org", "2620:0:861:ed1a::1"),
        ("a.example", "208.80.154.224"),
    ]
    assert dns_alarms([source], answers) == [
        Alarm("dns-outside", "www.wikipedia.org resolves to 91.198.174.192, which is not published")
    ]
    assert dns_alarms([kept], answers) == []
    dual = kept._replace(ranges=(*kept.ranges, PublishedRange("codfw", "2620:0:860:ed1a::/64")))
    assert dns_alarms([dual], answers) == [
        Alarm("dns-outside", "www.wikipedia.org resolves to 2620:0:861:ed1a::1, which is not published")
    ]


def test_ipv6_alarms_by_measures_of_its_own() -> None:
    assert alarms(ranges("8.8.8.0/24", "2620:0:861::/48"), ranges("8.8.8.0/24", "2620:0:861::/50"))[1:] == [
        Alarm("halved", f"the list shrinks from {2**80} addresses of IPv6 to {2**78}")
    ]
    assert codes([], ranges("2600::/16")) == []
    assert codes([], ranges("2600::/15")) == ["broad"]
    assert codes([], ranges("fd00::/48")) == codes([], ranges("fe80::/64")) == ["reserved"]
    assert changes_between(ranges("2620:0:861:ed1a::/64"), ranges("2620:0:861:ed1b::/64"))[0].kind is ChangeKind.ADDED


def test_every_alarm_is_explained() -> None:
    found = {*codes(ranges("9.9.9.0/24"), ranges("0.0.0.0/0", "10.0.0.0/32")), *codes(SITES, [SITES[0]])}
    assert found | {"dns-outside", "addresses-written-out"} == set(ALARMS)
