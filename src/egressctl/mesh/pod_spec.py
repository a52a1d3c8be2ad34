"""Read a pod's manifest: its containers, which of them is the sidecar, and what may keep traffic from it. Pure.

Sources: istio/istio `pkg/kube/inject` (the annotation `sidecar.istio.io/status`, the environment variable PROXY_CONFIG),
`tools/istio-iptables` (user and group 1337 are left out), `cni/pkg/util/podutil.go` (who is in ambient), istio.io/api
`annotation`; Kubernetes' `core/v1` for the statuses of containers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from egressctl.mesh.traffic_annotations import ANNOTATION_PREFIX, DECIDING_ANNOTATIONS
from egressctl.model.entry import Manifest

PROXY = "istio-proxy"
ADMIN_PORT = 15000

_STATUS = "sidecar.istio.io/status"
_REDIRECTION = "ambient.istio.io/redirection"
_DATAPLANE_MODE = "istio.io/dataplane-mode"
_PROXY_ID = 1337
_EXCLUDING = ("excludeOutboundIPRanges", "excludeOutboundPorts", "excludeInterfaces")
_INCLUDING = "includeOutboundIPRanges"
_PROXY_VARIABLES = {"http_proxy", "https_proxy", "all_proxy"}
_ADMIN_PORT = re.compile(r"""\bproxyAdminPort["']?[ \t]*:[ \t]*["']?([0-9]{1,5})\b""")
_DNS_CAPTURE = "ISTIO_META_DNS_CAPTURE"
_LONGEST = 120


def annotations_of(pod: Manifest) -> Mapping[str, Any]:
    """Return a pod's annotations; none is an empty mapping."""
    return pod["metadata"].get("annotations") or {}


def running_containers(pod: Manifest) -> dict[str, Mapping[str, Any]]:
    """Return the containers that run as long as the pod does, by name: also initContainers with restartPolicy Always."""
    spec = pod.get("spec") or {}
    native = [each for each in spec.get("initContainers") or [] if each.get("restartPolicy") == "Always"]
    return {str(each["name"]): each for each in [*(spec.get("containers") or []), *native]}


def sidecar_container(pod: Manifest) -> str | None:
    """Return the name of the sidecar's container, None where the pod has none.

    It is the one that the injector says it added. A sidecar of another name than `istio-proxy` is known from what else was
    added by its arguments, `proxy sidecar`.
    """
    containers = running_containers(pod)
    injected = [name for name in _injected_containers(pod) if name in containers]
    by_name = PROXY if PROXY in containers else None
    if PROXY in injected or not injected:
        return by_name
    serving = [name for name in injected if list(containers[name].get("args") or ())[:2] == ["proxy", "sidecar"]]
    return (serving or [by_name or injected[0]])[0]


def _injected_containers(pod: Manifest) -> list[str]:
    try:
        told = json.loads(str(annotations_of(pod).get(_STATUS) or "{}"))
    except (ValueError, RecursionError):
        return []
    if not isinstance(told, dict):
        return []
    lists = [told.get("containers"), told.get("initContainers")]
    return [name for each in lists if isinstance(each, list) for name in each if isinstance(name, str)]


def why_not_ready(pod: Manifest, container: str) -> str:
    """Return half a sentence about why a container is not ready; "" where it is, or where the status does not say."""
    found = _status_of(pod, container)
    if found is None or found.get("ready") is not False:
        return ""
    state, last = found.get("state") or {}, found.get("lastState") or {}
    if waiting := state.get("waiting"):
        again = f" again after exit code {last['terminated'].get('exitCode')}" if last.get("terminated") else ""
        return f"waiting to be started{again} ({waiting.get('reason') or 'no reason given'})"
    if ended := state.get("terminated"):
        return f"ended with exit code {ended.get('exitCode')} ({ended.get('reason') or 'no reason given'})"
    return "running, and its readiness probe fails"


def container_is_running(pod: Manifest, container: str) -> bool:
    """Say whether a command can be run in a container: it runs, or the status does not say."""
    found = _status_of(pod, container)
    return found is None or not found.get("state") or "running" in found["state"]


def _status_of(pod: Manifest, container: str) -> Mapping[str, Any] | None:
    status = pod.get("status") or {}
    every = [*(status.get("containerStatuses") or []), *(status.get("initContainerStatuses") or [])]
    return next((each for each in every if each.get("name") == container), None)


def admin_port(pod: Manifest, proxy: str) -> int:
    """Return the port of the sidecar's admin interface where the pod names another than Istio's own, else 0.

    The injector writes what is in force (the mesh's, and the annotation `proxy.istio.io/config`) into PROXY_CONFIG; the
    annotation serves where that cannot be seen.
    """
    environment = running_containers(pod)[proxy].get("env") or []
    told = [str(each.get("value") or "") for each in environment if each.get("name") == "PROXY_CONFIG"]
    for text in (*told, str(annotations_of(pod).get("proxy.istio.io/config") or "")):
        if found := _ADMIN_PORT.search(text):
            port = int(found[1])
            return port if port != ADMIN_PORT and 0 < port < 65536 else 0
    return 0


def captures_dns(pod: Manifest, proxy: str) -> bool:
    """Say whether the sidecar's container is told to answer the pod's DNS, as the injector writes it into its environment."""
    environment = running_containers(pod)[proxy].get("env") or []
    return any(each.get("name") == _DNS_CAPTURE and str(each.get("value")).lower() == "true" for each in environment)


def in_ambient(pod: Manifest) -> bool:
    """Say whether ztunnel redirects a pod that has no sidecar: Istio leaves pods with a sidecar out of ambient."""
    return sidecar_container(pod) is None and annotations_of(pod).get(_REDIRECTION) in ("enabled", "pending")


def bypass_hints(pod: Manifest, container: str) -> tuple[str, ...]:
    """Return what may keep a connection of this container from the sidecar, each as half a sentence.

    They are hints and no evidence: annotations that came after the pod started change nothing, and variables may come by
    `envFrom` as well. Values of variables are left out, since they may hold a password.
    """
    return (*_by_annotation(pod), *_by_identity(pod, container), *_by_proxy_variable(pod, container))


def interception_annotations(pod: Manifest) -> dict[str, str]:
    """Return the annotations that keep connections from the sidecar by address and port: traffic_annotations.JUDGED."""
    told = annotations_of(pod)
    return {word: str(told[name]) for word in DECIDING_ANNOTATIONS if (name := f"{ANNOTATION_PREFIX}{word}") in told}


def _by_annotation(pod: Manifest) -> Iterator[str]:
    told = annotations_of(pod)
    for word in _EXCLUDING:
        if value := told.get(f"traffic.sidecar.istio.io/{word}"):
            yield f"annotation traffic.sidecar.istio.io/{word} leaves out {_shorten(value)}"
    taken = told.get(f"traffic.sidecar.istio.io/{_INCLUDING}", "*")
    if taken != "*":
        yield f"annotation traffic.sidecar.istio.io/{_INCLUDING} takes in {f'only {_shorten(taken)}' if taken else 'no address'}"
    mode = told.get("sidecar.istio.io/interceptionMode")
    if mode in ("NONE", "TPROXY"):
        yield f"annotation sidecar.istio.io/interceptionMode is {mode}"
    if told.get(_REDIRECTION) and sidecar_container(pod) is not None:
        yield f"annotation {_REDIRECTION} is {_shorten(told[_REDIRECTION])}, and Istio leaves a pod with a sidecar out of ambient"
    if (pod["metadata"].get("labels") or {}).get(_DATAPLANE_MODE) == "ambient" and not told.get(_REDIRECTION):
        yield f"label {_DATAPLANE_MODE} is ambient, and no annotation says that ztunnel took the pod"


def _by_identity(pod: Manifest, container: str) -> Iterator[str]:
    """The proxy's own user and group are left out of the interception, no matter who has them."""
    whole, own = (
        (pod.get("spec") or {}).get("securityContext") or {},
        running_containers(pod)[container].get("securityContext") or {},
    )
    for word, what in (("runAsUser", "user"), ("runAsGroup", "group")):
        if own.get(word, whole.get(word)) == _PROXY_ID:
            yield f"container {container} runs as {what} {_PROXY_ID}, whose traffic does not go through the sidecar"
    if (pod.get("spec") or {}).get("hostNetwork"):
        yield "the pod is in the node's network (hostNetwork), where no traffic goes to a sidecar"


def _by_proxy_variable(pod: Manifest, container: str) -> Iterator[str]:
    environment = running_containers(pod)[container].get("env") or []
    names = [str(each["name"]) for each in environment if str(each.get("name", "")).lower() in _PROXY_VARIABLES]
    if names:
        yield f"container {container} has the proxy variable{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _shorten(value: Any) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
