"""A target of more addresses than one ServiceEntry may hold, by the command line: several entries that are one target."""

from __future__ import annotations

import json
import signal
from concurrent.futures import Future
from typing import Any

import pytest
import yaml

from cli import ENTRIES, EXITS, Cli, Ran, interrupted, nothing_is_left, owned, start_object
from faults import Action, Call, FaultProxy, Respond, Signal
from labs import Lab, eventually

pytestmark = pytest.mark.thorough

WIKIPEDIA = "208.80.154.224/27"
"""Where the lab's Wikipedia is."""
LISTED = [f"{first}.{second}.{third}.0/24" for first in (23, 52, 151) for second in range(10) for third in range(0, 40, 2)]
MANY = [*LISTED[:-1], WIKIPEDIA]
"""Six hundred blocks, 200 in each of three parts of the address space."""
PARTS = ["many-ext-0-3", "many-ext-32-3", "many-ext-128-1"]


def file(cli: Cli, addresses: list[str], name: str = "many.yaml", **spec: Any) -> str:
    target = {
        "apiVersion": "egressctl.dev/v1alpha1",
        "kind": "EgressTarget",
        "metadata": {"name": "many"},
        "spec": {
            "serviceEntry": {
                "hosts": ["wikipedia.org"],
                "addresses": addresses,
                "ports": [{"number": 443, "name": "tcp-port", "protocol": "TCP"}],
                "exportTo": ["."],
                **spec,
            },
            "probes": [{"name": "portal", "url": "https://www.wikipedia.org"}],
        },
    }
    return cli.file(yaml.safe_dump(target), name)


def lines(*results: tuple[str, str]) -> str:
    return "".join(f"serviceentry.networking.istio.io/{name} {action}\n" for name, action in results)


def made(cli: Cli, addresses: list[str] = MANY) -> Ran:
    ran = cli("create", "-f", file(cli, addresses))
    assert ran.code == 0, ran
    return ran


def in_force(ran: Ran) -> dict[str, tuple[bool, str | None]]:
    """Whether the sidecar has each entry of the one target of a report, and the cause where it does not."""
    [target] = ran.report["targets"]
    return {each["serviceEntry"]: (each["inForce"], (each["cause"] or {}).get("code")) for each in target["parts"]}


def test_it_is_created_changed_proved_and_cleaned_up_as_one(cli: Cli, lab: Lab) -> None:
    first = made(cli)
    assert first.stdout == lines(*((name, "created") for name in PARTS))
    assert first.told("warning") == [], "its entries are no rivals of one another"
    assert lab.is_open()

    changed = cli("diff", "-f", file(cli, [*MANY, "52.3.1.0/24"]), "-o", "name")
    assert (changed.code, changed.stdout) == (1, f"serviceentry.networking.istio.io/{PARTS[1]}\n")
    again = made(cli, [*MANY, "52.3.1.0/24"])
    assert again.stdout == lines((PARTS[0], "unchanged"), (PARTS[1], "configured"), (PARTS[2], "unchanged"))

    shown = cli("verify", "many", "-o", "json")
    [target] = shown.report["targets"]
    assert (shown.code, shown.judged, target["verdict"]) == (0, [("open", None)], "open"), "the probe is sent once"
    assert target["serviceEntries"] == PARTS
    assert shown.probes[0]["evidence"]["owner"].startswith("default/many-ext-128-1 lists 208.80.154.224/27 ")
    assert in_force(shown) == dict.fromkeys(PARTS, (True, None))
    assert [each["addresses"] for each in target["parts"]] == [200, 201, 200]

    without_a_name = cli("verify", "--around", "--show-path")
    assert without_a_name.code == 0
    assert "; all 3 ServiceEntries are in force in the sidecar, with 601 addresses\n" in without_a_name.stdout
    assert "208.80.155.0:443 is not what a ServiceEntry of many lists, and the mesh refused it" in without_a_name.stdout
    assert "leads to default/many-ext-128-1" in cli("explain", "many").stdout
    linted = {each["rule"] for each in cli("lint", "-f", file(cli, MANY), "-o", "json").report["findings"]}
    assert linted == {"opens-cdn", "stale-blocks"}, "its entries are no rivals of one another"

    cleaned = cli("cleanup", "-o", "json")
    [target] = cleaned.report["targets"]
    assert (cleaned.code, target["serviceEntries"], target["closure"]["held"]) == (0, PARTS, True)
    assert nothing_is_left(lab)


