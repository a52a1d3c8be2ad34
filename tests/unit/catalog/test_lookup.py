"""The built-in targets."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from egressctl.catalog import lookup
from egressctl.catalog.targets import load_targets
from egressctl.errors import InvalidInput
from egressctl.lint import live
from egressctl.manifests.service_entry import OFFLINE_VERSION, read_entry, render_entry
from egressctl.model.blocks import parse_block
from egressctl.model.probe import Expectation, Probe

DOCUMENT = {"91.198.174.192/27", "103.102.166.224/27", "198.35.26.96/27", "208.80.153.224/27", "208.80.154.224/27"}
LATER = {"185.15.59.224/27", "198.35.26.224/27", "185.15.58.224/27", "195.200.68.224/27"}


FAMILIES = ("aws", "oracle")
NAMES = sorted({*lookup.catalog_names()} - {*FAMILIES})
TARGETS = [*NAMES, "aws/s3/eu-west-1", "aws/dynamodb/us-gov-west-1", "aws/s3/cn-north-1", "oracle/object-storage/eu-frankfurt-1"]
WANTED = (
    *("wikipedia", "github", "aws", "google", "cloudflare", "fastly", "atlassian", "stripe", "okta", "datadog", "salesforce"),
    *("oracle", "digitalocean", "dockerhub", "quay"),
)


def test_what_teams_call_most_is_built_in() -> None:
    assert set(WANTED) <= set(lookup.catalog_names())


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_is_named_as_it_is_asked_for_and_has_probes_of_its_own(name: str) -> None:
    target = lookup.get_target(name)
    assert (target.name, target.entry_name) == (name.replace("/", "-"), f"{name.replace('/', '-')}-ext")
    assert target.probes
    hosts = [urlsplit(probe.url).hostname or "" for probe in target.probes]
    assert all(urlsplit(probe.url).scheme == "https" for probe in target.probes)
    names = [host.removeprefix("*.") for host in target.spec["hosts"]]
    assert name == "digitalocean" or all(any(host == own or host.endswith(f".{own}") for own in names) for host in hosts)


@pytest.mark.parametrize("name", TARGETS)
def test_every_block_has_its_source_and_date(name: str) -> None:
    sources = lookup.sources_of_target(name)
    assert sources
    assert all(each.url.startswith("https://") and "2018" < each.checked < "2027" for each in sources)
    opened = list(map(ipaddress.IPv4Network, lookup.get_target(name).spec.get("addresses", ())))
    said = [block.block for each in sources for block in each.ranges]
    said += [block.block for each in sources for block in each.retired if block.kept]
    assert opened == list(ipaddress.collapse_addresses(map(ipaddress.IPv4Network, said)))


@pytest.mark.parametrize("name", TARGETS)
def test_every_target_stands_before_the_rules_of_lint_and_is_rendered(name: str) -> None:
    target = lookup.get_target(name)
    found = live.lint_offline(live.entries_that_create_makes([target], "default", (".",))).findings
    assert not [each for each in found if each.severity == "error"]
    entry = read_entry(render_entry(target, namespace="default", api_version=OFFLINE_VERSION, run_id=None))
    assert entry.hosts == tuple(target.spec["hosts"])


@pytest.mark.parametrize("name", TARGETS)
def test_the_file_of_every_target_is_one_that_f_takes(name: str) -> None:
    assert load_targets(lookup.manifest_text(name), "a file") == [lookup.get_target(name)]


@pytest.mark.parametrize("name", FAMILIES)
def test_every_target_of_a_family_can_be_had(name: str) -> None:
    family = lookup.find_family(name)
    assert family is not None
    assert len(family.members) > 40
    for member in family.members:
        words = dict(zip(family.parts, member.split("/"), strict=True))
        spec = lookup.get_target(f"{name}/{member}").spec
        assert words["region"] in spec["hosts"][0]
        assert not re.search("[{}]", spec["hosts"][0])


@pytest.mark.parametrize("name", NAMES)
def test_an_entry_without_addresses_is_matched_by_the_names_that_tls_speaks(name: str) -> None:
    spec = lookup.get_target(name).spec
    protocols = {port["protocol"] for port in spec["ports"]}
    assert protocols == ({"TCP"} if "addresses" in spec else {"TLS"})
    wildcard = any(host.startswith("*") for host in spec["hosts"])
    assert spec["resolution"] == ("NONE" if "addresses" in spec or wildcard else "DNS")


def test_wikipedia_has_the_documents_blocks_and_those_that_came_later() -> None:
    spec = lookup.get_target("wikipedia").spec
    assert set(spec["addresses"]) == DOCUMENT | LATER
    assert len(spec["addresses"]) == 9
    assert all(str(parse_block(block)) == block for block in spec["addresses"])


def test_wikipedias_entry_is_otherwise_the_documents() -> None:
    spec = {name: value for name, value in lookup.get_target("wikipedia").spec.items() if name != "addresses"}
    assert spec == {
        "hosts": ["wikipedia.org"],
        "ports": [{"number": 443, "protocol": "TCP", "name": "tcp-port"}],
        "location": "MESH_EXTERNAL",
        "resolution": "NONE",
    }


def test_wikipedias_probes_are_those_of_the_document() -> None:
    portal, articles = lookup.get_target("wikipedia").probes
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
    pattern = lookup.get_target("wikipedia").probes[1].extract["articles"]
    match = re.search(pattern, f"<html>\n{page}\n</html>")
    assert match is not None
    assert match[1] == count


@pytest.mark.parametrize(
    "page", ["", "<div id='articlecount'>none</div>", f"{LINK}109,000</a> active editors", f"articlecount {LINK}many</a>"]
)
def test_a_page_without_it_gives_no_number(page: str) -> None:
    assert re.search(lookup.get_target("wikipedia").probes[1].extract["articles"], page) is None


def test_a_hostile_page_does_not_stop_the_search() -> None:
    pattern = lookup.get_target("wikipedia").probes[1].extract["articles"]
    for page in (
        "articlecount" * 5000,
        "articlecount" + "Special:Statistics" * 2000,
        'articlecount Special:Statistics">' + "<<<> " * 5000,
    ):
        assert re.search(pattern, page) is None


def test_an_unknown_name_offers_the_nearest_and_says_how_to_make_one() -> None:
    with pytest.raises(InvalidInput, match="did you mean wikipedia") as caught:
        lookup.get_target("Wikipdia")
    assert "-f FILE" in caught.value.hint
    assert "--host" in caught.value.hint


@pytest.mark.parametrize("name", ["zzz", "", "../wikipedia", "__init__", "a\0b", "x/y/z"])
def test_a_name_that_is_near_none_lists_a_few(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"there is atlassian, aws, .* and \d+ more$") as caught:
        lookup.get_target(name)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("aws", r"aws is several targets, aws/SERVICE/REGION: name the service, dynamodb, s3$"),
        ("aws/s3", r"aws/s3 is several targets, .* name the region, af-south-1, .* more$"),
        ("aws/s4/eu-west-1", r'aws has no service "s4": did you mean s3\?$'),
        ("aws/s3/eu-west-9", r'aws/s3 has no region "eu-west-9": did you mean eu-west-3 or eu-west-2 or eu-west-1\?$'),
        ("aws/s3/eu-west-1/a", r"aws/s3/eu-west-1/a has too many words: a target is aws/SERVICE/REGION$"),
        ("aws/s3/", r'aws/s3 has no region "": there is'),
        ("wikipedia/en", r"wikipedia is one target, and has no en$"),
    ],
)
def test_what_is_no_target_of_a_family_says_which_there_are(name: str, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        lookup.get_target(name)
    assert caught.value.hint == f"egressctl catalog show {name.partition('/')[0]}"


def test_a_targets_sources_are_those_of_its_own_blocks() -> None:
    [source] = lookup.sources_of_target("aws/dynamodb/eu-west-1")
    assert source.checked == "2026-07-02"
    assert {each.name for each in source.ranges} == {"dynamodb/eu-west-1"}
    assert "S3" in lookup.sources_of_target("aws")[0].selected("service")


# Folders of the user's

MINE = """\
apiVersion: egressctl.dev/v1alpha1
kind: EgressTarget
metadata: {name: NAME}
spec:
  serviceEntry:
    hosts: [outside.example]
    addresses: [203.0.113.0/24]
    ports: [{number: 443, name: tcp-443, protocol: TCP}]
