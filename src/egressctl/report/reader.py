"""Read a report that `-o json` wrote, for the path that each probe took, within limits, with all its faults reported."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

from egressctl.errors import InvalidInput, Problem
from egressctl.manifests.problems import ProblemCollector
from egressctl.manifests.yaml_reader import InputPlace, ValuePath, field_name, kind_of, quote_text
from egressctl.model.json_values import text_at
from egressctl.model.probe import Verdict
from egressctl.report.data_text import API_VERSION

KIND = "Report"
MAX_BYTES = 32 << 20
"""A report has less than 2 KB a probe."""
MAX_DEPTH = 20
"""A report's own values are nested ten deep; fields that are new may be a little deeper."""
_MOST_PROBLEMS = 10
"""So many faults of one file are reported."""
_WRITE_ONE = "write one with: egressctl verify -o json > report.json"


class ProbeKey(NamedTuple):
    """Which probe it is. Not by its source pod: an upgrade starts new ones."""

    namespace: str
    target: str
    step: str
    """Which of several looks at the target (`demo`), `closure` after its entry was removed; else empty."""
    probe: str
    url: str
    number: int = 0
    """Of several that are alike in all that, which one."""

    def __str__(self) -> str:
        step = f" ({self.step})" if self.step else ""
        return f"{self.namespace}/{self.target}{step} {self.probe}"


class RecordedProbe(NamedTuple):
    """What a report says of one probe. Texts are empty, and `envoy_cluster` None, where it says nothing."""

    verdict: Verdict
    held: bool
    cause: str = ""
    envoy_cluster: str | None = None
    capture: str = ""
    listener: str = ""
    filter_chain: str = ""
    policy: str = ""


class RecordedReport(NamedTuple):
    """A report: what ran when and where, and its probes in their order. `error` is why it was not finished, else empty."""

    source: str
    command: str
    started_at: str
    context: str
    version: str
    error: str
    probes: Mapping[ProbeKey, RecordedProbe]


def load_reports(old: str, new: str) -> tuple[RecordedReport, RecordedReport]:
    """Read the reports in two files, one of which may be `-` for stdin. Raises InvalidInput with the problems of both."""
    if old == new == "-":
        raise InvalidInput("compare - -: standard input holds one report", hint="name a file for the other")
    found: list[RecordedReport] = []
    problems: list[Problem] = []
    for path in (old, new):
        try:
            found.append(_load_report(path))
        except InvalidInput as refused:
            problems += refused.problems
    if problems:
        raise InvalidInput(problems=problems)
    return found[0], found[1]


