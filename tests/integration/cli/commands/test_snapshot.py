"""`egressctl snapshot`: what stands on the API server, in a folder, whole or as it was."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import yaml

from cli import EXITS, SIGNALS, Cli, entry, interrupted, start_object
from egressctl.mesh.snapshot import folder as keeping
from faults import FaultProxy, Respond, Signal
from labs import Lab

ISTIO = "/apis/networking.istio.io/v1"


def names(folder: Path) -> list[str]:
    """The files of a folder, without the Services that each API server has of its own."""
    found = (str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())
    return sorted(each for each in found if "/service/" not in each)


def test_every_object_is_saved_and_a_second_snapshot_changes_what_has_changed(cli: Cli, lab: Lab) -> None:
    lab.create(entry(exportTo=["."]))
    start_object(lab, "Sidecar", "narrow", {"egress": [{"hosts": ["istio-system/*"]}]})
    route = {"route": [{"destination": {"host": "other.example"}, "headers": {"request": {"set": {"token": "hunter2"}}}}]}
    start_object(lab, "VirtualService", "detour", {"hosts": ["wikipedia.org"], "http": [route]})
    start_object(lab, "DestinationRule", "twice", {"host": "wikipedia.org", "trafficPolicy": {"tls": {"mode": "SIMPLE"}}})
    ran = cli("snapshot", "saved", "-q")
    assert (ran.code, ran.stderr) == (0, "")
    saved = cli.home / "saved"
    assert names(saved) == [
        "default/destinationrule/twice.yaml",
        "default/serviceentry/wikipedia-ext.yaml",
        "default/sidecar/narrow.yaml",
        "default/virtualservice/detour.yaml",
        "snapshot.yaml",
    ]
    assert (saved / "default/service/kubernetes.yaml").exists()
    assert not [each for each in saved.rglob("*") if each.is_file() and "hunter2" in each.read_text()]
    index = yaml.safe_load((saved / "snapshot.yaml").read_text())
    assert set(index["read"].values()) == {"everywhere"}
    assert {"default", "istio-system"} <= set(index["namespaces"])
    assert index["kubernetes"]["version"].startswith("v1.")

    lab.delete(entry())
    lab.create(entry("second", exportTo=["."]))
    ran = cli("snapshot", "saved", "-o", "json")
    assert (ran.report["kind"], ran.report["added"], ran.report["changed"], ran.report["removed"]) == (
        "Snapshot",
        ["default/serviceentry/second.yaml"],
        [],
        ["default/serviceentry/wikipedia-ext.yaml"],
    )
    around = keeping.load_snapshot(str(saved)).around
    assert ([str(each) for each in around.entries], len(around.sidecars)) == (["default/second"], 1)
    assert cli("snapshot", "saved", "-q").stdout.endswith(" objects (0 added, 0 changed, 0 removed)\n")


def test_what_may_not_be_listed_everywhere_is_saved_where_it_may_and_told(cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
    lab.create(entry(exportTo=["."]))
    proxy.rules = lambda call: Respond(403, "Forbidden") if call.path == f"{ISTIO}/serviceentries" else None
    ran = cli.at(proxy.kubeconfig)("snapshot", "saved")
    assert ran.code == 0
    [told] = ran.told("warning")
    assert told.startswith("serviceentries.networking.istio.io of namespaces other than default and istio-system were not")
    assert "egressctl rbac snapshot --causes" in ran.hint
    around = keeping.load_snapshot(str(cli.home / "saved")).around
    assert around.unread == (told,)
    assert not around.has_read("serviceentries", "shop")


def test_the_settings_of_the_mesh_are_saved_where_they_may_be_read(cli: Cli, proxy: FaultProxy) -> None:
    mesh = json.dumps(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "istio", "namespace": "istio-system", "uid": "u"},
            "data": {"mesh": "outboundTrafficPolicy: {mode: REGISTRY_ONLY}\nrootNamespace: istio-config\n"},
        }
    )
    proxy.rules = lambda call: Respond(200, body=mesh.encode()) if call.path.endswith("/configmaps/istio") else None
    assert cli.at(proxy.kubeconfig)("snapshot", "saved").code == 0
    settings = yaml.safe_load((cli.home / "saved/snapshot.yaml").read_text())["mesh"]
    assert settings == {
        "rootNamespace": "istio-config",
        "outboundTrafficPolicy": "REGISTRY_ONLY",
        "defaultServiceExportTo": ["*"],
    }


def test_where_nothing_can_be_read_the_old_snapshot_stays(cli: Cli, proxy: FaultProxy) -> None:
    assert cli("snapshot", "saved").code == 0
    before = (cli.home / "saved/snapshot.yaml").read_text()
    there = cli.at(proxy.kubeconfig)
    forbidden, missing = Respond(403, "Forbidden"), Respond(404, "NotFound")
    for rules in (
        lambda call: forbidden if "serviceentries" in call.path else None,
        lambda call: missing if call.path == "/apis/networking.istio.io" else None,
    ):
        proxy.rules = rules
        ran = there("snapshot", "saved")
        assert ran.code == 3, ran
        assert (cli.home / "saved/snapshot.yaml").read_text() == before


def test_a_folder_that_is_not_a_snapshot_s_is_refused_before_anything_is_asked(cli: Cli, proxy: FaultProxy) -> None:
    (cli.home / "mine").mkdir()
    (cli.home / "mine/thesis.txt").write_text("years of work")
    ran = cli.at(proxy.kubeconfig)("snapshot", "mine")
    assert proxy.calls == []
    assert (ran.code, ran.stdout) == (2, "")
    assert "mine: holds thesis.txt, and not a snapshot" in ran.stderr
    assert names(cli.home / "mine") == ["thesis.txt"]


@pytest.mark.parametrize("signum", SIGNALS, ids=lambda signum: signum.name)
def test_a_signal_leaves_what_was_there(cli: Cli, proxy: FaultProxy, signum: signal.Signals) -> None:
    assert cli("snapshot", "saved").code == 0
    before = (cli.home / "saved/snapshot.yaml").read_text()
    ran = interrupted(
        cli,
        proxy,
        *("snapshot", "saved"),
        signum=signum,
        when=lambda call: call.path == "/api/v1/services",
        action=lambda pid: Signal(lambda: pid.result(10), signum, "before"),
    )
    assert ran.code == EXITS[signum]
    assert (cli.home / "saved/snapshot.yaml").read_text() == before
    assert not [each for each in (cli.home / "saved").iterdir() if each.name.startswith(".")]
