"""What people type first: a URL or HOST[:PORT] stands wherever a target may, and a new entry is for its own namespace."""

from __future__ import annotations

import json

import pytest
import yaml

from cli import Cli, entry
from faults import FaultProxy, Respond
from labs import Lab, eventually

pytestmark = pytest.mark.thorough

URL = "https://www.wikipedia.org"
MADE = "serviceentry.networking.istio.io/www-wikipedia-org-ext created\n"


def spec_of(lab: Lab, name: str) -> dict[str, object]:
    status, found = lab.api("GET", f"/apis/networking.istio.io/v1/namespaces/default/serviceentries/{name}")
    assert status == 200, found
    spec: dict[str, object] = found["spec"]
    return spec


def test_a_url_is_verified_as_it_stands(cli: Cli) -> None:
    ran = cli("verify", URL, "-o", "json")
    assert (ran.code, ran.judged) == (1, [("blocked", "blackhole")])
    [probe] = ran.probes
    assert probe["cause"]["hint"] == "egressctl create www.wikipedia.org -n default"
    same = cli("verify", "--probe", URL, "-o", "json")
    assert (same.code, same.judged, same.report["targets"][0]["name"]) == (1, ran.judged, ran.report["targets"][0]["name"])


@pytest.mark.parametrize("word", ["www.wikipedia.org", "www.wikipedia.org:443", "www.wikipedia.org:443/TLS", URL])
def test_the_task_by_a_hosts_name(cli: Cli, lab: Lab, word: str) -> None:
    created = cli("create", word)
    assert (created.code, created.stdout) == (0, MADE)
    assert "the catalogue has www.wikipedia.org in its target wikipedia: egressctl create wikipedia" in created.stderr
    spec = spec_of(lab, "www-wikipedia-org-ext")
    assert (spec["hosts"], spec["resolution"], spec["exportTo"]) == (["www.wikipedia.org"], "DNS", ["."])
    verified = cli("verify", word, "-o", "json")
    assert (verified.code, verified.judged) == (0, [("open", None)])
    if "://" not in word:
        assert verified.report["targets"][0]["serviceEntries"] == ["www-wikipedia-org-ext"]
    explained = cli("explain", word, "-o", "json")
    assert [path["serviceEntry"] for path in explained.report["paths"]] == ["default/www-wikipedia-org-ext"]


def test_a_port_that_says_nothing_is_asked_for(cli: Cli) -> None:
    ran = cli("create", "db.example.com:5432")
    assert ran.code == 2
    assert "may be TLS, HTTP or something else" in ran.error
    assert "egressctl create db.example.com:5432/TLS" in ran.hint


def test_a_name_comes_before_a_host_and_a_host_before_a_file(cli: Cli, lab: Lab) -> None:
    lab.create(entry("www.wikipedia.org", hosts=["www.wikipedia.org"], addresses=[], resolution="DNS",
                     ports=[{"number": 443, "name": "tls", "protocol": "TLS"}]))  # fmt: skip
    assert eventually(lambda: cli("verify", "www.wikipedia.org", "-o", "json").judged == [("open", None)])
    named = cli("verify", "www.wikipedia.org", "-o", "json").report["targets"][0]
    assert named["serviceEntries"] == ["www.wikipedia.org"]


def test_a_file_stands_for_its_targets(cli: Cli) -> None:
    file = cli.file(yaml.safe_dump(entry("own", hosts=["www.wikipedia.org"])), "targets.yaml")
    assert cli("create", file).stdout == "serviceentry.networking.istio.io/own created\n"
    assert cli("verify", file, "-o", "json").judged == [("open", None)]
    assert cli.at(None)("render", file).code == 0


def test_an_entry_that_stands_keeps_its_export_unless_one_is_asked_for(cli: Cli, lab: Lab) -> None:
    assert cli("create", "wikipedia", "--export-to", "*").code == 0
    assert "exportTo" not in spec_of(lab, "wikipedia-ext")
    assert "unchanged" in cli("create", "wikipedia").stdout
    assert "exportTo" not in spec_of(lab, "wikipedia-ext")
    assert cli("diff", "wikipedia").code == 0
    changed = cli("diff", "wikipedia", "--export-to", ".")
    assert (changed.code, "+  exportTo:" in changed.stdout) == (1, True)
    assert "configured" in cli("create", "wikipedia", "--export-to", ".").stdout
    assert spec_of(lab, "wikipedia-ext")["exportTo"] == ["."]


