"""`egressctl doctor` on what there may be: an API server with Istio, the lab, and none at all."""

from __future__ import annotations

import re

from cli import Cli, pod, start_pod, without_sleep
from faults import FaultProxy, Respond
from labs import Lab

WELL = """\
✔ kubeconfig       context CONTEXT, API server https://127.0.0.1:PORT, namespace default
✔ api-server       Kubernetes VERSION
✔ credentials      the API server knows them as USER
✔ clock            this machine and the API server agree within the half minute
✔ istio            ServiceEntries are served as networking.istio.io v1, v1beta1, v1alpha3
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
VALIDATION
✔ source-pod       default/sleep, container sleep
✔ sidecar          Envoy VERSION, LIVE
✔ outbound-policy  REGISTRY_ONLY: what no ServiceEntry lists is refused
✔ curl             curl VERSION in container sleep
"""
VALIDATION = {
    "lab": """\
! validation       this API server has no webhooks: whether Istio's rules are kept cannot be seen
                   egressctl create TARGET --dry-run=server shows what it refuses""",
    "real": "✔ validation       webhook istio-validator-istio-system checks every entry (failurePolicy Fail)",
}
USERS = {"lab": "lab", "real": "admin"}


def plain(text: str) -> str:
    """The output without what differs from machine to machine."""
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    return re.sub(r"(?<=Kubernetes )v\S+|(?<=Envoy )[\d.]+(?:, Istio [\d.]+)?|(?<=curl )\d[\d.]+", "VERSION", text)


def test_all_is_well(cli: Cli, lab: Lab) -> None:
    ran = cli("doctor")
    kind = "real" if "context real" in ran.stdout else "lab"
    context = "real" if kind == "real" else f"egressctl-lab-{lab.name}"
    expected = WELL.replace("CONTEXT", context).replace("USER", USERS[kind]).replace("VALIDATION", VALIDATION[kind])
    # Only a sidecar that an istiod feeds says of which Istio it is.
    shown = re.sub(r"✔ istio-version.*\n", "", plain(ran.stdout))
    assert (ran.code, shown, ran.stderr) == (0, expected, "")
    assert ("✔ istio-version    sidecar 1." in ran.stdout) is (lab.fed_by is not None)


def test_without_any_kubernetes_cluster(cli: Cli) -> None:
    ran = cli.at(None)("doctor")
    assert (ran.code, ran.stdout.splitlines(), ran.stderr) == (
        3,
        [
            "✘ kubeconfig       there is no kubeconfig, neither in KUBECONFIG nor in ~/.kube/config",
            f"{' ' * 19}give --kubeconfig FILE; without a Kubernetes cluster, `egressctl demo` shows it all "
            "and --lab uses the local lab",
        ],
        "",
    )


def test_an_api_server_that_is_not_there(cli: Cli) -> None:
    ran = cli("doctor", "--server", "https://127.0.0.1:1")
    assert ran.code == 3
    assert ran.stdout.splitlines()[1:] == [
        "✘ api-server       the API server 127.0.0.1:1 refuses connections",
        "                   is it running? check --server and --context",
    ]


def test_credentials_that_are_refused(cli: Cli) -> None:
    ran = cli("doctor", "--token", "expired")
    assert ran.code == 3
    assert "refused the credentials" in ran.stdout
    assert ran.stdout.splitlines()[-2].startswith("✘ ")


def test_a_pod_without_a_sidecar(cli: Cli, lab: Lab) -> None:
    start_pod(lab, pod("plain", app="plain", inject=False))
    ran = cli("doctor", "--pod", "plain")
    assert ran.code == 3
    assert "✘ sidecar          pod plain has none: nothing can be proved from there" in ran.stdout
    assert "outbound-policy" not in ran.stdout
    assert "✔ curl " in ran.stdout


def test_no_source_pod(cli: Cli, lab: Lab) -> None:
    without_sleep(lab)
    ran = cli("doctor", "-o", "json")
    assert (ran.code, ran.report["kind"], ran.report["exitCode"]) == (3, "DoctorReport", 3)
    last = ran.report["checks"][-1]
    assert (last["name"], last["status"]) == ("source-pod", "error")
    assert "--with-source" in last["hint"]


def test_what_may_not_be_looked_at_is_a_warning(cli: Cli, proxy: FaultProxy) -> None:
    proxy.rules = lambda call: (
        Respond(403, "Forbidden") if "webhookconfigurations" in call.path or call.path.endswith("/default") else None
    )
    ran = cli.at(proxy.kubeconfig)("doctor")
    assert ran.code == 0
    assert "! namespace        not looked at: " in ran.stdout
    assert "! validation       not looked at: " in ran.stdout


def test_a_namespace_that_is_not_there(cli: Cli) -> None:
    ran = cli("doctor", "-n", "nowhere")
    assert ran.code == 3
    assert "✘ namespace        there is no namespace nowhere" in ran.stdout
    assert "kubectl create namespace nowhere makes it\n" in ran.stdout
    assert "source-pod" not in ran.stdout


def test_there_are_no_names_to_print(cli: Cli) -> None:
    ran = cli("doctor", "-o", "name")
    assert (ran.code, ran.told("error")) == (2, ["--output name: doctor prints table, json or yaml"])
