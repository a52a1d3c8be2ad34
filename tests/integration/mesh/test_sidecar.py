"""The questions to a sidecar, asked of a real Envoy: what a short answer says of the long one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli import entry
from egressctl.envoy.config import BLACKHOLE
from egressctl.kube.config import ConnectOptions, connect
from egressctl.manifests.service_entry import read_entry
from egressctl.mesh.propagation import listener_refusal, missing_blocks
from egressctl.mesh.sidecar import Sidecar
from egressctl.mesh.source_pod import ANY_SOURCE, find_source
from labs import Lab, eventually

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
    return any(each.name == "0.0.0.0_8443" for each in sidecar.versions())


@pytest.mark.usefixtures("first")
def test_the_versions_change_exactly_when_a_listener_does(lab: Lab, sidecar: Sidecar) -> None:
    before = sidecar.versions()
    assert before == sidecar.config().versions == sidecar.versions()
    lab.create(SECOND)
    assert eventually(lambda: sidecar.versions() != before), "a filter chain came"
    between = sidecar.config().versions
    lab.delete(SECOND)
    assert eventually(lambda: sidecar.versions() != between), "and went"
    assert sidecar.versions() != before, "which does not make it the version of before"
    assert sidecar.versions() == sidecar.config().versions


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
        assert config.versions == sidecar.versions()
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