def _load_report(path: str) -> RecordedReport:
    source = "standard input" if path == "-" else path
    try:
        if path == "-":
            data = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with open(path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = (error.strerror or "").lower() if isinstance(error, OSError) else "a path holds no NUL"
        raise _refusal(source, f"cannot be read: {reason or error}", _WRITE_ONE) from None
    if len(data) > MAX_BYTES:
        raise _refusal(source, f"is larger than {MAX_BYTES >> 20} MiB", "a report has less than 2 KB a probe")
    return parse_report(data, source)


def parse_report(data: bytes, source: str) -> RecordedReport:
    """Read a report's JSON; `source` names it in problems. Fields that are not known are passed over. Raises InvalidInput."""
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        where = f": {error.msg} in line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise _refusal(source, f"is not JSON{where}", _WRITE_ONE) from None
    if _is_deeper(value, MAX_DEPTH):
        raise _refusal(source, f"is nested deeper than {MAX_DEPTH} levels", _WRITE_ONE)
    if not isinstance(value, dict) or value.get("kind") != KIND:
        kind = value.get("kind") if isinstance(value, dict) else value
        raise _refusal(source, f"is no report: its kind is {kind_of(kind)}", _WRITE_ONE)
    if value.get("apiVersion") != API_VERSION:
        version = value.get("apiVersion")
        told = quote_text(version) if isinstance(version, str) else kind_of(version)
        raise _refusal(source, f"its schema version is {told}", f"this egressctl reads {API_VERSION}")
    found = ProblemCollector(lambda path: InputPlace(field_name(path), source))
    kubernetes = _optional_mapping(found, value, (), "kubernetes")
    failure = _optional_mapping(found, value, (), "error")
    recorded = RecordedReport(
        source,
        text_at(value, "command"),
        text_at(value, "startedAt"),
        text_at(kubernetes, "context"),
        text_at(kubernetes, "version"),
        text_at(failure, "message"),
        _probes(found, value),
    )
    if found.problems:
        more = len(found.problems) - _MOST_PROBLEMS
        last = [Problem(f"{more} more of this kind", source=source)] if more > 0 else []
        raise InvalidInput(problems=[*found.problems[:_MOST_PROBLEMS], *last])
    return recorded


def _probes(found: ProblemCollector, report: Mapping[str, Any]) -> dict[ProbeKey, RecordedProbe]:
    probes: dict[ProbeKey, RecordedProbe] = {}
    _require_field(found, report, (), "targets", list, "a list of targets")
    for at, target in found.listed(report, (), "targets", dict, "targets"):
        name = _require_field(found, target, at, "name", str, "text")
        namespace = _require_field(found, target, at, "namespace", str, "text")
        _require_field(found, target, at, "probes", list, "a list of probes")
        closure = _optional_mapping(found, target, at, "closure")
        looks = [(text_at(target, "step"), found.listed(target, at, "probes", dict, "probes"))]
        looks.append(("closure", found.listed(closure, (*at, "closure"), "probes", dict, "probes")))
        for step, listed in looks:
            for path, probe in listed:
                key = ProbeKey(
                    str(namespace),
                    str(name),
                    step,
                    str(_require_field(found, probe, path, "name", str, "text")),
                    str(_require_field(found, probe, path, "url", str, "text")),
                )
                while key in probes:
                    key = key._replace(number=key.number + 1)
                probes[key] = _read_probe(found, probe, path)
    return probes


def _read_probe(found: ProblemCollector, probe: Mapping[str, Any], path: ValuePath) -> RecordedProbe:
    verdict = str(_require_field(found, probe, path, "verdict", str, "text"))
    held = _require_field(found, probe, path, "held", bool, "true or false")
    cause = _optional_mapping(found, probe, path, "cause")
    evidence = _optional_mapping(found, probe, path, "evidence")
    carrier = evidence.get("envoyCluster")
    if carrier is not None:
        found.is_a(str, carrier, (*path, "evidence", "envoyCluster"), "text or null")
    if isinstance(probe.get("verdict"), str) and verdict not in list(Verdict):
        found.add((*path, "verdict"), f"{quote_text(verdict)} is no verdict", f"one of {', '.join(Verdict)}")
    return RecordedProbe(
        Verdict(verdict) if verdict in list(Verdict) else Verdict.INCONCLUSIVE,
        held is True,
        text_at(cause, "code"),
        carrier if isinstance(carrier, str) else None,
        text_at(evidence, "capture"),
        text_at(evidence, "listener"),
        text_at(evidence, "filterChain"),
        text_at(evidence, "policy"),
    )


def _require_field(
    found: ProblemCollector, value: Mapping[str, Any], path: ValuePath, name: str, kind: type, expected: str
) -> object:
    """Return a field's value; report it where it is missing or of another kind."""
    if name not in value:
        found.add((*path, name), "is missing", f"expected {expected}")
    # `listed` reports what is no list.
    elif kind is not list:
        found.is_a(kind, value[name], (*path, name), expected)
    return value.get(name)


def _optional_mapping(found: ProblemCollector, value: Mapping[str, Any], path: ValuePath, name: str) -> Mapping[str, Any]:
    """Return a mapping that may be absent or null as an empty one; report anything else."""
    inner = value.get(name)
    if inner is None or not found.is_a(dict, inner, (*path, name), "a mapping or null"):
        return {}
    assert isinstance(inner, dict)
    return inner


def _is_deeper(value: object, depth: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return depth == 0 or any(_is_deeper(each, depth - 1) for each in inner)


def _refusal(source: str, message: str, remedy: str) -> InvalidInput:
    return InvalidInput(problems=[Problem(message, "", remedy, source)])
