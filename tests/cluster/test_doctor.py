"""`egressctl doctor` where Istio is not installed, and as a user with rights in one namespace only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cli import Cli
from cluster.cluster import RealCluster
from integration.cli.commands.test_doctor import plain
from labs import Lab, eventually

pytestmark = pytest.mark.parametrize("lab", ["kubernetes"], indirect=True)

WITHOUT_ISTIO = """\
✔ kubeconfig       context real, API server https://127.0.0.1:PORT, namespace default
✔ api-server       Kubernetes VERSION
✔ credentials      the API server knows them as admin
✔ clock            this machine and the API server agree within the half minute
✘ istio            the API server does not serve networking.istio.io
                   Istio's CRDs are missing: install Istio, or try `egressctl demo`, which needs no Kubernetes cluster
✔ may create       all its rights are there in namespace default
✔ may verify       all its rights are there in namespace default
✔ may cleanup      all its rights are there in namespace default
✔ may run          all its rights are there in namespace default
✔ may list         all its rights are there in namespace default
✔ may diff         all its rights are there in namespace default
✔ may lint         all its rights are there in namespace default
✔ may snapshot     all its rights are there in namespace default
✔ may explain      all its rights are there in namespace default
✔ namespace        pods of default get a sidecar (istio-injection=enabled)
! validation       no webhook checks Istio's objects: what its CRDs cannot express is taken, and the sidecar ignores it
                   kubectl get validatingwebhookconfigurations; istioctl install brings it
✘ source-pod       there is no pod with labels app in (sleep,curl) in namespace default
                   start one with: egressctl create TARGET -n default --with-source, or name a pod: --pod NAME
"""


@pytest.fixture
def without_istio(real: RealCluster, tmp_path: Path) -> Iterator[RealCluster]:
    with RealCluster(tmp_path / "bare", real.binaries, istio=False) as running:
        yield running


def test_an_api_server_without_istio(cli: Cli, without_istio: RealCluster) -> None:
    ran = cli.at(without_istio.kubeconfig)("doctor")
    assert (ran.code, plain(ran.stdout), ran.stderr) == (3, WITHOUT_ISTIO, "")


def test_a_user_of_one_namespace(cli: Cli, lab: Lab, real: RealCluster) -> None:
    account = real.service_account("reader")
    for manifest in yaml.safe_load_all(cli("rbac", "verify", "--serviceaccount", "reader", "--name", "reader").stdout):
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/default/{manifest['kind'].lower()}s"
        real.post(path, manifest)
    assert eventually(lambda: "✔ may verify" in cli.at(account)("doctor").stdout)
    ran = cli.at(account)("doctor")
    assert ran.code == 3
    user = "system:serviceaccount:default:reader"
    grant = "egressctl rbac cleanup -n default --serviceaccount default:reader | kubectl apply -f -"
    assert f"✔ credentials      the API server knows them as {user}\n" in ran.stdout
    refused = f"{user} may not delete serviceentries.networking.istio.io, list serviceaccounts in namespace default"
    assert f"✘ may cleanup      {refused}\n{' ' * 19}{grant}\n" in ran.stdout
    assert "! namespace        not looked at: " in ran.stdout
    assert "! validation       not looked at: " in ran.stdout
    assert "✔ outbound-policy  REGISTRY_ONLY" in ran.stdout
