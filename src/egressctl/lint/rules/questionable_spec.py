"""The entry on the Kubernetes cluster says something that egressctl would not accept from a file.

Istio accepted it. In files these mistakes have their own rules, such as [host-bits](host-bits.md).

    metadata: {name: shop-db, namespace: default}
    addresses: [198.51.100.7/28]

Do what the finding says, in the source of the entry.
"""

from collections.abc import Iterator
from dataclasses import replace

from egressctl.catalog.validation import check_spec
from egressctl.errors import InvalidInput
from egressctl.lint.rule import LintedEntry, Place, Rule, Severity, Told
from egressctl.manifests.service_entry import probes_of


def check(case: LintedEntry) -> Iterator[Told]:
    if case.manifest is None:
        return
    for problem in check_spec(case.manifest.get("spec"), any_address=True):
        if not problem.message.startswith("the sidecar uses port"):  # which has a rule of its own
            yield f"spec.{problem}", "", ()
    try:
        probes_of(case.manifest)
    except InvalidInput as refused:
        yield from ((str(replace(problem, source="")), "", ()) for problem in refused.problems)


RULE = Rule("questionable-spec", Severity.WARNING, __doc__, check, Place.CLUSTER)
