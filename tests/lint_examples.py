"""What lint finds in the example of a rule, in the way in which an example is linted: as files, beside a snapshot, on a mesh."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from egressctl.errors import Problem
from egressctl.lint import files, live
from egressctl.lint.api_server import api_server_findings
from egressctl.lint.known_targets import known_targets_for
from egressctl.lint.manifest_files import read_manifest_files
from egressctl.lint.rule import RULES, Finding, Place, Severity
from egressctl.lint.rule_page import page_of_rule
from egressctl.lint.rules import refused_by_server, warned_by_server
from egressctl.manifests.service_entry import read_entry
from egressctl.manifests.yaml_reader import Document, parse_yaml
from egressctl.model.entry import KIND, Manifest, MeshObjects

SNAPSHOT = "snapshot.yaml"
"""The file of an example that says what stands on the Kubernetes cluster."""
SERVER_RULES = (refused_by_server.RULE, warned_by_server.RULE)


def findings_in_example(name: str) -> list[Finding]:
    """Return everything that lint finds in the example of a rule."""
    rule, examples = RULES[name], page_of_rule(RULES[name]).examples
    made = rule.example_files(examples[0].text) if rule.example_files else {each.file: each.text.encode() for each in examples}
    return findings_in(made, on_mesh=rule.only_in is Place.CLUSTER, by_server=rule in SERVER_RULES)


def findings_in(made: Mapping[str, bytes], *, on_mesh: bool = False, by_server: bool = False) -> list[Finding]:
    """Return what lint finds in files, or in the same as objects of a mesh; `by_server`: where a server was asked about them."""
    if on_mesh:
        return list(_on_mesh([document.value for text in made.values() for document in parse_yaml(text.decode(), "").documents]))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for file, text in made.items():
            Path(file).write_bytes(text)
        read = read_manifest_files([file for file in made if file != SNAPSHOT])
    base, said = None, None
    if SNAPSHOT in made:
        there = [read_entry(each.value) for each in parse_yaml(made[SNAPSHOT].decode(), "").documents]
        base = files.ComparisonBase(MeshObjects(entries=tuple(there)), "snapshot")
    if by_server:
        said = [each for file in read.files for document in file.documents for each in _said_by_server(document)]
    return list(files.lint_files(read, "default", known_targets_for, base=base, said=said).findings)


def _on_mesh(objects: Sequence[Manifest]) -> Iterator[Finding]:
    services = tuple(each for each in objects if each["kind"] == "Service")
    around = MeshObjects(services=services, namespaces={"default": {}})
    for manifest in (each for each in objects if each["kind"] == KIND):
        yield from live.findings_beside(read_entry(manifest), around, "default", manifest=manifest)


def _said_by_server(document: Document) -> Iterator[Finding]:
    """Return what an API server says of a document by dry run, in the words that its rules have here."""
    told = api_server_findings(document)
    problems = [Problem(each.message, each.where) for each in told if each.severity is Severity.ERROR]
    yield from refused_by_server.findings(document, problems, "default")
    warnings = [each.message for each in told if each.severity is Severity.WARNING]
    yield from warned_by_server.findings(document, warnings, "default")
