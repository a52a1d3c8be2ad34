"""`open` means that the request went to the host that was asked for: a TCP entry without addresses takes all of its port."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from cli import Cli, entry
from labs import Lab, eventually

OWN, OTHER = "https://www.wikipedia.org", "https://outside.example"
OURS = "outbound|443||www.wikipedia.org"
TCP = [{"number": 443, "name": "http-443", "protocol": "TCP"}]
WHOLE_PORT = entry("wiki", hosts=["www.wikipedia.org"], addresses=[], ports=TCP, resolution="DNS", exportTo=["."])
SENT = "default/wiki sends what goes to every address on port 443 to www.wikipedia.org"


@pytest.fixture(params=["REGISTRY_ONLY", "ALLOW_ANY"])
def taken(cli: Cli, lab: Lab, request: pytest.FixtureRequest) -> Iterator[Lab]:
    """A lab where one entry sends every connection on port 443 to its own host."""
    lab.set_policy(request.param)
    lab.create(WHOLE_PORT)
    assert eventually(lambda: cli("verify", "--probe", OWN, "-o", "json").judged == [("open", None)])
    yield lab
    lab.set_policy("REGISTRY_ONLY")


def test_its_own_host_is_open_at_the_address_that_envoy_chose(cli: Cli, taken: Lab) -> None:
    [probe] = cli("verify", "wiki", "--probe", OWN, "-o", "json").probes
    assert (probe["verdict"], probe["evidence"]["connectedTo"]) == ("open", ["208.80.154.224"])


def test_another_host_is_never_open(cli: Cli, taken: Lab) -> None:
    ran = cli("verify", "--probe", OTHER, "-o", "json")
    [probe] = ran.probes
    assert ran.code == 1
    assert probe["verdict"] in ("bypassed", "failed")
    assert probe["cause"]["code"] == "rival-entry"
    assert probe["cause"]["message"].startswith(SENT)
    assert "the probe asks for outside.example" in probe["cause"]["message"]
    assert probe["evidence"]["connectedTo"] == ["208.80.154.224"]
    assert "208.80.154.224, which Envoy chose; 203.0.113.10:443 was asked for" in cli("verify", "--probe", OTHER).stdout


def test_nor_is_it_the_entrys_own(cli: Cli, taken: Lab) -> None:
    [probe] = cli("verify", "wiki", "--probe", OTHER, "-o", "json").probes
    assert probe["verdict"] in ("bypassed", "failed")
    assert probe["cause"]["code"] == "host-not-listed"


def test_what_lies_around_is_told_to_be_taken_and_not_to_be_open(cli: Cli, taken: Lab) -> None:
    ran = cli("verify", "wiki", "--probe", OWN, "--around-address", "203.0.113.10", "-o", "json")
    around = ran.probes[1]
    assert (ran.code, around["verdict"] == "open", around["held"], around["cause"]["code"]) == (0, False, True, "host-not-listed")
    assert any("every connection of the pods on port 443, to any address, is sent to www.wikipedia.org" in each
               for each in ran.told("warning"))  # fmt: skip


def test_explain_does_not_call_it_the_hosts_way(cli: Cli, taken: Lab) -> None:
    ran = cli("explain", OTHER, "-o", "json")
    [path] = ran.report["paths"]
    assert path["serviceEntry"] is None
    assert any(SENT in station["text"] for station in path["stations"])


def test_the_gate_tells_whose_connections_it_takes(cli: Cli, lab: Lab) -> None:
    lab.create(entry("theirs", exportTo=["."]))
    assert cli("snapshot", "saved", "-q").code == 0
    file = cli.file(yaml.safe_dump(WHOLE_PORT), "change.yaml")
    ran = cli.at(None)("lint", file, "--against", "saved", "--select", "takes-traffic", "-o", "json")
    assert ran.code == 1
    told = [each["message"] for each in ran.report["findings"]]
    assert "every connection on port 443 that no other entry takes, to any address, is now sent to www.wikipedia.org" in told