"""


def folder(path: Path, **files: str) -> list[str]:
    path.mkdir()
    for name, text in files.items():
        (path / f"{name}.yaml").write_text(text.replace("NAME", name))
    return [str(path)]


def test_a_folders_targets_come_before_those_of_the_same_name(tmp_path: Path) -> None:
    first, second = (
        folder(tmp_path / "a", wikipedia=MINE, mine=MINE),
        folder(tmp_path / "b", mine=MINE.replace("outside", "other")),
    )
    both = [*first, *second]
    assert lookup.get_target("wikipedia", both).spec["hosts"] == ["outside.example"]
    assert lookup.get_target("mine", both).spec["hosts"] == ["outside.example"]
    assert lookup.get_target("mine", [*second, *first]).spec["hosts"] == ["other.example"]
    assert lookup.get_target("github", both) == lookup.get_target("github")
    assert {*lookup.catalog_names(both)} == {*lookup.catalog_names(), "mine"}
    assert next(file for file in lookup.catalog_files(both) if file.name == "wikipedia").folder == first[0]
    assert lookup.get_target("wikipedia").spec["hosts"] == ["wikipedia.org"]


def test_a_broken_file_is_told_with_its_line_and_leaves_the_others_alone(tmp_path: Path) -> None:
    mine = folder(
        tmp_path / "a", good=MINE, bad=MINE.replace("/24", "/33"), other=MINE.replace("NAME", "another"), two=f"{MINE}---\n{MINE}"
    )
    assert lookup.get_target("good", mine)
    with pytest.raises(InvalidInput, match=r"a/bad\.yaml:7: spec\.serviceEntry\.addresses\[0\]: "):
        lookup.get_target("bad", mine)
    with pytest.raises(InvalidInput, match=r"a/other\.yaml:3: metadata\.name: is not other, as the file is"):
        lookup.get_target("other", mine)
    with pytest.raises(InvalidInput, match=r"a/two\.yaml.*(one file a target|is here twice)"):
        lookup.get_target("two", mine)


def test_other_files_of_a_folder_are_none_of_its_targets(tmp_path: Path) -> None:
    mine = folder(tmp_path / "a", mine=MINE)
    for name in ("README.md", "mine.json", ".yaml", "deeper"):
        (tmp_path / "a" / name).mkdir() if name == "deeper" else (tmp_path / "a" / name).write_text("x")
    assert {*lookup.catalog_names(mine)} == {*lookup.catalog_names(), "mine"}


@pytest.mark.parametrize("name", ["nowhere", "a/mine.yaml", "a\0b"])
def test_what_is_no_folder_is_refused(tmp_path: Path, name: str) -> None:
    folder(tmp_path / "a", mine=MINE)
    with pytest.raises(InvalidInput, match=r"the catalogue .* cannot be read") as caught:
        lookup.catalog_names([str(tmp_path / name)])
    assert "EGRESSCTL_CATALOG" in caught.value.hint
