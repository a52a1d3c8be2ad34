"""`egressctl explain` on the lab: the way as the sidecar has it, without a request."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from jsonschema import Draft202012Validator

from cli import Cli, Odd, Ran, entry, instead, made, pod, sidecar_leads_to, start_pod, with_environment
from faults import Call, FaultProxy, Respond
from labs import Lab, eventually

PORTAL = "https://www.wikipedia.org"
IP = "208.80.154.224"
OURS = "outbound|443||wikipedia.org"
SCHEMA = json.loads((Path(__file__).parents[4] / "docs" / "reference" / "explanation.schema.json").read_text())


def paths(ran: Ran) -> list[dict[str, Any]]:
    """The ways of an explanation, which is as its schema says."""
    report = ran.report
    Draft202012Validator(SCHEMA).validate(report)
    assert report["exitCode"] == ran.code
    found: list[dict[str, Any]] = report["paths"]
    return found


def texts(path: dict[str, Any]) -> dict[str, str]:
    return {each["name"]: each["text"] for each in path["stations"]}


class TestAUrl:
    def test_that_an_entry_carries(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        ran = cli("explain", PORTAL, "-o", "json")
        [path] = paths(ran)
        assert (ran.code, path["address"], path["resolvedBy"]) == (0, IP, "pod default/sleep")
        assert (path["listener"], path["filterChain"]) == ("0.0.0.0_443", "208.80.154.224/27")
        assert (path["envoyCluster"], path["serviceEntry"], path["target"]) == (OURS, "default/wikipedia-ext", None)
        assert (path["next"], path["leavesPod"]) == (f"the sidecar connects to {IP}:443", True)
        assert {each["leadsTo"] for each in path["losers"]} == {OURS}

    def test_that_the_policy_refuses(self, cli: Cli) -> None:
        ran = cli("explain", "https://outside.example")
        assert ran.code == 0
        assert "✘ Envoy cluster BlackHoleCluster" in ran.stdout
        assert "cause  blackhole: " in ran.stdout
        assert ran.stderr == "looking at the path from pod default/sleep; nothing is sent\n"

    def test_what_it_says_is_what_verify_meets(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        for url in (PORTAL, f"{PORTAL}:8443", "https://outside.example", "http://www.wikipedia.org"):
            [path] = paths(cli("explain", url, "-o", "json"))
            [probe] = cli("verify", "--probe", url, "-o", "json").probes
            assert path["envoyCluster"] == probe["evidence"]["envoyCluster"], url
            assert path["leavesPod"] is (probe["verdict"] == "open"), url

    def test_nothing_is_sent(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab)
        cli.at(proxy.kubeconfig)("explain", PORTAL)
        commands = [parse_qs(call.query)["command"] for call in proxy.calls if call.is_exec]
        assert ["getent", "ahosts", "www.wikipedia.org"] in commands
        assert {words[0] for words in commands} == {"getent", "pilot-agent"}
        assert all(words[1:3] == ["request", "GET"] for words in commands if words[0] == "pilot-agent")
        assert {call.method for call in proxy.calls} == {"GET"}

    def test_names_only(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        assert cli("explain", PORTAL, "-o", "name").stdout == "serviceentry.networking.istio.io/wikipedia-ext\n"


class TestATarget:
    def test_is_held_against_its_entry(self, cli: Cli, lab: Lab) -> None:
        made(lab)
        ran = cli("explain", "wikipedia", "serviceentry/wikipedia-ext", "-o", "json")
        found = paths(ran)
        assert [path["url"] for path in found] == [PORTAL, "https://en.wikipedia.org/wiki/Main_Page"] * 2
        assert all(path["target"] == {"serviceEntry": "default/wikipedia-ext", "reached": True} for path in found)
        assert all(path["cause"] is None for path in found)

    def test_that_is_not_there_is_explained_all_the_same(self, cli: Cli) -> None:
        ran = cli("explain", "wikipedia", "-o", "json")
        assert ran.code == 0
        assert [(path["target"]["reached"], path["cause"]["code"]) for path in paths(ran)] == [(False, "entry-missing")] * 2

    def test_whose_address_another_holds_is_told_with_the_rival(self, cli: Cli, lab: Lab) -> None:
        lab.create(entry("rival", hosts=["rival.example"], addresses=[IP]))
        assert eventually(lambda: sidecar_leads_to(lab, "rival.example"))
        made(lab)
        path = paths(cli("explain", "wikipedia", "-o", "json"))[0]
        assert (path["serviceEntry"], path["target"]["reached"]) == ("default/rival", False)
        assert path["cause"]["code"] == "rival-entry"

    def test_that_nobody_knows_is_refused(self, cli: Cli) -> None:
        ran = cli("explain", "wikipedi")
        assert ran.code == 2
        assert ran.error.startswith("wikipedi is no URL, and there is no ServiceEntry")
        assert ran.error.endswith("did you mean wikipedia?")

    def test_of_nothing_is_refused(self, cli: Cli) -> None:
        ran = cli("explain")
        assert (ran.code, ran.error) == (2, "no URL is named")


class TestTheName:
    def test_addresses_that_are_given_are_explained_one_by_one(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab)
        given = ("--address", IP, "--address", "203.0.113.10")
        ran = cli.at(proxy.kubeconfig)("explain", "https://no-such.example", *given, "-o", "json")
        assert [(path["address"], path["envoyCluster"]) for path in paths(ran)] == [
            (IP, OURS),
            ("203.0.113.10", "BlackHoleCluster"),
        ]
        assert not [call for call in proxy.calls if call.is_exec and "getent" in call.query]

    def test_one_that_is_no_address_is_refused(self, cli: Cli) -> None:
        ran = cli("explain", PORTAL, "--address", "wikipedia.org")
        assert (ran.code, ran.error, ran.hint) == (2, "--address wikipedia.org: no address", "such as 192.0.2.1")

    def test_that_the_pod_cannot_resolve_ends_the_way(self, cli: Cli) -> None:
        ran = cli("explain", "https://no-such.example", "-o", "json")
        [path] = paths(ran)
        assert (ran.code, path["address"], path["leavesPod"]) == (0, None, False)
        assert path["next"] == "nothing is sent: pod default/sleep cannot resolve no-such.example"

    def test_is_resolved_here_where_the_container_has_no_getent(self, cli: Cli, odd: Odd, tmp_path: Path) -> None:
        at = cli.at(odd(with_environment(PATH=str(tmp_path))))
        ran = at("explain", "https://localhost", "-o", "json")
        path = paths(ran)[0]
        assert path["resolvedBy"] == "this machine"
        assert "container sleep of pod default/sleep has no getent; the pod may get another address" in texts(path)["name"]

    def test_that_neither_can_resolve_is_not_explained(self, cli: Cli, odd: Odd, tmp_path: Path) -> None:
        at = cli.at(odd(with_environment(PATH=str(tmp_path))))
        ran = at("explain", "https://no-such-name.invalid", "-o", "json")
        [path] = paths(ran)
        assert (ran.code, path["leavesPod"]) == (3, None)
        assert "cannot resolve no-such-name.invalid" in path["unknown"] or "did not resolve" in path["unknown"]
        assert ran.hint == "name an address: egressctl explain https://no-such-name.invalid --address IP"


class TestThePod:
    def test_without_a_sidecar_goes_straight_out(self, cli: Cli, lab: Lab) -> None:
        start_pod(lab, pod("bare", app="bare", inject=False))
        ran = cli("explain", "wikipedia", "--pod", "bare", "-o", "json")
        path = paths(ran)[0]
        assert (ran.code, path["cause"]["code"], path["envoyCluster"]) == (0, "no-sidecar", None)
        assert path["next"] == f"it goes to {IP}:443 itself: the pod has no sidecar"

    def test_that_leaves_the_address_out_is_told_as_a_hint(self, cli: Cli, lab: Lab) -> None:
        manifest = pod("excluding")
        annotation = "traffic.sidecar.istio.io/excludeOutboundIPRanges"
        manifest["metadata"]["annotations"] = {annotation: "208.80.154.0/24"}
        start_pod(lab, manifest)
        path = paths(cli("explain", PORTAL, "--pod", "excluding", "-o", "json"))[0]
        assert (
            f"perhaps not by the sidecar: annotation {annotation} leaves out 208.80.154.0/24 (a hint)" in texts(path)["capture"]
        )
        path = paths(cli("explain", "https://outside.example", "--pod", "excluding", "-o", "json"))[0]
        assert "perhaps" not in texts(path)["capture"]

    def test_that_is_not_there(self, cli: Cli) -> None:
        ran = cli("explain", PORTAL, "--pod", "nobody")
        assert (ran.code, ran.error) == (3, "there is no pod nobody in namespace default")


CHANGING = """\
PATH=${PATH#*:}
case "$*" in
    *stats*) pilot-agent "$@" | sed -E "s/(listener_modified\\"[^0-9]*)[0-9]+/\\1$$/";;
    *) exec pilot-agent "$@";;
