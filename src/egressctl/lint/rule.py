"""What a rule of lint is, which there are, and what one finds. Each is a file of `lint/rules`, whose docstring is its page."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cache
from typing import Any, NamedTuple

from egressctl.errors import InvalidInput, Problem
from egressctl.istio.admission.mistakes import Mistake
from egressctl.istio.conflict import ConflictKind, EntryConflict, ObjectReference
from egressctl.lint import rules
from egressctl.lint.known_targets import KnownTarget
from egressctl.manifests.yaml_reader import ValuePath
from egressctl.model.entry import Manifest, ServiceEntry
from egressctl.model.json_values import mapping_at

ORIGIN_EGRESSCTL, ORIGIN_ISTIO = "egressctl", "istio"
"""Whose rule it is: ours, or one that a real API server with Istio has itself."""

BY_DEFINITION = "The API server refuses the entry by Istio's definition (CustomResourceDefinition), before istiod sees it."
BY_WEBHOOK = "istiod's webhook refuses the entry, and so the API server does."
_WITH_A_WARNING = "The API server takes the entry, and answers with a `Warning`, which kubectl prints."


class Severity(StrEnum):
    """An error does not work; a warning may not do what is meant."""

    ERROR = "error"
    WARNING = "warning"


class Place(StrEnum):
    """Where an entry stands that is linted: as such in a file, on or for a Kubernetes cluster, or nowhere but in a target."""

    FILE = "file"
    CLUSTER = "cluster"
    TARGET = "target"


class LintedEntry(NamedTuple):
    """A ServiceEntry, with what the rules about one entry look at. `manifest` is None where it was not written yet.

    `originating`: the hosts whose connections a DestinationRule wraps in TLS. `namespace` is that of the pods that it is for,
    `namespaces` those that there are, None where not all are known.
    """

    entry: ServiceEntry
    place: Place
    manifest: Manifest | None = None
    originating: Sequence[str] = ()
    known: Sequence[KnownTarget] = ()
    namespace: str = ""
    namespaces: Mapping[str, Any] | None = None

    @property
    def spec(self) -> Mapping[str, Any]:
        return mapping_at(self.manifest, "spec")

    @property
    def show(self) -> str:
        """The command that shows it."""
        return ObjectReference("ServiceEntry", self.entry.namespace, self.entry.name).show


Told = tuple[str, str, ValuePath]
"""What is wrong with an entry, what to do, and the way to it in the entry's manifest."""


class Rule(NamedTuple):
    """What a rule looks for. An `id` never changes its meaning. `check` looks for it in one entry, where that is enough.

    `doc`, a rule's docstring, is its page: what it means, why, an example, and how to fix it; `why` begins the second.
    `only_in` is the place of the entries that it is about, None for any; `remedy` says what would be right to the API server,
    at a path; `example_files` makes files of the example, where it does not stand for itself.
    """

    id: str
    severity: Severity
    doc: str
    check: Callable[[LintedEntry], Iterator[Told]] | None = None
    only_in: Place | None = None
    origin: str = ORIGIN_EGRESSCTL
    why: str = ""
    remedy: str | Callable[[ValuePath], str] = ""
    about_reading: bool = False
    """Whether nothing else is known of a file in which it is found: it is reported whatever is selected."""
    example_files: Callable[[str], Mapping[str, bytes]] | None = None

    @property
    def meaning(self) -> str:
        """What it finds: a sentence that begins small, without its full stop and without marks of code."""
        first = self.doc.partition("\n")[0].replace("`", "").rstrip(".")
        return first[:1].lower() + first[1:]


def refused(mistake: str, doc: str, remedy: str | Callable[[ValuePath], str], by: str = "") -> Rule:
    """Return the rule of what the API server refuses; `by` says which of its stages does."""
    return Rule(str(mistake), Severity.ERROR, doc, origin=ORIGIN_ISTIO, why=by, remedy=remedy)


def warned_of(mistake: str, doc: str, remedy: str) -> Rule:
    """Return the rule of what the API server takes with a warning."""
    return Rule(str(mistake), Severity.WARNING, doc, origin=ORIGIN_ISTIO, why=_WITH_A_WARNING, remedy=remedy)


