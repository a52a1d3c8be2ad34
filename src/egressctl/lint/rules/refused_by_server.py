"""The API server refuses the manifest in a dry run.

`egressctl lint FILES --ask-server` asks a real API server about each manifest: the schema and the rules of Istio's
CustomResourceDefinitions, and every webhook, Istio's and your own policies. The message is the API server's. Its answer replaces
what egressctl itself knows about Istio's rules.

    resolution: DNS

Fix what the message names. If one of your own webhooks refuses it, ask the webhook's owner.
"""

import re
from collections.abc import Iterator, Sequence

from egressctl.errors import Problem
from egressctl.lint.manifest_files import finding_at
from egressctl.lint.rule import ORIGIN_ISTIO, Finding, Rule, Severity
from egressctl.manifests.yaml_reader import Document

_FIELD_PART = re.compile(r"\[(\d+)\]|\[([^\]]+)\]|([^.\[\]]+)")
"""A step of a field as the API server writes it: `spec.ports[0].number`, `metadata.labels[a.b/c]`."""


def findings(document: Document, problems: Sequence[Problem], namespace: str) -> Iterator[Finding]:
    """Yield what the API server refuses in a document, at its place."""
    for problem in problems:
        message = f"{problem.field}: {problem.message}" if problem.field else problem.message
        path = tuple(int(number) if number else key or name for number, key, name in _FIELD_PART.findall(problem.field))
        yield finding_at(RULE.id, message, document, path, namespace)


RULE = Rule("refused-by-server", Severity.ERROR, __doc__, origin=ORIGIN_ISTIO)
