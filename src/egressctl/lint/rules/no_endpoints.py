"""The resolution is STATIC, and nothing says where to.

The Envoy cluster of such an entry has no hosts: every connection to it is refused. Istio takes it without a word.

    resolution: STATIC

Add `endpoints`, a `workloadSelector`, or use `NONE`, which goes where the connection was going.
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
