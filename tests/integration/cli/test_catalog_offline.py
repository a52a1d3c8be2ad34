"""`egressctl catalog list` and `catalog show`, which ask no Kubernetes cluster, and the user's own folder of targets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from cli import Cli
from forked import Forks

MINE = """\
# Our partner's API.
apiVersion: egressctl.dev/v1alpha1
kind: EgressTarget
metadata: {name: partner}
spec:
  serviceEntry:
    hosts: [api.partner.example]
    ports: [{number: 443, name: tcp-443, protocol: TCP}]
  published:
  - url: https://partner.example/addresses
    format: lines
    checked: 2026-08-21
    note: asked for by mail
    callsIn: [hooks]
    ranges: {front: [203.0.113.0/25]}
    retired: [{name: back, block: 198.51.100.0/25, since: 2026-08-01}]
"""


@pytest.fixture
def alone(tmp_path: Path, forks: Forks | None) -> Cli:
    """egressctl with no kubeconfig, and a folder `mine` with a target of its own and one that is called as a built-in one is."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "partner.yaml").write_text(MINE)
    (tmp_path / "mine" / "github.yaml").write_text(MINE.replace("partner}", "github}"))
    return Cli(None, tmp_path, forks)


def test_the_list_has_a_line_for_each_file(alone: Cli) -> None:
    ran = alone("catalog", "list")
    assert (ran.code, ran.stderr) == (0, "")
    head, *rows = (line.split() for line in ran.stdout.splitlines())
    assert head == ["NAME", "HOSTS", "PORTS", "BLOCKS", "CHECKED", "SOURCE"]
    lines = {row[0]: row for row in rows}
    assert len(lines) >= 15
    assert lines["wikipedia"][1:5] == ["wikipedia.org", "443/TCP", "9", "2026-08-21"]
    assert lines["quay"][1:6] == ["quay.io", "+7", "443/TLS", "-", "2026-11-26"]
    assert lines["aws/SERVICE/REGION"][5] == "2026-04-02"


def test_the_list_as_data_is_the_same(alone: Cli) -> None:
    report = alone("catalog", "list", "-o", "json").report
    found = {each["name"]: each for each in report["targets"]}
    assert (report["kind"], found["aws"]["family"], found["aws"]["targets"] > 80) == ("Catalogue", ["service", "region"], True)
    assert found["wikipedia"] == {
        "name": "wikipedia",
        "family": None,
        "targets": 1,
        "hosts": ["wikipedia.org"],
        "ports": ["443/TCP"],
        "addresses": 9,
        "checked": "2026-08-21",
        "sources": ["https://raw.githubusercontent.com/wikimedia/operations-dns/master/geo-resources"],
        "folder": None,
    }
    assert alone("catalog", "list", "-o", "name", "-o", "yaml=list.yaml").stdout.split() == list(found)
    assert report == yaml.safe_load((alone.home / "list.yaml").read_text())


def test_what_is_shown_of_a_target(alone: Cli) -> None:
    ran = alone("catalog", "show", "partner", "--catalog", "mine")
    assert (ran.code, ran.stderr) == (0, "")
    assert ran.stdout == (
        "Our partner's API.\n"
        "hosts      api.partner.example\n"
        "ports      443/TCP, resolution NONE\n"
        "probes     tcp-443  https://api.partner.example\n"
        "create     egressctl create partner\n"
        "source     https://partner.example/addresses\n"
        "           a list of format lines, of 2026-08-21; only calls in: hooks; asked for by mail\n"
        "opens      203.0.113.0/25   front\n"
        "closed     198.51.100.0/25  back, retired 2026-08-01\n"
    )


def test_what_is_shown_of_a_family_names_its_targets(alone: Cli) -> None:
    ran = alone("catalog", "show", "aws")
    assert "create     egressctl create aws/SERVICE/REGION" in ran.stdout
    assert " eu-west-1 " in ran.stdout.partition("aws/s3/\n")[2]
    assert "aws/s3/eu-west-1" in alone("catalog", "show", "aws", "-o", "name").stdout.split()
    assert yaml.safe_load(alone("catalog", "show", "aws", "-o", "yaml").stdout)["kind"] == "EgressTargetFamily"


@pytest.mark.parametrize("name", ["wikipedia", "aws/dynamodb/eu-west-1", "okta"])
def test_the_file_that_is_shown_is_one_that_render_takes(alone: Cli, name: str) -> None:
    shown = alone("catalog", "show", name, "-o", "yaml")
    rendered = alone("render", name, "--export-to", "*")
    assert alone("render", "-f", "-", "--export-to", "*", stdin=shown.stdout).stdout == rendered.stdout
    document = json.loads(alone("catalog", "show", name, "-o", "json").stdout)
    assert document["spec"]["serviceEntry"] == yaml.safe_load(rendered.stdout)["spec"]
    assert document["spec"]["published"] == yaml.safe_load(shown.stdout)["spec"]["published"] or "checked" in shown.stdout


def test_a_folder_of_ones_own_comes_first_by_flag_and_by_environment(alone: Cli) -> None:
    (alone.home / "other").mkdir()
    (alone.home / "other" / "partner.yaml").write_text(MINE.replace("api.partner", "other.partner"))
    environment = alone.having(EGRESSCTL_CATALOG="mine:other")
    assert "api.partner.example" in environment("render", "github").stdout
    assert "api.partner.example" in environment("render", "partner").stdout
    assert "other.partner.example" in environment("render", "partner", "--catalog", "other").stdout
    rows = [line.split() for line in environment("catalog", "list").stdout.splitlines()]
    assert {row[0]: row[-1] for row in rows if row[0] in ("github", "partner", "NAME")} == {
        "NAME": "FOLDER",
        "github": "mine",
        "partner": "mine",
    }
    assert rows[-1][-2:] == ["(built", "in)"]


def test_a_broken_file_is_one_error_with_its_place_and_the_others_work(alone: Cli) -> None:
    (alone.home / "mine" / "bad.yaml").write_text(MINE.replace("partner}", "bad}").replace("/25]", "/99]"))
    ran = alone("catalog", "list", "--catalog", "mine", "-o", "name")
    place = "mine/bad.yaml:15: spec.published[0].ranges.front[0]"
    error = f'{place}: "203.0.113.0/99" is no block (such as 208.80.154.224/27 or 2001:db8::/32)'
    assert (ran.code, ran.told("error")) == (2, [error])
    assert {"github", "partner", "wikipedia"} < set(ran.stdout.split())
    assert "bad" not in ran.stdout.split()
    assert alone("render", "partner", "--catalog", "mine").code == 0
    assert alone("render", "bad", "--catalog", "mine").told("error") == [error]


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (("catalog", "show", "wikipdia"), 'the catalogue has no target "wikipdia": did you mean wikipedia?'),
        (("render", "aws/s3/eu-wst-1"), 'aws/s3 has no region "eu-wst-1": did you mean eu-west-1 or us-west-1 or me-west-1?'),
        (("render", "aws"), "aws is several targets, aws/SERVICE/REGION: name the service, dynamodb, s3"),
        (("catalog", "list", "--catalog", "nowhere"), "the catalogue nowhere cannot be read: no such file or directory"),
        (
            ("lint", "x", "--offline", "--catalog", "mine/github.yaml"),
            "the catalogue mine/github.yaml cannot be read: not a directory",
        ),
    ],
)
def test_what_there_is_not_is_refused_in_a_sentence(alone: Cli, argv: tuple[str, ...], error: str) -> None:
    ran = alone(*argv)
    assert (ran.code, ran.stdout, ran.error) == (2, "", error)
    assert ran.hint
