"""kubectl and the official Python client, who know the real API, against the endpoint."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from endpoint import ENTRIES, TestEndpoint

ENTRY = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: wikipedia-ext}
spec:
  hosts: [wikipedia.org]
  addresses: [208.80.154.224/27]
  ports: [{number: 443, name: tcp-port, protocol: TCP}]
  location: MESH_EXTERNAL
  resolution: NONE
"""
Kubectl = Callable[..., "subprocess.CompletedProcess[str]"]
needs_kubectl = pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestEndpoint]:
    file = tmp_path_factory.mktemp("logs") / "istio-proxy.log"
    file.write_text("one\ntwo\n")
    with TestEndpoint(tmp_path_factory.mktemp("kubectl"), log=lambda container: file if container.sidecar else None) as endpoint:
        yield endpoint


@pytest.fixture
def kubectl(lab: TestEndpoint, tmp_path: Path) -> Kubectl:
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "KUBECONFIG": str(lab.kubeconfig)}

    def run(*argv: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["kubectl", *argv], env=environment, input=stdin, capture_output=True, text=True, timeout=60, check=False
        )

    return run


@pytest.fixture(autouse=True)
def _no_entries(lab: TestEndpoint) -> Iterator[None]:
    yield
    lab.request("DELETE", ENTRIES)


@needs_kubectl
def test_apply_get_and_delete(kubectl: Kubectl) -> None:
    applied = kubectl("apply", "-f", "-", stdin=ENTRY)
    assert applied.stdout == "serviceentry.networking.istio.io/wikipedia-ext created\n", applied.stderr
    assert kubectl("apply", "-f", "-", stdin=ENTRY).stdout == "serviceentry.networking.istio.io/wikipedia-ext unchanged\n"
    changed = kubectl("apply", "-f", "-", stdin=ENTRY.replace("/27", "/26"))
    assert changed.stdout == "serviceentry.networking.istio.io/wikipedia-ext configured\n"
    listed = kubectl("get", "se").stdout.splitlines()
    assert listed[0].split() == ["NAME", "HOSTS", "LOCATION", "RESOLUTION", "AGE"]
    assert listed[1].split()[:4] == ["wikipedia-ext", '["wikipedia.org"]', "MESH_EXTERNAL", "NONE"]
    assert kubectl("delete", "se", "wikipedia-ext").stdout == 'serviceentry.networking.istio.io "wikipedia-ext" deleted\n'
    assert kubectl("get", "se", "wikipedia-ext").stderr == (
        'Error from server (NotFound): serviceentries.networking.istio.io "wikipedia-ext" not found\n'
    )


@needs_kubectl
def test_server_side_apply_and_its_conflict(kubectl: Kubectl) -> None:
    assert kubectl("apply", "--server-side", "--field-manager=egressctl", "-f", "-", stdin=ENTRY).returncode == 0
    refused = kubectl("apply", "--server-side", "-f", "-", stdin=ENTRY.replace("/27", "/26"))
    assert 'Apply failed with 1 conflict: conflict with "egressctl": .spec.addresses' in refused.stderr
    assert kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=ENTRY.replace("/27", "/26")).returncode == 0


@needs_kubectl
def test_client_side_apply_over_ours_takes_the_field(kubectl: Kubectl, lab: TestEndpoint) -> None:
    kubectl("apply", "--server-side", "--field-manager=egressctl", "-f", "-", stdin=ENTRY)
    kubectl("apply", "-f", "-", stdin=ENTRY.replace("/27", "/26"))
    managers = {one["manager"]: one for one in lab.request("GET", f"{ENTRIES}/wikipedia-ext").body["metadata"]["managedFields"]}
    assert "f:addresses" not in managers["egressctl"]["fieldsV1"]["f:spec"]
    assert "f:addresses" in managers["kubectl-client-side-apply"]["fieldsV1"]["f:spec"]


@needs_kubectl
def test_mistakes_are_shown_as_the_real_ones(kubectl: Kubectl) -> None:
    dns = kubectl("apply", "-f", "-", stdin=ENTRY.replace("NONE", "DNS"))
    assert dns.stderr == (
        'The ServiceEntry "wikipedia-ext" is invalid: spec: Invalid value: '
        "CIDR addresses are allowed only for NONE/STATIC resolution types\n"
    )
    unknown = kubectl("apply", "-f", "-", stdin=ENTRY + "  foo: 1\n")
    assert 'strict decoding error: unknown field "spec.foo"' in unknown.stderr


