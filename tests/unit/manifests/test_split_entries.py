"""The several entries of one target, seen together: of manifests, of what they list, and of what is asked of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import IPv4Network, ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.istio.conflicts import conflicting_entries, find_conflicts
from egressctl.lifecycle.choose import target_names
from egressctl.manifests.service_entry import read_entry, render_entry
from egressctl.manifests.split import split_target
from egressctl.manifests.split_entries import entry_that_lists, group_by_target, join_by_target, names_of_split_entries
from egressctl.model.entry import Manifest, ServiceEntry
from egressctl.model.probe import Probe, Target
from egressctl.verify.select import verify_targets_from_manifests
from examples import examples

ADDRESSES = [f"{first}.0.{third}.0/24" for first in (23, 52, 151) for third in range(200)]
PORT = {"number": 443, "name": "tcp-port", "protocol": "TCP"}
PROBES = (Probe("portal", "https://www.wikipedia.org"),)


def a_target(name: str = "many", addresses: Sequence[str] = ADDRESSES, **spec: Any) -> Target:
    spec = {"hosts": ["wikipedia.org"], "addresses": list(addresses), "ports": [PORT], **spec}
    return Target(name, f"{name}-ext", None, spec, PROBES)


def made(target: Target, run_id: str | None = "0badcafe", namespace: str = "default") -> list[Manifest]:
    return [
        render_entry(each, namespace=namespace, api_version="networking.istio.io/v1", run_id=run_id, export_to=["."])
        for each in split_target(target)
    ]


MANY = made(a_target())
ENTRIES = [read_entry(each) for each in MANY]
OTHER = made(a_target("other", ["192.0.2.0/24"]))


def names(manifests: Sequence[Manifest]) -> list[str]:
    return [each["metadata"]["name"] for each in manifests]


class TestTogether:
    def test_those_of_one_target_are_and_no_others(self) -> None:
        elsewhere, of_git = made(a_target(), namespace="web"), made(a_target(), run_id=None)
        mixed = [*OTHER, *MANY[:1], *elsewhere, *of_git, *MANY[1:]]
        assert [names(each) for each in group_by_target(mixed)] == [names(OTHER), names(MANY), names(elsewhere), names(of_git)]

    @pytest.mark.parametrize(
        ("name", "label"), [("many-ext-0-1", "other"), ("manyext", "many"), ("many-extra", "many"), ("many", "many"), ("x", "")]
    )
    def test_a_label_or_a_name_alone_makes_no_part(self, name: str, label: str) -> None:
        first = MANY[0]
        labels = {**first["metadata"]["labels"], "egressctl.dev/target": label}
        entry = read_entry({**first, "metadata": {**first["metadata"], "name": name, "labels": labels}})
        assert (entry.part_of, entry.is_part, entry.is_same_target_as(ENTRIES[0])) == ("", False, False)

    def test_the_one_entry_of_a_target_is_beside_what_it_becomes(self) -> None:
        [before] = made(a_target(addresses=ADDRESSES[:200]))
        assert read_entry(before).is_same_target_as(ENTRIES[0])
        assert not read_entry(before).is_part

    def test_joined_they_list_what_all_of_them_do(self) -> None:
        one, other = join_by_target([*ENTRIES, read_entry(OTHER[0])])
        assert (one.name, sorted(one.addresses)) == (ENTRIES[0].name, sorted(ADDRESSES))
        assert other == read_entry(OTHER[0])

    def test_they_are_no_rivals_and_another_of_their_host_is(self) -> None:
        [first, *others] = ENTRIES
        stranger = read_entry(made(a_target("stranger", ADDRESSES[:1]))[0])
        assert [each.entry for each in conflicting_entries(first, [*others, stranger])] == [stranger]
        assert find_conflicts(first, others, "default") == ()
        of_git = [read_entry(each) for each in made(a_target(), run_id=None)]
        assert [each.entry for each in conflicting_entries(first, of_git)] == of_git[1:], (
            "somebody else's compete with egressctl's"
        )

    def test_a_person_is_told_of_targets(self) -> None:
        assert target_names([*MANY, *OTHER]) == ["many (3 entries)", "other-ext"]
        assert target_names(OTHER) == ["other-ext"]


class TestHolding:
    @examples(30)
    @given(st.sampled_from(range(len(ENTRIES))), st.integers(0, len(ADDRESSES) - 1))
    def test_it_is_the_entry_that_lists_the_address_whichever_is_asked(self, asked: int, block: int) -> None:
        ip = ADDRESSES[block].replace("0/24", "7")
        found = entry_that_lists(ENTRIES[asked], ENTRIES, ip)
        assert [each for each in ENTRIES if any(ip_address(ip) in IPv4Network(one) for one in each.addresses)] == [found]

    def test_of_two_it_is_the_one_with_the_longer_block(self) -> None:
        wide, narrow = (
            replace(ENTRIES[0], name=f"many-ext-{n}", addresses=(one,)) for n, one in enumerate(("10.0.0.0/8", "10.1.0.0/16"))
        )
        assert entry_that_lists(wide, [narrow], "10.1.2.3") == entry_that_lists(narrow, [wide], "10.1.2.3") == narrow

    @pytest.mark.parametrize("ip", ["192.0.2.7", "", "2001:db8::1"])
    def test_where_none_lists_it_they_are_asked_as_one(self, ip: str) -> None:
        found = entry_that_lists(ENTRIES[1], ENTRIES, ip)
        assert (found.name, len(found.addresses)) == (ENTRIES[1].name, len(ADDRESSES))

    def test_an_entry_by_itself_stays_itself(self) -> None:
        alone = read_entry(OTHER[0])
        assert entry_that_lists(alone, [*ENTRIES, alone], "192.0.2.7") is alone
        assert entry_that_lists(alone, ENTRIES, "23.0.0.1") is alone


class TestWanted:
    def test_they_are_one_wish_with_the_probes_of_the_first_in_its_order(self) -> None:
        [wanted, other] = verify_targets_from_manifests([MANY[2], *OTHER, MANY[0], MANY[1]])
        assert (wanted.name, wanted.probes, wanted.entry_names) == ("many", PROBES, tuple(names(MANY)))
        assert (wanted.manifests, wanted.absent, wanted.split) == (tuple(MANY), (), True)
        assert (other.name, other.entry_names, other.split) == ("other", ("other-ext",), False)

    def test_one_that_is_gone_is_absent(self) -> None:
        [wanted] = verify_targets_from_manifests(MANY[:2])
        assert (wanted.absent, wanted.probes) == ((names(MANY)[2],), PROBES)
        [alone] = verify_targets_from_manifests(MANY[:1])
        assert alone.absent == tuple(names(MANY)[1:])

    def test_without_the_first_a_probe_is_derived_and_it_is_known_that_it_is_gone(self) -> None:
        for left in (MANY[1:], MANY[1:2]):
            [wanted] = verify_targets_from_manifests(left)
            assert ([each.url for each in wanted.probes], wanted.absent) == (["https://wikipedia.org"], ("many-ext",))

    def test_what_it_was_before_comes_last(self) -> None:
        [before] = made(a_target(addresses=ADDRESSES[:200]))
        [wanted] = verify_targets_from_manifests([before, *MANY])
        assert wanted.entry_names[0] == names(MANY)[0]
        assert sorted(wanted.entry_names) == sorted([*names(MANY), "many-ext"])
        assert wanted.absent == ()

    def test_a_probe_that_is_asked_for_takes_the_place_of_theirs(self) -> None:
        asked = (Probe("front", "https://wikipedia.org"),)
        [wanted] = verify_targets_from_manifests(MANY, asked)
        assert wanted.probes == asked

    def test_nothing_is_no_wish(self) -> None:
        assert verify_targets_from_manifests([]) == []


def test_only_the_first_says_which_there_are() -> None:
    assert [names_of_split_entries(each) for each in (*MANY, *OTHER)] == [tuple(names(MANY)), (), (), ()]


def test_an_entry_of_an_unknown_kind_is_of_no_target() -> None:
    assert ServiceEntry("many-ext-0-1", "default", (), (), (), "NONE", "MESH_EXTERNAL", ()).part_of == ""
