"""What a command found, as a report holds it: each probe with its verdict, each target, and the whole."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from egressctl.model.cause import Cause
from egressctl.model.evidence import CurlOutcome, Evidence, Source
from egressctl.model.probe import Probe, Verdict, worst_verdict


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """A probe, what came of it, and the judgement. `held` says whether the expectation did."""

    probe: Probe
    source: Source | None
    verdict: Verdict
    held: bool
    cause: Cause | None = None
    outcome: CurlOutcome | None = None
    evidence: Evidence | None = None


class PartResult(NamedTuple):
    """One of several ServiceEntries of a target, and how many addresses it lists.

    `in_force` says whether the sidecar had all of them, None where that was not looked at or could not be read; `cause` is why
    not. `action` is what was done to it, empty for a look.
    """

    name: str
    addresses: int
    action: str = ""
    in_force: bool | None = None
    cause: Cause | None = None


class NotProbed(NamedTuple):
    """Why nothing was sent for a ServiceEntry, in half a sentence, and the next command to type.

    `meant` is False where it ought to have been asked and could not be. `named` is True where somebody asked for this very
    target: that nothing was sent is no pass then.
    """

    reason: str
    hint: str = ""
    meant: bool = True
    named: bool = False
    """It was named on the command line: nothing proved is no pass."""


@dataclass(frozen=True, slots=True)
class TargetResult:
    """A target's probes. `step` is set where a report holds several looks at one target.

    `closure` holds the probes that were sent after the entry was removed (`run`, `cleanup`). `parts` is empty for a target of
    one ServiceEntry. `not_probed` says why there are no probes.
    """

    name: str
    namespace: str
    service_entries: tuple[str, ...]
    probes: tuple[ProbeResult, ...]
    step: str = ""
    action: str = ""
    """What was done to the entry: `created`, `configured`, `unchanged`, `deleted`; empty for a look."""
    closure: tuple[ProbeResult, ...] = ()
    parts: tuple[PartResult, ...] = ()
    not_probed: NotProbed | None = None
    unasked: tuple[str, ...] = ()
    """Hosts (host:port) of its entry that no probe asked."""

    @property
    def parts_not_in_force(self) -> tuple[PartResult, ...]:
        """The parts that were looked for in the sidecar, and not seen in force."""
        return tuple(part for part in self.parts if not part.action and not part.in_force)

    @property
    def verdict(self) -> Verdict:
        """The worst of its probes, of its closure's where there are none: no better than unproven with a part that is shaky."""
        verdicts = tuple(probe.verdict for probe in self.probes or self.closure)
        return worst_verdict((*verdicts, Verdict.UNPROVEN) if verdicts and self.parts_not_in_force else verdicts)


class KubernetesInfo(NamedTuple):
    """Which Kubernetes cluster was asked."""

    context: str
    server: str
    version: str


class Failure(NamedTuple):
    """Why a command stopped: one sentence, and the next command to type."""

    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that a command found, for every output format. Times: RFC 3339 and seconds."""

    command: str
    run_id: str
    started_at: str
    duration: float
    exit_code: int
    kubernetes: KubernetesInfo | None
    targets: tuple[TargetResult, ...]
    warnings: tuple[str, ...] = ()
    error: Failure | None = None
    """Why nothing, or not everything, could be asked or finished."""
    allow_unproven: bool = False
    """Whether an answer without a proof passes, with a warning."""
    planned: int | None = None
    """How many ServiceEntries were to be verified, where each had a row of a table as soon as it was known."""
    not_reached: tuple[str, ...] = ()
    """Which of these were not come to, as NAMESPACE/NAME: the command was interrupted, or could not go on."""
