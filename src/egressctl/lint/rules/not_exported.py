"""`exportTo` does not include the namespace of the source pod.

Pods of that namespace do not see the entry. The namespace is that of `-n`. This rule needs a Kubernetes cluster, because it is
about a pod.

    hosts: [db.example.com]

Add the namespace to `exportTo`, or name another one with `-n`.
"""

from collections.abc import Iterator

from egressctl.istio.export_to import PUBLIC, is_exported_to_namespace
from egressctl.lint.rule import LintedEntry, Place, Rule, Severity, Told


def check(case: LintedEntry) -> Iterator[Told]:
    exports = case.entry.export_to or PUBLIC
    if not is_exported_to_namespace(case.entry, case.namespace):
        yield f"exportTo is {', '.join(exports)}, which does not include namespace {case.namespace}", case.show, ()


RULE = Rule("not-exported", Severity.WARNING, __doc__, check, Place.CLUSTER)
