"""kubectl's forms of flags are taken too."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.cli.kubectl_flags import ALIASES, name_as_typed, normalise_arguments


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        # as it is
        ("", ""),
        ("verify wikipedia", "verify wikipedia"),
        ("--help", "--help"),
        ("--version", "--version"),
        ("create wikipedia --timeout 30s -o json", "create wikipedia --timeout 30s -o json"),
        ("create -f -", "create -f -"),
        ("verify --timeout=30s", "verify --timeout=30s"),
        # kubectl's booleans
        ("create --wait=false", "create --no-wait"),
        ("create --wait=true", "create --wait"),
        ("create --wait=0", "create --no-wait"),
        ("create --wait=1", "create --wait"),
        ("create --wait=False", "create --no-wait"),
        ("cleanup --verify=false", "cleanup --no-verify"),
        ("cleanup --all=true --yes=false", "cleanup --all"),
        ("verify --lab=false", "verify"),
        ("cleanup x --ignore-not-found=true", "cleanup x --ignore-not-found"),
        ("create --wait=maybe", "create --wait=maybe"),
        ("create --timeout=0", "create --timeout=0"),
        # dry runs
        ("create wikipedia --dry-run", "create wikipedia --dry-run client"),
        ("create --dry-run wikipedia", "create --dry-run client wikipedia"),
        ("create --dry-run -o json", "create --dry-run client -o json"),
        ("create --dry-run server", "create --dry-run server"),
        ("create --dry-run none", "create --dry-run none"),
        ("create --dry-run=none", "create --dry-run=none"),
        ("create --dry-run=server", "create --dry-run=server"),
        # a name or a URL is its value, whatever the command
        ("lint --cluster prod", "lint --cluster prod"),
        ("--cluster prod lint", "lint --cluster prod"),
        ("verify --cluster", "verify --cluster"),
        # how much to say
        ("verify -v", "verify --verbosity 1"),
        ("verify -v wikipedia", "verify --verbosity 1 wikipedia"),
        ("verify -v 6", "verify --verbosity 6"),
        ("verify -v 6 wikipedia", "verify --verbosity 6 wikipedia"),
        ("verify -v=6", "verify --verbosity 6"),
        ("verify -v6", "verify --verbosity 6"),
        ("verify --v=6", "verify --verbosity 6"),
        ("verify --verbosity 6", "verify --verbosity 6"),
        ("verify --verbosity=6", "verify --verbosity=6"),
        ("verify -v -n web", "verify --verbosity 1 -n web"),
        ("-v 6 verify", "verify --verbosity 6"),
        ("-v verify", "verify --verbosity 1"),
        # short options with an equals sign
        ("verify -n=web -o=json", "verify -n web -o json"),
        ("verify -l=app=sleep", "verify -l app=sleep"),
        ("create -f=-", "create -f -"),
        # options before the command
        ("-n web verify wikipedia", "verify -n web wikipedia"),
        ("--context kind-kind -n web -q verify wikipedia", "verify --context kind-kind -n web -q wikipedia"),
        ("--kubeconfig=here verify", "verify --kubeconfig=here"),
        ("--lab verify wikipedia", "verify --lab wikipedia"),
        ("-n verify cleanup", "cleanup -n verify"),
        ("-n web lab up", "lab up -n web"),
        ("-q lab exec -- curl", "lab exec -q -- curl"),
        ("-n web", "-n web"),
        ("-n web --help", "-n web --help"),
        # another name
        ("apply wikipedia", "create wikipedia"),
        ("-n web apply -f x.yaml", "create -n web -f x.yaml"),
        ("verify apply", "verify apply"),
        # main's own
        ("verify --debug wikipedia", "--debug verify wikipedia"),
        ("--debug verify", "--debug verify"),
        ("-n web --debug verify", "--debug verify -n web"),
        # what is another program's
        ("lab exec -- curl -v 6 -n=x --wait=false --debug", "lab exec -- curl -v 6 -n=x --wait=false --debug"),
        ("lab exec -v -- curl -v", "lab exec --verbosity 1 -- curl -v"),
    ],
)
def test_a_command_line_is_read_as_kubectl_reads_it(typed: str, read: str) -> None:
    assert normalise_arguments(shlex.split(typed)) == shlex.split(read)


FLAGS_AND_COMMANDS = [
    "verify", "create", "apply", "lab", "up", "-n", "web", "-v", "6", "-v=6", "--wait=false", "--dry-run", "client", "--debug",
    "-q", "-o", "json", "--lab", "-",
]  # fmt: skip
WORDS = st.lists(
    st.one_of(
        st.sampled_from(FLAGS_AND_COMMANDS),
        st.text(max_size=5),
    ),
    max_size=8,
)


@given(WORDS, WORDS)
def test_behind_two_dashes_nothing_is_touched(words: list[str], rest: list[str]) -> None:
    before = [word for word in words if word != "--"]
    assert normalise_arguments([*before, "--", *rest])[-len(rest) - 1 :] == ["--", *rest]


@given(WORDS)
def test_no_word_that_is_no_flag_is_lost_or_made_up(words: list[str]) -> None:
    def plain(of: list[str]) -> list[str]:
        """Commands and values; digits and modes may have been a flag's."""
        return sorted(
            ALIASES.get(word, word) for word in of if not word.startswith("-") and not word.isdigit() and word not in ("client",)
        )

    kept = [word for word in words if word != "--" and "=" not in word]
    assert plain(normalise_arguments(kept)) == plain(kept)


@pytest.mark.parametrize(
    ("typed", "message", "shown"),
    [
        ("version -v", "No such option: --verbosity", "No such option: -v"),
        ("version -v=6", "No such option: --verbosity", "No such option: -v=6"),
        ("list --wait=false", "No such option: --no-wait", "No such option: --wait=false"),
        ("list --verbosity=x", "Invalid value for '--verbosity'", "Invalid value for '--verbosity'"),
        ("list --foo", "No such option: --foo", "No such option: --foo"),
        ("version -v --verbosity-of", "No such option: --verbosity-of", "No such option: --verbosity-of"),
    ],
)
def test_a_message_names_a_flag_as_it_was_typed(typed: str, message: str, shown: str) -> None:
    assert name_as_typed(message, shlex.split(typed)) == shown


def test_what_is_given_is_not_changed() -> None:
    given_ = ["-n", "web", "verify", "--debug"]
    normalise_arguments(given_)
    assert given_ == ["-n", "web", "verify", "--debug"]
