"""Entries of one host declare different protocols for a port (IST0177 of istioctl analyze).

`istioctl analyze` warns about it as IST0177, ConflictingServiceEntryProtocol: if a sidecar gets both entries, only one of the
two protocols works there. The API server looks at one entry at a time and does not warn.

    ports: [{number: 443, name: tls, protocol: TLS}]
    exportTo: ["*"]
    ---
    metadata: {name: shop-db, namespace: mail}
    ports: [{number: 443, name: https, protocol: HTTPS}]
    exportTo: ["*"]

Give the port one protocol in all entries of the host, or keep the entries apart with `exportTo`.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from egressctl.istio.conflict import ObjectReference
from egressctl.istio.export_to import EVERYWHERE, NOWHERE, namespaces_that_see
from egressctl.lint.rule import Finding, Rule, Severity
from egressctl.manifests.yaml_reader import Document
from egressctl.model.json_values import list_at, mapping_at, texts_at, value_at


class _PortInDocument(NamedTuple):
    """One port of a document's entry, for one of its hosts, as far as a scope sees it."""

    document: Document
    entry: ObjectReference
    place: int
    protocol: str


def check_documents(documents: Sequence[Document], namespace: str = "") -> list[Finding]:
    """Return IST0177 of entries: the same host and port, with another protocol, for the same namespaces. One an entry."""
    by_port: dict[tuple[str, str, object], list[_PortInDocument]] = {}
    for document in documents:
        for key, port in _ports(document, namespace):
            by_port.setdefault(key, []).append(port)
    found: dict[int, Finding] = {}
    for (scope, host, number), ports in by_port.items():
        public = [] if scope == EVERYWHERE else by_port.get((EVERYWHERE, host, number), [])
        for port in (*ports, *public):
            other = next((other.entry for other in (*ports, *public) if other.protocol != port.protocol), None)
            if other is None:
                break
            message = (
                f"{host} has port {number} with protocol {port.protocol or 'unset'} here, and with another in {other} "
                "(IST0177 of istioctl analyze)"
            )
            place = port.document.place(("spec", "ports", port.place))
            hint = "give the port one protocol in all entries of the host"
            told = Finding(RULE.id, message, place.field, hint, other, file=place.source, line=place.line)
            found.setdefault(id(port.document), told)
    return list(found.values())


def _ports(document: Document, namespace: str) -> Iterator[tuple[tuple[str, str, object], _PortInDocument]]:
    metadata, spec = mapping_at(document.value, "metadata"), mapping_at(document.value, "spec")
    own = str(metadata.get("namespace") or namespace)
    entry = ObjectReference("ServiceEntry", own, str(metadata.get("name", "")))
    exports = texts_at(spec, "exportTo")
    # istioctl compares those that nobody sees with each other as well.
    for scope in namespaces_that_see(exports, own) or {NOWHERE}:
        for host in dict.fromkeys(texts_at(spec, "hosts")):
            for index, port in enumerate(list_at(spec, "ports")):
                number, protocol = value_at(port, "number"), value_at(port, "protocol")
                if isinstance(number, int):
                    yield (scope, host, number), _PortInDocument(document, entry, index, str(protocol or "").upper())


RULE = Rule("protocols-differ", Severity.WARNING, __doc__)
