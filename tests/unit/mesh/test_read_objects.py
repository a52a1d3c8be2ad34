"""The Gateway API's kinds: each is read in the newest version in which it is served, where it is served at all."""

from __future__ import annotations

from typing import Any, cast

import pytest

from egressctl.errors import ApiFailure, Forbidden, NotFound
from egressctl.kube.rest import Api
from egressctl.mesh.client import Mesh
from egressctl.mesh.read_objects import read_mesh_objects

ISTIO, GATEWAY = "/apis/networking.istio.io", "/apis/gateway.networking.k8s.io"
ALL_SERVED = {
    "v1": ("httproutes", "backendtlspolicies", "gateways"),
    "v1beta1": ("httproutes",),
    "v1alpha3": ("tlsroutes", "backendtlspolicies"),
}


class FakeApi:
    """Serves no object but the Gateway API's: one of each kind and version, and remembers what was listed."""

    def __init__(self, served: dict[str, tuple[str, ...]], failure: Exception | None = None) -> None:
        self.served, self.failure, self.listed = served, failure, list[str]()

    def served_versions(self, group: str) -> tuple[str, ...]:
        if group in ISTIO:
            return ("v1",)
        if self.failure:
            raise self.failure
        if not self.served:
            raise NotFound("it is not served")
        return tuple(self.served)

    def get(self, path: str, query: object = None) -> dict[str, Any]:
        version = path.removeprefix(f"{GATEWAY}/")
        if version not in self.served:
            raise NotFound(path)
        return {"resources": [{"name": name} for name in self.served[version]]}

    def list(self, path: str, **_: object) -> dict[str, Any]:
        if not path.startswith(GATEWAY):
            return {"items": []}
        self.listed.append(path.removeprefix(f"{GATEWAY}/"))
        return {"items": [{"metadata": {"name": "it", "namespace": "default"}}]}


def read(api: FakeApi) -> Any:
    return read_mesh_objects(Mesh(cast(Api, api)), "default", services=False)


def test_each_kind_is_read_in_its_newest_version() -> None:
    api = FakeApi(ALL_SERVED)
    found = read(api)
    assert sorted(api.listed) == ["v1/backendtlspolicies", "v1/httproutes", "v1alpha3/tlsroutes"]
    assert [each["kind"] for each in found.gateway_routes] == ["HTTPRoute", "TLSRoute"]
    assert [each["apiVersion"] for each in found.tls_policies] == ["gateway.networking.k8s.io/v1"]
    assert found.unread == ()


@pytest.mark.parametrize("served", [{}, {"v1": ("gateways",)}])
def test_a_kind_that_is_not_served_has_no_objects(served: dict[str, tuple[str, ...]]) -> None:
    api = FakeApi(served)
    found = read(api)
    assert (api.listed, found.gateway_routes, found.tls_policies, found.unread) == ([], (), (), ())


@pytest.mark.parametrize(
    "failure", [Forbidden("user ci may not", verb="get", resource="gateways"), ApiFailure("it answers with 500")]
)
def test_what_could_not_be_asked_is_said_and_never_taken_for_absent(failure: Exception) -> None:
    found = read(FakeApi(ALL_SERVED, failure))
    assert len(found.unread) == 3
    assert all(f"were not looked at: {failure}" in each for each in found.unread)
    assert not found.has_read("httproutes", "default")
