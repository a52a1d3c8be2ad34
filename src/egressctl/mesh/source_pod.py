"""Find the pod and the container that a probe is sent from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from egressctl.errors import InvalidInput, NoSourcePod, NotFound
from egressctl.kube.rest import Api, resource_path
from egressctl.mesh import pod_spec
from egressctl.mesh.namespaces import require_namespace
from egressctl.model.entry import Manifest
from egressctl.model.evidence import Source
from egressctl.runtime.sanitize import quote

DEFAULT_SELECTOR = "app in (sleep,curl)"
"""Istio's two samples for sending requests by hand: `sleep` of the document, and `curl` that followed it."""

POD_KINDS = ("pod", "pods", "po")
"""What kubectl takes before the slash of a pod's name."""

_WORKLOADS = {"deploy": "deployments", "deployment": "deployments", "deployments": "deployments"}
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"
_REVISION_LABEL = "istio.io/rev"
_REVISION_ANNOTATION = "istio.io/rev"


class SourceChoice(NamedTuple):
    """What the command line says of the source pod: `pod` is NAME, pod/NAME or deploy/NAME; empty is no wish."""

    pod: str = ""
    selector: str = ""
    container: str = ""
    revision: str = ""


ANY_SOURCE = SourceChoice()
"""No wish: the newest ready pod of the samples."""


def find_source(api: Api, namespace: str, choice: SourceChoice) -> Source:
    """Find the pod to send probes from. Raises NoSourcePod, NotFound (of the namespace too), InvalidInput."""
    try:
        return find_source_in_namespace(api, namespace, choice)
    except (NoSourcePod, NotFound):
        require_namespace(api, namespace)
        raise


def find_source_in_namespace(api: Api, namespace: str, choice: SourceChoice) -> Source:
    """Find the pod to send probes from in a namespace that is known to be there. Raises as `find_source`."""
    kind, _, name = choice.pod.rpartition("/")
    if kind in ("", *POD_KINDS) and name:
        pod = api.find(resource_path("v1", namespace, "pods", name))
        return choose_source([pod] if pod else [], choice, namespace)
    selector = _workload_selector(api, namespace, kind, name) if name else choice.selector or DEFAULT_SELECTOR
    pods = api.list(resource_path("v1", namespace, "pods"), label_selector=selector)["items"]
    return choose_source(pods, choice, namespace)


def _workload_selector(api: Api, namespace: str, kind: str, name: str) -> str:
    if kind not in _WORKLOADS:
        raise InvalidInput(f"--pod {kind}/{name}: a pod is named as NAME, pod/NAME or deploy/NAME")
    workload = api.get(resource_path("apps/v1", namespace, _WORKLOADS[kind], name))
    labels: dict[str, str] = workload["spec"]["selector"].get("matchLabels") or {}
    return ",".join(f"{key}={value}" for key, value in labels.items())


def choose_source(pods: Sequence[Manifest], choice: SourceChoice, namespace: str) -> Source:
    """Return the newest ready pod of the revision asked for, and its container.

    A pod that was named serves also while its sidecar is not ready: what can be said then is `sidecar-not-ready`.
    Raises NoSourcePod where none is ready, and InvalidInput where the container asked for is not
    there or is the sidecar itself, whose own traffic is not captured.
    """
    matching = [pod for pod in pods if not choice.revision or _revision(pod) == choice.revision]
    ready = [pod for pod in matching if is_ready(pod)]
    usable = ready or [pod for pod in matching if _names_a_pod(choice) and _only_sidecar_not_ready(pod, choice)]
    if not usable:
        raise NoSourcePod(_why_none_ready(matching, choice, namespace), hint=_start_hint(namespace))
    pod = max(usable, key=lambda each: (str(each["metadata"].get("creationTimestamp", "")), str(each["metadata"]["name"])))
    metadata, proxy = pod["metadata"], pod_spec.sidecar_container(pod)
    container = _choose_container(pod, choice.container)
    lacking = pod_spec.why_not_ready(pod, proxy) if proxy else ""
    return Source(
        namespace=str(metadata.get("namespace", namespace)),
        pod=str(metadata["name"]),
        container=container,
        proxy=proxy,
        chosen_of=len(usable),
        ambient=pod_spec.in_ambient(pod),
        proxy_ready=not lacking,
        proxy_state=lacking,
        admin_port=pod_spec.admin_port(pod, proxy) if proxy else 0,
        others=tuple(name for name in pod_spec.running_containers(pod) if name not in (container, proxy)),
        hints=pod_spec.bypass_hints(pod, container),
        interception=pod_spec.interception_annotations(pod),
        labels={str(key): str(value) for key, value in (metadata.get("labels") or {}).items()},
        revision=_revision(pod),
        dns_capture=pod_spec.captures_dns(pod, proxy) if proxy else False,
        addresses=tuple(str(each["ip"]) for each in (pod.get("status") or {}).get("podIPs") or () if each.get("ip")),
    )


