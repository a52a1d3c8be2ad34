"""The lab's endpoint answers as a real API server does: status, message, reason, causes, warnings, fields' owners.

Left out is what chance decides: identifiers, times, and the order in which Go walks a map.
"""

from __future__ import annotations

import http.client
import json
import re
import ssl
from base64 import b64decode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
import yaml

from cli import ENTRIES, entry
from cluster.cluster import RealCluster
from differences import DIFFERENCES
from endpoint import TestEndpoint

ONE = f"{ENTRIES}/wikipedia-ext"
APPLY, MERGE = "application/apply-patch+yaml", "application/merge-patch+json"
CHANGING = {"uid", "resourceVersion", "creationTimestamp", "continue"}
ITS_OWN_WORDS = {"list-bad-label": "mistaken-query", "list-bad-continue": "mistaken-query"}
"""Questions whose answers' words may differ, for a reason in tests/differences.py: only the rest is compared."""


@dataclass(frozen=True)
class Answer:
    status: int
    warnings: tuple[str, ...]
    body: Any


class Asked:
    """One API, asked as its administrator."""

    def __init__(self, kubeconfig: Path) -> None:
        config = yaml.safe_load(kubeconfig.read_text())
        kubernetes, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        authority = kubernetes.get("certificate-authority-data")
        self._tls = ssl.create_default_context(
            cadata=b64decode(authority).decode() if authority else Path(kubernetes["certificate-authority"]).read_text()
        )
        self._server, self._token = urlsplit(kubernetes["server"]), user["token"]

    def __call__(self, method: str, path: str, body: object = None, media: str = "application/json", **query: str) -> Answer:
        connection = http.client.HTTPSConnection(self._server.hostname or "", self._server.port, context=self._tls, timeout=30)
        url = path + ("?" + urlencode(query) if query else "")
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": media, "Accept": "application/json"}
        connection.request(method, url, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        text = response.read()
        warnings = tuple(response.headers.get_all("Warning") or ())
        connection.close()
        is_json = (response.headers["Content-Type"] or "").startswith("application/json")
        return Answer(response.status, warnings, plain(json.loads(text)) if is_json else text.decode())

    def apply(self, manifest: dict[str, Any], manager: str = "egressctl", **query: str) -> Answer:
        return self("PATCH", ONE, manifest, APPLY, fieldManager=manager, fieldValidation="Strict", **query)


def plain(value: Any) -> Any:
    """A body without what differs from time to time."""
    if isinstance(value, dict):
        kept: dict[str, Any] = {
            key: "..." if key in CHANGING and item else plain(item) for key, item in value.items() if key != "time"
        }
        if kept.get("managedFields"):
            kept["managedFields"].sort(key=lambda each: (each["manager"], each["operation"]))
        if kept.get("causes"):
            kept["causes"].sort(key=json.dumps)
        return kept
    if isinstance(value, str):
        head, bracket, rest = value.partition("is invalid: [")
        if bracket:
            value = " ".join([head, *sorted(re.split(r", (?=spec\.|<nil>|metadata\.)", rest.removesuffix("]")))])
        return re.sub(r"in record \([-0-9a-f]+\)", "in record (...)", value)
    return [plain(each) for each in value] if isinstance(value, list) else value


@pytest.fixture
def both(real: RealCluster, tmp_path: Path) -> Iterator[tuple[Asked, Asked]]:
    (tmp_path / "lab").mkdir()
    with TestEndpoint(tmp_path / "lab") as lab:
        theirs = Asked(real.kubeconfig)
        yield Asked(lab.kubeconfig), theirs
        theirs("DELETE", ONE)


def deleted_with(preconditions: dict[str, str]) -> Callable[[Asked], list[Answer]]:
    return lambda ask: [ask.apply(entry()), ask("DELETE", ONE, {"preconditions": preconditions})]


def changed(manifest: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {**manifest, "spec": {**manifest["spec"], **spec}}


def stale(ask: Asked) -> list[Answer]:
    ask.apply(entry())
    metadata = {**entry()["metadata"], "resourceVersion": "1"}
    return [ask("PUT", ONE, {**entry(), "metadata": metadata}, fieldManager="other")]


def access(ask: Asked) -> list[Answer]:
    attributes = {"namespace": "default", "verb": "list", "resource": "pods"}
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    answer = ask("POST", path, {"spec": {"resourceAttributes": attributes}})
    answer.body.pop("metadata")  # who sent a question that nobody keeps
    return [answer]


def labelled(ask: Asked) -> list[Answer]:
    return [ask.apply(entry()), ask("PATCH", ONE, {"metadata": {"labels": {"a": "b"}}}, MERGE, fieldManager="k")]


QUESTIONS: dict[str, Callable[[Asked], list[Answer]]] = {
    "get-missing": lambda ask: [ask("GET", ONE)],
    "delete-missing": lambda ask: [ask("DELETE", ONE)],
    "no-such-resource": lambda ask: [ask("GET", "/apis/networking.istio.io/v1/namespaces/default/nothings")],
    "create": lambda ask: [ask("POST", ENTRIES, entry(), fieldManager="egressctl"), ask("GET", ONE)],
    "create-twice": lambda ask: [ask("POST", ENTRIES, entry()), ask("POST", ENTRIES, entry())],
    "create-nowhere": lambda ask: [ask("POST", ENTRIES.replace("default", "nowhere"), {**entry(), "metadata": {"name": "a"}})],
    "create-elsewhere": lambda ask: [ask("POST", ENTRIES.replace("default", "other"), entry())],
    "create-nameless": lambda ask: [ask("POST", ENTRIES, {**entry(), "metadata": {}})],
    "create-dry": lambda ask: [ask("POST", ENTRIES, entry(), dryRun="All"), ask("GET", ONE)],
    "create-unknown-strict": lambda ask: [ask("POST", ENTRIES, entry(adresses=["1"]), fieldValidation="Strict")],
    "create-unknown-warn": lambda ask: [ask("POST", ENTRIES, entry(adresses=["1"]), fieldValidation="Warn")],
    "create-unknown-ignore": lambda ask: [ask("POST", ENTRIES, entry(adresses=["1"]), fieldValidation="Ignore")],
    "create-wrong": lambda ask: [ask("POST", ENTRIES, entry(hosts=[], resolution="NO"))],
    "create-bad-name": lambda ask: [ask("POST", ENTRIES, {**entry(), "metadata": {"name": "Not_A_Name"}})],
    "warned": lambda ask: [ask("POST", ENTRIES, entry(addresses=[]), dryRun="All")],
    "apply": lambda ask: [ask.apply(entry()), ask.apply(entry()), ask.apply(changed(entry(), hosts=["other.example"]))],
    "apply-dry": lambda ask: [ask.apply(entry(), dryRun="All"), ask("GET", ONE)],
    "apply-unknown": lambda ask: [ask.apply(entry(adresses=["1"]))],
    "apply-wrong": lambda ask: [ask.apply(entry(resolution="NO"))],
    "apply-conflict": lambda ask: [ask.apply(entry()), ask.apply(changed(entry(), resolution="STATIC"), "other")],
    "apply-forced": lambda ask: [
        ask.apply(entry()),
        ask.apply(changed(entry(), location="MESH_INTERNAL"), "other", force="true"),
        ask.apply(entry()),
    ],
    "apply-withdrawn": lambda ask: [
        ask.apply(entry()),
        ask.apply(entry(), "other"),
        ask.apply({key: value for key, value in entry().items() if key != "spec"}),
    ],
    "delete-wrong-uid": deleted_with({"uid": "4ebd1d33-0000-0000-0000-000000000000"}),
    "delete-wrong-version": deleted_with({"resourceVersion": "1"}),
    "delete": lambda ask: [ask.apply(entry()), ask("DELETE", ONE), ask("GET", ONE)],
    "delete-dry": lambda ask: [ask.apply(entry()), ask("DELETE", ONE, {"dryRun": ["All"]}), ask("GET", ONE)],
    "put-stale": stale,
    "merge-patch": labelled,
    "list-by-label": lambda ask: [ask.apply(entry()), ask("GET", ENTRIES, labelSelector="a=b")],
    "list-bad-label": lambda ask: [ask("GET", ENTRIES, labelSelector="a=b=c")],
    "list-bad-continue": lambda ask: [ask("GET", ENTRIES, limit="1", **{"continue": "nonsense"})],
    "no-namespace": lambda ask: [ask("GET", "/api/v1/namespaces/nowhere")],
    "no-pod": lambda ask: [ask("GET", "/api/v1/namespaces/default/pods/nobody")],
    "no-exec": lambda ask: [ask("GET", "/api/v1/namespaces/default/pods/nobody/exec", command="true")],
    "no-core-resource": lambda ask: [ask("GET", "/api/v1/namespaces/default/deployments")],
    "no-version": lambda ask: [ask("GET", "/apis/networking.istio.io/v9/serviceentries")],
    "nonsense": lambda ask: [ask("GET", "/nonsense")],
    "no-group": lambda ask: [ask("GET", "/apis/nothing.example")],
    "access": access,
}


@pytest.mark.parametrize("question", QUESTIONS)
def test_both_answer_the_same(both: tuple[Asked, Asked], question: str) -> None:
    lab, real = (QUESTIONS[question](ask) for ask in both)
    if question in ITS_OWN_WORDS:
        assert ITS_OWN_WORDS[question] in DIFFERENCES
        for each in (*lab, *real):
            assert each.body.pop("message")
    assert lab == real
