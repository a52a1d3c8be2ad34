"""`exportTo` does not include the namespace of the source pod, or the mesh shows the entry to fewer namespaces.

Pods of that namespace do not see the entry. The mesh's `serviceEntryVisibility` limits whom entries are shown to, whatever
`exportTo` says, where it has `applyToSidecars` (Istio 1.31). The namespace is that of `-n`. This rule needs a Kubernetes
cluster, because it is about a pod.

    hosts: [db.example.com]

Add the namespace to `exportTo`, or name another one with `-n`. The mesh's administrator decides about `serviceEntryVisibility`.
"""

from collections.abc import Iterator
from dataclasses import replace

from egressctl.istio.export_to import PUBLIC, SHOW_MESH_CONFIG, is_exported_to_namespace, limit_told
from egressctl.lint.rule import LintedEntry, Place, Rule, Severity, Told


def check(case: LintedEntry) -> Iterator[Told]:
    exports = case.entry.export_to or PUBLIC
    if is_exported_to_namespace(case.entry, case.namespace):
        return
    if is_exported_to_namespace(replace(case.entry, shown_to=""), case.namespace):
        yield f"{limit_told(case.entry)}, whatever its exportTo says: not to namespace {case.namespace}", SHOW_MESH_CONFIG, ()
    else:
        yield f"exportTo is {', '.join(exports)}, which does not include namespace {case.namespace}", case.show, ()


RULE = Rule("not-exported", Severity.WARNING, __doc__, check, Place.CLUSTER)
