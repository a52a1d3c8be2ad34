"""The document's task by the command line, from nothing to nothing, through a real Envoy."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli import CREATED, DELETED, ENTRIES, Cli, Ran, entry, made, nothing_is_left, owned
from egressctl.lab import control, internet
from forked import Forks
from labs import Lab, eventually

FOUR = ["captured", "static", "owned", "counted"]
BLOCKS = ["91.198.174.192/27", "103.102.166.224/27", "198.35.26.96/27", "208.80.153.224/27", "208.80.154.224/27"]
"""The five of the document."""
STATIONS = ["pod", "sidecar", "listener", "filter chain", "Envoy cluster", "address", "answer"]
PICTURED = re.compile(r"^  [├╰]─ ([✔✘?]) (.{13}) (.*)$", re.MULTILINE)

ENTRY = {
    "hosts": ["wikipedia.org"],
    "addresses": BLOCKS,
    "ports": [{"number": 443, "name": "tcp-port", "protocol": "TCP"}],
    "resolution": "NONE",
}
DOCUMENT = {
    "apiVersion": "networking.istio.io/v1alpha3",
    "kind": "ServiceEntry",
    "metadata": {"name": "wikipedia-ext"},
    "spec": ENTRY,
}
"""The document's own manifest."""
TARGET = {
    "apiVersion": "egressctl.dev/v1alpha1",
    "kind": "EgressTarget",
    "metadata": {"name": "wikipedia"},
    "spec": {
        "serviceEntry": ENTRY,
        "probes": [{"name": "portal", "url": "https://www.wikipedia.org", "expect": {"status": 200}}],
    },
}


@pytest.fixture
def fresh(cli: Cli) -> Cli:
    """Every process of it starts from the interpreter's very start, as people's do."""
    return cli.fresh()


def stations(ran: Ran) -> list[tuple[str, str, str]]:
    return [(name.strip(), mark, text) for mark, name, text in PICTURED.findall(ran.stdout)]


def live(lab: Lab, name: str = "wikipedia-ext") -> dict[str, Any]:
    status, found = lab.api("GET", f"{ENTRIES}/{name}")
    assert status == 200, found
    answer: dict[str, Any] = found
    return answer


def test_create_makes_keeps_and_changes_an_entry(fresh: Cli, lab: Lab) -> None:
    created = fresh("create", "wikipedia")
    assert (created.code, created.stdout) == (0, CREATED)
    assert "the sidecar of pod sleep has every filter chain" in created.stderr.splitlines()
    assert created.told("warning") == []
    assert live(lab)["spec"]["exportTo"] == ["."]
    assert lab.is_open()
    metadata = live(lab)["metadata"]
    assert metadata["labels"]["app.kubernetes.io/managed-by"] == "egressctl"
    assert re.fullmatch("[0-9a-f]{8}", metadata["labels"]["egressctl.dev/run-id"])
    assert json.loads(metadata["annotations"]["egressctl.dev/probes"])[0]["url"] == "https://www.wikipedia.org"

    again = fresh("create", "wikipedia")
    assert (again.code, again.stdout) == (0, CREATED.replace("created", "unchanged"))
    assert live(lab)["metadata"] == metadata

    changed = fresh("create", "-f", fresh.file(yaml.safe_dump(TARGET)))
    assert (changed.code, changed.stdout) == (0, CREATED.replace("created", "configured"))
    assert live(lab)["spec"]["addresses"] == BLOCKS
    assert live(lab)["metadata"]["labels"] == metadata["labels"]


