"""The API client against the lab's own endpoint: objects come, conflict and go; commands run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from egressctl.errors import Conflict, ExecFailed, NotFound, Refused, Unauthorized
from egressctl.kube import exec as kube_exec
from egressctl.kube.config import ConnectOptions, connect
from egressctl.kube.rest import Api, resource_path
from egressctl.runtime.concurrency import gather
from endpoint import TestEndpoint

GROUP_VERSION = "networking.istio.io/v1"
ENTRY = resource_path(GROUP_VERSION, "default", "serviceentries", "m")
PODS = resource_path("v1", "default", "pods")


def manifest(**spec: Any) -> dict[str, Any]:
    port = {"number": 443, "name": "tcp", "protocol": "TCP"}
    spec = {"hosts": ["a.example"], "addresses": ["192.0.2.0/24"], "ports": [port], "resolution": "NONE", **spec}
    return {"apiVersion": GROUP_VERSION, "kind": "ServiceEntry", "metadata": {"name": "m", "namespace": "default"}, "spec": spec}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestEndpoint]:
    with TestEndpoint(tmp_path_factory.mktemp("endpoint")) as running:
        yield running


@pytest.fixture
def api(endpoint: TestEndpoint) -> Iterator[Api]:
    api = connect(ConnectOptions(kubeconfig=str(endpoint.kubeconfig)))
    yield api
    api.close()


@pytest.fixture
def sleep(api: Api) -> Iterator[Callable[..., kube_exec.ExecResult]]:
    """A pod to run commands in; what it runs runs on this machine."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "runner"},
        "spec": {"containers": [{"name": "c", "image": "curl"}]},
    }
    made = api.create(PODS, pod)
    yield partial(kube_exec.run_in_container, api, "default", "runner", "c", timeout=20)
    api.delete(f"{PODS}/runner", uid=made["metadata"]["uid"])


def test_an_entry_is_made_changed_left_and_deleted(api: Api) -> None:
    assert api.apply(ENTRY, manifest(), field_manager="egressctl", dry_run=True)[0] == 201
    with pytest.raises(NotFound, match=r'serviceentries\.networking\.istio\.io "m" not found'):
        api.get(ENTRY)
    status, made = api.apply(ENTRY, manifest(), field_manager="egressctl")
    assert status == 201
    status, again = api.apply(ENTRY, manifest(), field_manager="egressctl")
    assert (status, again["metadata"]["resourceVersion"]) == (200, made["metadata"]["resourceVersion"])
    with pytest.raises(Conflict, match=r"spec\.hosts \(conflict with \"egressctl\"\)") as refused:
        api.apply(ENTRY, manifest(hosts=["b.example"]), field_manager="other")
    assert "--force-conflicts" in refused.value.hint
    assert api.apply(ENTRY, manifest(hosts=["b.example"]), field_manager="other", force=True)[1]["spec"]["hosts"] == ["b.example"]
    with pytest.raises(Conflict):
        api.delete(ENTRY, uid="00000000-0000-0000-0000-000000000000")
    assert api.delete(ENTRY, uid=made["metadata"]["uid"]) is True
    assert api.delete(ENTRY, uid=made["metadata"]["uid"]) is False


@pytest.mark.parametrize("spec", [{"hosts": []}, {"resolution": "ANY"}, {"unknown": 1}])
def test_what_istio_refuses_is_refused_with_its_field(api: Api, spec: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refused:
        api.apply(ENTRY, manifest(**spec), field_manager="egressctl")
    assert next(iter(spec)) in "".join(map(str, refused.value.problems))


def test_the_served_versions_are_istios(api: Api) -> None:
    assert api.served_versions("networking.istio.io")[0] == "v1"
    assert api.server_version().startswith("v1.")


def test_lists_take_labels_over_all_namespaces(api: Api) -> None:
    labelled = manifest() | {"metadata": {"name": "m", "namespace": "default", "labels": {"mine": "yes"}}}
    uid = api.apply(ENTRY, labelled, field_manager="egressctl")[1]["metadata"]["uid"]
    everywhere = resource_path(GROUP_VERSION, None, "serviceentries")
    assert [item["metadata"]["name"] for item in api.list(everywhere, label_selector="mine=yes")["items"]] == ["m"]
    assert api.list(everywhere, label_selector="mine=no")["items"] == []
    api.delete(ENTRY, uid=uid)


def test_a_wrong_token_is_unauthorized_for_objects_and_commands(endpoint: TestEndpoint) -> None:
    api = connect(ConnectOptions(kubeconfig=str(endpoint.kubeconfig), token="wrong"))
    for ask in (lambda: api.get(PODS), lambda: kube_exec.run_in_container(api, "default", "p", "c", ["true"], timeout=60)):
        with pytest.raises(Unauthorized):
            ask()
    api.close()


def test_a_command_gives_both_streams_and_its_exit_code(sleep: Callable[..., kube_exec.ExecResult]) -> None:
    result = sleep(["sh", "-c", "echo out; echo err >&2; exit 35"])
    assert (result.code, result.stdout, result.stderr) == (35, b"out\n", b"err\n")
    assert sleep(["true"]).code == 0


def test_a_command_that_is_not_there_has_no_exit_code(sleep: Callable[..., kube_exec.ExecResult]) -> None:
    result = sleep(["no-such-command"])
    assert result.code is None
    assert "no-such-command" in result.error


def test_output_of_any_bytes_comes_whole(sleep: Callable[..., kube_exec.ExecResult]) -> None:
    assert sleep(["head", "-c", "3000000", "/dev/zero"]).stdout == bytes(3_000_000)


def test_a_pod_and_a_container_that_are_not_there_are_told_apart(api: Api, sleep: Callable[..., kube_exec.ExecResult]) -> None:
    with pytest.raises(NotFound, match='pods "none" not found in namespace default'):
        kube_exec.run_in_container(api, "default", "none", "c", ["true"], timeout=60)
    with pytest.raises(ExecFailed, match="none"):
        kube_exec.run_in_container(api, "default", "runner", "none", ["true"], timeout=60)


def test_a_hundred_commands_and_lists_at_once(api: Api, sleep: Callable[..., kube_exec.ExecResult]) -> None:
    def both(number: int) -> tuple[bytes, str]:
        return sleep(["echo", str(number)]).stdout, api.list(PODS)["kind"]

    results = gather([partial(both, number) for number in range(100)], at_most=16)
    assert results == [(b"%d\n" % number, "PodList") for number in range(100)]
