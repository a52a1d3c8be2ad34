"""Families of targets: one file, and a target for each part of a list."""

from __future__ import annotations

from pathlib import Path

import pytest

from egressctl.catalog import lookup
from egressctl.errors import InvalidInput

FAMILY = """\
apiVersion: egressctl.dev/v1alpha1
kind: EgressTargetFamily
metadata: {name: cloud}
spec:
  parts: [service, region]
  templates:
  - for: "*/far-*"
    serviceEntry: &entry
      hosts: ["{service}.{region}.far.example"]
      ports: [{number: 443, name: tcp-443, protocol: TCP}]
  - for: "store/*"
    serviceEntry:
      hosts: ["{service}.{region}.example"]
      ports: [{number: 443, name: tcp-443, protocol: TCP}]
    probes: [{name: door, url: "https://{service}.{region}.example/{unknown}"}]
  published:
  - url: https://cloud.example/list
    format: aws
    checked: 2026-08-21
    ranges:
      store/near-1: [203.0.113.0/25]
      store/far-1: [203.0.113.128/25]
      other/near-1: [198.51.100.0/25]
    retired:
    - {name: store/near-1, block: 192.0.2.0/25, since: 2026-08-21, kept: true}
"""

ENTRY = FAMILY[FAMILY.index("    serviceEntry: &entry") : FAMILY.index('  - for: "store/*"')]


@pytest.fixture
def mine(tmp_path: Path) -> list[str]:
    (tmp_path / "cloud.yaml").write_text(FAMILY)
    return [str(tmp_path)]


def test_each_name_that_a_template_is_for_is_a_target(mine: list[str]) -> None:
    family = lookup.find_family("cloud", mine)
    assert family is not None
    assert family.members == ("store/far-1", "store/near-1")
    targets = [lookup.get_target(f"cloud/{each}", mine) for each in family.members]
    assert [target.name for target in targets] == ["cloud-store-far-1", "cloud-store-near-1"]
    with pytest.raises(InvalidInput, match='cloud has no service "other": there is store'):
        lookup.get_target("cloud/other/near-1", mine)


def test_the_first_template_that_fits_is_filled_with_the_words(mine: list[str]) -> None:
    near, far = lookup.get_target("cloud/store/near-1", mine), lookup.get_target("cloud/store/far-1", mine)
    assert (near.entry_name, far.entry_name) == ("cloud-store-near-1-ext", "cloud-store-far-1-ext")
    assert (near.spec["hosts"], far.spec["hosts"]) == (["store.near-1.example"], ["store.far-1.far.example"])
    assert near.spec["addresses"] == ["192.0.2.0/25", "203.0.113.0/25"]
    assert far.spec["addresses"] == ["203.0.113.128/25"]
    assert [probe.url for probe in near.probes] == ["https://store.near-1.example/{unknown}"]


def test_a_targets_sources_are_the_familys_cut_to_it(mine: list[str]) -> None:
    [source] = lookup.sources_of_target("cloud/store/near-1", mine)
    assert [each.block for each in source.ranges] == ["203.0.113.0/25"]
    assert [each.block for each in source.retired] == ["192.0.2.0/25"]
    assert len(lookup.sources_of_target("cloud", mine)[0].ranges) == 3


def test_the_text_of_a_family_is_its_file_and_the_text_of_a_target_is_one_of_its_own(mine: list[str]) -> None:
    assert lookup.manifest_text("cloud", mine) == FAMILY
    assert "kind: EgressTarget\n" in lookup.manifest_text("cloud/store/near-1", mine)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("parts: [service, region]", "parts: [service]", "ranges[store/near-1]: is no name of a target of the family (one word"),
        ("store/near-1: [", "Store/near-1: [", "cloud.yaml:21: spec.published[0].ranges[Store/near-1]: is no name of a target"),
        ("serviceEntry: &entry", "entry:", "cloud.yaml:8: spec.templates[0].entry: unknown field"),
        ("metadata: {name: cloud}", "metadata: {name: fog}", "cloud.yaml:3: metadata.name: is not cloud, as the file is"),
        ("metadata: {name: cloud}", "metadata: {}", "cloud.yaml:3: metadata.name: the family has no name"),
        ("v1alpha1", "v1", "cloud.yaml:1: apiVersion: is no version of EgressTargetFamily"),
        ("  parts: [service, region]\n", "", "spec.parts: there is nothing in parts"),
        ("[203.0.113.0/25]", "[203.0.113.0/99]", 'cloud.yaml:21: spec.published[0].ranges[store/near-1][0]: "203.0.113.0/99" is'),
        (ENTRY, "    serviceEntry: []\n", "cloud.yaml:8: spec.templates[0].serviceEntry: is a list"),
    ],
)
def test_what_is_wrong_with_a_family_is_told_with_its_line(mine: list[str], old: str, new: str, problem: str) -> None:
    assert old in FAMILY
    (Path(mine[0]) / "cloud.yaml").write_text(FAMILY.replace(old, new))
    with pytest.raises(InvalidInput) as caught:
        lookup.get_target("cloud/store/near-1", mine)
    assert problem in str(caught.value)


def test_what_is_wrong_with_a_template_is_told_of_the_target_that_is_made_of_it(mine: list[str]) -> None:
    (Path(mine[0]) / "cloud.yaml").write_text(FAMILY.replace("{service}.{region}.example", "https://{region}"))
    with pytest.raises(InvalidInput, match=r"cloud\.yaml.*hosts\[0\]: \"https://near-1\" is more than a host name"):
        lookup.get_target("cloud/store/near-1", mine)
    assert lookup.get_target("cloud/store/far-1", mine)
