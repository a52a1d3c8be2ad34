"""Where Envoy resolves names by itself: the policy ALLOW_ANY_DYNAMIC_DNS, and entries of resolution DYNAMIC_DNS."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from cli import Cli, entry
from labs import Lab, eventually

PLACES = ("istiod",)
POLICY, BY_NAME = "ALLOW_ANY_DYNAMIC_DNS", "AllowAnyDynamicDNSCluster"
PORTAL, HTTP, PLAIN = "https://www.wikipedia.org", "http://outside.example", "http://www.wikipedia.org/status/200"


@pytest.fixture
def dynamic(lab: Lab) -> Iterator[Lab]:
    """A mesh that lets out everything, and plain HTTP by what it resolves the host to."""
    lab.set_policy(POLICY)
    assert eventually(lambda: BY_NAME in lab.admin_text("config_dump?resource=dynamic_active_clusters"))
    assert eventually(lambda: lab.is_open(HTTP))
    yield lab
    lab.set_policy("REGISTRY_ONLY")


def by_name(*ports: tuple[int, str]) -> dict[str, Any]:
    """Return an entry whose names Envoy resolves."""
    return entry(
        hosts=["*.wikipedia.org"],
        addresses=None,
        resolution="DYNAMIC_DNS",
        ports=[{"number": number, "name": protocol.lower(), "protocol": protocol} for number, protocol in ports],
    )


def test_a_url_is_let_out_by_the_policy_by_its_own_envoy_cluster(cli: Cli, dynamic: Lab) -> None:
    ran = cli("verify", "--probe", HTTP, "--probe", PORTAL, "-o", "json")
    assert ran.judged == [("bypassed", "passthrough"), ("bypassed", "passthrough")]
    assert [each["evidence"]["envoyCluster"] for each in ran.probes] == [BY_NAME, "PassthroughCluster"]
    assert {each["evidence"]["policy"] for each in ran.probes} == {POLICY}
    plain = ran.probes[0]["cause"]["message"]
    assert plain.startswith(f"the outbound traffic policy {POLICY} ")
    assert f"let 203.0.113.10:80 out through {BY_NAME}; no ServiceEntry " in plain


def test_what_is_closed_is_let_out_by_the_policy_as_is_expected_then(cli: Cli, dynamic: Lab) -> None:
    words = ["outside", "--host", "outside.example", "--port", "80/HTTP", "--resolution", "DNS"]
    assert cli("create", *words, "--yes").code == 0
    ran = cli("cleanup", "outside", "-o", "json")
    [target] = ran.report["targets"]
    [probe] = target["closure"]["probes"]
    assert (probe["verdict"], probe["held"], probe["evidence"]["envoyCluster"]) == ("bypassed", True, BY_NAME)
    assert ran.code == 0
    assert any(f"the outbound traffic policy is {POLICY}, so nothing is closed" in each for each in ran.told("warning"))


def test_what_lies_around_an_entry_is_let_out_by_the_policy(cli: Cli, dynamic: Lab) -> None:
    assert cli("create", "wikipedia").code == 0
    ran = cli("verify", "wikipedia", "--probe", PORTAL, "--around", "-o", "json")
    assert [(each["verdict"], each["held"]) for each in ran.probes] == [("open", True), ("bypassed", True)]
    assert POLICY in ran.probes[1]["cause"]["message"]
    assert any(f"the outbound traffic policy is {POLICY}, which lets out" in each for each in ran.told("warning"))


def test_doctor_and_explain_know_the_policy(cli: Cli, dynamic: Lab) -> None:
    assert f"{POLICY}: what no ServiceEntry lists leaves as well" in cli("doctor").stdout
    for url in (HTTP, PORTAL):
        told = " ".join(cli("explain", url).stdout.split())
        assert "the sidecar lets it out to " in told
        assert f"the outbound traffic policy is {POLICY}" in told


def test_an_entry_of_names_is_proved_by_what_its_envoy_cluster_resolved(cli: Cli, lab: Lab) -> None:
    lab.create(by_name((443, "TLS"), (80, "HTTP")))
    assert eventually(lambda: lab.is_open(PORTAL))
    urls = (PORTAL, "https://en.wikipedia.org/wiki/Main_Page", PLAIN)
    ran = cli("verify", "wikipedia", *(word for url in urls for word in ("--probe", url)), "-o", "json")
    assert ran.judged == [("open", None)] * 3, ran.stdout
    assert {address for each in ran.probes for address in each["evidence"]["connectedTo"]} == {"208.80.154.224"}
    names = ["outbound|443||*.wikipedia.org", "outbound|443||*.wikipedia.org", "outbound|80||*.wikipedia.org"]
    assert [each["evidence"]["envoyCluster"] for each in ran.probes] == names
    for url in urls:
        assert "✔ ServiceEntry default/wikipedia-ext lists" in " ".join(cli("explain", url).stdout.split())


def test_a_url_on_a_port_that_an_entry_has_is_let_out_by_the_policy_as_well(cli: Cli, dynamic: Lab) -> None:
    port = {"number": 80, "name": "http", "protocol": "HTTP"}
    dynamic.create(entry(hosts=["www.wikipedia.org"], addresses=None, ports=[port], resolution="DNS"))
    assert eventually(lambda: cli("verify", "--probe", PLAIN).code == 0)
    ran = cli("verify", "--probe", HTTP, "-o", "json")
    [probe] = ran.probes
    assert (probe["verdict"], probe["cause"]["code"], probe["evidence"]["envoyCluster"]) == ("bypassed", "passthrough", BY_NAME)
    assert (probe["evidence"]["listener"], probe["evidence"]["connectedTo"]) == ("0.0.0.0_80", ["203.0.113.10"])


def test_an_entry_of_names_is_closed_again(cli: Cli, lab: Lab) -> None:
    words = ["names", "--host", "*.wikipedia.org", "--port", "443/TLS", "--resolution", "DYNAMIC_DNS", "--probe", PORTAL]
    ran = cli("run", *words, "-o", "json")
    [target] = ran.report["targets"]
    judged = [(each["verdict"], each["held"]) for each in (*target["probes"], *target["closure"]["probes"])]
    assert (judged, ran.code) == ([("open", True), ("blocked", True)], 0), ran.stdout


def test_names_are_resolved_on_an_http_port_that_another_entry_had_first(cli: Cli, lab: Lab) -> None:
    """istiod gives the port's listener no filter that resolves names then: Envoy's own cluster does it."""
    port = {"number": 80, "name": "http", "protocol": "HTTP"}
    lab.create(entry("first-ext", hosts=["outside.example"], addresses=None, ports=[port], resolution="DNS"))
    time.sleep(1.1)  # of one second the first is chosen by name
    lab.create(by_name((80, "HTTP"), (443, "TLS")))
    asked = ("verify", "wikipedia", "--probe", PORTAL, "--probe", PLAIN, "-o", "json")
    assert eventually(lambda: cli(*asked).judged == [("open", None), ("open", None)]), cli(*asked).stdout
    listeners = lab.admin("config_dump?resource=dynamic_listeners&name_regex=^0.0.0.0_80$")["configs"]
    assert "dynamic_forward_proxy" not in json.dumps([each.get("active_state") for each in listeners])


def test_of_two_namespaces_with_the_same_names_the_pods_own_is_proved(cli: Cli, lab: Lab) -> None:
    other = by_name((443, "TLS"))
    other["metadata"] = {"name": "elsewhere-ext", "namespace": "other"}
    lab.create(other)
    assert eventually(lambda: lab.is_open(PORTAL))
    asked = ("verify", "serviceentry/other/elsewhere-ext", "--probe", PORTAL, "-o", "json")
    assert cli(*asked).judged == [("open", None)]
    lab.create(by_name((443, "TLS")))
    assert eventually(lambda: cli("verify", "wikipedia", "--probe", PORTAL, "-o", "json").judged == [("open", None)])
    assert cli(*asked).judged == [("bypassed", "rival-entry")]


@pytest.mark.parametrize(
    ("number", "protocol", "url"),
    [
        (443, "TLS", PORTAL),
        (8443, "TLS", f"{PORTAL}:8443"),
        (80, "HTTP", PLAIN),
        (8080, "HTTP", "http://www.wikipedia.org:8080/status/200"),
    ],
)
def test_another_name_is_refused_beside_an_entry_of_names(cli: Cli, lab: Lab, number: int, protocol: str, url: str) -> None:
    lab.create(by_name((number, protocol)))
    assert eventually(lambda: cli("verify", "wikipedia", "--probe", url).code == 0)
    ran = cli("verify", "wikipedia", "--probe", url, "--around", "-o", "json")
    assert [(each["verdict"], each["held"]) for each in ran.probes] == [("open", True), ("blocked", True)], ran.stdout
    assert "://around.invalid" in ran.probes[1]["url"]
    assert ran.code == 0
