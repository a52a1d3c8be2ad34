"""What `istioctl analyze` warns of in ServiceEntries and no API server does: IST0134 and IST0177. Pure.

From `pkg/config/analysis/analyzers/serviceentry` of istio/istio (August 2026). Of a document that says no ServiceEntry that can
be read, nothing is told here: `refusals` tells what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from egressctl.istio.admission import webhook
from egressctl.istio.conflict import ObjectReference
from egressctl.lint.checks.api_server import is_service_entry
from egressctl.lint.rules import Finding
from egressctl.manifests.yaml_reader import Document, ValuePath

ADDRESSES_ADVISED, PROTOCOLS_DIFFER = "addresses-advised", "protocols-differ"
_EVERYWHERE = "*"


class _PortInDocument(NamedTuple):
    """One port of a document's entry, for one of its hosts, as far as a scope sees it."""

    document: Document
    entry: ObjectReference
    place: int
    protocol: str


def istioctl_findings(documents: Sequence[Document], namespace: str = "") -> list[Finding]:
    """Return the findings of both analyzers for documents that lie side by side.

    `namespace` is where those go that name none. What the API server warns of itself is left to `refusals`.
    """
    entries = [each for each in documents if is_service_entry(each)]
    return [finding for each in entries for finding in check_addresses_advised(each)] + check_protocols_differ(entries, namespace)


def check_addresses_advised(document: Document) -> list[Finding]:
    """Return IST0134 of an entry without addresses of its own or of Istio's: one for each TCP port or port of no protocol."""
    spec, metadata = _as_mapping(document.value.get("spec")), _as_mapping(document.value.get("metadata"))
    if _list_field(spec, "addresses") or _list_field(_as_mapping(document.value.get("status")), "addresses"):
        return []
    warned = (
        ()
        if webhook.has_auto_allocated_address(spec, _as_mapping(metadata.get("labels")))
        else webhook.PROTOCOLS_THAT_NEED_ADDRESSES
    )
    found = []
    for index, port in enumerate(_list_field(spec, "ports")):
        protocol = str(_as_mapping(port).get("protocol") or "")
        if protocol.upper() in webhook.PROTOCOLS_THAT_NEED_ADDRESSES and protocol not in warned:
            message = "a TCP port without addresses: its listener takes the port of every address (IST0134 of istioctl analyze)"
            found.append(_finding(document, ADDRESSES_ADVISED, message, ("spec", "ports", index), "list the addresses"))
    return found


def check_protocols_differ(documents: Sequence[Document], namespace: str = "") -> list[Finding]:
    """Return IST0177 of entries: the same host and port, with another protocol, for the same namespaces. One an entry."""
    by_port: dict[tuple[str, str, object], list[_PortInDocument]] = {}
    for document in documents:
        for key, port in _ports(document, namespace):
            by_port.setdefault(key, []).append(port)
    found: dict[int, Finding] = {}
    for (scope, host, number), ports in by_port.items():
        public = [] if scope == _EVERYWHERE else by_port.get((_EVERYWHERE, host, number), [])
        protocols = sorted({each.protocol for each in (*ports, *public)})
        if len(protocols) < 2:
            continue
        for each in (*ports, *public):
            others = dict.fromkeys(other.entry for other in (*ports, *public) if other.protocol != each.protocol)
            other = next(iter(others))
            message = (
                f"{host} has port {number} with protocol {each.protocol or 'unset'} here, and with another in {other} "
                "(IST0177 of istioctl analyze)"
            )
            here: ValuePath = ("spec", "ports", each.place)
            told = _finding(
                each.document, PROTOCOLS_DIFFER, message, here, "give the port one protocol in all entries of the host", other
            )
            found.setdefault(id(each.document), told)
    return list(found.values())


def _ports(document: Document, namespace: str) -> Iterator[tuple[tuple[str, str, object], _PortInDocument]]:
    metadata, spec = _as_mapping(document.value.get("metadata")), _as_mapping(document.value.get("spec"))
    own = str(metadata.get("namespace") or namespace)
    entry = ObjectReference("ServiceEntry", own, str(metadata.get("name", "")))
    for scope in _scopes([each for each in _list_field(spec, "exportTo") if isinstance(each, str)], own):
        for host in dict.fromkeys(each for each in _list_field(spec, "hosts") if isinstance(each, str)):
            for index, port in enumerate(_list_field(spec, "ports")):
                number, protocol = _as_mapping(port).get("number"), _as_mapping(port).get("protocol")
                if isinstance(number, int):
                    yield (scope, host, number), _PortInDocument(document, entry, index, str(protocol or "").upper())


def _scopes(export_to: Sequence[str], own: str) -> set[str]:
    if not export_to or _EVERYWHERE in export_to:
        return {_EVERYWHERE}
    return {own if each == "." else each for each in export_to}


def _as_mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list_field(spec: Mapping[str, Any], name: str) -> Sequence[Any]:
    value = spec.get(name)
    return value if isinstance(value, list) else ()


def _finding(
    document: Document, rule: str, message: str, path: ValuePath, hint: str, about: ObjectReference | None = None
) -> Finding:
    place = document.place(path)
    return Finding(rule, message, place.field, hint, about, file=place.source, line=place.line)
