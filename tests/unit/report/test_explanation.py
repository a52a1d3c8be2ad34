"""An explained way as a picture and as JSON: what stands where, and what the schema says of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from egressctl.envoy.trace import NotTaken
from egressctl.model.cause import Cause, CauseCode
from egressctl.model.entry import Port, ServiceEntry
from egressctl.model.evidence import Source, Walk
from egressctl.report.explanation import draw_path, explanation_document
from egressctl.verify.explain.steps import ExplainedPath as Way
from egressctl.verify.explain.steps_before_sidecar import Step

SCHEMA = json.loads((Path(__file__).parents[3] / "docs" / "reference" / "explanation.schema.json").read_text())
VALIDATOR = Draft202012Validator(SCHEMA)
SOURCE = Source("default", "sleep", "sleep", "istio-proxy", chosen_of=2)
ENTRY = ServiceEntry("wikipedia-ext", "default", ("wikipedia.org",), (), (Port(443, "TCP", "tcp"),), "NONE", "MESH_EXTERNAL", ())
WAY = Way(
    url="https://www.wikipedia.org",
    ip="208.80.154.224",
    address="208.80.154.224:443",
    resolved_by="pod default/sleep",
    stations=(
        Step("pod", "default/sleep, container sleep", True),
        Step("capture", "only a request that is sent shows it", None),
        Step("filter chain", "208.80.154.224/27", True),
        Step("Envoy cluster", "outbound|443||wikipedia.org", True),
    ),
    next="the sidecar connects to 208.80.154.224:443",
    goes_out=True,
    walk=Walk("0.0.0.0_443", "", "outbound|443||wikipedia.org", "208.80.154.224/27"),
    losers=(NotTaken("198.35.26.96/27", "outbound|443||wikipedia.org", "its block does not hold 208.80.154.224"),),
    more_losers=3,
    carrier=ENTRY,
)
CLOSED = replace(
    WAY,
    target="default/wikipedia-ext",
    reached=False,
    goes_out=False,
    carrier=None,
    cause=Cause(CauseCode.BLACKHOLE, "no entry names it", "egressctl create wikipedia"),
    walk=Walk("virtualOutbound", "virtualOutbound-catchall-tcp", "BlackHoleCluster"),
)
CHANCE = replace(
    WAY, walk=Walk("l", "c", None, choices=("one", "two")), target="default/wikipedia-ext", carrier=None, goes_out=None
)
UNRESOLVED = Way("https://x.example", "", "", "this machine", (Step("name", "no", None),), "not known", None, unknown="no")


def drawn(way: Way) -> str:
    return "\n".join("".join(text for _, text in line) for line in draw_path(way))


def test_a_way_is_drawn_with_what_lost_beneath_its_filter_chain() -> None:
    assert drawn(WAY) == (
        "https://www.wikipedia.org  208.80.154.224:443\n"
        "  ├─ ✔ pod           default/sleep, container sleep\n"
        "  ├─ ? capture       only a request that is sent shows it\n"
        "  ├─ ✔ filter chain  208.80.154.224/27\n"
        "  │      not 198.35.26.96/27 (to outbound|443||wikipedia.org): its block does not hold 208.80.154.224\n"
        "  │      nor 3 more\n"
        "  ├─ ✔ Envoy cluster outbound|443||wikipedia.org\n"
        "  ╰─ ✔ next          the sidecar connects to 208.80.154.224:443"
    )


@pytest.mark.parametrize(("reached", "said"), [(True, "leads to"), (False, "does not lead to"), (None, "perhaps leads to")])
def test_a_targets_way_says_whether_it_leads_there(reached: bool | None, said: str) -> None:
    first = drawn(replace(CLOSED, reached=reached)).splitlines()[0]
    assert first == f"https://www.wikipedia.org  208.80.154.224:443  {said} default/wikipedia-ext"


def test_why_it_does_not_and_what_to_type_stand_last() -> None:
    assert drawn(CLOSED).splitlines()[-2:] == ["  cause  blackhole: no entry names it", "  next   egressctl create wikipedia"]


def test_what_comes_from_the_network_is_neutralised() -> None:
    evil = "\x1b[2J\u202e"
    way = replace(
        WAY,
        url=f"https://x/{evil}",
        stations=(Step("name", evil, None), Step("filter chain", evil, True)),
        losers=(NotTaken(evil, evil, evil),),
        next=evil,
        cause=Cause(CauseCode.BLACKHOLE, evil, evil),
    )
    assert "\x1b" not in drawn(way)
    assert "\u202e" not in drawn(way)


def documents() -> dict[str, Any]:
    return explanation_document(SOURCE, (WAY, CLOSED, CHANCE, UNRESOLVED), ("sidecars were not looked at: no right",), 3)


def test_the_document_is_as_the_schema_says() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    VALIDATOR.validate(json.loads(json.dumps(documents())))


def test_the_document_holds_what_the_way_says() -> None:
    first, closed, chance, unresolved = documents()["paths"]
    assert (first["envoyCluster"], first["serviceEntry"], first["target"]) == (
        "outbound|443||wikipedia.org",
        "default/wikipedia-ext",
        None,
    )
    assert (first["listener"], first["filterChain"], first["losersLeftOut"]) == ("0.0.0.0_443", "208.80.154.224/27", 3)
    assert [each["state"] for each in first["stations"]] == ["passed", "unknown", "passed", "passed"]
    assert (closed["target"], closed["cause"]["code"], closed["leavesPod"]) == (
        {"serviceEntry": "default/wikipedia-ext", "reached": False},
        "blackhole",
        False,
    )
    assert (chance["envoyCluster"], chance["choices"]) == (None, ["one", "two"])
    assert (unresolved["address"], unresolved["unknown"], unresolved["listener"]) == (None, "no", None)


@pytest.mark.parametrize("key", [*SCHEMA["required"], *SCHEMA["$defs"]["path"]["required"]])
def test_no_key_may_be_missing_and_none_may_be_there_that_is_not_named(key: str) -> None:
    found = documents()
    place = found if key in SCHEMA["required"] else found["paths"][0]
    del place[key]
    with pytest.raises(ValidationError):
        VALIDATOR.validate(found)
    with pytest.raises(ValidationError):
        VALIDATOR.validate({**documents(), f"{key}x": 1})
