"""The help of a command has its flags in groups, and those that matter first."""

from __future__ import annotations

import re
from typing import Any

import pytest

from egressctl.cli import main
from egressctl.cli.help_text import FIRST
from egressctl.cli.registry import COMMANDS, build_app


def shown(capsys: pytest.CaptureFixture[str], command: str) -> dict[str, list[str]]:
    """Return the flags of a command's help by their heading."""
    assert main.run([command, "--help"]) == 0
    sections = re.split(r"^(\w[\w ]*):\n", capsys.readouterr().out, flags=re.MULTILINE)[1:]
    by_heading = dict(zip(sections[::2], sections[1::2], strict=True))
    return {heading: re.findall(r"^  (?:-\w, )?(--[\w-]+)", text, re.MULTILINE) for heading, text in by_heading.items()}


def test_create_names_five_flags_before_all_others(capsys: pytest.CaptureFixture[str]) -> None:
    found = shown(capsys, "create")
    assert [*found][:2] == ["Arguments", "Options"]
    assert found["Options"] == ["--filename", "--namespace", "--export-to", "--with-source", "--dry-run", "--help"]


def test_create_has_a_group_for_each_purpose(capsys: pytest.CaptureFixture[str]) -> None:
    found = shown(capsys, "create")
    assert [*found][2:] == ["Target", "Source pod", "Apply", "Wait", "Connection", "Output"]
    assert "--host" in found["Target"]
    assert "--pod" in found["Source pod"]
    assert "--force-conflicts" in found["Apply"]
    assert "--timeout" in found["Wait"]
    assert "--context" in found["Connection"]


@pytest.mark.parametrize("command", [name for name, _, _ in COMMANDS if name not in ("lab", "catalog")])
def test_every_flag_is_named_once(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    import typer

    module = next(each for each in COMMANDS if each[0] == command)
    built: Any = typer.main.get_command(build_app(*module))
    flags = {max(each.opts, key=len) for each in built.commands[command].params if each.param_type_name == "option"}
    named = [flag for flags in shown(capsys, command).values() for flag in flags]
    assert sorted(named) == sorted({*flags, "--help"})


@pytest.mark.parametrize("command", FIRST)
def test_what_comes_first_exists(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    first = shown(capsys, command)["Options"]
    assert first[: len(FIRST[command])] == list(FIRST[command])
