"""The Istio objects that decide what a sidecar is given, and how to read them when anything may stand in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from egressctl.lab.dataplane.names import NAMESPACE, POD_LABELS
from egressctl.model.entry import Manifest
from egressctl.model.json_values import mapping_at

PLURALS = ("serviceentries", "sidecars", "virtualservices", "destinationrules")
"""The kinds that the lab knows."""
IstioManifests = Mapping[str, Sequence[Manifest]]
"""All objects of a Kubernetes cluster by their kind, each one of PLURALS."""


@dataclass(frozen=True, slots=True)
class Workload:
    """The pod that a sidecar belongs to, as far as objects select by it."""

    namespace: str
    labels: Mapping[str, str]


SLEEP = Workload(NAMESPACE, POD_LABELS)
"""The lab's only pod with a sidecar."""


@dataclass(frozen=True, slots=True)
class IstioObject:
    """An object's name, namespace, age and `spec`, whatever it holds."""

    name: str
    namespace: str
    created: str
    uid: str
    spec: Mapping[str, Any]

    @property
    def order(self) -> tuple[str, str, str]:
        """The older first, then by name and namespace, as istiod sorts its configuration."""
        return self.created, self.name, self.namespace

    def full_name(self, host: object) -> str:
        """Return a host that it names: one without a dot is a service of its own namespace."""
        said = str(host or "")
        return said if "." in said or said.startswith("*") or not said else f"{said}.{self.namespace}.svc.cluster.local"


def read_object(manifest: Manifest) -> IstioObject:
    """Read what every object has."""
    metadata = mapping_at(manifest, "metadata")
    name, namespace, created, uid = (str(metadata.get(key) or "") for key in ("name", "namespace", "creationTimestamp", "uid"))
    return IstioObject(name, namespace, created, uid, mapping_at(manifest, "spec"))
