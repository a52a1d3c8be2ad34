"""Without probes of its own, each host of an entry's TLS and HTTP ports is asked, and an address where a host is no name."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from cli import Cli, Ran, entry, sidecar_leads_to
from labs import Lab, eventually

pytestmark = pytest.mark.thorough

TLS = [{"number": 443, "name": "tls", "protocol": "TLS"}]
TCP = [{"number": 443, "name": "tcp", "protocol": "TCP"}]
HTTP = [{"number": 8080, "name": "http", "protocol": "HTTP"}]
PLACEHOLDER = "partner.placeholder.example"
UNTRUSTED_IP = "208.80.154.230"


def made(lab: Lab, name: str, **spec: Any) -> None:
    """Make an entry that others own, and wait until the sidecar has its last host."""
    lab.create(entry(name, **{"addresses": [], **spec}))
    host, port = next(each for each in reversed(spec["hosts"]) if "*" not in each), spec["ports"][-1]["number"]
    assert eventually(lambda: sidecar_leads_to(lab, host, port))


def asked(ran: Ran) -> list[tuple[str, str]]:
    return [(probe["url"], probe["verdict"]) for probe in ran.probes]


class TestEachHost:
    HOSTS = ("www.wikipedia.org", "*.nowhere.example", "en.wikipedia.org")

    def test_each_that_is_no_wildcard_is_asked(self, cli: Cli, lab: Lab) -> None:
        made(lab, "many", hosts=list(self.HOSTS), ports=TLS, resolution="NONE")
        ran = cli("verify", "many", "-o", "json")
        assert (ran.code, asked(ran)) == (0, [("https://www.wikipedia.org", "open"), ("https://en.wikipedia.org", "open")])

    def test_one_that_is_not_open_is_not_hidden_by_the_first(self, cli: Cli, lab: Lab) -> None:
        made(lab, "many", hosts=["www.wikipedia.org", "nowhere.example", "en.wikipedia.org"], ports=TLS, resolution="NONE")
        for argv in (["many"], ["--all"]):
            ran = cli("verify", *argv, "-o", "json")
            assert (ran.code, [verdict for _, verdict in asked(ran)]) == (1, ["open", "failed", "open"])
            assert ran.judged[1] == ("failed", "name-resolution")

    def test_no_more_than_the_limit(self, cli: Cli, lab: Lab) -> None:
        hosts = [f"h{number}.example" for number in range(30)]
        made(lab, "many", hosts=hosts, ports=TLS, resolution="NONE")
        assert len(cli("verify", "many", "-o", "json").probes) == 20

    def test_probes_that_it_has_decide(self, cli: Cli, lab: Lab) -> None:
        manifest = entry("many", hosts=list(self.HOSTS), ports=TLS, addresses=[])
        manifest["metadata"]["annotations"] = {"egressctl.dev/probes": '[{"url":"https://www.wikipedia.org"}]'}
        lab.create(manifest)
        assert eventually(lambda: sidecar_leads_to(lab, "en.wikipedia.org"))
        ran = cli("verify", "many", "-o", "json")
        assert (ran.code, asked(ran)) == (0, [("https://www.wikipedia.org", "open")])


class TestPlaceholders:
    """A host that resolves nowhere, as entries have it whose address is what counts."""

    @pytest.mark.parametrize(
        ("resolution", "more"),
        [
            ("STATIC", {"endpoints": [{"address": UNTRUSTED_IP}]}),
            ("STATIC", {"endpoints": [{"address": UNTRUSTED_IP}, {"address": "203.0.113.10"}]}),
            ("STATIC", {"addresses": ["198.51.100.77"], "endpoints": [{"address": UNTRUSTED_IP}]}),
            ("NONE", {"addresses": [UNTRUSTED_IP]}),
            ("NONE", {"addresses": ["203.0.113.8/30"]}),
        ],
        ids=["an endpoint", "several endpoints", "its own address", "an address", "a block"],
    )
    def test_one_is_asked_at_an_address_of_the_entry(self, cli: Cli, lab: Lab, resolution: str, more: dict[str, Any]) -> None:
        made(lab, "partner", hosts=[PLACEHOLDER], ports=HTTP, resolution=resolution, **more)
        ran = cli("verify", "partner", "-o", "json")
        [probe] = ran.probes
        assert (ran.code, probe["verdict"], probe["url"]) == (0, "open", f"http://{PLACEHOLDER}:8080")
        assert set(probe["evidence"]["methods"]) == {"captured", "static", "owned", "counted"}

    def test_it_is_never_open_where_another_entry_has_the_address(self, cli: Cli, lab: Lab) -> None:
        made(lab, "rival", hosts=["rival.example"], ports=TCP, addresses=["208.80.154.224"])
        file = cli.file(yaml.safe_dump(entry("partner", hosts=[PLACEHOLDER], ports=TLS, addresses=["208.80.154.224"])))
        ran = cli("verify", "-f", file, "-o", "json")
        [probe] = ran.probes
        assert (ran.code, probe["verdict"] == "open", probe["outcome"]["remoteIp"]) == (1, False, "208.80.154.224")

    def test_it_is_told_that_the_name_resolves_to_nothing(self, cli: Cli, lab: Lab) -> None:
        made(
            lab,
            "partner",
            hosts=[PLACEHOLDER],
            ports=[{"number": 7777, "name": "h", "protocol": "HTTP"}],
            addresses=["203.0.113.9"],
        )
        ran = cli("verify", "partner", "-o", "json")
        [probe] = ran.probes
        assert (ran.code, probe["verdict"]) == (1, "failed")
        assert ran.report["warnings"] == [
            f"the pod cannot resolve {PLACEHOLDER}: asked at 203.0.113.9, which the ServiceEntry has"
        ]

    def test_explain_goes_the_same_way(self, cli: Cli, lab: Lab) -> None:
        made(lab, "partner", hosts=[PLACEHOLDER], ports=HTTP, resolution="STATIC", endpoints=[{"address": UNTRUSTED_IP}])
        ran = cli("explain", "partner", "-o", "json")
        [path] = ran.report["paths"]
        assert (ran.code, path["serviceEntry"]) == (0, "default/partner")
        assert f"the pod cannot resolve {PLACEHOLDER}" in path["stations"][1]["text"]


class TestBareConnections:
    def test_a_person_may_ask_for_one(self, cli: Cli) -> None:
        ran = cli("verify", "--probe", "tcp://www.wikipedia.org:5432", "-o", "json")
        assert (ran.code, ran.judged) == (1, [("blocked", "blackhole")])
        assert cli("verify", "--probe", "tcp://www.wikipedia.org:5432", "--expect", "blocked").code == 0

    def test_it_is_never_open(self, cli: Cli, lab: Lab) -> None:
        made(
            lab,
            "db",
            hosts=["www.wikipedia.org"],
            ports=[{"number": 8443, "name": "db", "protocol": "TCP"}],
            addresses=["208.80.154.224"],
        )
        ran = cli("verify", "db", "--probe", "tcp://www.wikipedia.org:8443", "-o", "json")
        assert (ran.code, ran.judged) == (4, [("unproven", "evidence-lost")])

    def test_files_and_flags_of_a_new_target_take_it(self, cli: Cli) -> None:
        argv = [
            "db",
            "--host",
            "db.example.com",
            "--address",
            "192.0.2.1",
            "--port",
            "5432",
            "--probe",
            "tcp://db.example.com:5432",
        ]
        ran = cli("render", *argv)
        assert (ran.code, "tcp://" in ran.stdout) == (0, True)
        again = cli("verify", "-f", cli.file(ran.stdout), "-o", "json")
        assert [probe["url"] for probe in again.probes] == ["tcp://db.example.com:5432"]


class TestFilesThatLintObjectsTo:
    @pytest.mark.parametrize(
        "spec",
        [
            {"addresses": []},
            {"addresses": ["2001:db8::/32", "208.80.154.224/27"]},
            {"addresses": ["208.80.154.225/27"]},
            {"addresses": ["208.80.154.224", "208.80.154.224"]},
            {"ports": [{"number": 443, "name": "Not_A_Name", "protocol": "TLS"}]},
        ],
        ids=["no addresses", "IPv6", "host bits", "twice", "a name of a port"],
    )
    def test_they_are_asked_about(self, cli: Cli, spec: dict[str, Any]) -> None:
        file = cli.file(yaml.safe_dump(entry("file", hosts=["www.wikipedia.org"], **spec)))
        assert cli("lint", file).code in (0, 1, 2)
        ran = cli("verify", "-f", file, "-o", "json")
        assert (ran.code, ran.judged) == (1, [("blocked", "entry-missing")])

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("a: [", "is not YAML"),
            (yaml.safe_dump(entry("file", hosts=[])), "there is no host"),
            (yaml.safe_dump(entry("file", ports=[])), "there is no port"),
            (yaml.safe_dump(entry("file", addresses="192.0.2.1")), "addresses"),
        ],
    )
    def test_what_cannot_be_read_is_refused(self, cli: Cli, text: str, told: str) -> None:
        ran = cli("verify", "-f", cli.file(text))
        assert ran.code == 2
        assert told in ran.stderr
