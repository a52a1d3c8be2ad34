"""The JSON document, key by key, and its schema."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from egressctl.model.cause import Cause, CauseCode
from egressctl.model.entry import ServiceEntry
from egressctl.model.evidence import Capture, CountSource, CurlOutcome, Evidence, Method, Owner, Ownership, Source, Walk
from egressctl.model.probe import Expectation, Probe, Verdict, worst_verdict
from egressctl.model.result import Failure, KubernetesInfo, NotProbed, PartResult, ProbeResult, Report, TargetResult
from egressctl.report.json_report import report_document
from egressctl.verify.causes import Case
from egressctl.verify.verdict import judge
from examples import examples

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "reference" / "report.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)

PORTAL = Probe("portal", "https://www.wikipedia.org")
SOURCE = Source("default", "sleep", "sleep", "istio-proxy")
OUTCOME = CurlOutcome(
    0, "", 200, "208.80.154.224", 443, "10.244.0.5", 40000,
    seconds={"lookup": 0.001, "connect": 0.002, "tls": 0.01, "total": 0.02}, extracted={"articles": "7,012,345"},
)  # fmt: skip
ENTRY = ServiceEntry("wikipedia-ext", "default", ("wikipedia.org",), (), (), "NONE", "MESH_EXTERNAL", ())
EVIDENCE = Evidence(
    Capture.CAPTURED,
    walk=Walk("0.0.0.0_443", "", "outbound|443||wikipedia.org", "208.80.154.224/27"),
    owner=Owner(Ownership.OWNED, "default/wikipedia-ext lists it", entry=ENTRY),
    counted=True,
    policy="REGISTRY_ONLY",
    methods=tuple(Method),
    sources=(CountSource.CLUSTERS,),
)
OPEN = ProbeResult(PORTAL, SOURCE, Verdict.OPEN, True, None, OUTCOME, EVIDENCE)
BLOCKED = ProbeResult(
    replace(PORTAL, expect=Expectation(Verdict.BLOCKED)),
    SOURCE,
    Verdict.BLOCKED,
    True,
    Cause(CauseCode.ENTRY_MISSING, "it is not there", "egressctl create wikipedia"),
    CurlOutcome(35, "reset", 0, "208.80.154.224", 443),
    Evidence(Capture.CAPTURED, True, Walk("virtualOutbound", "virtualOutbound-blackhole", "BlackHoleCluster")),
)
UNASKED = ProbeResult(
    PORTAL, None, Verdict.INCONCLUSIVE, False, Cause(CauseCode.NO_SOURCE_POD, "there is no pod", "name one: --pod NAME")
)
TARGET = TargetResult("wikipedia", "default", ("wikipedia-ext",), (OPEN,))
REPORT = Report(
    "verify",
    "r1",
    "2026-11-23T04:00:00Z",
    0.41234,
    0,
    KubernetesInfo("kind-kind", "https://127.0.0.1:6443", "v1.37.2"),
    (TARGET,),
)


def test_the_document_key_by_key() -> None:
    found = report_document(REPORT)
    expected = {
        "apiVersion": "egressctl.dev/v1alpha1",
        "kind": "Report",
        "command": "verify",
        "runId": "r1",
        "startedAt": "2026-11-23T04:00:00Z",
        "duration": 0.412,
        "verdict": "open",
        "summary": "wikipedia: 1 of 1 open: ServiceEntry default/wikipedia-ext sent it (proved)",
        "exitCode": 0,
        "kubernetes": {"context": "kind-kind", "server": "https://127.0.0.1:6443", "version": "v1.37.2"},
        "targets": [
            {
                "name": "wikipedia",
                "namespace": "default",
                "serviceEntries": ["wikipedia-ext"],
                "verdict": "open",
                "summary": "1 of 1 open: ServiceEntry default/wikipedia-ext sent it (proved)",
                "unasked": [],
                "probes": [
                    {
                        "name": "portal",
                        "url": "https://www.wikipedia.org",
                        "source": {"namespace": "default", "pod": "sleep", "container": "sleep", "chosenOf": 1},
                        "verdict": "open",
                        "held": True,
                        "expectation": {"verdict": "open", "status": 200},
                        "cause": None,
                        "outcome": {
                            "curlExit": 0,
                            "httpStatus": 200,
                            "remoteIp": "208.80.154.224",
                            "remotePort": 443,
                            "error": "",
                            "seconds": {"lookup": 0.001, "connect": 0.002, "tls": 0.01, "total": 0.02},
                        },
                        "evidence": {
                            "envoyCluster": "outbound|443||wikipedia.org",
                            "methods": ["captured", "static", "owned", "counted"],
                            "sources": ["clusters"],
                            "listener": "0.0.0.0_443",
                            "filterChain": "208.80.154.224/27",
                            "capture": "captured",
                            "companion": False,
                            "owner": "default/wikipedia-ext lists it",
                            "connectedTo": [],
                            "policy": "REGISTRY_ONLY",
                        },
                        "extracted": {"articles": "7,012,345"},
                    }
                ],
            }
        ],
        "warnings": [],
        "error": None,
    }
    assert found == expected
    assert json.dumps(found) == json.dumps(expected)  # the order of the keys, and plain data only


def test_a_cause_is_a_code_a_sentence_and_the_next_command() -> None:
    found = report_document(replace(REPORT, targets=(replace(TARGET, probes=(BLOCKED,)),)))["targets"][0]["probes"][0]
    assert found["cause"] == {"code": "entry-missing", "message": "it is not there", "hint": "egressctl create wikipedia"}
    assert found["evidence"]["filterChain"] == "virtualOutbound-blackhole"
    assert (found["evidence"]["owner"], found["evidence"]["policy"]) == (None, None)


def test_what_was_never_asked_is_null() -> None:
    found = report_document(replace(REPORT, targets=(replace(TARGET, probes=(UNASKED,)),)))["targets"][0]["probes"][0]
    assert [found[key] for key in ("source", "outcome", "evidence", "extracted")] == [None, None, None, {}]


def test_a_way_that_is_not_known_is_null() -> None:
    probe = replace(OPEN, verdict=Verdict.UNPROVEN, evidence=Evidence(), cause=Cause(CauseCode.AMBIENT, "why", "what"))
    found = report_document(replace(REPORT, targets=(replace(TARGET, probes=(probe,)),)))["targets"][0]["probes"][0]["evidence"]
    assert found == {
        "envoyCluster": None, "methods": [], "sources": [], "listener": None, "filterChain": None, "capture": "unknown",
        "companion": False, "owner": None, "connectedTo": [], "policy": None,
    }  # fmt: skip


def test_a_way_is_named_in_the_expectation_where_one_is_expected() -> None:
    probe = replace(OPEN, probe=replace(PORTAL, expect=Expectation(status=None, via="gateway")))
    found = report_document(replace(REPORT, targets=(replace(TARGET, probes=(probe,)),)))["targets"][0]["probes"][0]
    assert found["expectation"] == {"verdict": "open", "status": None, "via": "gateway"}


def test_a_step_an_action_and_a_closure_stand_where_there_is_one() -> None:
    target = replace(TARGET, step="before", action="deleted", closure=(BLOCKED, replace(BLOCKED, held=False)))
    found = report_document(replace(REPORT, targets=(target,)))["targets"][0]
    assert list(found) == [
        "name",
        "namespace",
        "serviceEntries",
        "step",
        "action",
        "verdict",
        "summary",
        "unasked",
        "probes",
        "closure",
    ]
    assert (found["step"], found["action"], found["verdict"]) == ("before", "deleted", "open")
    assert (found["closure"]["verdict"], found["closure"]["held"], len(found["closure"]["probes"])) == ("blocked", False, 2)


LACKING = Cause(CauseCode.ENTRY_MISSING, "it is not there", "egressctl create many")
IN_FORCE, GONE = PartResult("many-ext-0-1", 200, in_force=True), PartResult("many-ext-128-1", 0, in_force=False, cause=LACKING)


def test_entries_of_several_stand_with_what_was_seen_or_done() -> None:
    parts = (IN_FORCE, GONE, PartResult("many-ext-8-8", 7, in_force=None), PartResult("many-ext-9-8", 7, "created"))
    found = report_document(replace(REPORT, targets=(replace(TARGET, parts=parts),)))
    VALIDATOR.validate(found)
    assert found["targets"][0]["parts"] == [
        {"serviceEntry": "many-ext-0-1", "addresses": 200, "inForce": True, "cause": None},
        {
            "serviceEntry": "many-ext-128-1",
            "addresses": 0,
            "inForce": False,
            "cause": {"code": "entry-missing", "message": "it is not there", "hint": "egressctl create many"},
        },
        {"serviceEntry": "many-ext-8-8", "addresses": 7, "inForce": None, "cause": None},
        {"serviceEntry": "many-ext-9-8", "addresses": 7, "action": "created"},
    ]
    assert list(found["targets"][0])[3:] == ["verdict", "summary", "parts", "unasked", "probes"]


@pytest.mark.parametrize(
    ("parts", "probes", "verdict"),
    [
        ((IN_FORCE,), (OPEN,), "open"),
        ((IN_FORCE, GONE), (OPEN,), "unproven"),
        ((IN_FORCE._replace(in_force=None),), (OPEN,), "unproven"),
        ((GONE,), (BLOCKED,), "blocked"),
        ((GONE,), (), "inconclusive"),
        ((IN_FORCE._replace(in_force=None, action="created"),), (OPEN,), "open"),
    ],
)
def test_a_target_of_which_an_entry_is_not_seen_in_force_is_not_open(
    parts: tuple[PartResult, ...], probes: tuple[ProbeResult, ...], verdict: str
) -> None:
    found = report_document(replace(REPORT, targets=(replace(TARGET, probes=probes, parts=parts),)))
    assert (found["targets"][0]["verdict"], found["verdict"]) == (verdict, verdict)


def test_a_closure_holds_where_all_of_it_does() -> None:
    target = replace(TARGET, closure=(BLOCKED, BLOCKED))
    assert report_document(replace(REPORT, targets=(target,)))["targets"][0]["closure"]["held"] is True


def test_what_was_not_probed_says_why_and_makes_the_report_no_worse() -> None:
    left_out = replace(TARGET, probes=(), not_probed=NotProbed("its annotation says none", "annotate it", meant=False))
    found = report_document(replace(REPORT, targets=(TARGET, left_out)))
    why = {"reason": "its annotation says none", "hint": "annotate it", "meant": False, "named": False}
    assert found["targets"][1]["notProbed"] == why
    assert (found["verdict"], found["targets"][1]["probes"], "notProbed" in found["targets"][0]) == ("open", [], False)


def test_a_failure_is_a_sentence_and_the_next_command() -> None:
    found = report_document(
        replace(REPORT, error=Failure("no connection", "egressctl demo"), warnings=("mind",), kubernetes=None)
    )
    assert found["error"] == {"message": "no connection", "hint": "egressctl demo"}
    assert (found["warnings"], found["kubernetes"]) == (["mind"], None)


@pytest.mark.parametrize(
    ("targets", "verdict"),
    [
        ((), "inconclusive"),
        ((replace(TARGET, probes=()),), "inconclusive"),
        ((TARGET,), "open"),
        ((TARGET, replace(TARGET, probes=(BLOCKED,))), "blocked"),
        ((replace(TARGET, probes=(BLOCKED, UNASKED, OPEN)),), "inconclusive"),
        ((replace(TARGET, probes=(), closure=(BLOCKED,)),), "blocked"),
        ((replace(TARGET, closure=(BLOCKED,)),), "open"),  # that it is closed afterwards makes nothing of it worse
    ],
)
def test_a_reports_verdict_is_its_worst(targets: tuple[TargetResult, ...], verdict: str) -> None:
    assert report_document(replace(REPORT, targets=targets))["verdict"] == verdict


def test_the_order_of_the_worst() -> None:
    order = ["open", "unproven", "bypassed", "failed", "blocked", "inconclusive"]
    assert [str(verdict) for verdict in Verdict] == order
    for index, verdict in enumerate(Verdict):
        assert worst_verdict(tuple(Verdict)[: index + 1]) is verdict


# The schema


def documents() -> list[dict[str, Any]]:
    closed = replace(TARGET, step="after", action="created", closure=(BLOCKED,))
    left_out = replace(
        TARGET, probes=(), not_probed=NotProbed("its annotation says none", named=True), unasked=("a.example:443",)
    )
    bare = replace(UNASKED, probe=Probe("pg", "tcp://203.0.113.20:5432", Expectation(status=None)))
    via = replace(OPEN, probe=replace(PORTAL, expect=Expectation(status=None, via="gateway")))
    return [
        report_document(REPORT),
        report_document(replace(REPORT, targets=(closed, replace(TARGET, probes=(UNASKED, via, BLOCKED))))),
        report_document(replace(REPORT, targets=(left_out, replace(TARGET, probes=(bare,))))),
        report_document(replace(REPORT, targets=(), kubernetes=None, exit_code=3, warnings=("mind",), error=Failure("no", ""))),
    ]


@pytest.mark.parametrize("found", documents())
def test_documents_are_as_the_schema_says(found: dict[str, Any]) -> None:
    VALIDATOR.validate(json.loads(json.dumps(found)))


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def objects(schema: Any) -> list[dict[str, Any]]:
    if isinstance(schema, list):
        return [found for each in schema for found in objects(each)]
    if not isinstance(schema, dict):
        return []
    mine = [schema] if schema.get("type") == "object" and "properties" in schema else []
    return mine + [found for each in schema.values() for found in objects(each)]


def test_the_schema_allows_no_key_that_it_does_not_name() -> None:
    assert len(objects(SCHEMA)) >= 10
    assert all(each["additionalProperties"] is False for each in objects(SCHEMA))


def paths(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [(*path, key) for key, _ in items] + [found for key, each in items for found in paths(each, (*path, key))]


def at(found: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        found = found[key]
    return found


def without(found: dict[str, Any], path: tuple[str | int, ...]) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(found))
    del at(copy, path[:-1])[path[-1]]
    return copy


FREE = {"articles", "lookup", "connect", "tls", "total"}
"""Keys that may be missing: curl's marks of time, and what a target chose to extract."""


