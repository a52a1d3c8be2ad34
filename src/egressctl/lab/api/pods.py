"""What becomes of a pod in the lab: defaults, Istio's injection, and whether it runs."""

from __future__ import annotations

import copy
import json
from typing import Any

from egressctl.lab.api.settings import Container
from egressctl.lab.api.status import ApiError, Object, bad_request_error

PROXY = "istio-proxy"
NODE = "lab"
SIDECAR_NAMESPACE = "default"
"""The namespace whose pods the lab's one sidecar stands for."""
SIDECAR_IPS, PLAIN_IPS = ("10.244.0.5", "fd00:10:244::5"), ("10.244.0.6", "fd00:10:244::6")
"""The second of each is that of a lab with IPv6."""
_PROXY_IMAGE = "docker.io/istio/proxyv2:1.30.0"
_NEVER_INJECTED = ("kube-system", "kube-public", "kube-node-lease", "istio-system")


def wants_sidecar(pod: Object, namespace: Object) -> bool:
    """Decide as Istio's injector: the namespace's label, unless the pod says otherwise by label or annotation."""
    metadata = pod["metadata"]
    if pod["spec"].get("hostNetwork") or namespace["metadata"]["name"] in _NEVER_INJECTED:
        return False
    said = {**(metadata.get("annotations") or {}), **(metadata.get("labels") or {})}.get("sidecar.istio.io/inject", "")
    of_namespace = (namespace["metadata"].get("labels") or {}).get("istio-injection", "")
    if of_namespace == "disabled" or said.lower() in ("false", "n", "no", "off"):
        return False
    return bool(of_namespace == "enabled" or said.lower() in ("true", "y", "yes", "on"))


