"""The resolution is STATIC, but the entry has no endpoints.

The Envoy cluster of such an entry has no hosts: every connection to it is refused. Istio accepts the entry without a warning.

    resolution: STATIC

Add `endpoints` or a `workloadSelector`. Or use `NONE`: then connections go where the application sends them.
"""

from collections.abc import Iterator

from egressctl.lint.rule import LintedEntry, Rule, Severity, Told


def check(case: LintedEntry) -> Iterator[Told]:
    if case.manifest is None or case.entry.resolution != "STATIC":
        return
    if not (case.spec.get("endpoints") or case.spec.get("workloadSelector")):
        told = "the resolution is STATIC, and there are neither endpoints nor a workloadSelector: connections go nowhere"
        yield told, "add endpoints, or use resolution NONE or DNS", ("spec",)


RULE = Rule("no-endpoints", Severity.WARNING, __doc__, check)
