"""All stages of admission at once: what is refused is what a real API server refuses, and each mistake hides no other."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import oddities
import recordings
from egressctl.istio.admission import crd, object_meta, structural
from egressctl.istio.admission.whole_spec import spec_mistakes
from egressctl.lint.api_server import api_server_findings
from egressctl.manifests.yaml_reader import Document
from egressctl.model.entry import API_VERSIONS

Manifest = dict[str, Any]
TCP = {"number": 443, "name": "tcp-443", "protocol": "TCP"}


def paths(spec: Manifest) -> list[tuple[str, Any]]:
    return [(each.rule, each.path) for each in spec_mistakes(spec)]


def without_nulls(manifest: Manifest) -> Manifest:
    cleaned: Manifest = structural.without_nulls(manifest, crd.SERVICE_ENTRY)
    return cleaned


def test_what_a_real_api_server_refuses_of_a_spec_is_refused_and_nothing_else_is() -> None:
    asked = []
    for one in recordings.verdicts():
        manifest = without_nulls(one["manifest"])
        about = object_meta.decode_metadata(manifest.get("metadata"))
        sound = not (object_meta.decode_faults(about) or object_meta.metadata_faults(about) or about.get("annotations"))
        fields = {"apiVersion", "kind", "metadata", "spec", "status"}
        if (
            sound
            and manifest["apiVersion"] in API_VERSIONS
            and isinstance(manifest.get("spec"), dict)
            and set(manifest) <= fields
        ):
            asked.append((bool(spec_mistakes(manifest["spec"])), one["status"] != 201, manifest["spec"]))
    assert [each for each in asked if each[0] != each[1]] == []
    assert len(asked) > 300
    assert sum(refused for _, refused, _ in asked) > 90


@given(st.integers())
def test_stage_by_stage_and_all_at_once_refuse_the_same_specs(seed: int) -> None:
    spec = without_nulls(oddities.manifest(random.Random(seed))).get("spec")
    if isinstance(spec, dict):
        manifest = {"apiVersion": API_VERSIONS[0], "kind": "ServiceEntry", "metadata": {"name": "a"}, "spec": spec}
        staged = {each.rule for each in api_server_findings(Document(manifest, "f", {})) if each.severity == "error"}
        whole = {each.rule for each in spec_mistakes(spec)}
        assert bool(whole) == bool(staged)
        # What is of a wrong type is no known value either, and what is below 0 no port: the API server says both.
        twice = {"unknown-value"} & staged if "wrong-type" in staged else set()
        assert staged - twice - ({"invalid-port-number"} if "out-of-range" in staged else set()) <= whole


def test_a_mistake_of_an_early_stage_hides_none_of_a_later() -> None:
    spec = {
        "host": ["x"],
        "hosts": ["a_b", 3],
        "addresses": ["x"],
        "ports": [{"name": "p", "number": "443", "protocol": "TPC"}, {"number": 0, "name": "q"}],
        "resolution": "ANY",
        "exportTo": ["a/b"],
    }
    assert paths(spec) == [
        ("unknown-field", ("host",)),
        ("wrong-type", ("hosts", 1)),
        ("wrong-type", ("ports", 0, "number")),
        ("unknown-value", ("resolution",)),
        ("invalid-port-number", ("ports", 1, "number")),
        ("invalid-host", ("hosts", 0)),
        ("invalid-address", ("addresses", 0)),
        ("unknown-protocol", ("ports", 0, "protocol")),
        ("invalid-export", ("exportTo", 0)),
    ]


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"ports": [{}]}, [("required-field", ("ports", 0, "number")), ("required-field", ("ports", 0, "name"))]),
        ({"ports": [{"name": "a", "number": "x"}, {"name": "b", "number": 1}]}, [("wrong-type", ("ports", 0, "number"))]),
        ({"ports": [3, "x", TCP]}, [("wrong-type", ("ports", 0)), ("wrong-type", ("ports", 1))]),
        ({"resolution": "Static", "endpoints": [{"address": "1.2.3.4"}]}, [("unknown-value", ("resolution",))]),
        ({"resolution": None}, [("wrong-type", ("resolution",))]),
        ({"resolution": "STATIC", "endpoints": [{}]}, [("invalid-endpoint", ("endpoints", 0))]),
        ({"hosts": []}, [("required-field", ("hosts",))]),
    ],
)
def test_what_stands_in_for_a_mistake_is_no_mistake(changes: Manifest, found: list[tuple[str, Any]]) -> None:
    assert paths({"hosts": ["a.example"], **changes}) == found


def test_a_spec_without_hosts_lacks_them() -> None:
    assert paths({}) == [("required-field", ("hosts",))]
