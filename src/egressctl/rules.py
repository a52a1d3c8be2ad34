"""The rules of lint: each with a stable name, how bad it is, and what it means; and a finding, which names the rule it is of."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

from egressctl.admission.meanings import REFUSED, WARNED

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
}
"""By name. A name never changes its meaning."""


class About(NamedTuple):
    """The other object that a finding is about."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def show(self) -> str:
        """The command that shows it."""
        group = "" if self.kind == "Service" else ".networking.istio.io"
        return f"kubectl get {self.kind.lower()}{group} -n {self.namespace} {self.name} -o yaml"


class Finding(NamedTuple):
    """What a rule found. `where` is the entry, or the place in a file; `hint` is the next command to type or thing to do.

    `file` and `line` (from 1) say where it stands, of what stands in a file.
    """

    rule: str
    message: str
    where: str
    hint: str = ""
    about: About | None = None
    origin: str = ORIGIN
    file: str = ""
    line: int | None = None

    @property
    def severity(self) -> Severity:
        return RULES[self.rule].severity


class Clash(NamedTuple):
    """Why an entry may not do what it says: `reason` is a clause that begins with `it` and is about the other object.

    `outcome` is a clause that says who wins, or what comes of it.
    """

    rule: str
    about: About
    reason: str
    outcome: str = ""
    hint: str = ""

    def finding(self, where: str) -> Finding:
        """Return it as a finding about the entry `where`."""
        told = f"{self.about} {self.reason.removeprefix('it ')}"
        return Finding(
            self.rule, f"{told}: {self.outcome}" if self.outcome else told, where, self.hint or self.about.show, self.about
        )
