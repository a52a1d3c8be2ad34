"""Two documents are one object of the Kubernetes cluster: the one that is applied last replaces the other.

They have the same kind, namespace and name. The addresses of the replaced one are closed. Layers of one object (a base and its
overlays) look the same: lint the rendered manifests.

    hosts: [db.example.com]
    ---
    addresses: [198.51.100.32/28]

Give one of them another name, or put both into one document.
"""

from collections.abc import Iterator, Mapping, Sequence

from egressctl.istio.conflict import ObjectReference
from egressctl.lint.rule import Finding, Rule, Severity
from egressctl.manifests.yaml_reader import Document


def check_documents(documents_of: Mapping[ObjectReference, Sequence[Document]]) -> Iterator[Finding]:
    """Yield a finding for each further document of an object that has a name."""
    for about, documents in documents_of.items():
        for document in documents[1:] if about.name else ():
            place, first = document.place(("metadata", "name")), documents[0].place(("metadata", "name"))
            told = f"{about} is also at {first.source}:{first.line}: the one that is applied last replaces the other"
            yield Finding(RULE.id, told, f"{about.namespace}/{about.name}", file=place.source, line=place.line)


RULE = Rule("duplicate-object", Severity.WARNING, __doc__)
