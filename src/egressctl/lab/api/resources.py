"""Which resources the endpoint serves, and how kubectl prints them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from egressctl.istio.admission.crd import SERVICE_ENTRY
from egressctl.istio.admission.schema import OPEN, STRING, STRING_MAP, Schema, kind_schema, object_schema
from egressctl.lab.api.status import Object, not_served_error
from egressctl.model.json_values import value_at

READ = ("get", "list", "watch")
WRITE = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


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
    columns: Mapping[str, str | Callable[[Object], str]] = field(default_factory=dict)
    """What `kubectl get` shows, by the name of its column: the path of a field, or what makes the text."""
    schema: Schema = field(default_factory=lambda: kind_schema(OPEN))
    returns_object: bool = False
    """Whether a delete answers with the object, as it does for core kinds, and not with a Status."""

    def api_version(self, version: str) -> str:
        return f"{self.group}/{version}" if self.group else version


def field_text(obj: Object, path: str) -> str:
    """Return what stands at a path such as `spec.hosts`: a list as JSON, nothing where there is no such field."""
    value = value_at(obj, *path.split("."))
    if isinstance(value, list):
        return json.dumps(value, separators=(",", ":"))
    return "" if value is None else str(value)


def _ready_count(pod: Object) -> str:
    """Count the containers that run as long as the pod does: its own, and sidecars, which are always started again."""
    spec, status = pod.get("spec", {}), pod.get("status", {})
    sidecars = [one for one in spec.get("initContainers", []) if one.get("restartPolicy") == "Always"]
    names = {one["name"] for one in (*spec.get("containers", []), *sidecars)}
    states = [*status.get("containerStatuses", []), *status.get("initContainerStatuses", [])]
    return f"{sum(one['name'] in names and bool(one.get('ready')) for one in states)}/{len(names)}"


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
# Of a Sidecar the one field that the lab reads; the others keep whatever they are given.
_SIDECAR_SPEC = Schema("object", properties={"workloadSelector": object_schema({"labels": STRING_MAP})}, open=True)

_core = partial(Resource, "", ("v1",))
_istio = partial(
    Resource, "networking.istio.io", ("v1", "v1beta1", "v1alpha3"), categories=("istio-io", "networking-istio-io"),
    subresources=("status",),
)  # fmt: skip
NAMESPACES = _core(
    "namespaces", "Namespace", namespaced=False, short_names=("ns",), subresources=("status",),
    columns={"Status": "status.phase"}, returns_object=True,
)  # fmt: skip
PODS = _core(
    "pods", "Pod", short_names=("po",), categories=("all",), subresources=("exec", "log", "status"),
    columns={"Ready": _ready_count, "Status": "status.phase", "Restarts": lambda _: "0"},
    schema=kind_schema(_POD_SPEC, spec_required=True), returns_object=True,
)  # fmt: skip
SERVICE_ACCOUNTS = _core("serviceaccounts", "ServiceAccount", short_names=("sa",), schema=kind_schema(), returns_object=True)
SERVICES = _core(
    "services", "Service", short_names=("svc",), categories=("all",), subresources=("status",),
    columns={"Type": "spec.type", "Cluster-IP": "spec.clusterIP"}, returns_object=True,
)  # fmt: skip
EVENTS = _core("events", "Event", short_names=("ev",), schema=kind_schema())
DEFINITIONS = Resource(
    "apiextensions.k8s.io", ("v1",), "customresourcedefinitions", "CustomResourceDefinition", namespaced=False,
    short_names=("crd", "crds"), categories=("api-extensions",), verbs=READ,
)  # fmt: skip
SERVICE_ENTRIES = _istio(
    "serviceentries", "ServiceEntry", short_names=("se",), schema=SERVICE_ENTRY,
    columns={"Hosts": "spec.hosts", "Location": "spec.location", "Resolution": "spec.resolution"},
)  # fmt: skip
SIDECARS = _istio("sidecars", "Sidecar", schema=kind_schema(_SIDECAR_SPEC))
VIRTUAL_SERVICES = _istio(
    "virtualservices", "VirtualService", short_names=("vs",), columns={"Gateways": "spec.gateways", "Hosts": "spec.hosts"}
)
DESTINATION_RULES = _istio("destinationrules", "DestinationRule", short_names=("dr",), columns={"Host": "spec.host"})

ISTIO = (SERVICE_ENTRIES, SIDECARS, VIRTUAL_SERVICES, DESTINATION_RULES)


def _review(group: str, kind: str) -> Resource:
    return Resource(f"{group}.k8s.io", ("v1",), f"{kind.lower()}s", kind, namespaced=False, verbs=("create",))


_EVERYTHING = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
_USER = {"username": "lab", "groups": ["system:masters", "system:authenticated"]}
REVIEWS: Mapping[Resource, Object] = {
    _review("authentication", "SelfSubjectReview"): {"userInfo": _USER},
    _review("authorization", "SelfSubjectAccessReview"): {"allowed": True},
    _review("authorization", "SelfSubjectRulesReview"): {
        "resourceRules": [_EVERYTHING], "nonResourceRules": [], "incomplete": False
    },
}  # fmt: skip
"""What a client asks of its own rights, and the status that answers it: it may do everything."""

ALL = (NAMESPACES, PODS, SERVICE_ACCOUNTS, SERVICES, EVENTS, DEFINITIONS, *REVIEWS, *ISTIO)
GROUPS = {resource.group: resource.versions for resource in ALL}


def resources_of(group: str, version: str) -> list[Resource]:
    """Return the resources of one version of a group."""
    return [resource for resource in ALL if resource.group == group and version in resource.versions]


def find_resource(group: str, version: str, plural: str) -> Resource:
    """Return a resource; raise ApiError 404 where it is not served."""
    for resource in resources_of(group, version):
        if resource.plural == plural:
            return resource
    raise not_served_error()
