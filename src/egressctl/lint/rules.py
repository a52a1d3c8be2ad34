"""The rules of lint: each with a stable name, how bad it is, and what it means; and a finding, which names the rule it is of."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from egressctl.errors import InvalidInput
from egressctl.istio.conflict import About, Clash
from egressctl.lint.api_server_rules import REFUSED, WARNED
from egressctl.manifests.yaml_reader import Path

ORIGIN, ISTIO = "egressctl", "istio"
"""Whose rule it is: ours, or one that a real API server with Istio has itself."""


class Severity(StrEnum):
    """An error does not work; a warning may not do what is meant."""

    ERROR = "error"
    WARNING = "warning"


class Rule(NamedTuple):
    """What a rule looks for. `meaning` is a sentence without its full stop; `origin` says whose rule it is."""

    severity: Severity
    meaning: str
    origin: str = ORIGIN


def _warning(meaning: str) -> Rule:
    return Rule(Severity.WARNING, meaning)


def _error(meaning: str) -> Rule:
    return Rule(Severity.ERROR, meaning)


ISTIO_RULES: Mapping[str, Rule] = {
    **{name: Rule(Severity.ERROR, each.meaning, ISTIO) for name, each in REFUSED.items()},
    **{name: Rule(Severity.WARNING, each.meaning, ISTIO) for name, each in WARNED.items()},
}
"""By name: what a real API server with Istio refuses (an error) or warns of."""

RULES: Mapping[str, Rule] = {
    **ISTIO_RULES,
    "addresses-advised": _warning("a TCP port has no addresses, and Istio allocates one (IST0134 of istioctl analyze)"),
    "protocols-differ": _warning("entries of one host declare a port with several protocols (IST0177 of istioctl analyze)"),
    "invalid-input": Rule(Severity.ERROR, "the target or the manifest breaks a rule of Istio's or of egressctl's"),
    "reserved-port": Rule(
        Severity.ERROR, "the port is one that Istio keeps for itself: the sidecar never gets a listener for it"
    ),
    "questionable-spec": _warning(
        "the entry on the Kubernetes cluster says something that egressctl would not accept from a file"
    ),
    "opens-whole-port": _warning("a TCP port without addresses, or with 0.0.0.0/0, opens the port to every address"),
    "exported-everywhere": _warning("the entry has no exportTo and opens the egress for every namespace"),
    "not-exported": _warning("exportTo leaves out the namespace of the source pod"),
    "unknown-namespace": _warning("exportTo names a namespace that is not there"),
    "same-host": _warning("another entry has the same host, in this namespace or in another"),
    "same-block": _warning("another entry lists the same address block on the same port"),
    "overlapping-blocks": _warning("another entry lists a block on the same port that overlaps"),
    "whole-port": _warning("one of two entries takes every address on a port that both name"),
    "same-server-name": _warning("another TLS entry on the port has a wildcard that covers a host, or the other way round"),
    "tls-behind-block": _warning("a TLS entry without addresses loses to an entry whose block holds the address"),
    "protocol-conflict": _warning("one of two entries declares a port HTTP, and the other TCP or TLS"),
    "service-address": _warning("the address of a Service is inside a block, on the same port"),
    "hidden-by-sidecar": _warning("a Sidecar resource leaves the entry out"),
    "one-block-kept": _warning("a Sidecar resource names the exact host, and keeps only one of several blocks"),
    "rerouted": _warning("a VirtualService sends the host elsewhere"),
    "wrapped-in-tls": _warning("a DestinationRule wraps the host's connections in TLS"),
    "unreadable-file": _error("the file cannot be read, is no text in UTF-8, or is too large"),
    "invalid-yaml": _error("the file is no YAML, or says what readers of YAML understand differently, such as a key twice"),
    "unrendered-template": _warning("the file is a template, which cannot be read before it is rendered"),
    "duplicate-object": _warning("two documents are one object of the Kubernetes cluster: the one that is applied last stays"),
    "unknown-ignore": _warning("a comment asks to ignore no rule, or one that does not exist"),
    "host-bits": _warning("a block has host bits set, which count for nothing"),
    "duplicate-block": _warning("the entry lists one block twice"),
    "ipv6-block": _warning("the entry lists IPv6, which the sidecar of a pod with IPv4 alone never carries"),
    "no-ports": _warning("the entry has no port, and opens nothing"),
    "udp-port": _warning("a port is UDP, which sidecars do not carry"),
    "no-endpoints": _warning("the resolution is STATIC, and nothing says where to"),
    "invalid-probes": _warning("the annotation egressctl.dev/probes cannot be read"),
    "cleartext-port": _warning("what is sent on the port can be read on the way, passwords included"),
    "opens-cdn": _warning("a block of a TCP port is of a content delivery network: every site behind it is open"),
    "broadly-exported": _warning("an entry that every namespace sees opens 65,536 addresses or more"),
    "stale-blocks": _warning("the entry is for a target of the catalogue, and lists other blocks than are published"),
    "takes-traffic": _error("with the change, other than now carries traffic that an entry of the mesh carries"),
    "returns-traffic": _warning("with the change, an entry of the mesh carries traffic that goes elsewhere now"),
    "refused-by-server": Rule(Severity.ERROR, "the API server that was asked by dry run refuses the manifest", ISTIO),
    "warned-by-server": Rule(Severity.WARNING, "the API server that was asked by dry run warns of the manifest", ISTIO),
    "crowded-port": _warning("so many blocks share the port that every push to the sidecars takes seconds"),
}
"""By name. A name never changes its meaning."""

UNREAD = frozenset({"unreadable-file", "invalid-yaml", "unrendered-template"})
"""The rules about files of which nothing else is known."""


class Finding(NamedTuple):
    """What a rule found. `where` is the entry, or the place in a file; `hint` is the next command to type or thing to do.

    `file` and `line` (from 1) say where it stands, of what stands in a file; `path` is the way to it in a ServiceEntry.
    """

    rule: str
    message: str
    where: str
    hint: str = ""
    about: About | None = None
    origin: str = ORIGIN
    file: str = ""
    line: int | None = None
    path: Path = ()

    @property
    def severity(self) -> Severity:
        return RULES[self.rule].severity


class Linted(NamedTuple):
    """What was found, by entry, and one sentence for each kind of object that was not looked at everywhere.

    `hint` is the command that grants the rights to look; `entries` and `files` count what was looked at.
    """

    findings: tuple[Finding, ...]
    not_looked_at: tuple[str, ...] = ()
    hint: str = ""
    entries: int = 0
    files: int = 0


def named(words: Sequence[str], flag: str) -> frozenset[str]:
    """Return the rules that a flag names, given repeatedly or with commas. Raises InvalidInput for one that there is not."""
    names = [part.strip() for word in words for part in word.split(",") if part.strip()]
    for name in names:
        if name not in RULES:
            near = difflib.get_close_matches(name.lower(), RULES, 3)
            offer = f"did you mean {' or '.join(near)}?" if near else "docs/rules/index.md lists them"
            raise InvalidInput(f'{flag}: lint has no rule "{name}"', hint=offer)
    return frozenset(names)


def chosen(findings: Sequence[Finding], select: frozenset[str], ignore: frozenset[str]) -> tuple[Finding, ...]:
    """Return the findings of the rules that are selected, all where none is, and not ignored.

    What could not be read is told whatever is selected: nothing is known of it.
    """
    return tuple(each for each in findings if (not select or each.rule in select | UNREAD) and each.rule not in ignore)


def of_clash(clash: Clash, where: str) -> Finding:
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
