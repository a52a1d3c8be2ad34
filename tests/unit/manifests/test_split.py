"""A target of more addresses than an entry may hold: which parts it has, and how few of them a change of the list changes."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.catalog.targets import load_targets
from egressctl.manifests.egress_target import LONGEST_NAME_WITH_IPV6, split_large_targets
from egressctl.manifests.formats import MAX_ITEMS, is_label
from egressctl.manifests.service_entry import ANNOTATION_PARTS, ANNOTATION_PROBES, probes_of, read_entry, render_entry
from egressctl.manifests.split import split_into_ranges, split_target
from egressctl.model.probe import Probe, Target
from examples import examples

MOST = 5
"""A limit that small sets meet as well; of these blocks no more than three begin at one address."""

FIRSTS = st.one_of(st.integers(0, 2**32 - 1), st.integers(0x34000000, 0x3400001F))
"""Anywhere, or in one small corner of the address space, which falls apart late."""
BLOCKS = st.builds(lambda ip, length: str(IPv4Network((ip, length), strict=False)), FIRSTS, st.sampled_from([16, 24, 32]))
BLOCKS_OF_IPV6 = st.builds(
    lambda ip, length: str(IPv6Network((ip, length), strict=False)),
    st.integers(0, 2**128 - 1) | st.integers(0x26001F << 104, (0x26001F << 104) + 7),
    st.sampled_from([32, 48, 128]),
)
LISTS = st.lists(BLOCKS, unique=True, max_size=40)


def of(blocks: Sequence[str]) -> dict[str, frozenset[str]]:
    return {name: frozenset(inside) for name, inside in split_into_ranges(blocks, MOST)}


def spread(count: int, seed: int = 1) -> list[str]:
    """So many blocks, as providers' lists have them: most in a few parts of the address space."""
    chance = random.Random(seed)
    starts = [chance.randrange(1, 223) << 24 for _ in range(12)]
    found: dict[str, None] = {}
    while len(found) < count:
        found[str(IPv4Network((chance.choice(starts) + chance.randrange(2**24), chance.randint(18, 32)), strict=False))] = None
    return list(found)


def a_target(addresses: Sequence[str], **changes: object) -> Target:
    spec = {
        "hosts": ["wikipedia.org"],
        "addresses": list(addresses),
        "ports": [{"number": 443, "name": "tcp-port", "protocol": "TCP"}],
        "exportTo": ["."],
    }
    target = Target("many", "many-ext", None, spec, (Probe("portal", "https://www.wikipedia.org"),), {"team": "shop"})
    return target if not changes else Target(**{**{name: getattr(target, name) for name in target.__slots__}, **changes})


class TestRanges:
    @given(LISTS)
    def test_hold_every_block_once_and_none_too_many(self, blocks: list[str]) -> None:
        found = of(blocks)
        assert sorted(block for inside in found.values() for block in inside) == sorted(blocks)
        assert all(0 < len(inside) <= MOST for inside in found.values())

    @given(LISTS, st.randoms(use_true_random=False))
    def test_follow_from_the_set_alone(self, blocks: list[str], chance: random.Random) -> None:
        shuffled = list(blocks)
        chance.shuffle(shuffled)
        assert list(split_into_ranges(shuffled, MOST)) == list(split_into_ranges(blocks, MOST))

    @given(LISTS)
    def test_are_their_own_ranges_again(self, blocks: list[str]) -> None:
        in_order = [block for _, inside in split_into_ranges(blocks, MOST) for block in inside]
        assert of(in_order) == of(blocks)

    @given(LISTS, BLOCKS)
    @examples(300)
    def test_one_block_more_changes_one_or_divides_one(self, blocks: list[str], more: str) -> None:
        before, after = of(blocks), of(sorted({*blocks, more}))
        gone, come = before.keys() - after.keys(), after.keys() - before.keys()
        changed = [name for name in before.keys() & after.keys() if before[name] != after[name]]
        assert (len(gone), len(come), len(changed)) in {(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 2, 0)}
        if gone:  # divided: nothing of it is anywhere else
            [(old, *_)] = [(before[name],) for name in gone]
            assert frozenset().union(*(after[name] for name in come)) == old | {more}

    @given(LISTS)
    def test_a_name_says_where_the_blocks_begin(self, blocks: list[str]) -> None:
        for name, inside in split_into_ranges(blocks, MOST):
            *numbers, length = map(int, name.split("-"))
            whole = IPv4Network((int.from_bytes(bytes([*numbers, 0, 0, 0, 0][:4]), "big"), length))
            assert all(ip_address(block.partition("/")[0]) in whole for block in inside)
            assert is_label(f"many-ext-{name}")

    def test_blocks_that_begin_at_one_address_stay_together_the_largest_first(self) -> None:
        blocks = [f"10.0.0.0/{length}" for length in range(32, 7, -1)] + [f"10.0.1.{last}" for last in range(30)]
        assert list(split_into_ranges(blocks, 40)) == [
            ("10-0-0-24", [f"10.0.0.0/{length}" for length in range(8, 33)]),
            ("10-0-1-24", [f"10.0.1.{last}" for last in range(30)]),
        ]

    @given(LISTS, st.lists(BLOCKS_OF_IPV6, unique=True, max_size=40))
    def test_those_of_ipv6_are_divided_by_themselves(self, blocks: list[str], more: list[str]) -> None:
        found = of([*more, *blocks])
        assert {name: inside for name, inside in found.items() if not name.startswith("v6-")} == of(blocks)
        later = {name: inside for name, inside in found.items() if name.startswith("v6-")}
        assert sorted(block for inside in later.values() for block in inside) == sorted(more)
        assert all(
            0 < len(inside) <= MOST and is_label(f"{'a' * LONGEST_NAME_WITH_IPV6}-ext-{name}") for name, inside in later.items()
        )

    def test_a_range_of_ipv6_is_called_after_its_digits(self) -> None:
        blocks = [*(f"2600:1f00:{n:x}::/48" for n in range(4)), *(f"2a05:d000:{n:x}::/48" for n in range(4)), "192.0.2.0/24"]
        assert [name for name, _ in split_into_ranges(blocks, 4)] == ["0", "v6-20-5", "v6-28-5"]
        near = [name for name, _ in split_into_ranges([f"2001:db8::{n:x}" for n in range(8)], 4)]
        assert all(re.fullmatch("v6-20010db8[0-9a-f]{8}-126", name) for name in near)
        assert len({*near}) == 2

    @pytest.mark.parametrize("address", ["2001:db8::/129", "wikipedia.org", ""])
    def test_nothing_else_than_addresses_can_be_divided(self, address: str) -> None:
        with pytest.raises(ValueError, match="no address"):
            list(split_into_ranges([address], MOST))