def test_what_the_list_was_before_goes_once_what_it_is_now_is_in_force(cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
    one, two = [*LISTED[:255], WIKIPEDIA], [*LISTED[:256], WIKIPEDIA]
    made(cli, one)
    assert owned(lab) == ["serviceentry/many-ext"]

    wanted = cli("diff", "-f", file(cli, two), "-o", "json").report["entries"]
    assert {each["serviceEntry"]: each["action"] for each in wanted} == {
        "many-ext-0-1": "created",
        "many-ext-128-1": "created",
        "many-ext": "deleted",
    }
    grown = cli.at(proxy.kubeconfig)("create", "-f", file(cli, two))
    assert grown.stdout == lines(("many-ext-0-1", "created"), ("many-ext-128-1", "created"), ("many-ext", "deleted"))
    [deleted] = [call.index for call in proxy.calls if call.method == "DELETE"]
    applied = [call.index for call in proxy.calls if call.method == "PATCH"]
    looked = [call.index for call in proxy.calls if call.is_exec]
    assert max(applied) < max(looked) < deleted, "no address is without an entry in between"
    assert lab.is_open()

    unwanted = cli("diff", "-f", file(cli, one), "-o", "json").report["entries"]
    assert [each["serviceEntry"] for each in unwanted if each["action"] == "deleted"] == ["many-ext-0-1", "many-ext-128-1"]
    shrunk = cli("create", "-f", file(cli, one), "-o", "json")
    [target] = shrunk.report["targets"]
    actions = {each["serviceEntry"]: each["action"] for each in target["parts"]}
    assert actions == {"many-ext": "created", "many-ext-0-1": "deleted", "many-ext-128-1": "deleted"}
    assert (target["serviceEntries"], target["action"]) == (["many-ext"], "configured")
    assert owned(lab) == ["serviceentry/many-ext"]
    assert lab.is_open()


@pytest.mark.parametrize(("gone", "missed"), [(PARTS[1], PARTS[1]), (PARTS[0], "many-ext")], ids=["one", "the first"])
def test_an_entry_that_is_gone_is_missed(cli: Cli, lab: Lab, gone: str, missed: str) -> None:
    made(cli)
    lab.api("DELETE", f"{ENTRIES}/{gone}")
    ran = cli("verify", "many", "-o", "json")
    [target] = ran.report["targets"]
    assert (ran.code, ran.judged, target["verdict"], ran.report["verdict"]) == (1, [("open", None)], "unproven", "unproven")
    there = {name: (True, None) for name in PARTS if name != gone}
    assert in_force(ran) == {**there, missed: (False, "entry-missing")}
    of_file = cli("verify", "-f", file(cli, MANY), "-o", "json")
    assert (of_file.code, of_file.judged) == (1, [("open", None)])
    assert in_force(of_file) == {**there, gone: (False, "entry-missing")}


def test_an_entry_of_which_a_sidecar_resource_leaves_one_block_is_told(cli: Cli, lab: Lab) -> None:
    made(cli)
    start_object(lab, "Sidecar", "only", {"egress": [{"hosts": ["./wikipedia.org"]}]})
    asked = ("verify", "many", "--expect", "open", "-o", "json")
    assert eventually(lambda: cli(*asked).code == 1)
    told = in_force(cli(*asked))
    assert {each for each in told.values() if not each[0]} == {(False, "hidden-by-sidecar")}
    assert sum(not held for held, _ in told.values()) >= 2


def test_an_address_in_none_of_its_entries_is_said_of_all(cli: Cli, lab: Lab) -> None:
    made(cli, [*LISTED[:-1], "208.80.153.224/27"])
    ran = cli("verify", "many", "-o", "json")
    assert (ran.code, ran.judged) == (1, [("blocked", "address-not-listed")])
    assert "in none of the 600 blocks of the ServiceEntries of many" in ran.probes[0]["cause"]["message"]


def test_what_git_applied_is_one_target_as_well(cli: Cli, lab: Lab) -> None:
    rendered = cli("render", "-f", file(cli, MANY), "-n", "default")
    manifests = list(yaml.safe_load_all(rendered.stdout))
    assert [each["metadata"]["name"] for each in manifests] == PARTS
    for each in manifests:
        lab.create(each)
    assert eventually(lab.is_open)
    ran = cli("verify", "many", "-o", "json")
    assert (ran.code, ran.judged) == (0, [("open", None)])
    assert in_force(ran) == dict.fromkeys(PARTS, (True, None))
    refused = cli("run", "-f", file(cli, MANY))
    assert (refused.code, owned(lab)) == (1, []), refused.stderr
    assert "egressctl did not make it" in refused.error


class TestRun:
    def test_leaves_nothing(self, cli: Cli, lab: Lab) -> None:
        ran = cli("run", "-f", file(cli, MANY), "-o", "json")
        [target] = ran.report["targets"]
        assert (ran.code, ran.judged, target["closure"]["held"]) == (0, [("open", None)], True)
        assert (target["serviceEntries"], in_force(ran)) == (PARTS, dict.fromkeys(PARTS, (True, None)))
        assert nothing_is_left(lab)

    def test_is_refused_where_the_target_is_there_in_other_parts(self, cli: Cli, lab: Lab) -> None:
        made(cli, MANY[-200:])
        ran = cli("run", "-f", file(cli, MANY))
        assert ran.code == 1
        assert ran.error.startswith("ServiceEntry default/many-ext is there already, made ")
        assert owned(lab) == ["serviceentry/many-ext"]

    @pytest.mark.parametrize(("command", "signum"), [("run", signal.SIGTERM), ("create", signal.SIGINT)])
    def test_a_signal_between_two_of_its_entries_leaves_nothing(
        self, cli: Cli, lab: Lab, proxy: FaultProxy, command: str, signum: signal.Signals
    ) -> None:
        def applies(call: Call) -> bool:
            return call.method == "PATCH" and call.path.endswith(f"/{PARTS[1]}")

        def stop(pid: Future[int]) -> Action:
            return Signal(lambda: pid.result(10), signum, "after")

        ran = interrupted(cli, proxy, command, "-f", file(cli, MANY), signum=signum, when=applies, action=stop)
        assert ran.code == EXITS[signum]
        assert nothing_is_left(lab)


class TestCleanup:
    def test_of_which_some_is_left_lists_all_that_is(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(cli)
        proxy.rules = lambda call: (
            Respond(403, "Forbidden") if call.method == "DELETE" and not call.path.endswith(PARTS[0]) else None
        )
        ran = cli.at(proxy.kubeconfig)("cleanup", "many")
        assert ran.code == 5
        assert all(f"ServiceEntry default/{name}" in ran.error for name in PARTS[1:])
        assert ran.hint == "remove it with: " + " && ".join(
            f"kubectl delete serviceentry -n default {name}" for name in sorted(PARTS[1:])
        )
        assert sorted(owned(lab)) == sorted(f"serviceentry/{name}" for name in PARTS[1:])

    def test_of_two_targets_names_each_once(self, cli: Cli, lab: Lab) -> None:
        made(cli)
        assert cli("create", "one", "--host", "one.example", "--address", "192.0.2.0/24", "--port", "443", "--no-wait").code == 0
        refused = cli("cleanup")
        assert refused.error == "egressctl made 4 ServiceEntries in namespace default: many (3 entries), one-ext"
        assert cli("cleanup", "many", "--no-verify").code == 0
        assert owned(lab) == ["serviceentry/one-ext"]


def test_what_may_not_be_removed_of_before_is_named(cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
    made(cli, MANY[-200:])
    proxy.rules = lambda call: Respond(403, "Forbidden") if call.method == "DELETE" else None
    ran = cli.at(proxy.kubeconfig)("create", "-f", file(cli, MANY))
    assert ran.code == 5
    assert "ServiceEntry default/many-ext" in ran.error
    assert sorted(json.loads(cli("verify", "many", "-o", "json").stdout)["targets"][0]["serviceEntries"]) == sorted(
        [*PARTS, "many-ext"]
    )
    assert made(cli).stdout.endswith(lines(("many-ext", "deleted")))
