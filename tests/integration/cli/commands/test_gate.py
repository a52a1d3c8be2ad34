"""The gate: files held against a snapshot without any right, and a real API server asked about them by dry run."""

from __future__ import annotations

import json

import yaml

from cli import Cli, Ran, entry
from faults import Call, FaultProxy, Respond
from labs import Lab

LONGER = entry("mirror", hosts=["mirror.example"], addresses=["208.80.154.224/28"], exportTo=["."])
RULES = ("--select", "takes-traffic,returns-traffic,same-block,overlapping-blocks")


def found(ran: Ran) -> list[tuple[str, int, str]]:
    """Rule, line and the entry that each finding is about."""
    return [(each["rule"], each["line"], each["where"]) for each in ran.report["findings"]]


def write(cli: Cli, name: str, *manifests: object) -> str:
    return cli.file(yaml.safe_dump_all(manifests), name)


def test_whose_traffic_a_pull_request_would_take_is_told_without_a_kubernetes_cluster(cli: Cli, lab: Lab) -> None:
    lab.create(entry("theirs", exportTo=["."]))
    lab.create(entry("same", hosts=["same.example"], addresses=["192.0.2.0/24"], exportTo=["."]))
    assert cli("snapshot", "saved", "-q").code == 0
    gate = cli.at(None)
    unchanged = entry("same", hosts=["same.example"], addresses=["192.0.2.0/24"], exportTo=["."])
    file = write(cli, "change.yaml", LONGER, unchanged)
    ran = gate("lint", file, "--against", "saved", *RULES, "-o", "json")
    assert (ran.code, found(ran)) == (1, [("takes-traffic", 8, "default/mirror")])
    [told] = ran.report["findings"]
    assert told["about"] == {"kind": "ServiceEntry", "namespace": "default", "name": "theirs"}
    assert told["message"].endswith("default/mirror takes 208.80.154.224/28, since the longest prefix goes first")
    assert (told["hint"], told["origin"]) == ("it is in saved as default/theirs", "egressctl")

    meant = cli.file(f"# egressctl: ignore=takes-traffic\n{yaml.safe_dump(LONGER)}", "meant.yaml")
    assert gate("lint", meant, "--against", "saved", *RULES).code == 0


def test_a_route_in_a_pull_request_is_held_against_entries_that_are_not_in_it(cli: Cli, lab: Lab) -> None:
    lab.create(entry("theirs", exportTo=["."]))
    assert cli("snapshot", "saved", "-q").code == 0
    route = {"hosts": ["wikipedia.org"], "tcp": [{"route": [{"destination": {"host": "other.example"}}]}]}
    metadata = {"name": "detour", "namespace": "default"}
    file = write(
        cli,
        "route.yaml",
        {"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": metadata, "spec": route},
    )
    ran = cli.at(None)("lint", file, "--against", "saved", "-o", "json")
    assert (ran.code, found(ran)) == (1, [("takes-traffic", 4, "default/theirs")])


def test_what_the_snapshot_could_not_see_is_told_again(cli: Cli, proxy: FaultProxy) -> None:
    proxy.rules = lambda call: Respond(403, "Forbidden") if "sidecars" in call.path else None
    assert cli.at(proxy.kubeconfig)("snapshot", "saved", "-q").code == 0
    ran = cli.at(None)("lint", write(cli, "a.yaml", LONGER), "--against", "saved", "-o", "json")
    assert ran.report["notLookedAt"] == [
        "sidecars.networking.istio.io were not looked at: no right to list them in all namespaces"
    ]
    assert ran.hint == "take it with more rights: egressctl snapshot saved"


def test_what_is_no_snapshot_is_refused(cli: Cli) -> None:
    file = write(cli, "a.yaml", LONGER)
    for folder in ("nothing", "."):
        ran = cli.at(None)("lint", file, "--against", folder)
        assert (ran.code, ran.stdout) == (2, "")
        assert len(ran.told("error")) == 1
    for words in (("--against", "saved"), ("wikipedia", "--ask-server")):
        assert "is about FILES" in cli.at(None)("lint", *words).error


def test_an_api_server_refuses_by_dry_run_what_is_wrong_and_names_its_place(cli: Cli, lab: Lab) -> None:
    lab.create(entry("theirs"))
    good, there = entry("good"), entry("theirs", addresses=["192.0.2.0/24"])
    unknown = {**entry("unknown"), "spec": {**entry()["spec"], "hostz": ["a.example"]}}
    wrong = entry("wrong", resolution="DNS")
    file = write(cli, "a.yaml", good, there, unknown, wrong)
    ran = cli("lint", file, "--ask-server", "--select", "refused-by-server,warned-by-server", "-o", "json")
    assert ran.code == 1, ran
    assert {(each["where"], each["rule"], each["origin"]) for each in ran.report["findings"]} == {
        ("default/unknown", "refused-by-server", "istio"),
        ("default/wrong", "refused-by-server", "istio"),
    }
    assert 'unknown field "spec.hostz"' in ran.report["findings"][0]["message"]
    assert "CIDR addresses are allowed only for NONE/STATIC resolution types" in ran.report["findings"][1]["message"]
    _, left = lab.api("GET", "/apis/networking.istio.io/v1/serviceentries")
    assert [(each["metadata"]["name"], each["spec"]["addresses"]) for each in left["items"]] == [
        ("theirs", ["208.80.154.224/27"])
    ]


def test_what_an_api_server_warns_of_is_a_finding_of_each_manifest(cli: Cli, proxy: FaultProxy) -> None:
    def warn(call: Call) -> Respond | None:
        if call.method != "POST":
            return None
        made = {**LONGER, "metadata": {**LONGER["metadata"], "uid": "a", "resourceVersion": "7"}}
        return Respond(201, headers={"Warning": '299 - "mind this"'}, body=json.dumps(made).encode())

    proxy.rules = warn
    file = write(cli, "a.yaml", LONGER, entry("other"))
    ran = cli.at(proxy.kubeconfig)("lint", file, "--ask-server", "--select", "warned-by-server", "-o", "json")
    told = [(each["where"], each["message"], each["severity"]) for each in ran.report["findings"]]
    assert (ran.code, told) == (0, [(f"default/{name}", "mind this", "warning") for name in ("mirror", "other")])


def test_where_it_cannot_be_asked_nothing_is_passed(cli: Cli, proxy: FaultProxy) -> None:
    proxy.rules = lambda call: Respond(403, "Forbidden") if call.method == "POST" else None
    ran = cli.at(proxy.kubeconfig)("lint", write(cli, "a.yaml", LONGER), "--ask-server")
    assert (ran.code, ran.stdout) == (3, "")
    odd = write(cli, "b.yaml", {**LONGER, "apiVersion": "networking.istio.io/v7"})
    ran = cli("lint", odd, "--ask-server", "--select", "refused-by-server", "-o", "json")
    assert (ran.code, found(ran)) == (1, [("refused-by-server", 1, "default/mirror")])
