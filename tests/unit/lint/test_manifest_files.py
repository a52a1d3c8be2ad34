"""Which files and documents are read, and what is told of those that cannot be."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.errors import InvalidInput
from egressctl.lint.manifest_files import Manifests, manifests_of_texts, read_manifest_files
from egressctl.manifests.yaml_reader import MAX_BYTES

ENTRY = "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a}\nspec: {hosts: [a.example]}\n"
FOREIGN = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(folder: Path, **files: str | bytes) -> None:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def names(found: Manifests) -> list[str]:
    return [file.name for file in found.files]


def test_a_folder_is_read_with_all_below_it_and_without_what_is_hidden(folder: Path) -> None:
    write(folder, b_yaml=ENTRY, a_yml=ENTRY, deep__er__c_json='{"kind": "ServiceEntry"}', note_txt=ENTRY)
    (folder / ".hidden").mkdir()
    (folder / ".hidden" / "d.yaml").write_text(ENTRY)
    (folder / ".e.yaml").write_text(ENTRY)
    found = read_manifest_files(["."])
    assert names(found) == ["a.yml", "b.yaml", "deep/er/c.json"]
    assert (found.findings, found.looked_at) == ((), 3)


def test_a_file_that_is_named_is_read_whatever_it_is_called_and_once(folder: Path) -> None:
    write(folder, note_txt=ENTRY)
    assert names(read_manifest_files(["note.txt", "./note.txt", "."])) == ["note.txt"]


def test_what_is_not_there_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nowhere\.yaml: is no file and no folder"):
        read_manifest_files(["nowhere.yaml"])


def test_documents_of_other_kinds_are_passed_over(folder: Path) -> None:
    gateway = "apiVersion: networking.istio.io/v1\nkind: Gateway\n"
    other_group = "apiVersion: serving.example/v1\nkind: ServiceEntry\n"
    mixed = "---\n".join((FOREIGN, ENTRY, gateway, other_group, "- a list\n", "a text\n", ""))
    write(folder, mixed_yaml=mixed, foreign_yaml=FOREIGN, empty_yaml="", comment_yaml="# networking.istio.io\n")
    found = read_manifest_files(["."])
    assert [(file.name, len(file.documents)) for file in found.files] == [("mixed.yaml", 1)]
    assert found.findings == ()


@pytest.mark.parametrize(
    "document",
    [
        "kind: ServiceEntry\n",
        "apiVersion: 7\nkind: ServiceEntry\n",
        "apiVersion: networking.istio.io/v7\nkind: ServiceEntry\n",
        "kind: EgressTarget\n",
        "apiVersion: egressctl.dev/v1\nkind: EgressTarget\n",
        "apiVersion: networking.istio.io/v1beta1\nkind: Sidecar\n",
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: networking.istio.io/v1\n  kind: ServiceEntry\n",
    ],
)
def test_documents_that_are_meant_for_istio_or_for_egressctl_are_looked_at(document: str) -> None:
    assert len(manifests_of_texts({"a.yaml": document}).files) == 1


def rules(found: Manifests) -> list[tuple[str, str, int | None]]:
    return [(each.rule, each.file, each.line) for each in found.findings]


def test_a_file_that_is_no_yaml_is_one_finding_with_its_line(folder: Path) -> None:
    write(folder, a_yaml=ENTRY + "  wrong: [1, 2\n", b_yaml="nobody: [knows\n", c_yaml=ENTRY)
    found = read_manifest_files(["."])
    assert [(rule, file) for rule, file, _ in rules(found)] == [("invalid-yaml", "a.yaml"), ("invalid-yaml", "b.yaml")]
    assert all(each.line for each in found.findings)
    assert names(found) == ["c.yaml"]


def test_a_key_that_stands_twice_is_told_where_the_document_is_ours(folder: Path) -> None:
    twice = "{kind: Deployment, kind: Deployment}\n---\n" + ENTRY + "spec: {}\n"
    write(folder, a_yaml=twice)
    assert rules(read_manifest_files(["."])) == [("invalid-yaml", "a.yaml", 7)]


def test_a_template_is_no_error(folder: Path) -> None:
    template = ENTRY.replace("name: a", "name: {{ .Values.name }}")
    write(folder, ours_yaml=template, theirs_yaml=FOREIGN.replace("name: a", "name: {{ .Values.name }}"))
    assert rules(read_manifest_files(["."])) == [("unrendered-template", "ours.yaml", 3)]


def test_settings_of_other_tools_are_not_judged(folder: Path) -> None:
    write(folder, settings_json="{ // a comment\n}", data_yaml=b"\xff\xfe", big_yaml="a: 1\n" * MAX_BYTES)
    assert rules(read_manifest_files(["."])) == []


def test_what_names_istio_and_cannot_be_read_is_told(folder: Path) -> None:
    write(folder, latin_yaml=ENTRY.encode() + b"# caf\xe9\n", big_yaml=ENTRY + "#" * MAX_BYTES, odd_json=ENTRY + "{")
    assert [(rule, file) for rule, file, _ in rules(read_manifest_files(["."]))] == [
        ("unreadable-file", "big.yaml"),
        ("unreadable-file", "latin.yaml"),
        ("invalid-yaml", "odd.json"),
    ]


def test_a_pipe_in_a_folder_is_not_waited_for(folder: Path) -> None:
    import os

    os.mkfifo(folder / "pipe.yaml")
    assert read_manifest_files(["."]).findings == ()


@given(st.text(alphabet="kind: ServiceEntry{}[]'\"#&*!|>-\n\t{{", max_size=60))
def test_whatever_a_file_holds_is_read_or_told(text: str) -> None:
    found = manifests_of_texts({"a.yaml": text})
    assert all(each.file == "a.yaml" and each.rule in ("invalid-yaml", "unrendered-template") for each in found.findings)
