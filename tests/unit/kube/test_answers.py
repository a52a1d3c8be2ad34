"""What an API server answers, and what comes in its place."""

from __future__ import annotations

import json
from typing import Any

import pytest

from egressctl.kube.answers import parse_answer
from egressctl.kube.status import parse_request

ENTRIES = "/apis/networking.istio.io/v1/namespaces/default/serviceentries"
ENTRY: dict[str, Any] = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "ServiceEntry",
    "metadata": {"name": "m", "namespace": "default", "uid": "u"},
}
STATUS = {"kind": "Status", "apiVersion": "v1", "metadata": {}}
SUCCESS, FAILURE = {**STATUS, "status": "Success"}, {**STATUS, "status": "Failure", "message": "etcd is\naway"}
REVIEW = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "metadata": {}, "status": {"allowed": True}}
UNNAMED = "a JSON object without kind and apiVersion"


def entry(**metadata: object) -> dict[str, Any]:
    return {**ENTRY, "metadata": {**ENTRY["metadata"], **metadata}}


def listed(*items: object, kind: str = "ServiceEntryList") -> dict[str, Any]:
    return {"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": {}, "items": [*items]}


def instead(method: str, path: str, value: object, uid: str = "") -> str:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return parse_answer(content, parse_request(method, path), uid)[1]


@pytest.mark.parametrize(
    ("method", "path", "value"),
    [
        ("GET", f"{ENTRIES}/m", ENTRY),
        ("GET", f"{ENTRIES}/m?x=y", ENTRY),
        ("PATCH", f"{ENTRIES}/m", ENTRY),
        ("POST", ENTRIES, ENTRY),
        ("DELETE", f"{ENTRIES}/m", ENTRY),
        ("DELETE", f"{ENTRIES}/m", SUCCESS),
        ("GET", ENTRIES, listed()),
        ("GET", ENTRIES, {**listed(), "items": None}),
        ("GET", ENTRIES, listed({"metadata": {"name": "m", "namespace": "default", "uid": "u"}})),
        ("GET", ENTRIES, listed({**ENTRY, "spec": None, "status": {"addresses": None}})),
        ("GET", "/api/v1/namespaces/d", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "d", "uid": "u"}}),
        ("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", REVIEW),
        ("GET", "/version", {"major": "1", "gitVersion": "v1.37.2"}),
        ("GET", "/apis/networking.istio.io", {"kind": "APIGroup", "apiVersion": "v1"}),
        ("GET", "/apis/networking.istio.io/v1", {"kind": "APIResourceList"}),
    ],
)
def test_what_the_api_server_answers_is_taken(method: str, path: str, value: object) -> None:
    assert instead(method, path, value, "u" if method == "DELETE" else "") == ""


@pytest.mark.parametrize(
    ("group", "plural", "kind"),
    [
        ("", "pods", "Pod"),
        ("", "configmaps", "ConfigMap"),
        ("", "serviceaccounts", "ServiceAccount"),
        ("apps", "deployments", "Deployment"),
        ("networking.istio.io", "gateways", "Gateway"),
        ("networking.istio.io", "workloadentries", "WorkloadEntry"),
        ("networking.istio.io", "proxyconfigs", "ProxyConfig"),
        ("ingresses.example", "ingresses", "Ingress"),
    ],
)
def test_every_kind_is_known_by_its_plural(group: str, plural: str, kind: str) -> None:
    path, version = (f"/apis/{group}/v1", f"{group}/v1") if group else ("/api/v1", "v1")
    spec: dict[str, object] = {"containers": [], "selector": {}}
    one = {"apiVersion": version, "kind": kind, "metadata": {"name": "m", "namespace": "d", "uid": "u"}, "spec": spec}
    assert instead("GET", f"{path}/namespaces/d/{plural}/m", one) == ""
    assert instead("GET", f"{path}/{plural}", {"apiVersion": version, "kind": kind + "List", "items": []}) == ""


