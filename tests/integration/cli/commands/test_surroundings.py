"""What is read around an entry, and what is said of what may not be."""

from __future__ import annotations

import pytest

from cli import entry, put_right, start_object
from egressctl.kube.config import ConnectOptions, connect
from egressctl.mesh.client import Mesh
from egressctl.mesh.read_objects import read_mesh_objects
from faults import FaultProxy, Respond
from labs import Lab


@pytest.fixture
def mesh(proxy: FaultProxy, lab: Lab) -> Mesh:
    lab.create(entry())
    start_object(lab, "Sidecar", "little", {"egress": [{"hosts": ["./*"]}]})
    return Mesh(connect(ConnectOptions(kubeconfig=str(proxy.kubeconfig))))


def test_everything_is_read_at_once(mesh: Mesh, lab: Lab) -> None:
    found = read_mesh_objects(mesh, "default", services=True)
    put_right(lab)
    assert [str(each) for each in found.entries] == ["default/wikipedia-ext"]
    assert [each["metadata"]["name"] for each in found.sidecars] == ["little"]
    assert {each["metadata"]["name"] for each in found.services} >= {"kubernetes"}
    assert "default" in found.namespaces
    assert found.unread == ()


def test_for_a_test_the_serviceentries_alone_are_read(mesh: Mesh, proxy: FaultProxy, lab: Lab) -> None:
    asked: list[str] = []

    def note(call: object) -> None:
        asked.append(getattr(call, "path", ""))

    proxy.rules = note
    found = read_mesh_objects(mesh, "default", services=True, beside=False)
    put_right(lab)
    assert [str(each) for each in found.entries] == ["default/wikipedia-ext"]
    assert (found.sidecars, found.services, found.namespaces) == ((), (), {})
    assert [path for path in asked if "serviceentries" not in path and path.count("/") > 2] == []


def test_what_may_not_be_read_everywhere_is_read_where_it_may_and_said(mesh: Mesh, proxy: FaultProxy, lab: Lab) -> None:
    proxy.rules = lambda call: Respond(403, "Forbidden") if call.path.endswith("v1/sidecars") else None
    found = read_mesh_objects(mesh, "default", services=False)
    put_right(lab)
    assert [each["metadata"]["name"] for each in found.sidecars] == ["little"]
    assert found.has_read("sidecars", "default")
    assert not found.has_read("sidecars", "other")
    [unread] = found.unread
    assert "sidecars.networking.istio.io of namespaces other than default and istio-system were not looked at" in unread


def test_the_gateway_api_that_may_not_be_looked_at_is_said_and_one_that_is_not_served_is_not(
    mesh: Mesh, proxy: FaultProxy, lab: Lab
) -> None:
    found = read_mesh_objects(mesh, "default", services=False)
    assert found.unread == ()
    assert set(found.gateway_routes) == set(found.tls_policies) == set()
    proxy.rules = lambda call: Respond(403, "Forbidden") if "/apis/gateway." in call.path else None
    found = read_mesh_objects(mesh, "default", services=False)
    put_right(lab)
    kinds = ("httproutes", "tlsroutes", "backendtlspolicies")
    assert [each.split(" ")[0] for each in found.unread] == [f"{kind}.gateway.networking.k8s.io" for kind in kinds]
