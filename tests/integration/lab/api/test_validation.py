"""What the endpoint refuses of a ServiceEntry, against what a real API server said of hundreds."""

from __future__ import annotations

import json
from typing import Any

import pytest

import recordings
from egressctl.istio.admission.webhook import validate_service_entry
from egressctl.lab.api.objects import ObjectHandler
from egressctl.lab.api.request import Call, parse_location
from egressctl.lab.api.resources import SERVICE_ENTRIES
from egressctl.lab.api.seed import seed_store
from egressctl.lab.api.status import ApiError
from egressctl.lab.api.store import Store

NOW = "2026-01-01T00:00:00Z"


def create(manifest: dict[str, Any], **query: str) -> tuple[int, str | None, tuple[str, ...]]:
    """POST a ServiceEntry as the recordings did; return HTTP status, message and warnings."""
    store = Store()
    seed_store(store, NOW)
    path = f"/apis/{manifest['apiVersion']}/namespaces/default/serviceentries"
    call = Call(SERVICE_ENTRIES, parse_location(path), {"dryRun": "All", "fieldValidation": "Strict", **query})
    try:
        answer = ObjectHandler(store, lambda: NOW).create(call, json.loads(json.dumps(manifest)))
        return answer.code, None, answer.warnings
    except ApiError as error:
        return error.code, error.body["message"], ()


def entry(**spec: Any) -> dict[str, Any]:
    manifest = {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "m"}}
    return {**manifest, "spec": {"hosts": ["wikipedia.org"], **spec}}


def pieces(message: str) -> list[str]:
    """Split a message of several causes; the API server walks a map of Go's, whose order is chance."""
    head, bracket, rest = message.partition("is invalid: [")
    return [head, *sorted(rest.rstrip("]").split(", spec."))] if bracket else [message]


def test_the_custom_resource_definition_refuses_what_the_real_one_refuses_in_the_same_words() -> None:
    asked = [one for one in recordings.verdicts() if not (one["message"] or "").startswith("admission webhook")]
    assert len(asked) > 300
    different = []
    for one in asked:
        code, message, _ = create(one["manifest"])
        if code != one["status"] or sorted(pieces(message or "")) != sorted(pieces(one["message"] or "")):
            different.append((one["manifest"], (one["status"], one["message"]), (code, message)))
    assert different == []


def test_what_only_the_webhook_refuses_passes_the_definition() -> None:
    refused = [one for one in recordings.verdicts() if (one["message"] or "").startswith("admission webhook")]
    assert refused
    assert {create(one["manifest"])[0] for one in refused} == {201}


def test_warnings_are_those_of_the_real_webhook() -> None:
    accepted = [one for one in recordings.verdicts() if one["status"] == 201]
    ours = [[f'299 - "{text}"' for text in create(one["manifest"])[2]] for one in accepted]
    assert ours == [one["warnings"] for one in accepted]
    assert sum(map(len, ours)) > 5


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"hosts": []}, "spec.hosts in body should have at least 1 items"),
        ({"hosts": ["*"]}, 'spec.hosts[0]: Invalid value: "*": hostname cannot be wildcard'),
        ({"hosts": ["a.b"] * 257}, "spec.hosts: Too many: 257: must have at most 256 items"),
        ({"addresses": ["1.1.1.1"] * 257}, "spec.addresses: Too many: 257: must have at most 256 items"),
        ({"ports": [{"number": 1}]}, "spec.ports[0].name: Required value"),
        ({"ports": [{"name": "a", "number": 65536}]}, "spec.ports[0].number: Invalid value: 65536: port must be between 1-65535"),
        (
            {"ports": [{"name": "a", "number": 1}, {"name": "b", "number": 1}]},
            "spec.ports: Invalid value: port number cannot be duplicated",
        ),
        (
            {"ports": [{"name": "a", "number": 1}, {"name": "a", "number": 2}]},
            'spec.ports[1]: Duplicate value: {"name":"a"}',
        ),
        ({"endpoints": [{"labels": {}}], "resolution": "STATIC"}, "spec.endpoints[0]: Invalid value: Address is required"),
        (
            {"endpoints": [], "workloadSelector": {}, "resolution": "STATIC"},
            "spec: Invalid value: only one of WorkloadSelector or Endpoints can be set",
        ),
    ],
)
def test_each_mistake_has_its_words(spec: dict[str, Any], said: str) -> None:
    code, message, _ = create(entry(**spec))
    assert code == 422
    assert said in (message or "")


def test_causes_name_reason_message_and_field() -> None:
    store = Store()
    seed_store(store, NOW)
    call = Call(SERVICE_ENTRIES, parse_location("/apis/networking.istio.io/v1/namespaces/default/serviceentries"), {})
    with pytest.raises(ApiError) as caught:
        ObjectHandler(store).create(call, entry(resolution="DNS", addresses=["1.1.1.0/24"]))
    assert caught.value.body["details"] == {
        "name": "m",
        "group": "networking.istio.io",
        "kind": "ServiceEntry",
        "causes": [
            {
                "reason": "FieldValueInvalid",
                "message": "Invalid value: CIDR addresses are allowed only for NONE/STATIC resolution types",
                "field": "spec",
            }
        ],
    }


@pytest.mark.parametrize("name", ["Wikipedia", "a_b", "-a", "a" * 254])
def test_a_name_must_be_a_subdomain(name: str) -> None:
    manifest = entry()
    manifest["metadata"]["name"] = name
    code, message, _ = create(manifest)
    assert code == 422
    assert "metadata.name: Invalid value" in (message or "")


@pytest.mark.parametrize("value", ["a b", "x" * 64, "-a"])
def test_a_label_must_be_a_label(value: str) -> None:
    manifest = entry()
    manifest["metadata"]["labels"] = {"run": value}
    assert create(manifest)[0] == 422


def test_an_unknown_field_is_dropped_with_a_warning_unless_validation_is_strict() -> None:
    assert create(entry(foo=1), fieldValidation="") == (201, None, ('unknown field "spec.foo"',))
    assert create(entry(foo=1), fieldValidation="Ignore") == (201, None, ())
    assert create(entry(foo=1))[0] == 400


def test_tcp_in_lower_case_escapes_the_warning() -> None:
    def warned(protocol: str) -> bool:
        return bool(validate_service_entry(entry(ports=[{"name": "a", "number": 443, "protocol": protocol}])).warnings)

    assert warned("TCP")
    assert not warned("tcp")
