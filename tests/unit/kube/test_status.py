"""What the API server says when it refuses, in one sentence, with the right class and without loss."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.errors import (
    ApiFailure,
    Conflict,
    EgressctlError,
    Forbidden,
    InvalidInput,
    Modified,
    NotFound,
    Problem,
    Refused,
    Replaced,
    Unauthorized,
)
from egressctl.kube.rest import resource_path, version_priority
from egressctl.kube.status import ApiRequest, error_for_answer, is_input_mistake, one_line, parse_request
from examples import examples

ENTRY = ApiRequest("patch", "networking.istio.io", "serviceentries", "default", "m")


TYPED = "failed to create typed patch object (/m; networking.istio.io/v1, Kind=ServiceEntry): "


def said(message: str, **more: Any) -> bytes:
    return json.dumps({"kind": "Status", "status": "Failure", "message": message, **more}).encode()


def test_forbidden_names_verb_resource_and_namespace_in_rbacs_words() -> None:
    message = (
        'serviceentries.networking.istio.io "m" is forbidden: User "dev" cannot patch resource '
        '"serviceentries" in API group "networking.istio.io" in the namespace "default"'
    )
    error = error_for_answer(403, said(message), ENTRY)
    assert isinstance(error, Forbidden)
    assert (error.verb, error.resource, error.namespace) == ("patch", "serviceentries.networking.istio.io", "default")
    assert str(error) == "user dev may not patch serviceentries.networking.istio.io in namespace default"
    assert "kubectl auth can-i patch serviceentries.networking.istio.io -n default" in error.hint


def test_a_right_to_impersonate_that_lacks_is_what_is_named() -> None:
    error = error_for_answer(
        403, said('users "x" is forbidden: User "dev" cannot impersonate resource "users" in API group "" at the'), ENTRY
    )
    assert isinstance(error, Forbidden)
    assert (error.verb, error.resource, error.namespace) == ("impersonate", "users", "")


def test_forbidden_without_a_status_is_told_from_the_request() -> None:
    error = error_for_answer(403, b"<html>denied</html>", ENTRY)
    assert isinstance(error, Forbidden)
    assert (error.verb, error.resource) == ("patch", "serviceentries.networking.istio.io")
    assert "html" not in str(error).lower()


@pytest.mark.parametrize(
    "message",
    [
        'admission webhook "policy.example" denied the request: no egress here',
        'pods "sleep" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true',
        'pods "sleep" is forbidden: exceeded quota: compute',
        "unable to create new content in namespace default because it is being terminated",
    ],
)
def test_a_403_of_admission_is_a_refusal_and_no_lack_of_rights(message: str) -> None:
    assert isinstance(error_for_answer(403, said(message), ENTRY), Refused)


def test_a_missing_object_a_missing_namespace_and_a_missing_crd_are_told_apart() -> None:
    gone = error_for_answer(404, said('serviceentries "m" not found', details={"name": "m", "kind": "serviceentries"}), ENTRY)
    assert (type(gone), str(gone)) == (NotFound, 'serviceentries.networking.istio.io "m" not found in namespace default')
    nowhere = error_for_answer(
        404, said('namespaces "default" not found', details={"name": "default", "kind": "namespaces"}), ENTRY
    )
    assert (type(nowhere), str(nowhere)) == (NotFound, 'there is no namespace "default"')
    for body in (b"404 page not found\n", said("the server could not find the requested resource", details={})):
        unserved = error_for_answer(404, body, ENTRY)
        assert isinstance(unserved, NotFound)
        assert "does not serve serviceentries.networking.istio.io" in str(unserved)
        assert "Istio's CRDs are missing" in unserved.hint
    other = error_for_answer(404, b"404 page not found\n", ApiRequest("get", "", "pods", "default", "p"))
    assert "Istio" not in other.hint


def test_a_conflict_of_managers_names_manager_and_field() -> None:
    cause = {"reason": "FieldManagerConflict", "message": 'conflict with "argocd"', "field": ".spec.addresses"}
    error = error_for_answer(409, said("Apply failed with 1 conflict", details={"causes": [cause]}), ENTRY)
    assert isinstance(error, Conflict)
    assert 'spec.addresses (conflict with "argocd")' in str(error)
    assert "--force-conflicts" in error.hint


def test_a_conflict_of_uid_offers_no_force() -> None:
    error = error_for_answer(409, said("Precondition failed: UID in precondition: a, UID in object meta: b"), ENTRY)
    assert isinstance(error, Conflict)
    assert "UID in object meta: b" in str(error)
    assert error.hint == ""


def test_a_refusal_has_a_problem_for_each_cause_and_none_for_rules_that_were_not_run() -> None:
    causes = [
        {"reason": "FieldValueRequired", "message": "Required value", "field": "spec.hosts"},
        {
            "reason": "FieldValueInvalid",
            "message": "Invalid value: null: some validation rules were not checked",
            "field": "<nil>",
        },
        {"reason": "FieldValueInvalid", "message": 'Invalid value: "*"', "field": "spec.hosts[0]"},
    ]
    error = error_for_answer(422, said("is invalid", details={"causes": causes}), ENTRY)
    assert isinstance(error, Refused)
    assert error.problems == (Problem("Required value", "spec.hosts"), Problem('Invalid value: "*"', "spec.hosts[0]"))


def test_a_webhooks_refusal_is_told_in_its_words() -> None:
    error = error_for_answer(
        400, said('admission webhook "rev.validation.istio.io" denied the request: unsupported protocol: TPC'), ENTRY
    )
    assert isinstance(error, Refused)
    assert "unsupported protocol: TPC" in str(error)


def test_the_500_of_a_typed_patch_is_a_mistake_of_input_with_its_field() -> None:
    message = TYPED + ".spec.foo: field not declared in schema"
    assert is_input_mistake(500, said(message))
    assert not is_input_mistake(500, said("etcdserver: request timed out"))
    error = error_for_answer(500, said(message), ENTRY)
    assert isinstance(error, Refused)
    assert error.problems == (Problem("field not declared in schema", "spec.foo"),)


def test_a_typed_patch_with_several_mistakes_tells_them_all() -> None:
    message = TYPED + "errors:\n  .spec.foo: field not declared in schema\n  .spec.ports: element 0: an element omits key"
    error = error_for_answer(500, said(message), ENTRY)
    assert isinstance(error, Refused)
    assert [problem.field for problem in error.problems] == ["spec.foo", "spec.ports"]


@pytest.mark.parametrize("code", [301, 302, 410, 429, 500, 503, 504])
def test_what_is_left_carries_its_status(code: int) -> None:
    error = error_for_answer(code, b"", ENTRY)
    assert isinstance(error, ApiFailure)
    assert error.status == code


def test_the_credentials_and_a_bad_selector_have_classes_of_their_own() -> None:
    assert isinstance(error_for_answer(401, b"Unauthorized", ENTRY), Unauthorized)
    assert (
        type(error_for_answer(400, said("unable to parse requirement"), ApiRequest("list", "", "pods", "default")))
        is InvalidInput
    )


@examples(100)
@given(st.integers(300, 599), st.one_of(st.binary(max_size=200), st.text(max_size=200).map(said)))
def test_every_answer_becomes_one_line_without_control_characters(code: int, body: bytes) -> None:
    error = error_for_answer(code, body, ENTRY)
    assert isinstance(error, EgressctlError)
    assert str(error).isprintable()
    assert error.hint.isprintable()


@examples(50)
@given(
    st.dictionaries(
        st.sampled_from(["message", "reason", "details"]),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner) | st.dictionaries(st.just("causes"), inner),
        ),
    ),
    st.sampled_from([400, 403, 404, 409, 422, 500]),
)
def test_a_status_of_any_shape_is_survived(status: dict[str, Any], code: int) -> None:
    assert isinstance(error_for_answer(code, json.dumps({"kind": "Status", **status}).encode(), ENTRY), EgressctlError)


def test_escape_sequences_and_direction_marks_do_not_reach_the_terminal() -> None:
    assert one_line("a\x1b[31mb\u202ec\r\nd") == "a [31mb c d"


def test_of_a_long_text_the_end_is_kept_which_says_what_happened() -> None:
    assert one_line("abcdefghijklmnop", 10) == "ab…jklmnop"
    assert one_line(f"began{'x' * 100_000}ended", 40).endswith("ended")


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/api/v1/namespaces", ApiRequest("list", "", "namespaces")),
        ("GET", "/api/v1/namespaces/x", ApiRequest("get", "", "namespaces", "", "x")),
        ("POST", "/api/v1/namespaces/x/pods", ApiRequest("create", "", "pods", "x")),
        ("DELETE", "/apis/g/v1/namespaces/x/things/y", ApiRequest("delete", "g", "things", "x", "y")),
        ("GET", "/apis/g/v1/things?limit=1", ApiRequest("list", "g", "things")),
        ("GET", "/version", ApiRequest("list")),
    ],
)
def test_a_request_is_read_back_in_rbacs_words(method: str, path: str, expected: ApiRequest) -> None:
    assert parse_request(method, path) == expected


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@examples(60)
@given(names, names, names)
def test_a_path_holds_its_names_whatever_they_are(namespace: str, plural: str, name: str) -> None:
    path = resource_path("g.example/v1", namespace, plural, name)
    assert path.count("/") == 7
    assert parse_request("PATCH", path) == ApiRequest("patch", "g.example", plural, namespace, name)
    assert "/../" not in path + "/"


def test_versions_sort_newest_first() -> None:
    served = ["v1alpha3", "v1", "v1beta1", "foo", "v2alpha1", "v10", "v1beta2"]
    assert sorted(served, key=version_priority) == ["v10", "v1", "v1beta2", "v1beta1", "v2alpha1", "v1alpha3", "foo"]


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("the object has been modified; please apply your changes to the latest version and try again", Modified),
        ("uid mismatch: the provided object specified uid 1, and no existing object was found", Modified),
        ("the ResourceVersion in the precondition (1) does not match the ResourceVersion in record (2)", Modified),
        ("the UID in the precondition (1) does not match the UID in record (2)", Replaced),
    ],
)
def test_a_conflict_that_is_no_field_managers_says_that_it_is_not_as_it_was(message: str, kind: type[Conflict]) -> None:
    status = {"kind": "Status", "status": "Failure", "reason": "Conflict", "message": message, "code": 409}
    error = error_for_answer(409, json.dumps(status).encode(), ENTRY)
    assert type(error) is kind
