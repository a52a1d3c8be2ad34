"""The endpoint over the wire: objects, lists, watches, discovery, and the words of its refusals."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.lab.api import watch
from egressctl.lab.api.objects import ObjectHandler
from egressctl.lab.api.request import ApiAnswer, Call, parse_location
from egressctl.lab.api.resources import PODS, SERVICE_ENTRIES, Resource
from egressctl.lab.api.seed import seed_store
from egressctl.lab.api.status import ApiError
from egressctl.lab.api.store import Store
from endpoint import APPLY, ENTRIES, TestEndpoint
from examples import examples

NOW = "2026-01-01T00:00:00Z"


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[TestEndpoint]:
    with TestEndpoint(tmp_path) as endpoint:
        yield endpoint


def entry(name: str = "wikipedia-ext", **spec: Any) -> dict[str, Any]:
    body = {"hosts": ["wikipedia.org"], "resolution": "NONE", **spec}
    return {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": name}, "spec": body}


def labelled(name: str, **labels: str) -> dict[str, Any]:
    manifest = entry(name)
    manifest["metadata"]["labels"] = labels
    return manifest


def test_without_the_token_the_answer_is_the_real_401(lab: TestEndpoint) -> None:
    for said in ("", "Bearer wrong", "Bearer é"):
        answer = lab.request("GET", "/api", headers={"Authorization": said.encode("latin-1").decode("latin-1")})
        assert answer.status == 401
        assert answer.body == {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "Unauthorized",
            "reason": "Unauthorized", "code": 401,
        }  # fmt: skip


def test_health_and_version_need_no_token(lab: TestEndpoint) -> None:
    for path in ("/healthz", "/readyz", "/livez"):
        assert lab.request("GET", path, headers={"Authorization": ""}).body == b"ok"
    assert lab.request("GET", "/version", headers={"Authorization": ""}).body["major"] == "1"


def test_apply_creates_with_201_and_then_answers_200(lab: TestEndpoint) -> None:
    first, second = lab.apply(entry()), lab.apply(entry(exportTo=["."]))
    assert (first.status, second.status) == (201, 200)
    assert first.body["metadata"]["generation"] == 1
    assert second.body["metadata"]["generation"] == 2
    assert second.body["metadata"]["uid"] == first.body["metadata"]["uid"]


def test_an_apply_that_changes_nothing_keeps_the_resource_version(lab: TestEndpoint) -> None:
    assert lab.apply(entry()).body == lab.apply(entry()).body


def test_co_owning_changes_the_resource_version_and_not_the_generation(lab: TestEndpoint) -> None:
    first, second = lab.apply(entry()).body["metadata"], lab.apply(entry(), manager="rival").body["metadata"]
    assert second["resourceVersion"] != first["resourceVersion"]
    assert second["generation"] == first["generation"]


def test_a_dry_run_answers_and_keeps_nothing(lab: TestEndpoint) -> None:
    assert lab.apply(entry(), dryRun="All").status == 201
    assert lab.request("GET", f"{ENTRIES}/wikipedia-ext").status == 404
    lab.apply(entry())
    changed = lab.apply(entry(exportTo=["."]), dryRun="All")
    assert changed.body["spec"]["exportTo"] == ["."]
    assert "exportTo" not in lab.request("GET", f"{ENTRIES}/wikipedia-ext").body["spec"]
    assert lab.request("DELETE", f"{ENTRIES}/wikipedia-ext", dryRun="All").status == 200
    assert lab.request("GET", f"{ENTRIES}/wikipedia-ext").status == 200


def test_a_conflict_over_the_wire_and_force_against_it(lab: TestEndpoint) -> None:
    lab.apply(entry(addresses=["1.1.1.1"]))
    refused = lab.apply(entry(addresses=["2.2.2.2"]), manager="rival")
    assert (refused.status, refused.body["reason"]) == (409, "Conflict")
    assert lab.apply(entry(addresses=["2.2.2.2"]), manager="rival", force="true").status == 200


def test_apply_needs_a_field_manager(lab: TestEndpoint) -> None:
    answer = lab.request("PATCH", f"{ENTRIES}/wikipedia-ext", entry(), media_type=APPLY)
    assert answer.status == 422
    wanted = 'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
    assert answer.body["message"] == wanted


def test_apply_of_another_version_than_the_path_is_an_invalid_object_type(lab: TestEndpoint) -> None:
    answer = lab.apply({**entry(), "apiVersion": "networking.istio.io/v1beta1"})
    assert (answer.status, answer.body["message"]) == (400, "invalid object type")


def test_apply_reads_yaml_but_no_aliases(lab: TestEndpoint) -> None:
    text = b"apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {name: a, annotations: {on: '2026-01-01'}}\n"
    path = f"{ENTRIES}/a"
    good = lab.request("PATCH", path, text + b"spec: {hosts: [a.example]}\n", media_type=APPLY, fieldManager="m")
    assert good.status == 201
    bad = lab.request("PATCH", path, text + b"spec: {hosts: &h [a.example], exportTo: *h}\n", media_type=APPLY, fieldManager="m")
    assert bad.status == 400


def test_a_schema_mistake_in_an_apply_is_a_500(lab: TestEndpoint) -> None:
    answer = lab.apply(entry(foo=1))
    assert answer.status == 500
    assert answer.body["message"].endswith(".spec.foo: field not declared in schema")


def test_warnings_travel_as_headers_also_on_a_dry_run(lab: TestEndpoint) -> None:
    manifest = entry(ports=[{"name": "tcp", "number": 443, "protocol": "TCP"}])
    wanted = '299 - "addresses are required for ports serving TCP (or unset) protocol when IP Autoallocation is not enabled"'
    assert lab.apply(manifest, dryRun="All").warnings == (wanted,)
    assert lab.apply(manifest).warnings == (wanted,)


def test_every_version_shows_the_same_object(lab: TestEndpoint) -> None:
    lab.apply(entry())
    for version in ("v1", "v1beta1", "v1alpha3"):
        found = lab.request("GET", f"/apis/networking.istio.io/{version}/namespaces/default/serviceentries/wikipedia-ext").body
        assert found["apiVersion"] == f"networking.istio.io/{version}"
        assert found["spec"]["hosts"] == ["wikipedia.org"]


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", f"{ENTRIES}/x", 404, 'serviceentries.networking.istio.io "x" not found'),
        ("GET", "/api/v1/namespaces/default/pods/x", 404, 'pods "x" not found'),
        ("GET", "/api/v1/namespaces/default/deployments", 404, "the server could not find the requested resource"),
        ("DELETE", f"{ENTRIES}/x", 404, 'serviceentries.networking.istio.io "x" not found'),
        ("DELETE", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/serviceentries.networking.istio.io", 405,
         "the server does not allow this method on the requested resource"),
    ],
)  # fmt: skip
def test_refusals_have_the_real_words(lab: TestEndpoint, method: str, path: str, status: int, said: str) -> None:
    answer = lab.request(method, path)
    assert (answer.status, answer.body["message"], answer.body["kind"]) == (status, said, "Status")


@pytest.mark.parametrize("path", ["/apis/networking.istio.io/v9/serviceentries", "/apis/gateway.networking.k8s.io", "/nonsense"])
def test_what_nobody_serves_is_told_in_plain_text(lab: TestEndpoint, path: str) -> None:
    answer = lab.request("GET", path)
    assert (answer.status, answer.body) == (404, b"404 page not found\n")


def test_post_makes_an_object_once(lab: TestEndpoint) -> None:
    made = lab.request("POST", ENTRIES, entry(), fieldManager="curl")
    assert made.status == 201
    assert made.body["metadata"]["managedFields"][0]["operation"] == "Update"
    again = lab.request("POST", ENTRIES, entry())
    assert (again.status, again.body["reason"]) == (409, "AlreadyExists")
    assert again.body["message"] == 'serviceentries.networking.istio.io "wikipedia-ext" already exists'


def test_a_namespace_must_be_there(lab: TestEndpoint) -> None:
    answer = lab.request("POST", ENTRIES.replace("default", "nowhere"), entry())
    assert (answer.status, answer.body["message"]) == (404, 'namespaces "nowhere" not found')
    applied = lab.request(
        "PATCH", f"{ENTRIES.replace('default', 'nowhere')}/wikipedia-ext", entry(), media_type=APPLY, fieldManager="m"
    )
    assert applied.status == 404


def test_put_needs_the_current_resource_version(lab: TestEndpoint) -> None:
    made = lab.request("POST", ENTRIES, entry()).body
    path = f"{ENTRIES}/wikipedia-ext"
    without = {**made, "metadata": {"name": "wikipedia-ext"}}
    assert lab.request("PUT", path, without).status == 422
    changed = {**made, "spec": {"hosts": ["a.example"]}}
    assert lab.request("PUT", path, changed).body["metadata"]["generation"] == 2
    stale = lab.request("PUT", path, changed)
    assert stale.status == 409
    assert stale.body["message"] == (
        'Operation cannot be fulfilled on serviceentries.networking.istio.io "wikipedia-ext": the object has been modified; '
        "please apply your changes to the latest version and try again"
    )


def test_merge_patch_and_json_patch_change_an_object(lab: TestEndpoint) -> None:
    lab.apply(entry(exportTo=["."]))
    path = f"{ENTRIES}/wikipedia-ext"
    merged = lab.request(
        "PATCH", path, {"spec": {"exportTo": None, "location": "MESH_EXTERNAL"}}, media_type="application/merge-patch+json"
    )
    assert merged.body["spec"] == {"hosts": ["wikipedia.org"], "resolution": "NONE", "location": "MESH_EXTERNAL"}
    operations = [
        {"op": "test", "path": "/spec/resolution", "value": "NONE"},
        {"op": "add", "path": "/spec/hosts/-", "value": "b.example"},
    ]
    patched = lab.request("PATCH", path, operations, media_type="application/json-patch+json")
    assert patched.body["spec"]["hosts"] == ["wikipedia.org", "b.example"]
    failed = lab.request(
        "PATCH", path, [{"op": "test", "path": "/spec/hosts", "value": []}], media_type="application/json-patch+json"
    )
    assert failed.status == 422
    unknown = lab.request("PATCH", path, {}, media_type="application/strategic-merge-patch+json")
    assert unknown.status == 415


def test_delete_answers_with_a_status_that_names_the_object(lab: TestEndpoint) -> None:
    uid = lab.apply(entry()).body["metadata"]["uid"]
    answer = lab.request("DELETE", f"{ENTRIES}/wikipedia-ext", {"preconditions": {"uid": uid}})
    assert answer.body == {
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {"name": "wikipedia-ext", "group": "networking.istio.io", "kind": "serviceentries", "uid": uid},
    }  # fmt: skip
    assert lab.request("GET", f"{ENTRIES}/wikipedia-ext").status == 404


def test_delete_of_another_object_of_that_name_is_a_conflict_that_names_both(lab: TestEndpoint) -> None:
    uid = lab.apply(entry()).body["metadata"]["uid"]
    answer = lab.request("DELETE", f"{ENTRIES}/wikipedia-ext", {"preconditions": {"uid": "not-this"}})
    assert answer.status == 409
    assert uid in answer.body["message"]
    assert "not-this" in answer.body["message"]
    assert lab.request("GET", f"{ENTRIES}/wikipedia-ext").status == 200


def test_an_object_with_a_finalizer_goes_when_the_finalizer_does(lab: TestEndpoint) -> None:
    manifest = entry()
    manifest["metadata"]["finalizers"] = ["example.com/wait"]
    lab.apply(manifest)
    path = f"{ENTRIES}/wikipedia-ext"
    lab.request("DELETE", path)
    assert "deletionTimestamp" in lab.request("GET", path).body["metadata"]
    lab.request("PATCH", path, {"metadata": {"finalizers": None}}, media_type="application/merge-patch+json")
    assert lab.request("GET", path).status == 404


def test_selectors_choose_what_is_listed_and_what_a_collection_delete_removes(lab: TestEndpoint) -> None:
    for manifest in (labelled("a", app="x", run="1"), labelled("b", app="x"), labelled("c", app="y"), entry("d")):
        lab.apply(manifest)

    def names(**query: Any) -> list[str]:
        return [one["metadata"]["name"] for one in lab.request("GET", ENTRIES, **query).body["items"]]

    assert names() == ["a", "b", "c", "d"]
    assert names(labelSelector="app=x") == ["a", "b"]
    assert names(labelSelector="app==x,run!=1") == ["b"]
    assert names(labelSelector="app in (x, y),!run") == ["b", "c"]
    assert names(labelSelector="app notin (x)") == ["c", "d"]
    assert names(labelSelector="run") == ["a"]
    assert names(fieldSelector="metadata.name=c") == ["c"]
    assert names(fieldSelector="metadata.namespace!=default") == []
    assert lab.request("GET", ENTRIES, labelSelector="app in (x").status == 400
    assert lab.request("DELETE", ENTRIES, labelSelector="app=x").status == 200
    assert names() == ["c", "d"]


def test_a_list_comes_in_pages(lab: TestEndpoint) -> None:
    for name in ("a", "b", "c"):
        lab.apply(entry(name))
    first = lab.request("GET", ENTRIES, limit=2).body
    assert first["metadata"]["remainingItemCount"] == 1
    after: dict[str, Any] = {"continue": first["metadata"]["continue"]}
    rest = lab.request("GET", ENTRIES, limit=2, **after).body
    assert [one["metadata"]["name"] for one in first["items"] + rest["items"]] == ["a", "b", "c"]
    assert rest["metadata"]["continue"] == ""
    wrong: dict[str, Any] = {"continue": "nonsense"}
    assert lab.request("GET", ENTRIES, **wrong).status == 400


def test_a_deleted_namespace_takes_what_is_in_it_along(lab: TestEndpoint) -> None:
    there = ENTRIES.replace("default", "other")
    lab.request("POST", there, entry())
    lab.request("DELETE", "/api/v1/namespaces/other")
    assert lab.request("GET", "/apis/networking.istio.io/v1/serviceentries").body["items"] == []
    assert lab.request("GET", "/api/v1/namespaces/other").status == 404


class Watch:
    """A watch on a thread of its own; `next` is the next event."""

    def __init__(self, lab: TestEndpoint, path: str, query: str) -> None:
        self.connection = lab.connection()
        self.connection.request("GET", f"{path}?watch=true&{query}", headers={"Authorization": f"Bearer {lab.token}"})
        self.answer = self.connection.getresponse()

    def next(self) -> tuple[str, dict[str, Any]]:
        event = json.loads(self.answer.readline())
        return event["type"], event["object"]

    def names(self, count: int) -> list[tuple[str, str]]:
        return [(kind, obj["metadata"]["name"]) for kind, obj in (self.next() for _ in range(count))]

    def close(self) -> None:
        self.connection.close()


def test_a_watch_begins_with_what_is_there_and_sees_what_comes(lab: TestEndpoint) -> None:
    lab.apply(entry("a"))
    watching = Watch(lab, ENTRIES, "timeoutSeconds=20")
    assert watching.names(1) == [("ADDED", "a")]
    lab.apply(entry("b"))
    lab.apply(entry("b", exportTo=["."]))
    lab.request("DELETE", f"{ENTRIES}/a")
    assert watching.names(3) == [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "a")]
    watching.close()


def test_a_watch_from_a_version_misses_nothing_between_the_list_and_itself(lab: TestEndpoint) -> None:
    version = lab.request("GET", ENTRIES).body["metadata"]["resourceVersion"]
    for name in ("a", "b"):
        lab.apply(entry(name))
    watching = Watch(lab, ENTRIES, f"resourceVersion={version}&timeoutSeconds=20")
    assert watching.names(2) == [("ADDED", "a"), ("ADDED", "b")]
    watching.close()


def test_an_object_that_begins_or_ceases_to_match_comes_and_goes_for_a_watch(lab: TestEndpoint) -> None:
    watching = Watch(lab, ENTRIES, "labelSelector=app%3Dx&timeoutSeconds=20")
    for manifest in (labelled("a", app="y"), labelled("a", app="x"), labelled("a", app="z")):
        lab.apply(manifest)
    assert watching.names(2) == [("ADDED", "a"), ("DELETED", "a")]
    watching.close()


def test_a_watch_ends_by_itself_with_a_bookmark_for_who_wants_one(lab: TestEndpoint) -> None:
    watching = Watch(lab, ENTRIES, "timeoutSeconds=1&allowWatchBookmarks=true")
    kind, obj = watching.next()
    assert (kind, obj["kind"]) == ("BOOKMARK", "ServiceEntry")
    assert int(obj["metadata"]["resourceVersion"]) > 0
    assert watching.answer.read() == b""
    watching.close()


def test_a_watch_from_a_version_that_is_forgotten_says_410() -> None:
    store = Store(history=3)
    for _ in range(5):
        store.put(SERVICE_ENTRIES, entry("a"))

    async def seen(since: int) -> list[watch.WatchEvent]:
        wanted = watch.WatchRequest(SERVICE_ENTRIES, lambda _: True, since, seconds=0)
        return [sight async for sight in watch.watch_events(store, wanted)]

    assert [kind for kind, _ in asyncio.run(seen(3))] == ["MODIFIED"] * 3
    kind, obj = asyncio.run(seen(2))[0]
    assert (kind, obj["code"], obj["reason"]) == ("ERROR", 410, "Expired")
    assert obj["message"] == "too old resource version: 2 (6)"


def test_many_watches_all_see_every_change(lab: TestEndpoint) -> None:
    watches = [Watch(lab, ENTRIES, "timeoutSeconds=20") for _ in range(10)]
    seen: list[list[tuple[str, str]]] = []
    readers = [threading.Thread(target=lambda one=one: seen.append(one.names(20))) for one in watches]
    for reader in readers:
        reader.start()
    for number in range(20):
        lab.apply(entry(f"e{number:02}"))
    for reader in readers:
        reader.join(20)
    assert seen == [[("ADDED", f"e{number:02}") for number in range(20)]] * 10
    for one in watches:
        one.close()


def test_discovery_names_the_versions(lab: TestEndpoint) -> None:
    group = lab.request("GET", "/apis/networking.istio.io").body
    assert [one["version"] for one in group["versions"]] == ["v1", "v1beta1", "v1alpha3"]
    listed = lab.request("GET", "/apis/networking.istio.io/v1beta1").body["resources"]
    assert {"serviceentries", "serviceentries/status", "sidecars", "virtualservices", "destinationrules"} <= {
        one["name"] for one in listed
    }
    groups = [one["name"] for one in lab.request("GET", "/apis").body["groups"]]
    assert groups == ["apiextensions.k8s.io", "authentication.k8s.io", "authorization.k8s.io", "networking.istio.io"]
    reviews = lab.request("GET", "/apis/authorization.k8s.io/v1").body["resources"]
    assert [(one["kind"], one["verbs"]) for one in reviews] == [
        ("SelfSubjectAccessReview", ["create"]),
        ("SelfSubjectRulesReview", ["create"]),
    ]


def test_a_client_that_prefers_aggregated_discovery_is_given_the_plain_one(lab: TestEndpoint) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    for path, kind in (("/api", "APIVersions"), ("/apis", "APIGroupList")):
        answer = lab.request("GET", path, headers={"Accept": accept})
        assert answer.body["kind"] == kind


def test_an_access_review_allows(lab: TestEndpoint) -> None:
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {}}
    answer = lab.request("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body)
    assert answer.status == 201
    assert answer.body["status"]["allowed"] is True


def test_status_is_written_by_its_subresource_only(lab: TestEndpoint) -> None:
    lab.apply(entry())
    path = f"{ENTRIES}/wikipedia-ext"
    change, merge = {"status": {"addresses": []}, "spec": {"hosts": ["b.example"]}}, "application/merge-patch+json"
    by_status = lab.request("PATCH", f"{path}/status", change, media_type=merge).body
    assert by_status["status"] == {"addresses": []}
    assert by_status["spec"]["hosts"] == ["wikipedia.org"]
    assert lab.request("PATCH", path, {"status": {"x": 1}}, media_type=merge).body["status"] == {"addresses": []}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70000) | st.sampled_from(["", "a", "*", "TCP", "1.1.1.1/8", "a.example"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "metadata",
                    "name",
                    "labels",
                    "spec",
                    "hosts",
                    "ports",
                    "number",
                    "endpoints",
                    "containers",
                    "initContainers",
                    "status",
                    "x",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)
media_types = st.sampled_from(
    [APPLY, "application/merge-patch+json", "application/json-patch+json", "application/strategic-merge-patch+json"]
)


def asked(resource: Resource, content: Any, *, as_spec: bool) -> Any:
    typed = {"apiVersion": resource.api_version("v1"), "kind": resource.kind, "metadata": {"name": "sleep"}}
    if as_spec:
        return {**typed, "spec": content}
    return {**typed, **content} if isinstance(content, dict) else content


@examples(200)
@given(st.sampled_from([SERVICE_ENTRIES, PODS]), media_types, st.booleans(), json_values)
def test_no_body_makes_the_endpoint_stumble(resource: Resource, media_type: str, as_spec: bool, content: Any) -> None:
    store = Store()
    seed_store(store, NOW)
    objects = ObjectHandler(store, lambda: NOW)
    group = f"apis/{resource.group}" if resource.group else "api"
    here, there = (f"/{group}/v1/namespaces/{name}/{resource.plural}" for name in ("default", "other"))
    if resource is SERVICE_ENTRIES:
        objects.create(Call(resource, parse_location(here), {}), entry("sleep"))
    of_one = Call(resource, parse_location(f"{here}/sleep"), {"fieldManager": "m"}, media_type=media_type)
    tries: list[tuple[Callable[[Call, Any], ApiAnswer], Call]] = [
        (objects.create, Call(resource, parse_location(there), {})),
        (objects.patch, of_one),
        (objects.replace, of_one),
        (objects.delete, of_one),
    ]
    for work, call in tries:
        body = copy.deepcopy(asked(resource, content, as_spec=as_spec))
        with contextlib.suppress(ApiError):
            assert work(call, body).code in (200, 201)