@needs_kubectl
def test_exec_carries_streams_and_exit_code(kubectl: Kubectl) -> None:
    ran = kubectl("exec", "sleep", "--", "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (ran.returncode, ran.stdout) == (3, "out\n")
    assert ran.stderr == "err\ncommand terminated with exit code 3\n"
    assert kubectl("exec", "-i", "sleep", "-c", "sleep", "--", "cat", stdin="hello").stdout == "hello"
    assert "executable file not found in $PATH" in kubectl("exec", "sleep", "--", "no-such-program").stderr


@needs_kubectl
def test_the_words_that_kubectl_sends_as_protobuf_are_understood(kubectl: Kubectl) -> None:
    assert kubectl("create", "namespace", "made").stdout == "namespace/made created\n"
    assert kubectl("create", "serviceaccount", "x", "-n", "made").stdout == "serviceaccount/x created\n"
    assert kubectl("auth", "can-i", "create", "pods").stdout == "yes\n"
    assert "lab" in kubectl("auth", "whoami").stdout
    assert kubectl("delete", "namespace", "made").returncode == 0


@needs_kubectl
def test_pods_are_made_shown_awaited_and_deleted(kubectl: Kubectl) -> None:
    assert kubectl("run", "curl", "--image=curlimages/curl").stdout == "pod/curl created\n"
    assert kubectl("wait", "--for=condition=Ready", "pod/curl").returncode == 0
    assert kubectl("get", "pod", "curl", "--no-headers").stdout.split()[:3] == ["curl", "2/2", "Running"]
    assert kubectl("delete", "pod", "curl").returncode == 0


@needs_kubectl
def test_discovery_and_version(kubectl: Kubectl) -> None:
    resources = kubectl("api-resources", "-o", "name").stdout.split()
    assert {"pods", "namespaces", "serviceentries.networking.istio.io", "sidecars.networking.istio.io"} <= set(resources)
    assert "networking.istio.io/v1alpha3" in kubectl("api-versions").stdout.split()
    version = json.loads(kubectl("version", "-o", "json").stdout)
    assert version["serverVersion"]["gitVersion"].endswith("+egressctl-lab")


def test_the_official_client_lists_creates_and_deletes(lab: TestEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    # Its packages may be there unexecuted, since egressctl has them so.
    for name in [name for name in sys.modules if name.partition(".")[0] == "kubernetes"]:
        monkeypatch.delitem(sys.modules, name)
    api: Any = pytest.importorskip("kubernetes.client")
    client = importlib.import_module("kubernetes.config").new_client_from_config(config_file=str(lab.kubeconfig))
    try:
        at = ("networking.istio.io", "v1", "default", "serviceentries")
        objects = api.CustomObjectsApi(client)
        body = {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "a"}}
        objects.create_namespaced_custom_object(*at, {**body, "spec": {"hosts": ["a.example"]}})
        assert [one["metadata"]["name"] for one in objects.list_namespaced_custom_object(*at)["items"]] == ["a"]
        assert objects.delete_namespaced_custom_object(*at, "a")["status"] == "Success"
        with pytest.raises(api.ApiException) as caught:
            objects.get_namespaced_custom_object(*at, "a")
        assert json.loads(caught.value.body)["reason"] == "NotFound"
        pods = api.CoreV1Api(client).list_namespaced_pod("default").items
        assert [(pod.metadata.name, pod.status.phase) for pod in pods] == [("sleep", "Running")]
    finally:
        client.close()


@needs_kubectl
def test_logs(kubectl: Kubectl) -> None:
    assert kubectl("logs", "sleep", "-c", "istio-proxy").stdout == "one\ntwo\n"
    assert kubectl("logs", "sleep", "-c", "istio-proxy", "--tail=1", "--since=10s").stdout == "two\n"
    assert kubectl("logs", "sleep", "-c", "sleep").stdout == ""
    assert "container nginx is not valid for pod sleep" in kubectl("logs", "sleep", "-c", "nginx").stderr
