"""What lint found, in each output format."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from egressctl.cli import main
from egressctl.cli.commands.lint import _is_path
from egressctl.istio.conflict import ObjectReference
from egressctl.lint.rule import RULES, Finding, LintResult
from egressctl.report.github import lint_annotations, workflow_command
from egressctl.report.lint_formats import FORMATS, lint_text
from egressctl.report.sarif import sarif

ROOT = Path(__file__).parents[3]
SCHEMA = json.loads(lzma.decompress((ROOT / "tests/data/sarif-2.1.0-rtm.5.json.xz").read_bytes()))
VALIDATOR = jsonschema.Draft4Validator(SCHEMA)

IN_FILE = Finding(
    "same-block",
    "ServiceEntry shop/b lists it",
    "shop/a",
    "it is at b.yaml:3",
    ObjectReference("ServiceEntry", "shop", "b"),
    file="entries/a file.yaml",
    line=7,
)
ON_SERVER = Finding("reserved-port", "port 15021 is Istio's own", "shop/a", "kubectl get it")
UNREADABLE = Finding("unreadable-file", "is not text in UTF-8", "x.yaml", file="x.yaml")
LINTED = LintResult((IN_FILE, ON_SERVER, UNREADABLE), ("sidecars were not looked at",), entries=1)


def test_a_table_has_a_line_for_each_finding_and_what_to_do_below_it() -> None:
    assert lint_text(LINTED, "table", 1, "/checkout").splitlines() == [
        "warning  same-block  entries/a file.yaml:7: shop/a: ServiceEntry shop/b lists it",
        "         it is at b.yaml:3",
        "error    reserved-port  shop/a: port 15021 is Istio's own",
        "         kubectl get it",
        "error    unreadable-file  x.yaml: is not text in UTF-8",
    ]
    assert "kubectl" not in lint_text(LINTED, "table", 1, "/checkout", hints=False)


def test_json_and_yaml_say_the_same() -> None:
    report = json.loads(lint_text(LINTED, "json", 1, "/checkout"))
    assert report == yaml.safe_load(lint_text(LINTED, "yaml", 1, "/checkout"))
    assert {key: report[key] for key in ("kind", "exitCode", "notLookedAt")} == {
        "kind": "LintReport",
        "exitCode": 1,
        "notLookedAt": ["sidecars were not looked at"],
    }
    assert report["findings"][0] == {
        "file": "entries/a file.yaml",
        "line": 7,
        "rule": "same-block",
        "severity": "warning",
        "origin": "egressctl",
        "where": "shop/a",
        "about": {"kind": "ServiceEntry", "namespace": "shop", "name": "b"},
        "message": "ServiceEntry shop/b lists it",
        "hint": "it is at b.yaml:3",
    }
    assert (report["findings"][1]["file"], report["findings"][1]["line"]) == (None, None)


@pytest.mark.parametrize("form", ["json", "yaml", "sarif"])
def test_no_line_of_data_is_a_command_to_githubs_runner(form: str) -> None:
    odd = LintResult((ON_SERVER._replace(message="x\n::error::y ##[error]z"),), entries=1)
    text = lint_text(odd, form, 1, "/checkout")
    assert "##[" not in text
    assert not any(line.lstrip().startswith("::") for line in text.splitlines())
    assert "::error::y ##[error]z" in str(yaml.safe_load(text))


def test_names_stand_once() -> None:
    assert lint_text(LINTED, "name", 1, "/checkout") == "shop/a\nx.yaml\n"


@pytest.mark.parametrize("form", FORMATS)
def test_where_nothing_is_found_every_format_can_say_so(form: str) -> None:
    said = lint_text(LintResult(()), form, 0, "/checkout")
    assert (said == "") == (form in ("table", "name", "github"))


# GitHub


def test_an_annotation_names_file_line_and_rule() -> None:
    assert lint_annotations(LINTED.findings).splitlines() == [
        "::warning file=entries/a file.yaml,line=7,title=same-block::shop/a: ServiceEntry shop/b lists it%0Ait is at b.yaml:3",
        "::error title=reserved-port::shop/a: port 15021 is Istio's own%0Akubectl get it",
        "::error file=x.yaml,title=unreadable-file::is not text in UTF-8",
    ]


def test_what_would_end_a_property_or_the_line_is_escaped() -> None:
    assert workflow_command("error", "100%\r\n::x, y", place=("a:b,c%.yaml", None)) == (
        "::error file=a%3Ab%2Cc%25.yaml::100%25\\x0d%0A::x, y"
    )


@given(st.text(), st.text())
def test_no_text_makes_a_second_command(message: str, file: str) -> None:
    said = workflow_command("error", message, place=(file, None))
    assert said.splitlines() == [said]
    assert said.startswith("::error")


# SARIF


def result(findings: list[Finding], folder: str = "/checkout") -> list[dict[str, Any]]:
    log = sarif(findings, folder)
    VALIDATOR.validate(log)
    found: list[dict[str, Any]] = log["runs"][0]["results"]
    return found


def test_a_log_has_the_rules_that_it_refers_to_and_the_place_of_each_finding() -> None:
    log = sarif(LINTED.findings, "/checkout")
    VALIDATOR.validate(log)
    [run] = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [each["id"] for each in rules] == ["reserved-port", "same-block", "unreadable-file"]
    assert [rules[each["ruleIndex"]]["id"] for each in run["results"]] == [each["ruleId"] for each in run["results"]]
    assert [each["defaultConfiguration"]["level"] for each in rules] == ["error", "warning", "error"]
    assert run["results"][0]["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "entries/a%20file.yaml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 7},
    }
    assert "physicalLocation" not in run["results"][1]["locations"][0]
    assert run["results"][1]["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == "shop/a"


@pytest.mark.parametrize(
    ("file", "uri"),
    [
        ("/checkout/a.yaml", "a.yaml"),
        ("./deep/../a.yaml", "a.yaml"),
        ("/elsewhere/a.yaml", "file:///elsewhere/a.yaml"),
        ("../a.yaml", "file:///a.yaml"),
        ("stdin", "stdin"),
        ("50%:1.yaml", "50%25%3A1.yaml"),
        ("caf\udce9.yaml", "caf%E9.yaml"),  # a name that is no UTF-8, as Python has it
    ],
)
def test_a_file_is_named_from_the_folder_where_lint_ran(file: str, uri: str) -> None:
    [found] = result([IN_FILE._replace(file=file)])
    assert found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == uri


def test_a_finding_keeps_its_fingerprint_when_its_line_moves() -> None:
    [first], [moved] = result([IN_FILE]), result([IN_FILE._replace(line=90)])
    [other] = result([IN_FILE._replace(message="another")])
    assert first["partialFingerprints"] == moved["partialFingerprints"] != other["partialFingerprints"]


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_can_stand_in_a_log(rule: str) -> None:
    result([IN_FILE._replace(rule=rule)])


@given(st.text(), st.text(), st.none() | st.integers(1))
def test_whatever_a_finding_says_the_log_is_valid(message: str, file: str, line: int | None) -> None:
    result([IN_FILE._replace(message=message, file=file, line=line)])


def test_the_schema_refuses_what_is_no_log() -> None:
    """Else the tests above could not fail."""
    log = sarif([IN_FILE], "/checkout")
    log["runs"][0]["results"][0]["level"] = "fatal"
    assert not VALIDATOR.is_valid(log)


# The command on the examples and on manifests that are wrong


@pytest.fixture
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.mark.usefixtures("at_root")
def test_examples_and_wrong_manifests_make_a_valid_log(capsys: pytest.CaptureFixture[str]) -> None:
    code = main.run(["lint", "docs/examples", "tests/manifests", "-o", "sarif"])
    log = json.loads(capsys.readouterr().out)
    VALIDATOR.validate(log)
    found = {each["ruleId"] for each in log["runs"][0]["results"]}
    assert code == 1
    assert found >= {
        *("unreadable-file", "invalid-yaml", "unrendered-template", "unknown-ignore", "duplicate-object", "stale-blocks"),
        *("host-bits", "duplicate-block", "ipv6-block", "udp-port", "no-ports", "no-endpoints", "cleartext-port", "opens-cdn"),
        *("broadly-exported", "exported-everywhere", "opens-whole-port", "reserved-port", "same-host", "whole-port"),
        *("one-block-kept", "hidden-by-sidecar"),
    }


@pytest.mark.usefixtures("at_root")
def test_nothing_is_found_in_the_examples(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["lint", "docs/examples", "-q"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.usefixtures("at_root")
def test_the_document_s_manifest_is_found_stale(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["lint", "tests/manifests/document-of-2018.yaml", "--select", "stale-blocks", "-q", "-o", "github"]) == 0
    said = capsys.readouterr().out
    for block in ("185.15.59.224/27", "185.15.58.224/27", "195.200.68.224/27", "198.35.26.224/27"):
        assert block in said


@pytest.mark.parametrize(
    ("word", "path"),
    [
        ("-", True),
        ("a.yaml", True),
        ("nowhere/", True),
        ("docs", True),  # which is there
        ("wikipedia", False),
        ("wikipedia/part", False),
        ("theirs", False),
        ("serviceentry/theirs", False),
        ("se/the.irs", False),
    ],
)
@pytest.mark.usefixtures("at_root")
def test_a_word_is_a_file_or_a_name(word: str, path: bool) -> None:
    assert _is_path(word) == path


def test_a_name_of_the_catalogue_is_one_beside_a_file_that_is_called_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wikipedia").mkdir()
    assert not _is_path("wikipedia")
    assert _is_path("./wikipedia")
