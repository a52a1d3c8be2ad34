"""Compare two reports by the path of each probe, not by status: the check before and after a change of the mesh. Pure.

Names are compared as they stand: no upgrade of Istio is known to have renamed `outbound|PORT||HOST`, `PassthroughCluster`
or `BlackHoleCluster`, so no rename is undone.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from egressctl.envoy.config import ALLOWING_POLICIES
from egressctl.errors import InvalidInput
from egressctl.model.evidence import Capture
from egressctl.model.probe import Verdict
from egressctl.report.exit_codes import PRECEDENCE
from egressctl.report.reader import ProbeKey, RecordedProbe, RecordedReport

PAST_THE_SIDECAR = "past the sidecar"
NO_ENVOY_CLUSTER = "no Envoy cluster"
NOT_KNOWN = "not known"


class ProbeChange(StrEnum):
    """What became of a probe, from one report to the other."""

    CHANGED = "changed"
    """It takes another path."""
    WORSE = "worse"
    """The same path, and its expectation does not hold any more, or its verdict is a worse one."""
    GONE = "gone"
    """Only the old report has it."""
    UNKNOWN = "unknown"
    """Its path is not known, in one of the two reports or in both."""
    UNPROVEN = "unproven"
    """Its answer came without proof, in the old report as in the new one."""
    BETTER = "better"
    NEW = "new"
    """Only the new report has it: there is nothing to compare it with."""
    NOTED = "noted"
    """The same path, and a detail is another: listener, filter chain, cause, outbound traffic policy."""
    SAME = "same"


_EXIT_CODES = {ProbeChange.CHANGED: 1, ProbeChange.WORSE: 1, ProbeChange.GONE: 1, ProbeChange.UNKNOWN: 3, ProbeChange.UNPROVEN: 4}


class ProbeDifference(NamedTuple):
    """One thing that is not what it was."""

    what: str
    old: str
    new: str


class ComparedProbe(NamedTuple):
    """One probe of either report; `old` or `new` is None where that report does not have it."""

    key: ProbeKey
    change: ProbeChange
    old: RecordedProbe | None
    new: RecordedProbe | None
    differences: tuple[ProbeDifference, ...] = ()


def compare_reports(old: RecordedReport, new: RecordedReport) -> list[ComparedProbe]:
    """Compare every probe of either report, in the new one's order, those that are gone last.

    Raises InvalidInput where the old one has no probe: that everything is as it was would say nothing.
    """
    if not old.probes:
        why = f": {old.error}" if old.error else ""
        raise InvalidInput(
            f"{old.source} is a report of {old.command or 'a command'} without any probe: nothing can be compared with it{why}",
            hint="write it with: egressctl verify -o json > old.json",
        )
    found = [_compare_probe(key, old.probes.get(key), seen) for key, seen in new.probes.items()]
    return found + [_compare_probe(key, seen, None) for key, seen in old.probes.items() if key not in new.probes]


def exit_code(compared: list[ComparedProbe], *, allow_unproven: bool = False) -> int:
    """Return 0 if no probe takes another path or got worse, else 3, 1 or 4, in that order."""
    codes = {_EXIT_CODES.get(each.change, 0) for each in compared} - ({4} if allow_unproven else set())
    return next((code for code in PRECEDENCE if code in codes), 0)


def route_of_probe(seen: RecordedProbe) -> str | None:
    """Return the path of a probe, None if the report does not know: `inconclusive`, or no proof."""
    if seen.verdict in (Verdict.INCONCLUSIVE, Verdict.UNPROVEN):
        return None
    if seen.capture == Capture.NOT_CAPTURED:
        return PAST_THE_SIDECAR
    return seen.envoy_cluster or NO_ENVOY_CLUSTER


def _compare_probe(key: ProbeKey, old: RecordedProbe | None, new: RecordedProbe | None) -> ComparedProbe:
    if new is None:
        return ComparedProbe(key, ProbeChange.GONE, old, new)
    if old is None:
        return ComparedProbe(key, ProbeChange.NEW, old, new)
    differences = tuple(_differences(old, new))
    return ComparedProbe(key, _change(old, new, differences), old, new, differences)


def _change(old: RecordedProbe, new: RecordedProbe, differences: tuple[ProbeDifference, ...]) -> ProbeChange:
    was, now = route_of_probe(old), route_of_probe(new)
    if was is None or now is None:
        return _change_of_unknown(old, new)
    if was != now:
        return ProbeChange.CHANGED
    order = list(Verdict)
    step = order.index(new.verdict) - order.index(old.verdict)
    opened = new.policy in ALLOWING_POLICIES and old.policy not in ("", *ALLOWING_POLICIES)
    if (old.held and not new.held) or (old.held == new.held and step > 0) or opened:
        return ProbeChange.WORSE
    if (new.held and not old.held) or step < 0:
        return ProbeChange.BETTER
    return ProbeChange.NOTED if differences else ProbeChange.SAME


def _change_of_unknown(old: RecordedProbe, new: RecordedProbe) -> ProbeChange:
    """Judge where one of the two does not know the path of the probe."""
    if old.verdict is new.verdict is Verdict.UNPROVEN:
        return ProbeChange.UNPROVEN
    if new.verdict is Verdict.OPEN:  # which is proven to be the entry's own, whatever it was before
        return ProbeChange.BETTER
    if old.verdict is Verdict.OPEN and new.verdict is Verdict.UNPROVEN:
        return ProbeChange.WORSE
    return ProbeChange.UNKNOWN


def _differences(old: RecordedProbe, new: RecordedProbe) -> Iterator[ProbeDifference]:
    for what, was, now in (
        ("carried by", route_of_probe(old) or NOT_KNOWN, route_of_probe(new) or NOT_KNOWN),
        ("verdict", str(old.verdict), str(new.verdict)),
        ("cause", old.cause, new.cause),
        ("held", _yes_or_no(old.held), _yes_or_no(new.held)),
        ("listener", old.listener, new.listener),
        ("filter chain", old.filter_chain, new.filter_chain),
        ("policy", old.policy, new.policy),
    ):
        if was != now:
            yield ProbeDifference(what, was or "none", now or "none")


def _yes_or_no(value: bool) -> str:
    return "yes" if value else "no"
