"""JUnit's XML, held against the schemas that CI servers have for it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema
from hypothesis import given

from egressctl.model.result import Report
from egressctl.report.ci_cases import suites
from egressctl.report.junit import junit
from reports import BLOCKED, CLOSED, OPEN, REPORT, REPORTS, STOPPED, UNASKED, UNPROVEN, of, some

SCHEMAS = Path(__file__).parents[2] / "data" / "schemas"
JENKINS, ANT = "junit-10.xsd", "JUnit.xsd"


@cache
def schema_of(name: str) -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(SCHEMAS / name)


def test_a_report_as_it_stands() -> None:
    report = replace(of(OPEN, BLOCKED, closure=(CLOSED,)), exit_code=1, warnings=("mind the gap",))
    found = junit(report).replace("&#9500;", "|").replace("&#9472;", "-").replace("&#9584;", "`")
    summary = (
        "wikipedia: 1 of 2 open (proved); 1 blocked: it is not there (entry-missing); "
        "then closed: 1 of 1 blocked (proved): the sidecar sent it to BlackHoleCluster"
    )
    assert found == (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        "<testsuites>\n"
        '  <testsuite name="wikipedia" package="default" id="0" tests="3" failures="1" errors="0" skipped="0" time="0.021" '
        'timestamp="2026-11-23T04:00:00" hostname="localhost">\n'
        "    <properties>\n"
        f'      <property name="summary" value="{summary}" />\n'
        '      <property name="command" value="verify" />\n'
        '      <property name="runId" value="r1" />\n'
        '      <property name="exitCode" value="1" />\n'
        '      <property name="context" value="kind-kind" />\n'
        '      <property name="kubernetesVersion" value="v1.37.2" />\n'
        '      <property name="namespace" value="default" />\n'
        '      <property name="serviceEntry" value="wikipedia-ext" />\n'
        '      <property name="source" value="default/sleep, container sleep" />\n'
        "    </properties>\n"
        '    <testcase name="portal" classname="egressctl.default.wikipedia" time="0.021" />\n'
        '    <testcase name="portal" classname="egressctl.default.wikipedia" time="0.000">\n'
        '      <failure type="entry-missing" message="it is not there">'
        f"{summary}\n"
        "\n"
        "&#10008; portal  https://www.wikipedia.org   blocked, expected open\n"
        "  cause  entry-missing: it is not there\n"
        "  next   egressctl create wikipedia\n"
        "  |- &#10004; pod           default/sleep, container sleep\n"
        "  |- &#10004; sidecar       captured: a second connection to the same address went through istio-proxy\n"
        "  |- &#10004; listener      0.0.0.0_443\n"
        "  |- &#10004; filter chain  208.80.154.224/27\n"
        "  |- &#10008; Envoy cluster BlackHoleCluster\n"
        "  `- &#10008; answer        none, curl exit 35 after 0.00 s: reset</failure>\n"
        "    </testcase>\n"
        '    <testcase name="after cleanup, portal" classname="egressctl.default.wikipedia" time="0.000" />\n'
        f"    <system-out>{summary}</system-out>\n"
        "    <system-err>warning: mind the gap</system-err>\n"
        "  </testsuite>\n"
        "</testsuites>\n"
    )


@pytest.mark.parametrize(
    ("report", "element", "kind"),
    [
        (of(BLOCKED), "failure", "entry-missing"),
        (of(UNPROVEN), "failure", "ambient"),
        (of(UNPROVEN, allow_unproven=True), "skipped", "ambient"),
        (of(UNASKED), "error", "no-source-pod"),
        (STOPPED, "error", "exit-code-3"),
    ],
)
def test_what_did_not_pass_is_a_failure_an_error_or_skipped(report: Report, element: str, kind: str) -> None:
    root = ElementTree.fromstring(junit(report))
    [case] = root.iter("testcase")
    [child] = case
    assert (child.tag, child.get("type")) == (element, kind)
    counts = {"failure": "failures", "error": "errors", "skipped": "skipped"}
    assert {name: root[0].get(name) for name in counts.values()} == {
        name: "1" if each == element else "0" for each, name in counts.items()
    }


SAMPLES = [REPORT, STOPPED, of(), of(OPEN, BLOCKED, UNPROVEN, UNASKED, closure=(CLOSED,)), of(UNPROVEN, allow_unproven=True)]


@pytest.mark.parametrize("schema", [JENKINS, ANT], ids=["jenkins", "ant"])
@pytest.mark.parametrize("report", SAMPLES, ids=range(len(SAMPLES)))
def test_it_is_what_the_schemas_ask_for(report: Report, schema: str) -> None:
    schema_of(schema).validate(junit(report))


@pytest.mark.parametrize("schema", [JENKINS, ANT], ids=["jenkins", "ant"])
def test_the_schemas_can_say_no(schema: str) -> None:
    for wrong, right in (("<testcase", "<testcases"), (' tests="', ' test="'), ("</testsuites>", "<testcase/></testsuites>")):
        assert not schema_of(schema).is_valid(junit(REPORT).replace(wrong, right, 1))


@some
@given(REPORTS)
def test_no_text_leaves_its_place(report: Report) -> None:
    text = junit(report)
    assert text.isascii()
    schema_of(JENKINS).validate(text)
    schema_of(ANT).validate(text)
    root = ElementTree.fromstring(text)
    told = [[(case.name, case.message) for case in suite.cases] for suite in suites(report)]
    read = [
        [(case.get("name"), next((child.get("message") for child in case), "")) for case in suite.iter("testcase")]
        for suite in root
    ]
    assert read == told
