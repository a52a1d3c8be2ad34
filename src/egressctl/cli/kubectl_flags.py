"""Turn kubectl's forms of flags into the ones that typer reads. One pure function."""

from __future__ import annotations

import re
from collections.abc import Sequence

ALIASES = {"apply": "create"}

VALUES_BEFORE_COMMAND = frozenset({
    "--kubeconfig", "--context", "--cluster", "--user", "--server", "--token", "--as", "--as-group",
    "--request-timeout", "-n", "--namespace", "-o", "--output", "-l", "--selector", "--verbosity",
})  # fmt: skip
"""Flags that take the word after them and may stand before the command."""
SWITCHES = frozenset({
    "--wait", "--verify", "--lab", "--all", "--all-namespaces", "--keep", "--quiet", "--yes", "--force-conflicts",
    "--any-address", "--allow-internal", "--allow-unproven", "--with-source", "--ignore-not-found",
})  # fmt: skip
_ONLY_ON = SWITCHES - {"--wait", "--verify"}


def normalise_arguments(argv: Sequence[str]) -> list[str]:
    """Return the same command line in typer's forms; everything after `--` is left as it is.

    `--wait=false` becomes `--no-wait`, a bare `--dry-run` `--dry-run client`, `-v`, `-v 6` and `-v=6` become
    `--verbosity N` (N is taken only if it is digits), `-n=NAME` becomes `-n NAME`, options before the
    command move behind it, and `apply` is another name of `create`.
    `--debug`, which is main's own, comes first.
    """
    words = list(argv)
    end = words.index("--") if "--" in words else len(words)
    own = _normalise_flags(words[:end])
    debug = ["--debug"] if "--debug" in own else []
    found = _move_command_first([word for word in own if word != "--debug"])
    return [*debug, *found, *words[end:]]


def name_as_typed(text: str, argv: Sequence[str]) -> str:
    """Return a message with each flag in the form in which it was typed: `-v` where it speaks of `--verbosity`."""
    for word in argv:
        if (read := _normalise_flags([word])[:1]) and read != [word]:
            text = re.sub(rf"{re.escape(read[0])}(?![\w-])", lambda _, word=word: word, text)  # type: ignore[misc]
    return text


def goes_with_a_command(word: str) -> bool:
    """Say whether an option is one that many commands have, and that may stand before theirs."""
    name = word.partition("=")[0]
    return name in VALUES_BEFORE_COMMAND | SWITCHES | {"-q", "-A", "--debug"} or bool(re.fullmatch(r"-v\d*|--v", name))


def _normalise_flags(words: Sequence[str]) -> list[str]:
    found: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if re.fullmatch(r"-v\d*|--v", name):
            digits = value if equals else name[2:] if re.fullmatch(r"-v\d+", name) else ""
            if not digits and rest and rest[0].isdigit():
                digits = rest.pop(0)
            found += ["--verbosity", digits or "1"]
        elif name in SWITCHES and equals and value.lower() in ("true", "1"):
            found.append(name)
        elif name in SWITCHES and equals and value.lower() in ("false", "0"):
            found += [] if name in _ONLY_ON else [f"--no-{name[2:]}"]
        elif word == "--dry-run" and not (rest and rest[0] in ("none", "client", "server")):
            found += ["--dry-run", "client"]
        elif equals and re.fullmatch(r"-[a-zA-Z]", name):
            found += [name, value]
        else:
            found.append(word)
    return found


def command_index(words: Sequence[str]) -> int | None:
    """Return where the command stands: behind options of any number. None where there is none."""
    index = 0
    while index < len(words) and words[index].startswith("-"):
        index += 2 if words[index] in VALUES_BEFORE_COMMAND else 1
    return index if index < len(words) else None


def _move_command_first(words: list[str]) -> list[str]:
    """Move options that stand before the command behind it, as kubectl takes them."""
    index = command_index(words)
    if index is None:
        return words
    command = ALIASES.get(words[index], words[index])
    return [command, *_options_after_subcommand(command, words[:index], words[index + 1 :])]


def _options_after_subcommand(command: str, leading: list[str], rest: list[str]) -> list[str]:
    if command in ("lab", "catalog") and rest and not rest[0].startswith("-"):
        return [rest[0], *leading, *rest[1:]]
    return [*leading, *rest]