def _names_a_pod(choice: SourceChoice) -> bool:
    kind, _, name = choice.pod.rpartition("/")
    return bool(name) and kind in ("", *POD_KINDS)


def _only_sidecar_not_ready(pod: Manifest, choice: SourceChoice) -> bool:
    """Say whether commands can be run in the pod, and its sidecar is what keeps it from being ready."""
    proxy = pod_spec.sidecar_container(pod)
    runs = (pod.get("status") or {}).get("phase") == "Running" and not pod["metadata"].get("deletionTimestamp")
    return bool(
        runs
        and proxy
        and pod_spec.why_not_ready(pod, proxy)
        and pod_spec.container_is_running(pod, _choose_container(pod, choice.container))
    )


def is_ready(pod: Manifest) -> bool:
    """Say whether a pod runs, is ready, and is not going away."""
    status = pod.get("status") or {}
    conditions = {each.get("type"): each.get("status") for each in status.get("conditions") or []}
    going = pod["metadata"].get("deletionTimestamp")
    return status.get("phase") == "Running" and conditions.get("Ready") == "True" and not going


def _start_hint(namespace: str) -> str:
    return f"start one with: egressctl create TARGET -n {quote(namespace)} --with-source, or name a pod: --pod NAME"


def _why_none_ready(pods: Sequence[Manifest], choice: SourceChoice, namespace: str) -> str:
    wish = f"pod {choice.pod}" if choice.pod else f"pod with labels {choice.selector or DEFAULT_SELECTOR}"
    revision = f" of revision {choice.revision}" if choice.revision else ""
    if not pods:
        return f"there is no {wish}{revision} in namespace {namespace}"
    told = ", ".join(f"{pod['metadata']['name']} ({_state(pod)})" for pod in pods[:3])
    return f"no {wish}{revision} in namespace {namespace} is ready: {told}"


def _state(pod: Manifest) -> str:
    status = pod.get("status") or {}
    if pod["metadata"].get("deletionTimestamp"):
        return "Terminating"
    reasons = [str(each["message"]) for each in status.get("conditions") or [] if each.get("message")]
    return ": ".join([str(status.get("phase", "unknown")), *reasons[:1]])


def _revision(pod: Manifest) -> str:
    labels = pod["metadata"].get("labels") or {}
    return str(labels.get(_REVISION_LABEL) or pod_spec.annotations_of(pod).get(_REVISION_ANNOTATION) or "")


def _choose_container(pod: Manifest, wanted: str) -> str:
    name, proxy = pod["metadata"]["name"], pod_spec.sidecar_container(pod)
    names = [each for each in pod_spec.running_containers(pod) if each not in (proxy, pod_spec.PROXY)]
    if wanted and wanted in (proxy, pod_spec.PROXY):
        raise InvalidInput(
            f"--container {wanted}: the sidecar's own traffic is not captured, so a probe from it proves nothing",
            hint="name the application's container: " + ", ".join(names),
        )
    if not names:
        raise InvalidInput(
            f"pod {name} has no container but the sidecar, whose own traffic is not captured",
            hint="name a pod with an application: --pod NAME",
        )
    if wanted:
        if wanted not in names:
            raise InvalidInput(f"pod {name} has no container {wanted}", hint="it has: " + ", ".join(names))
        return wanted
    labels = pod["metadata"].get("labels") or {}
    preferred = (pod_spec.annotations_of(pod).get(_DEFAULT_CONTAINER), labels.get("app"), "curl", "sleep")
    return next((each for each in preferred if each in names), names[0])