class TestVerify:
    def test_draws_every_station_of_every_probe_with_the_evidence(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        ran = cli("verify", "--show-path")
        assert ran.code == 0
        drawn = stations(ran)
        assert [name for name, _, _ in drawn] == STATIONS * 2
        assert {mark for _, mark, _ in drawn} == {"✔"}
        told = {name: text for name, _, text in drawn[7:]}
        assert told["pod"] == "default/sleep, container sleep"
        assert re.fullmatch(r"captured: istio-proxy had the other end of local port \d+", told["sidecar"])
        assert told["listener"] == "0.0.0.0_443"
        assert told["filter chain"] == "208.80.154.224/27"
        assert told["Envoy cluster"].startswith("outbound|443||wikipedia.org (default/wikipedia-ext lists")
        assert told["address"] == "208.80.154.224:443"
        assert re.fullmatch(rf"HTTP 200 in \d+\.\d\d s, articles {internet.ARTICLES}", told["answer"])

    def test_reports_the_proof_by_all_four_methods(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        ran = cli("verify", "wikipedia", "-o", "json")
        report = ran.report
        assert (ran.code, report["exitCode"], report["verdict"], report["command"]) == (0, 0, "open", "verify")
        assert ran.judged == [("open", None)] * 2
        assert [probe["held"] for probe in ran.probes] == [True] * 2
        assert [probe["evidence"]["methods"] for probe in ran.probes] == [FOUR] * 2
        assert [probe["evidence"]["envoyCluster"] for probe in ran.probes] == ["outbound|443||wikipedia.org"] * 2
        assert ran.probes[1]["extracted"] == {"articles": internet.ARTICLES}
        source = {"namespace": "default", "pod": "sleep", "container": "sleep", "chosenOf": 1}
        assert [probe["source"] for probe in ran.probes] == [source] * 2
        assert re.fullmatch("[0-9a-f]{8}", report["runId"])
        assert report["kubernetes"]["server"] == lab.info.address
        assert report["kubernetes"]["version"] == lab.api("GET", "/version")[1]["gitVersion"]

    def test_yaml_says_the_same(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        ran = cli("verify", "-o", "yaml")
        report = yaml.safe_load(ran.stdout)
        assert (ran.code, report["kind"], report["verdict"]) == (0, "Report", "open")
        assert report["targets"][0]["probes"][1]["extracted"] == {"articles": internet.ARTICLES}

    def test_names_are_kubectls(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        ran = cli("verify", "-o", "name")
        assert (ran.code, ran.stdout) == (0, "serviceentry.networking.istio.io/wikipedia-ext\n")

    def test_without_the_entry_it_is_blocked_and_says_why(self, cli: Cli) -> None:
        ran = cli("verify", "wikipedia")
        assert ran.code == 1
        assert ran.stdout.count("blocked, expected open\n") == 2
        told = [line.strip() for line in ran.stdout.partition("\n\n")[0].splitlines()[3:]]
        assert told == [
            "cause  entry-missing: ServiceEntry wikipedia-ext does not exist in namespace default; "
            "the sidecar sends 208.80.154.224:443 to BlackHoleCluster",
            "next   egressctl create wikipedia -n default",
        ]
        assert [mark for name, mark, _ in stations(ran) if name in ("Envoy cluster", "answer")] == ["✘"] * 4

    def test_an_expected_block_holds(self, cli: Cli) -> None:
        ran = cli("verify", "wikipedia", "--expect", "blocked", "-o", "json")
        assert ran.code == 0
        assert ran.judged == [("blocked", "entry-missing")] * 2
        assert [probe["held"] for probe in ran.probes] == [True] * 2

    def test_with_nothing_made_it_names_create(self, cli: Cli) -> None:
        ran = cli("verify")
        assert (ran.code, ran.stdout) == (3, "")
        assert ran.error == "egressctl made no ServiceEntry in namespace default"
        assert ran.hint == "egressctl create HOST -n default, or verify a URL"

    def test_takes_an_entry_that_others_made(self, cli: Cli, lab: Lab) -> None:
        lab.create(entry("theirs"))
        assert eventually(lab.is_open)
        ran = cli("verify", "serviceentry/theirs", "--probe", "https://www.wikipedia.org", "-o", "json")
        assert (ran.code, ran.judged) == (0, [("open", None)])


def test_list_shows_what_was_made_with_age_and_run_id(cli: Cli, lab: Lab) -> None:
    made(lab, run_id="0badcafe")
    lab.create(entry("theirs", hosts=["theirs.example"]))
    head, row = cli("list").stdout.splitlines()
    assert head.split() == ["TARGET", "SERVICEENTRY", "HOSTS", "PORTS", "RUN", "ID", "AGE"]
    assert row.split()[:-1] == ["wikipedia", "default/wikipedia-ext", "wikipedia.org", "443/TCP", "0badcafe"]
    assert re.fullmatch(r"\d+[smhd]", row.split()[-1])
    [item] = cli("list", "-A", "-o", "json").report["items"]
    assert (item["name"], item["serviceEntry"], item["runId"]) == ("wikipedia", "wikipedia-ext", "0badcafe")
    assert cli("list", "-o", "name").stdout == "serviceentry.networking.istio.io/wikipedia-ext\n"


def test_an_empty_list_is_no_error(cli: Cli) -> None:
    ran = cli("list", "-n", "other")
    assert (ran.code, ran.stdout, ran.stderr) == (0, "", "egressctl made nothing in namespace other\n")


def test_cleanup_deletes_proves_it_closed_and_leaves_nothing(fresh: Cli, lab: Lab) -> None:
    made(lab)
    lab.create(entry("theirs", hosts=["theirs.example"], addresses=["192.0.2.0/24"]))
    ran = fresh("cleanup", "--show-path")
    assert ran.code == 0
    assert ran.stdout.startswith(DELETED + "✔ wikipedia  closed: 2 of 2 blocked (proved): ")
    assert [text for name, _, text in stations(ran) if name == "Envoy cluster"] == ["BlackHoleCluster"] * 2
    assert nothing_is_left(lab)
    assert live(lab, "theirs")


def test_a_second_cleanup_is_a_success(cli: Cli) -> None:
    ran = cli("cleanup")
    assert (ran.code, ran.stdout) == (0, "egressctl made nothing in namespace default\n")


def test_cleanup_by_name_where_nothing_is_there_is_success(cli: Cli) -> None:
    assert cli("cleanup", "wikipedia").code == 0


def test_cleanup_of_several_wants_a_name_or_all(cli: Cli, lab: Lab) -> None:
    first = cli("create", "one", "--host", "one.example", "--address", "192.0.2.0/24", "--port", "443", "--no-wait")
    second = cli("create", "two", "--host", "two.example", "--address", "198.51.100.0/24", "--port", "443", "--no-wait")
    assert (first.code, second.code) == (0, 0)
    refused = cli("cleanup")
    assert refused.code == 2
    assert refused.error == "egressctl made 2 ServiceEntries in namespace default: one-ext, two-ext"
    assert refused.hint.endswith("egressctl cleanup --all")
    cleaned = cli("cleanup", "--all", "--no-verify")
    assert cleaned.code == 0
    assert cleaned.stdout == DELETED.replace("wikipedia", "one") + DELETED.replace("wikipedia", "two")
    assert owned(lab) == []


def test_cleanup_without_waiting_deletes_and_proves_nothing(cli: Cli, lab: Lab) -> None:
    made(lab)
    ran = cli("cleanup", "--no-wait", "-o", "json")
    assert ran.code == 0
    assert "closure" not in ran.report["targets"][0]
    assert nothing_is_left(lab)


class TestRun:
    def test_leaves_nothing_and_proves_both(self, fresh: Cli, lab: Lab) -> None:
        ran = fresh("run", "wikipedia", "-o", "json")
        assert ran.code == 0
        [target] = ran.report["targets"]
        assert ran.judged == [("open", None)] * 2
        assert [probe["evidence"]["methods"] for probe in ran.probes] == [FOUR] * 2
        assert (target["closure"]["verdict"], target["closure"]["held"]) == ("blocked", True)
        assert nothing_is_left(lab)

    def test_keep_leaves_the_entry_for_its_own_namespace_only(self, cli: Cli, lab: Lab) -> None:
        ran = cli("run", "wikipedia", "--keep")
        assert ran.code == 0
        assert ran.stdout.startswith(CREATED)
        assert "deleted" not in ran.stdout
        assert lab.is_open()
        _, kept = lab.api("GET", "/apis/networking.istio.io/v1/namespaces/default/serviceentries/wikipedia-ext")
        assert kept["spec"]["exportTo"] == ["."]

    def test_what_is_there_already_is_refused_with_its_run_id(self, cli: Cli, lab: Lab) -> None:
        made(lab, run_id="0badcafe")
        ran = cli("run", "wikipedia")
        assert ran.code == 1
        assert "run 0badcafe" in ran.error
        assert owned(lab) == ["serviceentry/wikipedia-ext"]
        assert lab.is_open()

    def test_an_expectation_that_does_not_hold_cleans_up_and_exits_1(self, cli: Cli, lab: Lab) -> None:
        ran = cli("run", "wikipedia", "--expect", "blocked", "-o", "json")
        assert ran.code == 1
        assert ran.judged == [("open", None)] * 2
        assert nothing_is_left(lab)


def test_render_is_the_documents_manifest(tmp_path: Path) -> None:
    cli = Cli(None, tmp_path)
    ports = ["--port", "443/TCP:tcp-port"]
    ran = cli("render", "wikipedia", "--host", "wikipedia.org", "--address", ",".join(BLOCKS), *ports,
              "--export-to", "*", "--api-version", "networking.istio.io/v1alpha3")  # fmt: skip
    assert (ran.code, ran.stderr) == (0, "")
    rendered = yaml.safe_load(ran.stdout)
    assert rendered["spec"].pop("location") == "MESH_EXTERNAL"
    assert rendered == DOCUMENT


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
def test_the_documents_manifest_that_kubectl_applied_is_proved(cli: Cli, lab: Lab) -> None:
    def kubectl(*argv: str) -> str:
        command = ["kubectl", "--kubeconfig", str(lab.kubeconfig), *argv]
        said = subprocess.run(command, input=yaml.safe_dump(DOCUMENT), capture_output=True, text=True, check=True)
        return said.stdout

    assert kubectl("apply", "-f", "-") == CREATED
    assert eventually(lab.is_open)
    ran = cli("verify", "wikipedia", "-o", "json")
    assert (ran.code, ran.judged) == (0, [("open", None)])
    refused = cli("cleanup", "wikipedia")
    assert refused.code == 1
    assert refused.error.endswith("was not made by egressctl, which does not delete it")
    assert kubectl("delete", "-f", "-") == 'serviceentry.networking.istio.io "wikipedia-ext" deleted\n'
    assert nothing_is_left(lab)


def test_what_was_rendered_is_a_target_again(cli: Cli, lab: Lab) -> None:
    rendered = cli("render", "wikipedia", "-n", "default")
    assert cli("create", "-f", "-", stdin=rendered.stdout).stdout == CREATED
    assert nothing_is_left(lab) is False


def test_a_demo_needs_nothing_and_shows_blocked_open_blocked(tmp_path: Path, lab_home: Path) -> None:
    ran = Cli(None, tmp_path)("demo", "-o", "json")
    assert ran.code == 0
    assert [(target["step"], target["verdict"]) for target in ran.report["targets"]] == [
        ("before", "blocked"),
        ("with the entry", "open"),
        ("after", "blocked"),
    ]
    opened = ran.report["targets"][1]["probes"]
    assert [probe["evidence"]["methods"] for probe in opened] == [FOUR] * 2
    assert opened[1]["extracted"] == {"articles": internet.ARTICLES}
    assert not [path.name for path in lab_home.glob("demo-*")]


def test_the_lab_by_its_commands(tmp_path: Path, lab_home: Path, forks: Forks | None) -> None:
    name, cli = f"cmd-{os.getpid()}", Cli(None, tmp_path, forks)
    assert cli("lab", "status", "--name", name).code == 1
    up = cli("lab", "up", "--name", name, "--policy", "ALLOW_ANY")
    kubeconfig = control.up(name).kubeconfig
    assert (up.code, up.stdout) == (0, f"export KUBECONFIG={kubeconfig}\n")
    assert "policy      ALLOW_ANY" in cli("lab", "status", "--name", name).stdout
    [row] = [line.split() for line in cli("lab", "list").stdout.splitlines() if line.startswith(f"{name} ")]
    assert row[:3] == [name, "running", "ALLOW_ANY"]
    assert name in cli("lab", "list", "-o", "name").stdout.split()
    [listed] = [each for each in cli("lab", "list", "-o", "json").report["items"] if each["name"] == name]
    assert (listed["state"], listed["kubeconfig"]) == ("running", str(kubeconfig))
    assert [process["role"] for process in listed["processes"]][:2] == ["supervisor", "unshare"]
    assert cli("lab", "policy", "REGISTRY_ONLY", "--name", name).stdout == f"lab {name} policy REGISTRY_ONLY\n"
    asked = cli("lab", "exec", "--name", name, "--", "curl", "-q", "-s", "https://www.wikipedia.org/")
    assert asked.code == 35
    assert " BlackHoleCluster " in cli("lab", "logs", "--name", name).stdout
    on_lab = cli.having(EGRESSCTL_LAB_NAME=name)
    made_there = on_lab("create", "wikipedia", "--lab")
    assert (made_there.stdout, "starting the local lab" in made_there.stderr) == (CREATED, False)
    assert cli("lab", "down", "--name", name).stdout == f"lab {name} is down\n"
    assert cli("lab", "down", "--name", name).stdout == f"lab {name} did not run\n"
    assert "starting the local lab" in on_lab("list", "--lab").stderr.splitlines()
    assert cli("lab", "down", "--name", name).code == 0


def test_every_lab_goes_at_once(tmp_path: Path, forks: Forks | None) -> None:
    with tempfile.TemporaryDirectory(prefix="lab") as home:
        cli = Cli(None, tmp_path, forks).having(EGRESSCTL_LAB_HOME=home)
        assert cli("lab", "list").stderr == "there is no lab; egressctl lab up starts one\n"
        assert cli("lab", "down", "--all").stdout == "there is no lab\n"
        assert cli("lab", "up", "--merge").code == 0
        contradiction = cli("lab", "down", "--all", "--name", "default")
        assert (contradiction.code, contradiction.hint) == (2, "egressctl lab down --name default")
        assert cli("lab", "down", "--all").stdout == "lab default is down\n"
        assert "egressctl-lab" not in (tmp_path / ".kube" / "config").read_text()
        assert not os.listdir(home)
