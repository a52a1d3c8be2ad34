"""`exportTo` names a namespace that does not exist.

Istio does not check it, and a wrong name exports to nobody. lint reads the namespaces from the Kubernetes cluster.

    metadata: {name: shop-db, namespace: default}
    exportTo: [".", default-2]

Correct the name, or create the namespace.
"""

from collections.abc import Iterator

from egressctl.istio.export_to import EVERYWHERE, NOWHERE, OWN
from egressctl.lint.rule import LintedEntry, Place, Rule, Severity, Told


def check(case: LintedEntry) -> Iterator[Told]:
    known = None if case.namespaces is None else {OWN, EVERYWHERE, NOWHERE, *case.namespaces}
    for namespace in case.entry.export_to:
        if known is not None and namespace not in known:
            yield f"exportTo names namespace {namespace}, which does not exist", case.show, ()


RULE = Rule("unknown-namespace", Severity.WARNING, __doc__, check, Place.CLUSTER)
