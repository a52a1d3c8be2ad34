"""What is there before a command and outlasts it: connections through an entry, a sidecar that is not ready."""

from __future__ import annotations

import json
import subprocess

import pytest

from cli import PODS, Cli, made, owned
from egressctl.lab import control
from faults import Call, FaultProxy, Respond
from labs import Lab, eventually

OURS = "outbound|443||wikipedia.org"


def open_connections(lab: Lab) -> int:
    statuses = lab.admin("clusters?format=json")["cluster_statuses"]
    hosts = [host for status in statuses if status["name"] == OURS for host in status.get("host_statuses", [])]
    return sum(int(stat.get("value", 0)) for host in hosts for stat in host["stats"] if stat["name"] == "cx_active")


def test_a_connection_that_outlives_the_entry_is_told(cli: Cli, lab: Lab) -> None:
    made(lab)
    # Its Envoy cluster comes before its filter chain, and a connection made in between is closed at once.
    assert eventually(lab.is_open)
    command, env = control.exec_argv(lab.name, ("curl", "-q", "-s", "telnet://208.80.154.224:443"))
    with subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as held:
        try:
            assert eventually(lambda: open_connections(lab) == 1)
            ran = cli("cleanup")
        finally:
            held.kill()
    assert ran.code == 0
    assert ran.told("warning") == [
        "connections made through it before that were still open when it was deleted: 1; "
        "they live on for some 50 s, and no new one is made"
    ]


def test_where_none_is_open_nothing_is_told(cli: Cli, lab: Lab) -> None:
    made(lab)
    assert eventually(lambda: open_connections(lab) == 0)
    assert cli("cleanup").told("warning") == []


@pytest.mark.parametrize("argv", [("create", "wikipedia"), ("run", "wikipedia")], ids=["create", "run"])
def test_nothing_is_applied_for_a_sidecar_that_is_not_ready(cli: Cli, lab: Lab, proxy: FaultProxy, argv: tuple[str, ...]) -> None:
    crashing = json.dumps(with_a_crashing_sidecar(lab)).encode()

    def rules(call: Call) -> Respond | None:
        return Respond(200, body=crashing) if call.method == "GET" and call.path == f"{PODS}/sleep" else None

    proxy.rules = rules
    ran = cli.at(proxy.kubeconfig)(*argv, "--pod", "sleep")
    assert (ran.code, ran.stdout) == (3, "")
    why = "waiting to be started again after exit code 255 (CrashLoopBackOff)"
    assert ran.error == f"the sidecar of pod default/sleep is not ready: {why}"
    assert owned(lab) == []


def with_a_crashing_sidecar(lab: Lab) -> object:
    pod = lab.api("GET", f"{PODS}/sleep")[1]
    state = {"waiting": {"reason": "CrashLoopBackOff"}}
    proxy = {"name": "istio-proxy", "ready": False, "state": state, "lastState": {"terminated": {"exitCode": 255}}}
    own = {"name": "sleep", "ready": True, "state": {"running": {}}}
    conditions = [{"type": "Ready", "status": "False", "message": "containers with unready status: [istio-proxy]"}]
    status = {"phase": "Running", "conditions": conditions, "containerStatuses": [own, proxy], "initContainerStatuses": []}
    return {**pod, "status": status}
