"""Words that other tools have for what a command of ours does, and the line to type instead. Data, and how it is read."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from egressctl.cli.kubectl_flags import SWITCHES, VALUES_BEFORE_COMMAND, command_index


class Meant(NamedTuple):
    """The command that is meant, and what else the words after it may be: names that it takes, or none."""

    command: str
    takes_names: bool = True
    without_names: str = ""
    """The command that is meant where no name follows, if that is another."""


WORDS: Mapping[str, Meant] = {
    **dict.fromkeys(("add", "allow", "edit", "install", "new", "open", "patch", "replace", "set", "update"), Meant("create")),
    **dict.fromkeys(("close", "del", "delete", "destroy", "purge", "remove", "rm", "undo", "uninstall"), Meant("cleanup")),
    **dict.fromkeys(("get", "inventory", "ls", "ps"), Meant("list", takes_names=False)),
    "status": Meant("verify", without_names="list"),
    **dict.fromkeys(("curl", "ping", "probe", "prove", "test", "validate"), Meant("verify")),
    "check": Meant("verify", without_names="doctor"),
    **dict.fromkeys(("config", "diagnose", "info", "precheck", "preflight", "proxy-status"), Meant("doctor", takes_names=False)),
    **dict.fromkeys(("describe", "inspect", "path", "route", "trace", "why"), Meant("explain", without_names="list")),
    **dict.fromkeys(("analyse", "analyze"), Meant("lint")),
    **dict.fromkeys(("generate", "print", "template"), Meant("render")),
    **dict.fromkeys(("find", "search", "targets"), Meant("catalog list", takes_names=False)),
    "show": Meant("catalog show", without_names="list"),
    "refresh": Meant("catalog refresh"),
    **dict.fromkeys(("dump", "export", "save"), Meant("snapshot")),
    **dict.fromkeys(("auth", "can-i", "roles"), Meant("rbac", takes_names=False)),
    "rules": Meant("rule"),
    "causes": Meant("cause"),
    **dict.fromkeys(("examples", "tutorial"), Meant("demo", takes_names=False)),
    **dict.fromkeys(("init", "start", "up"), Meant("lab up", takes_names=False)),
    **dict.fromkeys(("down", "stop"), Meant("lab down", takes_names=False)),
    "exec": Meant("lab exec"),
    "logs": Meant("lab logs"),
}  # fmt: skip
"""By the word that is typed in place of a command."""

GROUP_WORDS: Mapping[str, Mapping[str, Meant]] = {
    "lab": {
        **dict.fromkeys(("create", "init", "run", "start"), Meant("lab up", takes_names=False)),
        **dict.fromkeys(("cleanup", "delete", "destroy", "kill", "remove", "rm", "stop"), Meant("lab down", takes_names=False)),
        **dict.fromkeys(("describe", "get", "info"), Meant("lab status", takes_names=False)),
        **dict.fromkeys(("ls", "ps"), Meant("lab list", takes_names=False)),
        **dict.fromkeys(("bash", "shell", "ssh"), Meant("lab exec -- sh", takes_names=False)),
        "log": Meant("lab logs"),
        **dict.fromkeys(("pause", "freeze"), Meant("lab stall", takes_names=False)),
        "restart": Meant("lab restart-proxy", takes_names=False),
    },
    "catalog": {
        **dict.fromkeys(("find", "ls", "search"), Meant("catalog list", takes_names=False)),
        **dict.fromkeys(("cat", "describe", "get", "info"), Meant("catalog show", without_names="catalog list")),
        **dict.fromkeys(("check", "compare"), Meant("catalog diff")),
        **dict.fromkeys(("sync", "update", "upgrade"), Meant("catalog refresh")),
    },
}
"""By the command that has commands of its own, and the word that is typed in place of one of these."""


class OldFlag(NamedTuple):
    """A flag that had a second meaning where its value was missing."""

    flag: str
    takes: str
    value: re.Pattern[str]
    """What its value looks like: another word, or none, was the old meaning."""
    now: str
    does: str


OLD_FLAGS: Mapping[str, Sequence[OldFlag]] = {
    "lint": (
        OldFlag(
            "--cluster", "a cluster entry of the kubeconfig", re.compile("[^-].*"), "--all", "every entry, not only egressctl's"
        ),
        OldFlag(
            "--server",
            "the URL of the API server",
            re.compile("https?://.*"),
            "--ask-server",
            "to ask the API server what it refuses of FILES",
        ),
    )
}
"""By the command."""


def meant_instead(argv: Sequence[str]) -> tuple[str, str] | None:
    """Return the word of a command line that is another tool's, as what it was typed, and the line to type; None for none.

    The words and flags that the user typed behind it are kept as far as the command takes them.
    """
    index = command_index(argv)
    if index is None:
        return None
    word, rest = argv[index], list(argv[index + 1 :])
    meant, typed = WORDS.get(word.lower()), word
    if word in GROUP_WORDS and rest:
        typed, meant = f"{word} {rest[0]}", GROUP_WORDS[word].get(rest[0].lower())
        rest = rest[1:]
    if meant is None:
        return None
    from egressctl.manifests.service_entry import is_kind  # imported late: 35 ms

    kind = next((at for at, each in enumerate(rest) if not each.startswith("-")), None)
    if kind is not None and is_kind(rest[kind]):
        # kubectl's `delete serviceentry NAME`.
        named = kind + 1 < len(rest) and not rest[kind + 1].startswith("-")
        rest[kind : kind + 2] = [f"serviceentry/{rest[kind + 1]}"] if named else rest[kind + 1 : kind + 2]
    names, flags = _names_and_flags(rest)
    command = meant.command if names or _names_a_file(flags) or not meant.without_names else meant.without_names
    kept = rest if meant.takes_names and command == meant.command else flags
    return typed, " ".join(["egressctl", command, *([shlex.join(each)] if (each := [*kept, *argv[:index]]) else [])])


def _names_and_flags(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """Part names from flags and their values, as far as all commands have them."""
    names: list[str] = []
    flags: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("-") or word == "-":
            names.append(word)
            continue
        flags.append(word)
        long = word.startswith("--") and "=" not in word and word not in SWITCHES
        if rest and (long or word in VALUES_BEFORE_COMMAND or word == "-f") and not rest[0].startswith("--"):
            flags.append(rest.pop(0))
    return names, flags


def _names_a_file(flags: Sequence[str]) -> bool:
    return any(each.partition("=")[0] in ("-f", "--filename") for each in flags)


def old_form(words: Sequence[str]) -> tuple[str, str] | None:
    """Return what is wrong with a flag that is used as it once was, and the line to type; None where none is."""
    own = words[: words.index("--")] if "--" in words else words
    for old in OLD_FLAGS.get(words[0], ()) if words else ():
        for at, word in enumerate(own):
            value = own[at + 1] if at + 1 < len(own) else ""
            if word == old.flag and not old.value.fullmatch(value):
                line = shlex.join(["egressctl", *words[:at], old.now, *words[at + 1 :]])
                return f"{old.flag} names {old.takes}", f"{old.does}: {line}"
    return None


def line_for_target(command: str, argv: Sequence[str]) -> str:
    """Return the line that gives a command what was typed without one."""
    return f"egressctl {command} {shlex.join(argv)}"
