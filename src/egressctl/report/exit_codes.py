"""Which exit code a report ends with: a pure function of what was found."""

from __future__ import annotations

from collections.abc import Iterable

from egressctl.model.probe import Verdict
from egressctl.model.result import NotProbed, PartResult, ProbeResult, TargetResult

PRECEDENCE = (5, 3, 1, 4)
"""Several at once: the first of these that is present wins (2, 70 and those of signals end a command by themselves)."""


def exit_code_of_results(targets: Iterable[TargetResult], *, allow_unproven: bool = False, also: Iterable[int] = ()) -> int:
    """Return the exit code of these results, and of codes that came about elsewhere."""
    codes = set(also)
    for target in targets:
        codes |= {exit_code_of_probe(probe, allow_unproven) for probe in (*target.probes, *target.closure)}
        codes |= {exit_code_of_entry(part, allow_unproven) for part in target.parts_not_in_force}
        if target.not_probed is not None:
            codes.add(exit_code_of_not_probed(target.not_probed))
    return next((code for code in PRECEDENCE if code in codes), max(codes, default=0))


def exit_code_of_not_probed(why: NotProbed) -> int:
    """Return the exit code that a target asks for of which nothing was sent: it is no pass where that very target was named."""
    if not why.meant:
        return 3
    return 4 if why.named else 0


def exit_code_of_entry(part: PartResult, allow_unproven: bool) -> int:
    """Return the exit code that an entry asks for which was not seen in force: whether it is may not be known."""
    if part.in_force is None:
        return 0 if allow_unproven else 4
    return 0 if part.in_force else 1


def exit_code_of_probe(result: ProbeResult, allow_unproven: bool) -> int:
    """Return the exit code that one probe asks for."""
    if result.held:
        return 0
    if result.verdict is Verdict.INCONCLUSIVE:
        return 3
    if result.verdict is Verdict.UNPROVEN:
        expected_open = result.probe.expect.verdict is Verdict.OPEN
        return 0 if allow_unproven and expected_open else 4
    return 1


def passes_unproven(targets: Iterable[TargetResult]) -> list[str]:
    """Return the names of probes that pass with --allow-unproven, and would not without."""
    return [
        probe.probe.name
        for target in targets
        for probe in target.probes
        if exit_code_of_probe(probe, allow_unproven=False) == 4 and exit_code_of_probe(probe, allow_unproven=True) == 0
    ]