esac
"""
"""A sidecar whose listeners are never the same at two looks."""


class TestTheSidecar:
    def test_that_cannot_be_read_leaves_the_way_before_it(self, cli: Cli, odd: Odd, tmp_path: Path) -> None:
        at = cli.at(odd(instead(tmp_path / "bin", "pilot-agent", "echo 'no such host' >&2; exit 1", sidecar=True)))
        ran = at("explain", PORTAL, "-o", "json")
        [path] = paths(ran)
        assert (ran.code, path["address"], path["leavesPod"]) == (3, IP, None)
        assert "did not answer" in path["unknown"]
        assert ran.error.startswith(f"the path of {PORTAL} is not explained: the sidecar of sleep did not answer")
        assert ran.hint == "egressctl doctor -n default --pod sleep"

    def test_that_changes_all_the_time_is_not_guessed_at(self, cli: Cli, odd: Odd, tmp_path: Path) -> None:
        at = cli.at(odd(instead(tmp_path / "bin", "pilot-agent", CHANGING, sidecar=True)))
        ran = at("explain", PORTAL, "-o", "json")
        assert ran.code == 3
        assert paths(ran)[0]["unknown"] == "the configuration of the sidecar of sleep changes while it is read"


def forbidding(end: str) -> Callable[[Call], Respond | None]:
    """Refuse to list what has this path's end."""
    return lambda call: Respond(403, "Forbidden") if call.path.endswith(end) else None


