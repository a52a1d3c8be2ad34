"""Targets of the catalogue on a mesh: by address, by name, of a family, and of a folder of one's own."""

from __future__ import annotations

import pytest

from cli import Cli

BY_NAME = """\
apiVersion: egressctl.dev/v1alpha1
kind: EgressTarget
metadata: {name: partner}
spec:
  serviceEntry:
    hosts: [other.example, outside.example]
    ports: [{number: 443, name: tls-443, protocol: TLS}]
    resolution: NONE
  probes: [{name: front, url: "https://outside.example"}]
  published: [{url: "https://partner.example/hosts", format: page, checked: 2026-08-21}]
"""


def test_a_target_by_name_is_opened_proved_and_closed(cli: Cli) -> None:
    (cli.home / "mine").mkdir()
    (cli.home / "mine" / "partner.yaml").write_text(BY_NAME)
    mine = cli.having(EGRESSCTL_CATALOG="mine")
    ran = mine("run", "partner", "-o", "json")
    assert ran.code == 0, ran
    [before] = ran.probes
    assert before["verdict"] == "open"
    assert before["evidence"]["envoyCluster"] == "outbound|443||outside.example"


@pytest.mark.parametrize(
    ("name", "called", "address", "carrier"),
    [
        ("aws/s3/eu-west-1", "aws-s3-eu-west-1", "52.218.0.7", "outbound|443||s3.eu-west-1.amazonaws.com"),
        ("mcr", "mcr", "192.0.2.7", "outbound|443||mcr.microsoft.com"),
        ("github", "github", "140.82.121.4", "outbound|443||github.com"),
    ],
)
def test_what_is_built_in_reaches_the_sidecar_and_carries_its_own(
    cli: Cli, name: str, called: str, address: str, carrier: str
) -> None:
    created = cli("create", name, "--export-to", ".")
    assert (created.code, created.stdout) == (0, f"serviceentry.networking.istio.io/{called}-ext created\n")
    ran = cli("explain", name, "--address", address, "-o", "json")
    # An entry of several hosts with one block has an Envoy cluster a host, and the first by name carries.
    clusters = [path["envoyCluster"] for path in ran.report["paths"]]
    assert clusters[0] in (carrier, carrier.replace("github", "api.github")), ran
    assert {path["serviceEntry"] for path in ran.report["paths"]} == {f"default/{called}-ext"}
    closed = cli("cleanup", name, "--no-verify")
    assert (closed.code, closed.stdout) == (0, f"serviceentry.networking.istio.io/{called}-ext deleted\n")


def test_verify_finds_a_target_of_a_family_by_its_words_and_by_its_name(cli: Cli) -> None:
    assert cli("create", "oracle/object-storage/eu-frankfurt-1", "--export-to", ".").code == 0
    for name in ("oracle/object-storage/eu-frankfurt-1", "oracle-object-storage-eu-frankfurt-1"):
        [target] = cli("verify", name, "-o", "json").report["targets"]
        assert target["serviceEntries"] == ["oracle-object-storage-eu-frankfurt-1-ext"]