def test_a_port_by_name_takes_all_of_it_and_says_so(cli: Cli, lab: Lab) -> None:
    ran = cli("create", "www.wikipedia.org:8443/TCP")
    assert ran.code == 0
    assert any(
        "every connection of the pods to port 8443, to any address, goes to www.wikipedia.org, logins included" in each
        for each in ran.told("warning")
    )


def test_and_is_refused_where_another_entry_has_the_port(cli: Cli, lab: Lab) -> None:
    lab.create(entry("theirs"))
    ran = cli("create", "outside.example:443/TCP")
    assert ran.code == 1
    assert "default/outside-example-ext would take port 443, which ServiceEntry default/theirs has" in ran.error
    assert ran.hint == "if that is meant, the same command with --yes"
    assert lab.api("GET", "/apis/networking.istio.io/v1/namespaces/default/serviceentries/outside-example-ext")[0] == 404
    assert cli("create", "outside.example:443/TCP", "--yes").code == 0


def test_and_where_passthrough_has_carried_connections_on_it(cli: Cli, lab: Lab) -> None:
    lab.set_policy("ALLOW_ANY")
    try:
        assert eventually(lambda: cli("verify", "https://outside.example", "-o", "json").judged == [("bypassed", "passthrough")])
        ran = cli("create", "www.wikipedia.org:443/TCP")
        assert ran.code == 1
        assert "on which the sidecar has let out connections to 203.0.113.10" in ran.error
    finally:
        lab.set_policy("REGISTRY_ONLY")


def test_what_opens_more_than_its_name_says_is_refused(cli: Cli) -> None:
    ran = cli("create", "google")
    assert ran.code == 2
    assert "google opens 19,065,856 addresses, no matter who owns them" in ran.error
    assert "addresses from a list of 2023-02-16" in ran.error
    assert "--yes" in ran.hint
    assert cli("create", "google", "--dry-run=server").code == 0


def test_a_second_entry_of_one_host_is_refused_with_the_line_that_makes_one_of_both(cli: Cli) -> None:
    assert cli("create", "www.wikipedia.org").code == 0
    ran = cli("create", "www.wikipedia.org:80")
    assert ran.code == 1
    assert ran.error.startswith("ServiceEntry default/www-wikipedia-org-ext has the host www.wikipedia.org already")
    line = ran.hint.partition("egressctl ")[2].partition(";")[0].split()
    assert cli(*line).code == 0
    assert cli("verify", "www-wikipedia-org", "-o", "json").judged == [("open", None)] * 2


def test_everyone_is_said_where_the_mesh_would_not_do_so_by_itself(cli: Cli, lab: Lab, proxy: FaultProxy) -> None:
    mesh = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"mesh": "defaultServiceExportTo: ['.']"}}
    body = json.dumps({**mesh, "metadata": {"name": "istio", "namespace": "istio-system", "uid": "u"}}).encode()
    proxy.rules = lambda call: Respond(200, body=body) if call.path.endswith("/configmaps/istio") else None
    assert cli.at(proxy.kubeconfig)("create", "wikipedia", "--export-to", "*").code == 0
    assert spec_of(lab, "wikipedia-ext")["exportTo"] == ["*"]


def test_a_host_that_gives_the_name_of_another_replaces_nothing(cli: Cli, lab: Lab) -> None:
    assert cli("create", "one.two.example:8443/TLS").code == 0
    ran = cli("create", "one-two.example:8443/TLS")
    assert ran.code == 1
    assert ran.error == (
        "ServiceEntry default/one-two-example-8443-ext is there for one.two.example, and one-two.example gives the same name"
    )
    assert spec_of(lab, "one-two-example-8443-ext")["hosts"] == ["one.two.example"]
