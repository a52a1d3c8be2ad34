"""Read manifests from files and folders: what is Istio's or egressctl's of them, and what cannot be read, as findings."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from egressctl.errors import InvalidInput, Problem
from egressctl.lint.rule import Finding, finding_of_problem
from egressctl.lint.rules import invalid_yaml, unreadable_file, unrendered_template
from egressctl.manifests.egress_target import API_VERSION, TARGET_KIND
from egressctl.manifests.yaml_reader import MAX_BYTES, Document, InputPlace, ValuePath, parse_yaml
from egressctl.model.entry import GROUP, KIND
from egressctl.model.json_values import mapping_at

STDIN = "stdin"
"""What standard input is called in findings."""

SUFFIXES = (".yaml", ".yml", ".json")
"""Which files of a folder are read."""

ISTIO_KINDS = (KIND, "Sidecar", "VirtualService", "DestinationRule")
_OWN_GROUP = API_VERSION.partition("/")[0]
_MENTIONS = (GROUP, _OWN_GROUP, KIND, TARGET_KIND)
_MOST_BYTES = 64 * MAX_BYTES
_TEMPLATE = "{{"


class ManifestFile(NamedTuple):
    """A file with documents that are looked at; `name` is how the command line leads to it."""

    name: str
    text: str
    documents: tuple[Document, ...]


class Manifests(NamedTuple):
    """What was read: files, findings about what could not be, and how many files there were."""

    files: tuple[ManifestFile, ...]
    findings: tuple[Finding, ...]
    looked_at: int


def read_manifest_files(paths: Sequence[str]) -> Manifests:
    """Read files, folders with all below them, and `-` for standard input.

    Of a folder: files with a suffix of YAML or JSON, hidden ones and hidden folders left out. Documents of other kinds are
    passed over, and so are files of a folder that do not name Istio's group or egressctl's, unless they are no YAML. Raises
    InvalidInput for a path that is not there, or a folder that may not be read.
    """
    files: list[ManifestFile] = []
    findings: list[Finding] = []
    names = list(_file_names(paths))
    for name, named in names:
        text = _read_text(name, named, findings)
        shown = STDIN if name == "-" else name
        if text is not None and (documents := _parse_documents(shown, text, named, findings)):
            files.append(ManifestFile(shown, text, documents))
    return Manifests(tuple(files), tuple(findings), len(names))


def manifests_of_texts(texts: Mapping[str, str]) -> Manifests:
    """Read texts by the names of their files, as if each had been named on the command line. Pure."""
    findings: list[Finding] = []
    files = [ManifestFile(name, text, _parse_documents(name, text, True, findings)) for name, text in texts.items()]
    return Manifests(tuple(file for file in files if file.documents), tuple(findings), len(texts))


def is_looked_at(document: Document) -> bool:
    """Say whether a document is of a kind that lint knows. A ServiceEntry without a version is one with a mistake."""
    kind, version = document.value.get("kind"), document.value.get("apiVersion")
    group = version.partition("/")[0] if isinstance(version, str) else ""
    if kind == TARGET_KIND:
        return group in (_OWN_GROUP, "")
    return kind in ISTIO_KINDS and (group == GROUP or (kind == KIND and not group))


def _file_names(paths: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Yield each file once, and whether it was named itself."""
    seen: set[str] = set()
    for path in paths:
        if path == "-":
            if path not in seen:
                yield path, True
            seen.add(path)
            continue
        folder = os.path.isdir(path)
        if not folder and not os.path.exists(path):
            remedy = "fetch it first, and give -" if path.startswith(("http://", "https://")) else "check the path"
            raise InvalidInput(problems=[Problem("is no file and no folder", "", remedy, path)])
        for name in _files_in_folder(path) if folder else [path]:
            if (real := os.path.realpath(name)) not in seen:
                seen.add(real)
                yield name, not folder


def _files_in_folder(folder: str) -> Iterator[str]:
    def refuse(error: OSError) -> None:
        raise InvalidInput(problems=[Problem(f"cannot be read: {error.strerror or error}", "", "", str(error.filename))])

    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = sorted(each for each in folders if not each.startswith("."))
        for name in sorted(names):
            if name.endswith(SUFFIXES) and not name.startswith("."):
                yield os.path.normpath(os.path.join(root, name))


def _read_text(name: str, named: bool, findings: list[Finding]) -> str | None:
    """Return a file's text; None where it is of no interest, or cannot be read, which is a finding."""
    try:
        if name == "-":
            name, data = STDIN, sys.stdin.buffer.read(_MOST_BYTES)
        else:
            if not named and not stat.S_ISREG(os.stat(name).st_mode):
                return None
            with open(name, "rb") as file:
                data = file.read(_MOST_BYTES)
    except (OSError, ValueError) as error:
        findings.append(unreadable_file.finding(name, f"cannot be read: {str(getattr(error, 'strerror', '') or error).lower()}"))
        return None
    mentions = named or any(each.encode() in data for each in _MENTIONS)
    if len(data) > MAX_BYTES:
        if mentions or len(data) == _MOST_BYTES:
            findings.append(unreadable_file.finding(name, "is larger than 1 MiB", "split it: a manifest is a few kilobytes"))
        return None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" not in text:
        return text
    if mentions:
        findings.append(unreadable_file.finding(name, "is not text in UTF-8", "a manifest is YAML or JSON"))
    return None


def _parse_documents(name: str, text: str, named: bool, findings: list[Finding]) -> tuple[Document, ...]:
    mentions = any(each in text for each in _MENTIONS)
    if not (mentions or named):
        # Settings of other tools are JSON with comments, and charts of others are templates: neither is ours to judge.
        if _TEMPLATE not in text and not name.endswith(".json") and (wrong := invalid_yaml.syntax_finding(name, text)):
            findings.append(wrong)
        return ()
    try:
        parsed = parse_yaml(text, name, any_kind=True)
    except InvalidInput as refused:
        findings += [_broken_yaml_finding(each, text) for each in refused.problems]
        return ()
    wanted = tuple(each for each in parsed.documents if is_looked_at(each))
    others = [each.span for each in parsed.documents if not is_looked_at(each)]
    for each in parsed.problems:
        if not any(first <= (each.line or 0) <= last for first, last in others):
            findings.append(_broken_yaml_finding(each, text))
    return wanted


def _broken_yaml_finding(problem: Problem, text: str) -> Finding:
    if not problem.field and _TEMPLATE in text:
        return unrendered_template.finding(problem)
    return finding_of_problem(invalid_yaml.RULE.id, problem)


def place_of(document: Document, path: ValuePath) -> InputPlace:
    """Return where in a document a ServiceEntry's path stands, also that of the entry that a target makes."""
    if document.value.get("kind") == TARGET_KIND and path[:1] == ("spec",):
        path = ("spec", "serviceEntry", *path[1:])
    return document.place(path or ("metadata", "name"))


def finding_at(rule: str, message: str, document: Document, path: ValuePath, namespace: str) -> Finding:
    """Return a finding about a document as a whole; `namespace` is that of one that does not say its own."""
    metadata, place = mapping_at(document.value, "metadata"), place_of(document, path)
    where = f"{metadata.get('namespace') or namespace}/{metadata.get('name') or '?'}"
    return Finding(rule, message, where, file=place.source, line=place.line)
