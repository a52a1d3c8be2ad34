"""Nothing proved is no pass: a target that was named, and has nothing to be asked by, ends with 4 and says what would do."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from cli import Cli, Ran, entry, made, sidecar_leads_to
from egressctl.manifests.service_entry import derived_probes, read_entry
from egressctl.model.probe import Target
from labs import Lab, eventually

TLS = [{"number": 443, "name": "tls", "protocol": "TLS"}]
WILDCARD: dict[str, Any] = {"hosts": ["*.wikipedia.org"], "ports": TLS, "addresses": []}
UDP: dict[str, Any] = {
    "hosts": ["dns.example"],
    "ports": [{"number": 53, "name": "dns", "protocol": "UDP"}],
    "addresses": ["192.0.2.53"],
}
STEP = "egressctl verify wild -n default --probe https://HOST.wikipedia.org/"


def theirs(name: str, probes: str | None = None, **spec: Any) -> dict[str, Any]:
    manifest = entry(name, **spec)
    manifest["metadata"]["annotations"] = {} if probes is None else {"egressctl.dev/probes": probes}
    return manifest


def why(ran: Ran) -> dict[str, Any]:
    [target] = ran.report["targets"]
    found: dict[str, Any] = target["notProbed"]
    return found


def ours(lab: Lab, name: str, **spec: Any) -> None:
    manifest = entry(name, **spec)
    target = Target(name, f"{name}-ext", None, manifest["spec"], derived_probes(read_entry(manifest)))
    made(lab, target)


class TestVerify:
    def test_a_wildcard_alone_says_which_probe_would_do(self, cli: Cli, lab: Lab) -> None:
        lab.create(theirs("wild", **WILDCARD))
        ran = cli("verify", "wild", "-o", "json")
        assert (ran.code, why(ran)["hint"]) == (4, STEP)
        shown = cli("verify", "wild")
        assert (shown.code, STEP in " ".join(shown.stdout.split())) == (4, True)
        assert cli("verify", "wild", "--allow-unproven").code == 4

    def test_which_then_does(self, cli: Cli, lab: Lab) -> None:
        lab.create(theirs("wild", **WILDCARD))
        assert eventually(lambda: sidecar_leads_to(lab, "*.wikipedia.org"))
        ran = cli(*STEP.replace("HOST", "www").split()[1:], "-o", "json")
        assert (ran.code, ran.judged) == (0, [("open", None)])

    def test_one_that_asks_not_to_be_probed(self, cli: Cli, lab: Lab) -> None:
        lab.create(theirs("quiet", probes="none"))
        ran = cli("verify", "quiet", "-o", "json")
        assert (ran.code, why(ran)["meant"]) == (4, True)

    def test_udp_is_told_to_be_what_no_probe_asks(self, cli: Cli, lab: Lab) -> None:
        lab.create(theirs("dns", **UDP))
        ran = cli("verify", "dns", "-o", "json")
        assert (ran.code, why(ran)["reason"], why(ran)["hint"]) == (4, "its ports are UDP, and no probe can ask for UDP", "")

    def test_a_file_is_a_name(self, cli: Cli) -> None:
        ran = cli("verify", "-f", cli.file(yaml.safe_dump(theirs("wild", **WILDCARD))), "-o", "json")
        assert (ran.code, why(ran)["hint"]) == (4, STEP)

    def test_so_is_what_egressctl_made(self, cli: Cli, lab: Lab) -> None:
        ours(lab, "wild", **WILDCARD)
        assert cli("verify").code == 4

    def test_one_of_several_is_enough(self, cli: Cli, lab: Lab) -> None:
        lab.create(theirs("wild", **WILDCARD))
        lab.create(theirs("wiki", hosts=["www.wikipedia.org"]))
        assert eventually(lambda: sidecar_leads_to(lab, "www.wikipedia.org"))
        ran = cli("verify", "wiki", "wild", "-o", "json")
        assert (ran.code, ran.judged) == (4, [("open", None)])

    def test_with_all_none_of_them_fails(self, cli: Cli, lab: Lab) -> None:
        for each in (
            theirs("quiet", probes="none", hosts=["quiet.example"], addresses=["192.0.2.1"]),
            theirs("dns", **UDP),
            theirs("inner", hosts=["vm.example"], addresses=["192.0.2.2"], location="MESH_INTERNAL"),
            theirs("wiki", hosts=["www.wikipedia.org"]),
        ):
            lab.create(each)
        assert eventually(lambda: sidecar_leads_to(lab, "www.wikipedia.org"))
        ran = cli("verify", "--all", "-o", "json")
        left_out = [each["name"] for each in ran.report["targets"] if "notProbed" in each]
        assert (ran.code, ran.judged, left_out) == (0, [("open", None)], ["dns", "inner", "quiet"])

    def test_in_junit_it_is_a_failure(self, cli: Cli, lab: Lab) -> None:
        lab.create(theirs("wild", **WILDCARD))
        ran = cli("verify", "wild", "-o", "junit")
        assert (ran.code, "<failure" in ran.stdout) == (4, True)


class TestCleanup:
    def test_what_has_no_probe_is_removed_and_not_proved_closed(self, cli: Cli, lab: Lab) -> None:
        ours(lab, "wild", **WILDCARD)
        ran = cli("cleanup", "wild", "-o", "json")
        assert ran.code == 4
        assert why(ran)["hint"] == f"{STEP} --expect blocked"
        assert any("nothing shows that it is closed" in each for each in ran.told("warning"))
        assert cli("list", "-o", "name").stdout == ""
        assert cli(*STEP.replace("HOST", "www").split()[1:], "--expect", "blocked").code == 0

    def test_who_wants_no_proof_gets_none(self, cli: Cli, lab: Lab) -> None:
        ours(lab, "wild", **WILDCARD)
        assert cli("cleanup", "wild", "--no-verify").code == 0

    def test_a_tcp_port_is_proved_closed_by_a_bare_connection(self, cli: Cli, lab: Lab) -> None:
        ours(lab, "db", hosts=["www.wikipedia.org"], ports=[{"number": 5432, "name": "pg", "protocol": "TCP"}])
        ran = cli("cleanup", "db", "-o", "json")
        [target] = ran.report["targets"]
        assert ran.code == 0
        assert [(probe["url"], probe["verdict"]) for probe in target["closure"]["probes"]] == [
            ("tcp://www.wikipedia.org:5432", "blocked")
        ]


@pytest.mark.parametrize(("spec", "code"), [(WILDCARD, 4), (UDP, 4)], ids=["wildcard", "udp"])
def test_a_run_of_it_is_no_pass_and_leaves_nothing(cli: Cli, lab: Lab, spec: dict[str, Any], code: int) -> None:
    target = {"apiVersion": "egressctl.dev/v1alpha1", "kind": "EgressTarget", "metadata": {"name": "wild"}}
    file = cli.file(yaml.safe_dump({**target, "spec": {"serviceEntry": {**entry()["spec"], **spec}}}))
    ran = cli("run", "-f", file, "--timeout", "20s", "-o", "json")
    assert ran.code == code, ran.stderr
    assert cli("list", "-A", "-o", "name").stdout == ""
