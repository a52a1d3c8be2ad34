"""Reports for other programs: several at once, in files, whatever becomes of the command; and what GitHub is told."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from cli import CREATED, DELETED, EXITS, SIGNALS, Cli, Ran, interrupted, made, nothing_is_left, owned
from egressctl.manifests.service_entry import LABEL_MANAGED_BY, MANAGER
from faults import Call, FaultProxy, Respond, Signal
from labs import Lab

SHUT = """\
apiVersion: egressctl.dev/v1alpha1
kind: EgressTarget
metadata: {name: wikipedia}
spec:
  serviceEntry:
    hosts: [wikipedia.org]
    addresses: [208.80.154.224/27]
    ports: [{number: 443, name: tcp-port, protocol: TCP}]
    location: MESH_EXTERNAL
    resolution: NONE
  probes:
    - {name: portal, url: https://www.wikipedia.org}
    - {name: articles, url: https://en.wikipedia.org/wiki/Main_Page}
"""


def outputs(cli: Cli, *forms: str) -> list[str]:
    return [word for form in forms for word in ("-o", f"{form}={cli.home / form}")]


def cases(file: Path) -> list[tuple[str | None, str, str]]:
    """Return name, fate and kind of every case of a JUnit file."""
    found = []
    for case in ElementTree.parse(file).iter("testcase"):
        child = next(iter(case), None)
        found.append((case.get("name"), "" if child is None else child.tag, "" if child is None else str(child.get("type"))))
    return found


class TestSeveralAtOnce:
    def test_each_goes_to_its_file_and_one_to_stdout(self, cli: Cli, lab: Lab) -> None:
        ran = cli("run", "wikipedia", *outputs(cli, "junit", "json", "yaml", "tap", "name", "table"))
        assert ran.code == 0
        assert ran.stdout.startswith(
            CREATED + DELETED + "✔ wikipedia  2 of 2 open: ServiceEntry default/wikipedia-ext sent them (proved)\n"
        )
        assert (cli.home / "table").read_text() == ran.stdout
        assert (cli.home / "name").read_text() == "serviceentry.networking.istio.io/wikipedia-ext\n"
        report = json.loads((cli.home / "json").read_text())
        again = yaml.safe_load((cli.home / "yaml").read_text())
        assert {**again, "duration": 0} == {**report, "duration": 0}
        assert report["kubernetes"]["version"]
        names = ["portal", "articles", "after cleanup, portal", "after cleanup, articles"]
        assert cases(cli.home / "junit") == [(name, "", "") for name in names]
        assert (cli.home / "tap").read_text().splitlines()[1:] == [
            "1..4",
            f"# {report['summary']}",
            *(f"ok {number} - wikipedia: {name}" for number, name in enumerate(names, 1)),
        ]

    def test_a_file_that_cannot_be_written_stops_the_command_before_it_does_anything(self, cli: Cli, lab: Lab) -> None:
        missing = cli.home / "missing"
        ran = cli("create", "wikipedia", "-o", f"junit={missing}/report.xml")
        assert (ran.code, ran.stdout, owned(lab)) == (2, "", [])
        assert ran.error == f"--output junit={missing}/report.xml: there is no folder {missing}"

    def test_a_full_disk_fails_what_went_well_and_the_other_files_say_so(self, cli: Cli) -> None:
        ran = cli("verify", "wikipedia", "--expect", "blocked", "-o", "junit=/dev/full", *outputs(cli, "json"))
        assert ran.code == 3
        assert ran.told("error") == ["the output could not be written to /dev/full: no space left on device"]
        assert json.loads((cli.home / "json").read_text())["exitCode"] == 3
        assert ran.stdout.startswith("✔ wikipedia  2 of 2 blocked (proved): ")

    def test_a_full_disk_hides_no_verdict(self, cli: Cli) -> None:
        ran = cli("verify", "wikipedia", "-o", "junit=/dev/full", *outputs(cli, "json"))
        assert (ran.code, json.loads((cli.home / "json").read_text())["exitCode"]) == (1, 1)

    def test_what_a_dry_run_would_apply_goes_to_a_file_as_well(self, cli: Cli) -> None:
        ran = cli("create", "wikipedia", "--dry-run=client", *outputs(cli, "yaml", "tap"))
        assert ran.code == 0
        assert yaml.safe_load((cli.home / "yaml").read_text())["kind"] == "ServiceEntry"
        assert (cli.home / "tap").read_text() == (
            "TAP version 13\n1..1\n"
            "# wikipedia: ServiceEntry default/wikipedia-ext created\n"
            "ok 1 - wikipedia: serviceentry/wikipedia-ext\n"
        )


class TestWhateverBecomesOfIt:
    def test_no_kubernetes_cluster(self, cli: Cli) -> None:
        ran = cli.at(None)("run", "wikipedia", *outputs(cli, "junit", "tap", "json"))
        assert ran.code == 3
        assert cases(cli.home / "junit") == [("run", "error", "exit-code-3")]
        assert (cli.home / "tap").read_text() == f"TAP version 13\nBail out! {ran.error}\n"
        assert json.loads((cli.home / "json").read_text())["error"]["message"] == ran.error

    def test_an_input_that_is_wrong(self, cli: Cli) -> None:
        ran = cli("create", "-f", cli.file(SHUT.replace("NONE", "SOME")), *outputs(cli, "junit"))
        assert (ran.code, cases(cli.home / "junit")) == (2, [("create", "error", "exit-code-2")])

    def test_no_pod_to_ask_from(self, cli: Cli) -> None:
        ran = cli("verify", "wikipedia", "--pod", "nobody", *outputs(cli, "junit"))
        assert ran.code == 3
        assert cases(cli.home / "junit") == [(name, "error", "no-source-pod") for name in ("portal", "articles")]

    @pytest.mark.parametrize("signum", SIGNALS, ids=lambda signum: signum.name)
    def test_a_signal(self, cli: Cli, lab: Lab, proxy: FaultProxy, signum: signal.Signals) -> None:
        def is_apply(call: Call) -> bool:
            return call.method == "PATCH"

        ran = interrupted(
            cli, proxy, "run", "wikipedia", *outputs(cli, "junit", "json", "tap"), signum=signum, when=is_apply,
            action=lambda pid: Signal(lambda: pid.result(10), signum, "after"),
        )  # fmt: skip
        assert ran.code == EXITS[signum]
        assert cases(cli.home / "junit") == [("run", "error", f"exit-code-{ran.code}")]
        assert json.loads((cli.home / "json").read_text())["exitCode"] == ran.code
        assert (cli.home / "tap").read_text().endswith("Bail out! run was interrupted\n")
        assert nothing_is_left(lab)


class TestOtherCommands:
    def test_their_own_formats_go_to_files(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        ran = cli("list", *outputs(cli, "json", "name"))
        assert (ran.code, (cli.home / "name").read_text()) == (0, "serviceentry.networking.istio.io/wikipedia-ext\n")
        assert json.loads((cli.home / "json").read_text())["kind"] == "TargetList"
        ran = cli("explain", "wikipedia", *outputs(cli, "table", "json"))
        assert (ran.code, (cli.home / "table").read_text()) == (0, ran.stdout)
        assert json.loads((cli.home / "json").read_text())["kind"] == "Explanation"
        ran = cli("doctor", *outputs(cli, "table", "json"))
        assert (ran.code, (cli.home / "table").read_text()) == (0, ran.stdout)
        assert json.loads((cli.home / "json").read_text())["kind"] == "DoctorReport"

    @pytest.mark.parametrize("command", ["list", "doctor", "explain"])
    def test_what_judges_no_probe_has_no_test_report(self, cli: Cli, command: str) -> None:
        words = ["wikipedia"] if command == "explain" else []
        ran = cli(command, *words, *outputs(cli, "junit"))
        assert (ran.code, ran.error) == (2, "--output junit: no such format")
        assert list(cli.home.iterdir()) == []


def told(ran: Ran) -> list[str]:
    return [line for line in ran.stderr.splitlines() if line.startswith("::")]


class TestGitHub:
    @pytest.fixture
    def actions(self, cli: Cli) -> Cli:
        """The command line in a step of GitHub Actions, in the root of what was checked out."""
        environment = {"GITHUB_ACTIONS": "true", "GITHUB_WORKSPACE": str(cli.home)}
        return cli.having(**environment, GITHUB_STEP_SUMMARY=str(cli.home / "summary.md"))

    def test_what_did_not_hold_stands_at_its_line_and_in_the_summary(self, actions: Cli) -> None:
        (actions.home / "summary.md").write_text("of an earlier command\n")
        actions.file(SHUT)
        ran = actions("verify", "-f", "targets.yaml", "-o", "json")
        assert (ran.code, ran.judged) == (1, [("blocked", "entry-missing")] * 2)
        assert [line.split("::")[1] for line in told(ran)] == [
            "error file=targets.yaml,line=12,title=wikipedia%3A portal",
            "error file=targets.yaml,line=13,title=wikipedia%3A articles",
        ]
        summary = (actions.home / "summary.md").read_text()
        assert summary.startswith("of an earlier command\n### ❌ wikipedia: 0 of 2 open; 2 blocked: ServiceEntry wikipedia-ext ")
        assert "\n\negressctl verify: 2 failed\n\n" in summary
        assert summary.count("| ❌ | default/wikipedia | ") == 2

    def test_an_entry_that_a_run_made_is_found_in_its_file_again(self, actions: Cli) -> None:
        ran = actions("run", "-f", actions.file(SHUT.replace("wikipedia.org}", "wikipedia.org, expect: {status: 404}}")))
        assert ran.code == 1
        [line] = told(ran)
        assert line.startswith("::error file=targets.yaml,line=12,title=wikipedia%3A portal::failed, http-status: ")

    def test_each_problem_of_a_file_stands_at_its_line(self, actions: Cli) -> None:
        ran = actions("create", "-f", actions.file(SHUT.replace("NONE", "SOME").replace("number: 443", "number: 0")))
        assert ran.code == 2
        places = [line.split("::")[1] for line in told(ran)]
        assert places == [f"error file=targets.yaml,line={line},title=egressctl create" for line in (8, 10)]

    def test_all_is_well(self, actions: Cli) -> None:
        ran = actions("verify", "wikipedia", "--expect", "blocked")
        assert (ran.code, told(ran)) == (0, [])
        assert (actions.home / "summary.md").read_text().startswith("### ✅ wikipedia: 2 of 2 blocked (proved): ")

    def test_a_summary_that_cannot_be_written_changes_nothing(self, actions: Cli) -> None:
        ran = actions.having(GITHUB_STEP_SUMMARY="/dev/full")("verify", "wikipedia", "--expect", "blocked")
        assert ran.code == 0
        assert ran.told("warning") == ["the step's summary could not be written: no space left on device"]

    def test_elsewhere_nothing_is_told(self, cli: Cli) -> None:
        ran = cli.having(GITHUB_STEP_SUMMARY=str(cli.home / "summary.md"))("verify", "wikipedia")
        assert (ran.code, told(ran), os.listdir(cli.home)) == (1, [], [])

    def test_no_text_from_the_network_becomes_a_command(self, actions: Cli, proxy: FaultProxy) -> None:
        named = "::stop-commands::x ##[error]y\n::error::z"
        item = {
            "metadata": {
                "name": named,
                "namespace": named,
                "uid": "u",
                "labels": {"egressctl.dev/target": named, LABEL_MANAGED_BY: MANAGER},
            },
            "spec": {},
        }
        body = json.dumps({"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntryList", "items": [item]}).encode()
        proxy.rules = lambda call: Respond(200, body=body) if "serviceentries" in call.path else None
        for form in ("table", "name", "json", "yaml"):
            ran = actions.at(proxy.kubeconfig)("list", "-A", "-o", form)
            assert ran.code == 0
            assert "stop-commands" in ran.stdout
            assert "##[" not in ran.stdout
            assert not [line for line in ran.stdout.splitlines() if line.lstrip().startswith("::")]