class TestParts:
    def test_a_target_that_fits_stays_as_it_is(self) -> None:
        target = a_target(spread(MAX_ITEMS))
        assert split_target(target) == (target,)
        assert split_large_targets([target]) == [target]

    def test_one_address_more_makes_two_of_it_and_leaves_its_name_to_none(self) -> None:
        found = split_target(a_target(spread(MAX_ITEMS + 1)))
        assert len(found) == 2
        assert all(each.entry_name.startswith("many-ext-") for each in found)

    @pytest.mark.parametrize("count", [600, 5000])
    def test_are_as_few_as_twice_what_must_be(self, count: int) -> None:
        assert len(split_target(a_target(spread(count)))) <= 2 * -(-count // MAX_ITEMS) + 2

    def test_have_all_of_the_target_but_the_addresses(self) -> None:
        target = a_target(spread(600))
        found = split_target(target)
        assert len(found) > 2
        for each in found:
            assert (each.name, each.namespace, each.labels) == (target.name, target.namespace, target.labels)
            assert {**each.spec, "addresses": None} == {**target.spec, "addresses": None}
        assert sorted(address for each in found for address in each.spec["addresses"]) == sorted(target.spec["addresses"])

    def test_the_first_alone_has_the_probes_and_the_names_of_all(self) -> None:
        first, *others = split_target(a_target(spread(600)))
        made = [
            render_entry(each, namespace="default", api_version="networking.istio.io/v1", run_id="0") for each in (first, *others)
        ]
        assert [probes_of(each) for each in made] == [a_target([]).probes, *([()] * len(others))]
        annotations = [each["metadata"]["annotations"] for each in made]
        assert annotations[0][ANNOTATION_PARTS].split(",") == [each["metadata"]["name"] for each in made]
        assert all(each == {ANNOTATION_PROBES: "none"} for each in annotations[1:])

    def test_are_known_as_one_target_by_their_label_whoever_owns_them(self) -> None:
        for run_id in ("0", None):
            made = [
                read_entry(render_entry(each, namespace="default", api_version="networking.istio.io/v1", run_id=run_id))
                for each in split_target(a_target(spread(600)))
            ]
            assert {each.part_of for each in made} == {"many"}
            assert all(each.is_same_target_as(made[0]) and each.is_part for each in made)

    def test_what_is_of_one_entry_has_no_label_of_its_target_in_git(self) -> None:
        manifest = render_entry(a_target(spread(3), labels={}), namespace=None, api_version="networking.istio.io/v1", run_id=None)
        assert "labels" not in manifest["metadata"]

    def test_that_were_rendered_are_parts_of_the_target_again(self) -> None:
        for part in split_target(a_target(spread(600))):
            manifest = render_entry(part, namespace=None, api_version="networking.istio.io/v1", run_id=None)
            [again] = load_targets(json.dumps(manifest), "part.yaml")
            assert again.name == "many"
            assert render_entry(again, namespace=None, api_version="networking.istio.io/v1", run_id=None) == manifest
