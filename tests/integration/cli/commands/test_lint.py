"""`egressctl lint`, and what `create` says before it applies, against an API server with objects in the way."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli import Cli, entry, made, start_object
from egressctl.manifests.yaml_writer import write_yaml
from faults import Call, FaultProxy, Respond
from labs import Lab

ISTIO = "/apis/networking.istio.io/v1"
WIDE = [f"{ISTIO}/{plural}" for plural in ("serviceentries", "sidecars", "virtualservices", "destinationrules")]
WIDE += ["/api/v1/services", "/api/v1/namespaces"]


def rules(ran: Any) -> list[tuple[str, str]]:
    """The findings: rule, and the name of the object that each is about."""
    return [(each["rule"], (each["about"] or {}).get("name", "")) for each in ran.report["findings"]]


def test_a_target_that_nothing_is_in_the_way_of(cli: Cli) -> None:
    ran = cli("lint", "wikipedia", "--export-to", ".")
    assert (ran.code, ran.stdout) == (0, "")
    assert "1 ServiceEntry looked at, and nothing found" in ran.stderr


def test_everything_that_is_in_the_way_is_named(cli: Cli, lab: Lab) -> None:
    lab.create(entry("rival", hosts=["aaa.example"], exportTo=["."]))
    start_object(lab, "Sidecar", "narrow", {"egress": [{"hosts": ["istio-system/*"]}]})
    route = {"hosts": ["wikipedia.org"], "tcp": [{"route": [{"destination": {"host": "other.example"}}]}]}
    start_object(lab, "VirtualService", "detour", route)
    start_object(lab, "DestinationRule", "twice", {"host": "wikipedia.org", "trafficPolicy": {"tls": {"mode": "SIMPLE"}}})
    ran = cli("lint", "wikipedia", "--export-to", ".", "-o", "json")
    assert ran.code == 0
    assert rules(ran) == [
        ("same-block", "rival"),
        ("hidden-by-sidecar", "narrow"),
        ("rerouted", "detour"),
        ("wrapped-in-tls", "twice"),
    ]
    assert (ran.report["kind"], ran.report["notLookedAt"]) == ("LintReport", [])
    assert {(each["severity"], each["origin"], each["where"]) for each in ran.report["findings"]} == {
        ("warning", "egressctl", "default/wikipedia-ext")
    }


def test_who_wins_depends_on_the_age_of_what_is_there(cli: Cli, lab: Lab) -> None:
    made(lab)
    lab.create(entry("a-rival", hosts=["zzz.example"]))  # Of one second the host decides.
    ran = cli("lint", "wikipedia", "-o", "json")
    told = next(each["message"] for each in ran.report["findings"] if each["rule"] == "same-block")
    assert "default/wikipedia-ext gets it" in told


def test_what_others_made_is_linted_by_its_name(cli: Cli, lab: Lab) -> None:
    lab.create(entry("theirs", hosts=["aaa.example"], addresses=["208.80.154.230/27"], exportTo=["."]))
    for name in ("serviceentry/theirs", "theirs"):
        ran = cli("lint", name, "-o", "json")
        assert (ran.code, rules(ran)) == (0, [("questionable-spec", "")])
    assert cli("lint", "theirs", "-o", "name").stdout == "default/theirs\n"


def test_a_port_of_istios_own_is_an_error(cli: Cli, lab: Lab) -> None:
    lab.create(entry("odd", ports=[{"number": 15021, "name": "a", "protocol": "TCP"}], exportTo=["."]))
    ran = cli("lint", "odd")
    assert ran.code == 1
    assert ran.stdout.startswith("error    reserved-port  default/odd: port 15021 is Istio's own")


def test_without_a_name_what_egressctl_made_is_linted(cli: Cli, lab: Lab) -> None:
    none = cli("lint")
    assert (none.code, none.error) == (3, "egressctl made no ServiceEntry in namespace default")
    made(lab)
    lab.create(entry("theirs", hosts=["aaa.example"], addresses=["192.0.2.0/24"]))
    for argv in (("lint",), ("lint", "-A")):
        ran = cli(*argv, "-o", "json")
        assert (ran.code, rules(ran)) == (0, [("exported-everywhere", "")])


def test_every_entry_of_the_kubernetes_cluster_is_linted_whoever_made_it(cli: Cli, lab: Lab) -> None:
    none = cli("lint", "--all")
    assert (none.code, none.error) == (3, "there is no ServiceEntry in namespace default")
    lab.create(entry("theirs", hosts=["aaa.example"], addresses=["104.16.0.0/24"], exportTo=["."]))
    for argv in (("--all",), ("--all", "-A")):
        ran = cli("lint", "-o", "json", *argv)
        assert (ran.code, rules(ran)) == (0, [("opens-cdn", "")])


def test_files_are_linted_without_a_kubernetes_cluster(cli: Cli) -> None:
    nowhere, text = cli.at(None), write_yaml(entry("theirs", addresses=["198.51.100.7/28"], exportTo=["."]))
    cli.file(text)
    ran = nowhere("lint", "targets.yaml", "-o", "json")
    assert (ran.code, ran.stderr, rules(ran)) == (0, "", [("host-bits", "")])
    assert (ran.report["findings"][0]["file"], ran.report["findings"][0]["line"]) == ("targets.yaml", 10)
    piped = nowhere("lint", "-", "-n", "shop", "-o", "github", stdin=text.replace("TCP", "UDP"))
    assert [line.partition("::default")[0] for line in piped.stdout.splitlines()] == [
        "::warning file=stdin,line=10,title=host-bits",
        "::warning file=stdin,line=12,title=udp-port",
    ]


def test_findings_go_to_a_file_beside_the_table_and_an_error_is_exit_code_1(cli: Cli) -> None:
    folder = Path(cli.file(write_yaml(entry("odd", ports=[{"number": 15021, "name": "a", "protocol": "TCP"}])))).parent
    ran = cli.at(None)("lint", ".", "--ignore", "exported-everywhere,stale-blocks", "-o", "sarif=found.sarif", "-o", "table")
    assert (ran.code, ran.stdout.count("\n")) == (1, 1)
    log = json.loads((folder / "found.sarif").read_text())
    assert [each["ruleId"] for each in log["runs"][0]["results"]] == ["reserved-port"]
    missing = cli.at(None)("lint", ".", "--select", "udp-port", "-o", "sarif=nowhere/found.sarif")
    assert missing.code == 2
    assert missing.error.startswith("--output sarif=nowhere/found.sarif: there is no folder ")


def test_a_gate_that_looked_at_nothing_says_so(cli: Cli) -> None:
    cli.file("kind: Deployment\n")
    ran = cli.at(None)("lint", "targets.yaml")
    assert (ran.code, ran.told("warning")) == (0, ["there is no ServiceEntry and no EgressTarget in 1 file"])


@pytest.mark.parametrize(
    ("argv", "told"),
    [
        (("nowhere.yaml",), "nowhere.yaml: is no file and no folder (check the path)"),
        (("targets.yaml", "wikipedia"), "targets.yaml is a file, and is linted without wikipedia"),
        (("targets.yaml", "-A"), "targets.yaml is a file, and is linted without -A and --all"),
        (("targets.yaml", "-f", "targets.yaml"), "targets.yaml is a file, and is linted without --filename"),
        (("targets.yaml", "--select", "same-blok"), '--select: lint has no rule "same-blok"'),
        (("targets.yaml", "-o", "xml"), "--output xml: no such format"),
    ],
)
def test_what_cannot_be_meant_of_files_is_refused(cli: Cli, argv: tuple[str, ...], told: str) -> None:
    cli.file("kind: Deployment\n")
    ran = cli.at(None)("lint", *argv)
    assert ran.code == 2
    assert ran.told("error")[0].startswith(told)


def test_one_that_is_not_there(cli: Cli) -> None:
    ran = cli("lint", "serviceentry/nothing")
    assert ran.code == 2
    assert "there is no ServiceEntry nothing in namespace default" in ran.error


def test_without_a_kubernetes_cluster_only_the_input_is_looked_at(cli: Cli) -> None:
    nowhere = cli.at(None)
    assert nowhere("lint", "wikipedia").code == 3
    ran = nowhere("lint", "wikipedia", "--offline", "-o", "json")
    assert (ran.code, rules(ran)) == (0, [])
    ran = nowhere("lint", "wikipedia", "--export-to", "*", "--offline", "-o", "json")
    assert (ran.code, rules(ran)) == (0, [("exported-everywhere", "")])


def test_every_problem_of_a_file_is_a_finding(cli: Cli) -> None:
    file = cli.file("apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\nspec: {hosts: ['*']}\n")
    ran = cli("lint", "-f", file, "-o", "json")
    assert (ran.code, ran.report["exitCode"]) == (2, 2)
    assert [each["rule"] for each in ran.report["findings"]] == ["invalid-input"] * 2
    assert ran.report["findings"][0]["where"] == f"{file}:4"


@pytest.mark.parametrize("argv", [("-A", "wikipedia"), ("--offline",), ("--offline", "-A")])
def test_words_that_contradict_each_other(cli: Cli, argv: tuple[str, ...]) -> None:
    assert cli("lint", *argv).code == 2


def test_where_not_everything_may_be_listed_the_namespace_is_looked_at_and_the_rest_told(
    cli: Cli, lab: Lab, proxy: FaultProxy
) -> None:
    start_object(lab, "Sidecar", "narrow", {"egress": [{"hosts": ["istio-system/*"]}]})
    proxy.rules = lambda call: Respond(403, "Forbidden") if call.path in WIDE else None
    ran = cli.at(proxy.kubeconfig)("lint", "wikipedia", "--export-to", ".", "-o", "json")
    assert (ran.code, rules(ran)) == (0, [("hidden-by-sidecar", "narrow")])
    assert len(ran.report["notLookedAt"]) == len(WIDE)
    assert (
        "sidecars.networking.istio.io of namespaces other than default and istio-system were not looked at: "
        "no right to list them in all namespaces"
    ) in ran.report["notLookedAt"]
    assert "egressctl rbac lint --causes" in ran.hint


def test_what_may_not_be_listed_at_all_is_told(cli: Cli, proxy: FaultProxy) -> None:
    def forbid(call: Call) -> Respond | None:
        if "sidecars" in call.path:
            return Respond(403, "Forbidden")
        return Respond(500) if "virtualservices" in call.path else None

    proxy.rules = forbid
    ran = cli.at(proxy.kubeconfig)("lint", "wikipedia", "--export-to", ".", "-o", "json")
    told = ran.report["notLookedAt"]
    assert ran.code == 0
    assert told[0] == "sidecars.networking.istio.io were not looked at: no right to list them in all namespaces"
    assert told[1].startswith("virtualservices.networking.istio.io were not looked at: the API server answered 500")


def test_a_kind_that_is_not_served_has_no_objects(cli: Cli, proxy: FaultProxy) -> None:
    proxy.rules = lambda call: Respond(404, "NotFound") if call.path == f"{ISTIO}/sidecars" else None
    ran = cli.at(proxy.kubeconfig)("lint", "wikipedia", "--export-to", ".", "-o", "json")
    assert (ran.code, ran.report["findings"], ran.report["notLookedAt"]) == (0, [], [])


def test_create_warns_of_each_object_in_one_line(cli: Cli, lab: Lab) -> None:
    lab.create(entry("rival", exportTo=["."]))
    route = {"hosts": ["wikipedia.org"], "tcp": [{"route": [{"destination": {"host": "other.example"}}]}]}
    start_object(lab, "VirtualService", "detour", route)
    ran = cli("create", "wikipedia", "--export-to", ".", "--dry-run=server")
    rival, detour = ran.told("warning")
    assert ran.code == 0
    assert rival.startswith("default/wikipedia-ext and default/rival: it has the same host wikipedia.org: ")
    assert "it lists the same block 208.80.154.224/27 on port 443: default/rival gets it, the older" in rival
    assert detour.startswith("default/wikipedia-ext and VirtualService default/detour: it sends wikipedia.org to other.example")


def test_create_says_what_it_could_not_look_at(cli: Cli, proxy: FaultProxy) -> None:
    proxy.rules = lambda call: Respond(403, "Forbidden") if call.path in WIDE else None
    ran = cli.at(proxy.kubeconfig)("create", "wikipedia", "--export-to", ".", "--dry-run=server")
    assert ran.code == 0
    assert ran.told("warning") == [
        "no right to list the ServiceEntries of all namespaces: conflicting entries among them are not seen",
        "not all sidecars, virtualservices, destinationrules, services could be looked at: "
        "egressctl lint says which, and what it needs",
    ]
