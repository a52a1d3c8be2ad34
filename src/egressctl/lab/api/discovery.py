"""What the endpoint says of itself: version, groups, resources, and what kubectl asks of OpenAPI.

Of discovery it knows the older form, one document a group: that is what clients turn to where a server has no other.
"""

from __future__ import annotations

from collections.abc import Sequence

from egressctl.lab.api.resources import GROUPS, Resource, resources_of
from egressctl.lab.api.status import Object, not_served_error

_PATCH_TYPES = ("application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json")
# What differs from its resource's own kind and verbs in a subresource.
_SUBRESOURCE_KINDS = {"exec": "PodExecOptions", "log": "Pod"}
_SUBRESOURCE_VERBS = {"exec": ["create", "get"], "log": ["get"]}

VERSION: Object = {
    "major": "1",
    "minor": "33",
    "gitVersion": "v1.33.0+egressctl-lab",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "",
}


def discover(path: Sequence[str]) -> Object:
    """Return what stands at `/api`, `/apis`, or below for a group or a version of one; raise ApiError 404 where nothing is."""
    match path:
        case ["api"]:
            return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
        case ["apis"]:
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in GROUPS if name]}
        case ["apis", group] if group in GROUPS:
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group)}
        case ["api", version] if version in GROUPS[""]:
            return _resource_list("", version)
        case ["apis", group, version] if version in GROUPS.get(group, ()):
            return _resource_list(group, version)
    raise not_served_error()


def _group(name: str) -> Object:
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in GROUPS[name]]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _resource_list(group: str, version: str) -> Object:
    listed = [entry for resource in resources_of(group, version) for entry in _with_subresources(resource)]
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed}


def _with_subresources(resource: Resource) -> list[Object]:
    own: Object = {
        "name": resource.plural,
        "singularName": resource.kind.lower(),
        "namespaced": resource.namespaced,
        "kind": resource.kind,
        "verbs": list(resource.verbs),
        **({"shortNames": list(resource.short_names)} if resource.short_names else {}),
        **({"categories": list(resource.categories)} if resource.categories else {}),
    }
    below = [
        {
            "name": f"{resource.plural}/{name}",
            "singularName": "",
            "namespaced": resource.namespaced,
            "kind": _SUBRESOURCE_KINDS.get(name, resource.kind),
            "verbs": _SUBRESOURCE_VERBS.get(name, ["get", "patch", "update"]),
        }
        for name in resource.subresources
    ]
    return [own, *below]


_DOCUMENTS = {
    f"apis/{group}/{version}" if group else f"api/{version}": (group, version)
    for group, versions in GROUPS.items()
    for version in versions
}


def openapi() -> Object:
    """Return the index of OpenAPI documents."""
    return {"paths": {document: {"serverRelativeURL": f"/openapi/v3/{document}"} for document in _DOCUMENTS}}


def openapi_document(document: str) -> Object:
    """Return just enough of a document for kubectl to see that the server validates fields by itself."""
    if document not in _DOCUMENTS:
        raise not_served_error()
    group, version = _DOCUMENTS[document]
    options = ("dryRun", "fieldManager", "fieldValidation")
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in options]
    strategic = () if group == "networking.istio.io" else ("application/strategic-merge-patch+json",)
    content = {name: {"schema": {"type": "object"}} for name in (*_PATCH_TYPES, *strategic)}
    paths: Object = {}
    for resource in resources_of(group, version):
        if "patch" in resource.verbs:
            scope = "namespaces/{namespace}/" if resource.namespaced else ""
            paths[f"/{document}/{scope}{resource.plural}/{{name}}"] = {
                "patch": {
                    "parameters": parameters,
                    "requestBody": {"content": content},
                    "responses": {"200": {"description": "OK"}},
                    "x-kubernetes-action": "patch",
                    "x-kubernetes-group-version-kind": {"group": group, "version": version, "kind": resource.kind},
                }
            }
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]},
        "paths": paths,
        "components": {"schemas": {}},
    }
