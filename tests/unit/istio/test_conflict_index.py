"""Those that an entry is not compared with are those that it has no clash with."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from egressctl.istio.conflict_index import ConflictIndex, ManifestsByHost
from egressctl.istio.conflicts import find_conflicts
from egressctl.model.entry import Manifest, Port, ServiceEntry
from entries import ENTRY
from examples import examples

HOSTS = ["a.org", "A.org", "b.a.org", "c.b.a.org", "z.net", "*.a.org", "*.b.a.org", "*.org", "*rg", "*a.org"]
ADDRESSES = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.9/24", "10.1.2.3", "10.1.2.3/32", "0.0.0.0/0", "192.0.2.0/24"]
ADDRESSES += ["2001:db8::/32", "2001:db8::1", "::/0", "no address"]
PROTOCOLS = ["TCP", "TLS", "HTTP", "HTTPS", "GRPC", "REDIS", "UDP", "tcp", ""]

ENTRIES = st.builds(
    ServiceEntry,
    name=st.sampled_from("abcdefgh"),
    namespace=st.sampled_from(["one", "two"]),
    hosts=st.lists(st.sampled_from(HOSTS), min_size=1, max_size=2, unique=True).map(tuple),
    addresses=st.lists(st.sampled_from(ADDRESSES), max_size=3, unique=True).map(tuple),
    ports=st.lists(
        st.builds(Port, st.sampled_from([80, 443]), st.sampled_from(PROTOCOLS), st.just("p")),
        min_size=1,
        max_size=2,
        unique_by=lambda port: port.number,
    ).map(tuple),
    resolution=st.just("NONE"),
    location=st.just("MESH_EXTERNAL"),
    export_to=st.sampled_from([(), (".",), ("*",), ("~",), ("one",), ("two", ".")]),
)


@examples(200)
@given(st.lists(ENTRIES, min_size=2, max_size=8))
def test_looking_at_neighbours_alone_finds_what_looking_at_all_finds(entries: list[ServiceEntry]) -> None:
    neighbours = ConflictIndex(entries)
    for entry in entries:
        found = neighbours.conflicts_of(entry, entry.namespace, 1000)
        assert set(found.conflicts) == set(find_conflicts(entry, entries, entry.namespace))
        assert found.more == 0


MINE = replace(ENTRY, name="mine")


def test_of_very_many_some_are_compared_and_the_others_counted() -> None:
    others = [replace(MINE, name=f"other-{n}", hosts=(f"{n}.example",)) for n in range(20)]
    found = ConflictIndex([MINE, *others]).conflicts_of(MINE, "shop", 3)
    assert ([each.rule for each in found.conflicts], found.more) == (["same-block"] * 3, 17)


def test_of_those_that_no_pod_sees_beside_it_none_is_counted() -> None:
    others = [replace(MINE, name=f"other-{n}", namespace=f"team-{n}") for n in range(20)]
    assert ConflictIndex([MINE, *others]).conflicts_of(MINE, "shop", 3) == ((), 0)


def test_an_entry_that_is_not_filed_itself_is_compared_as_well() -> None:
    other = replace(MINE, name="other")
    assert [each.about.name for each in ConflictIndex([other]).conflicts_of(MINE, "shop", 3).conflicts] == ["other", "other"]


def named(*hosts: str) -> Manifest:
    return {"hosts": list(hosts)}


def test_manifests_are_found_by_the_hosts_that_they_name() -> None:
    filed = [named("a.example"), named("*.example"), named("*"), named("b.example"), named("A.EXAMPLE", "x"), named("*ple")]
    found = ManifestsByHost(filed, lambda each: each["hosts"]).of(MINE)
    assert found == [filed[0], filed[1], filed[2], filed[4], filed[5]]