class TestRights:
    def test_without_the_right_to_list_all_namespaces_that_is_said(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab)
        proxy.rules = forbidding("/v1/serviceentries")
        ran = cli.at(proxy.kubeconfig)("explain", PORTAL, "-o", "json")
        assert (ran.code, paths(ran)[0]["serviceEntry"]) == (0, "default/wikipedia-ext")
        [told] = ran.report["notLookedAt"]
        assert told.startswith("serviceentries.networking.istio.io of namespaces other than default were not looked at")
        assert ran.told("warning") == [told]

    def test_without_the_right_to_list_any_nobodys_way_is_named(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab)
        proxy.rules = forbidding("/serviceentries")
        ran = cli.at(proxy.kubeconfig)("explain", PORTAL, "-o", "json")
        [path] = paths(ran)
        assert (ran.code, path["envoyCluster"], path["serviceEntry"]) == (0, OURS, None)
        assert "were not looked at" in ran.report["notLookedAt"][0]

    def test_what_else_is_around_is_looked_at_only_for_a_cause(self, cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
        made(lab)
        at = cli.at(proxy.kubeconfig)
        at("explain", "wikipedia", "https://www.wikipedia.org")
        assert not [call for call in proxy.calls if "/sidecars" in call.path]
        for asked in (["https://outside.example"], ["wikipedia", "--address", "192.0.2.7"]):
            proxy.calls.clear()
            assert at("explain", *asked, "-o", "json").code == 0
            assert [call for call in proxy.calls if "/sidecars" in call.path]


PLURALS = {"Sidecar": "sidecars", "VirtualService": "virtualservices", "DestinationRule": "destinationrules"}


@pytest.fixture
def around(lab: Lab) -> Iterator[Callable[..., None]]:
    """Put objects of Istio's other kinds around the entries; they are removed afterwards."""
    made_here: list[str] = []

    def put(kind: str, **spec: Any) -> None:
        path = f"/apis/networking.istio.io/v1/namespaces/default/{PLURALS[kind]}"
        metadata = {"name": "it", "namespace": "default"}
        body = {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": metadata, "spec": spec}
        status, answer = lab.api("POST", path, body)
        assert status == 201, answer
        made_here.append(f"{path}/it")

    yield put
    for path in made_here:
        lab.api("DELETE", path)


class TestWhatIsAround:
    """Each way is asked for until the sidecar has followed; then verify has to meet the same."""

    @staticmethod
    def path(cli: Cli, *words: str) -> dict[str, Any]:
        return paths(cli("explain", *words, "-q", "-o", "json"))[0]

    def test_a_virtual_service_that_leads_elsewhere(self, cli: Cli, lab: Lab, around: Callable[..., None]) -> None:
        made(lab)
        lab.create(entry("other-ext", hosts=["other.example"], addresses=["198.51.100.0/24"]))
        around("VirtualService", hosts=["wikipedia.org"], tcp=[{"route": [{"destination": {"host": "other.example"}}]}])
        assert eventually(lambda: self.path(cli, "wikipedia")["envoyCluster"] == "outbound|443||other.example")
        path = self.path(cli, "wikipedia")
        assert (path["virtualService"], path["cause"]["code"], path["target"]["reached"]) == ("default/it", "rerouted", False)

    def test_a_sidecar_resource_that_hides_the_entry(self, cli: Cli, lab: Lab, around: Callable[..., None]) -> None:
        made(lab)
        around("Sidecar", egress=[{"hosts": ["istio-system/*"]}])
        assert eventually(lambda: self.path(cli, "wikipedia")["envoyCluster"] == "BlackHoleCluster")
        cause = self.path(cli, "wikipedia")["cause"]
        assert cause["code"] == "hidden-by-sidecar"
        assert "Sidecar default/it" in cause["message"]

    def test_a_destination_rule_that_wraps_tls(self, cli: Cli, lab: Lab, around: Callable[..., None]) -> None:
        made(lab)
        around("DestinationRule", host="wikipedia.org", trafficPolicy={"tls": {"mode": "SIMPLE"}})
        assert eventually(lambda: "TLS arrives inside TLS" in self.path(cli, "wikipedia")["next"])
        path = self.path(cli, "wikipedia")
        assert (path["cause"]["code"], path["target"]["reached"], path["leavesPod"]) == ("rerouted", True, True)

    def test_plain_http_by_its_route(self, cli: Cli, lab: Lab) -> None:
        port = [{"number": 80, "name": "http", "protocol": "HTTP"}]
        lab.create(entry("web-ext", hosts=["www.wikipedia.org"], addresses=[], ports=port))
        url = "http://www.wikipedia.org"
        assert eventually(lambda: self.path(cli, url)["envoyCluster"] == "outbound|80||www.wikipedia.org")
        path = self.path(cli, url)
        assert path["serviceEntry"] == "default/web-ext"
        assert "www.wikipedia.org:80" in texts(path)["HTTP route"]
        other = self.path(cli, "http://outside.example")
        assert (other["next"], other["leavesPod"]) == ("the sidecar answers with HTTP 502 by itself", False)

    def test_endpoints_of_an_entrys_own(self, cli: Cli, lab: Lab) -> None:
        endpoints = [{"address": "203.0.113.10"}]
        lab.create(entry("fixed-ext", hosts=["fixed.example"], resolution="STATIC", endpoints=endpoints))
        assert eventually(lambda: self.path(cli, PORTAL)["envoyCluster"] == "outbound|443||fixed.example")
        assert self.path(cli, PORTAL)["next"] == "the sidecar connects to 203.0.113.10:443"
