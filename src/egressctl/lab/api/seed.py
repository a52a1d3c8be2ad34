"""What the endpoint holds when it starts: a Kubernetes cluster with a mesh, and the sleep sample in it."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

from egressctl.lab.api import pods
from egressctl.lab.api.resources import DEFINITIONS, ISTIO, NAMESPACES, PODS, SERVICE_ACCOUNTS, SERVICES, Resource
from egressctl.lab.api.status import Object
from egressctl.lab.api.store import Store

_NAMESPACES: dict[str, dict[str, str]] = {
    "default": {"istio-injection": "enabled"},
    "istio-system": {},
    "kube-system": {},
    "other": {},
}


def _metadata(name: str, now: str, namespace: str = "", **more: object) -> Object:
    where = {"namespace": namespace} if namespace else {}
    return {"name": name, **where, "uid": str(uuid.uuid4()), "creationTimestamp": now, **more}


def _definition(resource: Resource, now: str) -> Object:
    schema = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    versions = [
        {"name": name, "served": True, "storage": name == "v1", "schema": schema, "subresources": {"status": {}}}
        for name in resource.versions
    ]
    names = {
        "plural": resource.plural,
        "singular": resource.kind.lower(),
        "kind": resource.kind,
        "listKind": f"{resource.kind}List",
        "shortNames": list(resource.short_names),
        "categories": list(resource.categories),
    }
    about = {"group": resource.group, "scope": "Namespaced"}
    conditions = (
        ("NamesAccepted", "NoConflicts", "no conflicts found"),
        ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    )
    return {
        "metadata": _metadata(f"{resource.plural}.{resource.group}", now, generation=1),
        "spec": {**about, "names": names, "versions": versions, "conversion": {"strategy": "None"}},
        "status": {
            "conditions": [
                {"type": kind, "status": "True", "reason": reason, "message": message, "lastTransitionTime": now}
                for kind, reason, message in conditions
            ],
            "acceptedNames": names,
            "storedVersions": ["v1"],
        },
    }


def seed_store(store: Store, now: str, annotations: Mapping[str, str] | None = None) -> None:
    """Put into an empty store what every lab starts with; `annotations` are the pod's."""
    for name, labels in _NAMESPACES.items():
        labels = {"kubernetes.io/metadata.name": name, **labels}
        namespace = {"metadata": _metadata(name, now, labels=labels), "spec": {"finalizers": ["kubernetes"]}}
        store.put(NAMESPACES, {**namespace, "status": {"phase": "Active"}})
        store.put(SERVICE_ACCOUNTS, {"metadata": _metadata("default", now, name)})
    for resource in ISTIO:
        store.put(DEFINITIONS, _definition(resource, now))
    store.put(SERVICE_ACCOUNTS, {"metadata": _metadata("sleep", now, "default")})
    ports = [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": 6443}]
    spec = {"type": "ClusterIP", "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "ports": ports}
    labels = {"component": "apiserver", "provider": "kubernetes"}
    store.put(SERVICES, {"metadata": _metadata("kubernetes", now, "default", labels=labels), "spec": spec})
    told = {"annotations": dict(annotations)} if annotations else {}
    sleep: Object = {
        "metadata": _metadata("sleep", now, "default", labels={"app": "sleep"}, generation=1, **told),
        "spec": {
            "serviceAccountName": "sleep",
            "containers": [{"name": "sleep", "image": "curlimages/curl", "command": ["/bin/sleep", "infinity"]}],
        },
    }
    namespace_of = store.get(NAMESPACES, "", "default")
    assert namespace_of is not None
    store.put(PODS, pods.schedule_pod(pods.admit_pod(sleep, namespace_of), now, ipv6=store.pods_have_ipv6))
