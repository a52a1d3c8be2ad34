"""Server-side apply and managedFields: what they do to objects, without any server."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egressctl.istio.admission.crd import SERVICE_ENTRY as SCHEMA
from egressctl.lab.api import fields
from egressctl.lab.api.apply import Writer, apply, with_managed_fields
from egressctl.lab.api.resources import PODS
from egressctl.lab.api.status import ApiError
from examples import examples

V1 = "networking.istio.io/v1"
FIRST, LATER = "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"


def entry(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": V1, "kind": "ServiceEntry", "metadata": {"name": "wikipedia-ext"}, "spec": spec}


def port(name: str, number: int) -> dict[str, Any]:
    return {"name": name, "number": number, "protocol": "TCP"}


def by(manager: str, time: str = FIRST, version: str = V1) -> Writer:
    return Writer(manager, version, time)


def owned(obj: dict[str, Any]) -> dict[str, Any]:
    return {one["manager"]: one["fieldsV1"] for one in obj["metadata"].get("managedFields", [])}


def refusal(live: dict[str, Any], config: dict[str, Any], manager: str) -> ApiError:
    with pytest.raises(ApiError) as caught:
        apply(live, config, SCHEMA, by(manager))
    return caught.value


def test_what_is_applied_is_owned_field_by_field() -> None:
    config = entry(hosts=["wikipedia.org"], addresses=["208.80.154.224/27"], ports=[port("tcp", 443)])
    config["metadata"]["labels"] = {"app": "x"}
    made = apply({}, config, SCHEMA, by("egressctl"))
    assert made["metadata"]["managedFields"] == [
        {
            "manager": "egressctl",
            "operation": "Apply",
            "apiVersion": V1,
            "time": FIRST,
            "fieldsType": "FieldsV1",
            "fieldsV1": {
                "f:metadata": {"f:labels": {"f:app": {}}},
                "f:spec": {
                    "f:addresses": {},
                    "f:hosts": {},
                    "f:ports": {'k:{"name":"tcp"}': {".": {}, "f:name": {}, "f:number": {}, "f:protocol": {}}},
                },
            },
        }
    ]


def test_the_same_applied_again_changes_nothing_not_even_the_time() -> None:
    config = entry(hosts=["wikipedia.org"], ports=[port("tcp", 443)])
    made = apply({}, config, SCHEMA, by("egressctl", FIRST))
    assert apply(made, config, SCHEMA, by("egressctl", LATER)) == made


def test_a_change_of_anothers_field_is_a_conflict_that_names_manager_and_field() -> None:
    made = apply({}, entry(hosts=["wikipedia.org"], addresses=["1.1.1.1"]), SCHEMA, by("egressctl"))
    error = refusal(made, entry(hosts=["wikipedia.org"], addresses=["2.2.2.2"]), "rival")
    assert error.code == 409
    assert error.body["reason"] == "Conflict"
    assert error.body["message"] == 'Apply failed with 1 conflict: conflict with "egressctl": .spec.addresses'
    assert error.body["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": 'conflict with "egressctl"', "field": ".spec.addresses"}
    ]


def test_conflicts_with_several_are_listed_manager_by_manager() -> None:
    made = apply({}, entry(hosts=["a.example"], ports=[port("tcp", 443)]), SCHEMA, by("b"))
    made = apply(made, entry(resolution="NONE"), SCHEMA, by("a"))
    error = refusal(made, entry(hosts=["b.example"], resolution="DNS", ports=[port("tcp", 80)]), "c")
    assert error.body["message"] == (
        'Apply failed with 3 conflicts: conflicts with "a":\n- .spec.resolution\n'
        'conflicts with "b":\n- .spec.hosts\n- .spec.ports[name="tcp"].number'
    )


def test_a_conflict_with_an_update_says_version_and_time() -> None:
    live = with_managed_fields({}, entry(hosts=["a.example"]), SCHEMA, by("kubectl-client-side-apply"))
    error = refusal(live, entry(hosts=["b.example"]), "egressctl")
    assert error.body["details"]["causes"][0]["message"] == f'conflict with "kubectl-client-side-apply" using {V1} at {FIRST}'


def test_force_takes_the_field_and_leaves_the_rest_co_owned() -> None:
    made = apply({}, entry(hosts=["wikipedia.org"], addresses=["1.1.1.1"]), SCHEMA, by("egressctl"))
    taken = apply(made, entry(hosts=["wikipedia.org"], addresses=["2.2.2.2"]), SCHEMA, by("rival"), force=True)
    assert taken["spec"]["addresses"] == ["2.2.2.2"]
    assert owned(taken) == {
        "egressctl": {"f:spec": {"f:hosts": {}}},
        "rival": {"f:spec": {"f:addresses": {}, "f:hosts": {}}},
    }


def test_equal_values_are_co_owned_and_then_neither_can_change_them() -> None:
    made = apply({}, entry(hosts=["wikipedia.org"]), SCHEMA, by("egressctl"))
    both = apply(made, entry(hosts=["wikipedia.org"]), SCHEMA, by("rival"))
    assert set(owned(both)) == {"egressctl", "rival"}
    assert refusal(both, entry(hosts=["other.example"]), "egressctl").code == 409
    assert refusal(both, entry(hosts=["other.example"]), "rival").code == 409


def test_what_is_no_longer_applied_is_removed() -> None:
    made = apply({}, entry(hosts=["a.example"], exportTo=["."], ports=[port("a", 1), port("b", 2)]), SCHEMA, by("egressctl"))
    fewer = apply(made, entry(hosts=["a.example"], ports=[port("b", 2)]), SCHEMA, by("egressctl"))
    assert fewer["spec"] == {"hosts": ["a.example"], "ports": [port("b", 2)]}


def test_what_is_no_longer_applied_stays_where_another_owns_it() -> None:
    made = apply({}, entry(hosts=["a.example"], exportTo=["."]), SCHEMA, by("egressctl"))
    both = apply(made, entry(exportTo=["."]), SCHEMA, by("rival"))
    fewer = apply(both, entry(hosts=["a.example"]), SCHEMA, by("egressctl"))
    assert fewer["spec"]["exportTo"] == ["."]
    assert owned(fewer)["egressctl"] == {"f:spec": {"f:hosts": {}}}


def test_ports_of_two_managers_live_side_by_side() -> None:
    made = apply({}, entry(hosts=["a.example"], ports=[port("a", 1)]), SCHEMA, by("egressctl"))
    both = apply(made, entry(ports=[port("b", 2)]), SCHEMA, by("rival"))
    assert both["spec"]["ports"] == [port("a", 1), port("b", 2)]


def test_applies_of_one_manager_are_one_entry_whatever_version_they_speak() -> None:
    made = apply({}, entry(hosts=["a.example"]), SCHEMA, by("egressctl"))
    again = apply(made, entry(hosts=["b.example"]), SCHEMA, by("egressctl", LATER, "networking.istio.io/v1beta1"))
    assert [one["apiVersion"] for one in again["metadata"]["managedFields"]] == ["networking.istio.io/v1beta1"]


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"hosts": ["a"], "foo": 1}, ".spec.foo: field not declared in schema"),
        (
            {"ports": [{"number": 443}]},
            ".spec.ports: element 0: associative list with keys has an element that omits key field \"name\" "
            "(and doesn't have default value)",
        ),
        ({"ports": [port("a", 1), port("a", 2)]}, '.spec.ports: duplicate entries for key [name="a"]'),
        ({"ports": [{"name": "a", "number": "1"}]}, '.spec.ports[name="a"].number: expected numeric (int or float), got string'),
        ({"hosts": "a"}, ".spec.hosts: expected list, got string"),
        ({"a": 1, "b": 2}, "errors:\n  .spec.a: field not declared in schema\n  .spec.b: field not declared in schema"),
    ],
)  # fmt: skip
def test_what_the_schema_does_not_know_is_a_500_without_reason(spec: dict[str, Any], said: str) -> None:
    error = refusal({}, entry(**spec), "egressctl")
    assert error.code == 500
    assert "reason" not in error.body
    about = "failed to create typed patch object (/wikipedia-ext; networking.istio.io/v1, Kind=ServiceEntry)"
    assert error.body["message"] == f"{about}: {said}"


def test_an_update_takes_what_it_changes_and_nothing_else() -> None:
    made = apply({}, entry(hosts=["a.example"], addresses=["1.1.1.1"]), SCHEMA, by("egressctl"))
    new = copy.deepcopy(made)
    new["spec"]["addresses"] = ["2.2.2.2"]
    walked_over = with_managed_fields(made, new, SCHEMA, by("kubectl-client-side-apply"))
    assert owned(walked_over) == {
        "egressctl": {"f:spec": {"f:hosts": {}}},
        "kubectl-client-side-apply": {"f:spec": {"f:addresses": {}}},
    }


def test_a_field_that_an_update_removes_is_owned_by_nobody() -> None:
    made = apply({}, entry(hosts=["a.example"], exportTo=["."]), SCHEMA, by("egressctl"))
    new = copy.deepcopy(made)
    del new["spec"]["exportTo"]
    assert owned(with_managed_fields(made, new, SCHEMA, by("kubectl-edit"))) == {"egressctl": {"f:spec": {"f:hosts": {}}}}


def test_managed_fields_that_an_update_sends_are_believed() -> None:
    made = apply({}, entry(hosts=["a.example"]), SCHEMA, by("egressctl"))
    handed = copy.deepcopy(made)
    handed["metadata"]["managedFields"][0]["manager"] = "argocd"
    assert set(owned(with_managed_fields(made, handed, SCHEMA, by("kubectl")))) == {"argocd"}


def test_containers_of_a_pod_are_owned_by_name() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "image": "x"}]}}
    made = apply({}, pod, PODS.schema, Writer("egressctl", "v1", FIRST))
    assert made["metadata"]["managedFields"][0]["fieldsV1"] == {
        "f:spec": {"f:containers": {'k:{"name":"a"}': {".": {}, "f:image": {}, "f:name": {}}}}
    }


names = st.sampled_from(["a", "b", "c"])
specs = st.fixed_dictionaries(
    {},
    optional={
        "hosts": st.lists(names, max_size=2),
        "addresses": st.lists(names, max_size=2),
        "resolution": names,
        "workloadSelector": st.fixed_dictionaries({}, optional={"labels": st.dictionaries(names, names, max_size=2)}),
        "ports": st.dictionaries(names, st.integers(1, 3), max_size=3).map(
            lambda numbers: [{"name": name, "number": number} for name, number in numbers.items()]
        ),
    },
)


def plain(obj: dict[str, Any]) -> dict[fields.FieldPath, str]:
    """Return the fields of a spec that have a value of their own; lists are written out, to be comparable."""
    held = fields.field_values(obj.get("spec", {}), SCHEMA.properties["spec"])
    return {path: repr(value) for path, value in held.items() if isinstance(value, str | int | list)}


@examples(60)
@given(specs, specs)
def test_forced_configurations_hold_and_a_manager_that_withdraws_leaves_only_what_the_other_owns(
    ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    made = apply({}, entry(**ours), SCHEMA, by("ours"))
    both = apply(made, entry(**theirs), SCHEMA, by("theirs"), force=True)
    wanted = plain(entry(**theirs))
    assert plain(both).items() >= wanted.items()
    nothing = {name: value for name, value in entry().items() if name != "spec"}
    assert plain(apply(both, nothing, SCHEMA, by("ours"))) == wanted


elements = st.one_of(names.map(lambda name: f"f:{name}"), names.map(lambda name: f'k:{{"name":"{name}"}}'))
paths = st.lists(elements, min_size=1, max_size=4).map(tuple)


@examples(200)
@given(st.frozensets(paths, max_size=8))
def test_fields_survive_being_written_and_read(owned_fields: fields.FieldSet) -> None:
    assert fields.decode_fields(fields.encode_fields(owned_fields)) == owned_fields
