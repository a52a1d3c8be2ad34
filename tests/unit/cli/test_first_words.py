"""Words of other tools lead on to the line that is meant, with what the user typed kept."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from egressctl.cli import main
from egressctl.cli.first_words import GROUP_WORDS, WORDS, meant_instead, old_form
from egressctl.cli.kubectl_flags import ALIASES
from egressctl.cli.registry import COMMANDS

NAMES = {name for name, _, _ in COMMANDS}
GROUPS = {"lab": {"up", "list", "status", "exec", "logs", "policy", "stall", "resume", "restart-proxy", "down"}}
GROUPS["catalog"] = {"list", "show", "diff", "refresh"}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("delete wikipedia -n shop", "cleanup wikipedia -n shop"),
        ("-n shop delete wikipedia", "cleanup wikipedia -n shop"),
        ("Delete wikipedia", "cleanup wikipedia"),
        ("rm wikipedia", "cleanup wikipedia"),
        ("remove --all -A --yes", "cleanup --all -A --yes"),
        ("delete -f targets.yaml", "cleanup -f targets.yaml"),
        ("delete serviceentry wikipedia-ext -n shop", "cleanup serviceentry/wikipedia-ext -n shop"),
        ("delete se/wikipedia-ext", "cleanup se/wikipedia-ext"),
        ("delete 'my file.yaml'", "cleanup 'my file.yaml'"),
        ("get", "list"),
        ("get serviceentries -A", "list -A"),
        ("get se -n shop", "list -n shop"),
        ("get serviceentry wikipedia-ext -o yaml", "list -o yaml"),
        ("ls", "list"),
        ("status", "list"),
        ("status wikipedia", "verify wikipedia"),
        ("test https://www.wikipedia.org", "verify https://www.wikipedia.org"),
        ("check", "doctor"),
        ("check -n shop", "doctor -n shop"),
        ("check wikipedia -n shop", "verify wikipedia -n shop"),
        ("describe https://www.wikipedia.org", "explain https://www.wikipedia.org"),
        ("describe serviceentry wikipedia-ext", "explain serviceentry/wikipedia-ext"),
        ("describe", "list"),
        ("analyze manifests/", "lint manifests/"),
        ("template wikipedia", "render wikipedia"),
        ("show wikipedia", "catalog show wikipedia"),
        ("start", "lab up"),
        ("stop --name mine", "lab down --name mine"),
        ("exec -- curl -v https://x", "lab exec -- curl -v https://x"),
        ("lab start", "lab up"),
        ("lab start --policy ALLOW_ANY", "lab up --policy ALLOW_ANY"),
        ("lab stop", "lab down"),
        ("lab delete --name mine", "lab down --name mine"),
        ("catalog ls", "catalog list"),
        ("catalog get stripe", "catalog show stripe"),
        ("catalog get", "catalog list"),
        ("catalog update stripe", "catalog refresh stripe"),
    ],
)
def test_the_line_that_is_meant_keeps_what_was_typed(typed: str, meant: str) -> None:
    found = meant_instead(shlex.split(typed))
    assert found is not None
    assert found[1] == f"egressctl {meant}"


@pytest.mark.parametrize(
    "typed", ["", "-n shop", "nonsense", "verify wikipedia", "lab up", "catalog list", "lab", "create delete"]
)
def test_other_lines_are_left_alone(typed: str) -> None:
    assert meant_instead(shlex.split(typed)) is None


def test_no_word_is_a_command_of_ours() -> None:
    assert not set(WORDS) & (NAMES | set(ALIASES) | {"help"})
    for group, words in GROUP_WORDS.items():
        assert not set(words) & GROUPS[group]


def test_every_command_that_is_meant_exists() -> None:
    everything = [*WORDS.values(), *(meant for words in GROUP_WORDS.values() for meant in words.values())]
    for line in {line for meant in everything for line in (meant.command, meant.without_names) if line}:
        first, *rest = line.split()
        assert first in NAMES
        assert (rest[:1] != []) == (first in GROUPS)
        assert not rest or rest[0] in GROUPS[first]


# What lint's flags once meant


@pytest.mark.parametrize(
    ("typed", "hint"),
    [
        ("lint --cluster", "egressctl lint --all"),
        ("lint --cluster -A -o json", "egressctl lint --all -A -o json"),
        ("lint -n shop --cluster --select same-block", "egressctl lint -n shop --all --select same-block"),
        ("lint manifests/ --server", "egressctl lint manifests/ --ask-server"),
        ("lint --server manifests/", "egressctl lint --ask-server manifests/"),
    ],
)
def test_a_flag_as_it_once_was_leads_on(typed: str, hint: str) -> None:
    found = old_form(shlex.split(typed))
    assert found is not None
    assert found[1].endswith(f": {hint}")


@pytest.mark.parametrize(
    "typed",
    ["lint --cluster prod", "lint --cluster=prod", "lint --server https://127.0.0.1:6443 -A", "lint", "lint -- --server"],
)
def test_a_flag_with_its_value_is_kubeconfigs(typed: str) -> None:
    assert old_form(shlex.split(typed)) is None


# As a person sees it


@pytest.fixture(autouse=True)
def _no_kubeconfig(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KUBECONFIG", raising=False)


@pytest.mark.parametrize(
    ("typed", "error", "hint"),
    [
        ("delete wikipedia -n shop", "there is no command 'delete'", "egressctl cleanup wikipedia -n shop"),
        ("lab stop", "there is no command 'lab stop'", "egressctl lab down"),
        (
            "lint --cluster",
            "--cluster names a cluster entry of the kubeconfig",
            "every entry, not only egressctl's: egressctl lint --all",
        ),
        ("-v", "there is no command, only -v", "egressctl --version; or egressctl verify -v, or another of egressctl --help"),
        ("-n shop", "there is no command, only -n", "egressctl verify -n shop, or another of egressctl --help"),
        ("version -v", "No such option: -v", "egressctl version --help"),
        ("--hlep", "there is no option '--hlep': did you mean --help?", "egressctl --help"),
        ("-V", "there is no option '-V': did you mean --version?", "egressctl --help"),
        ("delte", "there is no command 'delte': did you mean cleanup?", "egressctl --help"),
        ("verfy", "there is no command 'verfy': did you mean verify?", "egressctl --help"),
        (
            "https://www.wikipedia.org -n shop",
            "there is no command 'https://www.wikipedia.org'",
            "egressctl create https://www.wikipedia.org -n shop opens it, "
            "egressctl verify https://www.wikipedia.org -n shop asks for it",
        ),
        (
            "wikipedia",
            "there is no command 'wikipedia'",
            "egressctl create wikipedia opens it, egressctl verify wikipedia asks for it",
        ),
        ("catalog wikipedia", "there is no command 'catalog wikipedia'", "egressctl catalog show wikipedia"),
        ("help delete", "there is no command 'delete'", "egressctl cleanup"),
    ],
)
def test_one_error_and_one_hint(typed: str, error: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(shlex.split(typed)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"error: {error}\nhint: {hint}\n"


@pytest.mark.parametrize(
    ("typed", "same_as"),
    [("help", "--help"), ("help create", "create --help"), ("help lab up", "lab up --help"), ("help --help", "--help")],
)
def test_help_shows_the_help(typed: str, same_as: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(shlex.split(typed)) == 0
    shown = capsys.readouterr().out
    assert main.run(shlex.split(same_as)) == 0
    assert shown == capsys.readouterr().out != ""


@pytest.mark.parametrize(
    "words", [["delete", "wikipedia"], ["verify", "--wikipedia"], ["lab", "wikipedia"], ["lint", "-o", "wiki"]]
)
def test_words_of_the_line_cannot_command_a_terminal(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([*words[:-1], f"{words[-1]}\x1b[2J\u202e\r"]) == 2
    assert not set(capsys.readouterr().err) & {"\x1b", "\u202e", "\r"}