def _with_defaults(container: Object) -> Object:
    defaults: Object = {
        "imagePullPolicy": "IfNotPresent",
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    return {**defaults, **container}


def admit_pod(pod: Object, namespace: Object) -> Object:
    """Return the pod as it is stored: defaults filled in, and the sidecar injected where it is wanted.

    The sidecar is an init container that restarts always, as Istio injects it since Kubernetes has
    native sidecars.
    """
    pod = copy.deepcopy(pod)
    defaults = {"restartPolicy": "Always", "serviceAccountName": "default", "terminationGracePeriodSeconds": 30}
    spec = pod["spec"] = {**defaults, **pod["spec"]}
    if wants_sidecar(pod, namespace) and PROXY not in _container_names(spec):
        _inject(pod)
    for field in ("containers", "initContainers"):
        if field in spec:
            spec[field] = [_with_defaults(container) for container in spec[field]]
    return pod


def _container_names(spec: Object) -> list[str]:
    return [container["name"] for field in ("initContainers", "containers") for container in spec.get(field, [])]


def _inject(pod: Object) -> None:
    spec, metadata = pod["spec"], pod["metadata"]
    first = spec["containers"][0]["name"] if spec["containers"] else ""
    added: list[Object] = [
        {"name": "istio-init", "image": _PROXY_IMAGE, "args": ["istio-iptables", "-p", "15001", "-u", "1337", "-m", "REDIRECT"]},
        {"name": PROXY, "image": _PROXY_IMAGE, "restartPolicy": "Always", "args": ["proxy", "sidecar"]},
    ]
    spec["initContainers"] = [*added, *spec.get("initContainers", [])]
    labels = metadata.get("labels") or {}
    metadata["labels"] = {
        "security.istio.io/tlsMode": "istio",
        "service.istio.io/canonical-name": labels.get("app", metadata["name"]),
        "service.istio.io/canonical-revision": "latest",
        "istio.io/rev": "default",
        **labels,
    }
    status = {"initContainers": [one["name"] for one in added], "containers": None, "volumes": [], "revision": "default"}
    metadata["annotations"] = {
        "kubectl.kubernetes.io/default-container": first,
        "kubectl.kubernetes.io/default-logs-container": first,
        **(metadata.get("annotations") or {}),
        "sidecar.istio.io/status": json.dumps(status, separators=(",", ":")),
    }


def _condition(kind: str, now: str, *, holds: bool = True, **why: str) -> Object:
    return {"type": kind, "status": "True" if holds else "False", "lastTransitionTime": now, **why}


def _state(container: Object, now: str, *, done: bool) -> Object:
    ran = {"terminated": {"exitCode": 0, "reason": "Completed", "startedAt": now, "finishedAt": now}}
    return {
        "name": container["name"],
        "image": container.get("image", ""),
        "imageID": "",
        "ready": True,
        "started": not done,
        "restartCount": 0,
        "state": ran if done else {"running": {"startedAt": now}},
    }


def schedule_pod(pod: Object, now: str, *, ipv6: bool = False) -> Object:
    """Return the pod as it stands once the lab has seen it: running and ready, or pending and why."""
    pod = copy.deepcopy(pod)
    spec = pod["spec"]
    injected = PROXY in _container_names(spec)
    if injected and pod["metadata"]["namespace"] != SIDECAR_NAMESPACE:
        message = f"the lab runs sidecars in namespace {SIDECAR_NAMESPACE} only"
        why = _condition("PodScheduled", now, holds=False, reason="Unschedulable", message=message)
        pod["status"] = {"phase": "Pending", "conditions": [why], "qosClass": "BestEffort"}
        return pod
    spec["nodeName"] = NODE
    ips = (SIDECAR_IPS if injected else PLAIN_IPS)[: 2 if ipv6 else 1]
    kinds = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    inits = spec.get("initContainers", [])
    pod["status"] = {
        "phase": "Running",
        "conditions": [_condition(kind, now) for kind in kinds],
        "hostIP": "127.0.0.1",
        "podIP": ips[0],
        "podIPs": [{"ip": ip} for ip in ips],
        "startTime": now,
        "qosClass": "BestEffort",
        "containerStatuses": [_state(one, now, done=False) for one in spec["containers"]],
    }
    if inits:
        states = [_state(one, now, done=one.get("restartPolicy") != "Always") for one in inits]
        pod["status"]["initContainerStatuses"] = states
    return pod


def find_container(pod: Object, wanted: str) -> Container:
    """Return the container that a command is to run in; raise ApiError 400 in the API server's words."""
    metadata, spec = pod["metadata"], pod["spec"]
    name, inits = metadata["name"], [one["name"] for one in spec.get("initContainers", [])]
    containers = [one["name"] for one in spec["containers"]]
    if not wanted and len(containers) == 1:
        wanted = containers[0]
    if not wanted:
        message = f"a container name must be specified for pod {name}, choose one of: [{' '.join(containers)}]"
        raise bad_request_error(message + (f" or one of the init containers: [{' '.join(inits)}]" if inits else ""))
    if wanted not in (*containers, *inits):
        raise bad_request_error(f"container {wanted} is not valid for pod {name}")
    if not spec.get("nodeName"):
        raise bad_request_error(f"pod {name} does not have a host assigned")
    return Container(
        namespace=metadata["namespace"],
        pod=name,
        name=wanted,
        sidecar=wanted == PROXY,
        injected=PROXY in (*containers, *inits),
    )


def is_container_running(pod: Object, container: str) -> bool:
    """Say whether a container of the pod runs, and is not one that ran once."""
    status: dict[str, Any] = pod.get("status", {})
    states = [*status.get("containerStatuses", []), *status.get("initContainerStatuses", [])]
    return any(one["name"] == container and "running" in one["state"] for one in states)


def container_not_found(container: str) -> ApiError:
    """Return the kubelet's answer where a container of the pod does not run."""
    message = f'unable to upgrade connection: container not found ("{container}")'
    return ApiError(500, "InternalError", message, {"causes": [{"message": message}]})
