"""Two reports, compared, as lines for a person and as the JSON document of docs/how-to/compare.md."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from egressctl.report.compare import ComparedProbe, ProbeChange
from egressctl.report.data_text import data_text, document
from egressctl.report.lines import Content, Line
from egressctl.report.reader import RecordedProbe, RecordedReport
from egressctl.runtime.sanitize import neutralise

_STYLES = {
    **dict.fromkeys((ProbeChange.CHANGED, ProbeChange.WORSE, ProbeChange.GONE), "red"),
    **dict.fromkeys((ProbeChange.UNKNOWN, ProbeChange.UNPROVEN), "yellow"),
    **dict.fromkeys((ProbeChange.BETTER, ProbeChange.SAME), "green"),
}
_WIDTH = max(map(len, ProbeChange))
_LABELS = {"carried by": "path", "held": "as expected"}
"""What a table says in place of a name that JSON keeps."""


def comparison_content(
    old: RecordedReport, new: RecordedReport, compared: Sequence[ComparedProbe], form: str, code: int, *, whole: bool
) -> Content:
    """Return the comparison in a format; a table with `whole` has the probes that are the same, too."""
    if form in ("json", "yaml"):
        return data_text(comparison_document(old, new, compared, code), form)
    if form == "name":
        return "".join(f"{neutralise(str(each.key))}\n" for each in compared if each.change is not ProbeChange.SAME)
    return comparison_lines(old, new, compared, whole=whole)


def comparison_lines(
    old: RecordedReport, new: RecordedReport, compared: Sequence[ComparedProbe], *, whole: bool = False
) -> Iterator[Line]:
    """Report each probe that is not the same, with what is not, then how many of each there are."""
    for each in compared:
        if each.change is ProbeChange.SAME and not whole:
            continue
        yield (
            (f"bold {_STYLES.get(each.change, '')}".rstrip(), f"{each.change:<{_WIDTH}}"),
            ("", f"  {neutralise(str(each.key))}  {neutralise(each.key.url)}"),
        )
        for difference in each.differences:
            told = f"{_LABELS.get(difference.what, difference.what):<12}  {difference.old} -> {difference.new}"
            yield (("", f"{'':<{_WIDTH + 2}}{neutralise(told)}"),)
    yield (("", f"{_describe_report(old)} -> {_describe_report(new)}"),)
    counts = [f"{count} {change}" for change in ProbeChange if (count := sum(each.change is change for each in compared))]
    yield (("", f"{len(compared)} probe{'s' * (len(compared) != 1)}: {', '.join(counts)}"),)


def _describe_report(report: RecordedReport) -> str:
    place = f", Kubernetes {report.version}" if report.version else ""
    return neutralise(f"{report.source} ({report.command or 'a command'}, {report.started_at or 'at an unknown time'}{place})")


def comparison_document(old: RecordedReport, new: RecordedReport, compared: Sequence[ComparedProbe], code: int) -> dict[str, Any]:
    """Return everything that was compared as plain data."""
    return document(
        "Comparison",
        exitCode=code,
        old=_report(old),
        new=_report(new),
        probes=[_probe(each) for each in compared],
    )


def _report(report: RecordedReport) -> dict[str, Any]:
    return {
        "file": report.source,
        "command": report.command,
        "startedAt": report.started_at,
        "context": report.context,
        "version": report.version,
        "error": report.error or None,
    }


def _probe(compared: ComparedProbe) -> dict[str, Any]:
    key = compared.key
    return {
        "namespace": key.namespace,
        "target": key.target,
        **({"step": key.step} if key.step else {}),
        "name": key.probe,
        "url": key.url,
        "change": str(compared.change),
        "differences": [{"what": each.what, "old": each.old, "new": each.new} for each in compared.differences],
        "old": _recorded_probe(compared.old),
        "new": _recorded_probe(compared.new),
    }


def _recorded_probe(seen: RecordedProbe | None) -> dict[str, Any] | None:
    if seen is None:
        return None
    return {
        "verdict": str(seen.verdict),
        "held": seen.held,
        "cause": seen.cause or None,
        "envoyCluster": seen.envoy_cluster,
        "listener": seen.listener or None,
        "filterChain": seen.filter_chain or None,
        "policy": seen.policy or None,
    }
