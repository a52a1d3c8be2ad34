"""The API server warns about the manifest in a dry run.

`egressctl lint FILES --ask-server` asks a real API server about each manifest. Its `Warning:` headers, which kubectl shows only
once, are findings here.

    addresses:

Fix what the message names, or only note it: the manifest is accepted.
"""

from collections.abc import Iterator, Sequence

from egressctl.lint.manifest_files import finding_at
from egressctl.lint.rule import ORIGIN_ISTIO, Finding, Rule, Severity
from egressctl.manifests.yaml_reader import Document


def findings(document: Document, warnings: Sequence[str], namespace: str) -> Iterator[Finding]:
    """Yield what the API server warns of in a document."""
    for warning in warnings:
        yield finding_at(RULE.id, warning, document, (), namespace)


RULE = Rule("warned-by-server", Severity.WARNING, __doc__, origin=ORIGIN_ISTIO)
