"""Plain data as JSON or YAML, of which no line is a command to anyone who reads a log."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from egressctl.model.entry import RESOURCE
from egressctl.runtime.sanitize import neutralise

API_VERSION = "egressctl.dev/v1alpha1"
"""The schema version of every document that egressctl writes."""


def document(kind: str, **fields: Any) -> dict[str, Any]:
    """Return a document of egressctl's own as plain data: its head, then the fields in their order."""
    return {"apiVersion": API_VERSION, "kind": kind, **fields}


def data_text(data: Any, form: str) -> str:
    """Return plain data as JSON or YAML.

    No line of it is a command to GitHub's runner, whatever the data say: that reads `##[` anywhere and `::` at a line's
    beginning. Nor does any hold a control or format character, which could rewrite what a person reads.
    """
    if form == "json":
        return json.dumps(data, indent=2, ensure_ascii=True).replace("##[", "#\\u0023[") + "\n"
    from egressctl.manifests.yaml_writer import write_yaml  # imported late: 13 ms

    return write_yaml(data)


def entry_names_text(names: Iterable[str]) -> str:
    """Return the names of ServiceEntries as `-o name` has them, a line each, in kubectl's words."""
    return "".join(f"{RESOURCE}/{neutralise(name)}\n" for name in names)


def one_or_list(manifests: Sequence[Any]) -> Any:
    """Return the only one of several manifests, else Kubernetes' List of them, as kubectl prints them."""
    return manifests[0] if len(manifests) == 1 else {"apiVersion": "v1", "kind": "List", "items": manifests}
