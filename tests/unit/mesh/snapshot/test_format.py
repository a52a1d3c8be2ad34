"""What of an object gets into a snapshot, what never does, and that a snapshot is read back as it was, or not at all."""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from egressctl.errors import ApiFailure, InvalidInput
from egressctl.istio.mesh_objects import MeshSettings, ObjectsOfKind
from egressctl.manifests.service_entry import read_entry
from egressctl.mesh.snapshot import folder as keeping
from egressctl.mesh.snapshot import format
from egressctl.mesh.snapshot.format import INDEX, snapshot_files
from egressctl.model.entry import Manifest
from egressctl.model.result import KubernetesInfo
from egressctl.runtime.signals import Interrupts
from examples import examples

KUBERNETES = KubernetesInfo("production", "https://203.0.113.7:6443", "v1.33.0")
SETTINGS = MeshSettings("istio-system", ("*",), "REGISTRY_ONLY")
NOON = "2026-11-26T12:00:00Z"
SECRET = "hunter2"
NO_SIGNALS = Interrupts()


def item(kind: str = "ServiceEntry", name: str = "a", namespace: str = "default", **spec: Any) -> dict[str, Any]:
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": "7b1",
        "resourceVersion": "17",
        "creationTimestamp": "2026-11-01T00:00:00Z",
        "labels": {"istio.io/rev": "canary"},
        "annotations": {
            "kubectl.kubernetes.io/last-applied-configuration": SECRET,
            "vault.example/token": SECRET,
            "egressctl.dev/probes": "none",
        },
        "managedFields": [{"manager": SECRET}],
    }
    version = "v1" if kind == "Service" else "networking.istio.io/v1"
    return {"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec, "status": {"conditions": [SECRET]}}


ENTRY = item(hosts=["a.example"], ports=[{"number": 443, "name": "tcp", "protocol": "TCP"}], resolution="NONE")
ROUTE = item(
    "VirtualService",
    hosts=["a.example"],
    http=[
        {
            "match": [{"headers": {"authorization": {"exact": SECRET}}, "uri": {"prefix": f"/{SECRET}"}, "port": 80}],
            "headers": {"request": {"set": {"Authorization": SECRET}}},
            "route": [{"destination": {"host": "b.example"}, "headers": {"request": {"add": {"x": SECRET}}}}],
            "directResponse": {"status": 200, "body": {"string": SECRET}},
        }
    ],
    tls=[{"match": [{"sniHosts": ["a.example"], "port": 443}], "route": [{"destination": {"host": "b.example"}}]}],
)
RULE = item(
    "DestinationRule",
    host="a.example",
    trafficPolicy={
        "tls": {"mode": "MUTUAL", "credentialName": SECRET, "privateKey": SECRET},
        "portLevelSettings": [{"port": {"number": 443}, "tls": {"mode": "SIMPLE", "clientCertificate": SECRET}}],
        "loadBalancer": {"consistentHash": {"httpHeaderName": SECRET}},
    },
)
SIDECAR = item("Sidecar", egress=[{"hosts": ["./*"]}], ingress=[{"tls": {"privateKey": SECRET}}])
SERVICE = item("Service", clusterIP="10.0.0.1", ports=[{"port": 443, "nodePort": 30000}], selector={"app": SECRET})
LISTED = {
    "serviceentries": ObjectsOfKind((ENTRY,)),
    "sidecars": ObjectsOfKind((SIDECAR,)),
    "virtualservices": ObjectsOfKind((ROUTE,)),
    "destinationrules": ObjectsOfKind((RULE,)),
    "services": ObjectsOfKind((SERVICE,)),
    "namespaces": ObjectsOfKind(({"metadata": {"name": "default", "labels": {"x": SECRET}}},)),
}


def taken(listed: dict[str, ObjectsOfKind] | None = None, at: str = NOON) -> dict[str, str]:
    return snapshot_files(LISTED if listed is None else listed, SETTINGS, KUBERNETES, at)


def entries(*items: Manifest) -> dict[str, ObjectsOfKind]:
    return {"serviceentries": ObjectsOfKind(items)}


# What gets in


def test_nothing_that_may_be_a_secret_gets_into_a_file() -> None:
    found = taken()
    assert not [path for path, text in found.items() if SECRET in text]
    assert "203.0.113.7" not in found[INDEX]


def test_an_object_has_a_file_of_its_own_that_says_what_it_does() -> None:
    found = taken()
    assert list(found) == [
        "default/destinationrule/a.yaml",
        "default/service/a.yaml",
        "default/serviceentry/a.yaml",
        "default/sidecar/a.yaml",
        "default/virtualservice/a.yaml",
        "snapshot.yaml",
    ]
    route = yaml.safe_load(found["default/virtualservice/a.yaml"])
    assert route["spec"] == {
        "hosts": ["a.example"],
        "http": [{"match": [{"port": 80}], "route": [{"destination": {"host": "b.example"}}]}],
        "tls": [{"match": [{"port": 443, "sniHosts": ["a.example"]}], "route": [{"destination": {"host": "b.example"}}]}],
    }
    rule = yaml.safe_load(found["default/destinationrule/a.yaml"])["spec"]["trafficPolicy"]
    assert rule == {"portLevelSettings": [{"port": {"number": 443}, "tls": {"mode": "SIMPLE"}}], "tls": {"mode": "MUTUAL"}}
    service = yaml.safe_load(found["default/service/a.yaml"])
    assert service["spec"] == {"clusterIP": "10.0.0.1", "ports": [{"port": 443}]}


def test_an_entry_is_kept_as_it_is_with_its_age_and_what_is_egressctl_s() -> None:
    kept = yaml.safe_load(taken()["default/serviceentry/a.yaml"])
    assert kept["spec"] == ENTRY["spec"]
    assert kept["metadata"] == {
        "name": "a",
        "namespace": "default",
        "creationTimestamp": "2026-11-01T00:00:00Z",
        "labels": {"istio.io/rev": "canary"},
        "annotations": {"egressctl.dev/probes": "none"},
    }
    assert "status" not in kept


def test_the_files_are_the_same_whenever_and_in_whatever_order_it_is_taken() -> None:
    one, other = item(name="one"), item(name="other")
    shuffled = {**other, "metadata": dict(reversed(other["metadata"].items()))}
    first, second = taken(entries(one, other)), taken(entries(shuffled, one), at="2026-11-27T12:00:00Z")
    assert list(first) == list(second)
    assert [path for path in first if first[path] != second[path]] == [INDEX]


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "x" * 300, ".a", "a\n"])
def test_a_name_that_would_lead_elsewhere_is_refused(name: str) -> None:
    for odd in (item(name=name), item(namespace=name)):
        with pytest.raises(ApiFailure):
            taken(entries(odd))


