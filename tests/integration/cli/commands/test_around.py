"""`verify --around`: what the entry does not list is refused beside what it opens, with real traffic."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cli import Cli, entry, made
from labs import Lab, eventually

pytestmark = pytest.mark.thorough

OUTSIDE = "203.0.113.10"


@pytest.fixture
def allowing(lab: Lab) -> Iterator[None]:
    """The worker's lab under ALLOW_ANY."""
    lab.set_policy("ALLOW_ANY")
    yield
    lab.set_policy("REGISTRY_ONLY")


def test_an_address_that_the_entry_does_not_list_is_refused(cli: Cli, lab: Lab) -> None:
    made(lab)
    ran = cli("verify", "--around", "-o", "json")
    assert ran.code == 0
    assert [(each["name"], each["verdict"], each["held"]) for each in ran.probes] == [
        ("portal", "open", True),
        ("articles", "open", True),
        ("portal, around: address", "blocked", True),
        ("articles, around: address", "blocked", True),
    ]
    around = ran.probes[2]
    assert around["url"] == ran.probes[0]["url"]
    assert around["outcome"]["remoteIp"] == "208.80.155.0"
    assert around["evidence"]["envoyCluster"] == "BlackHoleCluster"
    assert around["cause"]["message"] == "208.80.155.0:443 is not what default/wikipedia-ext lists, and the mesh refused it"


def test_an_address_can_be_chosen(cli: Cli, lab: Lab) -> None:
    made(lab)
    ran = cli("verify", "--around-address", OUTSIDE, "-o", "json")
    assert ran.code == 0
    assert {each["outcome"]["remoteIp"] for each in ran.probes[2:]} == {OUTSIDE}


@pytest.mark.parametrize("address", ["208.80.154.230", "nonsense", "10.0.0.0/8", "127.0.0.1", "169.254.169.254"])
def test_an_address_that_cannot_be_asked(cli: Cli, lab: Lab, address: str) -> None:
    made(lab)
    assert cli("verify", "--around-address", address).code == 2


def test_under_allow_any_it_is_told_that_nothing_around_is_closed(cli: Cli, lab: Lab, allowing: None) -> None:
    made(lab)
    ran = cli("verify", "--around-address", OUTSIDE, "-o", "json")
    assert ran.code == 0
    assert all(each["held"] and each["cause"]["code"] == "passthrough" for each in ran.probes[2:])
    [warning] = ran.told("warning")
    assert "ALLOW_ANY" in warning


def test_an_entry_that_takes_the_whole_port_does_not_hold(cli: Cli, lab: Lab) -> None:
    lab.create({**entry("wikipedia-ext"), "spec": {**entry()["spec"], "addresses": []}})
    url = "https://www.wikipedia.org"
    assert eventually(lambda: lab.is_open(url))
    ran = cli("verify", "wikipedia", "--probe", url, "--around-address", OUTSIDE, "-o", "json")
    assert ran.code == 1
    around = ran.probes[1]
    assert (around["verdict"], around["held"], around["cause"]["code"]) in [
        ("open", False, "address-not-listed"),
        ("failed", False, "address-not-listed"),
    ]
    assert "takes the whole port 443" in around["cause"]["message"]


@pytest.mark.parametrize("addresses", [[], ["208.80.154.224/27"]])
def test_another_server_name_is_refused_where_the_entry_names_tls(cli: Cli, lab: Lab, addresses: list[str]) -> None:
    port = {"number": 443, "name": "tls", "protocol": "TLS"}
    lab.create(entry(hosts=["www.wikipedia.org"], addresses=addresses, ports=[port]))
    url = "https://www.wikipedia.org"
    assert eventually(lambda: lab.is_open(url))
    ran = cli("verify", "wikipedia", "--probe", url, "--around-address", OUTSIDE, "-o", "json")
    asked = {each["name"]: (each["verdict"], each["held"]) for each in ran.probes}
    # Without addresses the entry is about names, whatever the address: the same name elsewhere is the entry's too.
    address = {"www-wikipedia-org, around: address": ("blocked", True)} if addresses else {}
    assert asked == {"www-wikipedia-org": ("open", True), **address, "www-wikipedia-org, around: name": ("blocked", True)}
    name = ran.probes[-1]
    assert name["url"] == "https://around.invalid"
    assert name["outcome"]["remoteIp"] == ran.probes[0]["outcome"]["remoteIp"]
    assert ran.code == 0


def test_nothing_is_asked_beside_what_is_not_open(cli: Cli) -> None:
    ran = cli("verify", "wikipedia", "--around", "-o", "json")
    assert (ran.code, len(ran.probes)) == (1, 2)


def test_a_refusal_is_proved_where_the_listener_waits_to_hear_of_tls(cli: Cli, lab: Lab) -> None:
    # Beside a TLS entry the listener inspects what is said first: a bare connection stays open until curl ends it.
    port = {"number": 443, "name": "tls", "protocol": "TLS"}
    lab.create(entry(hosts=["www.wikipedia.org"], ports=[port]))
    assert eventually(lambda: lab.is_open("https://www.wikipedia.org"))
    ran = cli("verify", "--probe", "https://outside.example", "-o", "json")
    assert ran.judged == [("blocked", "blackhole")]
    assert ran.probes[0]["evidence"]["capture"] == "captured"