@pytest.mark.parametrize("path", [path for path in paths(report_document(REPORT)) if path[-1] not in FREE and path[-1] != 0])
def test_no_key_may_be_missing(path: tuple[str | int, ...]) -> None:
    with pytest.raises(ValidationError):
        VALIDATOR.validate(without(report_document(REPORT), path))


@pytest.mark.parametrize(
    "path", [path for path in [(), *paths(report_document(REPORT))] if isinstance(at(report_document(REPORT), path), dict)]
)
def test_no_key_may_be_made_up(path: tuple[str | int, ...]) -> None:
    found = json.loads(json.dumps(report_document(REPORT)))
    at(found, path)["madeUp"] = 1
    with pytest.raises(ValidationError):
        VALIDATOR.validate(found)


def test_the_schema_names_every_cause_verdict_method_and_capture() -> None:
    defs = SCHEMA["$defs"]
    assert defs["cause"]["properties"]["code"]["enum"] == [str(code) for code in CauseCode]
    assert defs["verdict"]["enum"] == [str(verdict) for verdict in Verdict]
    assert defs["evidence"]["properties"]["methods"]["items"]["enum"] == [str(method) for method in Method]
    assert defs["evidence"]["properties"]["sources"]["items"]["enum"] == [str(source) for source in CountSource]
    assert set(defs["evidence"]["properties"]["capture"]["enum"]) == {str(capture) for capture in Capture}


