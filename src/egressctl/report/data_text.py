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
    beginning. In YAML each text is one line therefore, of several lines and `##[` with escapes.
    """
    if form == "json":
        return json.dumps(data, indent=2, ensure_ascii=True).replace("##[", "#\\u0023[") + "\n"
    import yaml  # imported late: 13 ms

    class LogSafeDumper(yaml.SafeDumper):
        """Quotes what must not stand in a line as it is, and writes no aliases."""

        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  (the signature is PyYAML's)
            return True

        def represent_text(self, text: str) -> yaml.ScalarNode:
            quoted = not text.isprintable() or "##[" in text
            return self.represent_scalar("tag:yaml.org,2002:str", text, style='"' if quoted else None)

    LogSafeDumper.add_representer(str, LogSafeDumper.represent_text)
    text: str = yaml.dump(data, Dumper=LogSafeDumper, sort_keys=False, allow_unicode=True, width=2**31 - 1)
    # Each of them stands in double quotes, where \x23 is `#`.
    return text.replace("##[", "#\\x23[")


def entry_names_text(names: Iterable[str]) -> str:
    """Return the names of ServiceEntries as `-o name` has them, a line each, in kubectl's words."""
    return "".join(f"{RESOURCE}/{neutralise(name)}\n" for name in names)


def one_or_list(manifests: Sequence[Any]) -> Any:
    """Return the only one of several manifests, else Kubernetes' List of them, as kubectl prints them."""
    return manifests[0] if len(manifests) == 1 else {"apiVersion": "v1", "kind": "List", "items": manifests}
