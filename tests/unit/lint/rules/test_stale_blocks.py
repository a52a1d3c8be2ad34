"""What an entry lists otherwise than the catalogue: what it misses, what has moved, what is gone."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import pytest

from egressctl.catalog import lookup
from egressctl.errors import InvalidInput
from egressctl.lint.known_targets import KnownTarget, PublishedBlock, known_targets_for
from egressctl.lint.rule import LintedEntry, Place, Told
from egressctl.lint.rules.stale_blocks import check
from egressctl.manifests.service_entry import OFFLINE_VERSION, read_entry, render_entry
from egressctl.model.entry import Port, ServiceEntry

OF_2018 = ("91.198.174.192/27", "103.102.166.224/27", "198.35.26.96/27", "208.80.153.224/27", "208.80.154.224/27")
"""The document's own."""

WIKIPEDIA = KnownTarget(
    name="wikipedia",
    hosts=frozenset({"wikipedia.org"}),
    published=(
        PublishedBlock("codfw", "208.80.153.224/27"),
        PublishedBlock("drmrs", "185.15.58.224/27"),
        PublishedBlock("eqiad", "208.80.154.224/27"),
        PublishedBlock("eqsin", "103.102.166.224/27"),
        PublishedBlock("esams", "185.15.59.224/27"),
        PublishedBlock("magru", "195.200.68.224/27"),
        PublishedBlock("ulsfo", "198.35.26.224/27"),
    ),
    retired=(
        PublishedBlock("esams", "91.198.174.192/27", "2026-08-21"),
        PublishedBlock("ulsfo", "198.35.26.96/27", "2026-08-21"),
    ),
    opened=(*OF_2018, "185.15.58.224/27", "185.15.59.224/27", "195.200.68.224/27", "198.35.26.224/27"),
    checked="2026-08-21",
)
"""What facts are known of Wikimedia's sites: seven in service, and two blocks that are not, which the target keeps."""

ENTRY = ServiceEntry(
    name="wikipedia-ext",
    namespace="default",
    hosts=("wikipedia.org",),
    addresses=OF_2018,
    ports=(Port(443, "TCP", "tcp-port"),),
    resolution="NONE",
    location="MESH_EXTERNAL",
    export_to=(),
)


def checked(entry: ServiceEntry, *known: KnownTarget) -> list[Told]:
    return list(check(LintedEntry(entry, Place.TARGET, known=known)))


def told(entry: ServiceEntry, *known: KnownTarget) -> list[str]:
    return [message for message, _, _ in checked(entry, *(known or (WIKIPEDIA,)))]


def test_the_document_of_2018_misses_three_sites_and_one_has_moved() -> None:
    listed = "the catalogue's wikipedia (list of 2026-08-21)"
    assert told(ENTRY) == [
        f"it misses drmrs 185.15.58.224/27 of {listed}",
        f"it misses esams 185.15.59.224/27 of {listed}: 91.198.174.192/27, which it lists, is the old esams",
        f"it misses magru 195.200.68.224/27 of {listed}",
        f"ulsfo of {listed} has moved from 198.35.26.96/27 to 198.35.26.224/27, which it does not list",
    ]


def test_what_has_moved_is_told_at_the_line_of_the_old_block_and_what_is_missing_at_the_list() -> None:
    assert [path for _, _, path in checked(ENTRY, WIKIPEDIA)] == [
        ("spec", "addresses"),
        ("spec", "addresses", 0),
        ("spec", "addresses"),
        ("spec", "addresses", 2),
    ]


def test_the_catalogue_s_own_entries_are_not_stale() -> None:
    looked_at = []
    for name in lookup.catalog_names():
        with contextlib.suppress(InvalidInput):  # a name that stands for several targets
            entry = read_entry(
                render_entry(lookup.get_target(name), namespace="default", api_version=OFFLINE_VERSION, run_id=None)
            )
            assert checked(entry, *known_targets_for([entry])) == [], name
            looked_at.append(name)
    assert "wikipedia" in looked_at