# What is read back


def test_what_was_taken_is_what_is_read() -> None:
    found = format.parse_snapshot(taken(), "snapshot")
    assert (found.taken_at, found.kubernetes.context, found.settings) == (NOON, "production", SETTINGS)
    around = found.around
    assert [str(each) for each in around.entries] == ["default/a"]
    assert around.entries[0].created == "2026-11-01T00:00:00Z"
    assert around.entries[0].ports == read_entry(ENTRY).ports
    assert (around.unread, around.reach) == ((), {})
    counts = [len(each) for each in (around.sidecars, around.virtual_services, around.destination_rules, around.services)]
    assert counts == [1, 1, 1, 1]
    assert list(around.namespaces) == ["default"]


def test_what_was_not_read_is_not_taken_for_absent() -> None:
    partly = {
        **LISTED,
        "sidecars": ObjectsOfKind((SIDECAR,), frozenset({"default"}), "no right to list them"),
        "services": ObjectsOfKind(),
    }
    del partly["virtualservices"]
    around = format.parse_snapshot(taken(partly), "snapshot").around
    assert around.unread == (
        "sidecars.networking.istio.io of namespaces other than default were not looked at: no right to list them",
    )
    assert around.has_read("sidecars", "default")
    assert not around.has_read("sidecars", "other")


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12)
VALUES = st.recursive(
    st.booleans() | st.integers(-1000, 1000) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@examples(50)
@given(st.dictionaries(st.sampled_from(["hosts", "addresses", "exportTo", "no", "1"]), VALUES, max_size=4))
def test_whatever_an_entry_says_it_is_read_back_as_it_was(spec: dict[str, Any]) -> None:
    found = format.parse_snapshot(taken(entries(item(**spec))), "snapshot")
    assert found.around.entries == (read_entry({**item(**spec), "metadata": {**item()["metadata"], "uid": ""}}),)


@pytest.mark.parametrize("path", [*taken()])
def test_a_snapshot_of_which_a_file_is_missing_or_edited_is_refused(path: str) -> None:
    whole = taken()
    without = {each: text for each, text in whole.items() if each != path}
    edited = {**whole, path: whole[path].replace("a.example", "b.example").replace("digest: sha256:", "digest: sha256:0") + "#"}
    for broken in (without, edited) if path != INDEX else (without,):
        with pytest.raises(InvalidInput) as refused:
            format.parse_snapshot(broken, "snapshot")
        assert len(refused.value.problems) == 1


def test_a_file_of_an_earlier_snapshot_beside_a_later_one_is_noticed() -> None:
    whole = taken()
    stale = {**whole, "default/serviceentry/old.yaml": whole["default/serviceentry/a.yaml"]}
    with pytest.raises(InvalidInput, match="is not as it was taken"):
        format.parse_snapshot(stale, "snapshot")


def test_line_ends_that_git_wrote_anew_are_no_change() -> None:
    windows = {path: text.replace("\n", "\r\n") for path, text in taken().items()}
    assert format.parse_snapshot(windows, "snapshot").around.entries


def test_another_schema_version_is_refused() -> None:
    later = {**taken(), INDEX: taken()[INDEX].replace("egressctl.dev/v1alpha1", "egressctl.dev/v2")}
    with pytest.raises(InvalidInput, match=r"schema version.*egressctl\.dev/v1alpha1"):
        format.parse_snapshot(later, "snapshot")


# In a folder


def names(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "snapshot"


def store(folder: Path, new: dict[str, str]) -> None:
    keeping.store_snapshot(str(folder), keeping.check_folder(str(folder)), new, NO_SIGNALS)


def test_a_folder_has_the_files_and_nothing_else(folder: Path) -> None:
    store(folder, taken())
    assert names(folder) == sorted(taken())
    assert keeping.load_snapshot(str(folder)).taken_at == NOON
    assert folder.stat().st_mode & 0o777 == 0o755
    assert (folder / INDEX).stat().st_mode & 0o777 == 0o644


def test_what_is_gone_goes_and_what_is_not_ours_stays(folder: Path) -> None:
    store(folder, taken(entries(item(), item(name="b", namespace="gone"))))
    (folder / ".git").mkdir()
    (folder / "README.md").write_text("ours")
    (folder / "default" / "notes.txt").write_text("ours as well")
    store(folder, taken(entries(item(name="c"))))
    assert names(folder) == ["README.md", "default/notes.txt", "default/serviceentry/c.yaml", INDEX]
    assert not (folder / "gone").exists()
    assert (folder / ".git").is_dir()
    assert len(keeping.load_snapshot(str(folder)).around.entries) == 1


def test_a_file_that_says_the_same_is_not_written_again(folder: Path) -> None:
    store(folder, taken())
    before = (folder / "default/serviceentry/a.yaml").stat().st_ino
    store(folder, taken(at="2026-11-27T12:00:00Z"))
    assert (folder / "default/serviceentry/a.yaml").stat().st_ino == before
    assert keeping.load_snapshot(str(folder)).taken_at == "2026-11-27T12:00:00Z"


def test_a_folder_that_holds_something_else_is_refused_and_left(folder: Path) -> None:
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    (folder / INDEX).write_text("kind: Other\n")
    with pytest.raises(InvalidInput, match=r"holds snapshot\.yaml, and not a snapshot"):
        keeping.check_folder(str(folder))
    with pytest.raises(InvalidInput, match="no index of a snapshot"):
        keeping.load_snapshot(str(folder))
    assert names(folder) == [INDEX, "thesis.txt"]


def test_a_folder_with_hidden_files_only_is_taken_for_empty(folder: Path) -> None:
    folder.mkdir()
    (folder / ".gitkeep").touch()
    store(folder, taken())
    assert (folder / ".gitkeep").exists()


def test_somebody_s_file_in_a_snapshot_s_place_is_neither_overwritten_nor_read(folder: Path) -> None:
    store(folder, taken())
    (folder / "default/serviceentry/mine.yaml").write_text("kind: ServiceEntry\n")
    for refuse in (keeping.check_folder, keeping.load_snapshot):
        with pytest.raises(InvalidInput, match=r"mine\.yaml: is in the folder of a snapshot"):
            refuse(str(folder))


@pytest.mark.parametrize("path", ["default", "default/serviceentry", "default/serviceentry/a.yaml"])
def test_a_link_is_never_followed(folder: Path, tmp_path: Path, path: str) -> None:
    store(folder, taken())
    (folder / path).rename(tmp_path / "elsewhere")
    (folder / path).symlink_to(tmp_path / "elsewhere")
    for refuse in (keeping.check_folder, keeping.load_snapshot):
        with pytest.raises(InvalidInput, match="a snapshot has no links"):
            refuse(str(folder))


@pytest.mark.parametrize("name", ["nothing/below", "file"])
def test_a_place_that_can_hold_no_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InvalidInput):
        keeping.check_folder(str(tmp_path / name))


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file grow beyond a size: the nearest to a full disk that a process can make for itself."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("before", [True, False], ids=["over an older one", "for the first time"])
def test_a_full_disk_leaves_what_was_there(folder: Path, before: bool) -> None:
    if before:
        store(folder, taken())
    large = item(name="b", hosts=[f"h{number}.example" for number in range(2000)])
    with room_for(8000), pytest.raises(keeping.NotWritten, match="could not be written"):
        store(folder, taken(entries(item(name="z"), large)))
    if before:
        assert names(folder) == sorted(taken())
        assert keeping.load_snapshot(str(folder)).taken_at == NOON
    else:
        assert not folder.exists()


def test_too_many_files_are_no_snapshot(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(folder, taken())
    monkeypatch.setattr(keeping, "MAX_FILES", 3)
    with pytest.raises(InvalidInput, match="is too large for a snapshot"):
        keeping.load_snapshot(str(folder))


@examples(50)
@given(st.lists(st.sets(st.sampled_from([*"abcdef"])), min_size=1, max_size=4))
def test_after_any_number_of_snapshots_the_folder_is_the_last(rounds: list[set[str]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "snapshot"
        for number, wanted in enumerate(rounds):
            store(folder, taken(entries(*(item(name=each, namespace=f"n{each}") for each in wanted)), at=str(number)))
        assert {each.name for each in keeping.load_snapshot(str(folder)).around.entries} == rounds[-1]
        folders = {each.name for each in folder.iterdir() if each.is_dir()}
        assert folders == {f"n{each}" for each in rounds[-1]}


def test_what_changed_is_told_by_path() -> None:
    old = taken(entries(item(name="a"), item(name="b"), item(name="c")))
    new = taken(entries(item(name="b", hosts=["x.example"]), item(name="c"), item(name="d")))
    assert format.changed_paths(old, new) == tuple([f"default/serviceentry/{name}.yaml"] for name in "dba")
