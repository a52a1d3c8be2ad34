"""`egressctl rule`: what a rule of lint means, and which there are."""

from __future__ import annotations

import json

import pytest
import yaml

from egressctl.cli import main
from egressctl.lint.rule import RULES


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main.run(["rule", *words]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_told_with_its_example_and_what_to_do(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, name).splitlines()
    assert lines[0] == f"{name} ({RULES[name].severity})"
    at = lines.index("An example:"), lines.index("How to fix it:")
    assert 2 < at[0] < at[1] < len(lines) - 2
    assert all(len(line) <= 100 for line in [*lines[: at[0]], *lines[at[1] :]])


def test_without_a_name_each_is_listed_with_its_severity(capsys: pytest.CaptureFixture[str]) -> None:
    head, *rows = said(capsys).splitlines()
    assert head.split() == ["RULE", "SEVERITY", "MEANING"]
    assert [row.split()[:2] for row in rows] == [[name, str(rule.severity)] for name, rule in RULES.items()]
    assert said(capsys, "-o", "name").split() == list(RULES)


def test_data_say_what_the_text_says(capsys: pytest.CaptureFixture[str]) -> None:
    one = json.loads(said(capsys, "takes-traffic", "-o", "json"))
    assert (one["kind"], one["name"], one["severity"], one["origin"]) == ("Rule", "takes-traffic", "error", "egressctl")
    assert [each["file"] for each in one["example"]] == ["snapshot.yaml", "mirror.yaml"]
    assert all(yaml.safe_load(each["text"])["kind"] == "ServiceEntry" for each in one["example"])
    listed = yaml.safe_load(said(capsys, "-o", "yaml"))
    assert listed["kind"] == "RuleList"
    assert one in listed["items"]
    assert len(listed["items"]) == len(RULES)


@pytest.mark.parametrize("words", [["host-bit"], ["host-bits,udp-port"], [""], ["-o", "tap"]])
def test_what_is_no_rule_or_format_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["rule", *words]) == 2
    assert capsys.readouterr().out == ""


def test_a_rule_that_does_not_exist_is_refused_with_the_near_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["rule", "host-bit"]) == 2
    assert "did you mean host-bits" in capsys.readouterr().err
