"""What may stand next on a command line: commands, flags, and names, of this machine or of the Kubernetes cluster.

The answer is that of cobra's `__complete`, which kubectl's plugins use too: a candidate a line, its help after a tab, and
last a colon with what the shell is to do: 0, offer files as well; 4, offer no files.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from egressctl.cli.completion_values import ARGUMENTS, FILE_ARGUMENTS, FILE_VALUES, FLAGS, Candidate, TypedLine
from egressctl.cli.kubectl_flags import ALIASES, command_index
from egressctl.cli.registry import COMMANDS, build_app
from egressctl.runtime.sanitize import neutralise

FILES, NO_FILES = 0, 4


class Completions(NamedTuple):
    """All that may stand next, and whether a file may."""

    candidates: tuple[Candidate, ...]
    directive: int = NO_FILES

    def __str__(self) -> str:
        lines = ["\t".join(neutralise(part) for part in each if part) for each in self.candidates]
        return "\n".join([*lines, f":{self.directive}"])


def split_line(line: str) -> list[str]:
    """Split a line as far as it is typed into words, the last of them unfinished; the program's name is left out."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    words: list[str] = []
    try:
        words.extend(lexer)
    except ValueError:  # an open quote: what stands in it is the unfinished word
        words.append(lexer.token or "")
        return words[1:]
    return [*words[1:], *([""] if not line or line[-1].isspace() else [])]


def complete(words: Sequence[str]) -> Completions:
    """Return what may stand in place of the last of the words, which are those after the program's name."""
    *before, unfinished = list(words) or [""]
    place = command_index(before)
    if place is None:
        return _completions_matching(unfinished, _global_flags() if unfinished.startswith("-") else _commands())
    if before[place] == "help":
        return _completions_matching(unfinished, _commands())
    name = ALIASES.get(before[place], before[place])
    known = next((each for each in COMMANDS if each[0] == name), None)
    if known is None:
        return Completions(())
    return _complete_command(known, [*before[:place], *before[place + 1 :]], unfinished)


def _commands() -> list[Candidate]:
    return [Candidate(name, text.rstrip(".")) for name, _, text in COMMANDS]


def _global_flags() -> list[Candidate]:
    return [Candidate("--help", "Show this message, or a command's"), Candidate("--version", "Print the version")]


def _completions_matching(
    unfinished: str, candidates: Iterable[Candidate], directive: int = NO_FILES, prefix: str = ""
) -> Completions:
    found = (Candidate(prefix + each.value, each.told) for each in candidates)
    return Completions(tuple(dict.fromkeys(each for each in found if each.value.startswith(unfinished))), directive)


def _complete_command(command: tuple[str, str, str], words: list[str], unfinished: str) -> Completions:
    import typer  # imported late: 31 ms

    asked: Any = typer.main.get_command(build_app(*command)).commands[command[0]]  # type: ignore[attr-defined]
    path = [command[0]]
    while children := getattr(asked, "commands", None):
        at = next((index for index, word in enumerate(words) if not word.startswith("-")), None)
        if at is None:
            return _completions_matching(
                unfinished, (Candidate(name, each.get_short_help_str(200).rstrip(".")) for name, each in children.items())
            )
        if words[at] not in children:
            return Completions(())
        path.append(words[at])
        asked = children[words.pop(at)]
    shown = [each for each in asked.params if not getattr(each, "hidden", False)]
    flags = {name: each for each in shown for name in (*each.opts, *each.secondary_opts) if name.startswith("-")}
    line = TypedLine(" ".join(path), _flag_values(words, flags), unfinished)
    if "--" not in words:
        name, equals, _ = unfinished.partition("=")
        if equals and name in flags and name.startswith("--"):
            return _complete_flag(flags[name], line, unfinished, f"{name}=")
        if words and words[-1] in flags and not _is_switch(flags[words[-1]]):
            return _complete_flag(flags[words[-1]], line, unfinished)
        if unfinished.startswith("-"):
            given = [Candidate(each, _flag_help(flags[each])) for each in flags if each.startswith("--")]
            return _completions_matching(unfinished, [*given, Candidate("--help", "Show this command's help")])
    argument = next((each for each in asked.params if each.param_type_name == "argument"), None)
    return _complete_argument(argument, line, unfinished) if argument else Completions(())


def _flag_values(words: Sequence[str], flags: Mapping[str, Any]) -> dict[str, str]:
    found = {}
    for index, word in enumerate(words):
        name, equals, value = word.partition("=")
        if name in flags:
            switch = _is_switch(flags[name])
            given = value if equals else "" if switch or index + 1 == len(words) else words[index + 1]
            found[max(flags[name].opts, key=len)] = given
    return found


def _is_switch(flag: Any) -> bool:
    return bool(getattr(flag, "is_flag", False))


def _flag_help(flag: Any) -> str:
    return str(getattr(flag, "help", "") or "").partition("[default")[0].strip().rstrip(".")


def _complete_flag(flag: Any, line: TypedLine, unfinished: str, prefix: str = "") -> Completions:
    name = max(flag.opts, key=len)
    if flag.metavar in FILE_VALUES:
        return Completions((), FILES)
    if name in FLAGS:
        return _completions_matching(unfinished, FLAGS[name](line), prefix=prefix)
    return Completions(())


def _complete_argument(argument: Any, line: TypedLine, unfinished: str) -> Completions:
    directive = FILES if line.command in FILE_ARGUMENTS else NO_FILES
    sources = ARGUMENTS.get(line.command) or ARGUMENTS.get(argument.metavar.strip("[]"), ())
    return _completions_matching(unfinished, (each for source in sources for each in source(line)), directive)
