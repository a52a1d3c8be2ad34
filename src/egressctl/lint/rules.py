"""The rules of lint: each with a stable name, how bad it is, and what it means; and a finding, which names the rule it is of."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from egressctl.errors import InvalidInput
from egressctl.istio.conflict import EntryConflict, ObjectReference
from egressctl.lint.api_server_rules import REFUSAL_RULES, WARNING_RULES
from egressctl.manifests.yaml_reader import ValuePath

ORIGIN_EGRESSCTL, ORIGIN_ISTIO = "egressctl", "istio"
"""Whose rule it is: ours, or one that a real API server with Istio has itself."""


class Severity(StrEnum):
    """An error does not work; a warning may not do what is meant."""

    ERROR = "error"
    WARNING = "warning"


class Rule(NamedTuple):
    """What a rule looks for. `meaning` is a sentence without its full stop; `origin` says whose rule it is."""

    severity: Severity
    meaning: str
    origin: str = ORIGIN_EGRESSCTL


def _warning_rule(meaning: str) -> Rule:
    return Rule(Severity.WARNING, meaning)


def _error_rule(meaning: str) -> Rule:
    return Rule(Severity.ERROR, meaning)


ISTIO_RULES: Mapping[str, Rule] = {
    **{name: Rule(Severity.ERROR, each.meaning, ORIGIN_ISTIO) for name, each in REFUSAL_RULES.items()},
    **{name: Rule(Severity.WARNING, each.meaning, ORIGIN_ISTIO) for name, each in WARNING_RULES.items()},
}
"""By name: what a real API server with Istio refuses (an error) or warns of."""

RULES: Mapping[str, Rule] = {
    **ISTIO_RULES,
    "addresses-advised": _warning_rule("a TCP port has no addresses, and Istio allocates one (IST0134 of istioctl analyze)"),
    "protocols-differ": _warning_rule("entries of one host declare a port with several protocols (IST0177 of istioctl analyze)"),
    "invalid-input": Rule(Severity.ERROR, "the target or the manifest breaks a rule of Istio's or of egressctl's"),
    "reserved-port": Rule(
        Severity.ERROR, "the port is one that Istio keeps for itself: the sidecar never gets a listener for it"
    ),
    "questionable-spec": _warning_rule(
        "the entry on the Kubernetes cluster says something that egressctl would not accept from a file"
    ),
    "opens-whole-port": _warning_rule("a TCP port without addresses, or with 0.0.0.0/0, opens the port to every address"),
    "exported-everywhere": _warning_rule("the entry has no exportTo and opens the egress for every namespace"),
    "not-exported": _warning_rule("exportTo leaves out the namespace of the source pod"),
    "unknown-namespace": _warning_rule("exportTo names a namespace that is not there"),
    "same-host": _warning_rule("another entry has the same host, in this namespace or in another"),
    "same-block": _warning_rule("another entry lists the same address block on the same port"),
    "overlapping-blocks": _warning_rule("another entry lists a block on the same port that overlaps"),
    "whole-port": _warning_rule("one of two entries takes every address on a port that both name"),
    "same-server-name": _warning_rule("another TLS entry on the port has a wildcard that covers a host, or the other way round"),
    "tls-behind-block": _warning_rule("a TLS entry without addresses loses to an entry whose block holds the address"),
    "protocol-conflict": _warning_rule("one of two entries declares a port HTTP, and the other TCP or TLS"),
    "service-address": _warning_rule("the address of a Service is inside a block, on the same port"),
    "hidden-by-sidecar": _warning_rule("a Sidecar resource leaves the entry out"),
    "one-block-kept": _warning_rule("a Sidecar resource names the exact host, and keeps only one of several blocks"),
    "rerouted": _warning_rule("a VirtualService sends the host elsewhere"),
    "wrapped-in-tls": _warning_rule("a DestinationRule wraps the host's connections in TLS"),
    "unreadable-file": _error_rule("the file cannot be read, is no text in UTF-8, or is too large"),
    "invalid-yaml": _error_rule("the file is no YAML, or says what readers of YAML understand differently, such as a key twice"),
    "unrendered-template": _warning_rule("the file is a template, which cannot be read before it is rendered"),
    "duplicate-object": _warning_rule(
        "two documents are one object of the Kubernetes cluster: the one that is applied last stays"
    ),
    "unknown-ignore": _warning_rule("a comment asks to ignore no rule, or one that does not exist"),
    "host-bits": _warning_rule("a block has host bits set, which count for nothing"),
    "duplicate-block": _warning_rule("the entry lists one block twice"),
    "ipv6-block": _warning_rule("the entry lists IPv6, which the sidecar of a pod with IPv4 alone never carries"),
    "no-ports": _warning_rule("the entry has no port, and opens nothing"),
    "udp-port": _warning_rule("a port is UDP, which sidecars do not carry"),
    "no-endpoints": _warning_rule("the resolution is STATIC, and nothing says where to"),
    "invalid-probes": _warning_rule("the annotation egressctl.dev/probes cannot be read"),
    "cleartext-port": _warning_rule("what is sent on the port can be read on the way, passwords included"),
    "opens-cdn": _warning_rule("a block of a TCP port is of a content delivery network: every site behind it is open"),
    "broadly-exported": _warning_rule("an entry that every namespace sees opens 65,536 addresses or more"),
    "stale-blocks": _warning_rule("the entry is for a target of the catalogue, and lists other blocks than are published"),
    "takes-traffic": _error_rule("with the change, other than now carries traffic that an entry of the mesh carries"),
    "returns-traffic": _warning_rule("with the change, an entry of the mesh carries traffic that goes elsewhere now"),
    "refused-by-server": Rule(Severity.ERROR, "the API server that was asked by dry run refuses the manifest", ORIGIN_ISTIO),
    "warned-by-server": Rule(Severity.WARNING, "the API server that was asked by dry run warns of the manifest", ORIGIN_ISTIO),
    "crowded-port": _warning_rule("so many blocks share the port that every push to the sidecars takes seconds"),
}
"""By name. A name never changes its meaning."""

UNREADABLE_FILE_RULES = frozenset({"unreadable-file", "invalid-yaml", "unrendered-template"})
"""The rules about files of which nothing else is known."""


class Finding(NamedTuple):
    """What a rule found. `where` is the entry, or the place in a file; `hint` is the next command to type or thing to do.

    `file` and `line` (from 1) say where it stands, of what stands in a file; `path` is the way to it in a ServiceEntry.
    """

    rule: str
    message: str
    where: str
    hint: str = ""
    about: ObjectReference | None = None
    origin: str = ORIGIN_EGRESSCTL
    file: str = ""
    line: int | None = None
    path: ValuePath = ()

    @property
    def severity(self) -> Severity:
        return RULES[self.rule].severity


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
            near = difflib.get_close_matches(name.lower(), RULES, 3)
            offer = f"did you mean {' or '.join(near)}?" if near else "docs/rules/index.md lists them"
            raise InvalidInput(f'{flag}: lint has no rule "{name}"', hint=offer)
    return frozenset(names)


def select_findings(findings: Sequence[Finding], select: frozenset[str], ignore: frozenset[str]) -> tuple[Finding, ...]:
    """Return the findings of the rules that are selected, all where none is, and not ignored.

    What could not be read is told whatever is selected: nothing is known of it.
    """
    return tuple(
        each for each in findings if (not select or each.rule in select | UNREADABLE_FILE_RULES) and each.rule not in ignore
    )


def finding_of_conflict(clash: EntryConflict, where: str) -> Finding:
    """Return a clash as a finding about the entry `where`."""
    told = f"{clash.about} {clash.reason.removeprefix('it ')}"
    return Finding(
        clash.rule,
        f"{told}: {clash.outcome}" if clash.outcome else told,
        where,
        clash.hint or clash.about.show,
        clash.about,
        path=clash.path,
    )
