"""Targets in lines, the verdict first: a line a target, then one a probe with why it is not as expected; paths come last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from egressctl.model.evidence import CurlOutcome
from egressctl.model.probe import Verdict
from egressctl.model.result import ProbeResult, TargetResult
from egressctl.report.lines import HANG, Line, text_width
from egressctl.report.sentences import probe_mark, target_mark, target_sentences
from egressctl.report.tree import MARKS, draw_cause, draw_hint, draw_probe_path
from egressctl.runtime.sanitize import neutralise

AFTER_CLEANUP = "after cleanup, "
"""What the names of probes begin with that were sent after the entry was removed, where both are reported side by side."""

_LONGEST_PADDED = 60
"""A longer URL is not waited for by what stands in the next column."""


def draw_targets(
    targets: Iterable[TargetResult], *, allow_unproven: bool = False, show_paths: bool = False, quiet: bool = False
) -> Iterator[Line]:
    """Draw each target with its probes, and below them all the paths of those not as expected, with `show_paths` of every one.

    `quiet` leaves the line of each target.
    """
    targets = list(targets)
    for target in targets:
        yield from _draw_target(target, allow_unproven, show_paths=show_paths, quiet=quiet)
    if not quiet:
        for target in targets:
            yield from _draw_paths(target, show_paths=show_paths)


def is_drawn(target: TargetResult) -> bool:
    """Say whether there is more to be said of a target than what was done to its entry."""
    return bool(target_sentences(target))


def draw_headline(mark: bool | None, name: str, sentence: str) -> Line:
    """Draw the one line of a target: whether it is as expected, its name, and what became of it."""
    style, sign = MARKS[mark]
    return (
        (f"bold {style}", sign),
        ("bold", f" {neutralise(name)}"),
        ("", "  "),
        HANG,
        (style if mark is not True else "", neutralise(sentence)),
    )


def draw_probe(result: ProbeResult, when: str = "") -> Iterator[Line]:
    """Draw a probe by itself: its verdict, the cause of one that is not `open`, what to type, and its path."""
    yield _draw_row(result, f"{when}{neutralise(result.probe.name)}", _where(result), named=True)
    if result.cause is not None:
        yield from draw_cause("    ", result.cause, hint=not result.held)
    yield from draw_probe_path(result, "    ")


def _draw_target(target: TargetResult, allow_unproven: bool, *, show_paths: bool, quiet: bool) -> Iterator[Line]:
    name = f"{target.step}: {target.name}" if target.step else target.name
    for sentence, probes in target_sentences(target):
        yield draw_headline(target_mark(target, probes, allow_unproven), name, sentence)
        if quiet:
            continue
        yield from _draw_probes(probes, with_causes=show_paths)
        if probes is target.probes:
            yield from _draw_entries(target)
            if show_paths and target.unasked:
                yield (("", "  not asked: "), HANG, ("", neutralise(", ".join(target.unasked))))
            if not probes and target.not_probed is not None:
                yield from draw_hint("  ", target.not_probed.hint)


def _draw_probes(probes: Sequence[ProbeResult], *, with_causes: bool) -> Iterator[Line]:
    """Draw a line for each probe; the cause of several that failed for the same reason is shown once, below them."""
    names, urls = [neutralise(probe.probe.name) for probe in probes], [_where(probe) for probe in probes]
    name_width = max(map(text_width, names), default=0)
    url_width = max((width for width in map(text_width, urls) if width <= _LONGEST_PADDED), default=0)
    named = {probe.probe.expect.verdict for probe in probes} != {Verdict.OPEN}
    for index, probe in enumerate(probes):
        name, url = names[index], urls[index]
        name += " " * (name_width - text_width(name))
        url += " " * (url_width - text_width(url))
        yield _draw_row(probe, name, url, named=named)
        following = probes[index + 1] if index + 1 < len(probes) else None
        same = following is not None and following.cause == probe.cause and following.held == probe.held
        if probe.cause is not None and not same and (with_causes or not probe.held):
            yield from draw_cause("    ", probe.cause, hint=not probe.held)
    source = next((probe.source for probe in probes if probe.source), None)
    if source is not None and source.chosen_of > 1:
        told = f"from pod {source.namespace}/{source.pod}, container {source.container}, newest of {source.chosen_of} ready"
        yield (("", "  "), HANG, ("", neutralise(told)))


def _where(result: ProbeResult) -> str:
    """Return what was asked: the URL, and the address where it was not left to its host's name."""
    probe = result.probe
    return neutralise(f"{probe.url} at {probe.connect_ip}" if probe.connect_ip else probe.url)


def _draw_row(result: ProbeResult, name: str, url: str, *, named: bool) -> Line:
    """Draw a probe's line; the word of its verdict is there where it is not the one that a reader takes for granted."""
    mark = probe_mark(result)
    style = MARKS[mark][0]
    word: tuple[tuple[str, str], ...] = ()
    if named or not result.held or result.verdict is not Verdict.OPEN:
        expected = "" if result.held else f", expected {result.probe.expect.verdict}"
        word = ((style, str(result.verdict)), ("", f"{expected}  "))
    told = _answer_cells(result.verdict, result.outcome) if result.outcome else ""
    return (("", "  "), MARKS[mark], ("", f" {name}  "), HANG, ("", f"{url}   "), *word, ("", neutralise(told)))


def _answer_cells(verdict: Verdict, outcome: CurlOutcome) -> str:
    """Return the status, how long it took, and what was extracted; of a refusal nothing."""
    if verdict is Verdict.BLOCKED:
        return ""
    cells = [str(outcome.http_status)] if outcome.http_status else []
    cells.append(f"{outcome.seconds.get('total', 0):.2f} s")
    cells += [f"{name} {value}" for name, value in outcome.extracted.items()]
    return "  ".join(cells)


def _draw_entries(target: TargetResult) -> Iterator[Line]:
    """Draw those of several entries of which the sidecar has not all that they list, and why."""
    for part in target.parts_not_in_force:
        yield (("", "  "), MARKS[part.in_force], ("", " "), HANG, ("", neutralise(part.name)))
        if part.cause is not None:
            yield from draw_cause("    ", part.cause, hint=True)


def _draw_paths(target: TargetResult, *, show_paths: bool) -> Iterator[Line]:
    step = f"{target.step}: " if target.step else ""
    for when, probes in (("", target.probes), (AFTER_CLEANUP, target.closure)):
        for probe in probes:
            path = list(draw_probe_path(probe)) if show_paths or not probe.held else []
            if path:
                yield ()
                named = f"{step}{target.name}, {when}{probe.probe.name}:"
                yield (("bold", "path of "), HANG, ("bold", neutralise(named)), ("", f" {neutralise(probe.probe.url)}"))
                yield from path
