"""What many tests begin from: harmless ServiceEntries as values, one in a document, and JSON that may be anything."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from egressctl.manifests.yaml_reader import Document
from egressctl.model.entry import Port, ServiceEntry

ENTRY = ServiceEntry(
    name="a",
    namespace="shop",
    hosts=("a.example",),
    addresses=("198.51.100.0/28",),
    ports=(Port(443, "TCP", "p"),),
    resolution="NONE",
    location="MESH_EXTERNAL",
    export_to=(".",),
)

WIKIPEDIA = ServiceEntry(
    name="wikipedia-ext",
    namespace="default",
    hosts=("wikipedia.org",),
    addresses=("208.80.154.224/27",),
    ports=(Port(443, "TCP", "tcp-port"),),
    resolution="NONE",
    location="MESH_EXTERNAL",
    export_to=(),
)

JSON: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 99999)
    | st.text(max_size=5)
    | st.sampled_from(["*", "DNS", "TCP", "::/0", "a.example"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "number", "address", "labels", "x"]), inner)
    ),
    max_leaves=6,
)


def entry(**changes: Any) -> ServiceEntry:
    """Return ENTRY with these changes."""
    return replace(ENTRY, **changes)


def document(
    name: str = "it",
    namespace: str = "shop",
    protocol: str | None = "TLS",
    labels: dict[str, str] | None = None,
    status: dict[str, Any] | None = None,
    **spec: Any,
) -> Document:
    """Return a document of one ServiceEntry with one port; `spec` are further fields of its own, or others."""
    port = {"number": 443, "name": "p", **({} if protocol is None else {"protocol": protocol})}
    value = {
        "apiVersion": "networking.istio.io/v1",
        "kind": "ServiceEntry",
        "metadata": {"name": name, "labels": labels or {}, **({"namespace": namespace} if namespace else {})},
        "spec": {"hosts": ["wikipedia.org"], "ports": [port], "resolution": "DNS", **spec},
        "status": status or {},
    }
    return Document(value, f"{name}.yaml", {(): 1, ("spec", "ports", 0): 7})
