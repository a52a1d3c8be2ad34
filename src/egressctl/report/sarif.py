"""Findings in SARIF 2.1.0, the format in which code scanning takes them. Pure.

The schema is OASIS', and a test holds what is written here against it.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from egressctl import __version__
from egressctl.lint.rule import RULES, Finding

SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
VERSION = "2.1.0"
_ROOT = "%SRCROOT%"
"""What GitHub and others take for the root of the checkout."""
_FINGERPRINT = "egressctlFinding/v1"


def sarif(findings: Sequence[Finding], folder: str) -> dict[str, Any]:
    """Return the log of one run; the files of findings become relative to `folder`, the absolute path of where it ran."""
    rules = sorted({each.rule for each in findings})
    run = {
        "tool": {"driver": {"name": "egressctl", "version": __version__, "rules": [_rule(name) for name in rules]}},
        "columnKind": "unicodeCodePoints",
        "results": [_result(each, rules.index(each.rule), folder) for each in findings],
    }
    return {"$schema": SCHEMA, "version": VERSION, "runs": [run]}


def _rule(name: str) -> dict[str, Any]:
    rule = RULES[name]
    meaning = f"{rule.meaning[:1].upper()}{rule.meaning[1:]}."
    page = f"docs/rules/{name}.md"
    return {
        "id": name,
        "name": "".join(part.capitalize() for part in name.split("-")),
        "shortDescription": {"text": meaning},
        "help": {"text": f"{meaning} What to do: {page} of egressctl's documentation."},
        "defaultConfiguration": {"level": rule.severity.value},
    }


def _result(finding: Finding, index: int, folder: str) -> dict[str, Any]:
    # Lines move with every edit above them; what the finding is about does not.
    identity = "\0".join((finding.rule, _relative(finding.file, folder), finding.where.partition(":")[0], finding.message))
    return {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": finding.severity.value,
        "message": {"text": f"{finding.message}\n{finding.hint}" if finding.hint else finding.message},
        "locations": [_location(finding, folder)],
        "partialFingerprints": {_FINGERPRINT: hashlib.sha256(identity.encode("utf-8", "surrogatepass")).hexdigest()},
        "properties": {"origin": finding.origin},
    }


def _location(finding: Finding, folder: str) -> dict[str, Any]:
    logical = [{"fullyQualifiedName": finding.where, "kind": "resource"}]
    if not finding.file:
        return {"logicalLocations": logical}
    physical: dict[str, Any] = {"artifactLocation": _artifact(finding.file, folder)}
    if finding.line:
        physical["region"] = {"startLine": finding.line}
    about_file = finding.where.partition(":")[0] == finding.file
    return {"physicalLocation": physical} | ({} if about_file or not finding.where else {"logicalLocations": logical})


def _artifact(file: str, folder: str) -> dict[str, Any]:
    relative = _relative(file, folder)
    uri = quote(relative.encode("utf-8", "surrogateescape"))
    return {"uri": f"file://{uri}"} if posixpath.isabs(relative) else {"uri": uri, "uriBaseId": _ROOT}


def _relative(file: str, folder: str) -> str:
    """Return a path as it is seen from the folder; one that is not below it stays absolute."""
    path = posixpath.normpath(posixpath.join(folder, file))
    below = folder.rstrip("/") + "/"
    return path.removeprefix(below)
