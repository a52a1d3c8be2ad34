"""Pods in the lab: which get a sidecar, which run, and where a command may run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from egressctl.lab.api import pods
from egressctl.lab.api.settings import Container
from egressctl.lab.api.status import ApiError
from endpoint import TestEndpoint

NOW = "2026-01-01T00:00:00Z"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[TestEndpoint]:
    with TestEndpoint(tmp_path) as endpoint:
        yield endpoint


def pod(name: str = "a", namespace: str = "default", **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": name, "namespace": namespace, **metadata},
        "spec": {"containers": [{"name": "main", "image": "x"}]},
    }


def namespace(name: str = "default", **labels: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "labels": {key.replace("_", "-"): value for key, value in labels.items()}}}


@pytest.mark.parametrize(
    ("of_namespace", "of_pod", "injected"),
    [
        ({"istio_injection": "enabled"}, {}, True),
        ({}, {}, False),
        ({"istio_injection": "enabled"}, {"labels": {"sidecar.istio.io/inject": "false"}}, False),
        ({"istio_injection": "enabled"}, {"annotations": {"sidecar.istio.io/inject": "false"}}, False),
        ({}, {"labels": {"sidecar.istio.io/inject": "true"}}, True),
        ({"istio_injection": "disabled"}, {"labels": {"sidecar.istio.io/inject": "true"}}, False),
    ],
)
def test_injection_follows_the_namespace_unless_the_pod_says_otherwise(
    of_namespace: dict[str, str], of_pod: dict[str, Any], injected: bool
) -> None:
    made = pods.admit_pod(pod(**of_pod), namespace(**of_namespace))
    assert ("initContainers" in made["spec"]) is injected
    assert ("sidecar.istio.io/status" in (made["metadata"].get("annotations") or {})) is injected


def test_the_sidecar_is_an_init_container_that_restarts_always() -> None:
    made = pods.admit_pod(pod(labels={"app": "curl"}), namespace(istio_injection="enabled"))
    sidecar = next(one for one in made["spec"]["initContainers"] if one["name"] == "istio-proxy")
    assert sidecar["restartPolicy"] == "Always"
    assert made["metadata"]["labels"]["istio.io/rev"] == "default"
    assert made["metadata"]["labels"]["service.istio.io/canonical-name"] == "curl"
    assert [one["name"] for one in made["spec"]["containers"]] == ["main"]


def test_a_pod_that_would_get_a_sidecar_elsewhere_stays_pending_and_says_why() -> None:
    made = pods.schedule_pod(pods.admit_pod(pod(namespace="other"), namespace("other", istio_injection="enabled")), NOW)
    assert made["status"]["phase"] == "Pending"
    assert made["status"]["conditions"][0]["message"] == "the lab runs sidecars in namespace default only"
    with pytest.raises(ApiError, match="pod a does not have a host assigned") as caught:
        pods.find_container(made, "main")
    assert caught.value.code == 400


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        ("", Container("default", "a", "main", sidecar=False, injected=True)),
        ("main", Container("default", "a", "main", sidecar=False, injected=True)),
        ("istio-proxy", Container("default", "a", "istio-proxy", sidecar=True, injected=True)),
    ],
)
def test_a_command_finds_its_container(container: str, expected: Container) -> None:
    made = pods.schedule_pod(pods.admit_pod(pod(), namespace(istio_injection="enabled")), NOW)
    assert pods.find_container(made, container) == expected


def test_a_command_must_name_one_of_several_containers() -> None:
    several = pod()
    several["spec"]["containers"].append({"name": "two", "image": "x"})
    made = pods.schedule_pod(pods.admit_pod(several, namespace(istio_injection="enabled")), NOW)
    with pytest.raises(ApiError) as caught:
        pods.find_container(made, "")
    assert caught.value.body["message"] == (
        "a container name must be specified for pod a, choose one of: [main two] "
        "or one of the init containers: [istio-init istio-proxy]"
    )


def test_an_init_container_that_is_done_does_not_run() -> None:
    made = pods.schedule_pod(pods.admit_pod(pod(), namespace(istio_injection="enabled")), NOW)
    assert not pods.is_container_running(made, "istio-init")
    assert pods.is_container_running(made, "istio-proxy")


def test_a_lab_with_ipv6_gives_pods_both_addresses() -> None:
    made = pods.schedule_pod(pods.admit_pod(pod(), namespace(istio_injection="enabled")), NOW, ipv6=True)
    assert made["status"]["podIP"] == "10.244.0.5"
    assert made["status"]["podIPs"] == [{"ip": "10.244.0.5"}, {"ip": "fd00:10:244::5"}]


def test_the_sample_is_there_with_its_sidecar(lab: TestEndpoint) -> None:
    found = lab.request("GET", "/api/v1/namespaces/default/pods", labelSelector="app=sleep").body["items"]
    assert [one["metadata"]["name"] for one in found] == ["sleep"]
    status = found[0]["status"]
    assert status["phase"] == "Running"
    assert status["podIP"] == "10.244.0.5"
    assert {"type": "Ready", "status": "True"}.items() <= status["conditions"][2].items()
    assert [one["name"] for one in status["initContainerStatuses"]] == ["istio-init", "istio-proxy"]


def test_a_new_pod_runs_at_once_and_a_watch_sees_it_become_ready(lab: TestEndpoint) -> None:
    version = lab.request("GET", "/api/v1/pods").body["metadata"]["resourceVersion"]
    body = {"apiVersion": "v1", "kind": "Pod", **pod("curl")}
    assert lab.request("POST", "/api/v1/namespaces/default/pods", body).body["status"]["phase"] == "Pending"
    events = list(lab.endpoint.store.since(int(version)) or [])
    assert [(event.type, event.obj["status"]["phase"]) for event in events] == [("ADDED", "Pending"), ("MODIFIED", "Running")]
    assert len(lab.request("GET", "/api/v1/namespaces/default/pods/curl").body["spec"]["initContainers"]) == 2


def test_a_pod_needs_its_service_account(lab: TestEndpoint) -> None:
    body = {"apiVersion": "v1", "kind": "Pod", **pod("curl")}
    body["spec"]["serviceAccountName"] = "nobody"
    answer = lab.request("POST", "/api/v1/namespaces/default/pods", body)
    assert (answer.status, answer.body["reason"]) == (403, "Forbidden")
    assert answer.body["message"] == (
        'pods "curl" is forbidden: error looking up service account default/nobody: serviceaccount "nobody" not found'
    )


def test_the_spec_of_a_pod_does_not_change_but_for_its_image(lab: TestEndpoint) -> None:
    path, strategic = "/api/v1/namespaces/default/pods/sleep", "application/strategic-merge-patch+json"
    image = {"spec": {"containers": [{"name": "sleep", "image": "other"}]}}
    assert lab.request("PATCH", path, image, media_type=strategic).body["spec"]["containers"][0]["image"] == "other"
    command = {"spec": {"containers": [{"name": "sleep", "command": ["true"]}]}}
    refused = lab.request("PATCH", path, command, media_type=strategic)
    assert refused.status == 422
    assert "pod updates may not change fields other than" in refused.body["message"]
