"""What only a real API server shows: refusals in its own words, versions, namespaces that go, and who may log in how."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import ENTRIES, Cli, entry, made, owned
from cluster.cluster import HOST, RealCluster
from egressctl.errors import Refused
from egressctl.kube import exec as kube_exec
from egressctl.kube.config import ConnectOptions, connect
from egressctl.mesh.client import Mesh
from faults import Call, FaultProxy
from labs import Lab, eventually

pytestmark = pytest.mark.parametrize("lab", ["kubernetes"], indirect=True)

CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
NAMESPACES = "/api/v1/namespaces"


def mesh_at(kubeconfig: Path) -> Mesh:
    return Mesh(connect(ConnectOptions(kubeconfig=str(kubeconfig))))


class TestRefusals:
    """An object that our own validation would not let through, as a later version of Istio may refuse what ours accepts."""

    @pytest.mark.parametrize(
        ("spec", "field", "words"),
        [
            ({"hosts": []}, "spec.hosts", "should have at least 1 items"),
            ({"ports": [{"number": 443, "name": "a"}, {"number": 443, "name": "b"}]}, "spec.ports", "port number cannot be dup"),
            ({"ports": [{"number": 443, "name": "a", "protocol": "TPC"}]}, "", "unsupported protocol: TPC"),
            ({"resolution": "DNSS"}, "spec.resolution", "Unsupported value"),
        ],
        ids=["schema", "cel", "webhook", "enumeration"],
    )
    def test_names_the_field(self, cli: Cli, lab: Lab, spec: dict[str, Any], field: str, words: str) -> None:
        with pytest.raises(Refused) as refused:
            mesh_at(lab.kubeconfig).apply(entry(**spec), manager="egressctl")
        assert any(problem.field.startswith(field) for problem in refused.value.problems)
        assert words in str(refused.value)
        assert refused.value.exit_code == 2

    def test_an_unknown_field_is_named_and_never_asked_for_again(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        with pytest.raises(Refused) as refused:
            mesh_at(proxy.kubeconfig).apply(entry(adresses=["192.0.2.0/24"]), manager="egressctl")
        assert [problem.field for problem in refused.value.problems] == ["spec.adresses"]
        assert [call.method for call in proxy.calls if "serviceentries" in call.path] == ["PATCH"]


class TestNamespaces:
    def test_one_that_is_not_there(self, cli: Cli) -> None:
        ran = cli("create", "wikipedia", "-n", "nowhere", "--no-wait")
        assert (ran.code, ran.error) == (3, "there is no namespace nowhere")

    def test_one_that_is_going_away_takes_nothing_new(self, cli: Cli, lab: Lab, real: RealCluster) -> None:
        real.post(NAMESPACES, {"metadata": {"name": "going"}})
        assert real.api("DELETE", f"{NAMESPACES}/going")[0] == 200
        ran = cli("create", "wikipedia", "-n", "going", "--no-wait")
        assert ran.code == 2
        assert "is being terminated" in ran.stderr
        assert owned(lab) == []


class TestWhatOthersDoMeanwhile:
    def test_what_was_made_anew_since_it_was_read_is_not_deleted(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab)
        done: list[Call] = []

        def replaced(call: Call) -> None:
            if call.method == "DELETE" and not done:
                done.append(call)
                lab.delete(entry())
                lab.create(entry())

        proxy.rules = replaced
        ran = cli.at(proxy.kubeconfig)("cleanup", "wikipedia")
        assert done
        assert ran.code in (1, 5), ran
        assert lab.api("GET", f"{ENTRIES}/wikipedia-ext")[0] == 200


class TestWhoAsks:
    def test_impersonation(self, cli: Cli) -> None:
        ran = cli("list", "--as", "jane")
        assert (ran.code, ran.error) == (3, "user jane may not list serviceentries.networking.istio.io in namespace default")
        assert cli("list", "--as", "jane", "--as-group", "system:masters").code == 0

    def test_a_credential_plugin(self, cli: Cli, lab: Lab, real: RealCluster, tmp_path: Path) -> None:
        plugin = tmp_path / "plugin"
        answer = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": {"token": real.token}}
        plugin.write_text(f"#!/bin/sh\ncat <<'EOT'\n{json.dumps(answer)}\nEOT\n")
        plugin.chmod(0o755)
        config = yaml.safe_load(lab.kubeconfig.read_text())
        told = {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin), "interactiveMode": "Never"}
        config["users"][0]["user"] = {"exec": told}
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(config))
        ran = cli.at(kubeconfig)("run", "wikipedia", "-o", "json")
        assert (ran.code, ran.judged) == (0, [("open", None)] * 2)

    def test_in_a_pod(self, cli: Cli, real: RealCluster, tmp_path: Path) -> None:
        """A namespace of mounts stands for the pod's: there the ServiceAccount's files are where Kubernetes puts them."""
        account = tmp_path / "serviceaccount"
        account.mkdir()
        for name, text in (("token", real.token), ("ca.crt", real.authority.certificate), ("namespace", "other")):
            (account / name).write_text(text)
        place = "/var/run/secrets/kubernetes.io/serviceaccount"
        script = 'mount -t tmpfs tmpfs /run && mkdir -p "$1" && cp "$0"/* "$1" && shift && exec "$@"'
        command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, str(account), place]
        environment = {**cli.at(None).env, "KUBERNETES_SERVICE_HOST": HOST, "KUBERNETES_SERVICE_PORT": str(real.port)}
        egressctl = [sys.executable, "-m", "egressctl", "doctor", "-o", "json"]
        ran = subprocess.run([*command, *egressctl], env=environment, capture_output=True, text=True, check=False, timeout=60)
        first = json.loads(ran.stdout)["checks"][0]
        assert first["status"] == "ok", ran
        assert first["message"] == f"context in-cluster, API server https://{HOST}:{real.port}, namespace other"


@pytest.mark.parametrize("protocol", ["v4.channel.k8s.io", "v5.channel.k8s.io"])
def test_both_protocols_of_exec_bring_the_output(lab: Lab, monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    monkeypatch.setattr(kube_exec, "PROTOCOLS", [protocol])
    api = connect(ConnectOptions(kubeconfig=str(lab.kubeconfig)))
    ran = kube_exec.run_in_container(api, "default", "sleep", "sleep", ("echo", "hello"), timeout=30)
    assert (ran.stdout, ran.error) == (b"hello\n", "")


class TestOlderIstio:
    @pytest.fixture(params=["v1beta1", "v1alpha3"])
    def older(self, request: pytest.FixtureRequest, real: RealCluster, tmp_path: Path) -> Iterator[tuple[str, RealCluster]]:
        """An API server whose CRDs are served in one version only."""
        with RealCluster(tmp_path / "older", real.binaries) as running:
            for each in running.api("GET", CRDS)[1]["items"]:
                if each["spec"]["group"] != "networking.istio.io":
                    continue
                served = [one["name"] for one in each["spec"]["versions"]]
                if request.param not in served:
                    assert running.api("DELETE", f"{CRDS}/{each['metadata']['name']}")[0] == 200
                    continue
                for one in each["spec"]["versions"]:
                    one["served"] = one["name"] == request.param
                assert running.api("PUT", f"{CRDS}/{each['metadata']['name']}", each)[0] == 200
            group = "/apis/networking.istio.io"
            running.until(lambda: [one["version"] for one in running.api("GET", group)[1]["versions"]] == [request.param], group)
            yield request.param, running

    def test_is_spoken_to_in_the_version_that_it_serves(self, cli: Cli, older: tuple[str, RealCluster]) -> None:
        version, running = older
        other = cli.at(running.kubeconfig)
        assert other("create", "wikipedia", "--no-wait").code == 0
        path = f"/apis/networking.istio.io/{version}/namespaces/default/serviceentries"
        assert [each["metadata"]["name"] for each in running.api("GET", path)[1]["items"]] == ["wikipedia-ext"]
        assert "wikipedia-ext" in other("list").stdout
        assert other("cleanup", "wikipedia", "--no-verify").code == 0
        assert eventually(lambda: running.api("GET", path)[1]["items"] == [])
