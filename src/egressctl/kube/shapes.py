"""What the fields that are read of the API's objects must be, as data; and which field of a value is not what it must be. Pure.

A type stands for a value of it, a list of one shape for a list of such, a mapping for an object: with these fields, each of
which may be absent or null unless it is marked as needed; or, where its one key is `str`, with any. Fields that are not named
are not looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEEPEST = 200
"""Levels of an answer at most; the deepest objects, CustomResourceDefinitions, have some forty."""
_NEEDED = "!"
_LONGEST_INTEGER = 63
_JSON = {
    list: "a list",
    dict: "an object",
    str: "text",
    bool: "true or false",
    int: "a number",
    float: "a number with a fraction",
}

_TEXTS = {str: str}
_METADATA = {
    "!name": str,
    "!uid": str,
    "namespace": str,
    "labels": _TEXTS,
    "annotations": _TEXTS,
    "creationTimestamp": str,
    "deletionTimestamp": str,
    "resourceVersion": str,
    "generation": int,
    "finalizers": [str],
    "managedFields": [{"manager": str, "operation": str, "fieldsV1": dict}],
}
_IDENTITY = {"runAsUser": int, "runAsGroup": int}
_CONTAINER = {
    "!name": str,
    "image": str,
    "args": [str],
    "restartPolicy": str,
    "env": [{"!name": str, "value": str}],
    "securityContext": _IDENTITY,
}
_STATE = {"waiting": {"reason": str}, "terminated": {"exitCode": int, "reason": str}, "running": dict}
_CONTAINER_STATUS = {"!name": str, "ready": bool, "state": _STATE, "lastState": _STATE}
_SELECTOR = {"labels": _TEXTS}
_TLS = {"mode": str}
_ROUTES = [
    {
        "match": [{"sniHosts": [str], "gateways": [str], "destinationSubnets": [str]}],
        "route": [{"destination": {"host": str, "subset": str, "port": {"number": int}}}],
    }
]
_KINDS: Mapping[str, Mapping[str, Any]] = {
    "ServiceEntry": {
        "spec": {
            "hosts": [str],
            "addresses": [str],
            "ports": [{"number": int, "name": str, "protocol": str, "targetPort": int}],
            "location": str,
            "resolution": str,
            "exportTo": [str],
            "subjectAltNames": [str],
            "workloadSelector": _SELECTOR,
            "endpoints": [{"address": str, "network": str, "ports": {str: int}, "labels": _TEXTS}],
        },
        "status": {"addresses": [{"value": str, "host": str}]},
    },
    "Sidecar": {
        "spec": {
            "egress": [{"hosts": [str], "port": {"number": int}}],
            "workloadSelector": _SELECTOR,
            "outboundTrafficPolicy": {"mode": str},
        }
    },
    "VirtualService": {
        "spec": {"hosts": [str], "gateways": [str], "exportTo": [str], "http": _ROUTES, "tls": _ROUTES, "tcp": _ROUTES}
    },
    "DestinationRule": {
        "spec": {
            "host": str,
            "exportTo": [str],
            "workloadSelector": {"matchLabels": _TEXTS},
            "trafficPolicy": {"tls": _TLS, "portLevelSettings": [{"port": {"number": int}, "tls": _TLS}]},
        }
    },
    "Service": {
        "spec": {
            "type": str,
            "clusterIP": str,
            "clusterIPs": [str],
            "externalName": str,
            "selector": _TEXTS,
            "ports": [{"port": int, "name": str, "protocol": str}],
        }
    },
    "Pod": {
        "!spec": {
            "!containers": [_CONTAINER],
            "initContainers": [_CONTAINER],
            "securityContext": _IDENTITY,
            "hostNetwork": bool,
            "serviceAccountName": str,
        },
        "status": {
            "phase": str,
            "conditions": [{"type": str, "status": str, "message": str}],
            "containerStatuses": [_CONTAINER_STATUS],
            "initContainerStatuses": [_CONTAINER_STATUS],
        },
    },
    "Deployment": {"!spec": {"!selector": {"matchLabels": _TEXTS}}},
    "ConfigMap": {"data": _TEXTS},
    "ValidatingWebhookConfiguration": {"webhooks": [{"failurePolicy": str, "rules": [{"apiGroups": [str]}]}]},
}
_ANSWERS: Mapping[str, Mapping[str, Any]] = {
    "APIGroup": {"versions": [{"!version": str}]},
    "APIResourceList": {"resources": [{"!name": str}]},
    "SelfSubjectReview": {"status": {"userInfo": {"username": str}}},
    "SelfSubjectAccessReview": {"status": {"allowed": bool}},
}
_VERSION = {"!gitVersion": str}


def fault_in_object(value: Mapping[str, Any], kind: str) -> str:
    """Say which field of an object is not what it must be, "" where each is. What is null is taken out, as if it were absent."""
    return fault_in(value, {"!metadata": _METADATA, **_KINDS.get(kind, {})}, "")


def fault_in_answer(value: Mapping[str, Any]) -> str:
    """The same of an answer that is no object: what is served, the version, a review, a list around its items."""
    kind = value.get("kind")
    if kind is None and "gitVersion" in value:
        return fault_in(value, _VERSION, "")
    return fault_in(value, {"metadata": {"continue": str}, **_ANSWERS.get(str(kind), {})}, "")


def is_too_deep(value: object) -> bool:
    """Say whether values stand within each other so deep that what walks through them would fail."""
    level = [value]
    for _ in range(DEEPEST):
        inner = [each for one in level for each in (one.values() if isinstance(one, dict) else one)]  # type: ignore[attr-defined]
        level = [each for each in inner if isinstance(each, dict | list)]
        if not level:
            return False
    return True


def fault_in(value: Any, shape: Any, path: str) -> str:
    """Say what of a value is not of a shape, beginning with its path; "" where all is. What is null is taken out of objects."""
    if isinstance(shape, type):
        return _fault_of_type(value, shape, path)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return _wrong(value, path, list)
        return next(filter(None, (fault_in(each, shape[0], f"{path}[{at}]") for at, each in enumerate(value))), "")
    if not isinstance(value, dict):
        return _wrong(value, path, dict)
    if str in shape:
        return next(filter(None, (fault_in(each, shape[str], f"{path}.{key}") for key, each in value.items())), "")
    for marked, inner in shape.items():
        key = marked.removeprefix(_NEEDED)
        where = f"{path}.{key}" if path else key
        if value.get(key) is None:
            value.pop(key, None)
            if marked != key:
                return f"{where} is missing"
        elif fault := fault_in(value[key], inner, where):
            return fault
        elif marked != key and value[key] == "":
            return f"{where} is empty"
    return ""


def _fault_of_type(value: Any, wanted: type[Any], path: str) -> str:
    if wanted is not object and type(value) is not wanted:
        return _wrong(value, path, wanted)
    if isinstance(value, int) and value.bit_length() > _LONGEST_INTEGER:
        return f"{path} is a number of more than 64 bits"
    return ""


def _wrong(value: Any, path: str, wanted: type) -> str:
    return f"{path or 'it'} is {_JSON.get(type(value), 'null')}, and must be {_JSON[wanted]}"