class _Rules(Mapping[str, Rule]):
    """The rules by name, as their files are named. A file is imported when its rule is asked for."""

    def __getitem__(self, name: str) -> Rule:
        if name not in _rule_names():
            raise KeyError(name)
        rule: Rule = importlib.import_module(f"{rules.__name__}.{name.replace('-', '_')}").RULE
        return rule

    def __iter__(self) -> Iterator[str]:
        return iter(_rule_names())

    def __len__(self) -> int:
        return len(_rule_names())


@cache
def _rule_names() -> Mapping[str, None]:
    files = sorted(module.name for module in pkgutil.iter_modules(rules.__path__))  # a zip file's as well
    return {name.replace("_", "-"): None for name in files}


RULES: Mapping[str, Rule] = _Rules()


@cache
def rules_about_an_entry() -> tuple[Rule, ...]:
    """Return the rules that look at one entry. What Istio and its API server find have no check, and are not imported: 3 ms."""
    found_elsewhere = {*Mistake, *ConflictKind}
    return tuple(RULES[name] for name in RULES if name not in found_elsewhere and RULES[name].check)


class Finding(NamedTuple):
    """What a rule found. `where` is the entry, or the place in a file; `hint` is the next command to type or thing to do.

    `file` and `line` (from 1) say where it stands, of what stands in a file; `path` is the way to it in a ServiceEntry.
    """

    rule: str
    message: str
    where: str
    hint: str = ""
    about: ObjectReference | None = None
    file: str = ""
    line: int | None = None
    path: ValuePath = ()

    @property
    def severity(self) -> Severity:
        return RULES[self.rule].severity

    @property
    def origin(self) -> str:
        return RULES[self.rule].origin


class LintResult(NamedTuple):
    """What was found, by entry, and one sentence for each kind of object that was not looked at everywhere.

    `hint` is the command that grants the rights to look; `entries` and `files` count what was looked at.
    """

    findings: tuple[Finding, ...]
    not_looked_at: tuple[str, ...] = ()
    hint: str = ""
    entries: int = 0
    files: int = 0


def parse_rule_names(words: Sequence[str], flag: str) -> frozenset[str]:
    """Return the rules that a flag names, given repeatedly or with commas. Raises InvalidInput for one that there is not."""
    names = [part.strip() for word in words for part in word.split(",") if part.strip()]
    for name in names:
        if name not in RULES:
            import difflib  # imported late: 2 ms

            near = difflib.get_close_matches(name.lower(), RULES, 3)
            offer = f"did you mean {' or '.join(near)}?" if near else "docs/rules/index.md lists them"
            raise InvalidInput(f'{flag}: lint has no rule "{name}"', hint=offer)
    return frozenset(names)


def select_findings(findings: Sequence[Finding], select: frozenset[str], ignore: frozenset[str]) -> tuple[Finding, ...]:
    """Return the findings of the rules that are selected, all where none is, and not ignored.

    What could not be read is reported whatever is selected: nothing is known of it.
    """
    return tuple(
        each
        for each in findings
        if (not select or each.rule in select or RULES[each.rule].about_reading) and each.rule not in ignore
    )


def finding_of_problem(rule: str, problem: Problem) -> Finding:
    """Return a problem of an input as a finding at its place."""
    place = ":".join(str(part) for part in (problem.source, problem.line) if part)
    message = f"{problem.field}: {problem.message}" if problem.field else problem.message
    return Finding(rule, message, place, problem.remedy, file=problem.source, line=problem.line)


def finding_of_conflict(clash: EntryConflict, where: str) -> Finding:
    """Return a clash as a finding about the entry `where`."""
    told = f"{clash.about} {clash.reason.removeprefix('it ')}"
    return Finding(
        str(clash.rule),
        f"{told}: {clash.outcome}" if clash.outcome else told,
        where,
        clash.hint or clash.about.show,
        clash.about,
        path=clash.path,
    )
