"""The catalogue, the entry, the published list and DNS, side by side."""

from __future__ import annotations

from dataclasses import replace

import pytest

from egressctl.catalog.diff_rows import DIFFERENT, MEANINGS, Sides, State, rows
from egressctl.manifests.published import PublishedRange, PublishedSource, RetiredBlock, addresses_of_sources
from egressctl.model.entry import Port, ServiceEntry
from egressctl.model.probe import Target

SITES = (
    PublishedRange("codfw", "208.80.153.224/27"),
    PublishedRange("drmrs", "185.15.58.224/27"),
    PublishedRange("eqiad", "208.80.154.224/27"),
    PublishedRange("esams", "185.15.59.224/27"),
    PublishedRange("ulsfo", "198.35.26.224/27"),
)
OLD = (
    RetiredBlock("esams", "91.198.174.192/27", "2026-08-21", kept=True),
    RetiredBlock("ulsfo", "198.35.26.96/27", "2026-08-21", kept=True),
)
SOURCE = PublishedSource("https://x.example/", "wikimedia", "2026-08-21", ranges=SITES, retired=OLD)
PORTS = [{"number": 443, "protocol": "TCP", "name": "tcp-port"}]


def target(*sources: PublishedSource, **spec: object) -> Target:
    own = {"hosts": ["wikipedia.org"], "addresses": addresses_of_sources(sources), "ports": PORTS}
    return Target("wikipedia", "wikipedia-ext", None, {**own, **spec}, ())


def entry(*blocks: str) -> ServiceEntry:
    return ServiceEntry("wikipedia-ext", "default", ("wikipedia.org",), blocks, (Port(443, "TCP", "x"),), "NONE", "", ())


TARGET = target(SOURCE)
DOCUMENT = entry("91.198.174.192/27", "198.35.26.96/27", "208.80.153.224/27", "208.80.154.224/27")
UP_TO_DATE = entry(*TARGET.spec["addresses"])


def told(sides: Sides) -> list[tuple[str, ...]]:
    """Name, state, words and cells of each row that is not the same everywhere."""
    cells = [(row, (row.catalogue, row.entry, row.published)) for row in rows(sides) if row.state is not State.SAME]
    return [(row.name, str(row.state), row.text, ",".join(cell or "-" for cell in row_cells)) for row, row_cells in cells]


def test_an_entry_of_long_ago_lacks_what_came_since() -> None:
    assert told(Sides(TARGET, [SOURCE], [DOCUMENT], SITES)) == [
        ("drmrs", "missing", "185.15.58.224/27", "yes,no,yes"),
        ("esams", "missing", "185.15.59.224/27", "yes,no,yes"),
        ("ulsfo", "moved", "198.35.26.96/27 -> 198.35.26.224/27", "yes,old,yes"),
        ("esams", "retired", "91.198.174.192/27", "yes,yes,no"),
    ]


def test_the_catalogue_alone_tells_the_same_of_an_entry() -> None:
    assert [row[:3] for row in told(Sides(TARGET, [SOURCE], [DOCUMENT]))] == [
        row[:3] for row in told(Sides(TARGET, [SOURCE], [DOCUMENT], SITES))
    ]


def test_an_entry_of_the_catalogue_is_no_different() -> None:
    found = rows(Sides(TARGET, [SOURCE], [UP_TO_DATE], SITES))
    assert {row.state for row in found} == {State.SAME, State.RETIRED}
    assert {row.name for row in found if row.state is State.SAME} == {each.name for each in SITES}


def test_several_entries_of_one_target_are_one_side() -> None:
    blocks = TARGET.spec["addresses"]
    halves = [entry(*blocks[:3]), entry(*blocks[3:])]
    assert rows(Sides(TARGET, [SOURCE], halves, SITES)) == rows(Sides(TARGET, [SOURCE], [UP_TO_DATE], SITES))


def test_a_catalogue_of_long_ago_is_told_as_well() -> None:
    now = (*SITES[:-1], PublishedRange("ulsfo", "198.35.26.0/27"), PublishedRange("magru", "195.200.68.224/27"))
    assert told(Sides(TARGET, [SOURCE], [UP_TO_DATE], now))[:2] == [
        ("magru", "missing", "195.200.68.224/27", "no,no,yes"),
        ("ulsfo", "moved", "198.35.26.224/27 -> 198.35.26.0/27", "old,old,yes"),
    ]


