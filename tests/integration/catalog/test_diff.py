"""`egressctl catalog diff` without a Kubernetes cluster: entries in files, recorded lists and lists that are fetched."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from cli import Cli, entry
from forked import Forks
from integration.catalog.tables import DIFFERENCES, DOCUMENTS, LIST, states
from publisher import Publisher

OWN = """\
apiVersion: egressctl.dev/v1alpha1
kind: EgressTarget
metadata: {{name: outside}}
spec:
  serviceEntry:
    hosts: [outside.example]
    ports: [{{number: 443, name: tcp-443, protocol: TCP}}]
  probes: [{{url: "https://198.51.100.9/"}}]
  published:
  - {{url: "{url}", format: lines, checked: 2026-08-21, ranges: {{list: [203.0.113.0/27]}}}}
"""


@pytest.fixture
def own(publisher: Publisher, tmp_path: Path, forks: Forks | None) -> Cli:
    """egressctl with a catalogue of the user's, of one target, whose list is published, and no kubeconfig."""
    folder = tmp_path / "egress"
    folder.mkdir()
    (folder / "outside.yaml").write_text(OWN.format(url=publisher.url()))
    return Cli(None, tmp_path, forks).having(**publisher.environment, EGRESSCTL_CATALOG=str(folder))


def test_the_list_is_fetched_and_an_address_that_no_side_has_is_told(own: Cli, publisher: Publisher) -> None:
    publisher.publish(b"203.0.113.0/26\n")
    ran = own("catalog", "diff", "outside", "--no-entry")
    assert ran.code == 1
    assert ran.stdout.splitlines() == [
        "NAME           STATE     BLOCK            CATALOGUE   PUBLISHED   DNS",
        "list           missing   203.0.113.0/26   part        yes         -",
        "198.51.100.9   outside   198.51.100.9     no          no          198.51.100.9",
    ]


def test_a_list_that_does_not_come_leaves_the_others(own: Cli, publisher: Publisher) -> None:
    file = own.file(yaml.safe_dump(entry(hosts=["outside.example"], addresses=["203.0.113.0/27"])))
    lost = own("catalog", "diff", "outside", "-f", file, "--no-dns")
    assert (lost.code, states(lost.stdout)) == (3, {("list", "same")})
    assert f"warning: not asked: {publisher.url()} answered 404: the list is not there any more" in lost.stderr
    different = own("catalog", "diff", "outside", "-f", file)
    assert (different.code, ("198.51.100.9", "outside") in states(different.stdout)) == (1, True)


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["--offline", "wikipedia"], "--offline needs --entry or --published"),
        (["wikipedia", "--no-entry", "-f", "two.yaml"], "--entry and --no-entry: "),
        (["--published", "x"], "--published needs one target, the one whose lists were saved"),
        (["nonsense"], 'the catalogue has no target "nonsense"'),
        (["wikipedia", "-f", "nowhere.yaml"], "nowhere.yaml: is no file"),
        (["wikipedia", "--offline", "-f", "two.yaml"], "two.yaml: holds no ServiceEntry of wikipedia: there is a, b"),
        (["wikipedia", "--published", "broken", "--offline"], "broken:"),
    ],
)
def test_wrong_usage_is_one_sentence(argv: list[str], said: str, own: Cli) -> None:
    own.file(yaml.safe_dump_all([entry("a", hosts=["a.example"]), entry("b", hosts=["b.example"])]), "two.yaml")
    own.file("text-addrs => {", "broken")
    ran = own("catalog", "diff", *argv)
    assert (ran.code, said in ran.stderr) == (2, True), ran.stderr


def test_a_broken_file_of_ones_own_stops_no_other(own: Cli) -> None:
    (own.home / "egress" / "broken.yaml").write_text("kind: EgressTarget\n")
    file = own.file(yaml.safe_dump(entry(addresses=DOCUMENTS)))
    ran = own("catalog", "diff", "-f", file, "--offline")
    assert (ran.code, "broken.yaml" in "".join(ran.told("error"))) == (1, True)
    assert states(ran.stdout) >= {("drmrs", "missing")}


def test_a_manifest_is_as_good_as_the_api_server(own: Cli) -> None:
    file = own.file(yaml.safe_dump(entry(addresses=DOCUMENTS)))
    ran = own("catalog", "diff", "wikipedia", "--entry", file, *LIST, "--offline")
    assert (ran.code, ran.stdout) == (1, DIFFERENCES)
    piped = own("catalog", "diff", "-f", "-", "--offline", "-o", "name", stdin=Path(file).read_text())
    assert (piped.code, piped.stdout) == (1, "wikipedia\n")


def test_a_kubernetes_cluster_that_cannot_be_asked_is_told(own: Cli) -> None:
    ran = own("catalog", "diff", "wikipedia", *LIST, "--no-dns")
    assert ran.code == 3
    assert "warning: not asked: the Kubernetes cluster: there is no kubeconfig" in ran.stderr
    assert own("catalog", "diff", "--no-dns").code == 3
