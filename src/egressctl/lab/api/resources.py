"""Which resources the endpoint serves, and how kubectl prints them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from egressctl.istio.admission.schema import OPEN, STRING, Schema, kind_schema
from egressctl.lab.api import istio
from egressctl.lab.api.status import Object, not_served_error

READ = ("get", "list", "watch")
WRITE = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of kubectl's table."""

    name: str
    cell: Callable[[Object], str]


@dataclass(frozen=True, eq=False)
class Resource:
    """A kind of object. Two are the same only when they are one and the same table row."""

    group: str
    versions: tuple[str, ...]
    plural: str
    kind: str
    namespaced: bool = True
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = WRITE
    columns: tuple[Column, ...] = ()
    schema: Schema = field(default_factory=lambda: kind_schema(OPEN))
    returns_object: bool = False
    """Whether a delete answers with the object, as it does for core kinds, and not with a Status."""

    def api_version(self, version: str) -> str:
        return f"{self.group}/{version}" if self.group else version


def _value_at(*path: str) -> Callable[[Object], str]:
    def cell(obj: Object) -> str:
        value: Any = obj
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        if isinstance(value, list):
            return json.dumps(value, separators=(",", ":"))
        return "" if value is None else str(value)

    return cell


def _container_statuses(pod: Object) -> list[Object]:
    restartable = {
        container["name"]
        for container in pod.get("spec", {}).get("initContainers", [])
        if container.get("restartPolicy") == "Always"
    }
    status = pod.get("status", {})
    sidecars = [one for one in status.get("initContainerStatuses", []) if one["name"] in restartable]
    return [*status.get("containerStatuses", []), *sidecars]


def _ready_count(pod: Object) -> str:
    spec = pod.get("spec", {})
    sidecars = [one for one in spec.get("initContainers", []) if one.get("restartPolicy") == "Always"]
    ready = sum(bool(one.get("ready")) for one in _container_statuses(pod))
    return f"{ready}/{len(spec.get('containers', [])) + len(sidecars)}"


_CONTAINERS = Schema(
    "array",
    items=Schema("object", properties={"name": STRING, "image": STRING}, open=True, required=("name",)),
    keys=("name",),
)
_POD_SPEC = Schema(
    "object",
    properties={"containers": _CONTAINERS, "initContainers": _CONTAINERS, "serviceAccountName": STRING},
    open=True,
    required=("containers",),
)
_ISTIO = ("v1", "v1beta1", "v1alpha3")
_ISTIO_CATEGORIES = ("istio-io", "networking-istio-io")

NAMESPACES = Resource(
    "", ("v1",), "namespaces", "Namespace", namespaced=False, short_names=("ns",), subresources=("status",),
    columns=(Column("Status", _value_at("status", "phase")),), returns_object=True,
)  # fmt: skip
PODS = Resource(
    "", ("v1",), "pods", "Pod", short_names=("po",), categories=("all",), subresources=("exec", "log", "status"),
    columns=(Column("Ready", _ready_count), Column("Status", _value_at("status", "phase")), Column("Restarts", lambda _: "0")),
    schema=kind_schema(_POD_SPEC, spec_required=True), returns_object=True,
)  # fmt: skip
SERVICE_ACCOUNTS = Resource(
    "", ("v1",), "serviceaccounts", "ServiceAccount", short_names=("sa",), schema=kind_schema(), returns_object=True
)
SERVICES = Resource(
    "", ("v1",), "services", "Service", short_names=("svc",), categories=("all",), subresources=("status",),
    columns=(Column("Type", _value_at("spec", "type")), Column("Cluster-IP", _value_at("spec", "clusterIP"))),
    returns_object=True,
)  # fmt: skip
EVENTS = Resource("", ("v1",), "events", "Event", short_names=("ev",), schema=kind_schema())
DEFINITIONS = Resource(
    "apiextensions.k8s.io", ("v1",), "customresourcedefinitions", "CustomResourceDefinition", namespaced=False,
    short_names=("crd", "crds"), categories=("api-extensions",), verbs=READ,
)  # fmt: skip
SERVICE_ENTRIES = Resource(
    "networking.istio.io", _ISTIO, "serviceentries", "ServiceEntry", short_names=("se",), categories=_ISTIO_CATEGORIES,
    subresources=("status",), schema=istio.SERVICE_ENTRY_KIND,
    columns=(
        Column("Hosts", _value_at("spec", "hosts")),
        Column("Location", _value_at("spec", "location")),
        Column("Resolution", _value_at("spec", "resolution")),
    ),
)  # fmt: skip
SIDECARS = Resource(
    "networking.istio.io", _ISTIO, "sidecars", "Sidecar", categories=_ISTIO_CATEGORIES, subresources=("status",),
    schema=istio.SIDECAR_KIND,
)  # fmt: skip
VIRTUAL_SERVICES = Resource(
    "networking.istio.io", _ISTIO, "virtualservices", "VirtualService", short_names=("vs",), categories=_ISTIO_CATEGORIES,
    subresources=("status",), schema=istio.OPEN_KIND,
    columns=(Column("Gateways", _value_at("spec", "gateways")), Column("Hosts", _value_at("spec", "hosts"))),
)  # fmt: skip
DESTINATION_RULES = Resource(
    "networking.istio.io", _ISTIO, "destinationrules", "DestinationRule", short_names=("dr",), categories=_ISTIO_CATEGORIES,
    subresources=("status",), schema=istio.OPEN_KIND, columns=(Column("Host", _value_at("spec", "host")),),
)  # fmt: skip

ISTIO = (SERVICE_ENTRIES, SIDECARS, VIRTUAL_SERVICES, DESTINATION_RULES)
ALL = (NAMESPACES, PODS, SERVICE_ACCOUNTS, SERVICES, EVENTS, DEFINITIONS, *ISTIO)
GROUPS: dict[str, tuple[str, ...]] = {
    "": ("v1",),
    "apiextensions.k8s.io": ("v1",),
    "authentication.k8s.io": ("v1",),
    "authorization.k8s.io": ("v1",),
    "networking.istio.io": _ISTIO,
}


def resources_of(group: str, version: str) -> list[Resource]:
    """Return the resources of one version of a group."""
    return [resource for resource in ALL if resource.group == group and version in resource.versions]


def find_resource(group: str, version: str, plural: str) -> Resource:
    """Return a resource; raise ApiError 404 where it is not served."""
    for resource in resources_of(group, version):
        if resource.plural == plural:
            return resource
    raise not_served_error()
