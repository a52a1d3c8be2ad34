"""What the endpoint says of itself: groups, versions, resources, in the three forms that clients ask for."""

from __future__ import annotations

from egressctl.lab.api.resources import ALL, GROUPS, Resource, resources_of
from egressctl.lab.api.status import Object, not_served_error

AGGREGATED_VERSIONS = ("v2", "v2beta1")
_PATCH_TYPES = ("application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json")
_REVIEWS = {
    "authorization.k8s.io": ("SelfSubjectAccessReview", "SelfSubjectRulesReview"),
    "authentication.k8s.io": ("SelfSubjectReview",),
}

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


def media_type(version: str) -> str:
    """Return the media type of aggregated discovery."""
    return f"application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"


def _kind_of(resource: Resource, subresource: str) -> str:
    return {"exec": "PodExecOptions", "log": "Pod"}.get(subresource, resource.kind)


def _verbs_of(subresource: str) -> list[str]:
    return {"exec": ["create", "get"], "log": ["get"]}.get(subresource, ["get", "patch", "update"])


def _aggregated_resource(resource: Resource, version: str) -> Object:
    def response_kind(name: str) -> Object:
        return {"group": resource.group, "version": version, "kind": name}

    return {
        "resource": resource.plural,
        "responseKind": response_kind(resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.kind.lower(),
        "verbs": list(resource.verbs),
        "shortNames": list(resource.short_names),
        "categories": list(resource.categories),
        "subresources": [
            {"subresource": name, "responseKind": response_kind(_kind_of(resource, name)), "verbs": _verbs_of(name)}
            for name in resource.subresources
        ],
    }


def _aggregated_reviews(group: str, version: str) -> list[Object]:
    return [
        {
            "resource": kind.lower() + "s",
            "responseKind": {"group": group, "version": version, "kind": kind},
            "scope": "Cluster",
            "singularResource": kind.lower(),
            "verbs": ["create"],
        }
        for kind in _REVIEWS.get(group, ())
    ]


def aggregated_discovery(*, core: bool, version: str) -> Object:
    """Return everything below /api or /apis at once."""
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{version}",
        "metadata": {},
        "items": [
            {
                "metadata": {"name": group} if group else {},
                "versions": [
                    {
                        "version": served,
                        "freshness": "Current",
                        "resources": [_aggregated_resource(resource, served) for resource in resources_of(group, served)]
                        + _aggregated_reviews(group, served),
                    }
                    for served in versions
                ],
            }
            for group, versions in GROUPS.items()
            if (group == "") is core
        ],
    }


def api_versions() -> Object:
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}


def _group(name: str) -> Object:
    versions = [{"groupVersion": f"{name}/{version}", "version": version} for version in GROUPS[name]]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def api_groups() -> Object:
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in GROUPS if name]}


def api_group(name: str) -> Object:
    """Return one group; raise ApiError 404 where it is not served."""
    if not name or name not in GROUPS:
        raise not_served_error()
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name)}


def resource_list(group_name: str, version: str) -> Object:
    """Return the resources of one version of a group; raise ApiError 404 where it is not served."""
    if version not in GROUPS.get(group_name, ()):
        raise not_served_error()
    listed: list[Object] = []
    for resource in resources_of(group_name, version):
        listed.append(
            {
                "name": resource.plural,
                "singularName": resource.kind.lower(),
                "namespaced": resource.namespaced,
                "kind": resource.kind,
                "verbs": list(resource.verbs),
                **({"shortNames": list(resource.short_names)} if resource.short_names else {}),
                **({"categories": list(resource.categories)} if resource.categories else {}),
            }
        )
        listed += [
            {
                "name": f"{resource.plural}/{name}",
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": _kind_of(resource, name),
                "verbs": _verbs_of(name),
            }
            for name in resource.subresources
        ]
    listed += [
        {"name": kind.lower() + "s", "singularName": kind.lower(), "namespaced": False, "kind": kind, "verbs": ["create"]}
        for kind in _REVIEWS.get(group_name, ())
    ]
    group_version = f"{group_name}/{version}" if group_name else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed}


def _documents() -> list[str]:
    return [f"apis/{name}/{version}" if name else f"api/{version}" for name, versions in GROUPS.items() for version in versions]


def openapi() -> Object:
    """Return the index of OpenAPI documents."""
    return {"paths": {document: {"serverRelativeURL": f"/openapi/v3/{document}"} for document in _documents()}}


def openapi_document(document: str) -> Object:
    """Return just enough of a document for kubectl to see that the server validates fields by itself."""
    if document not in _documents():
        raise not_served_error()
    version = document.rpartition("/")[2]
    served = [
        one for one in ALL if version in one.versions and document in (f"apis/{one.group}/{version}", f"api{one.group}/{version}")
    ]
    paths: Object = {}
    for resource in served:
        if "patch" not in resource.verbs:
            continue
        scope = "namespaces/{namespace}/" if resource.namespaced else ""
        parameters = [
            {"name": name, "in": "query", "schema": {"type": "string"}} for name in ("dryRun", "fieldManager", "fieldValidation")
        ]
        kind = {"group": resource.group, "version": version, "kind": resource.kind}
        strategic = () if resource.group == "networking.istio.io" else ("application/strategic-merge-patch+json",)
        content = {name: {"schema": {"type": "object"}} for name in (*_PATCH_TYPES, *strategic)}
        paths[f"/{document}/{scope}{resource.plural}/{{name}}"] = {
            "patch": {
                "parameters": parameters,
                "requestBody": {"content": content},
                "responses": {"200": {"description": "OK"}},
                "x-kubernetes-action": "patch",
                "x-kubernetes-group-version-kind": kind,
            }
        }
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]},
        "paths": paths,
        "components": {"schemas": {}},
    }