def test_what_only_a_side_has_is_extra() -> None:
    wide = entry(*TARGET.spec["addresses"], "8.8.8.0/24", "208.80.152.0/22", "9.9.9.9")
    assert [row for row in told(Sides(TARGET, [SOURCE], [wide], SITES)) if row[1] == "extra"] == [
        ("", "extra", "8.8.8.0/24", "no,yes,no"),
        ("", "extra", "208.80.152.0/22", "part,yes,part"),
        ("", "extra", "9.9.9.9", "no,yes,no"),
    ]
    assert told(Sides(TARGET, [SOURCE], None, SITES[:-1]))[0] == ("ulsfo", "extra", "198.35.26.224/27", "yes,-,no")


def test_a_block_that_is_there_in_part_is_missing() -> None:
    part = entry(*TARGET.spec["addresses"][:-1], "208.80.154.224/28")
    assert told(Sides(TARGET, [SOURCE], [part], SITES))[0] == ("eqiad", "missing", "208.80.154.224/27", "yes,part,yes")


def test_another_cut_is_no_difference() -> None:
    halves = [f"{each.split('/')[0]}/28" for each in TARGET.spec["addresses"]]
    cut = entry(*halves, *(f"{each.rpartition('.')[0]}.{int(each.split('.')[3].split('/')[0]) + 16}/28" for each in halves))
    assert not {row.state for row in rows(Sides(TARGET, [SOURCE], [cut], SITES))} & DIFFERENT


def test_an_answer_of_dns_is_in_its_blocks_row_and_has_one_of_its_own_where_no_side_has_it() -> None:
    answers = [("www.wikipedia.org", each) for each in ("185.15.59.224", "198.35.26.97", "8.8.8.8", "2620:0:861:ed1a::1")]
    found = {(row.name, row.state): row for row in rows(Sides(TARGET, [SOURCE], [DOCUMENT], SITES, answers))}
    assert found["esams", State.MISSING].dns == ("185.15.59.224",)
    assert found["ulsfo", State.MOVED].dns == ("198.35.26.97",)
    assert found["codfw", State.SAME].dns == ()
    outside = found["www.wikipedia.org", State.OUTSIDE]
    assert (outside.what, outside.catalogue, outside.entry, outside.published) == ("8.8.8.8", "no", "no", "no")
    assert sum(row.state is State.OUTSIDE for row in found.values()) == 1


def test_ipv6_is_compared_where_the_catalogue_or_the_list_has_it() -> None:
    dual = [*SITES, PublishedRange("eqiad", "2620:0:861:ed1a::/64")]
    without = entry(*TARGET.spec["addresses"])
    answers = [("www.wikipedia.org", "2620:0:861:ed1a::1"), ("www.wikipedia.org", "2620:0:862:ed1a::1")]
    differing = [row for row in told(Sides(TARGET, [SOURCE], [without], dual, answers)) if State(row[1]) in DIFFERENT]
    assert differing == [
        ("eqiad", "missing", "2620:0:861:ed1a::/64", "no,no,yes"),
        ("www.wikipedia.org", "outside", "2620:0:862:ed1a::1", "no,no,no"),
    ]


def test_dns_that_was_not_asked_says_nothing() -> None:
    assert {row.dns for row in rows(Sides(TARGET, [SOURCE], [DOCUMENT], SITES))} == {None}


def test_addresses_without_a_source_have_no_name() -> None:
    own = target(addresses=["203.0.113.0/24"])
    assert told(Sides(own, (), [entry("203.0.113.0/25")])) == [("", "missing", "203.0.113.0/24", "yes,part,-")]


def test_hosts_and_ports_that_differ_have_rows() -> None:
    theirs = replace(UP_TO_DATE, hosts=("wikipedia.org", "wikimedia.org"), ports=(Port(443, "TLS", "x"),))
    assert [row for row in told(Sides(TARGET, [SOURCE], [theirs], SITES)) if row[0] in ("host", "port")] == [
        ("port", "missing", "443/TCP", "yes,no,-"),
        ("host", "extra", "wikimedia.org", "no,yes,-"),
        ("port", "extra", "443/TLS", "no,yes,-"),
    ]


@pytest.mark.parametrize("published", [None, ()])
def test_a_target_of_hosts_alone_has_no_rows_of_blocks(published: tuple[PublishedRange, ...] | None) -> None:
    own = target(addresses=[])
    assert rows(Sides(own, (), [entry()], published, [("wikipedia.org", "8.8.8.8")])) == []


def test_every_state_is_explained() -> None:
    assert set(MEANINGS) == set(State)