@pytest.mark.parametrize(
    ("value", "came"),
    [
        (b"<!doctype html>\n<HTML><Title lang=en>Sign\n in</TITLE></head>Welcome", 'an HTML page, "Sign in"'),
        (b"\n<p>Welcome</p>", "an HTML page"),
        (b"", "an empty body"),
        (b" \n", "an empty body"),
        (b"all is\nwell\x1b[31m", 'what is not JSON, "all is well [31m"'),
        (b'{"kind": "Status", "sta', 'what is not JSON, "{"kind": "Status", "sta"'),
        (b"x" * 1000, f'what is not JSON, "{"x" * 20}…{"x" * 59}"'),
        (b"[]", "a JSON list"),
        (b"null", "a JSON null"),
        (b'"ok"', "a JSON string"),
        (b"200", "a JSON number"),
        (b"1.5", "a JSON number"),
        (b"true", "a JSON boolean"),
        (b"{}", UNNAMED),
        (b'{"kind": 7, "apiVersion": "v1"}', UNNAMED),
        (FAILURE, 'a Status of failure, "etcd is away"'),
        (STATUS, 'a Status of none, ""'),
        ({"kind": "Pod", "apiVersion": "v1"}, "a Pod of v1"),
        ({"kind": "LoginResponse", "apiVersion": "example.com/v1"}, "a LoginResponse of example.com/v1"),
        ({**ENTRY, "apiVersion": "example.com/v1"}, "a ServiceEntry of example.com/v1"),
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ENTRIES), ("POST", ENTRIES), *((each, f"{ENTRIES}/m") for each in ("GET", "PATCH", "DELETE")), ("GET", "/version")],
)
def test_what_comes_in_its_place_is_named(method: str, path: str, value: object, came: str) -> None:
    assert instead(method, path, value, "u") == came


@pytest.mark.parametrize("value", [b"\xff\xfe\x00", b"[" * 100_000], ids=["bytes", "nested too deep"])
def test_what_cannot_be_read_is_not_json(value: bytes) -> None:
    assert instead("GET", ENTRIES, value).startswith("what is not JSON, ")


@pytest.mark.parametrize("method", ["GET", "PATCH", "DELETE"])
@pytest.mark.parametrize("metadata", [{"name": "o"}, {"namespace": "o"}, {"namespace": None}], ids=str)
def test_another_object_is_no_answer(method: str, metadata: dict[str, object]) -> None:
    assert instead(method, f"{ENTRIES}/m", entry(**metadata), "u").startswith("another ServiceEntry, ")


def test_a_deletion_is_of_one_uid_and_a_reading_of_whatever_has_the_name() -> None:
    assert instead("DELETE", f"{ENTRIES}/m", entry(uid="v"), "u") == "another ServiceEntry, default/m of UID v"
    assert instead("GET", f"{ENTRIES}/m", entry(uid="v")) == ""


def test_a_success_answers_nothing_but_a_deletion() -> None:
    for method in ("GET", "PATCH"):
        assert instead(method, f"{ENTRIES}/m", SUCCESS) == 'a Status of success, ""'


@pytest.mark.parametrize("value", [ENTRY, {**ENTRY, "items": []}, listed(kind="PodList"), listed(kind="List")], ids=str)
def test_an_object_and_another_list_are_no_list(value: dict[str, Any]) -> None:
    assert instead("GET", ENTRIES, value) == f"a {value['kind']} of networking.istio.io/v1"
    assert instead("GET", f"{ENTRIES}/m", listed(ENTRY)) == "a ServiceEntryList of networking.istio.io/v1"


