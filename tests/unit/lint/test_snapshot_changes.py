"""Whose traffic changes its carrier when files are applied to what a snapshot has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import recordings
from egressctl.lint.snapshot_changes import changes_by_files
from egressctl.manifests.service_entry import read_entry
from egressctl.model.entry import Manifest, MeshObjects, Port, ServiceEntry
from examples import examples

OLD, NEW = "2026-01-01T00:00:00Z", "2026-11-01T00:00:00Z"


def entry(
    name: str = "new",
    namespace: str = "shop",
    *,
    hosts: tuple[str, ...] = (),
    blocks: tuple[str, ...] = (),
    protocol: str = "TCP",
    export_to: tuple[str, ...] = (),
    created: str = "",
) -> ServiceEntry:
    ports = (Port(443, protocol, "port"),)
    return ServiceEntry(
        name, namespace, hosts or (f"{name}.example",), blocks, ports, "NONE", "MESH_EXTERNAL", export_to, created=created
    )


def manifest(kind: str, name: str, namespace: str, **spec: Any) -> Manifest:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


BANK = entry("bank", "payments", blocks=("198.51.100.0/24",), created=OLD)
LONGER = entry(blocks=("198.51.100.16/28",))
NAMESPACES: dict[str, dict[str, str]] = {"shop": {}, "payments": {}, "istio-system": {}}


def told(*wanted: ServiceEntry, base: tuple[ServiceEntry, ...] = (BANK,), others: tuple[Manifest, ...] = (), **there: Any) -> Any:
    """The findings: rule, the entry that it is about, and the other object."""
    by_kind: dict[str, list[Manifest]] = {}
    for each in others:
        by_kind.setdefault(each["kind"], []).append(each)
    around = MeshObjects(entries=base, namespaces=NAMESPACES, **there)
    return [
        (finding.rule, finding.where, str(finding.about or "").partition(" ")[2])
        for _, finding in changes_by_files(wanted, by_kind, around)
    ]


@pytest.mark.parametrize(
    ("wanted", "rule"),
    [
        (LONGER, "takes-traffic"),
        (entry(blocks=("198.51.0.0/16",)), "overlapping-blocks"),
        # one block: the older has it, unless exportTo of one alone names fewer namespaces
        (entry(blocks=("198.51.100.0/24",)), "same-block"),
        (entry(namespace="payments", blocks=("198.51.100.0/24",), export_to=(".",)), "takes-traffic"),
        # several blocks, of which one is longer, wherever it stands
        (entry(blocks=("198.51.0.0/16", "198.51.100.16/28")), "takes-traffic"),
        (entry(blocks=("198.51.100.0/24", "198.51.100.16/28")), "takes-traffic"),
        # what takes a whole port leaves to others what they list
        (entry(), "whole-port"),
    ],
)
def test_who_gets_what_two_entries_list_decides(wanted: ServiceEntry, rule: str) -> None:
    assert told(wanted) == [(rule, str(wanted), "payments/bank")]


def test_a_block_of_a_port_that_another_takes_whole_is_taken_from_it() -> None:
    whole = entry("whole", "payments", created=OLD)
    assert told(LONGER, base=(whole,)) == [("takes-traffic", "shop/new", "payments/whole")]


def test_a_host_of_one_s_own_namespace_is_taken_from_another_s() -> None:
    """Pods of shop got that of payments until now; those of payments keep theirs."""
    there = entry("bank", "payments", hosts=("bank.example",), blocks=("192.0.2.0/24",), created=OLD)
    mine = entry(hosts=("bank.example",), blocks=("203.0.113.0/24",))
    assert told(mine, base=(there,)) == [
        ("takes-traffic", "shop/new", "payments/bank"),
        ("same-host", "shop/new", "payments/bank"),
    ]
    unseen = entry("bank", "payments", hosts=("bank.example",), blocks=("192.0.2.0/24",), created=OLD, export_to=(".",))
    assert "takes-traffic" not in [rule for rule, *_ in told(mine, base=(unseen,))]


def test_what_no_pod_sees_together_is_nothing() -> None:
    private = entry("bank", "payments", blocks=("198.51.100.0/24",), export_to=(".",), created=OLD)
    mine = entry(blocks=("198.51.100.16/28",), export_to=(".",))
    assert told(mine, base=(private,)) == []


def test_what_is_as_it_was_is_not_told() -> None:
    there = entry(blocks=("198.51.100.16/28",), created=NEW)
    assert told(LONGER, base=(BANK, there)) == []
    more = entry(blocks=("198.51.100.16/28", "203.0.113.0/24"))
    assert told(more, base=(BANK, there)) == []


def test_an_entry_keeps_its_age_when_it_changes() -> None:
    """Else it would lose to one that is younger than the entry that it replaces."""
    there = entry(blocks=("203.0.113.0/24",), created=OLD)
    younger = entry("bank", "payments", blocks=("198.51.100.0/24",), created=NEW)
    wanted = entry(blocks=("198.51.100.0/24",))
    assert told(wanted, base=(younger, there)) == [("takes-traffic", "shop/new", "payments/bank")]


def test_what_an_entry_gives_up_is_returned() -> None:
    there = entry(blocks=("198.51.100.16/28",), created=NEW)
    moved = entry(blocks=("203.0.113.0/24",))
    assert told(moved, base=(BANK, there)) == [("returns-traffic", "shop/new", "payments/bank")]
    more = entry(blocks=("198.51.100.16/28", "198.51.100.32/28"))
    assert told(more, base=(BANK, there)) == [("takes-traffic", "shop/new", "payments/bank")]
    loser = entry(blocks=("198.51.0.0/16",), created=NEW)
    assert told(moved, base=(BANK, loser)) == []


def test_what_files_do_to_each_other_is_told_elsewhere() -> None:
    other = entry("other", blocks=("198.51.100.0/24",))
    assert told(LONGER, other, base=()) == []


def test_a_route_of_the_files_takes_what_it_leads_elsewhere() -> None:
    route = manifest(
        "VirtualService", "detour", "payments", hosts=["bank.example"], tcp=[{"route": [{"destination": {"host": "x.example"}}]}]
    )
    assert told(others=(route,)) == [("takes-traffic", "payments/bank", "payments/detour")]
    assert told(others=(route,), virtual_services=(route,)) == []
    harmless = manifest("VirtualService", "detour", "payments", hosts=["bank.example"])
    assert told(others=(harmless,), virtual_services=(route,)) == [("returns-traffic", "payments/bank", "payments/detour")]


def test_a_sidecar_of_the_files_takes_what_it_hides_from_pods_that_see_it() -> None:
    narrow = manifest("Sidecar", "narrow", "shop", egress=[{"hosts": ["istio-system/*"]}])
    assert told(others=(narrow,)) == [("takes-traffic", "payments/bank", "shop/narrow")]
    private = entry("bank", "payments", blocks=("198.51.100.0/24",), export_to=(".",))
    assert told(base=(private,), others=(narrow,)) == []
    wide = manifest("Sidecar", "narrow", "shop", egress=[{"hosts": ["*/*"]}])
    assert told(others=(wide,), sidecars=(narrow,)) == [("returns-traffic", "payments/bank", "shop/narrow")]


def test_the_mesh_s_sidecar_is_for_every_namespace_without_one_of_its_own() -> None:
    narrow = manifest("Sidecar", "default", "istio-system", egress=[{"hosts": ["istio-system/*"]}])
    own = manifest("Sidecar", "own", "shop", egress=[{"hosts": ["*/*"]}])
    found = told(others=(narrow,), sidecars=(own,))
    assert found == [("takes-traffic", "payments/bank", "istio-system/default")] * 2  # of istio-system, and of payments


def test_tls_around_what_an_entry_carries_is_told_and_takes_nothing() -> None:
    rule = manifest("DestinationRule", "twice", "payments", host="bank.example", trafficPolicy={"tls": {"mode": "SIMPLE"}})
    assert told(others=(rule,)) == [("wrapped-in-tls", "payments/bank", "payments/twice")]


def test_what_stands_there_is_in_the_way_of_an_entry_of_the_files() -> None:
    route = manifest(
        "VirtualService", "detour", "shop", hosts=["new.example"], tcp=[{"route": [{"destination": {"host": "x.example"}}]}]
    )
    wanted = entry(blocks=("203.0.113.0/24",))
    assert told(wanted, virtual_services=(route,)) == [("rerouted", "shop/new", "shop/detour")]


def test_of_very_many_ten_are_told_and_how_many_more_there_are() -> None:
    many = tuple(entry(f"e{n}", "payments", blocks=(f"198.51.{n}.0/24",), created=OLD) for n in range(25))
    blocks = tuple(f"198.51.{n}.0/28" for n in range(25))
    found = list(changes_by_files([entry(blocks=blocks)], {}, MeshObjects(entries=many)))
    assert len(found) == 11
    assert found[-1][1].message == "15 more of this kind are not shown here"


BLOCKS = st.sets(st.sampled_from(["192.0.2.0/24", "192.0.2.0/25", "192.0.2.16/28", "198.51.100.0/24"]), max_size=3).map(tuple)
ENTRIES = st.builds(
    entry,
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["shop", "payments"]),
    hosts=st.sampled_from([("x.example",), ("y.example",), ("*.example",)]),
    blocks=BLOCKS,
    protocol=st.sampled_from(["TCP", "TLS", "HTTP"]),
    export_to=st.sampled_from([(), (".",)]),
    created=st.sampled_from([OLD, NEW]),
)


@examples(60)
@given(st.lists(ENTRIES, max_size=6, unique_by=str))
def test_applying_what_is_there_changes_nothing(there: list[ServiceEntry]) -> None:
    assert list(changes_by_files(there, {}, MeshObjects(entries=tuple(there)))) == []


@examples(60)
@given(st.lists(ENTRIES, min_size=1, max_size=5, unique_by=str))
def test_what_is_taken_from_one_is_returned_to_it_when_the_change_is_taken_back(there: list[ServiceEntry]) -> None:
    *rest, new = there
    gone = entry(new.name, new.namespace, export_to=("~",), created=new.created)
    taken = {f.about for _, f in changes_by_files([new], {}, MeshObjects(entries=(*rest, gone))) if f.rule == "takes-traffic"}
    back = {f.about for _, f in changes_by_files([gone], {}, MeshObjects(entries=(*rest, new))) if f.rule == "returns-traffic"}
    assert taken == back


class TestAgainstIstiodsOwnConfiguration:
    """Pairs of entries, and whether something that the older carries alone goes elsewhere beside the new one."""

    @staticmethod
    def takes(old: ServiceEntry, new: ServiceEntry) -> bool:
        around = MeshObjects(entries=(old,), namespaces={"default": {}, "other": {}, "third": {}})
        return any(found.rule == "takes-traffic" for _, found in changes_by_files([replace(new, created="")], {}, around))

    def test_no_traffic_is_taken_in_silence(self) -> None:
        pairs = [(read_entry(each["old"]), read_entry(each["new"])) for each in recordings.carriers() if each["taken"]]
        assert [(str(old), str(new)) for old, new in pairs if not self.takes(old, new)] == []
        assert len(pairs) > 100

    def test_none_is_said_to_be_taken_that_stays(self) -> None:
        pairs = [(read_entry(each["old"]), read_entry(each["new"])) for each in recordings.carriers() if not each["taken"]]
        # What two of one host take of their one Envoy cluster, or of that of another host of the same entry, is not told exactly.
        apart = [
            (old, new)
            for old, new in pairs
            if not set(old.hosts) & set(new.hosts) or (old.namespace != new.namespace and len(old.hosts) == 1)
        ]
        assert [(str(old), str(new)) for old, new in apart if self.takes(old, new)] == []
        assert len(apart) > 150
