"""A Report as JUnit's XML, in the form that both Jenkins' and Apache Ant's schemas accept."""

from __future__ import annotations

from xml.etree import ElementTree

from egressctl.model.result import Report
from egressctl.report.ci_cases import CaseStatus, CiCase, CiSuite, suites
from egressctl.runtime.sanitize import neutralise

_CHILDREN = {CaseStatus.FAILED: "failure", CaseStatus.ERROR: "error", CaseStatus.SKIPPED: "skipped"}


def junit(report: Report) -> str:
    """Return the report as XML, in ASCII: a suite for each target, a case for each probe.

    Held against junit-10.xsd of Jenkins' xunit plugin and the JUnit.xsd of Ant's tasks (tests/data/schemas). Ant's is why
    there are attributes that say nothing here (`hostname`), and no time zone in a `timestamp`, which is UTC.
    """
    root = ElementTree.Element("testsuites")
    for index, suite in enumerate(suites(report)):
        _suite(root, report, suite, index)
    ElementTree.indent(root)
    body = str(ElementTree.tostring(root, encoding="us-ascii"), "ascii")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _suite(root: ElementTree.Element, report: Report, suite: CiSuite, index: int) -> None:
    element = ElementTree.SubElement(
        root,
        "testsuite",
        name=neutralise(suite.name),
        package=neutralise(suite.group),
        id=str(index),
        tests=str(len(suite.cases)),
        failures=str(suite.count(CaseStatus.FAILED)),
        errors=str(suite.count(CaseStatus.ERROR)),
        skipped=str(suite.count(CaseStatus.SKIPPED)),
        time=_seconds(sum(case.seconds for case in suite.cases) if suite.target else report.duration),
        timestamp=report.started_at[:19],
        hostname="localhost",
    )
    properties = ElementTree.SubElement(element, "properties")
    for name, value in _properties(report, suite):
        ElementTree.SubElement(properties, "property", name=name, value=neutralise(value))
    for case in suite.cases:
        _case(element, suite, case)
    ElementTree.SubElement(element, "system-out").text = suite.summary or None
    told = ElementTree.SubElement(element, "system-err")
    told.text = "\n".join(f"warning: {neutralise(each)}" for each in report.warnings) if index == 0 else None


def _properties(report: Report, suite: CiSuite) -> list[tuple[str, str]]:
    found = [("summary", suite.summary)] if suite.summary else []
    found += [("command", report.command), ("runId", report.run_id), ("exitCode", str(report.exit_code))]
    if report.kubernetes is not None:
        found += [("context", report.kubernetes.context), ("kubernetesVersion", report.kubernetes.version)]
    if suite.target is not None:
        found.append(("namespace", suite.target.namespace))
        found += [("serviceEntry", entry) for entry in suite.target.service_entries]
        found += [("action", suite.target.action)] if suite.target.action else []
        source = next((case.result.source for case in suite.cases if case.result and case.result.source), None)
        found += [("source", f"{source.namespace}/{source.pod}, container {source.container}")] if source else []
    return found


def _case(parent: ElementTree.Element, suite: CiSuite, case: CiCase) -> None:
    classname = f"egressctl.{suite.group}.{suite.name}" if suite.target else "egressctl"
    element = ElementTree.SubElement(
        parent, "testcase", name=case.name, classname=neutralise(classname), time=_seconds(case.seconds)
    )
    if case.fate is CaseStatus.PASSED:
        return
    child = ElementTree.SubElement(element, _CHILDREN[case.fate], type=case.kind, message=case.message)
    details = case.details or (case.message, *([f"next   {case.hint}"] if case.hint else []))
    child.text = "\n".join((suite.summary, "", *details) if suite.summary else details)


def _seconds(seconds: float) -> str:
    return f"{max(seconds, 0):.3f}"
