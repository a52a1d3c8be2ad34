"""The annotation `egressctl.dev/probes` cannot be read.

The entry works, but `egressctl verify` cannot prove it, and refuses it.

    metadata:
      name: shop-db
      namespace: shop
      annotations: {egressctl.dev/probes: "https://db.example.com"}

Write a list in JSON: `[{"name": "front", "url": "https://db.example.com"}]`, or `none` for no probes.
"""

from collections.abc import Iterator
from dataclasses import replace

from egressctl.errors import InvalidInput
from egressctl.lint.rule import LintedEntry, Place, Rule, Severity, Told
from egressctl.manifests.service_entry import ANNOTATION_PROBES, probes_of


def check(case: LintedEntry) -> Iterator[Told]:
    try:
        probes_of(case.manifest or {})
    except InvalidInput as refused:
        for problem in refused.problems:
            told = str(replace(problem, source="", remedy=""))
            yield told, problem.remedy, ("metadata", "annotations", ANNOTATION_PROBES)


RULE = Rule("invalid-probes", Severity.WARNING, __doc__, check, Place.FILE)