def test_open_as_expected_has_no_cause_and_all_else_has_one() -> None:
    found = report_document(REPORT)
    found["targets"][0]["probes"][0]["verdict"] = "blocked"
    with pytest.raises(ValidationError):
        VALIDATOR.validate(found)
    other = documents()[1]
    other["targets"][1]["probes"][0] |= {"verdict": "open", "held": True}
    with pytest.raises(ValidationError):
        VALIDATOR.validate(other)


@examples(100)
@given(
    st.builds(
        CurlOutcome,
        curl_exit=st.sampled_from([0, 6, 28, 35, 56, 60, 99]),
        error=st.text(max_size=20),
        http_status=st.sampled_from([0, 200, 404]),
        remote_ip=st.sampled_from(["", "208.80.154.224"]),
        remote_port=st.sampled_from([0, 443]),
        extracted=st.dictionaries(st.text(min_size=1, max_size=4), st.text(max_size=20), max_size=2),
    ),
    st.sampled_from(list(Capture)),
    st.sampled_from([None, EVIDENCE.walk, Walk("", "", None), Walk("x", "y", "PassthroughCluster")]),
    st.sampled_from([None, EVIDENCE.owner]),
    st.booleans(),
)
def test_whatever_is_judged_is_as_the_schema_says(
    outcome: CurlOutcome, capture: Capture, walk: Walk | None, owner: Owner | None, counted: bool
) -> None:
    evidence = replace(EVIDENCE, capture=capture, walk=walk, owner=owner, counted=counted)
    judged = judge(Case(PORTAL, SOURCE, outcome, evidence))
    VALIDATOR.validate(report_document(replace(REPORT, targets=(replace(TARGET, probes=(judged,)),))))
