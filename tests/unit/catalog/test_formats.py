"""The parsers of published lists, held against recorded ones."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.catalog import lookup
from egressctl.catalog.formats import MAX_BYTES, parse_published_list
from egressctl.catalog.parsers import PARSERS
from egressctl.errors import InvalidInput
from egressctl.manifests.published import FORMATS, PublishedRange, PublishedSource
from examples import examples

RECORDED = Path(__file__).parents[2] / "data" / "published"


def source(form: str, *calls_in: str, url: str = "https://lists.example/list", **select: tuple[str, ...]) -> PublishedSource:
    return PublishedSource(url, form, "2026-01-01", tuple(select.items()), calls_in)


def recorded(name: str, about: PublishedSource) -> tuple[PublishedRange, ...]:
    return parse_published_list(about, (RECORDED / name).read_bytes())


def named(ranges: tuple[PublishedRange, ...]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in ranges:
        found.setdefault(each.name, []).append(each.block)
    return found


def test_there_is_a_parser_for_each_format() -> None:
    assert tuple(PARSERS) == FORMATS


CALLED: Mapping[str, tuple[str, PublishedSource, dict[str, str]]] = {
    "aws": (
        "aws.json",
        source("aws", service=("S3", "DYNAMODB"), region=("eu-west-1", "GLOBAL")),
        {
            "dynamodb/eu-west-1": "52.94.5.0/24 52.94.24.0/22",
            "s3/eu-west-1": "3.5.64.0/21 3.5.72.0/22 52.218.0.0/17",
            "s3/global": "13.248.224.0/24",
        },
    ),
    "google cloud": (
        "google-cloud.json",
        source("google", scope=("us-west8",)),
        {"us-west8": "34.2.32.0/20 34.37.0.0/16 34.128.46.0/23 34.128.62.0/23"},
    ),
    "atlassian": (
        "atlassian.json",
        source("atlassian", "egress", direction=("ingress",), perimeter=("commercial",), region=("global", "ap-northeast-2")),
        {
            "global": "13.35.248.0/24 13.227.180.0/24 13.227.213.0/24 104.192.136.0/21 185.166.140.0/22",
            "ap-northeast-2": "43.202.69.0/25 104.192.143.0/24",
        },
    ),
    "okta": (
        "okta.json",
        source("okta", cell=("emea_cell_1",)),
        {
            "emea-cell-1": "34.159.21.121/32 35.205.164.88/32 52.58.255.164/30 52.58.255.168/30 "
            "52.208.63.231/32 52.208.63.232/29 52.211.126.224/32"
        },
    ),
    "datadog": (
        "datadog.json",
        source("datadog", "webhooks", "synthetics", section=("agents", "api")),
        {"agents": "3.233.144.0/20", "api": "3.233.144.0/20"},
    ),
    "salesforce": ("salesforce.json", source("salesforce"), {"us-east-1": "155.226.144.0/22"}),
    "oracle": (
        "oracle.json",
        source("oracle", tag=("OBJECT_STORAGE",)),
        {"object-storage/us-ashburn-1": "134.70.24.0/21 134.70.32.0/22"},
    ),
    "oracle, a block of two tags": (
        "oracle.json",
        source("oracle", tag=("OSN", "OBJECT_STORAGE"), region=("us-ashburn-1",)),
        {
            "object-storage/us-ashburn-1": "134.70.24.0/21 134.70.32.0/22",
            "osn/us-ashburn-1": "64.181.152.0/21 129.213.0.128/25 134.70.24.0/21 134.70.32.0/22 138.1.48.0/21",
        },
    ),
    "digitalocean": (
        "digitalocean.csv",
        source("geofeed", country=("NL", "SG")),
        {"Amsterdam": "5.101.96.0/21 5.101.104.0/22 37.139.0.0/22", "Singapore": "68.183.176.0/20"},
    ),
    "wikimedia": (
        "wikimedia-geo-resources",
        source("wikimedia", resource=("text-addrs",)),
        {
            "codfw": "208.80.153.224/27",
            "eqiad": "208.80.154.224/27",
            "esams": "91.198.174.192/27",
            "ulsfo": "198.35.26.96/27",
        },
    ),
}


@pytest.mark.parametrize("case", CALLED)
def test_a_recorded_list_gives_what_is_called(case: str) -> None:
    file, about, called = CALLED[case]
    assert named(recorded(file, about._replace(ipv6=False))) == {name: blocks.split() for name, blocks in called.items()}


IPV6 = {
    "aws": {"s3/global": "2600:9000:a310::/48"},
    "wikimedia": {
        "codfw": "2620:0:860:ed1a::/64",
        "eqiad": "2620:0:861:ed1a::/64",
        "esams": "2620:0:862:ed1a::/64",
        "ulsfo": "2620:0:863:ed1a::/64",
    },
    "datadog": {"agents": "2600:1f18:24e6:b900::/56", "api": "2600:1f18:24e6:b900::/56"},
}


@pytest.mark.parametrize("case", IPV6)
def test_a_list_without_ranges_or_that_says_so_gives_its_blocks_of_ipv6_as_well(case: str) -> None:
    file, about, _ = CALLED[case]
    found = {name: [each for each in blocks if ":" in each] for name, blocks in named(recorded(file, about)).items()}
    assert {name: blocks for name, blocks in found.items() if blocks} == {k: v.split() for k, v in IPV6[case].items()}


def collapsed(ranges: tuple[PublishedRange, ...]) -> list[ipaddress.IPv4Network]:
    return list(ipaddress.collapse_addresses(ipaddress.IPv4Network(each.block) for each in ranges))


WHOLE = {
    "cloudflare": "cloudflare.txt",
    "fastly": "fastly.json",
    "google": "google-goog.json",
    "stripe": "stripe.json",
    "atlassian": "atlassian.json",
}


@pytest.mark.parametrize(("name", "file"), WHOLE.items())
def test_the_catalogue_holds_what_the_recorded_list_says(name: str, file: str) -> None:
    [about] = lookup.sources_of_target(name)
    found = recorded(file, about)
    assert {each.name for each in found} == {each.name for each in about.ranges}
    assert collapsed(found) == collapsed(about.ranges)


def test_what_only_calls_in_is_left_out() -> None:
    found = recorded("github.json", source("github", "hooks", "actions", "importer", list=("web", "api")))
    assert {*named(found)} == {"web", "api"}
    assert "20.201.28.148/32" in named(found)["api"]
    assert "140.82.112.0/20" in named(found)["web"]


def test_a_block_that_is_called_and_calls_in_is_called() -> None:
    found = recorded("atlassian.json", source("atlassian", "egress", direction=("ingress",)))
    assert "104.192.136.0/21" in named(found)["global"]
    assert "167.89.0.0/17" not in [each.block for each in found]


@pytest.mark.parametrize(
    ("ranges", "said", "called"),
    [
        ((), None, True),
        (("192.0.2.0/24",), None, False),
        (("192.0.2.0/24", "2001:db8::/32"), None, True),
        ((), False, False),
        (("192.0.2.0/24",), True, True),
    ],
)
def test_ipv6_is_called_where_the_file_says_so_or_has_it(ranges: tuple[str, ...], said: bool | None, called: bool) -> None:
    held = tuple(PublishedRange("addresses", block) for block in ranges)
    found = recorded("fastly.json", source("fastly")._replace(ranges=held, ipv6=said))
    assert [each.block for each in found if ":" in each.block] == ["2a04:4e40::/32", "2a04:4e42::/32"] * called


def test_a_list_of_ipv6_alone_says_how_it_is_called() -> None:
    about = source("lines")._replace(ranges=(PublishedRange("x", "192.0.2.0/24"),))
    with pytest.raises(InvalidInput, match=r"no block of IPv4 in it \(ipv6: true in the source"):
        parse_published_list(about, b"2001:db8::/32")
    assert parse_published_list(source("lines"), b"2001:db8::/32")


def test_a_site_of_several_addresses_is_one_block_and_comments_are_none() -> None:
    text = 'text => { dcmap => { a => { addrs_v4 => [ 192.0.2.1, 192.0.2.2 ] } # 192.0.2.99\n "b c" => 198.51.100.7 } }'
    assert named(parse_published_list(source("wikimedia"), text.encode())) == {
        "a": ["192.0.2.0/27"],
        "b c": ["198.51.100.0/27"],
    }


def test_lines_are_called_as_the_list_and_may_have_comments() -> None:
    data = b"\xef\xbb\xbf# ours\r\n192.0.2.0/25 # a\r\n\r\n192.0.2.128/25\n2001:db8::/32"
    found = parse_published_list(source("lines", url="https://lists.example/ips-v4/"), data)
    assert found == (PublishedRange("ips-v4", "192.0.2.0/24"), PublishedRange("ips-v4", "2001:db8::/32"))


def rows(*prefixes: Mapping[str, object]) -> bytes:
    return json.dumps({"prefixes": prefixes}).encode()


ROW = {"ip_prefix": "192.0.2.0/24", "service": "S3", "region": "y"}
AWS = source("aws")


@pytest.mark.parametrize(
    ("about", "data", "message"),
    [
        (AWS, b"", "it is not JSON"),
        (AWS, b"<html>Not found</html>", "it is not JSON: Expecting value: line 1 column 1"),
        (AWS, b"\xff\xfe\xff", "it is not JSON"),
        (AWS, b"[" * 100_000, "it is nested too deeply"),
        (AWS, b'{"prefixes": 1' + b"0" * 5000 + b"}", "it is not JSON: a number in it has too many digits"),
        (AWS, b"[]", "it is a list (expected an object)"),
        (AWS, b"{}", 'there is no list "prefixes"'),
        (AWS, b'{"prefixes": {}}', "prefixes: is a mapping (expected a list)"),
        (AWS, b'{"prefixes": [7]}', "prefixes[0]: is the number 7 (expected an object)"),
        (AWS, rows({}), "prefixes[0].ip_prefix: is not there"),
        (AWS, rows({"ip_prefix": 7}), "prefixes[0].ip_prefix: is the number 7 (expected a block, as text)"),
        (AWS, rows(ROW, {"ip_prefix": "10.0.0.300/8"}), 'prefixes[1].ip_prefix: "10.0.0.300/8" is no address and no block'),
        (AWS, rows({"ip_prefix": "192.0.2.1/24"}), 'prefixes[0].ip_prefix: "192.0.2.1/24" has host bits set'),
        (AWS, rows({**ROW, "service": {}}), "prefixes[0].service: is a mapping (expected text)"),
        (AWS, rows(), "there is no block in it"),
        (source("aws", service=("EC2",)), rows(ROW), 'there is no service "EC2" in it (it has S3)'),
        (
            source("aws", service=("S3",), region=("x",)),
            rows(ROW, {**ROW, "service": "", "region": "x"}),
            "nothing in it is called",
        ),
        (source("github", list=("web",)), b'{"api": []}', 'there is no list "web"'),
        (source("stripe", list=("API",)), b'{"API": {"a": 1}}', "API: is a mapping (expected a list)"),
        (source("lines"), b"<html>", 'line[1]: "<html>" is no address and no block'),
        (source("lines"), b"\xff", "it is not text in UTF-8"),
        (source("geofeed"), b'192.0.2.0/24,"NL', "it is not CSV"),
        (source("geofeed"), b"192.0.2.0/24,NL\nAmsterdam", 'line[2]: "Amsterdam" is no address and no block'),
        (source("okta"), b'{"a": []}', "a: is a list (expected an object)"),
        (source("oracle"), b'{"regions": [{"region": [7], "cidrs": []}]}', "regions[0].region: is the number 7 (expected text)"),
        (source("wikimedia"), b"a => { b", "line[1]: it ends too early"),
        (source("wikimedia"), b"a\n=> }", "line[2]: } closes nothing"),
        (source("wikimedia"), b"a => 1\na => 2", 'line[2]: the key "a" is here twice'),
        (source("wikimedia"), b"a => { dcmap => { b => { addrs_v4 => { c => d } } } }", "a.dcmap.b: is no address"),
        (source("wikimedia"), b"a => " + b"{ a => " * 100, "it is nested too deeply"),
        (source("cloud"), b"", '"cloud" is no format that is read'),
    ],
)
def test_what_is_wrong_with_a_list_is_told_with_its_place(about: PublishedSource, data: bytes, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_published_list(about, data)
    assert message in str(caught.value)


def test_a_list_of_any_size_is_refused_before_it_is_read() -> None:
    with pytest.raises(InvalidInput, match="larger than 16 MiB"):
        parse_published_list(source("lines"), b" " * (MAX_BYTES + 1))
    with pytest.raises(InvalidInput, match="more than 100000 blocks"):
        parse_published_list(source("lines"), b"192.0.2.1\n" * 100_001)


# Whatever comes


def parsed_or_refused(about: PublishedSource, data: bytes) -> tuple[PublishedRange, ...] | None:
    try:
        return parse_published_list(about, data)
    except InvalidInput:
        return None


@pytest.mark.parametrize("form", FORMATS)
@examples(40)
@given(data=st.binary(max_size=200) | st.text('{}[]=>,# \n"abc.0123/', max_size=80).map(str.encode))
def test_no_bytes_crash_a_parser(form: str, data: bytes) -> None:
    parsed_or_refused(source(form, list=("API",)) if form in ("github", "stripe") else source(form), data)


WORDS = [
    "prefixes",
    "ip_prefix",
    "ipv6_prefixes",
    "ipv6_prefix",
    "service",
    "region",
    "ipv4Prefix",
    "scope",
    "API",
    "addresses",
    "items",
    "cidr",
    "direction",
    "product",
    "ip_ranges",
    "prefixes_ipv4",
    "regions",
    "cidrs",
    "tags",
    "a",
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 999) | st.sampled_from(["192.0.2.0/24", "2001:db8::/32", "x", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("form", [form for form in FORMATS if form not in ("lines", "geofeed", "wikimedia")])
@examples(40)
@given(value=JSON)
def test_no_shape_crashes_a_parser_and_what_it_reads_is_blocks(form: str, value: object) -> None:
    about = source(form, "egress", list=("API",)) if form in ("github", "stripe") else source(form, "egress")
    found = parsed_or_refused(about, json.dumps(value).encode())
    for each in found if found else ():
        assert str(ipaddress.IPv4Network(each.block)) == each.block


@given(blocks=st.lists(st.tuples(st.integers(0, 2**32 - 1), st.integers(8, 32)), min_size=1, max_size=30))
def test_a_list_is_collapsed_and_holds_no_address_more_or_less(blocks: list[tuple[int, int]]) -> None:
    networks = [ipaddress.IPv4Network((address, length), strict=False) for address, length in blocks]
    found = [
        ipaddress.IPv4Network(each.block)
        for each in parse_published_list(source("lines"), "\n".join(map(str, networks)).encode())
    ]
    assert found == list(ipaddress.collapse_addresses(networks))
