"""Compare two reports by what carried each probe, not by status: the gate before and after a change of the mesh. Pure.

Names are compared as they stand: no upgrade of Istio is known to have renamed `outbound|PORT||HOST`, `PassthroughCluster`
or `BlackHoleCluster`, so no rename is undone.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from egressctl.errors import InvalidInput
from egressctl.model.evidence import Capture
from egressctl.model.probe import Verdict
from egressctl.report.exit_codes import PRECEDENCE
from egressctl.report.reader import Key, Recorded, Seen

PAST_THE_SIDECAR = "nothing of the mesh: past the sidecar"
NOTHING = "no Envoy cluster"
NOT_KNOWN = "not known"

_ALL_OPEN = "ALLOW_ANY"


class Change(StrEnum):
    """What became of a probe, from one report to the other."""

    CHANGED = "changed"
    """Something else carries it."""
    WORSE = "worse"
    """The same carries it, and its expectation does not hold any more, or its verdict is a worse one."""
    GONE = "gone"
    """Only the old report has it."""
    UNKNOWN = "unknown"
    """What carried it is not known, in one of the two reports or in both."""
    UNPROVEN = "unproven"
    """Its answer came without proof, in the old report as in the new one."""
    BETTER = "better"
    NEW = "new"
    """Only the new report has it: there is nothing to compare it with."""
    NOTED = "noted"
    """The same carries it, and a detail is another: listener, filter chain, cause, outbound traffic policy."""
    SAME = "same"


_EXITS = {Change.CHANGED: 1, Change.WORSE: 1, Change.GONE: 1, Change.UNKNOWN: 3, Change.UNPROVEN: 4}


class Difference(NamedTuple):
    """One thing that is not what it was."""

    what: str
    old: str
    new: str


class Compared(NamedTuple):
    """One probe of either report; `old` or `new` is None where that report does not have it."""

    key: Key
    change: Change
    old: Seen | None
    new: Seen | None
    differences: tuple[Difference, ...] = ()


def compare(old: Recorded, new: Recorded) -> list[Compared]:
    """Compare every probe of either report, in the new one's order, those that are gone last.

    Raises InvalidInput where the old one has no probe: that everything is as it was would say nothing.
    """
    if not old.probes:
        why = f": {old.error}" if old.error else ""
        raise InvalidInput(
            f"{old.source} is a report of {old.command or 'a command'} without any probe: nothing can be compared with it{why}",
            hint="write it with: egressctl verify -o json > old.json",
        )
    found = [_compared(key, old.probes.get(key), seen) for key, seen in new.probes.items()]
    return found + [_compared(key, seen, None) for key, seen in old.probes.items() if key not in new.probes]


def exit_code(compared: list[Compared], *, allow_unproven: bool = False) -> int:
    """Return 0 where nothing is carried otherwise or got worse, else 3, 1 or 4, in that order."""
    codes = {_EXITS.get(each.change, 0) for each in compared} - ({4} if allow_unproven else set())
    return next((code for code in PRECEDENCE if code in codes), 0)


def carrier(seen: Seen) -> str | None:
    """Say what carried a probe, None where the report does not know: `inconclusive`, or no proof."""
    if seen.verdict in (Verdict.INCONCLUSIVE, Verdict.UNPROVEN):
        return None
    if seen.capture == Capture.NOT_CAPTURED:
        return PAST_THE_SIDECAR
    return seen.envoy_cluster or NOTHING


def _compared(key: Key, old: Seen | None, new: Seen | None) -> Compared:
    if new is None:
        return Compared(key, Change.GONE, old, new)
    if old is None:
        return Compared(key, Change.NEW, old, new)
    differences = tuple(_differences(old, new))
    return Compared(key, _change(old, new, differences), old, new, differences)


def _change(old: Seen, new: Seen, differences: tuple[Difference, ...]) -> Change:
    was, now = carrier(old), carrier(new)
    if was is None or now is None:
        return _of_unknown(old, new)
    if was != now:
        return Change.CHANGED
    order = list(Verdict)
    step = order.index(new.verdict) - order.index(old.verdict)
    opened = new.policy == _ALL_OPEN and old.policy not in ("", _ALL_OPEN)
    if (old.held and not new.held) or (old.held == new.held and step > 0) or opened:
        return Change.WORSE
    if (new.held and not old.held) or step < 0:
        return Change.BETTER
    return Change.NOTED if differences else Change.SAME


def _of_unknown(old: Seen, new: Seen) -> Change:
    """Judge where one of the two does not know what carried the probe."""
    if old.verdict is new.verdict is Verdict.UNPROVEN:
        return Change.UNPROVEN
    if new.verdict is Verdict.OPEN:  # which is proven to be the entry's own, whatever it was before
        return Change.BETTER
    if old.verdict is Verdict.OPEN and new.verdict is Verdict.UNPROVEN:
        return Change.WORSE
    return Change.UNKNOWN


def _differences(old: Seen, new: Seen) -> Iterator[Difference]:
    for what, was, now in (
        ("carried by", carrier(old) or NOT_KNOWN, carrier(new) or NOT_KNOWN),
        ("verdict", str(old.verdict), str(new.verdict)),
        ("cause", old.cause, new.cause),
        ("held", _yes(old.held), _yes(new.held)),
        ("listener", old.listener, new.listener),
        ("filter chain", old.filter_chain, new.filter_chain),
        ("policy", old.policy, new.policy),
    ):
        if was != now:
            yield Difference(what, was or "none", now or "none")


def _yes(value: bool) -> str:
    return "yes" if value else "no"
