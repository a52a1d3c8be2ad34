"""What may stand next on a command line, where no Kubernetes cluster needs to be asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

from egressctl.cli.completion_engine import FILES, NO_FILES, complete, split_line
from egressctl.cli.completion_values import ARGUMENTS, FILE_ARGUMENTS, FLAGS
from egressctl.cli.registry import COMMANDS, build_app


def offered(*words: str) -> list[str]:
    return [each.value for each in complete(words).candidates]


def test_commands_are_offered_first() -> None:
    assert offered("") == [name for name, _, _ in COMMANDS]
    assert offered("ver") == ["verify", "version"]
    assert offered("--") == ["--help", "--version"]


def test_flags_of_the_command_are_offered_after_a_hyphen() -> None:
    assert offered("verify", "--exp") == ["--expect"]
    assert "--wait" in offered("create", "-")
    assert "--no-wait" in offered("create", "-")


def test_targets_of_the_catalogue_are_offered_where_a_target_stands() -> None:
    for command in ("create", "run", "render", "apply"):
        assert "wikipedia" in offered(command, "wik")


def test_a_family_of_targets_is_offered_part_by_part() -> None:
    assert "aws" in offered("create", "aw")
    assert "aws/s3/eu-west-1" in offered("create", "aws/s3/eu")
    assert "google" in offered("catalog", "show", "goo")


def test_targets_of_a_folder_are_offered_with_those_that_are_built_in(tmp_path: Path) -> None:
    (tmp_path / "partner.yaml").write_text("")
    assert offered("create", "--catalog", str(tmp_path), "p")[:1] == ["partner"]
    assert offered("create", "--catalog", str(tmp_path / "missing"), "p") == []


def test_formats_are_those_that_the_command_has() -> None:
    assert "junit" in offered("verify", "-o", "")
    assert "sarif" in offered("lint", "-o", "")
    assert offered("list", "-o", "") == ["table", "json", "yaml", "name"]


def test_rules_are_offered_to_be_ignored() -> None:
    assert offered("lint", "--ignore", "host-b") == ["host-bits"]


def test_a_value_is_offered_after_its_flag_and_after_an_equals_sign() -> None:
    assert offered("verify", "--expect", "b") == ["bypassed", "blocked"]
    assert offered("verify", "--expect=b") == ["--expect=bypassed", "--expect=blocked"]
    assert offered("create", "--dry-run", "") == ["none", "client", "server"]


def test_a_flag_before_the_command_leaves_the_command_to_be_found() -> None:
    assert offered("-n", "shop", "verify", "--expect", "o") == ["open"]
    assert offered("-n", "shop", "verif") == ["verify"]


def test_subcommands_are_offered_and_their_own_flags() -> None:
    assert offered("lab", "st") == ["status", "stall"]
    assert offered("lab", "policy", "A") == ["ALLOW_ANY"]
    assert "--merge" in offered("lab", "up", "--m")


def test_labs_are_offered_by_name_where_a_lab_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o700)
    monkeypatch.setenv("EGRESSCTL_LAB_HOME", str(tmp_path))
    (tmp_path / "mine" / "logs").mkdir(parents=True)
    (tmp_path / "mine" / "logs" / "lab.log").touch()
    (tmp_path / "mine.lock").write_text("1")
    assert offered("lab", "down", "--name", "") == ["mine"]
    assert offered("rbac", "--name", "") == []


def test_nothing_is_offered_after_a_word_that_is_no_command() -> None:
    assert complete(["nonsense", ""]) == ((), NO_FILES)


def test_files_are_left_to_the_shell() -> None:
    assert complete(["create", "-f", ""]) == ((), FILES)
    assert complete(["create", "--kubeconfig", "x"]) == ((), FILES)


def test_contexts_are_those_of_the_kubeconfigs_that_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text("contexts: [{name: staging, context: {}}, {name: production, context: {}}]\n")
    monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
    assert offered("verify", "--context", "") == ["staging", "production"]
    monkeypatch.delenv("KUBECONFIG")
    assert offered("verify", "--kubeconfig", str(kubeconfig), "--context", "prod") == ["production"]
    assert offered("verify", "--kubeconfig", str(tmp_path / "missing"), "--context", "") == []


def test_control_characters_of_a_name_do_not_reach_the_shell(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "config"
    kubeconfig.write_text('contexts: [{name: "a\\e[31m\\nb", context: {}}]\n')
    told = str(complete(["verify", "--kubeconfig", str(kubeconfig), "--context", ""]))
    assert "\x1b" not in told
    assert told.count("\n") == 1


def test_a_line_is_split_as_a_shell_does() -> None:
    assert split_line("egressctl ") == [""]
    assert split_line("egressctl ver") == ["ver"]
    assert split_line("egressctl verify 'a b' --pod x") == ["verify", "a b", "--pod", "x"]
    assert split_line("egressctl verify 'a b") == ["verify", "a b"]


@given(st.text(max_size=60))
def test_any_line_is_split(line: str) -> None:
    assert all(isinstance(word, str) for word in split_line(line))


def _flags(command: Any) -> set[str]:
    children = getattr(command, "commands", None)
    if children:
        return set().union(*map(_flags, children.values()))
    valued = (each for each in command.params if each.param_type_name == "option" and not each.is_flag)
    return {max(each.opts, key=len) for each in valued}


def _paths(name: str, command: Any) -> dict[str, Any]:
    children = getattr(command, "commands", None)
    if children:
        return {path: found for child, each in children.items() for path, found in _paths(f"{name} {child}", each).items()}
    return {name: command}


def _all_commands() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for command in COMMANDS:
        group: Any = typer.main.get_command(build_app(*command))
        found |= _paths(command[0], group.commands[command[0]])
    return found


def test_every_flag_with_names_to_offer_takes_a_value() -> None:
    assert FLAGS.keys() <= set().union(*map(_flags, _all_commands().values()))


def test_every_argument_with_names_to_offer_is_taken() -> None:
    """By its command, else by what the help calls it, in capitals."""
    arguments = {name: [p for p in each.params if p.param_type_name == "argument"] for name, each in _all_commands().items()}
    called = {p.metavar.strip("[]") for found in arguments.values() for p in found}
    assert {*ARGUMENTS, *FILE_ARGUMENTS} <= called | {name for name, found in arguments.items() if found}


def test_commands_are_offered_after_help() -> None:
    assert "create" in {each.value for each in complete(["help", "cr"]).candidates}
