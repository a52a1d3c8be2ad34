"""The built-in targets."""

from __future__ import annotations

import re

import pytest

from egressctl import catalog
from egressctl.errors import InvalidInput
from egressctl.model import Expectation, Probe
from egressctl.serviceentry import normalise

DOCUMENT = {"91.198.174.192/27", "103.102.166.224/27", "198.35.26.96/27", "208.80.153.224/27", "208.80.154.224/27"}
LATER = {"185.15.59.224/27", "198.35.26.224/27", "185.15.58.224/27", "195.200.68.224/27"}


@pytest.mark.parametrize("name", catalog.names())
def test_every_target_is_named_as_its_file_and_has_probes(name: str) -> None:
    target = catalog.get(name)
    assert (target.name, target.entry_name) == (name, f"{name}-ext")
    assert target.probes


@pytest.mark.parametrize("name", catalog.names())
def test_every_block_has_its_date(name: str) -> None:
    blocks = [line for line in catalog.text(name).splitlines() if re.match(r"\s+- [0-9.]+/", line)]
    assert len(blocks) == len(catalog.get(name).spec["addresses"])
    assert all(re.search(r"#.*\(20\d\d-\d\d-\d\d\)", line) for line in blocks)


def test_wikipedia_has_the_documents_blocks_and_those_that_came_later() -> None:
    spec = catalog.get("wikipedia").spec
    assert set(spec["addresses"]) == DOCUMENT | LATER
    assert len(spec["addresses"]) == 9
    assert all(normalise(block) == block for block in spec["addresses"])


def test_wikipedias_entry_is_otherwise_the_documents() -> None:
    spec = {name: value for name, value in catalog.get("wikipedia").spec.items() if name != "addresses"}
    assert spec == {
        "hosts": ["wikipedia.org"],
        "ports": [{"number": 443, "protocol": "TCP", "name": "tcp-port"}],
        "location": "MESH_EXTERNAL",
        "resolution": "NONE",
    }


def test_wikipedias_probes_are_those_of_the_document() -> None:
    portal, articles = catalog.get("wikipedia").probes
    assert portal == Probe("portal", "https://www.wikipedia.org", Expectation(status=200))
    assert (articles.name, articles.url) == ("articles", "https://en.wikipedia.org/wiki/Main_Page")
    assert articles.expect == Expectation(status=200)
    assert list(articles.extract) == ["articles"]


LINK = '<a href="/wiki/Special:Statistics" title="Special:Statistics">'


@pytest.mark.parametrize(
    ("page", "count"),
    [
        (
            f'<div id="articlecount" style="font-size:85%;">{LINK}5,563,121</a>'
            ' articles in <a  href="/wiki/English_language" title="English language">English</a></div>',
            "5,563,121",
        ),
        (
            f'<div id="articlecount"><ul><li><b>{LINK}<span class="n">7,012,345</span></a></b> articles</li></ul></div>',
            "7,012,345",
        ),
        (f'<div id="articlecount">\n  {LINK}\n    7.012.345\n  </a> Artikel</div>', "7.012.345"),
        (f'<style>#articlecount{{margin:0}}</style>{"x" * 5000}<div id="articlecount">{LINK}42</a>, {LINK}9</a></div>', "42"),
        (f"<div id='articlecount'>{LINK}8</a>.</div>", "8"),
        (f'{LINK}109,000</a> active editors <div id="articlecount">{LINK}7,012,345</a></div>', "7,012,345"),
    ],
)
def test_the_article_count_is_found_in_markup_of_then_and_now(page: str, count: str) -> None:
    pattern = catalog.get("wikipedia").probes[1].extract["articles"]
    match = re.search(pattern, f"<html>\n{page}\n</html>")
    assert match is not None
    assert match[1] == count


@pytest.mark.parametrize(
    "page", ["", "<div id='articlecount'>none</div>", f"{LINK}109,000</a> active editors", f"articlecount {LINK}many</a>"]
)
def test_a_page_without_it_gives_no_number(page: str) -> None:
    assert re.search(catalog.get("wikipedia").probes[1].extract["articles"], page) is None


def test_a_hostile_page_does_not_stop_the_search() -> None:
    pattern = catalog.get("wikipedia").probes[1].extract["articles"]
    for page in (
        "articlecount" * 5000,
        "articlecount" + "Special:Statistics" * 2000,
        'articlecount Special:Statistics">' + "<<<> " * 5000,
    ):
        assert re.search(pattern, page) is None


def test_an_unknown_name_offers_the_nearest_and_says_how_to_make_one() -> None:
    with pytest.raises(InvalidInput, match="did you mean wikipedia") as caught:
        catalog.get("Wikipdia")
    assert "-f FILE" in caught.value.hint
    assert "--host" in caught.value.hint


@pytest.mark.parametrize("name", ["zzz", "", "../wikipedia", "wikipedia.yaml/..", "__init__"])
def test_a_name_that_is_near_none_lists_them_all(name: str) -> None:
    with pytest.raises(InvalidInput, match="wikipedia") as caught:
        catalog.get(name)
    assert caught.value.exit_code == 2