def test_the_catalogue_s_wikipedia_finds_the_document_of_2018_stale() -> None:
    found = "\n".join(told(ENTRY, *known_targets_for([ENTRY])))
    for block in ("185.15.58.224/27", "185.15.59.224/27", "195.200.68.224/27", "198.35.26.224/27"):
        assert block in found
    assert "208.80" not in found


def test_a_retired_block_that_is_not_kept_is_gone() -> None:
    known = replace(WIKIPEDIA, opened=tuple(each.address for each in WIKIPEDIA.published))
    entry = replace(ENTRY, addresses=(*known.opened, "198.35.26.96/27"))
    assert told(entry, known) == [
        "198.35.26.96/27 is ulsfo's of the catalogue's wikipedia (list of 2026-08-21) no more, since 2026-08-21"
    ]


def test_a_block_that_was_never_published_is_told_where_the_entry_is_for_nothing_else() -> None:
    entry = replace(ENTRY, addresses=(*WIKIPEDIA.opened, "192.0.2.0/24"))
    assert told(entry) == ["192.0.2.0/24 is none of the blocks of the catalogue's wikipedia (list of 2026-08-21)"]
    assert told(replace(entry, hosts=("wikipedia.org", "own.example"))) == []


@pytest.mark.parametrize(
    "entry",
    [
        replace(ENTRY, addresses=()),
        replace(ENTRY, addresses=("192.0.2.0/24",)),  # to a proxy of one's own
        replace(ENTRY, hosts=("mirror.example",), addresses=("208.80.154.224/27",)),
        replace(ENTRY, hosts=("mirror.example",), addresses=(*OF_2018[3:], "192.0.2.1", "192.0.2.2", "192.0.2.3")),
        replace(ENTRY, addresses=("0.0.0.0/0",)),
        replace(ENTRY, addresses=("128.0.0.0/1", "0.0.0.0/1")),
    ],
)
def test_an_entry_that_is_for_something_else_is_not_stale(entry: ServiceEntry) -> None:
    assert told(entry) == []


def test_an_entry_is_recognised_by_its_blocks_whatever_its_host_is_called() -> None:
    assert len(told(replace(ENTRY, hosts=("encyclopedia.example",)))) == 4


def test_of_several_targets_with_the_host_the_one_is_meant_whose_blocks_are_listed() -> None:
    other = replace(WIKIPEDIA, name="other", published=(PublishedBlock("", "192.0.2.0/24"),), retired=(), opened=())
    assert all("wikipedia" in each for each in told(ENTRY, other, WIKIPEDIA))


def test_of_very_many_missing_blocks_ten_are_told_and_how_many_more() -> None:
    many = replace(WIKIPEDIA, published=tuple(PublishedBlock("", f"10.{n}.0.0/16") for n in range(30)), retired=(), opened=())
    found = told(replace(ENTRY, addresses=("10.0.0.0/16",)), many)
    assert (len(found), found[-1]) == (11, "it misses 19 more blocks of the catalogue's wikipedia (list of 2026-08-21)")


def test_a_target_of_the_catalogue_is_read_where_an_entry_names_a_host_or_a_block_of_it() -> None:
    assert [each.name for each in known_targets_for([ENTRY])] == ["wikipedia"]
    assert known_targets_for([replace(ENTRY, hosts=("nothing.example",), addresses=("192.0.2.77",))]) == ()


def test_ipv6_is_compared_with_a_target_that_has_some() -> None:
    both = replace(ENTRY, addresses=(*WIKIPEDIA.opened, "2620:0:861:ed1a::/64", "2620:0:862:ed1a::/64"))
    assert told(both) == []
    dual = replace(WIKIPEDIA, published=(*WIKIPEDIA.published, PublishedBlock("eqiad", "2620:0:861:ed1a::/64")))
    listed = "the catalogue's wikipedia (list of 2026-08-21)"
    assert told(both, dual) == [f"2620:0:862:ed1a::/64 is none of the blocks of {listed}"]
    assert told(replace(both, addresses=both.addresses[:-2]), dual) == [f"it misses eqiad 2620:0:861:ed1a::/64 of {listed}"]
