"""Many ServiceEntries as a table, a row each as soon as it is known; and one line that sums up these, or any report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from egressctl.model.probe import Verdict, worst_verdict
from egressctl.model.result import ProbeResult, Report, TargetResult
from egressctl.report.lines import Line
from egressctl.report.sentences import joined_mark, probe_mark, target_mark, target_sentences, target_summary
from egressctl.report.tree import MARKS
from egressctl.runtime.sanitize import neutralise
from egressctl.runtime.sentence import count_of, first_names

_NOT_PROBED = "not probed"
_VERDICTS = max(map(len, (*Verdict, _NOT_PROBED)))
_MOST_NAMES = 3
_HEAD = ("NAMESPACE", "NAME", "EXPECTED", "VERDICT", "CAUSE")


class ColumnWidths(NamedTuple):
    """How wide the columns of names are; `namespace` 0 is no such column."""

    namespace: int
    name: int


def column_widths(places: Iterable[tuple[str, str]], *, everywhere: bool) -> ColumnWidths:
    """Make the columns wide enough for these namespaces and names, the first only where every namespace is shown."""
    known = [(_HEAD[0], _HEAD[1]), *places]
    namespaces, names = (max(len(neutralise(place[at])) for place in known) for at in (0, 1))
    return ColumnWidths(namespaces if everywhere else 0, names)


def heading_line(widths: ColumnWidths) -> Line:
    """Return the table's first line."""
    return (("", _cells(widths, *_HEAD[:3]) + f"{_HEAD[3]:<{_VERDICTS}}  {_HEAD[4]}"),)


def target_line(target: TargetResult, widths: ColumnWidths) -> Line:
    """Return an entry's line: of how many probes the expectation held, the verdict, and why where it did not."""
    name = target.service_entries[0] if target.service_entries else target.name
    if target.not_probed is not None:
        start = _cells(widths, target.namespace, name, "-")
        style = "" if target.not_probed.meant else "yellow"
        return ("", start), (style, f"{_NOT_PROBED:<{_VERDICTS}}"), ("", f"  {neutralise(target.not_probed.reason)}")
    missed = [probe for probe in target.probes if not probe.held]
    start = _cells(widths, target.namespace, name, f"{len(target.probes) - len(missed)}/{len(target.probes)}")
    verdict = _verdict_of(target)
    codes = dict.fromkeys(str(probe.cause.code) for probe in missed if probe.cause)
    style = MARKS[target_mark(target, target.probes, allow_unproven=False)][0]
    return ("", start), (style, f"{verdict:<{_VERDICTS}}"), ("", f"  {', '.join(codes)}")


def _cells(widths: ColumnWidths, namespace: str, name: str, held: str) -> str:
    first = f"{neutralise(namespace):<{widths.namespace}}  " if widths.namespace else ""
    return f"{first}{neutralise(name):<{widths.name}}  {held:<{len(_HEAD[2])}}  "


def _verdict_of(target: TargetResult) -> Verdict:
    """The worst of what was not expected, of all where everything was."""
    missed: Sequence[ProbeResult] = [probe for probe in target.probes if not probe.held]
    return worst_verdict(tuple(probe.verdict for probe in missed or target.probes))


def total_line(targets: Sequence[TargetResult], planned: int) -> Line:
    """Sum up: how many entries there are, and of which verdict; and how many of `planned` were not come to."""
    counted = Counter(_verdict_of(each) for each in targets if each.not_probed is None)
    parts = [(_style(targets, each), f"{counted[each]} {each}") for each in Verdict if counted[each]]
    if left_out := sum(each.not_probed is not None for each in targets):
        parts.append(("", f"{left_out} {_NOT_PROBED}"))
    if planned > len(targets):
        parts.append(("yellow", f"{planned - len(targets)} not reached"))
    missed = sum(not all(probe.held for probe in each.probes) for each in targets)
    line: list[tuple[str, str]] = [("bold", count_of(planned, "ServiceEntry", "ServiceEntries")), ("", ": ")]
    for index, part in enumerate(parts):
        line += [("", ", "), part] if index else [part]
    unasked = sum(each.not_probed is not None and not each.not_probed.meant for each in targets)
    told = [f"{count} {what}" for count, what in ((missed, "not as expected"), (unasked, "could not be asked")) if count]
    return (*line, ("", f"; {', '.join(told)}" if told else ""))


def _style(targets: Sequence[TargetResult], verdict: Verdict) -> str:
    """Return the colour of how many had a verdict: it says whether all of them were as expected."""
    marks = [
        target_mark(each, each.probes, allow_unproven=False)
        for each in targets
        if each.not_probed is None and _verdict_of(each) is verdict
    ]
    return MARKS[joined_mark(marks)][0]


def report_summary(report: Report) -> str:
    """Say in one sentence what became of everything: of one target that one's sentence."""
    if report.error is not None and not report.targets:
        return report.error.message
    if report.planned is None and len(report.targets) == 1:
        target = report.targets[0]
        return f"{target.name}: {target_summary(target)}"
    if not report.targets:
        return "there was nothing to do"
    if report.planned is not None:
        return "".join(text for _, text in total_line(report.targets, report.planned))
    if not any(map(target_sentences, report.targets)):
        done = dict.fromkeys(target.action for target in report.targets if target.action)
        groups = ((action, [target.name for target in report.targets if target.action == action]) for action in done)
        return "; ".join(f"{first_names(names, _MOST_NAMES)} {action}" for action, names in groups) or "no probe was sent"
    looks = "steps" if all(target.step for target in report.targets) else "targets"
    missed = [
        target
        for target in report.targets
        if target_mark(target, target.probes, report.allow_unproven) is not True or not all(map(probe_mark, target.closure))
    ]
    told = f"{len(report.targets) - len(missed)} of {len(report.targets)} {looks} as expected"
    names = [f"{target.step}: {target.name}" if target.step else target.name for target in missed]
    return f"{told}; not {first_names(names, _MOST_NAMES)}" if missed else told
