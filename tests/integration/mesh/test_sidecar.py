"""The questions to a sidecar, asked of a real Envoy: what a short answer says of the long one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli import entry
from egressctl.envoy.changes import explains_listeners
from egressctl.envoy.config import BLACKHOLE
from egressctl.kube.config import ConnectOptions, connect
from egressctl.manifests.service_entry import read_entry
from egressctl.mesh.propagation import listener_refusal, missing_blocks
from egressctl.mesh.sidecar import Sidecar
from egressctl.mesh.source_pod import ANY_SOURCE, find_source
from labs import Lab, eventually

PLACES = ("lab", "istiod")
PORT = {"number": 8443, "name": "tcp-other", "protocol": "TCP"}
FIRST = entry("first-ext", hosts=["a-b.other.example", "*.other.example"], addresses=["192.0.2.0/24"], ports=[PORT])
SECOND = entry("second-ext", hosts=["second.example"], addresses=["198.51.100.0/24"], ports=[PORT])


@pytest.fixture
def sidecar(lab: Lab) -> Sidecar:
    api = connect(ConnectOptions(kubeconfig=str(lab.kubeconfig)))
    return Sidecar(api, find_source(api, "default", ANY_SOURCE))


@pytest.fixture
def first(lab: Lab, sidecar: Sidecar) -> Iterator[None]:
    lab.create(FIRST)
    assert eventually(lambda: listens(sidecar))
    yield
    lab.delete(FIRST)
    assert eventually(lambda: not listens(sidecar))


def listens(sidecar: Sidecar) -> bool:
    return sidecar.config().listener("0.0.0.0_8443") is not None


@pytest.mark.usefixtures("first")
def test_each_change_of_a_listener_is_counted_also_of_what_is_gone_again(lab: Lab, sidecar: Sidecar) -> None:
    before, first = sidecar.changes(), sidecar.config().versions
    assert sidecar.changes() == before
    lab.create(SECOND)
    assert eventually(lambda: sidecar.changes().modified == before.modified + 1), "a filter chain came"
    between, changed = sidecar.changes(), sidecar.config().versions
    assert explains_listeners(first, changed, before, between)
    lab.delete(SECOND)
    assert eventually(lambda: sidecar.changes().modified == between.modified + 1), "and went"
    assert not explains_listeners(first, sidecar.config().versions, before, sidecar.changes()), "it was changed twice"


def test_a_listener_that_came_and_went_shows_in_the_counts_alone(lab: Lab, sidecar: Sidecar) -> None:
    before, first = sidecar.changes(), sidecar.config().versions
    lab.create(FIRST)
    assert eventually(lambda: listens(sidecar))
    lab.delete(FIRST)
    assert eventually(lambda: not listens(sidecar))
    after, last = sidecar.changes(), sidecar.config().versions
    assert last == first
    assert (after.added, after.removed) == (before.added + 1, before.removed + 1)
    assert not explains_listeners(first, last, before, after)


def test_what_envoy_refused_is_read_by_listener_and_the_others_are_in_force(lab: Lab, sidecar: Sidecar) -> None:
    refused = {"number": 15001, "name": "tcp-refused", "protocol": "TCP"}
    manifest = entry("refused-ext", hosts=["refused.example"], addresses=["192.0.2.0/24"], ports=[refused, PORT])
    lab.create(manifest)
    try:
        assert eventually(lambda: sidecar.config().errors and listens(sidecar))
        config = sidecar.config()
        assert set(sidecar.config().errors) == {"0.0.0.0_15001"}
        assert listener_refusal(config, read_entry(manifest)) == config.errors["0.0.0.0_15001"]
        assert missing_blocks(config, read_entry(manifest)) == ("192.0.2.0/24:15001",)
        assert sidecar.changes().refused
    finally:
        lab.delete(manifest)
        assert eventually(lambda: not sidecar.config().errors and not listens(sidecar))


@pytest.mark.usefixtures("first")
@pytest.mark.parametrize(
    ("names", "found"),
    [
        ({"outbound|8443||*.other.example"}, {"outbound|8443||*.other.example"}),
        ({"outbound|8443||a-b.other.example", BLACKHOLE}, {"outbound|8443||a-b.other.example", BLACKHOLE}),
        ({"outbound|8443||a-bXother.example", "8443", ".*"}, set()),
    ],
)
def test_envoy_clusters_are_found_by_exactly_their_names(sidecar: Sidecar, names: set[str], found: set[str]) -> None:
    assert set(sidecar.envoy_clusters(names)) == found


@pytest.mark.usefixtures("first")
def test_more_names_than_an_address_holds_are_among_all(sidecar: Sidecar) -> None:
    many = {f"outbound|443||{index}.example" for index in range(200)}
    found = sidecar.envoy_clusters(many | {"outbound|8443||*.other.example"})
    assert {"outbound|8443||*.other.example", "outbound|8443||a-b.other.example", BLACKHOLE} <= set(found)
    assert found["outbound|8443||*.other.example"].services[0].namespace == "default"
