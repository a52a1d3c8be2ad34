"""`egressctl cause`: what the cause of a verdict means, and which there are."""

from __future__ import annotations

import json

import pytest
import yaml

from egressctl.cli import main
from egressctl.model.cause import CauseCode


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main.run(["cause", *words]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("code", CauseCode)
def test_a_cause_is_told_with_each_of_its_sentences_and_the_next_command(
    code: CauseCode, capsys: pytest.CaptureFixture[str]
) -> None:
    text = said(capsys, code)
    assert text.splitlines()[0] == code
    assert text.count("cause  ") == text.count("next   ") == len(code.wordings)
    assert "{" not in text.replace("{.metadata.annotations}", "")


def test_without_a_code_each_is_listed_with_its_meaning(capsys: pytest.CaptureFixture[str]) -> None:
    head, *rows = said(capsys).splitlines()
    assert head.split() == ["CAUSE", "MEANING"]
    assert [row.split()[0] for row in rows] == list(CauseCode)
    assert said(capsys, "-o", "name").split() == list(CauseCode)


def test_data_say_what_the_text_says(capsys: pytest.CaptureFixture[str]) -> None:
    one = json.loads(said(capsys, "rival-entry", "-o", "json"))
    assert (one["kind"], one["name"], len(one["wordings"])) == ("Cause", "rival-entry", 2)
    listed = yaml.safe_load(said(capsys, "-o", "yaml"))
    assert (listed["kind"], len(listed["items"])) == ("CauseList", len(CauseCode))
    assert one in listed["items"]


@pytest.mark.parametrize(("word", "hint"), [("rival", "did you mean"), ("", "lists them"), ("nonsense", "lists them")])
def test_what_is_no_cause_is_refused_with_the_near_ones(word: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(["cause", word]) == 2
    assert hint in capsys.readouterr().err
