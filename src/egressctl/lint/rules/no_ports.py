"""The entry has no port, so it opens nothing.

Istio accepts the entry and ignores it: in REGISTRY_ONLY the host stays blocked.

    ports:

Add the port: `ports: [{number: 5432, name: tcp-db, protocol: TCP}]`.
"""

from collections.abc import Iterator

from egressctl.lint.rule import LintedEntry, Place, Rule, Severity, Told


def check(case: LintedEntry) -> Iterator[Told]:
    if not case.entry.ports:
        right = "such as ports: [{number: 443, name: tcp-443, protocol: TCP}]"
        yield "it has no port and opens nothing", right, ("spec",)


RULE = Rule("no-ports", Severity.WARNING, __doc__, check, Place.FILE)
