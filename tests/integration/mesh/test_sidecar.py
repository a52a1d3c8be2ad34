"""The questions to a sidecar, asked of a real Envoy: what a short answer says of the long one."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli import entry
from egressctl.envoy.config import BLACKHOLE
from egressctl.envoy.propagation import listener_refusal, missing_blocks
from egressctl.kube.config import ConnectOptions, connect
from egressctl.manifests.service_entry import read_entry
from egressctl.mesh.client import Mesh
from egressctl.mesh.source_pod import ANY_SOURCE
from egressctl.model.evidence import Source
from labs import Lab, eventually

PORT = {"number": 8443, "name": "tcp-other", "protocol": "TCP"}
FIRST = entry("first-ext", hosts=["a-b.other.example", "*.other.example"], addresses=["192.0.2.0/24"], ports=[PORT])
SECOND = entry("second-ext", hosts=["second.example"], addresses=["198.51.100.0/24"], ports=[PORT])


@pytest.fixture
def mesh(lab: Lab) -> Mesh:
    return Mesh(connect(ConnectOptions(kubeconfig=str(lab.kubeconfig))))


@pytest.fixture
def source(mesh: Mesh) -> Source:
    return mesh.source("default", ANY_SOURCE)


@pytest.fixture
def first(lab: Lab, mesh: Mesh, source: Source) -> Iterator[None]:
    lab.create(FIRST)
    assert eventually(lambda: listens(mesh, source))
    yield
    lab.delete(FIRST)
    assert eventually(lambda: not listens(mesh, source))


def listens(mesh: Mesh, source: Source) -> bool:
    return any(each.name == "0.0.0.0_8443" for each in mesh.listener_versions(source))


@pytest.mark.usefixtures("first")
def test_the_versions_change_exactly_when_a_listener_does(lab: Lab, mesh: Mesh, source: Source) -> None:
    before = mesh.listener_versions(source)
    assert before == mesh.proxy_config(source).versions == mesh.listener_versions(source)
    lab.create(SECOND)
    assert eventually(lambda: mesh.listener_versions(source) != before), "a filter chain came"
    between = mesh.proxy_config(source).versions
    lab.delete(SECOND)
    assert eventually(lambda: mesh.listener_versions(source) != between), "and went"
    assert mesh.listener_versions(source) != before, "which does not make it the version of before"
    assert mesh.listener_versions(source) == mesh.proxy_config(source).versions


def test_what_envoy_refused_is_read_by_listener_and_the_others_are_in_force(lab: Lab, mesh: Mesh, source: Source) -> None:
    refused = {"number": 15001, "name": "tcp-refused", "protocol": "TCP"}
    manifest = entry("refused-ext", hosts=["refused.example"], addresses=["192.0.2.0/24"], ports=[refused, PORT])
    lab.create(manifest)
    try:
        assert eventually(lambda: mesh.listener_errors(source) and listens(mesh, source))
        config = mesh.proxy_config(source)
        assert set(mesh.listener_errors(source)) == {"0.0.0.0_15001"}
        assert config.errors == mesh.listener_errors(source)
        assert listener_refusal(config, read_entry(manifest)) == config.errors["0.0.0.0_15001"]
        assert missing_blocks(config, read_entry(manifest)) == ("192.0.2.0/24:15001",)
        assert config.versions == mesh.listener_versions(source)
    finally:
        lab.delete(manifest)
        assert eventually(lambda: not mesh.listener_errors(source) and not listens(mesh, source))


@pytest.mark.usefixtures("first")
@pytest.mark.parametrize(
    ("names", "found"),
    [
        ({"outbound|8443||*.other.example"}, {"outbound|8443||*.other.example"}),
        ({"outbound|8443||a-b.other.example", BLACKHOLE}, {"outbound|8443||a-b.other.example", BLACKHOLE}),
        ({"outbound|8443||a-bXother.example", "8443", ".*"}, set()),
    ],
)
def test_envoy_clusters_are_found_by_exactly_their_names(mesh: Mesh, source: Source, names: set[str], found: set[str]) -> None:
    assert set(mesh.envoy_clusters(source, names)) == found


@pytest.mark.usefixtures("first")
def test_more_names_than_an_address_holds_are_among_all(mesh: Mesh, source: Source) -> None:
    many = {f"outbound|443||{index}.example" for index in range(200)}
    found = mesh.envoy_clusters(source, many | {"outbound|8443||*.other.example"})
    assert {"outbound|8443||*.other.example", "outbound|8443||a-b.other.example", BLACKHOLE} <= set(found)
    assert found["outbound|8443||*.other.example"].services[0].namespace == "default"
