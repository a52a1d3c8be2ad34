"""What a target's file says of its sources: read, refused with its place, written, and opened."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.catalog.targets import load_targets
from egressctl.errors import InvalidInput
from egressctl.manifests import published
from egressctl.manifests.problems import ProblemCollector
from egressctl.manifests.published import (
    PublishedRange,
    PublishedSource,
    RetiredBlock,
    addresses_of_sources,
    blocks_by_name,
    source_as_data,
)

FILE = """\
apiVersion: egressctl.dev/v1alpha1
kind: EgressTarget
metadata:
  name: outside
spec:
  serviceEntry:
    hosts: [outside.example]
    ports: [{number: 443, name: tcp-443, protocol: TCP}]
  published:
  - url: https://outside.example/addresses.json
    format: atlassian
    checked: 2026-08-21
    select: {direction: [ingress]}
    callsIn: [egress]
    ranges:
      front: [203.0.113.0/27, 203.0.113.32/27]
      api: [203.0.113.128/27]
    retired:
    - {name: front, block: 198.51.100.0/27, since: 2026-08-21, note: front moved, kept: true}
    - {name: old, block: 192.0.2.0/27, since: 2020-01-01}
"""


def sources(text: str = FILE) -> tuple[PublishedSource, ...]:
    from egressctl.manifests.yaml_reader import parse_yaml

    found = ProblemCollector()
    read = published.read_published(found, parse_yaml(text, "a file").documents[0].value["spec"]["published"], ())
    assert not found.problems
    return read


def test_a_file_says_what_is_called_what_calls_in_and_what_is_retired() -> None:
    [source] = sources()
    assert source == PublishedSource(
        "https://outside.example/addresses.json",
        "atlassian",
        "2026-08-21",
        (("direction", ("ingress",)),),
        ("egress",),
        (
            PublishedRange("front", "203.0.113.0/27"),
            PublishedRange("front", "203.0.113.32/27"),
            PublishedRange("api", "203.0.113.128/27"),
        ),
        (
            RetiredBlock("front", "198.51.100.0/27", "2026-08-21", "front moved", True),
            RetiredBlock("old", "192.0.2.0/27", "2020-01-01"),
        ),
    )
    assert source.selected("direction") == ("ingress",)
    assert source.selected("product") == ()


def test_an_entry_without_addresses_opens_the_ranges_and_what_is_kept() -> None:
    [target] = load_targets(FILE, "a file")
    assert target.spec["addresses"] == ["198.51.100.0/27", "203.0.113.0/26", "203.0.113.128/27"]
    assert list(target.spec) == ["hosts", "addresses", "ports"]


def test_blocks_of_ipv6_are_opened_like_those_of_ipv4() -> None:
    text = FILE.replace("203.0.113.32/27", '"2001:db8:0:1::/64", "2001:db8::/64"').replace("callsIn", "ipv6: true\n    callsIn")
    [target] = load_targets(text, "a file")
    assert target.spec["addresses"] == ["198.51.100.0/27", "203.0.113.0/27", "203.0.113.128/27", "2001:db8::/63"]
    [source] = sources(text)
    assert source.ipv6 is True
    assert published.source_as_data(source)["ipv6"] is True
    assert published.source_as_data(source._replace(ipv6=False))["ipv6"] is False
    assert "ipv6" not in published.source_as_data(source._replace(ipv6=None))


def test_addresses_that_are_written_out_are_meant() -> None:
    [target] = load_targets(FILE.replace("    ports:", "    addresses: [203.0.113.7]\n    ports:"), "a file")
    assert target.spec["addresses"] == ["203.0.113.7"]


def test_a_source_without_ranges_gives_no_address() -> None:
    text = FILE[: FILE.index("    select:")].replace("protocol: TCP", "protocol: TLS").replace("atlassian", "page")
    [target] = load_targets(text, "a file")
    assert "addresses" not in target.spec


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("url: https://", "url: http://", '10: spec.published[0].url: "http://outside.example/addresses.json" is no address'),
        ("url: https://", "url: https://me:secret@", "10: spec.published[0].url:"),
        ("    checked: 2026-08-21\n", "", "10: spec.published[0].checked: the source has no checked"),
        ("checked: 2026-08-21", "checked: 2026-8-21", '12: spec.published[0].checked: "2026-8-21" is no day'),
        ("checked: 2026-08-21", "checked: 2026-02-30", '12: spec.published[0].checked: "2026-02-30" is no day'),
        ("atlassian", "atlasian", '11: spec.published[0].format: "atlasian" is no format that is read (did you mean atlassian?)'),
        ("callsIn", "callIn", "14: spec.published[0].callIn: unknown field (did you mean callsIn?)"),
        ("[egress]", "egress", "14: spec.published[0].callsIn: is the text"),
        ("{direction: [ingress]}", "[ingress]", "13: spec.published[0].select: is a list"),
        ("{direction: [ingress]}", "{direction: [7]}", "13: spec.published[0].select.direction[0]: is the number 7"),
        (
            "203.0.113.32/27",
            "203.0.113.33/27",
            "16: spec.published[0].ranges.front[1]: 203.0.113.33/27 is not written as a block",
        ),
        ("203.0.113.32/27", "203.0.113.0/27", "16: spec.published[0].ranges.front[1]: 203.0.113.0/27 is here twice"),
        (
            "203.0.113.32/27",
            "2001:DB8::/32",
            "16: spec.published[0].ranges.front[1]: 2001:DB8::/32 is not written as a block (write 2001:db8::/32)",
        ),
        (
            "203.0.113.32/27",
            '"::ffff:192.0.2.0/120"',
            "16: spec.published[0].ranges.front[1]: ::ffff:192.0.2.0/120 is a block of IPv4 written as IPv6 (write 192.0.2.0/24)",
        ),
        ("203.0.113.32/27", "outside", '16: spec.published[0].ranges.front[1]: "outside" is no block'),
        ("callsIn: [egress]", "ipv6: maybe", "14: spec.published[0].ipv6: is the text"),
        ("kept: true", "kept: 1", "19: spec.published[0].retired[0].kept: is the number 1"),
        ("since: 2020-01-01", "since: never", '20: spec.published[0].retired[1].since: "never" is no day'),
        ("  - url", "    url", "9: spec.published: is a mapping (expected a list of sources"),
    ],
)
def test_what_is_wrong_is_told_with_line_and_field(old: str, new: str, problem: str) -> None:
    assert old in FILE
    with pytest.raises(InvalidInput) as caught:
        load_targets(FILE.replace(old, new), "outside.yaml")
    assert f"outside.yaml:{problem}" in str(caught.value)


BLOCKS = st.builds(
    lambda address, length: str(ipaddress.IPv4Network((address, length), strict=False)),
    st.integers(0, 2**32 - 1),
    st.integers(8, 32),
)
NAMES = st.text("abc-/1", min_size=1, max_size=5)
SOURCES = st.builds(
    PublishedSource,
    st.just("https://outside.example/list"),
    st.sampled_from(published.FORMATS),
    st.dates().map(str),
    st.dictionaries(NAMES, st.lists(NAMES, max_size=2).map(tuple), max_size=2).map(lambda found: tuple(found.items())),
    st.lists(NAMES, max_size=2).map(tuple),
    st.lists(st.builds(PublishedRange, NAMES, BLOCKS), max_size=6, unique=True).map(tuple),
    st.lists(
        st.builds(RetiredBlock, NAMES, BLOCKS, st.dates().map(str), NAMES, st.booleans()),
        max_size=3,
        unique_by=lambda each: each.block,
    ).map(tuple),
    st.text("ab ", max_size=5),
)


@given(source=SOURCES)
def test_a_source_that_is_written_is_read_as_the_same(source: PublishedSource) -> None:
    found = ProblemCollector()
    [again] = published.read_published(found, [source_as_data(source)], ())
    assert not found.problems
    assert again._replace(ranges=()) == source._replace(ranges=())
    assert sorted(again.ranges) == sorted(source.ranges)
    assert blocks_by_name(again.ranges) == blocks_by_name(source.ranges)


@given(source=SOURCES)
def test_what_is_opened_is_the_ranges_and_what_is_kept_and_nothing_else(source: PublishedSource) -> None:
    kept = [*(each.block for each in source.ranges), *(each.block for each in source.retired if each.kept)]
    assert addresses_of_sources([source]) == list(map(str, ipaddress.collapse_addresses(map(ipaddress.IPv4Network, kept))))