@pytest.mark.parametrize("items", [[1], ["x"], [None], [[]], {"a": 1}, "x"], ids=str)
def test_a_list_has_objects_in_it(items: object) -> None:
    assert instead("GET", ENTRIES, {**listed(), "items": items}) == "a list of what are no objects"


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"kind": "Pod"}, "a list of ServiceEntry with an object of another kind in it, ServiceEntry default/m"),
        ({"apiVersion": 1}, "a list of ServiceEntry with an object of another kind in it, ServiceEntry default/m"),
        (
            {"metadata": {**ENTRY["metadata"], "namespace": "o"}},
            "a list with an object of another namespace in it, ServiceEntry o/m",
        ),
        ({"metadata": {"name": "m", "uid": "u"}}, "a list with an object of another namespace in it, ServiceEntry m"),
    ],
)
def test_a_list_has_no_objects_that_were_not_asked_for(changed: dict[str, Any], fault: str) -> None:
    assert instead("GET", ENTRIES, listed({**ENTRY, **changed})) == fault


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"metadata": None}, "ServiceEntry in which metadata is missing"),
        ({"metadata": [ENTRY["metadata"]]}, "ServiceEntry in which metadata is a list, and must be an object"),
        ({"metadata": {"name": "m"}}, "ServiceEntry m in which metadata.uid is missing"),
        ({"metadata": {**ENTRY["metadata"], "uid": ""}}, "ServiceEntry default/m in which metadata.uid is empty"),
        ({"metadata": {"uid": "u", "name": 7}}, "ServiceEntry in which metadata.name is a number, and must be text"),
        ({"metadata": {**ENTRY["metadata"], "labels": {"a": 1}}}, "metadata.labels.a is a number, and must be text"),
        (
            {"metadata": {**ENTRY["metadata"], "managedFields": [[]]}},
            "metadata.managedFields[0] is a list, and must be an object",
        ),
        ({"spec": "x"}, "spec is text, and must be an object"),
        ({"spec": {"hosts": {}}}, "spec.hosts is an object, and must be a list"),
        ({"spec": {"hosts": ["a", None]}}, "spec.hosts[1] is null, and must be text"),
        ({"spec": {"ports": [{"number": True}]}}, "spec.ports[0].number is true or false, and must be a number"),
        ({"spec": {"ports": [{"number": 4.5}]}}, "spec.ports[0].number is a number with a fraction, and must be a number"),
        ({"spec": {"ports": [{"number": 1 << 64}]}}, "spec.ports[0].number is a number of more than 64 bits"),
        ({"spec": {"endpoints": [{"ports": {"http": "x"}}]}}, "spec.endpoints[0].ports.http is text, and must be a number"),
        ({"x": "\ud800"}, "JSON with text that is no Unicode"),
        ({"x": json.loads("[" * 300 + "]" * 300)}, "JSON of more than 200 levels"),
    ],
)
def test_the_field_that_is_not_what_it_must_be_is_named_with_its_object(changed: dict[str, Any], fault: str) -> None:
    for path, value in ((f"{ENTRIES}/m", {**ENTRY, **changed}), (ENTRIES, listed({**ENTRY, **changed}))):
        assert instead("GET", path, value).endswith(fault)


@pytest.mark.parametrize(
    ("kind", "spec", "fault"),
    [
        ("Pod", {}, "spec.containers is missing"),
        ("Pod", {"containers": [{}]}, "spec.containers[0].name is missing"),
        ("Pod", {"containers": [], "securityContext": 0}, "spec.securityContext is a number, and must be an object"),
        ("Pod", {"containers": [{"name": "a", "env": [None]}]}, "spec.containers[0].env[0] is null, and must be an object"),
        ("Service", {"ports": [{"port": "80"}]}, "spec.ports[0].port is text, and must be a number"),
    ],
)
def test_the_fields_of_each_kind_are_looked_at(kind: str, spec: object, fault: str) -> None:
    one = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "m", "namespace": "d", "uid": "u"}, "spec": spec}
    assert instead("GET", f"/api/v1/namespaces/d/{kind.lower()}s/m", one) == f"{kind} d/m in which {fault}"


@pytest.mark.parametrize(
    ("path", "value", "came"),
    [
        ("/version", {"gitVersion": 7}, "the version in which gitVersion is a number, and must be text"),
        ("/apis/a", {"kind": "APIGroup", "versions": ["v1"]}, "the APIGroup in which versions[0] is text, and must be an object"),
        (
            ENTRIES,
            {**listed(), "metadata": {"continue": 5}},
            "the ServiceEntryList in which metadata.continue is a number, and must be text",
        ),
        (
            "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
            {**REVIEW, "status": {"allowed": "no"}},
            "the SelfSubjectAccessReview in which status.allowed is text, and must be true or false",
        ),
    ],
)
def test_answers_that_are_no_objects_are_looked_at_as_well(path: str, value: object, came: str) -> None:
    assert instead("POST" if "reviews" in path else "GET", path, value) == came
