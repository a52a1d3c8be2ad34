"""URLs that are asked by themselves, in a lab that a real istiod feeds: what `verify` and `explain` say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from egressctl.kube.config import ConnectOptions, connect
from egressctl.mesh.client import Mesh
from egressctl.mesh.sidecar import Sidecar
from egressctl.mesh.source_pod import ANY_SOURCE, find_source
from egressctl.model.cause import Cause
from egressctl.model.result import ProbeResult
from egressctl.runtime.progress import SilentProgress
from egressctl.verify.evidence import Question
from egressctl.verify.explain.explain import explain, list_readable_entries
from egressctl.verify.select import verify_target_from_urls
from egressctl.verify.targets_by_name import probe_of_host
from egressctl.verify.verify import ProbeOptions, verify
from labs import Lab

PLURALS = {
    "ServiceEntry": "serviceentries",
    "Sidecar": "sidecars",
    "VirtualService": "virtualservices",
    "DestinationRule": "destinationrules",
}
VERSION = "networking.istio.io/v1"
OTHER = "other"
"""A second namespace."""

Manifest = dict[str, Any]


def an_object(kind: str, name: str, namespace: str = "default", **spec: Any) -> Manifest:
    return {"apiVersion": VERSION, "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def an_entry(name: str, hosts: Sequence[str], port: tuple[int, str], *, namespace: str = "default", **spec: Any) -> Manifest:
    """Return a ServiceEntry of one port; by DNS unless `spec` says otherwise."""
    number, protocol = port
    ports = [{"number": number, "name": "port", "protocol": protocol}]
    spec = {"hosts": list(hosts), "ports": ports, "location": "MESH_EXTERNAL", "resolution": "DNS", **spec}
    return an_object("ServiceEntry", name, namespace, **spec)


def path_of(manifest: Manifest, *, named: bool = True) -> str:
    metadata = manifest["metadata"]
    base = f"/apis/{VERSION}/namespaces/{metadata['namespace']}/{PLURALS[manifest['kind']]}"
    return f"{base}/{metadata['name']}" if named else base


def create(lab: Lab, manifest: Manifest) -> None:
    status, answer = lab.api("POST", path_of(manifest, named=False), manifest)
    assert status == 201, answer


def delete(lab: Lab, manifest: Manifest) -> None:
    status, answer = lab.api("DELETE", path_of(manifest))
    assert status in (200, 404), answer


def second_namespace(lab: Lab) -> None:
    status, answer = lab.api("POST", "/api/v1/namespaces", {"metadata": {"name": OTHER}})
    assert status in (201, 409), answer


@dataclass(frozen=True)
class Asker:
    """Asks URLs from the lab's pod, each on a connection of its own."""

    lab: Lab

    def verify(self, *urls: str) -> list[ProbeResult]:
        mesh = self._mesh
        source = find_source(mesh.api, "default", ANY_SOURCE)
        wanted = verify_target_from_urls(tuple(map(probe_of_host, urls)), "default")
        [target] = verify(mesh, Sidecar(mesh.api, source), [wanted], ProbeOptions(), SilentProgress())
        return list(target.probes)

    def explain(self, url: str) -> Cause | None:
        mesh = self._mesh
        known = list_readable_entries(mesh, "default")
        asked = [Question(probe_of_host(url))]
        [path] = explain(mesh, "default", ANY_SOURCE, asked, (), known, SilentProgress()).paths
        return path.cause

    @property
    def _mesh(self) -> Mesh:
        return Mesh(connect(ConnectOptions(kubeconfig=str(self.lab.kubeconfig))))
